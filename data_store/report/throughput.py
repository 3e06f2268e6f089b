"""The part of the page about speed and cost, from when each shard was committed."""

from data_store.index import Connection
from data_store.pages.blocks import Block, Figure, Grid, Note, Section
from data_store.report import drift
from data_store.report.findings import Findings, Rows, Tables, ask_all
from data_store.report.plots import line_with_points

BREAK_MINUTES = 30
"""A longer pause between two commits ends a session: nobody was asked meanwhile."""
SHOWN_SESSIONS = 50
MOST_POINTS = 200
"""Of a line: more commits than these are taken together."""

SPENT_READING = (
    "Hours are from the first to the last commit of each session: starting an engine and what came"
    " before the first commit is not in them, so the bill is a little higher. Cached tokens were"
    " served from the prefix cache and cost next to nothing."
)


def ask(connection: Connection) -> Tables:
    """Sessions, rates, tokens and drift."""
    connection.execute(_COMMITS)
    return ask_all(connection, QUESTIONS | drift.QUESTIONS)


def section(found: Findings, price_per_hour: float | None) -> Section:
    """A figure and tables; notes for what is not known.

    Args:
        found: in the stores.
        price_per_hour: of the machine, in any currency; None where it was not given.
    """
    blocks: list[Block] = []
    if found.tables["rates"].num_rows:
        blocks.append(_rates(found))
    elif found.tables["spent"].num_rows:
        blocks.append(
            Note(
                "Every session has a single commit, and a rate needs two: when the first one began"
                " was not recorded."
            )
        )
    if not found.tables["spent"].num_rows:
        blocks.append(Note("No answers, so nothing was spent."))
    else:
        blocks += [_spent(found, price_per_hour), _sessions(found)]
    blocks += [
        Note(
            f"{row['store']}: {row['compacted']:,} rows were compacted into larger shards. When"
            " they were written is not known any more, and they are in no rate and no hour."
        )
        for row in found.rows("compacted")
        if row["compacted"]
    ]
    blocks.append(drift.block(found))
    return Section("throughput", "Throughput and cost", blocks)


def spent_rows(found: Findings, price_per_hour: float | None) -> Rows:
    """Hours, tokens and cost of each teacher."""
    return [
        row | {"cost": None if price_per_hour is None else row["hours"] * price_per_hour}
        for row in found.rows("spent")
    ]


def _rates(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["rates"]
    return Figure(
        "rates",
        "Answers per second",
        "Rows of a commit over the seconds since the one before, within a session. A level line is"
        " healthy. A slope downwards is a machine that heats up or a disk that fills; a jump is"
        " another engine, batch size or length of prompt.",
        line_with_points(
            rows,
            alt.X(
                "time:T",
                title="time of the commit, UTC",
                scale=alt.Scale(type="utc"),
                axis=alt.Axis(format="%d %b %H:%M", tickCount=6),
            ),
            alt.Y("rows_per_second:Q", title="rows per second"),
            teachers=found.teachers,
        ),
        rows,
    )


def _spent(found: Findings, price_per_hour: float | None) -> Grid:
    columns = {
        "sessions": "sessions",
        "hours": "hours",
        "answers": "answers",
        "answers_per_hour": "answers per hour",
        "prompt_tokens": "tokens asked",
        "cached_share": "served from the cache",
    }
    rows = [
        [
            row["teacher"],
            *(row[name] for name in columns),
            *([row["cost"]] if price_per_hour is not None else []),
        ]
        for row in spent_rows(found, price_per_hour)
    ]
    cost = [] if price_per_hour is None else [f"cost at {price_per_hour:g} an hour"]
    hint = " --price-per-hour adds what that costs." if price_per_hour is None else ""
    return Grid(
        "Time, tokens and cost",
        ["teacher", *columns.values(), *cost],
        rows,
        SPENT_READING + hint,
    )


def _sessions(found: Findings) -> Grid:
    columns = {
        "answers_of": "table",
        "producer": "asked by",
        "host": "host",
        "started": "first commit, UTC",
        "minutes": "minutes",
        "commits": "commits",
        "answers": "rows",
        "rows_per_second": "rows per second",
    }
    return Grid(
        "Sessions",
        ["teacher", *columns.values()],
        [[row["teacher"], *(row[name] for name in columns)] for row in found.rows("sessions")],
        f"A pause of more than {BREAK_MINUTES} minutes ends a session. Rows of the first commit are"
        f" not in the rate. The latest {SHOWN_SESSIONS} are shown.",
    )


_COMMITS = f"""
create temp table commits as
with timed as (
    select teacher, teacher_id, table_name, producer, host, row_count,
        try_cast(created as timestamp) as committed
    from shards join chosen using (teacher_id)
    where table_name in ('points', 'pairs', 'embeddings') and generation = 0
        and try_cast(created as timestamp) is not null
),
begun as (
    select *, coalesce(committed - lag(committed) over line > interval {BREAK_MINUTES} minute, true)
        as begins
    from timed window line as (partition by teacher, producer, host order by committed, table_name)
)
select * exclude (begins), sum(begins::int) over (
    partition by teacher, producer, host order by committed, table_name
)::bigint as session
from begun
"""

_PACE = """
    select *, row_number() over line as place,
        epoch(committed - lag(committed) over line) as seconds
    from commits
    window line as (partition by teacher, producer, host, session, table_name order by committed)
"""

QUESTIONS = {
    "rates": f"""
        with paced as ({_PACE}),
        spread as (
            select *, (place - 2) // greatest(1, ceil(count(*) over (partition by teacher)
                / {MOST_POINTS}))::bigint as part
            from paced where place > 1
        )
        select teacher, table_name, host || ' ' || session as session,
            strftime(max(committed), '%Y-%m-%dT%H:%M:%SZ') as time,
            sum(row_count)::bigint as answers, sum(seconds) as seconds,
            sum(row_count) / sum(seconds) as rows_per_second
        from spread group by teacher, producer, host, spread.session, table_name, part
        having sum(seconds) > 0
        order by teacher, table_name, time
    """,
    "spent": """
        with sessions as (
            select teacher, producer, host, session,
                epoch(max(committed) - min(committed)) / 3600 as hours,
                sum(row_count) filter (
                    where table_name <> 'embeddings' and committed > began
                )::bigint as timed
            from (
                select *, min(committed) over (partition by teacher, producer, host, session)
                    as began
                from commits
            )
            group by all
        ),
        hours as (
            select teacher, count(*) as sessions, sum(hours) as hours,
                sum(timed)::bigint as timed
            from sessions group by all
        ),
        tokens as (
            select teacher, count(*) as answers, sum(prompt_tokens)::bigint as prompt_tokens,
                sum(cached_tokens)::bigint as cached_tokens
            from (
                select teacher, prompt_tokens, cached_tokens from point_answers
                union all select teacher, prompt_tokens, cached_tokens from pair_answers
            ) group by teacher
        )
        select teacher, coalesce(sessions, 0) as sessions, coalesce(hours, 0.0) as hours, answers,
            timed / nullif(hours, 0) as answers_per_hour, prompt_tokens, cached_tokens,
            cached_tokens / nullif(prompt_tokens, 0) as cached_share
        from tokens left join hours using (teacher) order by teacher
    """,
    "sessions": f"""
        with paced as ({_PACE})
        select teacher, table_name as answers_of, producer, host,
            strftime(min(committed), '%Y-%m-%d %H:%M') as started,
            epoch(max(committed) - min(committed)) / 60 as minutes, count(*) as commits,
            sum(row_count)::bigint as answers,
            sum(row_count) filter (where place > 1)
                / nullif(epoch(max(committed) - min(committed)), 0) as rows_per_second
        from paced group by teacher, producer, host, session, table_name
        order by min(committed) desc, answers_of limit {SHOWN_SESSIONS}
    """,
    "compacted": """
        select coalesce(sum(row_count), 0)::bigint as compacted
        from shards join chosen using (teacher_id) where generation > 0
    """,
}

"""The part of the page about pairs: preferences, position bias, consistency, cycles."""

from data_store.index import Connection
from data_store.pages.blocks import Block, Figure, Grid, Note, Section
from data_store.report.findings import Findings, Tables, ask_all
from data_store.report.plots import BINS, line_with_points, share_axis, steps, with_identity

MOST_PAIRS_FOR_CYCLES = 1_000_000
"""Of a store: each triangle is looked up, and there may be many times as many as pairs."""


def ask(connection: Connection) -> Tables:
    """Counts of the pairs."""
    (pair_count,) = connection.sql("select count(*) from pair_answers").fetchall()[0]
    cycles = _CYCLES if pair_count <= MOST_PAIRS_FOR_CYCLES else f"{_CYCLES} limit 0"
    connection.execute(f"create temp table triangles as {cycles}")
    return ask_all(connection, QUESTIONS)


def section(found: Findings) -> Section:
    """Figures and a table; a note where there are no pairs."""
    if not found.tables["preferences"].num_rows:
        text = "No pairs were compared. `annotate pairs` asks a teacher which of two is better."
        return Section("pairs", "Pairs", [Note(text)])
    blocks: list[Block] = [_preferences(found)]
    if found.tables["position_bias"].num_rows:
        blocks += [_position_bias(found), _consistency(found)]
    else:
        blocks.append(
            Note(
                "No pair was asked in both orders, so position bias and consistency are unknown."
                " An outside judgement may hold one order, or only a preference."
            )
        )
    if found.tables["implied"].num_rows:
        blocks.append(_implied(found))
    else:
        blocks.append(
            Note("No pair has levels of both its images: pairs and points cannot be compared.")
        )
    blocks.append(_numbers(found))
    return Section(
        "pairs",
        "Pairs",
        blocks,
        "A pair is asked in both orders; the preference is taken from the mean of the two logits,"
        " in which what standing first adds cancels.",
    )


def _preferences(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["preferences"]
    return Figure(
        "preferences",
        "Distribution of preferences",
        "P(first better) of the pairs, first in the order of the ids, which is arbitrary: a picture"
        " that is not nearly symmetric is suspect. Peaks at both ends are a decided teacher, a hill"
        " in the middle one that sees little difference.",
        steps(
            rows,
            alt.X("preference:Q", title="P(first better)", scale=alt.Scale(domain=[0, 1])),
            share_axis("share of pairs"),
            teachers=found.teachers,
        ),
        rows,
    )


def _position_bias(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["position_bias"]
    return Figure(
        "position-bias",
        "Position bias",
        "What standing first adds, in logits; the outermost steps hold what lies further out. A"
        " narrow hill at 0 is good. A hill elsewhere is a liking for one letter, which the mean of"
        " both orders takes out; a wide one is noise, which it does not.",
        steps(
            rows,
            alt.X("bias:Q", title="position bias, logits"),
            share_axis("share of pairs"),
            teachers=found.teachers,
        ),
        rows,
    )


def _consistency(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["consistency"]
    return Figure(
        "consistency",
        "Consistency by confidence",
        "How often both orders prefer the same image. It should rise to 1: a pair that the teacher"
        " is sure of and answers differently when turned round is decided by position.",
        line_with_points(
            rows,
            alt.X("confidence:Q", title="confidence of the pair", scale=alt.Scale(domain=[0, 1])),
            alt.Y(
                "consistent:Q",
                title="share of consistent pairs",
                axis=alt.Axis(format="%"),
                scale=alt.Scale(domain=[0, 1]),
            ),
            teachers=found.teachers,
        ),
        rows,
    )


def _implied(found: Findings) -> Figure:
    import altair as alt

    rows = found.tables["implied"]
    chart = line_with_points(
        rows,
        alt.X("implied:Q", title="P(first better) by the points", scale=alt.Scale(domain=[0, 1])),
        alt.Y(
            "preference:Q", title="mean P(first better) by the pair", scale=alt.Scale(domain=[0, 1])
        ),
        teachers=found.teachers,
    )
    return Figure(
        "pairs-against-points",
        "Pairs against points",
        "What the two scores imply about a pair, and what the teacher said when it saw both. Near"
        " the broken line the two ways of asking agree. Steeper: the teacher tells two images apart"
        " better when it sees both. Flat: pairs say something else than points.",
        with_identity(chart, 0, 1),
        rows,
    )


def _numbers(found: Findings) -> Grid:
    columns = {
        "pairs": "pairs",
        "mean_position_bias": "mean bias, logits",
        "consistency": "consistent",
        "first_letter_share": "first letter",
        "letter_mass": "letter mass",
        "triangles": "triangles",
        "cycle_rate": "cycles",
        "agrees_with_points": "as by the points",
    }
    return Grid(
        "Pairs in numbers",
        ["teacher", "prompt", *columns.values()],
        [
            [row["teacher"], row["prompt"], *(row[name] for name in columns)]
            for row in found.rows("pairs")
        ],
        "“First letter” is the share of questions that are answered with A: half is fair. A cycle"
        " is a triangle in which a beats b, b beats c and c beats a; of answers by coin a quarter"
        " are. “As by the points” is the share of pairs that the two scores order the same way."
        f" Dashes: not known, or, of triangles, more than {MOST_PAIRS_FOR_CYCLES:,} pairs.",
    )


_CYCLES = """
select teacher_id, prompt_id, triangle_count, cycle_rate from cycles
where teacher_id in (select teacher_id from chosen)
"""

QUESTIONS = {
    "preferences": f"""
        with binned as (
            select teacher, least(floor(preference_prob * {BINS}), {BINS - 1})::int as bin,
                count(*) as pairs
            from pair_answers group by all
        ),
        every as (select * from (select distinct teacher from binned), range({BINS}) as b(bin))
        select teacher, (bin + 0.5)::double / {BINS} as preference,
            coalesce(pairs, 0) as pairs,
            coalesce(pairs, 0) / sum(coalesce(pairs, 0)) over (partition by teacher) as share
        from every left join binned using (teacher, bin) order by teacher, bin
    """,
    "position_bias": f"""
        with ends as (
            select greatest(quantile_cont(abs(position_bias), 0.995), 1e-6)::double as far
            from pair_answers where isfinite(position_bias)
        ),
        binned as (
            select teacher, greatest(0, least({BINS - 1},
                    floor((position_bias / far + 1) / 2 * {BINS})))::int as bin,
                count(*) as pairs
            from pair_answers, ends where isfinite(position_bias) group by all
        ),
        every as (select * from (select distinct teacher from binned), range({BINS}) as b(bin))
        select teacher, ((bin + 0.5)::double / {BINS} * 2 - 1) * far as bias,
            coalesce(pairs, 0) as pairs,
            coalesce(pairs, 0) / sum(coalesce(pairs, 0)) over (partition by teacher) as share
        from every left join binned using (teacher, bin), ends order by teacher, bin
    """,
    "consistency": """
        select teacher, avg(confidence) as confidence, avg(consistent::int) as consistent,
            count(*) as pairs
        from pair_answers where consistent is not null and confidence is not null
        group by teacher, least(floor(confidence * 10), 9) order by teacher, confidence
    """,
    "implied": """
        select teacher, avg(implied_prob) as implied, avg(preference_prob) as preference,
            count(*) as pairs
        from implied
        group by teacher, least(floor(implied_prob * 10), 9) order by teacher, implied
    """,
    "pairs": f"""
        with points as (
            select teacher_id, prompt_id, avg(agrees::int) as agrees_with_points
            from implied group by all
        )
        select teacher, left(prompt_id, 8) as prompt, count(*) as pairs,
            avg(position_bias) as mean_position_bias, avg(consistent::int) as consistency,
            (count(*) filter (where logit_ab > 0) + count(*) filter (where logit_ba < 0))
                / nullif(count(logit_ab) + count(logit_ba), 0) as first_letter_share,
            avg(letter_mass) as letter_mass,
            if((select count(*) from pair_answers) <= {MOST_PAIRS_FOR_CYCLES},
                coalesce(any_value(triangle_count), 0), null) as triangles,
            any_value(cycle_rate) as cycle_rate,
            any_value(agrees_with_points) as agrees_with_points
        from pair_answers left join triangles using (teacher_id, prompt_id)
            left join points using (teacher_id, prompt_id)
        group by teacher, prompt_id order by teacher, pairs desc, prompt
    """,
}

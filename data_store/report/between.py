"""The part of the page that holds teachers against each other, within one store."""

from itertools import combinations

import numpy as np
import pyarrow as pa

from data_store.agreement.correlations import srcc
from data_store.index import Connection
from data_store.pages.blocks import Block, Figure, Gallery, Note, Section
from data_store.report.cards import image_cards
from data_store.report.findings import Findings, Rows, Tables
from data_store.report.plots import layered

CELLS = 25
"""Of a scatter plot, along each axis."""
MOST_SCATTERS = 3
DISPUTED = 12


def ask(connection: Connection) -> Tables:
    """Rank correlations of each two teachers, their scores in bins, and where they differ most."""
    correlations: Rows = []
    scatters: list[pa.Table] = []
    for first, second in combinations(_names(connection), 2):
        both = connection.sql(_BOTH, params={"first": first, "second": second}).to_arrow_table()
        scores = [both[name].to_numpy() for name in ("first", "second")]
        value = srcc(*scores) if both.num_rows > 1 else float("nan")
        named = {"first": first, "second": second}
        shared = {"srcc": value if np.isfinite(value) else None, "images": both.num_rows}
        correlations.append(named | shared)
        if both.num_rows and len(scatters) < MOST_SCATTERS:
            scatters.append(connection.sql(_SCATTER, params=named).to_arrow_table())
    return {
        "rank_correlations": pa.Table.from_pylist(correlations, schema=_CORRELATIONS),
        "scatters": pa.concat_tables(scatters) if scatters else _SCATTERS.empty_table(),
        "teachers_disagree": connection.sql(_DISAGREE).to_arrow_table(),
    }


def section(found: Findings) -> Section:
    """A heat map, scatter plots and a gallery; a note where no two teachers share images."""
    title = "Teachers against each other"
    shared = [row for row in found.rows("rank_correlations") if row["images"]]
    if not shared:
        text = "No two teachers of one store have scored the same images."
        return Section("between", title, [Note(text)])
    blocks: list[Block] = [_heat_map(found)]
    blocks += [
        _scatter(found, number, row["first"], row["second"])
        for number, row in enumerate(_drawn(found), start=1)
    ]
    cards = image_cards(found.rows("teachers_disagree"), several=True)
    if cards:
        blocks.append(
            Gallery(
                "Where teachers disagree most",
                "Images whose place among all images, from 0 % (worst) to 100 %, differs most"
                " between teachers. Look for what they have in common: a kind of content that one"
                " of them does not know, or art that it takes for damage.",
                cards,
            )
        )
    return Section("between", title, blocks)


def _drawn(found: Findings) -> Rows:
    pairs = {(row["first"], row["second"]): row for row in found.rows("scatters")}
    return [{"first": first, "second": second} for first, second in pairs]


def _heat_map(found: Findings) -> Figure:
    import altair as alt

    both = [
        {"teacher": a, "beside": b, "srcc": row["srcc"], "images": row["images"]}
        for row in found.rows("rank_correlations")
        for a, b in ((row["first"], row["second"]), (row["second"], row["first"]))
    ]
    known = dict.fromkeys(row["teacher"] for row in both)
    both += [{"teacher": one, "beside": one, "srcc": 1.0, "images": None} for one in known]
    rows = pa.Table.from_pylist(both)
    drawn = alt.Chart(rows).encode(
        x=alt.X("beside:N", sort=found.teachers, title="", axis=alt.Axis(labelAngle=-30)),
        y=alt.Y("teacher:N", sort=found.teachers, title=""),
    )
    scale = alt.Scale(domain=[-1, 1], scheme="blueorange", reverse=True)
    chart = layered(
        drawn.mark_rect().encode(
            color=alt.Color("srcc:Q", title="SRCC", scale=scale),
            tooltip=list(rows.column_names),
        ),
        drawn.mark_text().encode(
            text=alt.Text("srcc:Q", format=".2f"),
            color=alt.condition("abs(datum.srcc) > 0.6", alt.value("white"), alt.value("black")),
        ),
    )
    return Figure(
        "rank-correlations",
        "Rank correlation of scores",
        "Spearman's correlation over the images that both have scored. Near 1: two teachers that"
        " say the same, and asking both gains little. Near 0: at least one of them does not see"
        " quality in these images.",
        chart,
        rows,
    )


def _scatter(found: Findings, number: int, first: str, second: str) -> Figure:
    import altair as alt
    import pyarrow.compute as pc

    table = found.tables["scatters"]
    rows = table.filter(pc.and_(pc.equal(table["first"], first), pc.equal(table["second"], second)))
    unit = alt.Scale(domain=[0, 1])
    chart = (
        alt.Chart(rows)
        .mark_rect()
        .encode(
            x=alt.X("x_from:Q", title=f"score of {first}", scale=unit),
            x2="x_to:Q",
            y=alt.Y("y_from:Q", title=f"score of {second}", scale=unit),
            y2="y_to:Q",
            color=alt.Color("images:Q", title="images", scale=alt.Scale(scheme="viridis")),
            tooltip=["x_from", "x_to", "y_from", "y_to", "images"],
        )
    )
    return Figure(
        f"scatter-{number}",
        f"{first} beside {second}",
        "Each cell counts images by the scores of the two. A thin diagonal is agreement; a bend is"
        " another use of the scale and harmless; a cloud is another judgement.",
        chart,
        rows,
    )


def _names(connection: Connection) -> list[str]:
    rows = connection.sql(
        "select teacher from chosen where teacher in (select teacher from image_answers"
        " where score is not null)"
    ).fetchall()
    return [name for (name,) in rows]


_CORRELATIONS = pa.schema(
    [
        ("first", pa.string()),
        ("second", pa.string()),
        ("srcc", pa.float64()),
        ("images", pa.int64()),
    ]
)
_SCATTERS = pa.schema(
    [
        *((name, pa.string()) for name in ("first", "second")),
        *((name, pa.float64()) for name in ("x_from", "x_to", "y_from", "y_to")),
        ("images", pa.int64()),
    ]
)

_BOTH = """
select a.score as first, b.score as second
from image_answers as a join image_answers as b using (image_id)
where a.teacher = $first and b.teacher = $second
    and a.score is not null and b.score is not null
order by image_id
"""

_SCATTER = f"""
select $first as first, $second as second, x / {CELLS}.0 as x_from, (x + 1) / {CELLS}.0 as x_to,
    y / {CELLS}.0 as y_from, (y + 1) / {CELLS}.0 as y_to, images
from (
    select least(floor(first * {CELLS}), {CELLS - 1}) as x,
        least(floor(second * {CELLS}), {CELLS - 1}) as y, count(*) as images
    from ({_BOTH}) where first between 0 and 1 and second between 0 and 1 group by all
) order by x, y
"""

_DISAGREE = f"""
with placed as (
    select teacher, image_id, score,
        percent_rank() over (partition by teacher order by score) as place
    from image_answers where score is not null
),
apart as (
    select image_id, max(place) - min(place) as distance,
        list({{teacher: teacher, score: score, place: place}} order by teacher) as answers
    from placed group by image_id having count(*) > 1
    order by distance desc, image_id limit {DISPUTED}
)
select image_id, path, name, distance, answers
from apart left join images using (image_id) order by distance desc, image_id
"""

"""Kinds of charts that several parts of a page draw, and their colours."""

from collections.abc import Sequence

import altair as alt
import pyarrow as pa

BINS = 40
"""Of a histogram: fine enough to see two peaks, coarse enough for a few hundred images."""

LINES = ("source", "table_name", "session")
"""Columns that part the lines of one teacher."""

DASHES = [[1, 0], [6, 3], [2, 2], [8, 3, 2, 3], [12, 4], [4, 4], [1, 3], [10, 2, 2, 2]]


def colour(teachers: Sequence[str], *, symbol: str = "circle") -> alt.Color:
    """The colour of each teacher, the same in every figure of the page.

    Args:
        teachers: of the page, in the order of their colours.
        symbol: what stands for a teacher in the legend: circle, square, stroke.
    """
    return alt.Color(
        "teacher:N",
        title="teacher",
        scale=alt.Scale(domain=list(teachers)),
        legend=alt.Legend(symbolOpacity=1, symbolType=symbol),
    )


def dash(teachers: Sequence[str]) -> alt.StrokeDash:
    """The dash of each teacher, for whom colours look alike."""
    scale = alt.Scale(domain=list(teachers), range=DASHES[: len(teachers)])
    return alt.StrokeDash("teacher:N", title="teacher", scale=scale)


def shape(teachers: Sequence[str]) -> alt.Shape:
    """The shape of each teacher, likewise."""
    return alt.Shape("teacher:N", title="teacher", scale=alt.Scale(domain=list(teachers)))


def share_axis(title: str) -> alt.Y:
    """An axis of the column `share`, in per cent."""
    return alt.Y("share:Q", title=title, axis=alt.Axis(format="%"), stack=None)


def layered(*views: alt.Chart | alt.LayerChart) -> alt.LayerChart:
    """Views on top of one another."""
    return alt.LayerChart(layer=list(views))


def steps(
    rows: pa.Table, x: alt.X, y: alt.Y, *, teachers: Sequence[str], by: str = "teacher"
) -> alt.LayerChart:
    """A histogram per teacher as a line of steps; `by` is the column that tells lines apart."""
    drawn = alt.Chart(rows).encode(x=x, y=y, color=colour(teachers, symbol="stroke"))
    lines = (
        dash(teachers)
        if by == "teacher"
        else alt.StrokeDash(f"{by}:N", title=by, scale=alt.Scale(range=DASHES))
    )
    detail = alt.Detail([f"{by}:N"])
    return layered(
        drawn.mark_area(interpolate="step", opacity=0.12).encode(detail=detail),
        drawn.mark_line(interpolate="step").encode(
            strokeDash=lines, detail=detail, tooltip=list(rows.column_names)
        ),
    )


def grouped_bars(
    rows: pa.Table, column: str, order: Sequence[str], *, title: str, teachers: Sequence[str]
) -> alt.Chart:
    """The column `share` by the words of a column, the teachers' bars side by side."""
    chart: alt.Chart = (
        alt.Chart(rows)
        .mark_bar()
        .encode(
            x=alt.X(
                f"{column}:N",
                title=title,
                scale=alt.Scale(domain=list(order)),
                axis=alt.Axis(labelAngle=0, labelOverlap=False),
            ),
            xOffset=alt.XOffset("teacher:N", sort=list(teachers)),
            y=share_axis("share of answers"),
            color=colour(teachers, symbol="square"),
            tooltip=list(rows.column_names),
        )
    )
    return chart


def with_identity(chart: alt.Chart | alt.LayerChart, low: float, high: float) -> alt.LayerChart:
    """A chart with the line on which both axes say the same."""
    ends = pa.table({"x": [low, high], "y": [low, high]})
    line = (
        alt.Chart(ends)
        .mark_line(strokeDash=[4, 4], color="#888888", strokeWidth=1)
        .encode(x="x:Q", y="y:Q")
    )
    return layered(line, chart)


def line_with_points(
    rows: pa.Table, x: alt.X, y: alt.Y, *, teachers: Sequence[str]
) -> alt.LayerChart:
    """A line per teacher, and per value of the columns `LINES`, through points."""
    drawn = alt.Chart(rows).encode(
        x=x,
        y=y,
        color=colour(teachers),
        detail=[alt.Detail(f"{name}:N") for name in LINES if name in rows.column_names],
    )
    return layered(
        drawn.mark_line(),
        drawn.mark_point().encode(shape=shape(teachers), tooltip=list(rows.column_names)),
    )

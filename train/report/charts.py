"""The few kinds of chart that a report is made of."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from data_store.pages.look import HEIGHT_PX

FloatArray = NDArray[np.float64]

MOST_POINTS = 2000
"""Of a cloud: more only make it darker."""
ROW_PX = 24
"""Height of one line of dots with intervals."""
CLOUD_PX = 360


class Axes(NamedTuple):
    """Columns of a chart's data, and what they mean to a reader."""

    x: str
    x_title: str
    y: str
    y_title: str
    series: str
    """Column whose values are told apart by colour and by shape or dash."""
    order: Sequence[str]
    """The values of `series`, in the order of the palette."""
    tooltip: Sequence[str] = ()


def sampled(count: int, most: int = MOST_POINTS) -> NDArray[np.int64]:
    """(M,) ascending places of at most so many of `count`, drawn by chance, always the same."""
    if count <= most:
        return np.arange(count)
    drawn: NDArray[np.int64] = np.random.default_rng(0).choice(count, most, replace=False)
    return np.sort(drawn)


def cloud(rows: pa.Table, axes: Axes, *, mean_line: bool = False) -> alt.LayerChart:
    """Points on equal scales with the identity line, or about zero with their mean by tenths.

    Args:
        rows: a row per point.
        axes: which columns.
        mean_line: y is an error: draw zero, and the mean of the points in steps along x.
    """
    x_scale, y_scale = _scales(rows, axes, equal=not mean_line)
    x = alt.X(f"{axes.x}:Q", title=axes.x_title, scale=x_scale)
    base = alt.Chart(rows)
    points = base.mark_point(opacity=0.45, size=28).encode(
        x=x,
        y=alt.Y(f"{axes.y}:Q", title=axes.y_title, scale=y_scale),
        color=_color(axes),
        shape=_shape(axes),
        tooltip=_tooltip(rows, axes),
    )
    if not mean_line:
        low, high = x_scale.domain
        ends = pa.table({axes.x: [low, high], axes.y: [low, high]})
        line = alt.Chart(ends).mark_line(strokeDash=[5, 4], strokeWidth=1.2, color="#8a8f98")
        identity = line.encode(x=x, y=alt.Y(f"{axes.y}:Q", scale=y_scale))
        return _layers(identity, points).properties(height=CLOUD_PX)
    zero = alt.Chart(pa.table({axes.y: [0.0]})).mark_rule(strokeDash=[5, 4])
    means = base.mark_line(point=True, strokeWidth=2.5).encode(
        x=alt.X(f"{axes.x}:Q", bin=alt.Bin(maxbins=10), title=axes.x_title, scale=x_scale),
        y=alt.Y(f"mean({axes.y}):Q", title=axes.y_title, scale=y_scale),
        color=_color(axes),
        strokeDash=_dash(axes),
    )
    return _layers(zero.encode(y=alt.Y(f"{axes.y}:Q", scale=y_scale)), points, means)


def lines(rows: pa.Table, axes: Axes) -> alt.LayerChart:
    """A line with points per series, told apart by colour, dash and shape."""
    whole = pa.types.is_integer(rows.schema.field(axes.x).type)
    axis = alt.Axis(tickMinStep=1) if whole else alt.Axis()
    scale = alt.Scale(zero=False, nice=False)
    x = alt.X(f"{axes.x}:Q", title=axes.x_title, scale=scale, axis=axis)
    return _layers(*_lines(rows, axes, x))


def steps(rows: pa.Table, axes: Axes) -> alt.LayerChart:
    """A histogram's outline per series; y begins at 0."""
    x = alt.X(f"{axes.x}:Q", title=axes.x_title, scale=alt.Scale(nice=False))
    outline = _series(rows, axes, x, zero=True).mark_line(interpolate="step")
    return _layers(outline.encode(strokeDash=_dash(axes)))


def banded(rows: pa.Table, axes: Axes) -> alt.LayerChart:
    """`lines` over a share of labels, above bands from column `low` to column `high`."""
    x = alt.X(
        f"{axes.x}:Q",
        title=axes.x_title,
        scale=alt.Scale(type="symlog", constant=1.0),
        axis=alt.Axis(values=sorted(set(rows[axes.x].to_pylist()))),
    )
    band = _series(rows, axes, x, zero=False).mark_area(opacity=0.16)
    low = alt.Y("low:Q", title=axes.y_title, scale=alt.Scale(zero=False))
    return _layers(band.encode(y=low, y2="high:Q"), *_lines(rows, axes, x))


def _lines(rows: pa.Table, axes: Axes, x: alt.X) -> list[alt.Chart]:
    base = _series(rows, axes, x, zero=False)
    return [
        base.mark_line().encode(strokeDash=_dash(axes)),
        base.mark_point(size=36).encode(shape=_shape(axes)),
    ]


def _series(rows: pa.Table, axes: Axes, x: alt.X, *, zero: bool) -> alt.Chart:
    return alt.Chart(rows).encode(
        x=x,
        y=alt.Y(f"{axes.y}:Q", title=axes.y_title, scale=alt.Scale(zero=zero)),
        color=_color(axes),
        tooltip=_tooltip(rows, axes),
    )


def dots(rows: pa.Table, axes: Axes, *, zero: bool = False) -> alt.LayerChart:
    """A dot per row with a line from column `low` to column `high`; y are names.

    Args:
        rows: with columns `low` and `high`, which may be null.
        axes: which columns; x is the value.
        zero: draw a line at no difference.
    """
    names = list(dict.fromkeys(rows[axes.y].to_pylist()))
    series = [name for name in axes.order if name in set(rows[axes.series].to_pylist())]
    base = alt.Chart(rows).encode(
        y=alt.Y(f"{axes.y}:N", sort=names, title=axes.y_title, axis=alt.Axis(labelLimit=150)),
        yOffset=alt.YOffset(f"{axes.series}:N", sort=series),
        color=_color(axes),
        tooltip=_tooltip(rows, axes),
    )
    scale = alt.Scale(zero=zero)
    span = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("low:Q", title=axes.x_title, scale=scale), x2="high:Q"
    )
    dot = base.mark_point(size=60).encode(
        x=alt.X(f"{axes.x}:Q", title=axes.x_title, scale=scale),
        shape=_shape(axes),
    )
    layers: list[alt.Chart] = [span, dot]
    if zero:
        none = alt.Chart(pa.table({axes.x: [0.0]})).mark_rule(strokeDash=[5, 4])
        layers.insert(0, none.encode(x=alt.X(f"{axes.x}:Q", scale=scale)))
    height = max(HEIGHT_PX, 70 + ROW_PX * len(names) * max(1, (len(series) + 1) // 2))
    return _layers(*layers).properties(height=height)


def bars(rows: pa.Table, axes: Axes) -> alt.Chart:
    """Horizontal bars by name, those of the series below one another."""
    names = list(dict.fromkeys(rows[axes.y].to_pylist()))
    drawn: alt.Chart = (
        alt.Chart(rows)
        .mark_bar()
        .encode(
            x=alt.X(f"{axes.x}:Q", title=axes.x_title),
            y=alt.Y(f"{axes.y}:N", sort=names, title=axes.y_title, axis=alt.Axis(labelLimit=150)),
            yOffset=alt.YOffset(f"{axes.series}:N", sort=list(axes.order)),
            color=_color(axes),
            tooltip=_tooltip(rows, axes),
        )
        .properties(height=max(HEIGHT_PX, 70 + ROW_PX * len(names) * len(axes.order)))
    )
    return drawn


def _layers(*charts: alt.Chart) -> alt.LayerChart:
    """`alt.layer`, whose type allows for facets, which there are none of."""
    return alt.LayerChart(layer=list(charts))


def _color(axes: Axes) -> alt.Color:
    return alt.Color(f"{axes.series}:N", **_told(axes))


def _dash(axes: Axes) -> alt.StrokeDash:
    return alt.StrokeDash(f"{axes.series}:N", **_told(axes))


def _shape(axes: Axes) -> alt.Shape:
    return alt.Shape(f"{axes.series}:N", **_told(axes))


def _told(axes: Axes) -> dict[str, Any]:
    """The same for colour, dash and shape, so that they share a legend; of one series none."""
    # Bands and clouds are pale; the symbols of the legend must not be.
    legend = alt.Legend(symbolOpacity=1.0) if len(axes.order) > 1 else None
    return {"scale": alt.Scale(domain=list(axes.order)), "title": axes.series, "legend": legend}


def _scales(rows: pa.Table, axes: Axes, *, equal: bool) -> tuple[alt.Scale, alt.Scale]:
    """The whole scale of quality on both axes, and more where scores leave it."""
    values = [np.array(rows[name].to_pylist(), dtype=np.float64) for name in (axes.x, axes.y)]
    ends = [(min(0.0, float(v.min())), max(1.0, float(v.max()))) for v in values]
    if not equal:
        return alt.Scale(domain=list(ends[0]), nice=False), alt.Scale(zero=True)
    low, high = min(ends[0][0], ends[1][0]), max(ends[0][1], ends[1][1])
    both = [float(np.floor(low * 20) / 20), float(np.ceil(high * 20) / 20)]
    return alt.Scale(domain=both, nice=False), alt.Scale(domain=both, nice=False)


def _tooltip(rows: pa.Table, axes: Axes) -> list[alt.Tooltip]:
    """Whole numbers and names as they are, other numbers to four places."""
    shown = []
    for name in axes.tooltip:
        kind = rows.schema.field(name).type
        if pa.types.is_string(kind):
            shown.append(alt.Tooltip(name, type="nominal"))
        elif pa.types.is_floating(kind):
            shown.append(alt.Tooltip(name, type="quantitative", format=".4f"))
        else:
            shown.append(alt.Tooltip(name, type="quantitative"))
    return shown

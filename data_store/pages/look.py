"""How charts look: colours that the colour-blind can tell apart, for light and for dark pages."""

from typing import Any

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#8c564b", "#7f7f7f")
"""Colours of teachers, students and runs, in this order, told apart on white and on near-black.
Mostly those of Okabe and Ito (2008, "Color Universal Design"); its yellow is too pale on white."""

SERIES_ON_DARK = (
    *("#5cb3f0", "#f28c4e", "#3fcf9f", "#e6a5ca", "#e3bb52", "#9ad6ff", "#c9a093", "#b4b4b4"),
)
"""The same hues, lighter."""

WIDTH_PX = 520
HEIGHT_PX = 300

_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"


def chart_config(*, dark: bool) -> dict[str, Any]:
    """The `config` of a Vega-Lite chart."""
    ink, faint, grid = (
        ("#e6e8eb", "#aab2bd", "#333a44") if dark else ("#1c2430", "#566070", "#e3e6ea")
    )
    return {
        "background": None,
        "font": _FONT,
        "view": {"stroke": grid},
        "axis": {
            "labelColor": faint,
            "titleColor": ink,
            "gridColor": grid,
            "domainColor": faint,
            "tickColor": faint,
            "titleFontWeight": "normal",
            "labelFontSize": 11,
            "titleFontSize": 12,
            "labelOverlap": True,
        },
        "legend": {
            "labelColor": ink,
            "titleColor": faint,
            "orient": "bottom",
            "titleFontWeight": "normal",
            "labelLimit": 260,
            "columns": 2,
        },
        "title": {"color": ink, "anchor": "start"},
        "text": {"color": ink},
        "rule": {"color": faint},
        "range": {"category": list(SERIES_ON_DARK if dark else SERIES)},
        "line": {"strokeWidth": 2},
        "point": {"filled": True, "size": 45},
        "bar": {"continuousBandSize": 12},
    }

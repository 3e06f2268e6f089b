"""Label-efficiency curves as an SVG file, without a plotting library."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

Curve = Sequence[tuple[float, Sequence[float]]]
"""Share of labels, and the SRCC of each split."""

WIDTH, HEIGHT = 520, 340
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 40, 52
COLOURS = ("#0b6e99", "#54aedb", "#c1440e", "#7a7a7a", "#5b8c2a")
NO_LABELS = 0.004
"""Where no label at all stands on the logarithmic axis."""


def write_curves(path: Path, panels: Mapping[str, Mapping[str, Curve]]) -> None:
    """Draw one panel per teacher: medians as lines, least to greatest split as bands.

    Args:
        path: of the SVG file.
        panels: teacher to method to curve.
    """
    values = [
        v for panel in panels.values() for curve in panel.values() for _, vs in curve for v in vs
    ]
    low = max(0.0, np.floor(10 * min(values)) / 10)
    high = min(1.0, np.ceil(20 * max(values)) / 20)
    parts = [
        _panel(title, panel, number * WIDTH, (low, high))
        for number, (title, panel) in enumerate(panels.items())
    ]
    size = f'width="{WIDTH * len(panels)}" height="{HEIGHT}"'
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">'
    )
    background = '<rect width="100%" height="100%" fill="white"/>'
    path.parent.mkdir(exist_ok=True)
    path.write_text("\n".join([head, background, *parts, "</svg>"]) + "\n", encoding="utf-8")


def _panel(title: str, panel: Mapping[str, Curve], left: int, span: tuple[float, float]) -> str:
    parts = [f'<g transform="translate({left},0)">', _frame(title, span)]
    for number, (method, curve) in enumerate(panel.items()):
        colour = COLOURS[number % len(COLOURS)]
        parts.append(_curve(curve, colour, span))
        y = HEIGHT - BOTTOM - 14 - 16 * (len(panel) - 1 - number)
        x = WIDTH - RIGHT - 110
        parts.append(
            f'<line x1="{x}" x2="{x + 20}" y1="{y - 4}" y2="{y - 4}" stroke="{colour}"'
            f' stroke-width="2"/><text x="{x + 26}" y="{y}">{method}</text>'
        )
    return "\n".join([*parts, "</g>"])


def _frame(title: str, span: tuple[float, float]) -> str:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = [f'<text x="{LEFT}" y="22" font-size="14">Teacher: {title}</text>']
    for value in np.arange(round(20 * span[0]), round(20 * span[1]) + 1) / 20:
        y = _y(value, span)
        parts.append(
            f'<line x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}" stroke="#e4e4e4"/>'
            f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:.2f}</text>'
        )
    for share in (0.0, 0.01, 0.05, 0.1, 0.3, 1.0):
        x = _x(share)
        parts.append(
            f'<line x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 4}" stroke="black"/>'
            f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{100 * share:g} %</text>'
        )
    middle = (LEFT + right) / 2
    parts.append(
        f'<text x="{middle}" y="{HEIGHT - 12}" text-anchor="middle">'
        "share of the training labels; SRCC on held-out images</text>"
    )
    parts.append(f'<path d="M{LEFT},{TOP}V{bottom}H{right}" fill="none" stroke="black"/>')
    return "\n".join(parts)


def _curve(curve: Curve, colour: str, span: tuple[float, float]) -> str:
    if not curve:
        return ""
    xs = [_x(share) for share, _ in curve]

    def line(ys: Sequence[float], order: slice = slice(None)) -> str:
        pairs = list(zip(xs, ys, strict=True))[order]
        return " ".join(f"{x},{_y(float(y), span)}" for x, y in pairs)

    least, most = ([pick(values) for _, values in curve] for pick in (min, max))
    middle = [float(np.median(values)) for _, values in curve]
    band = f"{line(least)} {line(most, slice(None, None, -1))}"
    return (
        f'<polygon points="{band}" fill="{colour}" opacity="0.12"/>'
        f'<polyline points="{line(middle)}" fill="none" stroke="{colour}" stroke-width="2"/>'
    )


def _x(share: float) -> float:
    place = np.log(max(share, NO_LABELS) / NO_LABELS) / np.log(1 / NO_LABELS)
    return round(float(LEFT + place * (WIDTH - LEFT - RIGHT)), 1)


def _y(value: float, span: tuple[float, float]) -> float:
    place = (value - span[0]) / (span[1] - span[0])
    return round(float(HEIGHT - BOTTOM - place * (HEIGHT - TOP - BOTTOM)), 1)

"""Draws lines in panels beside each other as an SVG, for light and dark mode."""

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from xml.sax.saxutils import escape

from chart import MARGIN, ROLE, STYLE, WIDTH, text

__all__ = ["Chart", "Panel", "draw_lines"]

TOP, PLOT, FOOT = 128, 220, 58
"""Heights of what is above, of the plot, and of what is below, in pixels."""
AXIS, GAP = 46, 26
"""Widths of the labels of the y axis, and of the space between panels."""
COLORS = (
    ("#0969da", "#4493f8"),
    ("#cf222e", "#f85149"),
    ("#818b98", "#9198a1"),
    ("#9a6700", "#d29922"),
)
"""Of the lines, for light and dark mode."""


@dataclasses.dataclass(frozen=True, slots=True)
class Panel:
    """One diagram.

    Attributes:
        title: what its lines show, with the unit.
        x_axis: what is from left to right, with the unit.
        x_ticks: labels of the x axis, by position.
        y_ticks: positions that are labelled, from the lowest to the highest of the axis.
        lines: points of each line, by its name.
        is_logarithmic: whether the y axis is.
    """

    title: str
    x_axis: str
    x_ticks: Mapping[float, str]
    y_ticks: Sequence[float]
    lines: Mapping[str, Sequence[tuple[float, float]]]
    is_logarithmic: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """A picture.

    Attributes:
        title: what it is about.
        subtitle: what was simulated.
        description: what can be seen, for readers who can't.
        panels: diagrams that have lines of the same names.
    """

    title: str
    subtitle: str
    description: str
    panels: Sequence[Panel]


def draw_lines(chart: Chart) -> str:
    """Return the SVG of a chart."""
    height = TOP + PLOT + FOOT
    names = list(chart.panels[0].lines)
    width = (WIDTH - 2 * MARGIN - GAP * (len(chart.panels) - 1)) / len(chart.panels)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {ROLE}>',
        f'  <title id="title">{escape(chart.title)}</title>',
        f'  <desc id="desc">{escape(chart.description)}</desc>',
        f"  <style>\n{STYLE}\n{_line_styles()}\n  </style>",
        f'  <rect class="page" x="0.75" y="0.75" width="{WIDTH - 1.5}" height="{height - 1.5}" rx="14"/>',
        text(MARGIN, 38, chart.title, "title"),
        text(MARGIN, 60, chart.subtitle, "small"),
        *_legend(names),
    ]
    for number, panel in enumerate(chart.panels):
        lines += _panel(panel, MARGIN + number * (width + GAP), width)
    return "\n".join([*lines, "</svg>", ""])


def _line_styles() -> str:
    light = [f"    .line{n} {{ stroke: {color}; }}" for n, (color, _) in enumerate(COLORS)]
    dark = [f"      .line{n} {{ stroke: {color}; }}" for n, (_, color) in enumerate(COLORS)]
    shared = "    .line { fill: none; stroke-width: 2px; stroke-linejoin: round; }"
    mode = "    @media (prefers-color-scheme: dark) {"
    return "\n".join([shared, "    .end { text-anchor: end; }", *light, mode, *dark, "    }"])


def _legend(names: Sequence[str]) -> Iterator[str]:
    x = float(MARGIN)
    for number, name in enumerate(names):
        yield f'  <path class="line line{number}" d="M{x:.1f} 78h18"/>'
        yield text(x + 24, 82, name)
        x += 48 + 6.8 * len(name)


def _panel(panel: Panel, left: float, width: float) -> Iterator[str]:
    """Draw a diagram: its heading, its grid and its lines."""
    bottom = TOP + PLOT
    across = _scale(min(panel.x_ticks), max(panel.x_ticks), left + AXIS, left + width - 8)
    up = _scale(
        panel.y_ticks[0], panel.y_ticks[-1], bottom, TOP, is_logarithmic=panel.is_logarithmic
    )
    yield text(left, TOP - 16, panel.title, "head")
    for tick in panel.y_ticks:
        y = up(tick)
        yield f'  <path class="grid" d="M{left + AXIS:.1f} {y:.1f}H{left + width:.1f}"/>'
        yield text(left + AXIS - 8, y + 4, f"{tick:,g}", "small end")
    for position, label in panel.x_ticks.items():
        yield text(across(position), bottom + 18, label, "small mid")
    yield text(left + AXIS + (width - AXIS) / 2, bottom + 38, panel.x_axis, "small mid")
    for number, points in enumerate(panel.lines.values()):
        path = "L".join(f"{across(x):.1f} {up(y):.1f}" for x, y in points)
        yield f'  <path class="line line{number}" d="M{path}"/>'


def _scale(
    low: float, high: float, start: float, end: float, *, is_logarithmic: bool = False
) -> Callable[[float], float]:
    """Return what turns a value into a position."""
    measure = math.log if is_logarithmic else float
    bottom, top = measure(low), measure(high)
    return lambda value: start + (measure(value) - bottom) / (top - bottom) * (end - start)

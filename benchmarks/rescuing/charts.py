"""Draws what ``rescue.py`` has measured as an SVG, for light and dark mode."""

from collections.abc import Iterator
from typing import Any
from xml.sax.saxutils import escape

from chart import BAR, MARGIN, ROLE, ROW, STYLE, WIDTH

__all__ = ["draw"]

LABELS, GAP, TOP, FOOT = 190, 24, 118, 56
PANEL = (WIDTH - 2 * MARGIN - LABELS - 2 * GAP) / 2
LONGEST = 0.5
"""Part of a panel that its longest bar takes; the rest is for the labels."""

TITLE = "What clients make of a failing server"


def draw(report: dict[str, Any]) -> str:
    """Return the SVG of a report written by ``rescue.py``."""
    names = list(report["clients"])
    height = TOP + ROW * len(names) + FOOT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {ROLE}>',
        f'  <title id="title">{TITLE}</title>',
        f'  <desc id="desc">{escape(" ".join(_sentences(report)))}</desc>',
        f"  <style>\n{STYLE}\n  </style>",
        f'  <rect class="page" x="0.75" y="0.75" width="{WIDTH - 1.5}" height="{height - 1.5}" rx="14"/>',
        _text(MARGIN, 38, TITLE, "title"),
        _text(MARGIN, 60, "the same faults for each client", "small"),
    ]
    for number, name in enumerate(names):
        css_class = "mine" if report["clients"][name]["is_ours"] else ""
        lines.append(_text(MARGIN, TOP + ROW * number + 15, name, css_class))
    left = MARGIN + LABELS + GAP
    lines += _panel(report, "faults", "Single faults: requests answered", left)
    if "outage" in report:
        title = "Outage: load, as a share of the normal one"
        lines += _panel(report, "outage", title, left + PANEL + GAP)
    machine = report["machine"]
    where = f"{machine['cpu']}, {machine['cores']}; {machine['python']}; {machine['system']}."
    lines.append(_text(MARGIN, height - 20, where, "small"))
    return "\n".join([*lines, "</svg>", ""])


def _panel(report: dict[str, Any], part: str, title: str, left: float) -> Iterator[str]:
    rows = report[part]
    longest = max(100, *(_percent(part, row) for row in rows.values()))
    scale = PANEL * LONGEST / longest
    yield _text(left, 92, title, "head")
    bottom = TOP + ROW * len(rows)
    yield f'  <path class="one" d="M{left + 100 * scale:.1f} {TOP - 8}V{bottom}"/>'
    for number, (name, row) in enumerate(rows.items()):
        top = TOP + ROW * number
        css_class = "ours" if report["clients"][name]["is_ours"] else "peer"
        width = _percent(part, row) * scale
        yield (
            f'  <rect class="{css_class}" x="{left:.1f}" y="{top + (ROW - BAR) / 2:.1f}"'
            f' width="{width:.1f}" height="{BAR}"/>'
        )
        yield _text(left + max(width, 100 * scale) + 6, top + 15, _label(part, row), "small")


def _percent(part: str, row: dict[str, Any]) -> float:
    value: float = row.get("answered_percent" if part == "faults" else "load_percent", 0.0)
    return value


def _label(part: str, row: dict[str, Any]) -> str:
    """Return the figures of a row in words."""
    if "error" in row:
        return "not measured"
    if part == "faults":
        twice = row["posts_executed_twice"]
        posts = f", {twice} POST{'s' * (twice != 1)} twice" if twice else ""
        return f"{row['answered_percent']:.1f} %{posts}"
    after = row["normal_after"]
    back = "normal later" if after is None else f"normal after {after:.1f} s"
    return f"{row['load_percent']:.0f} %, {back}"


def _sentences(report: dict[str, Any]) -> Iterator[str]:
    """Yield the figures as text, for readers who can't see the bars."""
    for part, title in (("faults", "Requests answered"), ("outage", "Load in the outage")):
        if part in report:
            yield f"{title}."
        for name, row in report.get(part, {}).items():
            yield f"{name}: {_label(part, row)}."


def _text(x: float, y: float, content: str, css_class: str = "") -> str:
    attribute = f' class="{css_class}"' if css_class else ""
    return f'  <text{attribute} x="{x:.1f}" y="{y:.1f}">{escape(content)}</text>'

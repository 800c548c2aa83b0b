"""Draws the results of ``compare.py`` as an SVG, for light and dark mode.

    python benchmarks/chart.py build/compare.json docs/benchmark.svg

There is a panel for each concurrency and a row for each client. A bar shows the ratio of a client's
requests per second to those of stock httpx.
"""

import argparse
import json
import math
import pathlib
from collections.abc import Iterator, Sequence
from typing import Any
from xml.sax.saxutils import escape

__all__ = ["MARGIN", "ROLE", "STYLE", "WIDTH", "draw", "text"]

BASELINE = "httpx"
WIDTH, MARGIN = 960, 24
LABELS = 238
"""Width of the column with the names."""
GAP = 16
ROW, BAR = 22, 12
TOP = 138
"""Top of the first row, below the title and the headings."""
FOOT = 78
VALUE = 44
"""Space next to the longest bar for its label."""
TICKS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
GROUPS = (
    (True, "Clients that retry"),
    (False, "Clients that don't retry"),
)

ROLE = 'role="img" aria-labelledby="title desc"'
TIMES = "\N{MULTIPLICATION SIGN}"
STYLE = """\
    .page { fill: #ffffff; stroke: #d1d9e0; }
    .ours { fill: #0969da; }
    .peer { fill: #aeb7c0; }
    .grid { stroke: #e5e9ed; }
    .one { stroke: #818b98; }
    text { fill: #1f2328; font: 12.5px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
    .title { font-size: 17px; font-weight: 600; }
    .head { font-size: 13px; font-weight: 600; }
    .small { fill: #59636e; font-size: 11.5px; }
    .mine { fill: #0969da; font-weight: 600; }
    .value { font-size: 11.5px; stroke: #ffffff; stroke-width: 3px; paint-order: stroke; }
    .mid { text-anchor: middle; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #3d444d; }
      .ours { fill: #4493f8; }
      .peer { fill: #5a636e; }
      .grid { stroke: #262c34; }
      .one { stroke: #9198a1; }
      text { fill: #f0f6fc; }
      .small { fill: #9198a1; }
      .mine { fill: #4493f8; }
      .value { stroke: #0d1117; }
    }"""


class Scale:
    """Position of a ratio in a panel, on a logarithmic scale that all panels share.

    Args:
        ratios: all ratios that will be drawn.
        width: width of a panel, in pixels.
    """

    def __init__(self, ratios: Sequence[float], width: float) -> None:
        self._low = math.log(min(0.8, *ratios))
        self._high = math.log(max(3, *ratios))
        self._width = width - VALUE

    def __call__(self, ratio: float) -> float:
        """Return the distance from the left edge of the panel."""
        return (math.log(ratio) - self._low) / (self._high - self._low) * self._width

    def ticks(self) -> Iterator[float]:
        """Yield the round ratios within the scale."""
        for tick in TICKS:
            if self._low <= math.log(tick) <= self._high:
                yield tick


def draw(report: dict[str, Any]) -> str:
    """Return the SVG of a report written by ``compare.py``."""
    results: dict[str, dict[str, Any]] = report["results"]
    rows = list(_rows(report))
    height = TOP + ROW * len(rows) + FOOT
    width = (WIDTH - 2 * MARGIN - LABELS - GAP * len(results)) / len(results)
    scale = Scale([_ratio(row) or 1 for panel in results.values() for row in panel.values()], width)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {ROLE}>',
        '  <title id="title">Requests per second, relative to httpx</title>',
        f'  <desc id="desc">{escape(_description(report, rows))}</desc>',
        f"  <style>\n{STYLE}\n  </style>",
        f'  <rect class="page" x="0.75" y="0.75" width="{WIDTH - 1.5}" height="{height - 1.5}" rx="14"/>',
        *_heading(),
        *_names(report, rows),
    ]
    for number, concurrency in enumerate(results):
        left = MARGIN + LABELS + GAP + number * (width + GAP)
        lines += _panel(report, rows, concurrency, left, scale)
    lines += _foot(report, height)
    return "\n".join([*lines, "</svg>", ""])


def _rows(report: dict[str, Any]) -> Iterator[str | None]:
    """Yield the names from top to bottom, and None for the title of a group."""
    for retries, _ in GROUPS:
        group = [name for name, client in report["clients"].items() if client["retries"] is retries]
        if group:
            yield None
            yield from sorted(group, key=lambda name: -_overall(report, name))


def _overall(report: dict[str, Any], name: str) -> float:
    """Return the geometric mean of a client's ratios; 0 if it failed in any panel."""
    ratios = [_ratio(panel[name]) for panel in report["results"].values()]
    return math.prod(ratio or 0 for ratio in ratios)


def _ratio(row: dict[str, Any]) -> float | None:
    ratio: float | None = row.get("ratio_to_httpx")
    return ratio


def _times(ratio: float) -> str:
    """Format a ratio with about two significant digits, as further ones would be noise."""
    ratio = round(ratio, 2)
    digits = 2 if ratio < 1 else max(0, 1 - math.floor(math.log10(ratio)))
    return f"{ratio:.{digits}f}{TIMES}"


def text(x: float, y: float, content: str, css_class: str = "") -> str:
    """Return a ``text`` element."""
    attribute = f' class="{css_class}"' if css_class else ""
    return f'  <text{attribute} x="{x:.1f}" y="{y:.1f}">{escape(content)}</text>'


def _heading() -> Iterator[str]:
    yield text(MARGIN, 38, "Requests per second, relative to httpx", "title")
    yield text(
        MARGIN, 60, f"httpx itself is 1{TIMES}; longer is faster; the scale is logarithmic", "small"
    )
    yield f'  <rect class="ours" x="{WIDTH - 290}" y="27" width="{BAR}" height="{BAR}" rx="2"/>'
    yield text(WIDTH - 272, 38, "typed_async_client", "mine")
    yield f'  <rect class="peer" x="{WIDTH - 130}" y="27" width="{BAR}" height="{BAR}" rx="2"/>'
    yield text(WIDTH - 112, 38, "other clients")


def _names(report: dict[str, Any], rows: Sequence[str | None]) -> Iterator[str]:
    titles = iter(title for retries, title in GROUPS if retries in _group_keys(report))
    for number, name in enumerate(rows):
        y = TOP + ROW * number + 15
        if name is None:
            yield text(MARGIN, y + 1, next(titles), "head")
        else:
            yield text(MARGIN, y, name, "mine" if report["clients"][name]["is_ours"] else "")


def _group_keys(report: dict[str, Any]) -> set[bool]:
    return {client["retries"] for client in report["clients"].values()}


def _panel(
    report: dict[str, Any],
    rows: Sequence[str | None],
    concurrency: str,
    left: float,
    scale: Scale,
) -> Iterator[str]:
    """Draw the panel of one concurrency: its heading, its grid and its bars."""
    panel = report["results"][concurrency]
    yield text(left, 92, f"{concurrency} concurrent", "head")
    if "requests_per_second" in panel[BASELINE]:
        rate = panel[BASELINE]["requests_per_second"]
        yield text(left, 109, f"httpx: {rate:,.0f} requests/s", "small")
    bottom = TOP + ROW * len(rows)
    for tick in scale.ticks():
        x = left + scale(tick)
        css_class = "one" if tick == 1 else "grid"
        yield f'  <path class="{css_class}" d="M{x:.1f} {TOP - 8}V{bottom}"/>'
        yield text(x, bottom + 16, f"{tick:g}{TIMES}", "small mid")
    for number, name in enumerate(rows):
        if name is not None:
            css_class = "ours" if report["clients"][name]["is_ours"] else "peer"
            yield from _bar(panel[name], css_class, left, TOP + ROW * number, scale)


def _bar(
    row: dict[str, Any], css_class: str, left: float, top: float, scale: Scale
) -> Iterator[str]:
    ratio = _ratio(row)
    one = left + scale(1)
    if ratio is None:
        label = "failed" if "error" in row else f"{row['requests_per_second']:,.0f}/s"
        yield text(one + 6, top + 15, label, "small")
        return
    end = left + scale(ratio)
    start, stop = sorted((one, end))
    yield (
        f'  <rect class="{css_class}" x="{start:.1f}" y="{top + (ROW - BAR) / 2:.1f}"'
        f' width="{stop - start:.1f}" height="{BAR}"/>'
    )
    yield text(stop + 5, top + 15, _times(ratio), "value mine" if css_class == "ours" else "value")


def _foot(report: dict[str, Any], height: float) -> Iterator[str]:
    machine = report["machine"]
    rounds = report["schedule"]["rounds"]
    yield text(
        MARGIN,
        height - 36,
        f"{machine['cpu']}, {machine['cores']}; {machine['python']}; {machine['system']}; "
        f"{report['server']}, on the same machine.",
        "small",
    )
    yield text(
        MARGIN,
        height - 18,
        "GET of a small JSON body over HTTP/1.1, with one keep-alive connection per concurrent request; "
        f"median of {rounds} {'round' if rounds == 1 else 'rounds'}.",
        "small",
    )


def _description(report: dict[str, Any], rows: Sequence[str | None]) -> str:
    """Return the ratios as text, for readers who can't see the bars."""
    concurrencies = list(report["results"])
    lines = [f"Requests per second relative to httpx, at {', '.join(concurrencies)} concurrent."]
    for name in filter(None, rows):
        ratios = [_ratio(report["results"][panel][name]) for panel in concurrencies]
        lines.append(
            f"{name}: {', '.join(_times(ratio) if ratio else 'failed' for ratio in ratios)}."
        )
    return " ".join(lines)


def main() -> None:
    """Read the results, and write the chart."""
    parser = argparse.ArgumentParser(description="Draw the results of compare.py.")
    parser.add_argument("results", type=pathlib.Path, help="the file that compare.py has written")
    parser.add_argument("chart", type=pathlib.Path, help="the SVG to write")
    options = parser.parse_args()
    options.chart.write_text(draw(json.loads(options.results.read_text("utf-8"))), "utf-8")


if __name__ == "__main__":
    main()

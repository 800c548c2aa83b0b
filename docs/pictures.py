"""Draws the pictures of the pages about the policies as SVG, for light and dark mode.

    python docs/pictures.py

Each one shows a situation over time, from left to right, unless it says otherwise. English and
French pages share them, so they contain numbers, symbols and names from the code, and few words.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Final, Self
from xml.sax.saxutils import escape

__all__ = ["PICTURES", "Picture"]

FOLDER: Final = pathlib.Path(__file__).parent / "policies"
WIDTH: Final = 640
BAR: Final = 22
"""Height of the bar of an attempt."""

CHECK, CROSS = "\N{CHECK MARK}", "\N{MULTIPLICATION X}"
TIMES, ELLIPSIS = "\N{MULTIPLICATION SIGN}", "\N{HORIZONTAL ELLIPSIS}"

STYLE: Final = """\
    .page { fill: #ffffff; stroke: #d1d9e0; }
    .good { fill: #1a7f37; } .bad { fill: #cf222e; } .ours { fill: #0969da; } .idle { fill: #aeb7c0; }
    .ghost { fill: none; stroke: #818b98; stroke-dasharray: 4 3; }
    .axis { stroke: #aeb7c0; fill: none; } .limit { stroke: #cf222e; stroke-width: 2; fill: none; }
    .curve { stroke: #0969da; stroke-width: 2.5; fill: none; }
    .node { fill: #ffffff; stroke: #0969da; stroke-width: 2; }
    text { fill: #1f2328; font: 12.5px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
    .code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; } .mid { text-anchor: middle; }
    .end { text-anchor: end; }
    .on { fill: #ffffff; text-anchor: middle; } .small { fill: #59636e; font-size: 11.5px; }
    @media (prefers-color-scheme: dark) {
      .page { fill: #0d1117; stroke: #3d444d; } .node { fill: #0d1117; stroke: #4493f8; }
      .good { fill: #238636; } .bad { fill: #da3633; } .ours { fill: #1f6feb; } .idle { fill: #5a636e; }
      .limit { stroke: #f85149; } .curve { stroke: #4493f8; } text { fill: #f0f6fc; }
      .axis { stroke: #5a636e; } .small { fill: #9198a1; }
    }
"""


class Picture:
    """A picture that is being drawn.

    Args:
        title: what it is about.
        description: what it shows, for those who don't see it.
        height: its height in pixels.
    """

    def __init__(self, title: str, description: str, height: int) -> None:
        self._height = height
        size = f'width="{WIDTH - 1}" height="{height - 1}"'
        self._parts = [f'  <rect class="page" x=".5" y=".5" {size} rx="8"/>']
        self._head = (
            f'  <title id="title">{escape(title)}</title>\n'
            f'  <desc id="desc">{escape(description)}</desc>\n'
        )

    def box(  # noqa: PLR0917 - the same order as in SVG
        self,
        kind: str,
        x: float,
        y: float,
        width: float,
        text: str = "",
        height: float = BAR,
    ) -> Self:
        """Draw a bar with a text on it."""
        self._add(f'rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" rx="3"')
        middle = y + height / 2 + 4.5
        return self.text(x + width / 2, middle, text, "mid" if kind in {"ghost", "node"} else "on")

    def text(self, x: float, y: float, text: str, kind: str = "") -> Self:
        """Write something."""
        if text:
            self._parts.append(f'  <text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>')
        return self

    def line(self, kind: str, *points: tuple[float, float]) -> Self:
        """Draw a line through points."""
        path = " ".join(f"{x},{y}" for x, y in points)
        return self._add(f'polyline class="{kind}" points="{path}"')

    def arrow(self, x: float, y: float, to_x: float, to_y: float) -> Self:
        """Draw a straight arrow."""
        return self._add(
            f'line class="axis" x1="{x}" y1="{y}" x2="{to_x}" y2="{to_y}" marker-end="url(#head)"'
        )

    def dot(self, kind: str, x: float, y: float, radius: float = 6) -> Self:
        """Draw a request as a dot."""
        return self._add(f'circle class="{kind}" cx="{x}" cy="{y}" r="{radius}"')

    def axis(self, y: float, marks: Sequence[tuple[float, str]] = (), start: float = 24) -> Self:
        """Draw the axis of time with its marks."""
        self.arrow(start, y, WIDTH - 20, y)
        for x, mark in marks:
            self.line("axis", (x, y - 4), (x, y + 4)).text(x, y + 18, mark, "small mid")
        return self

    def as_svg(self) -> str:
        """Return the text of the file."""
        marker = (
            '  <defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
            'markerHeight="8" orient="auto"><path class="idle" d="M0,0 L8,4 L0,8 z"/></marker></defs>\n'
        )
        shapes = "\n".join(self._parts)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{self._height}" '
            f'viewBox="0 0 {WIDTH} {self._height}" role="img" aria-labelledby="title desc">\n'
            f"{self._head}  <style>\n{STYLE}  </style>\n{marker}{shapes}\n</svg>\n"
        )

    def _add(self, element: str) -> Self:
        self._parts.append(f"  <{element}/>")
        return self


def resilience() -> Picture:
    """The policies around an attempt, outermost first; not over time."""
    names = (
        "deadline retry,budget hedge pushback rate_limit circuit bulkhead adaptive attempt_timeout"
    )
    picture = Picture(
        "The order of the policies",
        "Each policy is drawn inside the one that applies before it; the send is innermost.",
        318,
    )
    for number, name in enumerate(names.split()):
        x, y = 16 + 22 * number, 14 + 24 * number
        picture.box("node", x, y, WIDTH - 2 * x, height=290 - 28 * number)
        picture.text(x + 10, y + 17, name.replace(",", ", "), "code")
    return picture.box("ours", 232, 238, WIDTH - 464, "send", 20)


def retries() -> Picture:
    """Three attempts and the growing waits between them."""
    picture = Picture(
        "Retries",
        "Two attempts fail, each is followed by a longer wait, and the third succeeds.",
        110,
    )
    for number, (x, kind, status) in enumerate(
        ((24, "bad", "503"), (196, "bad", "503"), (530, "good", "200")), start=1
    ):
        picture.text(x + 40, 26, str(number), "mid").box(kind, x, 36, 80, status)
    picture.line("ghost", (108, 47), (192, 47)).line("ghost", (280, 47), (526, 47))
    picture.text(150, 40, "base_delay", "small code mid")
    picture.text(403, 40, f"base_delay {TIMES} backoff_factor", "small code mid")
    return picture.axis(84)


def budget() -> Picture:
    """How many requests a server that is down receives; not over time."""
    picture = Picture(
        "Retry budget",
        "During an outage, two retries per request triple the load; a budget of 0.2 adds a fifth.",
        112,
    )
    rows = (("max_retries=2", 240, "3"), ("RetryBudget(ratio=0.2)", 24, "1.2"))
    for y, (label, extra, times) in zip((22, 66), rows, strict=True):
        picture.text(20, y + 15, label, "code").box("ours", 206, y, 120, "1")
        picture.box("bad", 328, y, extra).text(338 + extra, y + 16, f"{TIMES} {times}")
    return picture


def deadline() -> Picture:
    """Attempts that end at their timeout, and a request that ends at its deadline."""
    picture = Picture(
        "Deadline",
        "Two attempts end at their timeout, and the third at the deadline of the request.",
        136,
    )
    for x in (24, 234):
        picture.box("bad", x, 40, 190, "attempt_timeout=10")
    picture.box("idle", 464, 40, 129, ELLIPSIS).line("limit", (594, 16), (594, 98))
    picture.text(585, 28, "deadline=30", "code end")
    return picture.axis(98, [(24, "0 s"), (214, "10 s"), (594, "30 s")])


def pushback() -> Picture:
    """One request is told to wait, and all the others wait as well."""
    picture = Picture(
        "Pushback",
        "A request is answered with 429 and Retry-After; two others are held back until then, and "
        "released at different times.",
        162,
    )
    picture.box("bad", 40, 18, 60, "429").text(112, 34, "Retry-After: 10", "small code")
    for y, begins, released in ((52, 150, 452), (84, 240, 504)):
        picture.box("ghost", begins, y, released - begins - 4, ELLIPSIS)
        picture.box("good", released, y, 60, "200")
    picture.line("limit", (440, 18), (440, 124))
    return picture.axis(124, [(100, "0 s"), (440, "10 s"), (508, "12 s")])


def circuit() -> Picture:
    """The states of a circuit, and what leads from one to another; not over time."""
    picture = Picture(
        "Circuit breaker",
        "Closed becomes open at the failure rate, half-open after the reset timeout, and then "
        "closed or open again.",
        140,
    )
    for x, state in ((30, "CLOSED"), (260, "OPEN"), (490, "HALF_OPEN")):
        picture.box("node", x, 24, 120, state, 40)
    picture.arrow(150, 44, 258, 44).text(204, 36, "failure_rate", "small code mid")
    picture.arrow(380, 38, 488, 38).text(434, 30, "reset_timeout", "small code mid")
    picture.arrow(490, 52, 382, 52).text(434, 68, f"probes {CROSS}", "small code mid")
    picture.line("axis", (550, 64), (550, 104), (90, 104)).arrow(90, 104, 90, 66)
    return picture.text(320, 122, f"probes {CHECK}", "small code mid")


def bulkhead() -> Picture:
    """Attempts that run, that wait, and one that is refused; not over time."""
    picture = Picture(
        "Bulkhead", "Four attempts run, three wait for their turn, and one more is refused.", 142
    )
    for number in range(4):
        picture.box("good", 424, 16 + number * 26, 180)
    for number in range(3):
        picture.dot("ours", 300 + number * 34, 66, 10)
    picture.arrow(40, 66, 186, 66).dot("bad", 200, 66, 10).text(200, 71, CROSS, "on")
    picture.arrow(384, 66, 420, 66).text(334, 96, "max_waiting=3", "small code mid")
    return picture.text(514, 132, "max_concurrent=4", "small code mid")


def rate_limit() -> Picture:
    """Requests that arrive together, and begin one after the other."""
    picture = Picture(
        "Rate limit",
        "Six requests arrive together; two begin at once, and the others one per interval.",
        136,
    )
    for number in range(6):
        picture.dot("idle", 60, 18 + number * 12, 5)
    for x in (56, 70, 188, 308, 428, 548):
        picture.dot("ours", x, 102)
    for x in (188, 308, 428):
        picture.line("ghost", (x, 92), (x, 72), (x + 120, 72), (x + 120, 92))
    picture.text(248, 66, "per / rate", "small code mid").text(84, 94, "burst=2", "small code")
    return picture.axis(116)


def adaptive() -> Picture:
    """The limit grows step by step, and shrinks when the server has too much work."""
    picture = Picture(
        "Adaptive limit",
        "The limit grows by one per window, and shrinks at once when the server answers 429 or 503.",
        150,
    )
    overloads = {190: "429", 390: "503", 540: "429"}
    points: list[tuple[float, float]] = [(40, 96)]
    for x in range(90, 591, 50):
        y = points[-1][1]
        points += [(x, y), (x, y + 30 if x in overloads else y - 14)]
        picture.text(x, y - 8, overloads.get(x, ""), "small mid")
    picture.line("curve", *points, (610, points[-1][1])).line("axis", (40, 16), (40, 128))
    return picture.axis(128, start=40).text(48, 28, "limit", "small code")


def hedging() -> Picture:
    """A slow attempt, and a copy of it that is answered first."""
    picture = Picture(
        "Hedging",
        "An attempt is slow; after the delay a copy is sent and answered first, and the attempt is "
        "cancelled.",
        140,
    )
    picture.box("idle", 40, 26, 330, ELLIPSIS).text(378, 42, CROSS)
    picture.box("good", 240, 62, 130, "200").text(228, 78, "after", "small code end")
    picture.line("limit", (236, 16), (236, 102)).line("ghost", (370, 16), (370, 102))
    return picture.axis(102, [(40, "0"), (236, "p95")])


PICTURES: Final[dict[str, Callable[[], Picture]]] = {
    "adaptive-limit": adaptive,
    "budget": budget,
    "bulkhead": bulkhead,
    "circuit-breaker": circuit,
    "deadline": deadline,
    "hedging": hedging,
    "pushback": pushback,
    "rate-limit": rate_limit,
    "resilience": resilience,
    "retries": retries,
}
"""What is drawn, by the name of its file."""


if __name__ == "__main__":
    for name, draw in PICTURES.items():
        (FOLDER / f"{name}.svg").write_text(draw().as_svg(), "utf-8")

"""Reads the pages of the documentation: headings, code blocks, tables, links.

It knows the little Markdown that they use, and nothing of what the examples do.
"""

import dataclasses
import re
from pathlib import Path
from typing import Final, Self

__all__ = [
    "POLICIES",
    "ROOT",
    "TWINS",
    "WITH_EXAMPLES",
    "WITH_TABLES",
    "Block",
    "Page",
    "anchor_of",
    "code_names",
    "read_page",
]

ROOT: Final = Path(__file__).parents[2]

POLICIES: Final = (
    "adaptive-limit",
    "budget",
    "bulkhead",
    "circuit-breaker",
    "deadline",
    "hedging",
    "pushback",
    "rate-limit",
    "retries",
)
"""The pages about one policy each, which the page ``docs/resilience.md`` links to."""

TWINS: Final = {
    "README.md": "README.fr.md",
    "docs/README.md": "docs/fr/README.md",
    "docs/coming-from.md": "docs/fr/coming-from.md",
    "docs/design.md": "docs/fr/design.md",
    "docs/fleet.md": "docs/fr/fleet.md",
    "docs/limits.md": "docs/fr/limits.md",
    "docs/middleware.md": "docs/fr/middleware.md",
    "docs/migrating.md": "docs/fr/migrating.md",
    "docs/performance.md": "docs/fr/performance.md",
    **{f"docs/policies/{name}.md": f"docs/fr/policies/{name}.md" for name in POLICIES},
    "docs/rescue.md": "docs/fr/rescue.md",
    "docs/resilience.md": "docs/fr/resilience.md",
    "docs/simulations.md": "docs/fr/simulations.md",
    "docs/streaming.md": "docs/fr/streaming.md",
    "docs/testing.md": "docs/fr/testing.md",
    "docs/transports.md": "docs/fr/transports.md",
    "docs/typed-bodies.md": "docs/fr/typed-bodies.md",
    "docs/usage.md": "docs/fr/usage.md",
}
"""The English pages, each with its French twin."""

WITH_EXAMPLES: Final = frozenset(
    {
        "README.md",
        "docs/limits.md",
        "docs/fleet.md",
        "docs/middleware.md",
        "docs/migrating.md",
        "docs/resilience.md",
        "docs/streaming.md",
        "docs/testing.md",
        "docs/transports.md",
        "docs/typed-bodies.md",
        "docs/usage.md",
        *(f"docs/policies/{name}.md" for name in POLICIES),
    }
)
"""The English pages that have examples in Python."""

WITH_TABLES: Final = frozenset(set(TWINS) - {"docs/middleware.md", "docs/testing.md"})
"""The English pages that have tables."""

_LINK: Final = re.compile(r"\]\(([^)\s]+)\)|<(https?://[^>\s]+)>")
_CODE_NAME: Final = re.compile(r"`([^`]+)`")


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block.

    Attributes:
        language: what follows the fence, such as ``"python"``.
        code: the text between the fences.
        section: the heading above it.
        line: where its code starts, 1 for the first line of the page.
    """

    language: str
    code: str
    section: str
    line: int


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """A page of the documentation.

    Attributes:
        headings: level and text of each.
        blocks: the code blocks.
        tables: the cells of each table, row by row, without its ruler.
        links: the targets of its links and pictures.
        sections: the prose of each section, tables included, on a single line each.
    """

    headings: tuple[tuple[int, str], ...]
    blocks: tuple[Block, ...]
    tables: tuple[tuple[tuple[str, ...], ...], ...]
    links: tuple[str, ...]
    sections: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a page of Markdown."""
        blocks, prose = _split(text)
        return cls(
            headings=tuple(_heading(line) for line in prose if line.startswith("#")),
            blocks=tuple(blocks),
            tables=tuple(_tables(prose)),
            links=tuple(a or b for line in prose for a, b in _LINK.findall(line)),
            sections=tuple(_sections(prose)),
        )

    @property
    def anchors(self) -> set[str]:
        """The fragments by which links reach its headings."""
        return {anchor_of(title) for _, title in self.headings}


def read_page(name: str) -> Page:
    """Read a page, given its path from the root of the project."""
    return Page.parse((ROOT / name).read_text("utf-8"))


def anchor_of(heading: str) -> str:
    """Return the fragment by which a link reaches a heading."""
    letters = re.sub(r"[^\w\- ]", "", heading.lower())
    return letters.replace(" ", "-")


def code_names(text: str) -> list[str]:
    """Return what stands between backticks."""
    return _CODE_NAME.findall(text)


def _split(text: str) -> tuple[list[Block], list[str]]:
    """Separate the fenced blocks from the lines between them."""
    blocks: list[Block] = []
    prose: list[str] = []
    lines = iter(enumerate(text.splitlines(), start=1))
    section = ""
    for number, line in lines:
        if line.startswith("```"):
            code = []
            for _, inner in lines:
                if inner == "```":
                    break
                code.append(inner + "\n")
            blocks.append(Block(line[3:], "".join(code), section, number + 1))
        else:
            section = _heading(line)[1] if line.startswith("#") else section
            prose.append(line)
    return blocks, prose


def _heading(line: str) -> tuple[int, str]:
    marks, _, title = line.partition(" ")
    return len(marks), title


def _sections(prose: list[str]) -> list[str]:
    sections: list[str] = []
    for line in prose:
        if line.startswith("#"):
            sections.append(line)
        elif sections:
            sections[-1] += " " + line.strip()
    return sections


def _tables(prose: list[str]) -> list[tuple[tuple[str, ...], ...]]:
    tables: list[tuple[tuple[str, ...], ...]] = []
    rows: list[tuple[str, ...]] = []
    for line in [*prose, ""]:
        if line.startswith("|"):
            rows.append(tuple(cell.strip() for cell in line[1:-1].split("|")))
        elif rows:
            tables.append((rows[0], *rows[2:]))
            rows = []
    return tables

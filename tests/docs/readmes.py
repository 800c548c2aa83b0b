"""Reads the READMEs as their readers see them: headings, code blocks, tables, links.

It knows the little Markdown that they use, and nothing of what the examples do.
"""

import dataclasses
import re
from pathlib import Path
from typing import Final, Self

__all__ = ["LANGUAGES", "ROOT", "Block", "Page", "anchor_of", "read_page"]

ROOT: Final = Path(__file__).parents[2]

LANGUAGES: Final = {"en": "README.md", "fr": "README.fr.md"}
"""The two READMEs, by language."""

_LINK: Final = re.compile(r"\]\(([^)\s]+)\)|<(https?://[^>\s]+)>")


@dataclasses.dataclass(frozen=True, slots=True)
class Block:
    """A fenced code block.

    Attributes:
        language: what follows the fence, ``"python"`` for one.
        code: the text between the fences.
        section: the heading above it.
        line: where its code begins, 1 for the first line of the page.
    """

    language: str
    code: str
    section: str
    line: int


@dataclasses.dataclass(frozen=True, slots=True)
class Page:
    """A README.

    Attributes:
        headings: level and text of each.
        blocks: the code blocks.
        tables: the cells of each table, row by row, its ruler left out.
        links: what its links and pictures point to.
    """

    headings: tuple[tuple[int, str], ...]
    blocks: tuple[Block, ...]
    tables: tuple[tuple[tuple[str, ...], ...], ...]
    links: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a page of Markdown."""
        blocks, prose = _split(text)
        return cls(
            headings=tuple(_heading(line) for line in prose if line.startswith("#")),
            blocks=tuple(blocks),
            tables=tuple(_tables(prose)),
            links=tuple(a or b for line in prose for a, b in _LINK.findall(line)),
        )


def read_page(name: str) -> Page:
    """Read a page at the root of the project."""
    return Page.parse((ROOT / name).read_text("utf-8"))


def anchor_of(heading: str) -> str:
    """Give the fragment by which a link reaches a heading."""
    letters = re.sub(r"[^\w\- ]", "", heading.lower())
    return letters.replace(" ", "-")


def _split(text: str) -> tuple[list[Block], list[str]]:
    """Part the fenced blocks from the lines between them."""
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


def _tables(prose: list[str]) -> list[tuple[tuple[str, ...], ...]]:
    tables: list[tuple[tuple[str, ...], ...]] = []
    rows: list[tuple[str, ...]] = []
    for line in [*prose, ""]:
        if line.startswith("|"):
            rows.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
        elif rows:
            tables.append((rows[0], *rows[2:]))
            rows = []
    return tables

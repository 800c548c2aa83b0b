"""Reads the tables of ``docs/coming-from.md``."""

import ast
import dataclasses
import re
from collections.abc import Iterator
from typing import Final

from docs_pages import ROOT, Page, code_names

__all__ = ["Row", "read_rows"]

_PAGE: Final = ROOT / "docs/coming-from.md"

_SECTION: Final = re.compile(r"^## From (.+)$", re.MULTILINE)

_NAME: Final = re.compile(r"([\w.]+)(?:\((?:(\w+)=.*)?\))?")
"""A name, a call of it, or a call with one option."""

_DEFAULT: Final = re.compile(r"Default: `([^`]+)`")


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """What takes the place of something in another library.

    Attributes:
        peer: the library.
        names: the names that it maps, as ``names_of()`` yields them.
        is_without_counterpart: whether it says that there is none.
        codes: what to write instead.
        default: the default that it states of the last option in the code; None if it states none.
    """

    peer: str
    names: tuple[str, ...]
    is_without_counterpart: bool
    codes: tuple[str, ...]
    default: str | None

    @classmethod
    def parse(cls, peer: str, cells: tuple[str, ...]) -> "Row":
        """Read a row.

        Raises:
            ValueError: its second cell has prose that isn't known.
        """
        theirs, ours, note = cells
        codes = code_names(ours)
        prose = re.sub("`[^`]+`", "", ours).strip(", ")
        if prose not in {"", "nothing:"}:
            raise ValueError(f"only code can be executed, not {prose!r}: {theirs}")
        default = _DEFAULT.search(note)
        return cls(
            peer=peer,
            names=tuple(_key(name) for name in code_names(theirs)),
            is_without_counterpart=bool(prose),
            codes=tuple(codes),
            default=default and default[1],
        )

    @property
    def option(self) -> tuple[str, str]:
        """The code of the function that takes the last option of the code, and the option's name."""
        calls = [node for node in ast.walk(ast.parse(self.codes[-1])) if isinstance(node, ast.Call)]
        named = [(option, call) for call in calls for option in call.keywords]
        option, call = max(named, key=lambda each: (each[0].lineno, each[0].col_offset))
        return ast.unparse(call.func), str(option.arg)


def read_rows() -> Iterator[Row]:
    """Yield the rows of all tables, in order."""
    _, *parts = _SECTION.split(_PAGE.read_text("utf-8"))
    for peer, text in zip(parts[::2], parts[1::2], strict=True):
        for _, *rows in Page.parse(text).tables:
            for cells in rows:
                yield Row.parse(peer, cells)


def _key(name: str) -> str:
    """Return a name as ``names_of()`` yields it: without ``()``, and without the value of its option."""
    found = _NAME.fullmatch(name)
    if found is None or found[2] is None:
        return name if found is None else found[1]
    return f"{found[1]}({found[2]})"

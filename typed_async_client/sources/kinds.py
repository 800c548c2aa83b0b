"""What a request body is read from, in words, and what its parts may be."""

import io
from collections.abc import Iterable
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Final

__all__ = [
    "ADVICE",
    "as_part",
    "iterates_once",
    "join_parts",
    "kind_of",
    "refused_again",
    "refused_difference",
    "refused_kind",
]

ADVICE: Final = "pass bytes, an open file, or an object that iterates from the start each time"
"""What the caller can do so that a body can be sent again."""


def kind_of(source: Any) -> str:
    """Return what a body is read from, in words for a message, as in "an async generator"."""
    if isinstance(source, AsyncGeneratorType):
        return "an async generator"
    if isinstance(source, GeneratorType):
        return "a generator"
    if hasattr(source, "__aiter__"):
        if hasattr(source, "aread") or hasattr(source, "read"):
            return "an async file"
        return "an async iterator" if iterates_once(source) else "an async iterable"
    if hasattr(source, "read"):
        return "a file that can't be rewound"
    return "an iterator" if iterates_once(source) else "an iterable"


def iterates_once(source: Any) -> bool:
    """Whether an object returns the same iterator each time, as an iterator does."""
    iterate: Any = aiter if hasattr(source, "__aiter__") else iter
    return iterate(source) is iterate(source)


def refused_again(kind: str) -> str:
    """Return why a body that was read in part or as a whole isn't sent again."""
    return (
        f"the body comes from {kind}, which can be read only once, and an earlier attempt has "
        "begun to read it"
    )


def refused_difference(kind: str, difference: str) -> str:
    """Return why a body isn't sent that isn't the same as before."""
    return (
        f"can't send the body again: it comes from {kind} that seems to start over, but can be read "
        f"only once, as it has {difference} this time; {ADVICE}"
    )


def as_part(part: Any) -> bytes:
    """Return a part of a body as bytes.

    Raises:
        TypeError: it isn't bytes.
    """
    if type(part) is bytes:
        return part
    if isinstance(part, bytes | bytearray | memoryview):
        return bytes(part)
    hint = ": open files in binary mode, and encode text" if isinstance(part, str) else ""
    raise TypeError(f"each part of content must be bytes, got {type(part).__name__}{hint}")


def join_parts(parts: Iterable[Any]) -> bytes:
    """Return the parts of a body that are in memory as one.

    Raises:
        TypeError: one of them isn't bytes.
    """
    return b"".join(map(as_part, parts))


def refused_kind(content: Any) -> str:
    """Return why an object can't be a body, with its type."""
    name = type(content).__name__
    if isinstance(content, io.TextIOBase) or (
        hasattr(content, "read") and hasattr(content, "encoding")
    ):
        return f"content is a file opened in text mode ({name}): open it in binary mode, as in 'rb'"
    return (
        "content must be str, bytes, an open binary file, or an iterable or async iterable of "
        f"bytes, got {name}"
    )

"""What a request body is read from, in words, and what its parts may be."""

import io
from collections.abc import Iterable
from types import AsyncGeneratorType, GeneratorType
from typing import Any, Final

from typed_async_client.private import source_of

__all__ = [
    "ADVICE",
    "as_part",
    "is_single_use",
    "join_parts",
    "kind_of",
    "reads_once",
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
        return "an async iterator" if _iterates_once(source) else "an async iterable"
    if hasattr(source, "read"):
        return "a file that can't be rewound"
    return "an iterator" if _iterates_once(source) else "an iterable"


def is_single_use(body: Any) -> bool:
    """Whether a request body of httpx or httpx2 is read from what can't be read again from the start.

    That is an iterator or an open file, in the stream that is made of it, or a form with a file that
    can't be rewound.
    """
    if type(body).__name__ == "MultipartStream":
        return not all(_starts_over(getattr(field, "file", b"")) for field in body.fields)
    source = source_of(body)
    return _iterates_once(body) if source is None else reads_once(source)


def _starts_over(file: Any) -> bool:
    """Whether a file of a form is read from its start each time; httpx rewinds it if it can."""
    if isinstance(file, str | bytes):
        return True
    seekable = getattr(file, "seekable", None)
    return hasattr(file, "seek") and (seekable is None or bool(seekable()))


def reads_once(source: Any) -> bool:
    """Whether what a body is read from can be read once; what can't be told is assumed to start over."""
    names = ("__anext__", "__next__", "aread", "read")
    return any(hasattr(source, name) for name in names) or _iterates_once(source)


def _iterates_once(source: Any) -> bool:
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

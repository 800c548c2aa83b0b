"""What a response means for a download, given what is on the disk.

Pure: the head of a response in, a decision out. The rules are those of RFC 9110: sections 14.4
(``Content-Range``), 15.3.7 (206) and 15.5.17 (416). A server that sends other bytes than it was asked
for is never trusted to mean the right ones.
"""

import dataclasses
import re
from collections.abc import Iterator
from typing import Final, TypeAlias

from typed_async_client.downloads.validators import Validator, strong_validator

__all__ = [
    "Append",
    "ContentRange",
    "Decision",
    "Distrust",
    "Done",
    "Fail",
    "Head",
    "Held",
    "Replace",
    "decide",
    "parse_content_range",
]

_OK: Final = 200
_PARTIAL: Final = 206
_NOT_SATISFIABLE: Final = 416
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_DIGITS: Final = r"\d{1,18}"
"""A number of bytes; a longer one is no size of a file, and takes long to convert."""

_RANGE: Final = re.compile(
    rf"bytes ({_DIGITS})-({_DIGITS})/({_DIGITS}|\*)", re.ASCII | re.IGNORECASE
)
_UNSATISFIED: Final = re.compile(rf"bytes \*/({_DIGITS})", re.ASCII | re.IGNORECASE)
_NUMBER: Final = re.compile(_DIGITS, re.ASCII)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The parts of a response's head that a download needs; a missing header is None.

    Attributes:
        status: the status.
        etag: ``ETag``.
        last_modified: ``Last-Modified``.
        date: ``Date``.
        content_range: ``Content-Range``.
        content_length: ``Content-Length``.
        content_encoding: ``Content-Encoding``.
        content_type: ``Content-Type``.
    """

    status: int
    etag: str | None = None
    last_modified: str | None = None
    date: str | None = None
    content_range: str | None = None
    content_length: str | None = None
    content_encoding: str | None = None
    content_type: str | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Held:
    """What is on the disk, and what the request has asked for the rest of.

    Attributes:
        size: bytes; 0 if the request has asked for the whole file.
        validator: what the server has sent with them.
        total: bytes of the whole file; None if unknown.
    """

    size: int = 0
    validator: Validator | None = None
    total: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Append:
    """The body continues the file.

    Attributes:
        end: bytes of the file after it.
        total: bytes of the whole file, which may be more; None if unknown.
    """

    end: int
    total: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Replace:
    """The body is the whole file, and replaces what is on the disk.

    Attributes:
        total: its bytes; None if unknown.
        validator: what a request for the rest can refer to; None if there can be none.
    """

    total: int | None
    validator: Validator | None


@dataclasses.dataclass(frozen=True, slots=True)
class Done:
    """The file on the disk is whole."""


@dataclasses.dataclass(frozen=True, slots=True)
class Distrust:
    """The response doesn't fit what was asked for: the whole file must be asked for."""

    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class Fail:
    """No other request would change that the response is of no use."""

    reason: str


Decision: TypeAlias = Append | Replace | Done | Distrust | Fail


@dataclasses.dataclass(frozen=True, slots=True)
class ContentRange:
    """Where the body of a partial response belongs.

    Attributes:
        start: the position of its first byte.
        end: the position after its last byte.
        total: bytes of the whole file; None if the server doesn't know.
    """

    start: int
    end: int
    total: int | None


def parse_content_range(value: str | None) -> ContentRange | None:
    """Parse a ``Content-Range``; None if it is missing, malformed, or contradicts itself.

    Example:
        >>> parse_content_range("bytes 5-9/10")
        ContentRange(start=5, end=10, total=10)
    """
    matched = _RANGE.fullmatch(value or "")
    if matched is None:
        return None
    start, last = int(matched[1]), int(matched[2])
    total = None if matched[3] == "*" else int(matched[3])
    if last < start or (total is not None and last >= total):
        return None
    return ContentRange(start, last + 1, total)


def decide(head: Head, held: Held, *, takes_coded: bool = False) -> Decision:
    """Decide what a response means.

    Args:
        head: its head. Statuses from 400 on are errors, and don't come here; only 416 does.
        held: what is on the disk.
        takes_coded: whether a file that is compressed may be stored as it is sent.
    """
    if head.status == _NOT_SATISFIABLE:
        return _unsatisfied(head, held)
    if head.status not in {_OK, _PARTIAL}:
        return Fail(_unusable(head.status))
    coding = (head.content_encoding or "").strip().lower()
    if coding not in {"", "identity"} and not takes_coded:
        return Fail(
            f"the server has compressed the file (Content-Encoding: {coding!r:.50}), unasked; to "
            "store it as it is sent, pass headers={'Accept-Encoding': ...}"
        )
    if head.status == _OK:
        validator = strong_validator(head.etag, head.last_modified, head.date)
        return Replace(_number(head.content_length), validator)
    return _partial(head, held)


def _partial(head: Head, held: Held) -> Decision:
    """Decide what a 206 means."""
    if not held.size or held.validator is None:
        return Fail("status 206 (Partial Content), although the whole file was asked for")
    found = parse_content_range(head.content_range)
    if found is None:
        got = head.content_range if head.content_range is not None else head.content_type
        return Distrust(f"a part of the file without a valid Content-Range, but {got!r:.100}")
    reason = next(_doubts(head, held, found), None)
    if reason is not None:
        return Distrust(reason)
    return Append(found.end, held.total if found.total is None else found.total)


def _doubts(head: Head, held: Held, found: ContentRange) -> Iterator[str]:
    """Yield each reason why a 206 isn't the rest of what is on the disk."""
    if found.start != held.size:
        yield f"bytes from {found.start} on, instead of {held.size}"
    if None not in {found.total, held.total} and found.total != held.total:
        yield f"a file of {found.total} bytes, which had {held.total}"
    if found.total is None and held.total is not None and found.end > held.total:
        yield f"bytes up to {found.end} of a file that has {held.total}"
    length = _number(head.content_length)
    if length is not None and length != found.end - found.start:
        yield f"{length} bytes, which aren't those of {head.content_range!r:.100}"
    if held.validator is not None and not held.validator.agrees_with(head.etag, head.last_modified):
        yield f"a part of another version of the file: {_version(head, held.validator)}"


def _unsatisfied(head: Head, held: Held) -> Decision:
    """Decide what a 416 means: there may be nothing left to send."""
    if not held.size or held.validator is None:
        return Fail("status 416 (Range Not Satisfiable), although the whole file was asked for")
    matched = _UNSATISFIED.fullmatch(head.content_range or "")
    if matched is None or held.total not in {None, int(matched[1])}:
        return Distrust(f"no rest, with Content-Range: {head.content_range!r:.100}")
    if int(matched[1]) != held.size:
        return Distrust(f"a file of {matched[1]} bytes, of which there are {held.size}")
    etag = held.validator.value if head.etag is None else head.etag  # it needn't be repeated
    if not held.validator.agrees_with(etag, head.last_modified):
        return Distrust(f"another version of the file: {_version(head, held.validator)}")
    return Done()


def _unusable(status: int) -> str:
    advice = ": pass follow_redirects=True" if status in _REDIRECTS else ""
    return f"status {status} comes with no file{advice}"


def _version(head: Head, validator: Validator) -> str:
    if validator.kind == "etag":
        return f"ETag {head.etag!r:.100} instead of {validator.value!r:.100}"
    return f"Last-Modified {head.last_modified!r:.100} instead of {validator.value!r:.100}"


def _number(value: str | None) -> int | None:
    """Return a number of bytes; None if it is missing or malformed."""
    return int(value) if value is not None and _NUMBER.fullmatch(value) else None

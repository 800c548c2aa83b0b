"""What the parser of responses checks in a head that llhttp has accepted, and its limits."""

import re

import httpcore

__all__ = [
    "MAX_HEAD",
    "MisreadError",
    "check_size",
    "find_head_error",
    "split_heads",
]

MAX_HEAD = 100 * 1024
"""Most bytes in a head, with those of interim responses before it, or in trailers."""

_START, _HEAD_END = b"HTTP/", b"\r\n\r\n"
_VERSION = re.compile(rb"1\.[0-9]")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_CONTINUE, _SWITCHING = 100, 101


class MisreadError(Exception):
    """Stops llhttp at an interim response whose headers make it expect a body."""


def check_size(size: int) -> None:
    """Refuse heads of more bytes than are allowed.

    Raises:
        httpcore.RemoteProtocolError: they are larger.
    """
    if size > MAX_HEAD:
        raise httpcore.RemoteProtocolError(f"the head is larger than {MAX_HEAD} bytes")


def split_heads(parts: list[bytes], size: int, count: int, *, wants_rest: bool) -> bytes:
    """Refuse heads that are too large, and RTSP, ICE and blank lines, which llhttp accepts.

    Args:
        parts: what was received; the last part may contain more than the heads.
        size: the sum of their sizes.
        count: how many heads they contain, with those of interim responses.
        wants_rest: whether to return what follows the heads; otherwise, nothing is returned.

    Raises:
        httpcore.RemoteProtocolError: they are refused.
    """
    if count == 1 and size <= MAX_HEAD and not wants_rest and parts[0].startswith(_START):
        return b""
    *heads, rest = b"".join(parts).split(_HEAD_END, count)
    if not all(head.startswith(_START) for head in heads):
        raise httpcore.RemoteProtocolError("the response doesn't start with HTTP/")
    check_size(sum(len(head) + len(_HEAD_END) for head in heads))
    return rest if wants_rest else b""


def find_head_error(version: bytes, status: int, reason: bytes, *, is_upgrade: bool) -> str:
    """Return what is wrong with a head that llhttp accepted; empty if nothing is."""
    if not _VERSION.fullmatch(version):
        return f"unsupported version HTTP/{version.decode()}"
    if status < _CONTINUE:
        return f"invalid status code {status:03}"
    if _CONTROL.search(reason):
        return "control character in the reason phrase"
    if status == _SWITCHING and not is_upgrade:
        return "101 Switching Protocols without an Upgrade header"
    return ""

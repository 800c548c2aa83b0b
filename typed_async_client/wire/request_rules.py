"""The rules that every request keeps before a byte of it is sent, whatever the protocol and parser.

h11 checks them on the client's side; here they are checked once, for HTTP/1.1 on either parser, for
HTTP/2 and through proxies. A request that breaks one is refused, and isn't retried:

==========================================  ============  =======================================
a request with                              is            source
==========================================  ============  =======================================
a method that isn't a token                 refused       RFC 9110 section 9.1
blanks or control characters in the target  refused       RFC 9112 section 3.2
a field name that isn't a token             refused       RFC 9110 section 5.1
a control character in a value, except tab  refused       RFC 9110 section 5.5; h11 allows some
blanks around a value                       refused       RFC 9110 section 5.5
no Host, or two                             refused       RFC 9112 section 3.2
a Host that isn't the first header          sent first    RFC 9110 section 7.2
lengths that differ, or aren't decimal      refused       RFC 9110 section 8.6; h11's 20 digits
the same length several times               sent once     RFC 9110 section 8.6
two Transfer-Encodings, or not ``chunked``  refused       no other coding is supported
both Content-Length and chunked             sent chunked  RFC 9112 section 6.2; h11 sends both
a body, but neither of them                 refused       RFC 9112 section 6.3: it has no body
==========================================  ============  =======================================

The connection keeps the others. Over HTTP/1.1, ``Connection: close``, in any case and alone or in a
list, closes the connection after the response, RFC 9112 section 9.6; over HTTP/2, which has no such
header, it isn't sent. A body has the declared length, and none if no length is declared. 101 is only
accepted after an ``Upgrade`` header; any other response leaves HTTP/1.1 in use.
"""

import copy
import re
from typing import Any, TypeAlias

import httpcore

from typed_async_client.wire.headers import body_framing
from typed_async_client.wire.messages import REPLAYABLE_BODIES

__all__ = ["header_error", "prepared"]

_Headers: TypeAlias = list[tuple[bytes, bytes]]

_TOKEN_CHARACTERS = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_TOKEN = re.compile(_TOKEN_CHARACTERS + rb"+")
_TOKEN_START = re.compile(_TOKEN_CHARACTERS + rb"*")
_TARGET = re.compile(rb"[\x21-\x7e]+")
_TEXT = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_LENGTH = re.compile(rb"[0-9]{1,20}")

_USUAL_METHODS = frozenset([b"GET", b"POST", b"PUT", b"PATCH", b"DELETE", b"HEAD", b"OPTIONS"])

_FRAMING = (b"content-length", b"transfer-encoding")

_SHOWN = 40
"""Most bytes of a method, a name or a length in a message."""


def prepared(request: httpcore.Request) -> httpcore.Request:
    """Check a request, and return it with headers that have only one meaning.

    Most requests are returned unchanged; otherwise, a copy is.

    Raises:
        httpcore.LocalProtocolError: it breaks a rule. The message doesn't contain header values,
            which may be secrets, except lengths and transfer codings.
    """
    if request.method not in _USUAL_METHODS and not _TOKEN.fullmatch(request.method):
        raise _refused("Illegal method characters", request.method, "use letters, as in GET")
    if not _TARGET.fullmatch(request.url.target):
        raise httpcore.LocalProtocolError(
            "Illegal target characters: percent-encode blanks, control characters and non-ASCII"
        )
    body: Any = request.stream
    headers = _sendable(request.headers, body)
    if headers is request.headers:
        return request
    changed = copy.copy(request)
    changed.headers = headers
    return changed


def header_error(headers: _Headers) -> str:
    """Return which rule the headers break, for a library that frames a body itself; empty if none."""
    try:
        _check_headers(headers)
    except httpcore.LocalProtocolError as error:
        return str(error)
    return ""


def _sendable(headers: _Headers, body: Any) -> _Headers:
    """Check the headers, and return them with Host first and at most one framing header."""
    names = _check_headers(headers)
    if b"content-length" in names or b"transfer-encoding" in names:
        headers = _framed_once(headers, names)
    elif isinstance(body, REPLAYABLE_BODIES) and _has_bytes(body):
        raise httpcore.LocalProtocolError(
            "Too much data for declared Content-Length: send the length of the body, or chunked"
        )
    if names[0] != b"host":
        headers = sorted(headers, key=lambda field: field[0].lower() != b"host")
    return headers


def _check_headers(headers: _Headers) -> list[bytes]:
    """Check all characters, and that one header is Host; return the names in lower case."""
    names = [name.lower() for name, _ in headers]
    values = [value for _, value in headers]
    is_valid = _TOKEN.fullmatch(b"".join(names)) and b"" not in names
    if not (is_valid and _TEXT.fullmatch(b"".join(values)) and values == _stripped(values)):
        _check_one_by_one(headers)
    if (hosts := names.count(b"host")) != 1:
        raise httpcore.LocalProtocolError(
            f"Found multiple Host: headers, {hosts} of them: send one"
            if hosts
            else "Missing mandatory Host: header: send the host of the URL"
        )
    return names


def _has_bytes(body: Any) -> bool:
    """Whether a body in memory isn't empty."""
    return any(body)


def _stripped(values: list[bytes]) -> list[bytes]:
    return [value.strip(b" \t") for value in values]


def _check_one_by_one(headers: _Headers) -> None:
    """Find the invalid name or value, and report it; an empty list of headers has none."""
    for name, value in headers:
        if not _TOKEN.fullmatch(name):
            valid = _TOKEN_START.match(name)
            start = valid[0] if valid else b""
            next_one = name[len(start) : len(start) + 1]
            raise _refused("Illegal header name", start, f"{next_one!r} follows" if name else "")
        if not _TEXT.fullmatch(value):
            raise _refused("Illegal header value of", name, "it has a control character")
        if value.strip(b" \t") != value:
            raise _refused("Illegal header value of", name, "strip the blanks around it")


def _framed_once(headers: _Headers, names: list[bytes]) -> _Headers:
    """Check the framing headers; return the headers with only one of them, if there are several."""
    lengths, codings = body_framing(headers)
    length = _single_length(lengths)
    if len(codings) > 1:
        raise _refused("multiple Transfer-Encoding headers", b", ".join(codings), "send one")
    if codings and codings[0] != b"chunked":
        raise _refused("Only Transfer-Encoding: chunked is supported, not", codings[0], "")
    kept, value = (b"transfer-encoding", b"chunked") if codings else (b"content-length", length)
    index = names.index(kept)
    if headers[index][1] == value and names.count(b"content-length") == (not codings):
        return headers
    return [
        (name, value if position == index else old)
        for position, (name, old) in enumerate(headers)
        if position == index or names[position] not in _FRAMING
    ]


def _single_length(values: list[bytes]) -> bytes:
    """Return the length that all the values agree on; empty if there are none."""
    if not values:
        return b""
    lengths = _stripped(b",".join(values).split(b","))
    for length in lengths:
        if not _LENGTH.fullmatch(length):
            raise _refused("bad Content-Length", length, "it must be a decimal number")
    if len(set(lengths)) > 1:
        raise _refused("conflicting Content-Length headers", b", ".join(lengths), "send one")
    return lengths[0]


def _refused(problem: str, value: bytes, advice: str) -> httpcore.LocalProtocolError:
    shown = value if len(value) <= _SHOWN else value[:_SHOWN] + b"..."
    return httpcore.LocalProtocolError(f"{problem} {shown!r}" + (f": {advice}" if advice else ""))

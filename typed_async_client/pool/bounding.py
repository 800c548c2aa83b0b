"""Keeps the body of a response to the limits of a client, whichever transport made the response."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Any, Final

import httpx

from typed_async_client.forks import class_for
from typed_async_client.libraries import is_from
from typed_async_client.pool.body_cap import BodyCap, CappedBody
from typed_async_client.pool.bounded import BoundedResponse
from typed_async_client.pool.decoding import (
    BodyDecoder,
    codings_of,
    decoder_for,
    leave_slice_encoded,
    too_many_codings,
)
from typed_async_client.pool.response import WholeResponse
from typed_async_client.private import decoder_of, set_decoder
from typed_async_client.wire.headers import WITHOUT_BODY

__all__ = ["bound_body", "watched_decoder"]

_METHODS_WITHOUT: Final = ("HEAD", "CONNECT")
_FINAL: Final = 200
_SMALL: Final = 2**20
"""Bytes that may be held until they are decoded."""

_DIGITS: Final = 19
"""Digits of a plausible Content-Length, at most."""


def bound_body(response: Any, request: Any, limit: int | None, max_encodings: int | None) -> None:
    """Limit the body of a response that hasn't been read yet; check one that has.

    Args:
        response: the response, of httpx or httpx2.
        request: the request that it answers.
        limit: bytes of the decoded body, at most; None is no limit.
        max_encodings: how many content codings are decoded, at most; None is no limit.

    Raises:
        ResponseTooLargeError: the body that was read is too large.
        httpx.DecodingError: it had too many codings; for httpx2, it is that library's.
    """
    codings = [] if leave_slice_encoded(response) else codings_of(response.headers)
    if (limit is None and not codings) or _has_no_body(response, request):
        return
    cap = None if limit is None else BodyCap(limit, request, response)
    if response.is_closed:
        _check_content(response, cap, too_many_codings(codings, max_encodings))
        return
    if type(response) is httpx.Response:
        response.__class__ = BoundedResponse
    if cap is not None:
        _cap_stream(response, cap, is_coded=bool(codings))
    if codings:
        decoder = decoder_for(codings, max_encodings, None if cap is None else cap.check_decoded)
        set_decoder(response, _ForHttpx2(decoder) if is_from(response, "httpx2") else decoder)


def watched_decoder(response: Any) -> Any:
    """Return the decoder of a response, whose ``take_failure`` tells how the decoding ended.

    None stands for the decoder of a body that isn't decoded.
    """
    if isinstance(response, BoundedResponse):
        response.choose_decoder()
    decoder = decoder_of(response)
    if not isinstance(decoder, BodyDecoder | _ForHttpx2):
        return None
    decoder.is_watched = True
    return decoder


def _has_no_body(response: Any, request: Any) -> bool:
    """Whether it ends with its head, whatever that says, RFC 9112 section 6.3."""
    status = response.status_code
    return request.method in _METHODS_WITHOUT or status in WITHOUT_BODY or status < _FINAL


def _check_content(response: Any, cap: BodyCap | None, too_many: str) -> None:
    """Check a body that was made in memory, as mocks do."""
    try:
        content = response.content
    except RuntimeError:  # it was closed unread
        return
    if cap is not None and len(content) > cap.limit:
        raise cap.error(f"it has {len(content)} bytes")
    if content and too_many:
        raise _library_of(response).DecodingError(too_many)


def _cap_stream(response: Any, cap: BodyCap, *, is_coded: bool) -> None:
    limit = cap.received_limit if is_coded else cap.limit
    declared = _declared_length(response.headers)
    is_exact = isinstance(response, WholeResponse) and response.has_own_stream()
    if not is_exact or not 0 <= declared <= (min(limit, _SMALL) if is_coded else limit):
        response.stream = class_for(CappedBody, response)(response.stream, cap, limit, declared)


def _declared_length(headers: Any) -> int:
    """Return the Content-Length; -1 if there is none that counts, RFC 9112 section 6.3."""
    value = headers.get("content-length", "")
    if "transfer-encoding" in headers or not (value.isascii() and value.isdigit()):
        return -1
    return int(value[:_DIGITS])


class _ForHttpx2:
    """A decoder with the methods that httpx2 expects, which returns iterators, and its errors."""

    def __init__(self, decoder: BodyDecoder) -> None:
        self._decoder = decoder

    @property
    def is_watched(self) -> bool:
        return self._decoder.is_watched

    @is_watched.setter
    def is_watched(self, value: bool) -> None:
        self._decoder.is_watched = value

    def decode(self, data: bytes) -> Iterator[bytes]:
        with _errors_of_httpx2():
            yield from self._decoder.pieces(data)

    def flush(self) -> Iterator[bytes]:
        with _errors_of_httpx2():
            self._decoder.finish()
        return iter(())

    def take_failure(self, *, is_complete: bool) -> Any:
        failure = self._decoder.take_failure(is_complete=is_complete)
        is_ours = isinstance(failure, httpx.DecodingError)
        return sys.modules["httpx2"].DecodingError(str(failure)) if is_ours else failure


@contextlib.contextmanager
def _errors_of_httpx2() -> Iterator[None]:
    try:
        yield
    except httpx.DecodingError as error:
        raise sys.modules["httpx2"].DecodingError(str(error)) from error


def _library_of(response: Any) -> Any:
    return sys.modules["httpx2"] if is_from(response, "httpx2") else httpx

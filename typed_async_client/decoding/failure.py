"""Creates the error for a body that can't be decoded: what was asked for, where, and why."""

import re
from typing import Any, Final

from typed_async_client.decode_error import DecodeError
from typed_async_client.decoding.hints import name_of
from typed_async_client.decoding.mismatch import path_of
from typed_async_client.facts import request_of
from typed_async_client.libraries import is_from
from typed_async_client.redact import one_line

__all__ = ["decode_error"]

_SHOWN: Final = 300
"""Characters of a reason in a message."""

_READ: Final = 2000
"""Characters of the text of an error that are looked at; it may quote a large body."""

_LISTED: Final = 1000
"""Errors of pydantic that it may list: for a large body, that takes longer than to find them."""

_NAME: Final = re.compile(r"[A-Za-z_]\w{0,39}", re.ASCII)
"""What may be the name of a field; any other name in an object may be a secret."""


def decode_error(response: Any, model: Any, cause: Exception) -> DecodeError:
    """Return the error for a response whose body can't be decoded.

    Args:
        response: the response, of httpx or httpx2.
        model: the type that its body was to be decoded as.
        cause: the error of the decoder.
    """
    request = request_of(response)
    asked = "" if request is None else f"{request.method} {one_line(str(request.url))}: "
    reason = _reason_of(cause)[:_SHOWN].rstrip()
    error = DecodeError(
        f"{asked}{response.status_code}: can't decode {_described(response)} as "
        f"{one_line(name_of(model))}: {reason}",
        request=request,
        response=response,
        model=model,
    )
    error.__cause__ = cause
    return error


def _described(response: Any) -> str:
    """Return how to name the body, with the media type that the server says it has."""
    kind = one_line(response.headers.get("content-type", "").partition(";")[0])[:60]
    return f"a body of type {kind}" if kind else "the body"


def _reason_of(cause: Exception) -> str:
    """Return what is wrong, on one line."""
    if is_from(cause, "pydantic_core") and hasattr(cause, "errors"):
        return _reason_of_pydantic(cause)
    return _one_line(str(cause)) or type(cause).__name__


def _reason_of_pydantic(cause: Any) -> str:
    """Return what pydantic has found; its own text quotes the values."""
    count = cause.error_count()
    if count > _LISTED:
        return f"{count} errors"
    first, *others = cause.errors(include_url=False, include_context=False, include_input=False)
    more = f" (and {len(others)} more)" if others else ""
    return f"{_path_of(first['loc'])}: {_one_line(first['msg'])}{more}"


def _one_line(text: str) -> str:
    return one_line(text[:_READ])


def _path_of(location: "tuple[int | str, ...]") -> str:
    return path_of(f"[{step}]" if isinstance(step, int) else _step_of(step) for step in location)


def _step_of(name: str) -> str:
    return f".{name}" if _NAME.fullmatch(name) else "[...]"

"""Copies what events and requests carry, so that no holder sees what another one changes."""

import contextlib
import copy
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from typed_async_client.libraries import is_fork_instance
from typed_async_client.private import forget_parsed_cookies

__all__ = ["copy_option", "copy_value"]

_T = TypeVar("_T")


def copy_value(value: _T) -> _T:
    """Copy what an event or a request carries, so that its holder may change it unseen.

    What cannot be copied is shared.
    """
    if value is None:
        return value
    try:
        twin: _T = _copier_of(value)(value)
    except Exception:  # noqa: BLE001 - whatever refuses to be copied is shared instead
        return value
    return twin


def _copy_response(response: Any) -> Any:
    """Copy a response with all of it that can be changed: headers, request, history.

    ``copy.copy`` keeps the body, which is immutable, and drops stream and extensions.
    """
    twin = copy.copy(response)
    twin.headers = type(response.headers)(response.headers)
    twin.extensions = _copy_extensions(response.extensions)
    if response.next_request is not None:
        twin.next_request = _copy_request(response.next_request)
    twin.history = [_copy_response(earlier) for earlier in response.history]
    forget_parsed_cookies(twin)
    with contextlib.suppress(RuntimeError):  # it has no request
        twin.request = _copy_request(response.request)
    return twin


def _copy_request(request: Any) -> Any:
    twin = copy.copy(request)
    twin.headers = type(request.headers)(request.headers)
    twin.extensions = _copy_extensions(request.extensions)
    return twin


def _copy_extensions(extensions: Any) -> dict[str, Any]:
    """Copy the mapping and the plain ones in it; streams and callables in it are shared."""
    return {
        name: dict(value) if type(value) is dict else value for name, value in extensions.items()
    }


def _copy_cookies(cookies: Any) -> Any:
    """Copy a jar, which ``copy.deepcopy`` refuses for the lock in it."""
    twin = httpx.Cookies() if isinstance(cookies, httpx.Cookies) else type(cookies)()
    for cookie in cookies.jar:
        twin.jar.set_cookie(copy.copy(cookie))
    return twin


_COPIERS: dict[type, Callable[[Any], Any]] = {
    httpx.Response: _copy_response,
    httpx.Cookies: _copy_cookies,
}
"""Types that ``copy.deepcopy`` refuses, or copies without what matters; httpx2's classes of the same names count too."""


def _copier_of(value: object) -> Callable[[Any], Any]:
    for kind, copier in _COPIERS.items():
        if isinstance(value, kind) or is_fork_instance(value, kind.__name__):
            return copier
    return copy.deepcopy


def copy_option(name: str, value: Any) -> Any:
    """Copy one option of a request, as deeply as its meaning allows.

    Streams, files and callables cannot be copied and are shared; the mapping or list that holds
    them is not. An iterator, which the first attempt would use up, becomes a list.

    Raises:
        TypeError: ``content`` is a body that an async client cannot send.
    """
    match name:
        case "content":
            return _checked_content(value)
        case "files":
            return dict(value) if isinstance(value, dict) else value and list(value)
        case "extensions":
            return value and _copy_extensions(value)
        case "timeout":
            return copy.copy(value)
        case "json" | "data" | "cookies" | "params" | "headers":
            is_iterator = hasattr(value, "__next__")
            return copy_value(list(value) if is_iterator else value)
        case _:
            return value


def _checked_content(content: Any) -> Any:
    if content is None or isinstance(content, str | bytes) or hasattr(content, "__aiter__"):
        return content
    raise TypeError(
        f"content must be str, bytes or an async iterable of bytes, got "
        f"{type(content).__name__}: an async client cannot send a plain iterable or file; "
        "read it first, or use files="
    )

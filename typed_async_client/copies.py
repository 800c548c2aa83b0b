"""Copies the values that events and requests carry, so that changing one doesn't affect another."""

import contextlib
import copy
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from typed_async_client.libraries import is_fork_instance, library_of
from typed_async_client.private import forget_parsed_cookies
from typed_async_client.sources.streamed import as_body

__all__ = ["copy_option", "copy_value"]

_T = TypeVar("_T")


def copy_value(value: _T) -> _T:
    """Return a copy that its holder can change without affecting the original.

    A value that can't be copied is returned itself.
    """
    if value is None:
        return value
    try:
        copied: _T = _copier_of(value)(value)
    except Exception:  # noqa: BLE001 - what can't be copied is shared instead
        return value
    return copied


def _copy_response(response: Any, copies: dict[int, Any] | None = None) -> Any:
    """Copy a response with its mutable parts: headers, request, history.

    ``copy.copy`` shares the body, which is immutable, and drops stream and extensions. Each
    response of a history has the ones before it in its own history; each is copied once.

    Args:
        response: the response.
        copies: the copies made so far, by the id of the original.
    """
    copies = {} if copies is None else copies
    if id(response) in copies:
        return copies[id(response)]
    copied = copies[id(response)] = copy.copy(response)
    copied.headers = type(response.headers)(response.headers)
    copied.extensions = _copy_extensions(response.extensions)
    if response.next_request is not None:
        copied.next_request = _copy_request(response.next_request)
    copied.history = [_copy_response(earlier, copies) for earlier in response.history]
    forget_parsed_cookies(copied)
    with contextlib.suppress(RuntimeError):  # it has no request
        copied.request = _copy_request(response.request)
    return copied


def _copy_request(request: Any) -> Any:
    copied = copy.copy(request)
    copied.headers = type(request.headers)(request.headers)
    copied.extensions = _copy_extensions(request.extensions)
    return copied


def _copy_extensions(extensions: Any) -> dict[str, Any]:
    """Copy the mapping and the dicts in it; streams and callables in it are shared."""
    return {
        name: dict(value) if type(value) is dict else value for name, value in extensions.items()
    }


def _copy_cookies(cookies: Any) -> Any:
    """Copy a cookie jar, which ``copy.deepcopy`` can't copy because it holds a lock."""
    copied = httpx.Cookies() if isinstance(cookies, httpx.Cookies) else type(cookies)()
    for cookie in cookies.jar:
        copied.jar.set_cookie(copy.copy(cookie))
    return copied


_COPIERS: dict[type, Callable[[Any], Any]] = {
    httpx.Response: _copy_response,
    httpx.Cookies: _copy_cookies,
}
"""Types that ``copy.deepcopy`` can't copy, or copies incompletely, here and in httpx2."""


def _copier_of(value: object) -> Callable[[Any], Any]:
    for kind in type(value).__mro__:  # a mock that claims to be a response is copied deeply
        if kind in _COPIERS:
            return _COPIERS[kind]
    library = library_of(value, "httpx2")
    for kind, copier in _COPIERS.items() if library else ():
        if is_fork_instance(value, kind.__name__):
            return copier
    return copy.deepcopy


def copy_option(name: str, value: Any) -> Any:
    """Copy one request option, as deeply as is possible for it.

    Streams, files and callables can't be copied and are shared; the mapping or list that holds
    them is copied. An iterator becomes a list, because the first attempt would exhaust it; as
    ``content``, it becomes a body that knows whether it was read.

    Raises:
        TypeError: ``content`` can't be a body.
        ValueError: ``content`` is a file that is closed.
    """
    match name:
        case "content":
            return as_body(value)
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

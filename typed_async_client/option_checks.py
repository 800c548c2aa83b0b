"""Checks the options of a client and of a request, and makes the copy that a request keeps.

An unknown option raises before anything is sent.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from typed_async_client.bodies import encode_body
from typed_async_client.copies import copy_option
from typed_async_client.forms import check_form
from typed_async_client.limit_checks import check_limits, check_timeout
from typed_async_client.options import ClientOptions, RequestOptions, SingleRequestOptions
from typed_async_client.policies.checks import require_bool
from typed_async_client.policies.resilience import Resilience
from typed_async_client.request_checks import check_head
from typed_async_client.spelling import check_names

__all__ = [
    "check_client_options",
    "check_single_request_options",
    "may_copy",
    "snapshot",
]

_KNOWN = frozenset({*RequestOptions.__annotations__, "context", "response_model"})

_PAIRS = frozenset({"headers", "cookies", "files"})
"""Options that may be an iterator over pairs, which can be read once only."""

_OF_CONTEXTS = (
    "base_delay",
    "backoff_factor",
    "max_delay",
    "max_retries",
    "metadata",
    "request_id",
)

_ELSEWHERE = {
    **{
        name: f"{name} is an option of the client: pass it there"
        for name in ClientOptions.__annotations__.keys() - _KNOWN
    },
    **{name: f"pass context=client.new_context({name}=...)" for name in _OF_CONTEXTS},
    "stream": "use `async with client.stream(method, url) as response`",
}
"""Names that aren't options of a request, and what to do instead."""

_NOT_OF_CLIENTS = {
    **{
        name: f"pass limits=httpx.Limits({name}=...)"
        for name in ("max_connections", "max_keepalive_connections", "keepalive_expiry")
    },
    **{
        field.name: f"pass resilience=Resilience({field.name}=...)"
        for field in dataclasses.fields(Resilience)
    },
}
"""Names that aren't options of a client, and what to do instead."""


def check_single_request_options(options: Mapping[str, Any]) -> None:
    """Check the options of ``simple_async_request()``.

    Raises:
        TypeError: an option is neither one of a request nor one of a client.
    """
    check_names(
        "option",
        options,
        [
            *SingleRequestOptions.__annotations__,
            "context",
            "max_retries",
            "response_model",
            "timeout",
        ],
    )


def check_client_options(options: Mapping[str, Any], random: object) -> None:
    """Check the options of a client.

    Raises:
        TypeError: an option is unknown, ``random`` isn't callable, or a limit isn't a number.
        ValueError: a limit or a timeout is too small.
    """
    check_names("client option", options, ClientOptions.__annotations__, _NOT_OF_CLIENTS)
    check_timeout(options.get("timeout"))
    require_bool("allow_absolute_urls", options.get("allow_absolute_urls", False))
    if "limits" in options:
        check_limits(options["limits"])
    if not callable(random):
        raise TypeError(f"random must be callable and return a number in [0, 1), got {random!r}")


def may_copy(options: Mapping[str, Any]) -> bool:
    """Whether two attempts can send the body at the same time: it is in memory, as a whole.

    Args:
        options: what ``snapshot`` returned.
    """
    content = options.get("content")
    return not options.get("files") and (content is None or isinstance(content, bytes | str))


def snapshot(options: Mapping[str, Any], client: Any) -> dict[str, Any]:
    """Copy the options of a request, so that later changes by the caller aren't sent.

    A request is sent after it was submitted, and again for each retry; every attempt must send
    what was submitted. Streams, files and callables can't be copied and are shared.

    Args:
        options: the options.
        client: the httpx client that will send the request.

    Raises:
        TypeError: an option is unknown, or a body can't be sent; nothing has been sent.
        ValueError: the same, for a JSON number that is infinite or not a number, for a negative
            timeout, and for a line break or the like in what becomes a part of the head.
        OSError: there is no file at a path of a form.
    """
    check_names("request option", options, _KNOWN, _ELSEWHERE)
    if "timeout" in options:
        check_timeout(options["timeout"])
    chosen = {
        name: list(value) if hasattr(value, "__next__") and name in _PAIRS else value
        for name, value in options.items()
    }
    check_head(chosen)
    encode_body(chosen, client)
    if chosen.get("files") and chosen.get("content") is None:
        check_form(chosen, client)
    return {name: copy_option(name, value) for name, value in chosen.items()}

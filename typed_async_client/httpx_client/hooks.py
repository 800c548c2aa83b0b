"""Records what an attempt sends, through httpx's event hooks and a wrapper for transports.

An attempt sends more than one request if it follows a redirect or answers an authentication
challenge. The hooks see each request and each response, and record them in the attempt's log.
"""

from collections.abc import Mapping
from typing import Any

import httpx

from typed_async_client.httpx_client.redirects import raise_if_refused
from typed_async_client.sent import current_log
from typed_async_client.transports.backends.wrapper import AsyncWrapper
from typed_async_client.transports.pair import is_application
from typed_async_client.watched_body import watch_body

__all__ = ["AssumeSent", "with_hooks"]


class AssumeSent(AsyncWrapper):
    """Records a request as answered as soon as it is sent, since it may be processed from then on.

    Args:
        inner: a transport for which ``may_send_before_failing`` is true; it is entered, left and
            closed together with this one.
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Record the request, and send it."""
        log = current_log()
        log.answered, log.is_sending = True, not is_application(self._inner)
        return await self._inner.handle_async_request(request)


def with_hooks(given: Mapping[str, Any] | None) -> dict[str, list[Any]]:
    """Return the event hooks with ours added: last for requests, and first for responses."""
    hooks = dict(given or {})
    return {
        **hooks,
        "request": [*hooks.get("request", ()), _before_each],
        "response": [_after_each, *hooks.get("response", ())],
    }


async def _before_each(request: httpx.Request) -> None:
    log = current_log()
    log.begin_hop(request)
    log.is_sending = True
    if not isinstance(request.stream, httpx.ByteStream):
        raise_if_refused(request)
        watch_body(request, log)


async def _after_each(_: httpx.Response) -> None:
    current_log().end_hop()

"""A client that the user brings: ours sends through it, watches what it sends, and lets it be.

What an attempt has sent is told by hooks of ours among the client's own event hooks. A client
without such hooks tells nothing, and then any request of an attempt may have been sent.
"""

import functools
import itertools
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any, Self

from typed_async_client.libraries import library_of
from typed_async_client.options import HttpClient
from typed_async_client.private import transports_of
from typed_async_client.sent import SentLog, WatchedBody, begin_attempt, current_log
from typed_async_client.transports.pair import may_send_before_failing

__all__ = ["ExternalClient"]


class ExternalClient:
    """Watches a client of the user's for one resilient client, from its first attempt on.

    Several may watch one client: each counts the attempts of its own resilient client alone.

    Args:
        client: the client of the user's.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self._may_send_before_failing = _may_send_unseen(client)

    @classmethod
    def of(cls, client: HttpClient | None, options: Mapping[str, Any]) -> Self | None:
        """Take a client that was given along with ``options`` of httpx's; None where none was.

        Raises:
            TypeError: it has no ``request`` to be awaited.
            ValueError: it was given options, which it cannot take any more.
        """
        if client is None:
            return None
        if not callable(getattr(client, "request", None)) or _is_plain(client):
            raise TypeError(
                "http_client must have the async request() of an httpx.AsyncClient, got "
                f"{client!r:.100}"
            )
        if options:
            raise ValueError(
                f"http_client has options of its own: give {', '.join(sorted(options))} to it, "
                "not to the resilient client"
            )
        return cls(client)

    def begin_attempt(self) -> None:
        """Start a new log for the running task, and make sure that it is kept."""
        hooks = getattr(self._client, "event_hooks", None)
        if isinstance(hooks, Mapping) and not self._watches(hooks):
            self._client.event_hooks = {
                **hooks,
                "request": [*_without(self._before_each, hooks.get("request")), self._before_each],
                "response": [self._after_each, *_without(self._after_each, hooks.get("response"))],
            }
        begin_attempt(SentLog(self))

    def leave(self) -> None:
        """Take our hooks away; the user's stay as they are. The client stays open."""
        hooks = getattr(self._client, "event_hooks", None)
        if isinstance(hooks, Mapping):
            self._client.event_hooks = {
                **hooks,
                "request": _without(self._before_each, hooks.get("request")),
                "response": _without(self._after_each, hooks.get("response")),
            }

    def _watches(self, hooks: Mapping[str, Any]) -> bool:
        """Say whether no hook of the user's runs between ours and the wire."""
        last = itertools.takewhile(_is_ours, reversed(hooks.get("request", ())))
        first = itertools.takewhile(_is_ours, hooks.get("response", ()))
        return self._before_each in last and self._after_each in first

    async def _before_each(self, request: Any) -> None:
        log = current_log()
        if log.owner is not self:
            return
        log.hops += 1
        log.request = request
        log.answered = log.answered or self._may_send_before_failing
        library = sys.modules[library_of(request, "httpx", "httpx2") or "httpx"]
        if not isinstance(request.stream, library.ByteStream):
            request.stream = _watched_body(library.AsyncByteStream)(request.stream, log)

    async def _after_each(self, _: Any) -> None:
        log = current_log()
        if log.owner is self:
            log.answered = True


def _is_ours(hook: Any) -> bool:
    """Say whether a hook is of a watcher, this one or another: these raise no error."""
    return isinstance(getattr(hook, "__self__", None), ExternalClient)


def _without(hook: Any, hooks: Iterable[Any] | None) -> list[Any]:
    return [other for other in hooks or () if other != hook]


def _is_plain(client: object) -> bool:
    """Say whether a client blocks, or is none yet but a class or a module.

    What one that blocks is asked to send is sent before anything is awaited.
    """
    if isinstance(client, type | types.ModuleType):
        return True
    return hasattr(client, "__enter__") and not hasattr(client, "__aenter__")


def _may_send_unseen(client: object) -> bool:
    return any(map(may_send_before_failing, transports_of(client)))


@functools.cache
def _watched_body(of_library: type) -> type[WatchedBody]:
    """Make the class of a watched body that a library knows as a body of its own."""
    if issubclass(WatchedBody, of_library):
        return WatchedBody
    return type("WatchedBody", (WatchedBody, of_library), {})

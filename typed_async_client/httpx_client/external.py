"""Sends through an httpx client that the user supplies, and records what it sends.

Event hooks added to the user's client record what an attempt has sent. If the client has no event
hooks, nothing is recorded, and any request of an attempt may have been sent.
"""

import itertools
import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

import httpx

from typed_async_client.libraries import library_of
from typed_async_client.options import POOL_OPTIONS, REDIRECT_OPTIONS, HttpClient
from typed_async_client.pickling import let_pickle_restore
from typed_async_client.pool.body_cap import MAX_RESPONSE_BYTES
from typed_async_client.pool.bounding import bound_body
from typed_async_client.private import pool_of, transport_for, transports_of
from typed_async_client.record import RequestRecord
from typed_async_client.sent import SentLog, begin_attempt, current_log
from typed_async_client.transports.pair import is_application, may_send_before_failing
from typed_async_client.transports.sheltered import release_orphans
from typed_async_client.unclosed import WarnsUnclosed
from typed_async_client.watched_body import watched_body_class

__all__ = ["ExternalClient"]


class ExternalClient(WarnsUnclosed):
    """A user's client, with hooks for one resilient client, added at its first attempt.

    Several resilient clients can share a user's client: each one records its own attempts only.

    Args:
        client: the user's client, which the user opens and closes.
        max_encodings: how many content codings of a response are decoded, at most.

    Attributes:
        client: the user's client.
        is_entered: always true: there is nothing to enter.
        needs_shelter: whether a cancelled request may leak a connection of its pool, as it may in
            those of httpx and httpx2.
        error: not used, as ``OwnClient.error`` is for its transports.
    """

    _has_owner = True
    is_entered: Final = True

    def __init__(self, client: Any, max_encodings: int = 1) -> None:
        self._max_encodings = max_encodings
        self.error: BaseException | None = None
        self.client: Any = client
        transports = transports_of(client)
        self.needs_shelter: bool = any(map(_is_pool_of_httpcore, transports))
        risky = [each for each in transports if may_send_before_failing(each)]
        self._may_send_before_failing = bool(risky)
        self._calls_application = any(map(is_application, risky))

    @property
    def has_hooks(self) -> bool:
        """Whether our hooks can be added to the client, and see its responses."""
        return isinstance(getattr(self.client, "event_hooks", None), Mapping)

    @classmethod
    def of(
        cls, client: HttpClient | None, options: Mapping[str, Any], max_encodings: int = 1
    ) -> Self | None:
        """Check the client passed along with httpx ``options``; None if no client was passed.

        Raises:
            TypeError: it has no async method ``request``.
            ValueError: options were passed too, which can't apply to an existing client.
        """
        if client is None:
            return None
        if not callable(getattr(client, "request", None)) or _is_not_async(client):
            raise TypeError(
                "http_client must have the async request() of an httpx.AsyncClient, got "
                f"{client!r:.100}"
            )
        if pooled := sorted(POOL_OPTIONS & options.keys()):
            raise ValueError(
                f"{pooled[0]} is for the pool that the resilient client makes: give http_client "
                f"transport=AsyncPoolTransport({pooled[0]}=...) instead"
            )
        if "cookie_jar" in options:
            raise ValueError(
                "cookie_jar is for the client that the resilient client makes: http_client keeps its "
                "cookies in its own way"
            )
        if "allow_absolute_urls" in options:
            raise ValueError(
                "http_client joins URLs to its base_url in its own way: allow_absolute_urls can't "
                "apply to it"
            )
        if own := REDIRECT_OPTIONS & options.keys():
            raise ValueError(
                f"http_client follows redirects in its own way: {', '.join(sorted(own))} can't "
                "apply to it"
            )
        if options:
            raise ValueError(
                f"http_client already has its options: pass {', '.join(sorted(options))} to it, "
                "not to the resilient client"
            )
        if library_of(client, "httpx2"):
            let_pickle_restore(sys.modules["httpx2"])
        return cls(client, max_encodings)

    def begin_attempt(self, record: RequestRecord) -> SentLog:
        """Start a new log for the running task, and make sure that our hooks are in place."""
        hooks = getattr(self.client, "event_hooks", None)
        if isinstance(hooks, Mapping) and not self._is_hooked(hooks):
            self.client.event_hooks = {
                **hooks,
                "request": [*_without(self._before_each, hooks.get("request")), self._before_each],
                "response": [self._after_each, *_without(self._after_each, hooks.get("response"))],
            }
        log = SentLog(self, record)
        log.is_sending = not isinstance(hooks, Mapping)  # nothing will report when it is
        begin_attempt(log)
        return log

    async def release_orphans(self, record: RequestRecord) -> None:
        """Let the pool drop a connection that it lost when the running task's attempt failed."""
        request = current_log().request
        url = httpx.URL(record.url) if request is None else request.url
        await release_orphans(pool_of(transport_for(self.client, url)))

    async def enter(self) -> None:
        """Do nothing: the user opens the client."""

    async def leave(self) -> None:
        """Remove our hooks. The user's own hooks remain, and the client stays open."""
        self.error = None
        self._abandon()

    def _abandon(self) -> None:
        """Remove our hooks from the user's client; nothing waits."""
        hooks = getattr(self.client, "event_hooks", None)
        if isinstance(hooks, Mapping):
            self.client.event_hooks = {
                **hooks,
                "request": _without(self._before_each, hooks.get("request")),
                "response": _without(self._after_each, hooks.get("response")),
            }

    def _is_hooked(self, hooks: Mapping[str, Any]) -> bool:
        """Whether our hooks are in place, with no hook of the user between them and the send."""
        last = itertools.takewhile(_is_ours, reversed(hooks.get("request", ())))
        first = itertools.takewhile(_is_ours, hooks.get("response", ()))
        return self._before_each in last and self._after_each in first

    async def _before_each(self, request: Any) -> None:
        log = current_log()
        if log.owner is not self:
            return
        log.begin_hop(request)
        log.is_sending = not self._calls_application
        log.answered = log.answered or self._may_send_before_failing
        library = sys.modules[library_of(request, "httpx", "httpx2") or "httpx"]
        if not isinstance(request.stream, library.ByteStream):
            request.stream = watched_body_class(library.AsyncByteStream).of(request, log)

    async def _after_each(self, response: Any) -> None:
        log = current_log()
        if log.owner is self:
            log.end_hop()
            limit = response.request.extensions.get(MAX_RESPONSE_BYTES)
            bound_body(response, response.request, limit, self._max_encodings)


def _is_pool_of_httpcore(transport: object) -> bool:
    return library_of(transport, "httpx", "httpx2") is not None and (
        type(transport).__name__ == "AsyncHTTPTransport"
    )


def _is_ours(hook: Any) -> bool:
    """Whether a hook was added by any ``ExternalClient``: these never raise."""
    return isinstance(getattr(hook, "__self__", None), ExternalClient)


def _without(hook: Any, hooks: Iterable[Any] | None) -> list[Any]:
    return [other for other in hooks or () if other != hook]


def _is_not_async(client: object) -> bool:
    """Whether this is a synchronous client, or a class or module instead of a client.

    A synchronous client would send the request before anything is awaited.
    """
    if isinstance(client, type | types.ModuleType):
        return True
    return hasattr(client, "__enter__") and not hasattr(client, "__aenter__")

"""Creates the events of httpx-sse: the only module that imports it, when the first stream is created."""

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx_sse

    ServerSentEvent: TypeAlias = httpx_sse.ServerSentEvent

__all__ = ["ServerSentEvent", "event_maker"]

_NEEDED: Final = "client.sse() needs an extra: pip install 'typed-async-client[sse]'"


def event_maker() -> "Callable[[str, str, str, int | None], ServerSentEvent]":
    """Return what creates an event, for ``EventParser``.

    Raises:
        ImportError: httpx-sse isn't installed.
    """
    try:
        from httpx_sse import ServerSentEvent  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name != "httpx_sse":
            raise
        raise ImportError(_NEEDED) from error
    return ServerSentEvent  # its arguments have this order

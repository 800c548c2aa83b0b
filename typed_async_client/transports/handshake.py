"""Closes the socket that httpcore 1.0 leaves open when a TLS handshake is cancelled.

Its network stream closes the socket when the handshake fails with an error, and forgets it when
the task is cancelled in the middle. httpcore's own ``trace`` extension tells us of both.
"""

from typing import TYPE_CHECKING, Any

from typed_async_client.options import HttpxClientOptions

if TYPE_CHECKING:
    import httpx

__all__ = ["guard_handshake", "guarded"]

_CONNECTED = ("connect_tcp.complete", "connect_unix_socket.complete")


def guarded(options: HttpxClientOptions) -> HttpxClientOptions:
    """Give the options of a client whose TLS handshakes are watched over.

    A transport of the caller's own is left alone.
    """
    if "transport" in options:
        return options
    hooks = dict(options.get("event_hooks", {}))
    hooks["request"] = [*hooks.get("request", []), guard_handshake]
    return {**options, "event_hooks": hooks}


async def guard_handshake(request: "httpx.Request") -> None:
    """Watch over the handshake of an https request. A request hook of ``httpx.AsyncClient``.

    A ``trace`` extension of the caller's own is called as before.
    """
    if request.url.scheme != "https":
        return
    theirs = request.extensions.get("trace")
    streams: list[Any] = []

    async def trace(name: str, info: dict[str, Any]) -> None:
        if name.endswith(_CONNECTED):
            streams.append(info["return_value"])
        elif name.endswith("start_tls.failed"):
            for stream in streams:
                await stream.aclose()
        if theirs is not None:
            await theirs(name, info)

    request.extensions = {**request.extensions, "trace": trace}

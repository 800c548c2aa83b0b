"""What the client asks httpx to tell it of each request that an attempt sends.

One attempt is more than one request when it follows a redirect or answers a challenge. Each of
them passes the hook made here, right before it is sent.
"""

from typing import TYPE_CHECKING, Any

from typed_async_client.facts import count_hop
from typed_async_client.options import HttpxClientOptions

if TYPE_CHECKING:
    import httpx

__all__ = ["guard_handshake", "hooked"]

_CONNECTED = ("connect_tcp.complete", "connect_unix_socket.complete")


def hooked(options: HttpxClientOptions) -> HttpxClientOptions:
    """Give the options of a client that counts hops and watches over TLS handshakes.

    The handshakes of a transport of the caller's own are left alone.
    """
    owns_transport = "transport" not in options

    async def before_each(request: "httpx.Request") -> None:
        count_hop(request)
        if owns_transport and request.url.scheme == "https":
            guard_handshake(request)

    hooks = dict(options.get("event_hooks", {}))
    hooks["request"] = [*hooks.get("request", []), before_each]
    return {**options, "event_hooks": hooks}


def guard_handshake(request: "httpx.Request") -> None:
    """Have the socket closed when the request's task is cancelled in a TLS handshake.

    The network stream of httpcore 1.0 closes it when a handshake fails with an error, and
    forgets it when the task is cancelled. httpcore's own ``trace`` extension tells of both; one
    of the caller's own is called as before.
    """
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

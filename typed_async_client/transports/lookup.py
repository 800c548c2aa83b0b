"""Names to addresses, in threads of our own, so that hanging names starve no other.

asyncio asks in its default executor, of six threads on a machine of two cores: six names whose
server does not answer, and no request to any name gets further; and the program waits for them
when it ends. Here each lookup has a thread that nobody waits for at the end.
"""

import asyncio
import contextlib
import ipaddress
import socket
import threading
from typing import TypeAlias

__all__ = ["Lookup", "Target"]

Target: TypeAlias = tuple[socket.AddressFamily, str]
"""A family and an address of it, as text."""

_MAX_LOOKUPS = 128


class Lookup:
    """Resolves names, at most 128 at once; those who ask for the same name share one answer.

    Args:
        max_lookups: lookups at once; one more waits until one has ended.
    """

    def __init__(self, *, max_lookups: int = _MAX_LOOKUPS) -> None:
        self._permits = asyncio.Semaphore(max_lookups)
        self._answers: dict[str, asyncio.Future[list[Target]]] = {}

    async def resolve(self, host: str) -> list[Target]:
        """Give the addresses of a host, the preferred ones first. An address is its own answer.

        Raises:
            OSError: the name is unknown, or its server failed; a ``socket.gaierror`` mostly.
            UnicodeError: it cannot be a name.
        """
        literal = _as_address(host)
        if literal is not None:
            return [literal]
        if host not in self._answers:
            await self._permits.acquire()
            if host in self._answers:  # somebody else asked meanwhile
                self._permits.release()
            else:
                self._ask(host)
        return await asyncio.shield(self._answers[host])

    def _ask(self, host: str) -> None:
        """Start a lookup; whoever waits for it may go away, the lookup goes on."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[list[Target]] = loop.create_future()
        self._answers[host] = answer

        def settle(targets: list[Target], error: Exception | None) -> None:
            self._permits.release()
            del self._answers[host]
            if error is None:
                answer.set_result(targets)
            else:
                answer.set_exception(error)
                answer.exception()  # seen: perhaps nobody waits any more

        def look_up() -> None:
            targets: list[Target] = []
            failure: Exception | None = None
            try:
                targets = _resolve(host)
            except Exception as error:  # noqa: BLE001 - told to whoever waits
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(settle, targets, failure)

        threading.Thread(target=look_up, name=f"lookup of {host}", daemon=True).start()


def _resolve(host: str) -> list[Target]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    targets = [(family, str(address[0])) for family, _, _, _, address in found]
    return list(dict.fromkeys(targets))


def _as_address(host: str) -> Target | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (socket.AF_INET if address.version == _V4 else socket.AF_INET6), host


_V4 = 4

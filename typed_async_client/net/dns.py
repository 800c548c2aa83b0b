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
from collections import Counter, deque
from typing import Any, TypeAlias

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
        self._max_lookups = max_lookups
        self._running = 0
        self._queue: deque[str] = deque()
        self._answers: dict[str, asyncio.Future[list[Target]]] = {}
        self._asking: Counter[str] = Counter()

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
            self._answers[host] = asyncio.get_running_loop().create_future()
            self._queue.append(host)
        answer = self._answers[host]
        self._asking[host] += 1
        try:
            self._start()
            return await asyncio.shield(answer)
        finally:
            self._leave(host)

    def _leave(self, host: str) -> None:
        """Count one less who asks; a name that nobody asks for any more is not looked up."""
        self._asking[host] -= 1
        if not self._asking[host]:
            del self._asking[host]
            if host in self._queue:
                self._queue.remove(host)
                del self._answers[host]

    def _start(self) -> None:
        while self._queue and self._running < self._max_lookups:
            self._running += 1
            self._ask(self._queue.popleft())

    def _ask(self, host: str) -> None:
        """Start a lookup; whoever waits for it may go away, the lookup goes on."""
        loop = asyncio.get_running_loop()
        answer = self._answers[host]

        def settle(targets: list[Target], error: Exception | None) -> None:
            self._running -= 1
            del self._answers[host]
            if error is None:
                answer.set_result(targets)
            else:
                answer.set_exception(error)
                answer.exception()  # seen: perhaps nobody waits any more
            self._start()

        def look_up() -> None:
            targets: list[Target] = []
            failure: Exception | None = None
            try:
                targets = _resolve(host)
            except Exception as error:  # noqa: BLE001 - told to whoever waits
                failure = error
            with contextlib.suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(settle, targets, failure)

        try:
            threading.Thread(target=look_up, name=f"lookup of {host}", daemon=True).start()
        except RuntimeError as error:
            loop.call_soon(settle, [], OSError(f"no thread for the lookup of {host}: {error}"))


def _resolve(host: str) -> list[Target]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((family, _as_text(address)) for family, _, _, _, address in found))


def _as_text(address: tuple[Any, ...]) -> str:
    """Give an address with the number of its interface where it has one, as link-local ones do."""
    scope = address[3] if len(address) > _SCOPE else 0
    return f"{address[0]}%{scope}" if scope else str(address[0])


def _as_address(host: str) -> Target | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return (socket.AF_INET if address.version == _V4 else socket.AF_INET6), host


_SCOPE = 3
_V4 = 4

"""Which hosts are to be asked over https alone: HTTP Strict Transport Security, RFC 6797.

Pure: the time comes in as an argument, the answer goes out. It knows nothing of requests; who
asks it has made sure that a header came over a connection that can be trusted.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator
from typing import Final

__all__ = ["KnownHosts", "StrictTransport", "is_address", "parse"]

_LONGEST_NAME: Final = 253  # of any host that can be looked up, RFC 1035 section 2.3.4
_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a token, RFC 9110 section 5.6.2
_DIRECTIVE = re.compile(
    rf'[ \t]*(?:({_WORD})[ \t]*(?:=[ \t]*({_WORD}|"(?:[^"\\]|\\.)*")[ \t]*)?)?(?:;|\Z)'
)
_SECONDS = re.compile(r'"[0-9]+"|[0-9]+')
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


@dataclasses.dataclass(frozen=True, slots=True)
class StrictTransport:
    """What one ``Strict-Transport-Security`` header says, RFC 6797 section 6.1."""

    max_age: float  #: seconds for which the host is known, from now; 0 forgets it
    include_subdomains: bool  #: whether it speaks for the hosts below it too


def parse(header: str) -> StrictTransport | None:
    """Read a ``Strict-Transport-Security`` header, RFC 6797 section 6.1.

    Unknown directives are passed over.

    Args:
        header: the value of the first header field of that name.

    Returns:
        What it says; None where it is to be ignored as a whole: ``max-age`` is missing, a
        directive stands there twice, or anything is malformed.
    """
    directives = _directives(header)
    max_age = directives.get("max-age")
    if max_age is None or not _SECONDS.fullmatch(max_age):
        return None
    if directives.get("includesubdomains") is not None:  # it takes no value
        return None
    return StrictTransport(
        max_age=float(max_age.strip('"')),  # a float has no longest number, it ends at infinity
        include_subdomains="includesubdomains" in directives,
    )


def _directives(header: str) -> dict[str, str | None]:
    """Give the value of each directive by its name in lower case; none where any is at fault."""
    directives: dict[str, str | None] = {}
    position = 0
    while position < len(header):
        found = _DIRECTIVE.match(header, position)
        name = found[1].lower() if found and found[1] else ""
        if found is None or name in directives:
            return {}
        if name:
            directives[name] = found[2]
        position = found.end()
    return directives


def is_address(host: str) -> bool:
    """Say whether a host is an IP address, in any form that a resolver takes for one.

    That is an IPv6 address, or a name that ends in a number, such as ``127.1`` or ``0x7f000001``:
    no name of a host does.

    Args:
        host: as it stands in a URL, without brackets.
    """
    return ":" in host or _NUMBER.fullmatch(_canonical(host).rpartition(".")[2]) is not None


class KnownHosts:
    """The hosts that asked for https, and those known from the start.

    Not safe for threads: who shares it between threads holds a lock.

    Args:
        always: hosts known from the start and for ever, with all hosts below them.
        max_hosts: hosts learned at most, > 0; the one noted longest ago makes room.

    Raises:
        ValueError: an address in ``always``, or ``max_hosts`` below 1.
    """

    def __init__(self, *, always: Iterable[str] = (), max_hosts: int = 10_000) -> None:
        self._always = frozenset(map(_canonical, always))
        if wrong := sorted(filter(is_address, self._always)):
            raise ValueError(f"only names can be known hosts, got {wrong[0]!r}")
        if max_hosts < 1:
            raise ValueError(f"max_hosts must be >= 1, got {max_hosts!r}")
        self._max_hosts = max_hosts
        self._learned: dict[str, _Entry] = {}

    def __len__(self) -> int:
        """Count the hosts learned, those whose time is over included until they make room."""
        return len(self._learned)

    def note(self, host: str, said: StrictTransport, *, now: float) -> None:
        """Keep what a host said of itself, RFC 6797 section 8.1; an address says nothing.

        Args:
            host: in ASCII, as it stands in a URL, without brackets.
            said: its header.
            now: monotonic seconds.
        """
        name = _canonical(host)
        if is_address(name) or len(name) > _LONGEST_NAME:
            return
        self._learned.pop(name, None)  # so that it comes last, as the one noted most recently
        if said.max_age == 0:
            return
        self._learned[name] = _Entry(now + said.max_age, said.include_subdomains)
        if len(self._learned) > self._max_hosts:
            del self._learned[next(iter(self._learned))]

    def must_upgrade(self, host: str, *, now: float) -> bool:
        """Say whether a host is to be asked over https alone, RFC 6797 section 8.2.

        It is when it was noted itself, or any host above it that spoke for the hosts below.

        Args:
            host: in ASCII, as it stands in a URL, without brackets.
            now: monotonic seconds.
        """
        name = _canonical(host)
        if len(name) > _LONGEST_NAME:  # it may have tens of thousands of labels to go through
            return False
        entry = self._learned.get(name)
        if entry is not None and now < entry.expires:
            return True
        return name in self._always or any(self._speaks_for_all(up, now) for up in _above(name))

    def _speaks_for_all(self, name: str, now: float) -> bool:
        entry = self._learned.get(name, _NOTHING)
        return name in self._always or (entry.include_subdomains and now < entry.expires)


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    expires: float  #: monotonic seconds
    include_subdomains: bool


_NOTHING: Final = _Entry(-math.inf, include_subdomains=False)


def _canonical(host: str) -> str:
    """Give a name in lower case, without the dot that says it is complete."""
    return host.lower().removesuffix(".")


def _above(name: str) -> Iterator[str]:
    """Give the names above a name, from the nearest up."""
    while "." in name:
        name = name.partition(".")[2]
        yield name

"""Which hosts must be contacted over https only: HTTP Strict Transport Security, RFC 6797.

Pure: the time is an argument. The caller ensures that a header was received over a verified TLS
connection, which section 8.1 requires.
"""

import dataclasses
import math
import re
from collections.abc import Iterable, Iterator
from typing import Final

from typed_async_client.hosts import canonical_host, is_address
from typed_async_client.policies.checks import require_count

__all__ = ["HSTSPolicy", "KnownHosts", "parse"]

_MAX_NAME_LENGTH: Final = 253  # longer names can't be resolved, RFC 1035 section 2.3.4
_TCHARS = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a token, RFC 9110 section 5.6.2
_DIRECTIVE = re.compile(
    rf'[ \t]*(?:({_TCHARS})[ \t]*(?:=[ \t]*({_TCHARS}|"(?:[^"\\]|\\.)*")[ \t]*)?)?(?:;|\Z)'
)
_SECONDS = re.compile(r'"[0-9]+"|[0-9]+')


@dataclasses.dataclass(frozen=True, slots=True)
class HSTSPolicy:
    """The contents of a ``Strict-Transport-Security`` header, RFC 6797 section 6.1."""

    max_age: float  #: seconds from now for which the policy applies; 0 removes it
    include_subdomains: bool  #: whether it also applies to subdomains


def parse(header: str) -> HSTSPolicy | None:
    """Parse a ``Strict-Transport-Security`` header, RFC 6797 section 6.1.

    Unknown directives are ignored.

    Args:
        header: the value of the first header field of that name.

    Returns:
        The policy; None if the whole header must be ignored, because ``max-age`` is missing, a
        directive is repeated, or anything is malformed.
    """
    directives = _directives(header)
    max_age = directives.get("max-age")
    if max_age is None or not _SECONDS.fullmatch(max_age):
        return None
    if directives.get("includesubdomains") is not None:  # it takes no value
        return None
    return HSTSPolicy(
        max_age=float(max_age.strip('"')),  # int() limits the number of digits; float() returns inf
        include_subdomains="includesubdomains" in directives,
    )


def _directives(header: str) -> dict[str, str | None]:
    """Return the value of each directive by its lowercase name; nothing if any is malformed."""
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


class KnownHosts:
    """The known HSTS hosts: those that sent a policy, and those configured in advance.

    Not thread-safe: share it between threads only under a lock.

    Args:
        always: hosts that are known permanently, including all of their subdomains.
        max_hosts: maximum number of noted hosts, >= 1; the one noted longest ago is dropped.

    Raises:
        ValueError: ``always`` contains an address, or ``max_hosts`` isn't an integer >= 1.
    """

    def __init__(self, *, always: Iterable[str] = (), max_hosts: int = 10_000) -> None:
        self._always = frozenset(map(canonical_host, always))
        if wrong := sorted(filter(is_address, self._always)):
            raise ValueError(f"an HSTS host must be a name, not an address, got {wrong[0]!r}")
        require_count("max_hosts", max_hosts, at_least=1)
        self._max_hosts = max_hosts
        self._noted: dict[str, _Entry] = {}

    def __len__(self) -> int:
        """The number of noted hosts, including those that have expired but not been dropped."""
        return len(self._noted)

    def note(self, host: str, policy: HSTSPolicy, *, now: float) -> None:
        """Note the policy of a host, RFC 6797 section 8.1; an address is ignored.

        Args:
            host: the host of a URL, in ASCII, without brackets.
            policy: the policy in its header.
            now: monotonic seconds.
        """
        name = canonical_host(host)
        if is_address(name) or len(name) > _MAX_NAME_LENGTH:
            return
        self._noted.pop(name, None)  # so that it's added as the most recent
        if policy.max_age == 0:
            return
        self._noted[name] = _Entry(now + policy.max_age, policy.include_subdomains)
        if len(self._noted) > self._max_hosts:
            del self._noted[next(iter(self._noted))]

    def must_upgrade(self, host: str, *, now: float) -> bool:
        """Return whether a host must be contacted over https only, RFC 6797 section 8.2.

        It must if it's known itself, or if a parent domain is known with its subdomains.

        Args:
            host: the host of a URL, in ASCII, without brackets.
            now: monotonic seconds.
        """
        name = canonical_host(host)
        if len(name) > _MAX_NAME_LENGTH:  # it may have tens of thousands of labels to check
            return False
        entry = self._noted.get(name)
        if entry is not None and now < entry.expires:
            return True
        return name in self._always or any(
            self._covers_subdomains(parent, now) for parent in _parent_domains(name)
        )

    def _covers_subdomains(self, name: str, now: float) -> bool:
        entry = self._noted.get(name, _EXPIRED)
        return name in self._always or (entry.include_subdomains and now < entry.expires)


@dataclasses.dataclass(frozen=True, slots=True)
class _Entry:
    expires: float  #: monotonic seconds
    include_subdomains: bool


_EXPIRED: Final = _Entry(-math.inf, include_subdomains=False)


def _parent_domains(name: str) -> Iterator[str]:
    """Yield the parent domains of a name, nearest first."""
    while "." in name:
        name = name.partition(".")[2]
        yield name

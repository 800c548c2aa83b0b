"""Which parts of a request may follow a redirect to another origin.

Pure: names, values and origins in, a decision out. RFC 9110 section 15.4 asks clients to consider
which header fields a redirect carries; a list of those that may is safer than one of those that may
not, because nobody knows the names of all the headers that hold a secret.
"""

import dataclasses
import enum
import re
from collections.abc import Iterable
from typing import Final, Self

__all__ = ["Origin", "OriginChange", "RedirectPolicy"]

_DEFAULT_PORTS: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_UPGRADES: Final = {"http": "https", "ws": "wss"}
_SECURE: Final = frozenset(_UPGRADES.values())

_CARRIED: Final = frozenset(
    {
        "accept",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-request-id",
    }
)
"""Headers that hold no secret; those that start with ``accept-`` are carried too."""

_CARRIED_VALUES: Final = {
    "connection": frozenset({"close", "keep-alive"}),
    "expect": frozenset({"100-continue"}),
}
"""Headers that only concern how the message is sent, if they have one of these values."""

_NEVER_NAMED: Final = {
    "cookie": "cookies follow if they have a domain that matches: cookies.set(..., domain=...)",
    "content-length": "the client sets it",
    "host": "the client sets it",
    "transfer-encoding": "the client sets it",
}
"""Headers that can't be added to those that are carried, and why."""

_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""A token, RFC 9110 section 5.6.2."""


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port, RFC 6454 section 4."""

    scheme: str  #: in lower case
    host: str  #: in ASCII and lower case; names that differ in a trailing dot are different
    port: int | None  #: None for the default port of the scheme

    @property
    def is_secure(self) -> bool:
        """Whether what is sent to it is encrypted."""
        return self.scheme in _SECURE

    @property
    def effective_port(self) -> int | None:
        """The port, with the default filled in; None if the scheme has none."""
        return _DEFAULT_PORTS.get(self.scheme) if self.port is None else self.port

    def is_upgraded_by(self, other: "Origin") -> bool:
        """Whether ``other`` is this host over TLS: on both default ports, or on the same port."""
        if _UPGRADES.get(self.scheme) != other.scheme or self.host != other.host:
            return False
        ports = self.effective_port, other.effective_port
        return ports in {(80, 443), (self.effective_port, self.effective_port)}


class OriginChange(enum.StrEnum):
    """How a redirect changes the origin."""

    NONE = enum.auto()  #: it stays, or the same host is used over TLS from now on
    OTHER = enum.auto()  #: another host, port or scheme
    INSECURE = enum.auto()  #: from TLS to a connection that isn't encrypted


@dataclasses.dataclass(frozen=True, slots=True)
class RedirectPolicy:
    """What a redirect to another origin carries.

    Attributes:
        headers: names in lower case of headers that are carried as well.
        allow_insecure: whether a redirect from https to http carries what one to another https
            origin does.

    Example:
        >>> policy = RedirectPolicy.of(["X-Api-Key"])
        >>> policy.carries_header("x-api-key", "secret", OriginChange.OTHER, has_body=False)
        True
    """

    headers: frozenset[str] = frozenset()
    allow_insecure: bool = False

    @classmethod
    def of(cls, headers: Iterable[str] = (), *, allow_insecure: bool = False) -> Self:
        """Create a policy from the options of a client.

        Raises:
            TypeError: ``headers`` is a string, or one of its items isn't; ``allow_insecure`` isn't
                a bool.
            ValueError: a name isn't that of a header, or the header can't be carried.
        """
        if not isinstance(allow_insecure, bool):
            raise TypeError(
                f"allow_insecure_redirects must be True or False, got {allow_insecure!r}"
            )
        return cls(_checked_names(headers), allow_insecure)

    def change(self, source: Origin, target: Origin) -> OriginChange:
        """Return how a redirect from ``source`` to ``target`` changes the origin."""
        same = (source.scheme, source.host, source.effective_port)
        if same == (target.scheme, target.host, target.effective_port):
            return OriginChange.NONE
        if source.is_upgraded_by(target):
            return OriginChange.NONE
        if source.is_secure and not target.is_secure and not self.allow_insecure:
            return OriginChange.INSECURE
        return OriginChange.OTHER

    def carries_header(
        self, name: str, value: str, change: OriginChange, *, has_body: bool
    ) -> bool:
        """Whether a header is carried; ``name`` is in lower case."""
        if name in self.headers:
            return change is not OriginChange.INSECURE
        is_about_body = name.startswith("content-") or name in {"expect", "transfer-encoding"}
        if is_about_body and not has_body:
            return False
        if name in _CARRIED_VALUES:
            return value.strip().lower() in _CARRIED_VALUES[name]
        return is_about_body or name in _CARRIED or name.startswith("accept-")


def _checked_names(names: Iterable[str]) -> frozenset[str]:
    """Return the names in lower case.

    Raises:
        TypeError: ``names`` isn't a collection of strings.
        ValueError: one of them isn't the name of a header, or can't be carried.
    """
    if isinstance(names, str | bytes) or not isinstance(names, Iterable):
        raise TypeError(
            f"redirect_headers must be a collection of header names, got {names!r}: "
            'pass ("X-Api-Key",)'
        )
    return frozenset(map(_checked_name, names))


def _checked_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"redirect_headers must contain strings, got {name!r}")
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"redirect_headers contains {name!r}, which isn't the name of a header: names consist "
            "of letters, digits and hyphens"
        )
    if reason := _NEVER_NAMED.get(name.lower()):
        raise ValueError(f"redirect_headers can't contain {name!r}: {reason}")
    return name.lower()

"""The frozen context that each request carries: its limits, its counter, its name.

It knows how many attempts were made and how long to wait, not what a request or an error is.
"""

import copy
import dataclasses
import math
import os
import random
import time
from collections.abc import Mapping
from typing import Any, Self

from typed_async_client.policies.backoff import Backoff

__all__ = ["RequestContext", "checked_context", "copy_metadata"]

_ids = random.Random()  # noqa: S311 - a name must be unique, not secret
if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=_ids.seed)


_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


def _new_id() -> str:
    """Make a random UUID, RFC 9562 version 4; ``uuid.uuid4()`` takes five times as long."""
    d = _ids.getrandbits(128).to_bytes(16).hex()
    return f"{d[:8]}-{d[8:12]}-4{d[13:16]}-{_VARIANT[d[16]]}{d[17:20]}-{d[20:]}"


_ATOMS = frozenset({str, int, float, bool, bytes, type(None)})


def copy_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Copy metadata so deeply that no holder sees what another one changes.

    Raises:
        ValueError: it is not a mapping, or one of its values cannot be copied.
    """
    if not isinstance(metadata, Mapping):
        raise ValueError(f"metadata must be a mapping, got {metadata!r}")  # noqa: TRY004 - the contract says ValueError
    twin = dict(metadata)
    for key, value in twin.items():
        if type(value) not in _ATOMS:
            twin[key] = _deep_copy(key, value)
    return twin


def _deep_copy(key: str, value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception as error:
        raise ValueError(
            f"metadata[{key!r}] cannot be copied ({error}): put plain values into metadata, "
            f"not {type(value).__name__}"
        ) from error


@dataclasses.dataclass(frozen=True, slots=True)
class RequestContext:
    """What one request may do, and how far it has come. Frozen: each step makes a new one.

    Args:
        max_retries: retries after the first attempt, >= 0; 2 retries are 3 attempts.
        current_attempt: failed attempts so far, >= 0.
        base_delay: seconds before the first retry, >= 0.
        backoff_factor: growth of the delay from one retry to the next, >= 1.
        max_delay: seconds that no delay exceeds, >= 0.
        request_id: name of the request in events and results; not empty.
        created_at: wall-clock stamp, seconds since the epoch. Only a stamp: no duration is
            measured against it once the context exists.
        metadata: anything of the caller's. It is copied deeply, here and at each ``clone()``.

    Raises:
        ValueError: a value is out of range; the message names the field and the value.

    Example:
        >>> context = RequestContext(max_retries=3, base_delay=0.5, request_id="orders-17")
        >>> context.increment_attempt().current_attempt
        1
    """

    max_retries: int = 2
    current_attempt: int = 0
    base_delay: float = 1.0
    backoff_factor: float = 2.0
    max_delay: float = 60.0
    request_id: str = dataclasses.field(default_factory=_new_id)
    created_at: float = dataclasses.field(default_factory=time.time)
    metadata: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    _born: float = dataclasses.field(default=0.0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _require_count("max_retries", self.max_retries)
        _require_count("current_attempt", self.current_attempt)
        _require_number("base_delay", self.base_delay, at_least=0)
        _require_number("backoff_factor", self.backoff_factor, at_least=1)
        _require_number("max_delay", self.max_delay, at_least=0)
        _require_number("created_at", self.created_at, at_least=0)
        if not isinstance(self.request_id, str) or not self.request_id:
            raise ValueError(f"request_id must be a non-empty string, got {self.request_id!r}")
        object.__setattr__(self, "metadata", copy_metadata(self.metadata))
        object.__setattr__(self, "_born", time.monotonic() - (time.time() - self.created_at))

    def clone(self) -> Self:
        """Give an equal context that shares nothing mutable with this one."""
        return self._with(self.current_attempt, self.request_id, self.created_at, self._born)

    def increment_attempt(self) -> Self:
        """Give the context after one more failed attempt."""
        attempt = self.current_attempt + 1
        return self._with(attempt, self.request_id, self.created_at, self._born)

    def reset_attempts(self) -> Self:
        """Give the context as if no attempt had failed yet."""
        return self._with(0, self.request_id, self.created_at, self._born)

    def renew(self) -> Self:
        """Give a context with the same limits and metadata for another request, born now."""
        return self._with(0, _new_id(), time.time(), time.monotonic())

    def calculate_delay(self) -> float:
        """Draw the seconds to wait before the attempt that ``current_attempt`` counts.

        0 at attempt 0, else ``base_delay * backoff_factor ** (current_attempt - 1)`` within
        ±20 % at random, never above ``max_delay``.
        """
        return self.backoff.delay(self.current_attempt, random=random.random())  # noqa: S311 - jitter, not a secret

    @property
    def backoff(self) -> Backoff:
        """The policy that the three delay fields describe."""
        return Backoff(self.base_delay, self.backoff_factor, self.max_delay)

    @property
    def has_retries_left(self) -> bool:
        """Whether one more attempt may be made: 2 retries are 3 attempts."""
        return self.current_attempt <= self.max_retries

    @property
    def elapsed_time(self) -> float:
        """Seconds since ``created_at``, counted on the monotonic clock."""
        return time.monotonic() - self._born

    def _with(self, current_attempt: int, request_id: str, created_at: float, born: float) -> Self:
        # dataclasses.replace() would check values known to be good, on the path of each request.
        twin = object.__new__(type(self))
        put = object.__setattr__
        put(twin, "max_retries", self.max_retries)
        put(twin, "current_attempt", current_attempt)
        put(twin, "base_delay", self.base_delay)
        put(twin, "backoff_factor", self.backoff_factor)
        put(twin, "max_delay", self.max_delay)
        put(twin, "request_id", request_id)
        put(twin, "created_at", created_at)
        put(twin, "metadata", copy_metadata(self.metadata) if self.metadata else {})
        put(twin, "_born", born)
        if type(self) is not RequestContext:
            _copy_further_fields(self, twin)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        # The monotonic stamp means nothing in another process, so it is made anew there.
        fields = [field.name for field in dataclasses.fields(self) if field.init]
        return type(self), tuple(getattr(self, name) for name in fields)


def checked_context(context: RequestContext) -> RequestContext:
    """Give a context that a request may begin with.

    Raises:
        TypeError: it is no context.
        ValueError: it has no attempt left.
    """
    if not isinstance(context, RequestContext):
        raise TypeError(
            f"context must be a RequestContext, got {type(context).__name__}: "
            "name the options of a request, as in headers={...}"
        )
    if not context.has_retries_left:
        raise ValueError(
            f"context {context.request_id!r} has no attempt left: current_attempt="
            f"{context.current_attempt} > max_retries={context.max_retries}; "
            "use context.reset_attempts()"
        )
    return context


def _copy_further_fields(context: RequestContext, twin: RequestContext) -> None:
    """Copy what a subclass adds."""
    ours = {field.name for field in dataclasses.fields(RequestContext)}
    for field in dataclasses.fields(context):
        if field.name not in ours:
            object.__setattr__(twin, field.name, copy.deepcopy(getattr(context, field.name)))


def _require_count(name: str, value: object) -> None:
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} must be a whole number >= 0, got {value!r}")


def _require_number(name: str, value: object, *, at_least: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not _fits(value, at_least):
        raise ValueError(f"{name} must be a finite number >= {at_least}, got {value!r}")


def _fits(value: float, at_least: float) -> bool:
    try:
        return math.isfinite(value) and value >= at_least
    except OverflowError:  # an integer beyond every float
        return False

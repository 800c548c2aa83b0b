"""The frozen context that each request carries: its retry limits, attempt counter and id.

It knows how many attempts have failed and how long to wait, not what a request or an error is.
"""

import copy
import dataclasses
import os
import random
import time
from collections.abc import Mapping
from typing import Any, Self

from typed_async_client.drafts import draft_class
from typed_async_client.policies.backoff import Backoff
from typed_async_client.policies.checks import require_count, require_number, wrong_option

__all__ = ["RequestContext", "checked_context", "copy_metadata"]

_ids = random.Random()  # noqa: S311 - an id must be unique, not secret
if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_ids.seed)


_VARIANT = {digit: "89ab"[int(digit, 16) % 4] for digit in "0123456789abcdef"}


def _new_id() -> str:
    """Return a random version 4 UUID (RFC 9562); ``uuid.uuid4()`` is five times slower."""
    h = _ids.getrandbits(128).to_bytes(16).hex()
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-{_VARIANT[h[16]]}{h[17:20]}-{h[20:]}"


_IMMUTABLE = frozenset({str, int, float, bool, bytes, type(None)})


def copy_metadata(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return a deep copy of metadata, so that its holders don't see each other's changes.

    Raises:
        ValueError: it isn't a mapping, or one of its values can't be copied.
    """
    if not isinstance(metadata, Mapping):
        raise wrong_option("metadata", "a mapping", metadata)
    copied = dict(metadata)
    for key, value in copied.items():
        if type(value) not in _IMMUTABLE:
            copied[key] = _deep_copy(key, value)
    return copied


def _copy_if_possible(value: Any) -> Any:
    """Return a deep copy of a value that was copied before, or the value if that fails now.

    A request in flight mustn't fail because of what is attached to it.
    """
    if type(value) in _IMMUTABLE:
        return value
    try:
        return copy.deepcopy(value)
    except Exception:  # noqa: BLE001 - what can't be copied any more is shared
        return value


def _copy_again(metadata: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy_if_possible(value) for key, value in metadata.items()}


def _deep_copy(key: str, value: Any) -> Any:
    try:
        return copy.deepcopy(value)
    except Exception as error:
        raise ValueError(
            f"metadata[{key!r}] can't be copied ({error}): metadata takes values that "
            f"copy.deepcopy can copy, not {type(value).__name__}"
        ) from error


@dataclasses.dataclass(frozen=True, slots=True, repr=False)
class RequestContext:
    """The retry limits and the progress of one request.

    A context is frozen: ``increment_attempt()`` and the other methods return a new one.

    Args:
        max_retries: retries after the first attempt, >= 0; 2 retries are 3 attempts.
        current_attempt: failed attempts so far, >= 0.
        base_delay: seconds before the first retry, >= 0.
        backoff_factor: multiplier of the delay from one retry to the next, >= 1.
        max_delay: upper bound of each delay in seconds, >= 0.
        request_id: identifies the request in events and results; not empty.
        created_at: wall-clock timestamp, seconds since the epoch. Durations are measured on the
            monotonic clock instead, so a change of the system time doesn't affect them.
        metadata: anything the caller wants to attach; deep-copied here and by each ``clone()``,
            which shares what can't be copied any more.

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
    _created: float = dataclasses.field(default=0.0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        require_count("max_retries", self.max_retries)
        require_count("current_attempt", self.current_attempt)
        require_number("base_delay", self.base_delay)
        require_number("backoff_factor", self.backoff_factor, at_least=1)
        require_number("max_delay", self.max_delay)
        require_number("created_at", self.created_at)
        if not isinstance(self.request_id, str) or not self.request_id:
            raise wrong_option("request_id", "a non-empty string", self.request_id)
        object.__setattr__(self, "metadata", copy_metadata(self.metadata))
        object.__setattr__(self, "_created", time.monotonic() - (time.time() - self.created_at))

    def clone(self) -> Self:
        """Return an equal context that shares no mutable state with this one."""
        return self._with(self.current_attempt, self.request_id, self.created_at, self._created)

    def increment_attempt(self) -> Self:
        """Return a context that counts one more failed attempt."""
        attempt = self.current_attempt + 1
        return self._with(attempt, self.request_id, self.created_at, self._created)

    def reset_attempts(self) -> Self:
        """Return a context with no failed attempts, which allows every retry again."""
        return self._with(0, self.request_id, self.created_at, self._created)

    def renew(self) -> Self:
        """Return a context for another request, with the same limits and metadata.

        It has a new ``request_id`` and ``created_at``, and no failed attempts.
        """
        return self._with(0, _new_id(), time.time(), time.monotonic())

    def calculate_delay(self) -> float:
        """Return the seconds to wait before the next attempt, with fresh jitter at each call.

        0 if no attempt has failed, else ``base_delay * backoff_factor ** (current_attempt - 1)``
        with ±20 % jitter, never above ``max_delay``.
        """
        return self.backoff.delay(self.current_attempt, random=random.random())  # noqa: S311 - jitter, not a secret

    @property
    def backoff(self) -> Backoff:
        """The backoff policy that the three delay fields define."""
        return Backoff(self.base_delay, self.backoff_factor, self.max_delay)

    @property
    def has_retries_left(self) -> bool:
        """Whether another attempt is allowed: 2 retries are 3 attempts."""
        return self.current_attempt <= self.max_retries

    @property
    def elapsed_time(self) -> float:
        """Seconds since ``created_at``, measured on the monotonic clock."""
        return time.monotonic() - self._created

    def _with(
        self, current_attempt: int, request_id: str, created_at: float, created: float
    ) -> Self:
        # Called for every request: dataclasses.replace() would validate the values again.
        clone: Any = object.__new__(_ContextDraft)
        clone.max_retries = self.max_retries
        clone.current_attempt = current_attempt
        clone.base_delay = self.base_delay
        clone.backoff_factor = self.backoff_factor
        clone.max_delay = self.max_delay
        clone.request_id = request_id
        clone.created_at = created_at
        clone.metadata = _copy_again(self.metadata) if self.metadata else {}
        clone._created = created
        clone.__class__ = RequestContext
        made: Self = clone if type(self) is RequestContext else _as_subclass(self, clone)
        return made

    def __repr__(self) -> str:
        # The values of the metadata are the caller's own, and may be secrets.
        metadata = ", ".join(f"{key!r}: ..." for key in self.metadata)
        return (
            f"{type(self).__name__}(request_id={self.request_id!r}, "
            f"current_attempt={self.current_attempt}, max_retries={self.max_retries}, "
            f"base_delay={self.base_delay}, backoff_factor={self.backoff_factor}, "
            f"max_delay={self.max_delay}, metadata={{{metadata}}})"
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process has another monotonic clock, so _created is computed again there.
        fields = [field.name for field in dataclasses.fields(self) if field.init]
        return type(self), tuple(getattr(self, name) for name in fields)


def checked_context(context: RequestContext) -> RequestContext:
    """Return ``context`` if a request can start with it.

    Raises:
        TypeError: it isn't a ``RequestContext``.
        ValueError: it has no attempts left.
    """
    if not isinstance(context, RequestContext):
        raise TypeError(
            f"context must be a RequestContext, got {type(context).__name__}: "
            "request options are keyword arguments, as in headers={...}"
        )
    if not context.has_retries_left:
        raise ValueError(
            f"context {context.request_id!r} has no attempts left: current_attempt="
            f"{context.current_attempt} > max_retries={context.max_retries}; "
            "use context.reset_attempts()"
        )
    return context


_ContextDraft = draft_class(RequestContext)


def _as_subclass(context: RequestContext, plain: RequestContext) -> Any:
    """Return a context with the values of ``plain`` and with the fields that a subclass adds."""
    clone = object.__new__(type(context))
    own = {field.name for field in dataclasses.fields(RequestContext)}
    for field in dataclasses.fields(context):
        if field.name in own:
            value = getattr(plain, field.name)
        else:
            value = _copy_if_possible(getattr(context, field.name))
        object.__setattr__(clone, field.name, value)
    return clone

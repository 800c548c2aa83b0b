"""The options of a request that are ours, not httpx's, and the retry limits that options add up to."""

import dataclasses
import enum
import inspect
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Final, Self

from typed_async_client.context import RequestContext
from typed_async_client.policies.checks import (
    require_bool,
    require_count,
    require_number,
    wrong_option,
)
from typed_async_client.policies.resilience import Resilience

__all__ = [
    "OwnOptions",
    "check_store",
    "check_store_kind",
    "check_sync",
    "checked_resilience",
    "limits_of",
]

_DECISIONS: Final = (
    "take_slot",
    "cancel_slot",
    "admit",
    "report",
    "deposit",
    "withdraw",
    "refund",
)
"""What a store of either kind must be able to do."""


class _Unset(enum.Enum):
    LIMIT = enum.auto()


_UNSET: Final = _Unset.LIMIT
"""Stands for a limit that wasn't given, such as a deadline: None means that there is none."""


@dataclasses.dataclass(frozen=True, slots=True)
class OwnOptions:
    """The options of a request that aren't passed to httpx.

    Attributes:
        resilience: the policies of the request; None for those of the client.
        deadline: seconds that it may take in all; None for any time, even if the policies have one.
            If it wasn't given, that of the policies applies.
        idempotency_key: the value of its ``Idempotency-Key`` header; None for none.
        raise_on_status: whether a status of 400 or above is raised; None for what the client says,
            or if there is a ``response_model``, for True.
        response_model: the type that the body is decoded as; None for none.
        max_response_bytes: bytes of the decoded body of the response, at most; None is no limit. If
            it wasn't given, that of the client applies.
    """

    resilience: Resilience | None = None
    deadline: float | _Unset | None = _UNSET
    idempotency_key: str | None = None
    raise_on_status: bool | None = None
    response_model: Any = None
    max_response_bytes: int | _Unset | None = _UNSET

    @classmethod
    def split(cls, options: Mapping[str, Any]) -> tuple[Self, Mapping[str, Any]]:
        """Take our options out of those of a request; return both.

        Raises:
            TypeError: ``resilience`` isn't a ``Resilience``.
            ValueError: another of ours is out of range.
        """
        if _NAMES.isdisjoint(options):
            return cls(), options
        names = _NAMES & options.keys()
        own = cls(**{name: options[name] for name in names})
        if own.resilience is not None:
            checked_resilience(own.resilience)
        if own.deadline is not None and own.deadline is not _UNSET:
            require_number("deadline", own.deadline, above=0)
        _check_key(own.idempotency_key)
        if own.raise_on_status is not None:
            require_bool("raise_on_status", own.raise_on_status)
        if own.max_response_bytes is not _UNSET:
            require_count("max_response_bytes", own.max_response_bytes, or_none=True)
        return own, {name: value for name, value in options.items() if name not in names}

    def deadline_of(self, policies: Resilience) -> float | None:
        """Return the seconds that the request may take in all; None for any time."""
        return policies.deadline if self.deadline is _UNSET else self.deadline

    def response_limit(self, *, default: int | None) -> int | None:
        """Return the bytes that the body of the response may have; None for any number."""
        return default if self.max_response_bytes is _UNSET else self.max_response_bytes

    def raises_status(self, *, default: bool) -> bool:
        """Return whether a status of 400 or above is raised."""
        if self.raise_on_status is None:
            return default or self.response_model is not None
        return self.raise_on_status

    def key_for(self, policies: Resilience, *, is_idempotent: bool) -> str | None:
        """Return the idempotency key to send; None to send none."""
        if self.idempotency_key is not None or is_idempotent or not policies.automatic_key:
            return self.idempotency_key
        return str(uuid.uuid4())


_NAMES = frozenset(field.name for field in dataclasses.fields(OwnOptions))


def checked_resilience(value: object) -> Resilience:
    """Return a value if it is a ``Resilience``.

    Raises:
        TypeError: it isn't.
    """
    if not isinstance(value, Resilience):
        raise TypeError(
            f"resilience must be a Resilience, such as Resilience.standard(), got {value!r:.100}"
        )
    return value


def check_sync(policies: Resilience) -> None:
    """Refuse policies that a synchronous client can't apply.

    Raises:
        TypeError: ``hedge`` is set, or the predicate of the retry policy is async.
    """
    if policies.hedge is not None:
        raise TypeError(
            "hedge sends two requests at the same time, which a synchronous client can't: use an "
            "asynchronous one, or dataclasses.replace(resilience, hedge=None)"
        )
    when = None if policies.retry is None else policies.retry.when
    if inspect.iscoroutinefunction(when):
        raise TypeError(
            "the function that decides about retries (when) is async, which a synchronous client "
            "can't run: use a def"
        )


def check_store(store: object, kind: str | None) -> None:
    """Refuse what isn't a store for a kind of client.

    Args:
        store: what the caller passed; None for none.
        kind: ``"sync"`` or ``"async"``; None if clients of either may come.

    Raises:
        TypeError: it isn't one.
    """
    if store is not None and (isinstance(store, type) or not _has_all(store, _DECISIONS)):
        raise TypeError(f"store must be a StateStore, such as RedisStore(...), got {store!r:.100}")
    if kind is not None:
        check_store_kind(store, kind)


def check_store_kind(store: object, kind: str) -> None:
    """Refuse a store for the other kind of client.

    Raises:
        TypeError: it is one.
    """
    is_async = kind == "async"
    if store is None or _is_async(store) == is_async:
        return
    client, such = (
        ("an asynchronous", "RedisStore") if is_async else ("a synchronous", "SyncRedisStore")
    )
    raise TypeError(
        f"{type(store).__name__} is for the other kind of client: {client} one needs a store such "
        f"as {such}"
    )


def _has_all(value: object, names: Iterable[str]) -> bool:
    return all(callable(getattr(value, name, None)) for name in names)


def _is_async(store: Any) -> bool:
    """Whether a store is awaited; one that passes calls on needn't have async functions for that."""
    return inspect.iscoroutinefunction(store.take_slot) or not hasattr(store, "close")


def limits_of(policies: Resilience, given: Mapping[str, Any]) -> RequestContext:
    """Return the context that a request starts from.

    Args:
        policies: its policies, whose retry policy has limits.
        given: limits that the caller has set beside them, None where there are none.

    Raises:
        ValueError: a limit is out of range, or has no effect.
    """
    chosen = {name: value for name, value in given.items() if value is not None}
    retry = policies.retry
    if retry is None:
        if chosen:
            name, value = next(iter(chosen.items()))
            raise ValueError(
                f"{name}={value!r} has no effect: this resilience has no retry policy; pass it "
                "retry=RetryPolicy()"
            )
        return RequestContext(max_retries=0)
    return RequestContext(
        **{
            "max_retries": retry.max_retries,
            "base_delay": retry.base_delay,
            "backoff_factor": retry.backoff_factor,
            "max_delay": retry.max_delay,
            **chosen,
        }
    )


def _check_key(key: object) -> None:
    if key is None:
        return
    is_text = isinstance(key, str) and key.isascii() and key.isprintable() and key.strip() == key
    if not is_text or not key:
        raise wrong_option("idempotency_key", "printable ASCII text or None", key)

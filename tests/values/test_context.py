"""The frozen context of a request."""

import copy
import dataclasses
import math
import os
import pickle
import threading
import time
import uuid
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client import RequestContext


def test_the_defaults_are_the_documented_ones() -> None:
    """Two retries, a delay of one second that doubles, up to a minute."""
    context = RequestContext()
    assert (context.max_retries, context.current_attempt) == (2, 0)
    assert (context.base_delay, context.backoff_factor, context.max_delay) == (1.0, 2.0, 60.0)
    assert context.metadata == {}


def test_each_context_has_a_random_uuid_and_the_current_time() -> None:
    """Ten thousand contexts have ten thousand ids, each a version 4 UUID."""
    ids = {RequestContext().request_id for _ in range(10_000)}
    assert len(ids) == 10_000
    assert {uuid.UUID(request_id).version for request_id in ids} == {4}
    assert {uuid.UUID(request_id).variant for request_id in ids} == {uuid.RFC_4122}
    assert abs(RequestContext().created_at - time.time()) < 60


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("max_retries", -1),
        ("max_retries", 1.0),
        ("max_retries", "2"),
        ("max_retries", True),
        ("max_retries", None),
        ("current_attempt", -1),
        ("current_attempt", 0.5),
        ("base_delay", -0.1),
        ("base_delay", math.nan),
        ("base_delay", math.inf),
        ("base_delay", "1"),
        ("base_delay", True),
        ("base_delay", 10**400),
        ("max_delay", -1),
        ("max_delay", math.nan),
        ("max_delay", math.inf),
        ("backoff_factor", 0.99),
        ("backoff_factor", math.nan),
        ("backoff_factor", math.inf),
        ("created_at", math.nan),
        ("created_at", None),
        ("request_id", ""),
        ("request_id", 7),
        ("metadata", [("a", 1)]),
        ("metadata", None),
        ("metadata", "ab"),
    ],
)
def test_an_invalid_value_raises_and_the_message_names_it(field: str, value: Any) -> None:
    """It names both the field and the value."""
    with pytest.raises(ValueError, match=field) as raised:
        RequestContext(**{field: value})
    assert repr(value) in str(raised.value)


def test_metadata_that_cannot_be_copied_raises_and_the_message_names_its_key() -> None:
    """A lock can't be copied."""
    with pytest.raises(ValueError, match=r"metadata\['lock'\].*copy.deepcopy can copy"):
        RequestContext(metadata={"lock": threading.Lock()})


def test_a_context_is_frozen() -> None:
    """Its fields can't be assigned."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        RequestContext().max_retries = 5  # type: ignore[misc]  # the point of the test


def test_counting_and_resetting_attempts_leaves_the_original_unchanged() -> None:
    """Each method returns a new context that differs only in the counter."""
    first = RequestContext(request_id="a", metadata={"k": [1]})
    second = first.increment_attempt()
    assert (first.current_attempt, second.current_attempt) == (0, 1)
    assert second.increment_attempt().reset_attempts() == first
    assert dataclasses.replace(second, current_attempt=0) == first


@pytest.mark.parametrize(("attempt", "left"), [(0, True), (2, True), (3, False)])
def test_two_retries_are_three_attempts(attempt: int, left: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Another attempt is allowed after the second failure, but not after the third."""
    assert RequestContext(max_retries=2, current_attempt=attempt).has_retries_left is left


def test_a_renewed_context_keeps_the_limits_and_starts_again() -> None:
    """One context can be the template for many requests."""
    template = RequestContext(max_retries=7, current_attempt=3, metadata={"service": "users"})
    fresh = template.renew()
    assert fresh.max_retries == 7
    assert fresh.current_attempt == 0
    assert fresh.request_id != template.request_id
    assert fresh.created_at >= template.created_at
    assert fresh.metadata == {"service": "users"}


def test_the_callers_metadata_is_copied_on_creation() -> None:
    """Later changes by the caller, even to nested values, don't affect the context."""
    metadata: dict[str, Any] = {"tags": ["a"], "nested": {"deep": [1]}}
    context = RequestContext(metadata=metadata)
    metadata["tags"].append("b")
    metadata["nested"]["deep"].clear()
    metadata["new"] = 1
    assert context.metadata == {"tags": ["a"], "nested": {"deep": [1]}}


@pytest.mark.parametrize("method", ["clone", "increment_attempt", "reset_attempts", "renew"])
def test_no_method_returns_a_context_with_shared_metadata(method: str) -> None:
    """Neither the mapping nor nested values are shared."""
    context = RequestContext(metadata={"nested": {"deep": [1]}})
    other = getattr(context, method)()
    other.metadata["nested"]["deep"].append(2)
    other.metadata["new"] = True
    assert context.metadata == {"nested": {"deep": [1]}}


def test_empty_metadata_is_not_shared_either() -> None:
    """A key added to a clone's metadata doesn't appear in the original."""
    context = RequestContext()
    context.clone().metadata["key"] = 1
    assert context.metadata == {}


def test_cloning_a_context_without_metadata_makes_no_deep_copy() -> None:
    """The common case is fast."""
    context = RequestContext(request_id="a")
    with patch("copy.deepcopy", side_effect=AssertionError("a deep copy was made")):
        assert context.clone() == context


def test_contexts_compare_hash_copy_and_pickle_by_value() -> None:
    """They are values, which work in sets, with ``copy`` and with ``pickle``."""
    context = RequestContext(metadata={"k": [1]})
    assert {context, context.clone()} == {context}
    assert pickle.loads(pickle.dumps(context)) == context
    assert copy.deepcopy(context) == context


def test_elapsed_time_is_measured_on_the_monotonic_clock() -> None:
    """It starts at ``created_at``; later changes of the wall clock don't affect it."""
    context = RequestContext(created_at=time.time() - 100)
    with patch("time.time", return_value=time.time() + 365 * 86400):
        assert 100 <= context.elapsed_time < 160


@pytest.mark.parametrize("attempt", [0, 1, 2, 3])
def test_the_delay_follows_the_documented_formula(attempt: int) -> None:
    """Zero before the first attempt, then doubling, with 20 % jitter."""
    context = RequestContext(base_delay=0.5, current_attempt=attempt)
    expected = 0.5 * 2 ** (attempt - 1) if attempt else 0.0
    assert all(0.8 * expected <= context.calculate_delay() <= 1.2 * expected for _ in range(200))


def test_delays_are_random() -> None:
    """Many clients don't retry at the same instant."""
    context = RequestContext(current_attempt=1)
    assert len({context.calculate_delay() for _ in range(100)}) > 90


@given(
    st.integers(min_value=0, max_value=10**6),
    st.floats(min_value=0, max_value=1e6),
    st.floats(min_value=1, max_value=1e6),
)
def test_no_delay_exceeds_max_delay(attempt: int, base: float, factor: float) -> None:
    """Whatever the parameters, it is between zero and ``max_delay``."""
    context = RequestContext(
        current_attempt=attempt, base_delay=base, backoff_factor=factor, max_delay=30.0
    )
    assert 0 <= context.calculate_delay() <= 30.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_generates_different_ids() -> None:
    """Otherwise parent and child would use the same ids."""
    RequestContext()
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write_end, RequestContext().request_id.encode())
        os._exit(0)
    os.waitpid(child, 0)
    child_id = os.read(read_end, 100).decode()
    os.close(read_end)
    os.close(write_end)
    assert uuid.UUID(child_id).version == 4
    assert child_id != RequestContext().request_id

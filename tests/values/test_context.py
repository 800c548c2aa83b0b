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


def test_the_defaults_are_those_of_the_contract() -> None:
    """Two retries, one second, doubling, a minute at most."""
    context = RequestContext()
    assert (context.max_retries, context.current_attempt) == (2, 0)
    assert (context.base_delay, context.backoff_factor, context.max_delay) == (1.0, 2.0, 60.0)
    assert context.metadata == {}


def test_each_context_has_a_random_uuid_and_a_stamp_of_its_own() -> None:
    """Ten thousand contexts, ten thousand names, each a version 4 UUID."""
    ids = {RequestContext().request_id for _ in range(10_000)}
    assert len(ids) == 10_000
    assert {uuid.UUID(name).version for name in ids} == {4}
    assert {uuid.UUID(name).variant for name in ids} == {uuid.RFC_4122}
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
def test_a_bad_value_is_refused_by_name(field: str, value: Any) -> None:
    """The message names the field and the value, so that the user finds it."""
    with pytest.raises(ValueError, match=field) as refused:
        RequestContext(**{field: value})
    assert repr(value) in str(refused.value)


def test_metadata_that_cannot_be_copied_is_refused_by_its_key() -> None:
    """A lock cannot be kept apart from its other holders."""
    with pytest.raises(ValueError, match=r"metadata\['lock'\].*copy.deepcopy can copy"):
        RequestContext(metadata={"lock": threading.Lock()})


def test_a_context_is_frozen() -> None:
    """Its fields cannot be set; a step makes a new one."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        RequestContext().max_retries = 5  # type: ignore[misc]  # the point of the test


def test_the_counter_goes_up_and_back_without_touching_the_original() -> None:
    """Each step gives a new context that differs in the counter alone."""
    first = RequestContext(request_id="a", metadata={"k": [1]})
    second = first.increment_attempt()
    assert (first.current_attempt, second.current_attempt) == (0, 1)
    assert second.increment_attempt().reset_attempts() == first
    assert dataclasses.replace(second, current_attempt=0) == first


@pytest.mark.parametrize(("attempt", "left"), [(0, True), (2, True), (3, False)])
def test_two_retries_are_three_attempts(attempt: int, left: bool) -> None:  # noqa: FBT001 - a table's column
    """After the second failed attempt one more is left, after the third none."""
    assert RequestContext(max_retries=2, current_attempt=attempt).has_retries_left is left


def test_a_renewed_context_keeps_the_limits_and_starts_over() -> None:
    """One context can be the pattern for many requests."""
    pattern = RequestContext(max_retries=7, current_attempt=3, metadata={"service": "users"})
    fresh = pattern.renew()
    assert fresh.max_retries == 7
    assert fresh.current_attempt == 0
    assert fresh.request_id != pattern.request_id
    assert fresh.created_at >= pattern.created_at
    assert fresh.metadata == {"service": "users"}


def test_the_callers_metadata_is_copied_at_birth() -> None:
    """What the caller changes afterwards, nested too, the context does not see."""
    theirs: dict[str, Any] = {"tags": ["a"], "nested": {"deep": [1]}}
    context = RequestContext(metadata=theirs)
    theirs["tags"].append("b")
    theirs["nested"]["deep"].clear()
    theirs["new"] = 1
    assert context.metadata == {"tags": ["a"], "nested": {"deep": [1]}}


@pytest.mark.parametrize("step", ["clone", "increment_attempt", "reset_attempts", "renew"])
def test_no_step_shares_metadata_with_the_next(step: str) -> None:
    """Nested values and the mapping itself are the new context's own."""
    context = RequestContext(metadata={"nested": {"deep": [1]}})
    other = getattr(context, step)()
    other.metadata["nested"]["deep"].append(2)
    other.metadata["new"] = True
    assert context.metadata == {"nested": {"deep": [1]}}


def test_an_empty_metadata_is_not_shared_either() -> None:
    """A key put into a clone's empty metadata stays there."""
    context = RequestContext()
    context.clone().metadata["key"] = 1
    assert context.metadata == {}


def test_a_clone_without_metadata_copies_nothing_deeply() -> None:
    """The common case costs no deep copy."""
    context = RequestContext(request_id="a")
    with patch("copy.deepcopy", side_effect=AssertionError("a deep copy was made")):
        assert context.clone() == context


def test_contexts_compare_hash_copy_and_pickle_by_value() -> None:
    """They are values: a set of them, a copy of them, a file of them all work."""
    context = RequestContext(metadata={"k": [1]})
    assert {context, context.clone()} == {context}
    assert pickle.loads(pickle.dumps(context)) == context
    assert copy.deepcopy(context) == context


def test_elapsed_time_counts_from_the_stamp_on_the_monotonic_clock() -> None:
    """A wall clock that jumps by a year after birth changes no duration."""
    context = RequestContext(created_at=time.time() - 100)
    with patch("time.time", return_value=time.time() + 365 * 86400):
        assert 100 <= context.elapsed_time < 160


@pytest.mark.parametrize("attempt", [0, 1, 2, 3])
def test_the_delay_is_the_documented_one(attempt: int) -> None:
    """Zero before the first attempt, then doubling, within a fifth either way."""
    context = RequestContext(base_delay=0.5, current_attempt=attempt)
    bare = 0.5 * 2 ** (attempt - 1) if attempt else 0.0
    assert all(0.8 * bare <= context.calculate_delay() <= 1.2 * bare for _ in range(200))


def test_delays_are_drawn_at_random() -> None:
    """A crowd of contexts does not come back at the same instant."""
    context = RequestContext(current_attempt=1)
    assert len({context.calculate_delay() for _ in range(100)}) > 90


@given(
    st.integers(min_value=0, max_value=10**6),
    st.floats(min_value=0, max_value=1e6),
    st.floats(min_value=1, max_value=1e6),
)
def test_no_context_gives_a_delay_above_its_ceiling(
    attempt: int, base: float, factor: float
) -> None:
    """Whatever the numbers, the delay is between zero and ``max_delay``."""
    context = RequestContext(
        current_attempt=attempt, base_delay=base, backoff_factor=factor, max_delay=30.0
    )
    assert 0 <= context.calculate_delay() <= 30.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork on this system")
def test_a_forked_process_draws_other_names() -> None:
    """Parent and child would else name their requests alike."""
    RequestContext()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, RequestContext().request_id.encode())
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reading, 100).decode()
    os.close(reading)
    os.close(writing)
    assert uuid.UUID(theirs).version == 4
    assert theirs != RequestContext().request_id

"""What a store has granted to an attempt, given back step by step."""

from typing import Any

import pytest
from fleet_kit import BREAKER, ORIGIN, SLOW, policies

from typed_async_client import RequestContext, RequestRecord
from typed_async_client.engine.fleet import FleetAdmission
from typed_async_client.engine.run import Run
from typed_async_client.engine.shared import SharedPolicies
from typed_async_client.engine.steps import Consult, Flow, Step
from typed_async_client.stores import Reservation, StateKey, SyncLocalStore


class Interruption(BaseException):
    """Interrupts a flow, as a cancellation does."""


def run_with(store: SyncLocalStore) -> Run:
    """Return a request at the time 0.0."""
    chosen = SharedPolicies(store).of(policies(rate_limit=SLOW, circuit=BREAKER))
    return Run(
        RequestContext(),
        chosen,
        lambda: 0.0,
        lambda: 0.5,
        RequestRecord("GET", ORIGIN),
        idempotent=True,
        wanted=frozenset(),
    )


def answer(step: Step[Any]) -> Any:
    """Ask the store."""
    assert isinstance(step, Consult)
    return step.function(step.argument)


def granted(store: SyncLocalStore) -> FleetAdmission:
    """Return an attempt that has a turn, and the admission of a circuit."""
    fleet = FleetAdmission(run_with(store))
    for name in ("rate_limit", "circuit"):
        asking: Flow[Any] = fleet.ask(name)
        with pytest.raises(StopIteration):
            asking.send(answer(next(asking)))
    return fleet


def free_at_once(store: SyncLocalStore) -> bool:
    """Whether the next attempt may begin now."""
    slot = store.take_slot(StateKey("rate_limit", ORIGIN), SLOW, now=0.0)
    assert isinstance(slot, Reservation)
    return slot.wait == 0


def test_what_was_granted_is_given_back_once() -> None:
    """The turn, then the admission; there is nothing to ask about afterwards."""
    store = SyncLocalStore()
    fleet = granted(store)
    giving = fleet.give_back()
    reporting = giving.send(answer(next(giving)))
    with pytest.raises(StopIteration):
        giving.send(answer(reporting))
    assert list(fleet.give_back()) == []
    assert free_at_once(store)


def test_an_interruption_while_the_turn_is_given_back_does_not_keep_the_admission() -> None:
    """It is raised when the circuit has been told."""
    giving = granted(SyncLocalStore()).give_back()
    next(giving)
    reporting = giving.throw(Interruption())
    assert isinstance(reporting, Consult)
    assert reporting.argument == StateKey("circuit", ORIGIN)
    with pytest.raises(Interruption):
        giving.send(answer(reporting))


def test_a_flow_that_is_closed_asks_nothing_more() -> None:
    """No driver would perform the step."""
    giving = granted(SyncLocalStore()).give_back()
    next(giving)
    giving.close()
    assert list(giving) == []

"""The checks of the values of options."""

import math

import pytest

from typed_async_client.policies.checks import (
    checked_exceptions,
    checked_members,
    checked_statuses,
    require_bool,
    require_count,
    require_number,
    require_one_of,
)
from typed_async_client.policies.classify import Fault


@pytest.mark.parametrize("value", [-1, 1.0, True, None, "2", math.nan])
def test_a_count_is_an_integer_that_is_large_enough(value: object) -> None:
    """The message names the option, the limit and the value."""
    with pytest.raises(ValueError, match=r"^max_retries must be an integer >= 0, got "):
        require_count("max_retries", value)
    with pytest.raises(ValueError, match=r"^probes must be an integer >= 1, got 0$"):
        require_count("probes", 0, at_least=1)


@pytest.mark.parametrize("value", [-0.1, math.inf, math.nan, True, None, "2", 10**400])
def test_a_number_is_finite_and_large_enough(value: object) -> None:
    """An integer too large for a float isn't finite."""
    with pytest.raises(ValueError, match=r"^ttl must be a finite number >= 0, got "):
        require_number("ttl", value)


def test_a_number_may_have_to_exceed_a_limit() -> None:
    """Or not to exceed one."""
    with pytest.raises(ValueError, match=r"^ttl must be a finite number > 0, got 0$"):
        require_number("ttl", 0, above=0)
    with pytest.raises(ValueError, match=r"^ratio must be a finite number >= 0 and <= 1, got 1.5$"):
        require_number("ratio", 1.5, at_most=1)
    require_number("ttl", 0.001, above=0)
    require_number("ratio", 1, at_most=1)


@pytest.mark.parametrize("value", [0, 1.0, "2"])
def test_a_count_may_be_missing(value: object) -> None:
    """If None stands for no limit; the message says so."""
    with pytest.raises(ValueError, match=r"^limit must be an integer >= 1 or None, got "):
        require_count("limit", value, at_least=1, or_none=True)
    require_count("limit", None, at_least=1, or_none=True)


@pytest.mark.parametrize("value", [-1, math.nan, -math.inf, "2", 10**400])
def test_a_number_may_be_infinite(value: object) -> None:
    """If infinity stands for no limit; an integer that no float can hold is refused."""
    with pytest.raises(ValueError, match=r"^grace must be a number >= 0, got "):
        require_number("grace", value, finite=False)
    require_number("grace", math.inf, finite=False)


@pytest.mark.parametrize("value", [0, 1, None, "yes"])
def test_a_switch_is_true_or_false(value: object) -> None:
    """Not something that counts as one of them."""
    with pytest.raises(ValueError, match=r"^any_method must be True or False, got "):
        require_bool("any_method", value)


@pytest.mark.parametrize("value", ["half", "", None, 3])
def test_a_name_is_one_of_those_that_exist(value: object) -> None:
    """The message lists them."""
    with pytest.raises(ValueError, match=r"^jitter must be one of full, none, got "):
        require_one_of("jitter", value, ("full", "none"))


@pytest.mark.parametrize("values", [503, None, "503", b"503"])
def test_statuses_are_a_collection(values: object) -> None:
    """Not a single one, and not a string."""
    with pytest.raises(ValueError, match=r"^statuses must be a collection of statuses, such as "):
        checked_statuses("statuses", values)


@pytest.mark.parametrize("status", [0, 100, 199, 1000, 503.0, "503", True])
def test_a_status_is_that_of_a_final_response(status: object) -> None:
    """An interim response is never the outcome of an attempt."""
    with pytest.raises(ValueError, match=r"^statuses must be integers from 200 to 999, got "):
        checked_statuses("statuses", [503, status])


def test_members_are_of_their_enumeration() -> None:
    """A string that equals one isn't one."""
    with pytest.raises(ValueError, match=r"^faults must be members of Fault, got 'connect'$"):
        checked_members("faults", ["connect"], Fault)
    assert checked_members("faults", iter([Fault.LOST]), Fault) == {Fault.LOST}


@pytest.mark.parametrize("value", [3, "OSError", [OSError()], KeyboardInterrupt, (int,), None])
def test_exceptions_are_classes_that_may_be_handled(value: object) -> None:
    """A cancellation may not."""
    with pytest.raises(ValueError, match=r"^on must be (a collection of|subclasses of) "):
        checked_exceptions("on", value)


def test_collections_are_copied() -> None:
    """So a policy doesn't change with the caller's own set."""
    statuses = {503}
    checked = checked_statuses("statuses", statuses)
    statuses.add(500)
    assert checked == {503}
    assert checked_exceptions("on", OSError) == (OSError,)
    assert checked_exceptions("on", [OSError, KeyError]) == (OSError, KeyError)


def test_values_within_the_limits_are_accepted() -> None:
    """The smallest ones too."""
    require_count("max_retries", 0)
    require_number("ttl", 0)
    require_bool("any_method", value=False)
    require_one_of("jitter", "full", ("full", "none"))

"""The checks of a policy's options."""

import math

import pytest

from typed_async_client.policies.checks import require_bool, require_count, require_number


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


@pytest.mark.parametrize("value", [0, 1, None, "yes"])
def test_a_switch_is_true_or_false(value: object) -> None:
    """Not something that counts as one of them."""
    with pytest.raises(ValueError, match=r"^any_method must be True or False, got "):
        require_bool("any_method", value)


def test_values_within_the_limits_are_accepted() -> None:
    """The smallest ones too."""
    require_count("max_retries", 0)
    require_number("ttl", 0)
    require_bool("any_method", value=False)

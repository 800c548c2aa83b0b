"""The options of a request that are ours, separated from those of httpx."""

import copy
import pickle

import pytest

from typed_async_client import Resilience
from typed_async_client.request_options import OwnOptions

LIMITED = Resilience(deadline=9.0)


@pytest.mark.parametrize(
    ("given", "expected"), [({}, 9.0), ({"deadline": None}, None), ({"deadline": 5.0}, 5.0)]
)
def test_a_deadline_that_was_given_replaces_that_of_the_policies(
    given: dict[str, object], expected: float | None
) -> None:
    """None means none; copies say the same."""
    own, rest = OwnOptions.split({**given, "timeout": 1.0})
    copies = [own, copy.deepcopy(own), pickle.loads(pickle.dumps(own))]
    assert [each.deadline_of(LIMITED) for each in copies] == [expected] * 3
    assert rest == {"timeout": 1.0}


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, 9), ({"max_response_bytes": None}, None), ({"max_response_bytes": 0}, 0)],
)
def test_a_limit_that_was_given_replaces_that_of_the_client(
    given: dict[str, object], expected: int | None
) -> None:
    """None means none; copies say the same."""
    own, _ = OwnOptions.split(given)
    copies = [own, copy.deepcopy(own), pickle.loads(pickle.dumps(own))]
    assert [each.response_limit(default=9) for each in copies] == [expected] * 3


def test_no_number_stands_for_a_deadline_that_was_not_given() -> None:
    """Each that isn't > 0 is refused."""
    with pytest.raises(ValueError, match=r"^deadline must be a finite number > 0, got -1\.0$"):
        OwnOptions.split({"deadline": -1.0})

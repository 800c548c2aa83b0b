"""The errors that this package defines."""

import pickle

import httpcore
import httpx
import pytest

from typed_async_client import ConnectError


@pytest.mark.parametrize("caught_as", [httpx.ConnectError, httpcore.ConnectError, ConnectError])
def test_a_connect_error_is_caught_as_any_of_its_three_classes(caught_as: type[Exception]) -> None:
    """Code written for httpx or for httpcore works unchanged."""
    with pytest.raises(caught_as):
        raise ConnectError("no connection")


def test_a_connect_error_pickles_with_its_request_and_notes() -> None:
    """It can be passed to another process."""
    error = ConnectError("no connection", request=httpx.Request("GET", "http://a.test/"))
    error.add_note("after 3 attempts")
    restored = pickle.loads(pickle.dumps(error))
    assert type(restored) is ConnectError
    assert str(restored) == "no connection"
    assert restored.request.url == "http://a.test/"
    assert restored.__notes__ == ["after 3 attempts"]

"""The errors that are ours."""

import pickle

import httpcore
import httpx
import pytest

from typed_async_client import ConnectError


@pytest.mark.parametrize("caught_as", [httpx.ConnectError, httpcore.ConnectError, ConnectError])
def test_a_connect_error_is_caught_under_three_names(caught_as: type[Exception]) -> None:
    """Code written for httpx or for httpcore needs no change."""
    with pytest.raises(caught_as):
        raise ConnectError("no connection")


def test_a_connect_error_pickles_with_its_request_and_notes() -> None:
    """It can cross a process boundary."""
    error = ConnectError("no connection", request=httpx.Request("GET", "http://a.test/"))
    error.add_note("after 3 attempts")
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is ConnectError
    assert str(twin) == "no connection"
    assert twin.request.url == "http://a.test/"
    assert twin.__notes__ == ["after 3 attempts"]

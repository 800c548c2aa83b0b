"""What events and requests hold is copied, so that its holders don't see each other's changes."""

from typing import Any
from unittest.mock import Mock

import httpx

from typed_async_client.copies import copy_value


def test_a_response_is_copied_with_its_headers_and_its_request() -> None:
    """Both copies read the same body."""
    request = httpx.Request("GET", "http://api.test/")
    response = httpx.Response(200, headers={"a": "1"}, content=b"hello", request=request)
    copied = copy_value(response)
    copied.headers["a"] = "2"
    copied.request.headers["b"] = "3"
    assert (response.headers["a"], "b" in request.headers) == ("1", False)
    assert copied.content == b"hello"


def test_a_response_without_a_request_is_copied() -> None:
    """A mock transport may return such a response, and so may the caller's own code."""
    assert copy_value(httpx.Response(204)).status_code == 204


def test_a_mock_of_a_response_is_copied_like_any_other_object() -> None:
    """It claims to be a response, and has none of the state of one."""
    mock = Mock(spec=httpx.Response, tags=["a"])
    copied = copy_value(mock)
    copied.tags.append("b")
    assert mock.tags == ["a"]


def test_each_response_of_a_history_is_copied_once() -> None:
    """Each has those before it in its own history, so copying all of them again would double."""
    copied: list[int] = []

    class Counted(httpx.Response):
        def __getstate__(self) -> dict[str, Any]:
            copied.append(self.status_code)
            return super().__getstate__()

    chain: list[httpx.Response] = []
    for status in range(300, 317):
        chain.append(Counted(status, history=list(chain)))
    last = copy_value(chain[-1])
    assert sorted(copied) == list(range(300, 317))
    assert [response.status_code for response in last.history] == list(range(300, 316))
    assert last.history[5].history[3] is last.history[3]
    assert last.history[3] is not chain[3]

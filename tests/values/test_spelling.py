"""A wrong option name is refused with the right one, or with the place where it belongs."""

from typing import Any

import pytest

from typed_async_client import AsyncResilientClient


@pytest.mark.parametrize(
    ("option", "advice"),
    [
        ("header", "did you mean 'headers'? Known are auth, content, "),
        ("allow_redirects", "did you mean 'follow_redirects'? Known are auth, "),
        ("stream", "use `async with client.stream(method, url) as response`"),
        ("max_retries", "pass context=client.new_context(max_retries=...)"),
        ("retries", "pass context=client.new_context(max_retries=...)"),
        ("request_id", "pass context=client.new_context(request_id=...)"),
        ("verify", "verify is an option of the client: pass it there"),
        ("proxies", "proxy is an option of the client: pass it there"),
    ],
)
async def test_an_option_that_no_request_has_is_explained(option: str, advice: str) -> None:
    """The most similar name counts; nothing is suggested if there is none."""
    options: Any = {option: 1}
    async with AsyncResilientClient() as client:
        with pytest.raises(TypeError) as raised:
            await client.request("GET", "https://a.test/", **options)
    assert str(raised.value).startswith(f"unknown request option {option!r}: {advice}")


def test_a_client_option_is_never_guessed_at_random() -> None:
    """Of ``cookies`` and ``pool_size``, half of the letters are the same."""
    options: Any = {"pool_size": 10}
    with pytest.raises(TypeError, match=r"unknown client option 'pool_size': known are"):
        AsyncResilientClient(**options)


async def test_several_wrong_options_are_named_together() -> None:
    """With one advice for each."""
    options: Any = {"max_retries": 1, "request_id": "a"}
    async with AsyncResilientClient() as client:
        with pytest.raises(TypeError) as raised:
            await client.get("https://a.test/", **options)
    assert str(raised.value) == (
        "unknown request options 'max_retries', 'request_id': "
        "pass context=client.new_context(max_retries=...); "
        "pass context=client.new_context(request_id=...)"
    )

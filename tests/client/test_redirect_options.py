"""The options for redirects are checked when the client is created."""

from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient, simple_async_request


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"redirect_headers": "X-Api-Key"}, TypeError, "must be a collection of header names"),
        ({"redirect_headers": ["X Api Key"]}, ValueError, "isn't the name of a header"),
        ({"redirect_headers": ["Cookie"]}, ValueError, "cookies follow if they have a domain"),
        ({"allow_insecure_redirects": "no"}, TypeError, "must be True or False, got 'no'"),
        ({"redirect_header": ["X-Api-Key"]}, TypeError, "did you mean 'redirect_headers'"),
    ],
)
def test_a_wrong_option_is_refused(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Before anything is sent."""
    with pytest.raises(error, match=message):
        AsyncResilientClient(**options)


@pytest.mark.parametrize("option", ["redirect_headers", "allow_insecure_redirects"])
async def test_an_external_client_follows_redirects_in_its_own_way(option: str) -> None:
    """So the options would have no effect."""
    options: dict[str, Any] = {option: ["X-Api-Key"]}
    async with httpx.AsyncClient() as external:
        with pytest.raises(ValueError, match=f"follows redirects in its own way: {option} can't"):
            AsyncResilientClient(http_client=external, **options)


async def test_a_single_request_takes_the_options_too() -> None:
    """They are passed on to the client that is created for it."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "a.test":
            return httpx.Response(302, headers={"Location": "https://b.test/"})
        return httpx.Response(200, text=request.headers.get("X-Tenant", ""))

    response = await simple_async_request(
        "GET",
        "https://a.test/",
        headers={"X-Tenant": "acme"},
        follow_redirects=True,
        redirect_headers=["X-Tenant"],
        transport=httpx.MockTransport(answer),
    )
    assert response.text == "acme"

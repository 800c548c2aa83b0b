"""Bodies that are encoded when a request is submitted."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from typed_async_client import AsyncResilientClient, RequestBodyConsumedError
from typed_async_client.bodies import encode_body

BODIES: list[dict[str, Any]] = [
    {"json": {"a": [1, "é", None]}},
    {"json": []},
    {"json": False},
    {"json": None},
    {"data": {"a": "b", "c": ["d", "e"]}},
    {"data": {}},
    {"data": {}, "json": {"a": 1}},
    {"data": {"a": "b"}, "json": {"c": 1}},
    {"content": b"x", "json": {"a": 1}},
    {"content": b"", "data": {"a": "b"}},
    {"json": {"a": 1}, "headers": {"content-type": "application/vnd.api+json", "X-A": "1"}},
    {"json": {"a": 1}, "headers": [("X-A", "1"), ("X-A", "2")]},
    {"json": {"a": 1}, "headers": None},
    {
        "data": {"a": "b"},
        "files": {"f": b"x"},
        "headers": {"Content-Type": "multipart/form-data; boundary=b"},
    },
]


def sent_with(client: Any, options: dict[str, Any]) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Return the headers and the body of a request with these options."""
    request = client.build_request("POST", "http://a.test/", **options)
    return request.headers.raw, request.read()


@pytest.mark.parametrize("options", BODIES, ids=repr)
@pytest.mark.parametrize(
    "headers", [{}, {"Content-Type": "multipart/form-data; boundary=c"}, {"X-B": "1"}]
)
def test_a_request_is_the_same_as_with_httpx(
    options: dict[str, Any], headers: dict[str, str]
) -> None:
    """Its headers too, and their order."""
    client = httpx.AsyncClient(headers=headers)
    encoded = dict(options)
    encode_body(encoded, client)
    assert sent_with(client, encoded) == sent_with(client, options)
    assert "json" not in encoded or options.get("content") is not None or options["json"] is None


def test_data_in_bytes_is_left_to_httpx() -> None:
    """It takes them as content, and warns."""
    encoded: dict[str, Any] = {"data": b"raw"}
    encode_body(encoded, httpx.AsyncClient())
    assert encoded == {"data": b"raw"}


MINE = {"Content-Type": "multipart/form-data; boundary=mine"}


def test_a_form_with_files_gets_its_boundary_when_it_is_submitted() -> None:
    """So all attempts have the same one."""
    encoded: dict[str, Any] = {"files": {"f": b"x"}}
    encode_body(encoded, httpx.AsyncClient())
    chosen = encoded["headers"]["Content-Type"]
    assert re.fullmatch("multipart/form-data; boundary=[0-9a-f]{32}", chosen)


@pytest.mark.parametrize(
    ("headers", "client"),
    [(MINE, httpx.AsyncClient()), (None, httpx.AsyncClient(headers=MINE)), (None, object())],
)
def test_a_content_type_of_the_caller_is_kept_with_files(headers: Any, client: Any) -> None:
    """A client that isn't of httpx chooses its own."""
    encoded = {"files": {"f": b"x"}, "headers": headers}
    encode_body(encoded, client)
    assert encoded["headers"] is headers


@pytest.mark.parametrize("value", [object(), {"a": {1, 2}}, float("nan"), {"a": float("inf")}])
async def test_what_is_no_json_raises_before_anything_is_submitted(value: Any) -> None:
    """JSON has neither sets nor infinite numbers."""
    async with AsyncResilientClient() as client:
        with pytest.raises((TypeError, ValueError), match="JSON"):
            await client.post("http://a.test/", json=value)
        assert client.statistics().submitted == 0


async def test_each_attempt_sends_what_was_submitted() -> None:
    """The value may be changed as soon as the request is submitted, also if it can't be copied."""

    class Uncopyable(dict[str, Any]):
        def __deepcopy__(self, memo: Any) -> Any:
            raise TypeError("no")

    sent: list[bytes] = []

    def refuse_once(request: httpx.Request) -> httpx.Response:
        sent.append(request.content)
        if len(sent) == 1:
            raise httpx.ConnectError("refused", request=request)
        return httpx.Response(200)

    transport = httpx.MockTransport(refuse_once)
    async with AsyncResilientClient(transport=transport, base_delay=0.0) as client:
        value = Uncopyable(a=1)
        task = await client.post("http://a.test/", json=value)
        value["a"] = 2
        await task
    assert sent == [b'{"a":1}', b'{"a":1}']


async def test_a_generator_that_has_ended_is_refused() -> None:
    """It would send an empty body."""

    async def parts() -> AsyncIterator[bytes]:
        yield b"once"

    generators: list[Any] = [parts(), (part for part in [b"once"])]
    assert [part async for part in generators[0]] == list(generators[1]) == [b"once"]
    async with AsyncResilientClient() as client:
        for ended in generators:
            with pytest.raises(RequestBodyConsumedError, match="has ended"):
                await client.post("http://127.0.0.1:1/", content=ended)
        assert client.statistics().submitted == 0

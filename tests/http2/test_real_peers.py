"""HTTP/2 with servers that people run: each test is repeated with each, over TLS and without."""

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from peer_app import LIMIT, made_bytes
from real_peers import PEERS, Peer, Peers, running_peers

from typed_async_client import AsyncPoolTransport, create_async_resilient_client

SIZE = 8 * 2**20
ALL = [(name, secure) for name in PEERS for secure in (True, False)]
IDS = [f"{name} {way}" for name in PEERS for way in ("TLS", "plain")]


@pytest.fixture(name="peers", scope="module")
def _peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peers]:
    with running_peers(tmp_path_factory.mktemp("peers")) as peers:
        yield peers


@pytest.fixture(name="peer", params=ALL, ids=IDS)
def _peer(request: pytest.FixtureRequest, peers: Peers) -> Peer:
    name, secure = request.param
    return peers.peer(name, secure=secure)


@pytest.fixture(name="transport")
def _transport(peer: Peer) -> AsyncPoolTransport:
    return peer.transport()


@pytest_asyncio.fixture(name="client")
async def _client(peer: Peer, transport: AsyncPoolTransport) -> AsyncIterator[httpx.AsyncClient]:
    """Open a client, and check that all went over HTTP/2 and that its pool is idle at the end."""
    versions = set()

    async def note(response: httpx.Response) -> None:
        versions.add(response.http_version)

    hooks = {"response": [note]}
    async with httpx.AsyncClient(
        transport=transport, base_url=peer.url, timeout=20, event_hooks=hooks
    ) as client:
        yield client
        stats = transport.statistics()
        assert (stats.active, stats.connecting, stats.waiting) == (0, 0, 0)
    assert versions == {"HTTP/2"}


async def generated(body: bytes, *, part: int = 50_000) -> AsyncIterator[bytes]:
    """Generate a body in parts."""
    for start in range(0, len(body), part):
        yield body[start : start + part]


async def test_a_small_response(client: httpx.AsyncClient) -> None:
    """The body is the name at the end of the path, whether or not a query follows."""
    assert (await client.get("echo/small/one")).text == "one"
    assert (await client.get("echo/small/one", params={"a": "b c"})).text == "one"


async def test_two_hundred_requests_share_two_connections(
    client: httpx.AsyncClient, transport: AsyncPoolTransport
) -> None:
    """Each gets its own response; a connection has fewer streams than that."""
    bodies = [f"number {number}".encode() for number in range(200)]
    tasks = [client.post(f"echo/many/{number}", content=body) for number, body in enumerate(bodies)]
    responses = await asyncio.gather(*tasks)
    assert [response.content for response in responses] == bodies
    assert transport.statistics().opened <= 2


async def test_a_large_download_is_complete(client: httpx.AsyncClient) -> None:
    """Eight mebibytes, subject to flow control, whole and in parts, beside each other."""
    whole, parts = await asyncio.gather(
        client.get(f"bytes/{SIZE}"), streamed_hash(client, f"bytes/{SIZE}")
    )
    expected = hashlib.sha256(made_bytes(SIZE)).hexdigest()
    assert (hashlib.sha256(whole.content).hexdigest(), parts) == (expected, expected)


async def streamed_hash(client: httpx.AsyncClient, url: str) -> str:
    """Read a body part by part; return its hash."""
    digest = hashlib.sha256()
    async with client.stream("GET", url) as response:
        async for part in response.aiter_bytes():
            digest.update(part)
    return digest.hexdigest()


@pytest.mark.parametrize("kind", ["bytes", "generator"])
async def test_a_large_upload_is_complete(client: httpx.AsyncClient, kind: str) -> None:
    """Eight mebibytes, with a length and without."""
    body = made_bytes(SIZE)
    content = body if kind == "bytes" else generated(body)
    response = await client.post("hash/", content=content)
    assert response.text == f"{SIZE} {hashlib.sha256(body).hexdigest()}"


@pytest.mark.parametrize("peer", ALL[2:], ids=IDS[2:], indirect=True)
async def test_a_body_that_is_refused_early(client: httpx.AsyncClient) -> None:
    """The refusal is delivered, and the connection serves what follows.

    Not hypercorn, which drops a connection if data of a request arrive after its response.
    """
    body = made_bytes(LIMIT * 20)
    responses = await asyncio.gather(
        client.post("limited/", content=body),
        client.post("limited/", content=generated(body)),
        client.post("echo/refused/beside", content=b"beside"),
    )
    assert [response.status_code for response in responses] == [413, 413, 200]
    assert (await client.post("limited/", content=b"small")).text == "fine"


async def test_responses_without_a_body(client: httpx.AsyncClient) -> None:
    """They end with their head: those to HEAD, and those of two statuses."""
    requests = (
        ("HEAD", "bytes/100000", 200),
        ("GET", "status/204", 204),
        ("GET", "status/304", 304),
        ("POST", "status/204", 204),
    )
    tasks = [client.request(method, path) for method, path, _ in requests]
    responses = await asyncio.gather(*tasks)
    expected = [(status, b"") for _, _, status in requests]
    assert [(response.status_code, response.content) for response in responses] == expected


@pytest.mark.parametrize("peer", ALL[2:], ids=IDS[2:], indirect=True)
async def test_a_body_that_is_cut_is_an_error(client: httpx.AsyncClient) -> None:
    """The proxy lost its server: it resets the stream, and the requests beside it go on.

    Not hypercorn, which leaves the stream open.
    """
    cut, beside = await asyncio.gather(
        client.get("cut"), client.get("echo/cut/beside"), return_exceptions=True
    )
    assert isinstance(cut, httpx.RemoteProtocolError)
    assert isinstance(beside, httpx.Response)
    assert beside.text == "beside"


async def test_trailers_end_a_body(client: httpx.AsyncClient) -> None:
    """Only the body before them is its content."""
    response = await client.get("trailers", headers={"TE": "trailers"})
    assert (response.status_code, response.text) == (200, "before trailers")
    assert "x-checksum" not in response.headers


async def test_early_hints_come_before_a_response(client: httpx.AsyncClient) -> None:
    """The final response is delivered. All but nginx, which has none to pass on, send them."""
    response = await client.get("hints")
    assert (response.status_code, response.text) == (200, "after hints")


async def test_redirects_are_followed(client: httpx.AsyncClient) -> None:
    """With the body, on the same connection."""
    response = await client.post("redirect/3", content=b"kept", follow_redirects=True)
    assert (response.text, len(response.history)) == ("kept", 3)


async def test_cancelled_requests_leave_the_others_intact(client: httpx.AsyncClient) -> None:
    """A hundred of 300 are cancelled, each after a random number of turns of the loop."""
    chance = random.Random(20)
    requests: list[asyncio.Task[Any]] = [
        asyncio.create_task(_one_of_many(client, number)) for number in range(300)
    ]
    doomed = chance.sample(range(300), 100)
    due = sorted((chance.randrange(150), number) for number in doomed)
    turn = 0
    for when, number in due:
        while turn < when:
            await asyncio.sleep(0)
            turn += 1
        requests[number].cancel()
    ended = await asyncio.gather(*requests, return_exceptions=True)
    others = [result for number, result in enumerate(ended) if number not in doomed]
    assert others == [True] * 200
    assert {type(ended[number]) for number in doomed} <= {bool, asyncio.CancelledError}
    assert await _one_of_many(client, 300)


async def _one_of_many(client: httpx.AsyncClient, number: int) -> bool:
    """Make one of three kinds of requests; return whether its response is right."""
    body = f"number {number} ".encode() * (1 + number % 3 * 3000)
    if number % 3 == 0:
        return (await client.get(f"echo/cancelled/{number}")).text == str(number)
    response = await client.post(f"echo/cancelled/{number}", content=generated(body))
    return response.content == body


async def test_the_resilient_client_speaks_with_them(peer: Peer) -> None:
    """Its requests end with success, and none is sent twice."""
    options: dict[str, Any] = {"verify": peer.context} if peer.context else {"http1": False}
    async with create_async_resilient_client(http2=True, base_url=peer.url, **options) as client:
        tasks = [await client.get(f"echo/resilient/{number}") for number in range(50)]
        responses = await asyncio.gather(*tasks)
    assert [response.text for response in responses] == [str(number) for number in range(50)]
    assert {response.http_version for response in responses} == {"HTTP/2"}

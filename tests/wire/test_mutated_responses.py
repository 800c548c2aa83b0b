"""Ten thousand spoilt responses on real sockets: an answer, the right one, or an error; no hang."""

import asyncio
from typing import Any, Self

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutations import mutants
from response_corpus import CORPUS, KEPT
from strict_reader import Answer, read_strictly

from typed_async_client.pool.connector import Http11
from typed_async_client.pool.transport import AsyncPoolTransport

pytestmark = pytest.mark.bulk

PARSERS: tuple[Http11, ...] = ("h11", "llhttp")
BATCH, BATCHES = 50, 200
LIMITS = httpx.Limits(max_connections=BATCH, max_keepalive_connections=0)

End = Answer | type[httpx.TransportError]


class Sending(asyncio.Protocol):
    """Sends the response whose number is asked for, in two pieces, and closes the connection."""

    def __init__(self, responses: list[bytes]) -> None:
        self._responses = responses

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the connection."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Send the first piece now and the second a turn later."""
        number = int(data.split(b" ", 2)[1][1:])
        response = self._responses[number]
        place = number * 7 % (len(response) + 1)
        self._transport.write(response[:place])
        asyncio.get_running_loop().call_soon(self._finish, response[place:])

    def _finish(self, rest: bytes) -> None:
        self._transport.write(rest)
        self._transport.close()


class Table:
    """A server of responses, and a pool for each parser. Use it in ``async with``."""

    def __init__(self) -> None:
        self._responses: list[bytes] = []
        self._pools = {
            name: AsyncPoolTransport(verify=False, http11=name, limits=LIMITS) for name in PARSERS
        }

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Sending(self._responses), "127.0.0.1", 0)
        self._url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        for pool in self._pools.values():
            await pool.aclose()
        self._server.close()
        await self._server.wait_closed()

    async def ends_of(self, responses: list[bytes]) -> list[tuple[End, End]]:
        """Say what comes of each response with h11, and with llhttp."""
        self._responses[:] = responses
        fetches = [self._fetch(name, n) for n in range(len(responses)) for name in PARSERS]
        ends = await asyncio.gather(*fetches)
        told = [pool.statistics() for pool in self._pools.values()]
        assert [(it.active, it.waiting) for it in told] == [(0, 0), (0, 0)]
        return list(zip(ends[::2], ends[1::2], strict=True))

    async def _fetch(self, parser: Http11, number: int) -> End:
        request = httpx.Request("GET", f"{self._url}{number}")
        try:
            async with asyncio.timeout(20):
                response = await self._pools[parser].handle_async_request(request)
                body = b"".join([part async for part in response.aiter_raw()])
        except httpx.TransportError as error:
            return type(error)
        except BaseException as error:
            error.add_note(f"{parser} at {self._responses[number]!r}")
            raise
        return Answer(response.status_code, body)


def complaints(response: bytes, h11: End, llhttp: End) -> list[str]:
    """Say what is wrong with two ends of a response."""
    strict, lax = read_strictly(response), read_strictly(response, lax=True)
    wrong = []
    if isinstance(llhttp, Answer) and llhttp != strict:
        wrong.append(f"llhttp gave {llhttp}, and it is {strict}")
    if isinstance(h11, Answer) and h11 not in (strict, lax):
        wrong.append(f"h11 gave {h11}, and it is {strict}, or {lax} at best")
    if isinstance(llhttp, Answer) and isinstance(h11, Answer) and llhttp != h11:
        wrong.append(f"llhttp gave {llhttp}, and h11 {h11}")
    return [f"{fault}: {response!r}" for fault in wrong]


async def test_each_response_of_the_corpus_is_read_by_both_parsers() -> None:
    """As it is written out there, and as the plain reader reads it."""
    responses = [data for data, _ in CORPUS.values()]
    expected = [answer for _, answer in CORPUS.values()]
    assert [read_strictly(data) for data in responses] == expected
    assert [read_strictly(data, lax=True) for data in responses] == expected
    async with Table() as table:
        assert await table.ends_of(responses) == [(answer, answer) for answer in expected]


async def test_what_was_once_read_wrongly_is_no_more() -> None:
    """None of it is an answer to llhttp, which had made one of each."""
    async with Table() as table:
        ends = await table.ends_of(list(KEPT))
    assert {llhttp for _, llhttp in ends} == {httpx.RemoteProtocolError}
    assert [complaints(*row) for row in _rows(list(KEPT), ends)] == [[]] * len(KEPT)


@pytest.mark.parametrize(
    ("h11", "llhttp"),
    [
        (Answer(200, b"Hello"), Answer(200, b"Hello, world")),
        (Answer(200, b"Hello, world"), Answer(200, b"Hello")),
        (Answer(200, b"Hello"), httpx.ReadError),
        (httpx.ReadError, Answer(500, b"Hello, world")),
    ],
)
def test_a_wrong_body_or_status_would_be_seen(h11: End, llhttp: End) -> None:
    """Whichever parser gave it; and the complaint holds the bytes."""
    data, _ = CORPUS["a length"]
    assert repr(data) in complaints(data, h11, llhttp)[0]


def test_ten_thousand_spoilt_responses_are_read_right_or_refused() -> None:
    """By each parser as a plain reader of RFC 9112 reads them, or not at all."""
    table, answers, errors = Table(), 0, 0
    with asyncio.Runner() as runner:

        @settings(
            max_examples=BATCHES,
            deadline=None,
            derandomize=True,  # so that a change which breaks something is seen with that change
            database=None,
            phases=[Phase.generate],  # what fails is told in full, and is small as it is
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.lists(mutants, min_size=BATCH, max_size=BATCH))
        def play(responses: list[bytes]) -> None:
            nonlocal answers, errors
            ends = runner.run(table.ends_of(responses))
            for response, h11, llhttp in _rows(responses, ends):
                assert complaints(response, h11, llhttp) == []
                answers += isinstance(llhttp, Answer)
                errors += not isinstance(llhttp, Answer)

        runner.run(table.__aenter__())
        try:
            play()
        finally:
            runner.run(table.__aexit__())
    assert answers + errors >= 10_000
    assert min(answers, errors) >= 1_000


def _rows(responses: list[bytes], ends: list[tuple[End, End]]) -> list[tuple[bytes, End, End]]:
    return [(data, *end) for data, end in zip(responses, ends, strict=True)]

"""Ten thousand mutated responses on real sockets: each is read correctly or raises an error."""

import asyncio
from typing import Any, Self

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from mutations import mutants
from reference_parser import ParsedResponse, parse_response
from response_corpus import CORPUS, REGRESSIONS

from typed_async_client.pool.connector import Http11
from typed_async_client.pool.transport import AsyncPoolTransport

pytestmark = pytest.mark.bulk

PARSERS: tuple[Http11, ...] = ("h11", "llhttp")
BATCH, BATCHES = 50, 200
LIMITS = httpx.Limits(max_connections=BATCH, max_keepalive_connections=0)

Outcome = ParsedResponse | type[httpx.TransportError]


class NumberedResponses(asyncio.Protocol):
    """Sends the response with the requested number in two pieces, and closes the connection."""

    def __init__(self, responses: list[bytes]) -> None:
        self._responses = responses

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        """Send the first piece now, and the second one loop turn later."""
        number = int(data.split(b" ", 2)[1][1:])
        response = self._responses[number]
        split_at = number * 7 % (len(response) + 1)
        self._transport.write(response[:split_at])
        asyncio.get_running_loop().call_soon(self._finish, response[split_at:])

    def _finish(self, rest: bytes) -> None:
        self._transport.write(rest)
        self._transport.close()


class ParserComparison:
    """A server of given responses and a pool for each parser, as an async context manager."""

    def __init__(self) -> None:
        self._responses: list[bytes] = []
        self._pools = {
            name: AsyncPoolTransport(verify=False, http11=name, limits=LIMITS) for name in PARSERS
        }

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: NumberedResponses(self._responses), "127.0.0.1", 0
        )
        self._url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        for pool in self._pools.values():
            await pool.aclose()
        self._server.close()
        await self._server.wait_closed()

    async def outcomes_of(self, responses: list[bytes]) -> list[tuple[Outcome, Outcome]]:
        """Return the outcome of each response with h11 and with llhttp."""
        self._responses[:] = responses
        fetches = [self._fetch(name, n) for n in range(len(responses)) for name in PARSERS]
        outcomes = await asyncio.gather(*fetches)
        statistics = [pool.statistics() for pool in self._pools.values()]
        assert [(it.active, it.waiting) for it in statistics] == [(0, 0), (0, 0)]
        return list(zip(outcomes[::2], outcomes[1::2], strict=True))

    async def _fetch(self, parser: Http11, number: int) -> Outcome:
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
        return ParsedResponse(response.status_code, body)


def mismatches(response: bytes, h11: Outcome, llhttp: Outcome) -> list[str]:
    """Describe what is wrong with the two outcomes of a response."""
    strict, lax = parse_response(response), parse_response(response, lax=True)
    wrong = []
    if isinstance(llhttp, ParsedResponse) and llhttp != strict:
        wrong.append(f"llhttp returned {llhttp}, expected {strict}")
    if isinstance(h11, ParsedResponse) and h11 not in (strict, lax):
        wrong.append(f"h11 returned {h11}, expected {strict}, or {lax} if lenient")
    if isinstance(llhttp, ParsedResponse) and isinstance(h11, ParsedResponse) and llhttp != h11:
        wrong.append(f"llhttp returned {llhttp}, but h11 returned {h11}")
    return [f"{fault}: {response!r}" for fault in wrong]


async def test_each_response_of_the_corpus_is_read_by_both_parsers() -> None:
    """As the corpus expects, and as the reference parser reads it."""
    responses = [data for data, _ in CORPUS.values()]
    expected = [answer for _, answer in CORPUS.values()]
    assert [parse_response(data) for data in responses] == expected
    assert [parse_response(data, lax=True) for data in responses] == expected
    async with ParserComparison() as comparison:
        assert await comparison.outcomes_of(responses) == [(answer, answer) for answer in expected]


async def test_responses_that_were_once_misread_are_rejected() -> None:
    """The llhttp parser used to accept each of them, and h11 accepts some."""
    async with ParserComparison() as comparison:
        outcomes = await comparison.outcomes_of(list(REGRESSIONS))
    assert {outcome for row in outcomes for outcome in row} == {httpx.RemoteProtocolError}
    assert [mismatches(*row) for row in _rows(list(REGRESSIONS), outcomes)] == [[]] * len(
        REGRESSIONS
    )


@pytest.mark.parametrize(
    ("h11", "llhttp"),
    [
        (ParsedResponse(200, b"Hello"), ParsedResponse(200, b"Hello, world")),
        (ParsedResponse(200, b"Hello, world"), ParsedResponse(200, b"Hello")),
        (ParsedResponse(200, b"Hello"), httpx.ReadError),
        (httpx.ReadError, ParsedResponse(500, b"Hello, world")),
    ],
)
def test_a_wrong_body_or_status_is_detected(h11: Outcome, llhttp: Outcome) -> None:
    """Whichever parser returned it; the message contains the bytes."""
    data, _ = CORPUS["Content-Length"]
    assert repr(data) in mismatches(data, h11, llhttp)[0]


def test_ten_thousand_mutated_responses_are_read_correctly_or_rejected() -> None:
    """Each parser agrees with a reference parser of RFC 9112, or raises an error."""
    comparison, answers, errors = ParserComparison(), 0, 0
    with asyncio.Runner() as runner:

        @settings(
            max_examples=BATCHES,
            deadline=None,
            derandomize=True,  # every run uses the same examples
            database=None,
            phases=[Phase.generate],  # examples are too small to need shrinking
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        )
        @given(st.lists(mutants, min_size=BATCH, max_size=BATCH))
        def check(responses: list[bytes]) -> None:
            nonlocal answers, errors
            outcomes = runner.run(comparison.outcomes_of(responses))
            for response, h11, llhttp in _rows(responses, outcomes):
                assert mismatches(response, h11, llhttp) == []
                answers += isinstance(llhttp, ParsedResponse)
                errors += not isinstance(llhttp, ParsedResponse)

        runner.run(comparison.__aenter__())
        try:
            check()
        finally:
            runner.run(comparison.__aexit__())
    assert answers + errors >= 10_000
    assert min(answers, errors) >= 1_000


def _rows(
    responses: list[bytes], outcomes: list[tuple[Outcome, Outcome]]
) -> list[tuple[bytes, Outcome, Outcome]]:
    return [(data, *outcome) for data, outcome in zip(responses, outcomes, strict=True)]

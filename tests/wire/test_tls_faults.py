"""Every fault that a TLS server can make, and what the caller sees of it."""

import ssl
from collections.abc import Callable
from ssl import TLSVersion

import httpx
import pytest
from fault_handlers import (
    close_at_client_hello,
    cut,
    cut_at_client_hello,
    garble,
    hang_up_beneath_tls,
    never_read,
    refusing_aloud,
    sending,
    take_leave_at_client_hello,
)
from fault_rows import (
    Row,
    answered,
    endless_body,
    every_case,
    play,
    timed_out,
    unreached,
    uploading,
)
from tls_contexts import (
    demanding_client_certificate,
    expired,
    insisting_on_tls_1_3,
    issued_by_a_stranger,
    issued_for_another_host,
    no_newer_than_tls_1_2,
    not_yet_valid,
    self_signed,
    trusted,
    trusting,
)

import typed_async_client
from typed_async_client import AsyncResilientClient, EventType
from typed_async_client.testing import FaultServer, Wire, answer, drop, reset, stall

pytestmark = pytest.mark.usefixtures("http11")

_TLS_TO_A_PLAIN_PORT = "https://127.0.0.1:{port}/"
_HEAD = b"HTTP/1.1 200 OK\r\n"
_HALF_BODY = _HEAD + b"Content-Length: 10\r\n\r\nhalf."

HANDSHAKES = (
    unreached("a self-signed certificate", httpx.ConnectError, tls=self_signed),
    unreached(
        "a certificate of an unknown authority", httpx.ConnectError, tls=issued_by_a_stranger
    ),
    unreached("a certificate of another host", httpx.ConnectError, tls=issued_for_another_host),
    unreached("an expired certificate", httpx.ConnectError, tls=expired),
    unreached("a certificate of tomorrow", httpx.ConnectError, tls=not_yet_valid),
    Row(
        "no TLS version in common",
        httpx.ConnectError,
        url=_TLS_TO_A_PLAIN_PORT,
        trust=insisting_on_tls_1_3,
        handler=refusing_aloud(no_newer_than_tls_1_2),
        read=0,
    ),
    Row(
        "no client certificate, TLS 1.2",
        httpx.ConnectError,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=refusing_aloud(lambda: demanding_client_certificate(TLSVersion.TLSv1_2)),
        read=0,
    ),
    Row(
        "no client certificate, TLS 1.3",
        httpx.ReadError,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=refusing_aloud(lambda: demanding_client_certificate(TLSVersion.TLSv1_3)),
        read=0,
    ),
    unreached(
        "no client certificate, TLS 1.3 and a server that does not say so",
        httpx.ReadError,
        tls=lambda: demanding_client_certificate(TLSVersion.TLSv1_3),
        request=lambda: {"content": bytes(3_000_000)},  # more than the server reads before it goes
    ),
    Row(
        "a server that speaks no TLS",
        httpx.ConnectError,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=lambda wire: wire.answer(400),
        read=0,
    ),
    timed_out(
        "a silent handshake",
        httpx.ConnectTimeout,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=Wire.stall,
        read=0,
    ),
    Row(
        "a handshake ended by FIN",
        typed_async_client.ConnectError,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=close_at_client_hello,
        attempts=3,
        accepted=3,
        read=0,
    ),
    Row(
        "a handshake ended by close_notify",
        typed_async_client.ConnectError,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=take_leave_at_client_hello,
        attempts=3,
        accepted=3,
        read=0,
    ),
    Row(
        "a handshake ended by RST",
        typed_async_client.ConnectError,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=cut_at_client_hello,
        attempts=3,
        accepted=3,
        read=0,
    ),
)
EXCHANGES = (
    answered("no fault", tls=trusted),
    Row("FIN instead of an answer", httpx.RemoteProtocolError, tls=trusted, handler=drop),
    Row("RST instead of an answer", httpx.ReadError, tls=trusted, handler=reset),
    timed_out("no answer", httpx.ReadTimeout, tls=trusted, handler=stall),
    timed_out(
        "a body that stalls",
        httpx.ReadTimeout,
        tls=trusted,
        handler=sending(_HALF_BODY, Wire.stall),
    ),
    Row(
        "a body cut by close_notify",
        httpx.RemoteProtocolError,
        tls=trusted,
        handler=sending(_HALF_BODY),
    ),
    Row(
        "a body cut by FIN without close_notify",
        httpx.RemoteProtocolError,
        tls=trusted,
        handler=sending(_HALF_BODY, hang_up_beneath_tls),
    ),
    answered(
        "a body that ends with close_notify", tls=trusted, handler=sending(_HEAD + b"\r\nwhole.")
    ),
    Row("a body cut by RST", httpx.ReadError, tls=trusted, handler=sending(_HALF_BODY, cut)),
    Row(
        "a body cut by garbage",
        httpx.ReadError,
        tls=trusted,
        handler=sending(_HALF_BODY, garble),
    ),
    Row(
        "garbage instead of an answer",
        httpx.ReadError,
        tls=trusted,
        handler=sending(b"", garble),
    ),
    uploading(
        "an upload that is never read",
        httpx.WriteTimeout,
        kind=EventType.TIMEOUT,
        tls=trusted,
        handler=never_read,
        timeout=0.2,
        request=lambda: {"content": endless_body()},
    ),
)

CASES = every_case(HANDSHAKES + EXCHANGES)


@pytest.mark.parametrize(("row", "method"), CASES.values(), ids=CASES.keys())
async def test_a_tls_fault_reaches_the_caller_as_the_table_tells(row: Row, method: str) -> None:
    """Its class, its cause, its events, its status and its attempts are the row's."""
    assert await play(row, method) == row.ending


@pytest.mark.parametrize(
    ("certificate", "code"),
    [
        (not_yet_valid, 9),
        (expired, 10),
        (self_signed, 18),
        (issued_by_a_stranger, 20),
        (issued_for_another_host, 62),
    ],
)
async def test_a_refused_certificate_is_told_with_its_reason(
    certificate: Callable[[], ssl.SSLContext], code: int
) -> None:
    """OpenSSL's own error, and its code of the reason, are found behind the caller's error."""
    async with (
        FaultServer(answer(), tls=certificate()) as server,
        AsyncResilientClient(trust_env=False, verify=trusting()) as client,
    ):
        with pytest.raises(httpx.ConnectError) as caught:
            await (await client.get(server.url))
    assert caught.value.__cause__ is not None
    (reason,) = caught.value.__cause__.args
    assert type(reason) is ssl.SSLCertVerificationError
    assert reason.verify_code == code

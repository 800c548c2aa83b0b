"""Every fault that a TLS server can make, and what the caller sees of it."""

import ssl
from collections.abc import Callable
from ssl import TLSVersion

import httpx
import pytest
from fault_handlers import (
    close_after_client_hello,
    close_without_close_notify,
    fail_handshake_with_alert,
    never_read,
    reset_after_client_hello,
    reset_connection,
    respond_with,
    send_close_notify_after_client_hello,
    send_invalid_tls_record,
)
from fault_scenarios import (
    Scenario,
    answered,
    cases_by_id,
    during_upload,
    endless_body,
    run_scenario,
    timed_out,
    unreached,
)
from tls_contexts import (
    at_least_tls_1_3,
    at_most_tls_1_2,
    client_context,
    expired,
    not_yet_valid,
    requiring_client_certificate,
    self_signed,
    server_context,
    unknown_issuer,
    wrong_host,
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
    unreached("a certificate of an unknown authority", httpx.ConnectError, tls=unknown_issuer),
    unreached("a certificate of another host", httpx.ConnectError, tls=wrong_host),
    unreached("an expired certificate", httpx.ConnectError, tls=expired),
    unreached("a certificate of tomorrow", httpx.ConnectError, tls=not_yet_valid),
    Scenario(
        "no TLS version in common",
        httpx.ConnectError,
        url=_TLS_TO_A_PLAIN_PORT,
        client_tls=at_least_tls_1_3,
        handler=fail_handshake_with_alert(at_most_tls_1_2),
        read=0,
    ),
    Scenario(
        "no client certificate, TLS 1.2",
        httpx.ConnectError,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=fail_handshake_with_alert(lambda: requiring_client_certificate(TLSVersion.TLSv1_2)),
        read=0,
    ),
    Scenario(
        "no client certificate, TLS 1.3",
        httpx.ReadError,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=fail_handshake_with_alert(lambda: requiring_client_certificate(TLSVersion.TLSv1_3)),
        read=0,
    ),
    unreached(
        "no client certificate, TLS 1.3 and a server that does not say so",
        httpx.ReadError,
        tls=lambda: requiring_client_certificate(TLSVersion.TLSv1_3),
        request=lambda: {"content": bytes(3_000_000)},  # more than the server reads before it goes
    ),
    Scenario(
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
    Scenario(
        "a handshake ended by FIN",
        typed_async_client.ConnectError,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=close_after_client_hello,
        attempts=3,
        accepted=3,
        read=0,
    ),
    Scenario(
        "a handshake ended by close_notify",
        typed_async_client.ConnectError,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=send_close_notify_after_client_hello,
        attempts=3,
        accepted=3,
        read=0,
    ),
    Scenario(
        "a handshake ended by RST",
        typed_async_client.ConnectError,
        url=_TLS_TO_A_PLAIN_PORT,
        handler=reset_after_client_hello,
        attempts=3,
        accepted=3,
        read=0,
    ),
)
EXCHANGES = (
    answered("no fault", tls=server_context),
    Scenario(
        "FIN instead of an answer", httpx.RemoteProtocolError, tls=server_context, handler=drop
    ),
    Scenario("RST instead of an answer", httpx.ReadError, tls=server_context, handler=reset),
    timed_out("no answer", httpx.ReadTimeout, tls=server_context, handler=stall),
    timed_out(
        "a body that stalls",
        httpx.ReadTimeout,
        tls=server_context,
        handler=respond_with(_HALF_BODY, Wire.stall),
    ),
    Scenario(
        "a body cut by close_notify",
        httpx.RemoteProtocolError,
        tls=server_context,
        handler=respond_with(_HALF_BODY),
    ),
    Scenario(
        "a body cut by FIN without close_notify",
        httpx.RemoteProtocolError,
        tls=server_context,
        handler=respond_with(_HALF_BODY, close_without_close_notify),
    ),
    answered(
        "a body that ends with close_notify",
        tls=server_context,
        handler=respond_with(_HEAD + b"\r\nwhole."),
    ),
    Scenario(
        "a body cut by RST",
        httpx.ReadError,
        tls=server_context,
        handler=respond_with(_HALF_BODY, reset_connection),
    ),
    Scenario(
        "a body cut by garbage",
        httpx.ReadError,
        tls=server_context,
        handler=respond_with(_HALF_BODY, send_invalid_tls_record),
    ),
    Scenario(
        "garbage instead of an answer",
        httpx.ReadError,
        tls=server_context,
        handler=respond_with(b"", send_invalid_tls_record),
    ),
    during_upload(
        "an upload that is never read",
        httpx.WriteTimeout,
        kind=EventType.TIMEOUT,
        tls=server_context,
        handler=never_read,
        timeout=0.2,
        request=lambda: {"content": endless_body()},
    ),
)

CASES = cases_by_id(HANDSHAKES + EXCHANGES)


@pytest.mark.parametrize(("scenario", "method"), CASES.values(), ids=CASES.keys())
async def test_a_tls_fault_reaches_the_caller_as_the_table_tells(
    scenario: Scenario, method: str
) -> None:
    """Its class, its cause, its events, its status and its attempts are the scenario's."""
    assert await run_scenario(scenario, method) == scenario.expected


@pytest.mark.parametrize(
    ("certificate", "code"),
    [
        (not_yet_valid, 9),
        (expired, 10),
        (self_signed, 18),
        (unknown_issuer, 20),
        (wrong_host, 62),
    ],
)
async def test_a_refused_certificate_is_told_with_its_reason(
    certificate: Callable[[], ssl.SSLContext], code: int
) -> None:
    """OpenSSL's own error, and its code of the reason, are found behind the caller's error."""
    async with (
        FaultServer(answer(), tls=certificate()) as server,
        AsyncResilientClient(trust_env=False, verify=client_context()) as client,
    ):
        with pytest.raises(httpx.ConnectError) as caught:
            await (await client.get(server.url))
    assert caught.value.__cause__ is not None
    (reason,) = caught.value.__cause__.args
    assert type(reason) is ssl.SSLCertVerificationError
    assert reason.verify_code == code

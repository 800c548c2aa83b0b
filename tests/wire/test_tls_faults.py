"""TLS faults of servers, and how each one is reported to the caller."""

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

_TLS_TO_CLEARTEXT_PORT = "https://127.0.0.1:{port}/"
_HEAD = b"HTTP/1.1 200 OK\r\n"
_HALF_BODY = _HEAD + b"Content-Length: 10\r\n\r\nhalf."

HANDSHAKES = (
    unreached("a self-signed certificate", httpx.ConnectError, tls=self_signed),
    unreached("a certificate of an unknown authority", httpx.ConnectError, tls=unknown_issuer),
    unreached("a certificate of another host", httpx.ConnectError, tls=wrong_host),
    unreached("an expired certificate", httpx.ConnectError, tls=expired),
    unreached("a certificate that is not yet valid", httpx.ConnectError, tls=not_yet_valid),
    Scenario(
        "no TLS version in common",
        httpx.ConnectError,
        url=_TLS_TO_CLEARTEXT_PORT,
        client_tls=at_least_tls_1_3,
        handler=fail_handshake_with_alert(at_most_tls_1_2),
        read=0,
    ),
    Scenario(
        "no client certificate, TLS 1.2",
        httpx.ConnectError,
        url=_TLS_TO_CLEARTEXT_PORT,
        handler=fail_handshake_with_alert(lambda: requiring_client_certificate(TLSVersion.TLSv1_2)),
        read=0,
    ),
    Scenario(
        "no client certificate, TLS 1.3",
        httpx.ReadError,
        url=_TLS_TO_CLEARTEXT_PORT,
        handler=fail_handshake_with_alert(lambda: requiring_client_certificate(TLSVersion.TLSv1_3)),
        read=0,
    ),
    unreached(
        "no client certificate, TLS 1.3, without an alert",
        httpx.ReadError,
        tls=lambda: requiring_client_certificate(TLSVersion.TLSv1_3),
        request=lambda: {"content": bytes(3_000_000)},  # more than the server reads first
    ),
    Scenario(
        "a server without TLS",
        httpx.ConnectError,
        url=_TLS_TO_CLEARTEXT_PORT,
        handler=lambda wire: wire.answer(400),
        read=0,
    ),
    timed_out(
        "a stalled handshake",
        httpx.ConnectTimeout,
        url=_TLS_TO_CLEARTEXT_PORT,
        handler=Wire.stall,
        read=0,
    ),
    Scenario(
        "a handshake ended by FIN",
        typed_async_client.ConnectError,
        url=_TLS_TO_CLEARTEXT_PORT,
        handler=close_after_client_hello,
        attempts=3,
        accepted=3,
        read=0,
    ),
    Scenario(
        "a handshake ended by close_notify",
        typed_async_client.ConnectError,
        url=_TLS_TO_CLEARTEXT_PORT,
        handler=send_close_notify_after_client_hello,
        attempts=3,
        accepted=3,
        read=0,
    ),
    Scenario(
        "a handshake ended by RST",
        typed_async_client.ConnectError,
        url=_TLS_TO_CLEARTEXT_PORT,
        handler=reset_after_client_hello,
        attempts=3,
        accepted=3,
        read=0,
    ),
)
EXCHANGES = (
    answered("no fault", tls=server_context),
    Scenario(
        "FIN instead of a response", httpx.RemoteProtocolError, tls=server_context, handler=drop
    ),
    Scenario("RST instead of a response", httpx.ReadError, tls=server_context, handler=reset),
    timed_out("no response", httpx.ReadTimeout, tls=server_context, handler=stall),
    timed_out(
        "a body that stalls",
        httpx.ReadTimeout,
        tls=server_context,
        handler=respond_with(_HALF_BODY, Wire.stall),
    ),
    Scenario(
        "a body truncated by close_notify",
        httpx.RemoteProtocolError,
        tls=server_context,
        handler=respond_with(_HALF_BODY),
    ),
    Scenario(
        "a body truncated by FIN without close_notify",
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
        "a body truncated by RST",
        httpx.ReadError,
        tls=server_context,
        handler=respond_with(_HALF_BODY, reset_connection),
    ),
    Scenario(
        "a body truncated by garbage",
        httpx.ReadError,
        tls=server_context,
        handler=respond_with(_HALF_BODY, send_invalid_tls_record),
    ),
    Scenario(
        "garbage instead of a response",
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
async def test_a_tls_fault_is_reported_as_in_the_table(scenario: Scenario, method: str) -> None:
    """Error class, cause, events, status and attempts match the scenario."""
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
async def test_a_rejected_certificate_is_reported_with_its_reason(
    certificate: Callable[[], ssl.SSLContext], code: int
) -> None:
    """OpenSSL's error and its code are in the cause of the caller's error."""
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

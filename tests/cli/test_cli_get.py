"""``get`` against real servers: the body, the events and the exit codes."""

import asyncio
import os
import signal
import socket
import ssl
import sys
import threading
from pathlib import Path

import httpx
import pytest
import trustme
from cli_kit import environment, run_command

from typed_async_client import AsyncEvent, EventType, RequestContext, RetryDetails
from typed_async_client.cli import main
from typed_async_client.cli.get import describe_event, fetch
from typed_async_client.cli.options import GetOptions
from typed_async_client.testing import FaultServer, Wire, answer, half_body, reset, stall

BODY = b"\x00\xff\r\n\x1b[2J no line ending"


@pytest.fixture
def authority() -> trustme.CA:
    """A certificate authority that no machine trusts by default."""
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """The server's TLS context, with a certificate for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def _main(*arguments: str) -> int:
    """Run ``main`` in a thread, next to the event loop of the server."""
    return await asyncio.to_thread(main, ["get", *arguments])


async def test_the_body_goes_to_stdout_byte_for_byte() -> None:
    """Nothing is added, decoded or translated, and stderr is empty."""
    async with FaultServer(answer(200, BODY)) as server:
        completed = await run_command("get", server.url, options=("-W", "error"))
    assert (completed.code, completed.out, completed.err) == (0, BODY, "")


async def test_headers_are_sent_as_given(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """-H and --header are equivalent, and values are sent as UTF-8."""
    async with FaultServer(answer(200, BODY)) as server:
        code = await _main(server.url, "-H", "X-One: 1", "--header", "X-Two:caf\xe9")
    assert code == 0
    assert server.requests[0].headers["x-one"] == "1"
    assert server.requests[0].headers["x-two"].encode("latin-1").decode() == "caf\xe9"


async def test_verbose_logs_retries_and_the_result_to_stderr_without_secrets() -> None:
    """There is one line for each event; the port listens after the first refusal."""

    async def open_later(process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        lines.append((await process.stderr.readline()).decode())
        lines.append((await process.stderr.readline()).decode())
        await server.open()

    lines: list[str] = []
    async with FaultServer(answer(200, b"ok"), refusing=True) as server:
        port = server.port
        url = server.url.replace("//", "//u-s-r:pass-word@") + "?X-Amz-Signature=f00-b4r&page=2"
        completed = await run_command(
            "get", url, "-v", "-H", "Authorization: Bearer s-e-c", "-H", "Cookie: c-o-o-k",
            "--retry", "5", meanwhile=open_later,
        )  # fmt: skip
    logged = "".join(lines) + completed.err
    assert (completed.code, completed.out) == (0, b"ok")
    assert lines[0] == (
        f"request: GET http://REDACTED:REDACTED@127.0.0.1:{port}/?X-Amz-Signature=REDACTED&page=2\n"
    )
    assert lines[1].startswith("retry: attempt 1 failed with ConnectError (")
    assert "next attempt in " in lines[1]
    assert completed.err.splitlines()[-1].startswith(
        "end: success, status 200, after 2 attempts in "
    )
    for secret in ("u-s-r", "pass-word", "f00-b4r", "s-e-c", "c-o-o-k"):
        assert secret not in logged


async def test_a_failed_connection_exits_with_7() -> None:
    """The line says how many attempts were made, and what to do."""
    async with FaultServer(answer(), refusing=True) as server:
        completed = await run_command("get", server.url, "--retry", "0")
    assert (completed.code, completed.out) == (7, b"")
    assert completed.err.startswith("typed-async-client: ConnectError (")
    assert completed.err.endswith(
        "), no connection after 1 attempt: check that the server is running, or allow more retries with "
        "--retry\n"
    )
    assert completed.err.count("\n") == 1


async def test_an_untrusted_certificate_exits_with_7(tls: ssl.SSLContext) -> None:
    """It isn't retried, because it would fail again."""
    async with FaultServer(answer(), tls=tls) as server:
        completed = await run_command("get", server.url, "-v")
    assert completed.code == 7
    assert "CERTIFICATE_VERIFY_FAILED" in completed.err
    assert completed.err.endswith("check the host name, the port and the certificate\n")
    assert "retry: " not in completed.err


async def test_https_to_a_port_without_tls_is_reported_as_such() -> None:
    """The message doesn't blame the host name or the certificate."""

    async def answer_in_plaintext(wire: Wire) -> None:
        await wire.read(1)
        await wire.answer(400)

    async with FaultServer(answer_in_plaintext) as server:
        completed = await run_command("get", f"https://127.0.0.1:{server.port}/")
    assert (completed.code, completed.out) == (7, b"")
    assert completed.err.startswith("typed-async-client: ConnectError (")
    assert completed.err.endswith("): the server doesn't speak TLS on this port, try http://\n")


async def test_an_unknown_host_is_reported_as_such(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The message doesn't mention certificates."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert await _main("https://nowhere.invalid/") == 7
    assert capfd.readouterr().err.endswith("Name or service not known): check the host name\n")


async def test_a_certificate_from_a_trusted_authority_is_accepted(
    authority: trustme.CA, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """SSL_CERT_FILE sets the authority, as for httpx."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with FaultServer(answer(200, b"sealed"), tls=tls) as server:
        env = environment(SSL_CERT_FILE=str(tmp_path / "ca.pem"))
        completed = await run_command("get", server.url, env=env)
    assert (completed.code, completed.out, completed.err) == (0, b"sealed", "")


async def test_a_server_that_never_answers_exits_with_28() -> None:
    """The timeout is the one from the command line."""
    async with FaultServer(stall) as server:
        completed = await run_command("get", server.url, "--timeout", "0.5", "-v")
    assert completed.code == 28
    error = (
        f"ReadTimeout (GET: no response from 127.0.0.1:{server.port} within 0.5 s (read timeout))"
    )
    assert completed.err.splitlines()[-1] == (
        f"typed-async-client: {error}: the server took too long, allow more time with --timeout"
    )
    assert f"end: timeout with {error} after 1 attempt in " in completed.err


@pytest.mark.parametrize(
    ("handler", "error"), [(reset, "ReadError"), (half_body, "RemoteProtocolError")]
)
async def test_a_broken_response_exits_with_1(handler: object, error: str) -> None:
    """There is one line, no traceback, and no partial body on stdout."""
    assert callable(handler)
    async with FaultServer(handler) as server:
        completed = await run_command("get", server.url)
    assert (completed.code, completed.out) == (1, b"")
    assert completed.err.startswith(f"typed-async-client: {error}")
    assert completed.err.count("\n") == 1


@pytest.mark.parametrize(("status", "code"), [(200, 0), (302, 3), (404, 4), (503, 5)])
async def test_with_check_status_the_status_determines_the_exit_code(
    status: int, code: int
) -> None:
    """The body is written in any case."""
    async with FaultServer(answer(status, b"body")) as server:
        completed = await run_command("get", server.url, "--check-status")
    assert (completed.code, completed.out) == (code, b"body")
    assert (f"the server answered {status} " in completed.err) == (code != 0)


async def test_without_check_status_any_response_is_a_success(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """This is the behavior of curl."""
    async with FaultServer(answer(503, b"body")) as server:
        assert await _main(server.url) == 0
    assert capfdbinary.readouterr() == (b"body", b"")


async def _redirect_once(wire: Wire) -> None:
    while (request := await wire.read_request()) is not None:
        if request.target == "/":
            await wire.answer(302, b"", "Location: /there")
        else:
            await wire.answer(200, b"there")


async def test_redirects_are_only_followed_when_requested(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """With -L the last status counts; without it, one line shows the target."""
    async with FaultServer(_redirect_once) as server:
        assert await _main(server.url) == 0
        assert await _main(server.url, "--check-status") == 3
        assert await _main(server.url, "--check-status", "-L") == 0
        assert await _main(server.url, "--check-status", "--follow") == 0
    out, err = capfdbinary.readouterr()
    line = f"typed-async-client: 302 Found to {server.url}there: use -L to follow it\n"
    assert (out, err.decode()) == (b"therethere", 2 * line)


async def test_a_redirect_loop_exits_with_6() -> None:
    """It is stopped, and the message says what happened."""
    async with FaultServer(answer(302, b"", "Location: /")) as server:
        completed = await run_command("get", server.url, "-L", "--check-status")
    assert (completed.code, completed.out) == (6, b"")
    assert completed.err.startswith("typed-async-client: TooManyRedirects")


async def test_an_interrupt_exits_with_130_and_no_traceback() -> None:
    """The request is cancelled, and its end logged, before the process exits."""

    async def interrupt(process: asyncio.subprocess.Process) -> None:
        await received.wait()
        process.send_signal(signal.SIGINT)

    async def receive(wire: Wire) -> None:
        await wire.read_request()
        received.set()
        await wire.stall()

    received = asyncio.Event()
    async with FaultServer(receive) as server:
        completed = await run_command("get", server.url, "-v", meanwhile=interrupt)
    assert (completed.code, completed.out) == (130, b"")
    _, end, last = completed.err.splitlines()
    assert end.startswith("end: cancelled with CancelledError after 1 attempt in ")
    assert last == "typed-async-client: interrupted"


async def test_a_closed_pipe_is_not_a_failure(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As with ``| head``: the reader has seen enough, and nothing is reported."""
    reader, writer = os.pipe()
    os.close(reader)
    async with FaultServer(answer(200, BODY)) as server:
        with os.fdopen(writer, "w") as closed:
            monkeypatch.setattr(sys, "stdout", closed)
            assert await _main(server.url) == 0
            monkeypatch.undo()
    assert capfd.readouterr().err == ""


async def test_a_process_piped_to_head_exits_with_0_and_prints_nothing() -> None:
    """Not even at exit, when the interpreter flushes its buffers."""
    reader, writer = os.pipe()
    async with FaultServer(answer(200, b"x" * 10_000_000)) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "typed_async_client.cli", "get", server.url,
            stdout=writer, stderr=asyncio.subprocess.PIPE, env=environment(),
        )  # fmt: skip
        os.close(writer)
        first_byte = await asyncio.to_thread(os.read, reader, 1)
        os.close(reader)
        async with asyncio.timeout(60):
            _, err = await process.communicate()
    assert (first_byte, process.returncode, err) == (b"x", 0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
async def test_a_full_disk_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """There is one line, and no second error at exit."""
    async with FaultServer(answer(200, BODY)) as server:
        with os.fdopen(os.open("/dev/full", os.O_WRONLY), "w") as full:
            monkeypatch.setattr(sys, "stdout", full)
            assert await _main(server.url) == 1
            monkeypatch.undo()
    assert "could not be written to stdout (No space left on device)" in capfd.readouterr().err


async def test_a_broken_environment_is_reported_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An error of httpx before the first attempt is handled like any other."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    async with FaultServer(answer()) as server:
        assert await _main(server.url) == 1
    err = capfd.readouterr().err
    assert err.startswith("typed-async-client: FileNotFoundError")
    assert err.count("\n") == 1


async def test_fetch_returns_the_error_and_logs_each_step() -> None:
    """It logs the request, its retries, and its end."""
    logged: list[str] = []
    async with FaultServer(answer(), refusing=True) as server:
        result = await fetch(GetOptions(url=server.url, retries=1), logged.append)
    assert isinstance(result, httpx.ConnectError)
    assert [line.split(":")[0] for line in logged] == ["request", "retry", "end"]


def test_an_interrupt_in_this_process_returns_130_too(capfd: pytest.CaptureFixture[str]) -> None:
    """SIGINT is sent once the server, in its own thread, has received the request."""

    def serve() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1)
            os.kill(os.getpid(), signal.SIGINT)
            while connection.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve)
        server.start()
        assert main(["get", f"http://127.0.0.1:{listener.getsockname()[1]}/"]) == 130
        server.join()
    assert capfd.readouterr().err == "typed-async-client: interrupted\n"


def test_a_success_is_described_with_its_status() -> None:
    """The attempts and the duration are included."""
    event = AsyncEvent(
        EventType.SUCCESS, RequestContext(), data=httpx.Response(204), attempts=2, elapsed=1.5
    )
    assert describe_event(event) == "end: success, status 204, after 2 attempts in 1.50 s"


def test_a_retry_is_described_with_its_delay_and_cause() -> None:
    """The delay is in seconds, and the cause has its type."""
    details = RetryDetails(2, 1.234, "backoff", httpx.ConnectError("refused"))
    event = AsyncEvent(EventType.RETRY, RequestContext(), data=details, attempts=2)
    assert describe_event(event) == (
        "retry: attempt 2 failed with ConnectError (refused), next attempt in 1.23 s"
    )

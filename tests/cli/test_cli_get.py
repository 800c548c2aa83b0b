"""``get`` against real servers: the body, the events, the exit codes."""

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
from typed_async_client.cli.get import fetch, narrate
from typed_async_client.cli.order import Order
from typed_async_client.testing import FaultServer, Wire, answer, half_body, reset, stall

BODY = b"\x00\xff\r\n\x1b[2J no line end"


@pytest.fixture
def authority() -> trustme.CA:
    """An authority that no machine trusts by itself."""
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """The server's side, with a certificate for localhost."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


async def _main(*words: str) -> int:
    """Run ``main`` in this process, beside the loop that serves."""
    return await asyncio.to_thread(main, ["get", *words])


async def test_the_body_goes_to_stdout_byte_for_byte() -> None:
    """Nothing is added, decoded or translated, and stderr stays empty."""
    async with FaultServer(answer(200, BODY)) as server:
        ended = await run_command("get", server.url, options=("-W", "error"))
    assert (ended.code, ended.out, ended.err) == (0, BODY, "")


async def test_headers_are_sent_as_given(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """Each -H and --header, and the last of its name where the server keeps one."""
    async with FaultServer(answer(200, BODY)) as server:
        code = await _main(server.url, "-H", "X-One: 1", "--header", "X-Two:caf\xe9")
    assert code == 0
    assert server.requests[0].headers["x-one"] == "1"
    assert server.requests[0].headers["x-two"].encode("latin-1").decode() == "caf\xe9"


async def test_verbose_tells_retries_and_the_end_on_stderr_without_secrets() -> None:
    """One line each; the port listens after the first refusal."""

    async def open_later(process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        lines.append((await process.stderr.readline()).decode())
        lines.append((await process.stderr.readline()).decode())
        await server.open()

    lines: list[str] = []
    async with FaultServer(answer(200, b"ok"), refusing=True) as server:
        port = server.port
        url = server.url.replace("//", "//ann:pass-word@") + "?X-Amz-Signature=5167&page=2"
        ended = await run_command(
            "get", url, "-v", "-H", "Authorization: Bearer s-e-c", "-H", "Cookie: c-o-o-k",
            "--retry", "5", meanwhile=open_later,
        )  # fmt: skip
    told = "".join(lines) + ended.err
    assert (ended.code, ended.out) == (0, b"ok")
    assert lines[0] == (
        f"request: GET http://REDACTED:REDACTED@127.0.0.1:{port}/?X-Amz-Signature=REDACTED&page=2\n"
    )
    assert lines[1].startswith("retry: attempt 1 failed with ConnectError (")
    assert "next attempt in " in lines[1]
    assert ended.err.splitlines()[-1].startswith("end: success, status 200, after 2 attempts in ")
    for secret in ("ann", "pass-word", "5167", "s-e-c", "c-o-o-k"):
        assert secret not in told


async def test_no_connection_is_exit_code_7() -> None:
    """After all attempts; the line says how many, and what to do."""
    async with FaultServer(answer(), refusing=True) as server:
        ended = await run_command("get", server.url, "--retry", "0")
    assert (ended.code, ended.out) == (7, b"")
    assert ended.err.startswith("typed-async-client: ConnectError (")
    assert ended.err.endswith(
        "), no connection after 1 attempt: check that the server runs, or allow more retries with "
        "--retry\n"
    )
    assert ended.err.count("\n") == 1


async def test_an_unknown_certificate_is_exit_code_7(tls: ssl.SSLContext) -> None:
    """And it is not retried: it would be refused again."""
    async with FaultServer(answer(), tls=tls) as server:
        ended = await run_command("get", server.url, "-v")
    assert ended.code == 7
    assert "CERTIFICATE_VERIFY_FAILED" in ended.err
    assert ended.err.endswith("check the host name, the port and the certificate\n")
    assert "retry: " not in ended.err


async def test_https_to_a_port_without_tls_is_told_as_such() -> None:
    """Not as a matter of host names or certificates."""

    async def speak_plainly(wire: Wire) -> None:
        await wire.read(1)
        await wire.answer(400)

    async with FaultServer(speak_plainly) as server:
        ended = await run_command("get", f"https://127.0.0.1:{server.port}/")
    assert (ended.code, ended.out) == (7, b"")
    assert ended.err.startswith("typed-async-client: ConnectError (")
    assert ended.err.endswith("): this port speaks no TLS: try http://\n")


async def test_an_unknown_host_is_told_as_such(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """There is no certificate to check."""

    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setattr(socket, "getaddrinfo", fail)
    assert await _main("https://nowhere.invalid/") == 7
    assert capfd.readouterr().err.endswith("Name or service not known): check the host name\n")


async def test_a_certificate_of_a_trusted_authority_is_accepted(
    authority: trustme.CA, tls: ssl.SSLContext, tmp_path: Path
) -> None:
    """SSL_CERT_FILE names the authority, as for httpx."""
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with FaultServer(answer(200, b"sealed"), tls=tls) as server:
        env = environment(SSL_CERT_FILE=str(tmp_path / "ca.pem"))
        ended = await run_command("get", server.url, env=env)
    assert (ended.code, ended.out, ended.err) == (0, b"sealed", "")


async def test_a_silent_server_is_exit_code_28() -> None:
    """The timeout is the one that was asked for."""
    async with FaultServer(stall) as server:
        ended = await run_command("get", server.url, "--timeout", "0.2", "-v")
    assert ended.code == 28
    assert ended.err.splitlines()[-1] == (
        "typed-async-client: ReadTimeout: the server took too long; allow more seconds with "
        "--timeout"
    )
    assert "end: timeout with ReadTimeout after 1 attempt in " in ended.err


@pytest.mark.parametrize(
    ("handler", "error"), [(reset, "ReadError"), (half_body, "RemoteProtocolError")]
)
async def test_a_broken_exchange_is_exit_code_1(handler: object, error: str) -> None:
    """One line, no traceback, and no half of a body on stdout."""
    assert callable(handler)
    async with FaultServer(handler) as server:
        ended = await run_command("get", server.url)
    assert (ended.code, ended.out) == (1, b"")
    assert ended.err.startswith(f"typed-async-client: {error}")
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(("status", "code"), [(200, 0), (302, 3), (404, 4), (503, 5)])
async def test_with_check_status_the_status_decides(status: int, code: int) -> None:
    """The body is written all the same."""
    async with FaultServer(answer(status, b"body")) as server:
        ended = await run_command("get", server.url, "--check-status")
    assert (ended.code, ended.out) == (code, b"body")
    assert (f"the server answered {status} " in ended.err) == (code != 0)


async def test_without_check_status_any_response_is_a_success(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """As with curl."""
    async with FaultServer(answer(503, b"body")) as server:
        assert await _main(server.url) == 0
    assert capfdbinary.readouterr() == (b"body", b"")


async def _redirect_once(wire: Wire) -> None:
    while (request := await wire.read_request()) is not None:
        if request.target == "/":
            await wire.answer(302, b"", "Location: /there")
        else:
            await wire.answer(200, b"there")


async def test_redirects_are_followed_only_when_asked_for(
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    """-L follows, and then the last status counts; without it, one line tells where it leads."""
    async with FaultServer(_redirect_once) as server:
        assert await _main(server.url) == 0
        assert await _main(server.url, "--check-status") == 3
        assert await _main(server.url, "--check-status", "-L") == 0
        assert await _main(server.url, "--check-status", "--follow") == 0
    out, err = capfdbinary.readouterr()
    line = f"typed-async-client: 302 Found to {server.url}there: use -L to follow it\n"
    assert (out, err.decode()) == (b"therethere", 2 * line)


async def test_a_circle_of_redirects_is_exit_code_6() -> None:
    """It ends, and says that it may be a circle."""
    async with FaultServer(answer(302, b"", "Location: /")) as server:
        ended = await run_command("get", server.url, "-L", "--check-status")
    assert (ended.code, ended.out) == (6, b"")
    assert ended.err.startswith("typed-async-client: TooManyRedirects")


async def test_an_interrupt_is_exit_code_130_and_no_traceback() -> None:
    """The request is cancelled, and its end told, before the process ends."""

    async def interrupt(process: asyncio.subprocess.Process) -> None:
        await received.wait()
        process.send_signal(signal.SIGINT)

    async def receive(wire: Wire) -> None:
        await wire.read_request()
        received.set()
        await wire.stall()

    received = asyncio.Event()
    async with FaultServer(receive) as server:
        ended = await run_command("get", server.url, "-v", meanwhile=interrupt)
    assert (ended.code, ended.out) == (130, b"")
    _, end, last = ended.err.splitlines()
    assert end.startswith("end: cancelled with CancelledError after 1 attempt in ")
    assert last == "typed-async-client: interrupted"


async def test_a_closed_pipe_is_no_failure(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As behind ``| head``: whoever reads has had enough, and nothing is said about it."""
    reader, writer = os.pipe()
    os.close(reader)
    async with FaultServer(answer(200, BODY)) as server:
        with os.fdopen(writer, "w") as closed:
            monkeypatch.setattr(sys, "stdout", closed)
            assert await _main(server.url) == 0
            monkeypatch.undo()
    assert capfd.readouterr().err == ""


async def test_a_process_in_front_of_head_ends_with_0_and_says_nothing() -> None:
    """Not even when the interpreter ends, and flushes what it has left."""
    reader, writer = os.pipe()
    async with FaultServer(answer(200, b"x" * 10_000_000)) as server:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "typed_async_client.cli", "get", server.url,
            stdout=writer, stderr=asyncio.subprocess.PIPE, env=environment(),
        )  # fmt: skip
        os.close(writer)
        begin = await asyncio.to_thread(os.read, reader, 1)
        os.close(reader)
        async with asyncio.timeout(60):
            _, err = await process.communicate()
    assert (begin, process.returncode, err) == (b"x", 0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is full")
async def test_a_full_disk_is_exit_code_1(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line, and no second error when the interpreter ends."""
    async with FaultServer(answer(200, BODY)) as server:
        with os.fdopen(os.open("/dev/full", os.O_WRONLY), "w") as full:
            monkeypatch.setattr(sys, "stdout", full)
            assert await _main(server.url) == 1
            monkeypatch.undo()
    assert "could not be written to stdout (No space left on device)" in capfd.readouterr().err


async def test_a_broken_environment_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """What httpx refuses before the first attempt is a failure like others."""
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    async with FaultServer(answer()) as server:
        assert await _main(server.url) == 1
    err = capfd.readouterr().err
    assert err.startswith("typed-async-client: FileNotFoundError")
    assert err.count("\n") == 1


async def test_a_fetch_gives_the_error_and_tells_each_step() -> None:
    """Without a process around it: the request, its retries, its end."""
    told: list[str] = []
    async with FaultServer(answer(), refusing=True) as server:
        ending = await fetch(Order(url=server.url, retries=1), told.append)
    assert isinstance(ending, httpx.ConnectError)
    assert [line.split(":")[0] for line in told] == ["request", "retry", "end"]


def test_an_interrupt_in_this_process_is_130_too(capfd: pytest.CaptureFixture[str]) -> None:
    """SIGINT comes when the server, in a thread of its own, has the request."""

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


def test_a_success_is_told_with_its_status() -> None:
    """And with the attempts and seconds it took."""
    event = AsyncEvent(
        EventType.SUCCESS, RequestContext(), data=httpx.Response(204), attempts=2, elapsed=1.5
    )
    assert narrate(event) == "end: success, status 204, after 2 attempts in 1.50 s"


def test_a_retry_is_told_with_its_delay_and_cause() -> None:
    """The delay in seconds, the cause by name."""
    details = RetryDetails(2, 1.234, "backoff", httpx.ConnectError("refused"))
    event = AsyncEvent(EventType.RETRY, RequestContext(), data=details, attempts=2)
    assert narrate(event) == (
        "retry: attempt 2 failed with ConnectError (refused), next attempt in 1.23 s"
    )

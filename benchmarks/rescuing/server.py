"""The server of ``rescue.py``: it fails as its plan says, and counts what it executes.

Run as a module with a plan, it prints the port on 127.0.0.1 that it listens on, reads from standard
input when the plan starts (in seconds of the monotonic clock), and serves until that is closed.
Then it prints a report as JSON.
"""

import asyncio
import collections
import contextlib
import json
import os
import socket
import struct
import sys
import time

from rescuing.faults import EXECUTED, Fault, Plan, Request, Window

LATENCY, SLOW = 0.01, 0.2
"""Seconds until an answer, and until a slow one."""

OK = 200
STATUSES = {
    Fault.NONE: OK,
    Fault.SLOW: OK,
    Fault.UNAVAILABLE: 503,
    Fault.BUSY: 503,
    Fault.THROTTLED: 429,
    Fault.BAD_GATEWAY: 502,
}
"""With what it answers; the other faults break an exchange off."""

LONGEST_STALL = 30.0
LONGEST_BODY = 65536
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class FaultyServer:
    """Serves according to a plan.

    Args:
        plan: what it does.
        start: when the plan starts, in monotonic seconds.
    """

    def __init__(self, plan: Plan, start: float) -> None:
        self._plan = plan
        self._start = start
        self._attempts: collections.Counter[int] = collections.Counter()
        self._executions: collections.Counter[int] = collections.Counter()
        self._keys: set[str] = set()
        self._arrivals: list[float] = []
        self._idle: set[asyncio.StreamWriter] = set()

    async def run(self, port: int) -> None:
        """Listen, except while the plan says otherwise, until cancelled."""
        for begin, end in sorted(self._plan.refused):
            server = await self._listen(port)
            await self._until(begin)
            server.close()
            for writer in self._idle:
                writer.close()
            await self._until(end)
        server = await self._listen(port)
        await asyncio.Event().wait()

    def report(self) -> str:
        """Return what was received and executed."""
        twice = sum(count > 1 for count in self._executions.values())
        return json.dumps({"arrivals": self._arrivals, "posts_executed_twice": twice})

    async def _listen(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", port, backlog=1024)

    def _now(self) -> float:
        return time.monotonic() - self._start

    async def _until(self, instant: float) -> None:
        await asyncio.sleep(max(0.0, instant - self._now()))

    def _is_in(self, windows: tuple[Window, ...]) -> float:
        """Return the seconds until the end of the window that it is in; 0 outside of all of them."""
        now = self._now()
        return next((end - now for start, end in windows if start <= now < end), 0.0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                self._idle.add(writer)
                head = await reader.readuntil(b"\r\n\r\n")
                self._idle.discard(writer)
                request, length = self._parse(head)
                await reader.readexactly(length)
                if not await self._answer(request, reader, writer):
                    break
        self._idle.discard(writer)
        writer.close()

    def _parse(self, head: bytes) -> tuple[Request, int]:
        first, *lines = head.decode("ascii").split("\r\n")
        method, target, _ = first.split(" ")
        fields = (line.partition(":") for line in lines if line)
        headers = {name.lower(): value.strip() for name, _, value in fields}
        length = min(int(headers.get("content-length", 0)), LONGEST_BODY)
        number = int(target.rpartition("/")[2])
        return Request(number, method, headers.get("idempotency-key")), length

    async def _answer(
        self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Answer or fail; return whether the connection can be used again."""
        self._arrivals.append(round(self._now(), 3))
        if left := self._is_in(self._plan.throttled):
            return await _send(writer, 429, headers=f"Retry-After: {max(1, round(left))}\r\n")
        if self._plan.outage is not None and self._is_in((self._plan.outage,)):
            await asyncio.sleep(LATENCY)
            return await _send(writer, 503)
        fault = self._plan.fault(request.number, self._attempts[request.number])
        self._attempts[request.number] += 1
        if fault in EXECUTED:
            self._execute(request)
        await asyncio.sleep(SLOW if fault is Fault.SLOW else LATENCY)
        if fault in STATUSES:
            status = STATUSES[fault]
            headers = "Retry-After: 1\r\n" if fault is Fault.BUSY else ""
            return await _send(writer, status, request.body if status == OK else b"", headers)
        await _break_off(fault, request, reader, writer)
        return False

    def _execute(self, request: Request) -> None:
        """Execute a POST, unless its key says that this was done."""
        if request.method != "POST" or request.key in self._keys:
            return
        if request.key is not None:
            self._keys.add(request.key)
        self._executions[request.number] += 1


async def _send(
    writer: asyncio.StreamWriter, status: int, body: bytes = b"", headers: str = ""
) -> bool:
    head = f"HTTP/1.1 {status} Status\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    return True


async def _break_off(
    fault: Fault, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    """Let the client wait until it gives up, or close the connection too early."""
    if fault is Fault.STALL:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.read(1), LONGEST_STALL)
    elif fault is Fault.CUT:
        head = f"HTTP/1.1 200 Status\r\nContent-Length: {len(request.body)}\r\n\r\n"
        writer.write(head.encode() + request.body[:50])
        await writer.drain()
    else:
        connection: socket.socket = writer.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        writer.transport.abort()


async def _until_closed(plan: Plan) -> None:
    # A second socket keeps the port while nothing listens on it; else a client could be given it.
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        port = holder.getsockname()[1]
        print(port, flush=True)
        server = FaultyServer(plan, float(await asyncio.to_thread(sys.stdin.readline)))
        running = asyncio.create_task(server.run(port))
        await asyncio.to_thread(sys.stdin.read)
        if running.done():
            running.result()  # raises what has stopped it
        print(server.report(), flush=True)
        os._exit(0)  # some exchanges never end


if __name__ == "__main__":
    asyncio.run(_until_closed(Plan.from_json(sys.argv[1])))

"""A server that speaks as much of the APIs of OpenAI and Anthropic as their SDKs need."""

import json
from typing import Any, Final

from typed_async_client.testing import SeenRequest, Wire, each_request

__all__ = ["FakeApi"]

_WORDS: Final = ("Hello", " from", " loopback")


class FakeApi:
    """Responds to chat requests and uploads, whole or as server-sent events.

    Args:
        failures: statuses to respond with first, before anything succeeds.
        endless: whether a stream stays open after its events.

    Attributes:
        abandoned: how many streams the client has closed before their end.
    """

    def __init__(self, *failures: int, endless: bool = False) -> None:
        self.abandoned = 0
        self._failures = list(failures)
        self._endless = endless
        self.handler = each_request(self._respond)

    async def _respond(self, request: SeenRequest, wire: Wire) -> None:
        if self._failures:
            await _send_json(wire, {"error": {"message": "busy"}}, status=self._failures.pop(0))
        elif request.target.startswith("/v1/files"):
            await _send_json(wire, _file(len(request.body)))
        elif json.loads(request.body).get("stream"):
            try:
                await self._stream(request, wire)
            except ConnectionError:  # the client has closed it while events were being sent
                self.abandoned += 1
        else:
            await _send_json(wire, _answers(request)[0])

    async def _stream(self, request: SeenRequest, wire: Wire) -> None:
        await wire.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for event in _answers(request)[1]:
            name = f"event: {event['type']}\n" if "type" in event else ""
            await _send_chunk(wire, f"{name}data: {json.dumps(event)}\n\n".encode())
        if self._endless:
            await wire.stall()
            self.abandoned += 1
            return
        if request.target.endswith("completions"):
            await _send_chunk(wire, b"data: [DONE]\n\n")
        await _send_chunk(wire, b"")


async def _send_chunk(wire: Wire, data: bytes) -> None:
    await wire.send(b"%x\r\n%b\r\n" % (len(data), data))


async def _send_json(wire: Wire, value: Any, status: int = 200) -> None:
    headers = ("Content-Type: application/json", "Retry-After-Ms: 1")
    await wire.answer(status, json.dumps(value).encode(), *headers)


def _file(size: int) -> dict[str, Any]:
    """Return the description of a file, in the forms of both APIs."""
    return {
        "id": "file-1",
        "object": "file",
        "type": "file",
        "bytes": size,
        "size_bytes": size,
        "created_at": 1,
        "filename": "notes.txt",
        "mime_type": "text/plain",
        "purpose": "user_data",
        "status": "processed",
    }


def _answers(request: SeenRequest) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the whole answer, and the events that make up the same answer."""
    text = "".join(_WORDS)
    if request.target.endswith("completions"):
        base = {"id": "c", "created": 1, "model": "m"}
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**base, "object": "chat.completion", "choices": [choice]}, [
            {
                **base,
                "object": "chat.completion.chunk",
                "choices": [{"index": 0, "delta": {"content": word}, "finish_reason": None}],
            }
            for word in _WORDS
        ]
    usage = {"input_tokens": 1, "output_tokens": 3}
    head = {"id": "m", "type": "message", "role": "assistant", "model": "m", "stop_sequence": None}
    whole = {**head, "content": [{"type": "text", "text": text}], "stop_reason": "end_turn"}
    deltas = [
        {
            "type": "content_block_delta",
            "index": 0,
            "delta": {"type": "text_delta", "text": word},
        }
        for word in _WORDS
    ]
    started: dict[str, Any] = {**head, "content": [], "stop_reason": None, "usage": usage}
    block = {"type": "text", "text": ""}
    return {**whole, "usage": usage}, [
        {"type": "message_start", "message": started},
        {"type": "content_block_start", "index": 0, "content_block": block},
        *deltas,
        {"type": "content_block_stop", "index": 0},
        {
            "type": "message_delta",
            "delta": {"stop_reason": "end_turn", "stop_sequence": None},
            "usage": {"output_tokens": 3},
        },
        {"type": "message_stop"},
    ]

"""Records what httpcore's ``trace`` extension and its loggers report, in a form that can be compared."""

import contextlib
import logging
import re
import ssl
from collections.abc import Iterator
from typing import Any

import httpcore

__all__ = ["Report", "TraceRecorder", "logged_messages"]

Report = tuple[str, dict[str, Any]]
"""The name of an event, and the shape of its details."""

_FIRST_FREE_PORT = 1024
_KINDS = {httpcore.AsyncNetworkStream: "stream", ssl.SSLContext: "context"}
_PORT = re.compile(rb":\d+")
_VARYING = (
    (re.compile(r"<[\w.]+Stream object at 0x\w+>"), "<stream>"),
    (re.compile(r"0x\w+"), "0x"),
    (re.compile(r"port=\d+"), "port="),
    (re.compile(r"(exception=\w+).*"), r"\1"),
)


class TraceRecorder:
    """A ``trace`` extension that records every event.

    Args:
        raise_at: the name of an event at which it raises ``ZeroDivisionError``; empty is none.

    Attributes:
        reports: the events, in order.
    """

    def __init__(self, raise_at: str = "") -> None:
        self.reports: list[Report] = []
        self._raise_at = raise_at

    async def __call__(self, name: str, info: dict[str, Any]) -> None:
        """Record an event."""
        self.reports.append((name, {key: _shape(value) for key, value in info.items()}))
        if name == self._raise_at:
            raise ZeroDivisionError(name)

    @property
    def names(self) -> list[str]:
        """The names of the events."""
        return [name for name, _ in self.reports]


@contextlib.contextmanager
def logged_messages() -> Iterator[list[str]]:
    """Record the logger and the message of each DEBUG record of httpcore.

    What differs from run to run is replaced: ports, memory addresses, network streams, and the
    words of errors.
    """
    messages: list[str] = []

    class Recorder(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = record.getMessage()
            for pattern, replacement in _VARYING:
                text = pattern.sub(replacement, text)
            messages.append(f"{record.name}: {text}")

    logger, recorder = logging.getLogger("httpcore"), Recorder()
    level = logger.level
    logger.addHandler(recorder)
    logger.setLevel(logging.DEBUG)
    try:
        yield messages
    finally:
        logger.removeHandler(recorder)
        logger.setLevel(level)


def _shape(value: Any) -> Any:
    """Return what two implementations must have in common in a detail of an event."""
    if isinstance(value, tuple | list):
        return [_shape(item) for item in value]
    if isinstance(value, httpcore.Request):
        headers = [field for field in value.headers if field[0].lower() != b"host"]
        return value.method, _PORT.sub(b":port", value.url.target), headers
    if isinstance(value, int) and value >= _FIRST_FREE_PORT:
        return "port"
    if value is None or isinstance(value, int | float | str | bytes):
        return value
    for kind, name in _KINDS.items():
        if isinstance(value, kind):
            return name
    return type(value).__name__

"""Whether a shared store answers: says so once when that changes, and when to ask again."""

import contextlib
import logging
import threading
import time

from typed_async_client.redact import error_line

__all__ = ["Outage"]

_log = logging.getLogger("typed_async_client")


class Outage:
    """Remembers whether a server answers; safe for several threads.

    Args:
        server: how the log names it, without secrets.
        check_every: seconds between two checks of a server that doesn't answer.
    """

    __slots__ = ("_check_at", "_check_every", "_lock", "_server", "is_down")

    def __init__(self, server: str, check_every: float) -> None:
        self._server = server
        self._check_every = check_every
        self._check_at = 0.0
        self._lock = threading.Lock()
        self.is_down: bool = False
        """Whether the server didn't answer when it was last asked."""

    def begin(self, error: BaseException) -> None:
        """Say that the server doesn't answer, and why."""
        with self._lock:
            self._check_at = time.monotonic() + self._check_every
            was_down, self.is_down = self.is_down, True
        if not was_down:
            reason = f"{type(error).__name__}: {error_line(error)}".removesuffix(": ")
            _write(
                logging.WARNING,
                f"{self._server} doesn't answer ({reason}): until it does, rate limits, circuits "
                "and retry budgets are those of this process alone",
            )

    def end(self) -> None:
        """Say that the server answers."""
        if self.is_down:
            with self._lock:
                was_down, self.is_down = self.is_down, False
            if was_down:
                _write(
                    logging.INFO,
                    f"{self._server} answers again: rate limits, circuits and retry budgets are "
                    "shared again",
                )

    def is_check_due(self) -> bool:
        """Whether to ask the server again; True once in every ``check_every`` seconds."""
        with self._lock:
            now = time.monotonic()
            if now < self._check_at:
                return False
            self._check_at = now + self._check_every
            return True


def _write(level: int, line: str) -> None:
    with contextlib.suppress(Exception):  # a logging handler may raise, and mustn't fail a request
        _log.log(level, "%s", line)

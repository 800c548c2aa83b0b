"""Keeps the results of requests, bounded in number, age and bytes.

Most results are never read, so responses and errors are packed until one is.
"""

import dataclasses
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from typed_async_client.events import AsyncEvent
from typed_async_client.kept_results import result_of, without_response
from typed_async_client.lazy_fields import PackedError, PackedResponse
from typed_async_client.policies.checks import require_count, require_number
from typed_async_client.results import RequestResult

__all__ = ["Ledger", "Losses"]


@dataclasses.dataclass(frozen=True, slots=True)
class Losses:
    """What a ledger didn't keep of a batch of requests, because of its limits.

    Attributes:
        results: results dropped because there were too many, or they were too old.
        responses: responses dropped from results that are kept, because of their size.
        limits: the options that set the limits, as the user would pass them.
    """

    results: int
    responses: int
    limits: str

    def __bool__(self) -> bool:
        return bool(self.results or self.responses)


class Ledger:
    """Keeps the latest result of each request id, and drops the oldest first.

    Past ``max_bytes``, the oldest results lose their response instead.

    Args:
        max_results: maximum number of results, >= 0; 0 keeps none.
        max_age: maximum age of a result in seconds, > 0.
        max_bytes: maximum size of all bodies in bytes, >= 0.
        pack: packs a response; returns None if it must be kept unpacked.
        pack_error: packs an error; returns None if it must be kept unpacked.

    Attributes:
        dropped: results dropped because of their number or age.
        evicted: responses dropped because of their size.
    """

    def __init__(
        self,
        *,
        max_results: int,
        max_age: float,
        max_bytes: int = 64 * 2**20,
        pack: Callable[[Any], PackedResponse | None] = lambda _: None,
        pack_error: Callable[[BaseException], PackedError | None] = lambda _: None,
    ) -> None:
        require_count("max_results", max_results)
        require_count("max_result_bytes", max_bytes)
        require_number("max_result_age", max_age, above=0, finite=False)
        self.dropped: int = 0
        self.evicted: int = 0
        self._bytes = 0
        self._max_results = max_results
        self._max_age = max_age
        self._max_bytes = max_bytes
        self._pack = pack
        self._pack_error = pack_error
        self._batch_start = -math.inf  # monotonic seconds
        self._lost = 0  # results of this batch, by the limits
        self._results: OrderedDict[str, RequestResult] = OrderedDict()
        self._bodies: OrderedDict[str, int] = OrderedDict()  # their bytes, by request id

    def record(self, event: AsyncEvent) -> None:
        """Keep the result of a terminal event, replacing an earlier one with the same id."""
        request_id = event.context.request_id
        packed = self._pack(event.data)
        error = None if event.error is None else self._pack_error(event.error)
        if request_id in self._results:
            del self._results[request_id]  # keeps the dict ordered by age
            self._bytes -= self._bodies.pop(request_id, 0)
        self._results[request_id] = result_of(event, packed, error)
        size = (0 if packed is None else packed.size) + (0 if error is None else error.size)
        if size:
            self._bodies[request_id] = size
            self._bytes += size
            if self._bytes > self._max_bytes:
                self._evict()
        if len(self._results) > self._max_results:
            self._lose_oldest()
        self._expire()

    def get(self, request_id: str) -> RequestResult | None:
        """Return the latest result of a request id; None if unknown or expired."""
        self._expire()
        return self._results.get(request_id)

    def all(self) -> dict[str, RequestResult]:
        """Return the results by request id, oldest first."""
        self._expire()
        return dict(self._results)

    def end_batch(self) -> Losses:
        """Return what was lost of the results recorded since this was called last.

        Results that are older don't count, nor does anything if the limit is 0: none were wanted.
        """
        self._expire()
        kept = self._results.values()
        evicted = sum(each.response_evicted and self._is_of_batch(each) for each in kept)
        limits = f"max_results={self._max_results}, max_result_age={self._max_age:g}"
        losses = Losses(
            self._lost if self._max_results else 0,
            evicted if self._max_bytes else 0,
            f"{limits}, max_result_bytes={self._max_bytes}",
        )
        self._lost = 0
        self._batch_start = time.monotonic()
        return losses

    def drop_older_than(self, age: float) -> int:
        """Drop the results older than ``age`` seconds; return their number."""
        dropped = 0
        while self._has_older_than(age):
            self._drop_oldest()
            dropped += 1
        return dropped

    def _is_of_batch(self, result: RequestResult) -> bool:
        return time.monotonic() - result.age > self._batch_start

    def _has_older_than(self, age: float) -> bool:
        oldest = next(iter(self._results.values()), None)
        return oldest is not None and oldest.age > age

    def _expire(self) -> None:
        oldest = next(iter(self._results.values()), None)
        while oldest is not None and oldest.age > self._max_age:
            self._lose_oldest()
            oldest = next(iter(self._results.values()), None)

    def _lose_oldest(self) -> None:
        """Drop the oldest result because of a limit, which its batch is told."""
        self._lost += self._is_of_batch(self._drop_oldest())

    def _drop_oldest(self) -> RequestResult:
        request_id, result = self._results.popitem(last=False)
        self._bytes -= self._bodies.pop(request_id, 0)
        self.dropped += 1
        return result

    def _evict(self) -> None:
        """Drop the responses of the oldest results until the others fit."""
        while self._bytes > self._max_bytes:
            request_id, size = self._bodies.popitem(last=False)
            self._bytes -= size
            self._results[request_id] = without_response(self._results[request_id])
            self.evicted += 1

    def __len__(self) -> int:
        return len(self._results)

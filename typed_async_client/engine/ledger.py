"""Keeps the results of requests, bounded in number and age.

Most results are never read, so their responses may be packed until one is.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from typed_async_client.events import AsyncEvent
from typed_async_client.results import Packed, RequestResult, result_of

__all__ = ["Ledger"]


class Ledger:
    """Keeps the latest result of each request id, and drops the oldest first.

    Args:
        max_results: maximum number of results, >= 1.
        max_age: maximum age of a result in seconds, > 0.
        pack: packs a response; returns None if it must be kept unpacked.
    """

    def __init__(
        self,
        *,
        max_results: int,
        max_age: float,
        pack: Callable[[Any], Packed | None] = lambda _: None,
    ) -> None:
        if type(max_results) is not int or max_results < 1:
            raise ValueError(f"max_results must be an integer >= 1, got {max_results!r}")
        if not max_age > 0:  # also refuses NaN
            raise ValueError(f"max_result_age must be > 0 seconds, got {max_age!r}")
        self._max_results = max_results
        self._max_age = max_age
        self._pack = pack
        self._results: OrderedDict[str, RequestResult] = OrderedDict()

    def record(self, event: AsyncEvent) -> None:
        """Keep the result of a terminal event, replacing an earlier one with the same id."""
        results, request_id = self._results, event.context.request_id
        results.pop(request_id, None)  # keeps the dict ordered by age
        results[request_id] = result_of(event, self._pack(event.data))
        if len(results) > self._max_results:
            results.popitem(last=False)
        self.drop_older_than(self._max_age)

    def get(self, request_id: str) -> RequestResult | None:
        """Return the latest result of a request id; None if unknown or expired."""
        self.drop_older_than(self._max_age)
        return self._results.get(request_id)

    def all(self) -> dict[str, RequestResult]:
        """Return the results by request id, oldest first."""
        self.drop_older_than(self._max_age)
        return dict(self._results)

    def drop_older_than(self, age: float) -> int:
        """Drop the results older than ``age`` seconds; return their number."""
        dropped = 0
        while self._results:
            oldest = next(iter(self._results))
            if self._results[oldest].age <= age:
                break
            self._results.popitem(last=False)
            dropped += 1
        return dropped

    def __len__(self) -> int:
        return len(self._results)

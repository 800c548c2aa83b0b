"""The ends of requests, bounded in number and in age.

Most results are looked at by nobody: what they carry may be packed until somebody does.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from typed_async_client.events import AsyncEvent
from typed_async_client.outcome import Packed, RequestResult

__all__ = ["Ledger"]


class Ledger:
    """Keeps the latest result of each request id, the oldest dropped first.

    Args:
        max_results: results kept at most, >= 1.
        max_age: seconds that a result is kept at most, > 0.
        pack: packs a response, or gives None to have it kept as it is.
    """

    def __init__(
        self,
        *,
        max_results: int,
        max_age: float,
        pack: Callable[[Any], Packed | None] = lambda _: None,
    ) -> None:
        if type(max_results) is not int or max_results < 1:
            raise ValueError(f"max_results must be a whole number >= 1, got {max_results!r}")
        if not max_age > 0:  # also refuses NaN
            raise ValueError(f"max_result_age must be > 0 seconds, got {max_age!r}")
        self._max_results = max_results
        self._max_age = max_age
        self._pack = pack
        self._results: OrderedDict[str, RequestResult] = OrderedDict()

    def record(self, ending: AsyncEvent) -> None:
        """Keep a terminal event in place of an earlier one of the same request id."""
        results, request_id = self._results, ending.context.request_id
        results.pop(request_id, None)  # so that the dict stays in order of age
        results[request_id] = RequestResult.of(ending, self._pack(ending.data))
        if len(results) > self._max_results:
            results.popitem(last=False)
        self.forget_older_than(self._max_age)

    def get(self, request_id: str) -> RequestResult | None:
        """Give the latest result of a request id, None when there is none, or no more."""
        self.forget_older_than(self._max_age)
        return self._results.get(request_id)

    def all(self) -> dict[str, RequestResult]:
        """Give the results by request id, the oldest first."""
        self.forget_older_than(self._max_age)
        return dict(self._results)

    def forget_older_than(self, age: float) -> int:
        """Drop the results that are older than ``age`` seconds, and tell how many."""
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

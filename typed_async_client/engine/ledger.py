"""The ends of requests, bounded in number and in age.

It keeps the terminal events as they come and reads the results off them when someone asks, so
that a request whose result nobody looks at costs no more than a place in a dict.
"""

from typed_async_client.events import AsyncEvent
from typed_async_client.outcome import RequestResult

__all__ = ["Ledger"]


class Ledger:
    """Keeps the latest result of each request id, the oldest dropped first.

    Args:
        max_results: results kept at most, >= 1.
        max_age: seconds that a result is kept at most, > 0.
    """

    def __init__(self, *, max_results: int, max_age: float) -> None:
        if type(max_results) is not int or max_results < 1:
            raise ValueError(f"max_results must be a whole number >= 1, got {max_results!r}")
        if not max_age > 0:  # also refuses NaN
            raise ValueError(f"max_result_age must be > 0 seconds, got {max_age!r}")
        self._max_results = max_results
        self._max_age = max_age
        self._endings: dict[str, AsyncEvent] = {}

    def record(self, ending: AsyncEvent) -> None:
        """Keep a terminal event in place of an earlier one of the same request id."""
        endings, request_id = self._endings, ending.context.request_id
        endings.pop(request_id, None)  # so that the dict stays in order of age
        endings[request_id] = ending
        if len(endings) > self._max_results:
            del endings[next(iter(endings))]
        self.forget_older_than(self._max_age)

    def get(self, request_id: str) -> RequestResult | None:
        """Give the latest result of a request id, None when there is none, or no more."""
        self.forget_older_than(self._max_age)
        ending = self._endings.get(request_id)
        return None if ending is None else RequestResult.of(ending)

    def all(self) -> dict[str, RequestResult]:
        """Give the results by request id, the oldest first."""
        self.forget_older_than(self._max_age)
        return {name: RequestResult.of(ending) for name, ending in self._endings.items()}

    def forget_older_than(self, age: float) -> int:
        """Drop the results that are older than ``age`` seconds, and tell how many."""
        dropped = 0
        while self._endings:
            oldest = next(iter(self._endings))
            if self._endings[oldest].age <= age:
                break
            del self._endings[oldest]
            dropped += 1
        return dropped

    def __len__(self) -> int:
        return len(self._endings)

"""The counters of a client, as one frozen value."""

import dataclasses

__all__ = ["ClientStatistics"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientStatistics:
    """What a client has done so far, and what it holds now.

    ``submitted == active + succeeded + failed + timed_out + cancelled``, and
    ``events_published == events_delivered + events_dropped + events_waiting``.

    Attributes:
        submitted: requests admitted.
        active: requests in flight now.
        succeeded: requests that ended with a response, whatever its status code.
        failed: requests that ended with an error other than a time limit.
        timed_out: requests that ended at a time limit.
        cancelled: requests whose task was cancelled.
        retries: attempts that failed and were followed by another.
        results_kept: results in the ledger now.
        events_published: events emitted.
        events_delivered: events handed to the callbacks, or to nobody when there were none.
        events_dropped: ``RETRY`` events that found the queue full.
        events_waiting: events in the queue now.
        callbacks_running: async callbacks that have not ended yet.
        callbacks_failed: calls of a callback that raised, or ran too long and were cancelled.
    """

    submitted: int
    active: int
    succeeded: int
    failed: int
    timed_out: int
    cancelled: int
    retries: int
    results_kept: int
    events_published: int
    events_delivered: int
    events_dropped: int
    events_waiting: int
    callbacks_running: int
    callbacks_failed: int

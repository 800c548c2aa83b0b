"""The counters of a client, as one frozen value."""

import dataclasses

__all__ = ["ClientStatistics"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClientStatistics:
    """What a client has done so far, and its current state.

    ``submitted == active + succeeded + failed + timed_out + cancelled + rejected``, and
    ``events_published == events_delivered + events_dropped + events_waiting``.

    Attributes:
        submitted: requests submitted and admitted.
        active: requests currently in flight.
        succeeded: requests that ended with a response, whatever its status code.
        failed: requests that ended with an error other than a timeout.
        timed_out: requests that ended with a timeout.
        cancelled: requests whose task was cancelled.
        rejected: requests that a policy refused before their attempt was sent.
        retries: failed attempts that were followed by another.
        results_kept: results currently kept.
        results_dropped: results dropped because there were too many, or they were too old.
        responses_evicted: responses dropped from their results because they took too much memory.
        events_published: events published.
        events_delivered: events delivered to their callbacks, if they had any.
        events_dropped: events dropped because the queue was full; a terminal event never is.
        events_waiting: events currently in the queue.
        callbacks_running: async callbacks that are still running.
        callbacks_failed: callback calls that raised, or that were cancelled because too many were
            running or the client was closed.
    """

    submitted: int
    active: int
    succeeded: int
    failed: int
    timed_out: int
    cancelled: int
    rejected: int
    retries: int
    results_kept: int
    results_dropped: int
    responses_evicted: int
    events_published: int
    events_delivered: int
    events_dropped: int
    events_waiting: int
    callbacks_running: int
    callbacks_failed: int

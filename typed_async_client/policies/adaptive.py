"""How many attempts may run at the same time, learnt from how the server copes.

Pure: the time is an argument. AIMD is what TCP uses too (RFC 5681). The gradient is that of Netflix's
concurrency-limits (Gradient2), but the response times that it compares with are measured at half the
limit now and then, as Envoy's adaptive concurrency does at its lowest one. A long-run average, as
in Gradient2, takes the time that requests queue at the server for normal after a while, so under
steady load the limit would never stop growing.
"""

import dataclasses
import math
from typing import Final, Literal

from typed_async_client.policies.checks import require_count, require_number, require_one_of
from typed_async_client.policies.gates import ConcurrencyGate, Permit, QueueLimits
from typed_async_client.policies.health import Health
from typed_async_client.policies.hosts import Retention, Scope

__all__ = ["AdaptiveGate", "AdaptiveLimit"]

_WARM_UP: Final = 10
"""Windows whose response times are the first baseline."""

_PROBED_EVERY: Final = 60
"""Windows after which the baseline is measured at half the limit."""

_WEIGHT_OF_PROBE: Final = 1 / 2
_WEIGHT: Final = 1 / _WARM_UP
"""Of a window in which less than half the limit was used."""

_RECOVERY: Final = 0.95
"""What the baseline is multiplied by while it is more than twice the latest response times."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class AdaptiveLimit:
    """Limit concurrent attempts to what the server copes with.

    The limit shrinks at once when an attempt shows that the server has too much work: a status of
    429, 503, 504 or 529, a timeout, or a response later than ``slow_duration``. All attempts that
    were in flight then shrink it once. After each window without such a sign, and only if at least
    half the limit was used, ``"aimd"`` adds one to it. ``"gradient"`` also compares the
    response times of the window with those at half the limit, which it measures every 60 windows,
    and shrinks the limit if they are longer, before the server fails. Local trouble and other
    failures don't change the limit.

    Args:
        algorithm: ``"aimd"`` or ``"gradient"``.
        initial: the limit at first, >= 1; it is brought between ``min_limit`` and ``max_limit``.
        min_limit: lower bound of the limit, >= 1.
        max_limit: upper bound of the limit, >= ``min_limit``.
        shrink_factor: what the limit is multiplied by when it shrinks, > 0 and < 1.
        slow_duration: seconds above which a response shows too much work, > 0; None if none does.
        tolerance: how many times longer than at half the limit response times may be without
            shrinking it, >= 1; for ``"gradient"``.
        smoothing: how fast the limit follows the response times, > 0 and <= 1; for ``"gradient"``.
        headroom: what is added to the limit per window while response times don't grow, before
            smoothing, >= 1; for ``"gradient"``.
        window: shortest time in seconds between two changes, unless the limit shrinks, > 0.
        minimum_samples: responses that a window must contain, >= 1.
        max_waiting: attempts that may wait, >= 0; None for no limit.
        max_wait: longest wait in seconds, >= 0; None for no limit but the deadline.
        per: ``"host"`` for a limit per host, ``"client"`` for one limit for all of them.

    Raises:
        ValueError: a value is out of range; the message names it.

    Example:
        >>> gate = AdaptiveLimit(initial=10).start()
        >>> permit = gate.admit(now=1.0)
        >>> gate.report(permit, Health.THROTTLED, duration=0.1, now=1.1)
        9
    """

    algorithm: Literal["aimd", "gradient"] = "aimd"
    initial: int = 20
    min_limit: int = 1
    max_limit: int = 200
    shrink_factor: float = 0.9
    slow_duration: float | None = None
    tolerance: float = 1.1
    smoothing: float = 0.2
    headroom: float = 4.0
    window: float = 1.0
    minimum_samples: int = 10
    max_waiting: int | None = None
    max_wait: float | None = None
    per: Scope = "host"

    def __post_init__(self) -> None:
        require_one_of("algorithm", self.algorithm, ("aimd", "gradient"))
        require_count("min_limit", self.min_limit, at_least=1)
        require_count("max_limit", self.max_limit, at_least=self.min_limit)
        require_count("initial", self.initial, at_least=1)
        require_number("shrink_factor", self.shrink_factor, above=0, at_most=math.nextafter(1, 0))
        if self.slow_duration is not None:
            require_number("slow_duration", self.slow_duration, above=0)
        require_number("tolerance", self.tolerance, at_least=1)
        require_number("smoothing", self.smoothing, above=0, at_most=1)
        require_number("headroom", self.headroom, at_least=1)
        require_number("window", self.window, above=0)
        require_count("minimum_samples", self.minimum_samples, at_least=1)
        QueueLimits(max_waiting=self.max_waiting, max_wait=self.max_wait)
        require_one_of("per", self.per, ("client", "host"))

    def start(self) -> "AdaptiveGate":
        """Return the gate of a host, or of the whole client."""
        return AdaptiveGate(self)


class AdaptiveGate(ConcurrencyGate):
    """A gate whose limit changes.

    Each admitted attempt is reported when its response begins or it fails, and released when its
    response has been read. Those that wait may be granted after either.

    Args:
        options: what the gate obeys.
    """

    __slots__ = (
        "_baseline",
        "_before_probe",
        "_counts_from",
        "_durations",
        "_exact_limit",
        "_initial",
        "_most_in_flight",
        "_options",
        "_samples",
        "_shrunk_at",
        "_slow_above",
        "_until_probe",
        "_warm_up",
        "_window_ends",
    )

    def __init__(self, options: AdaptiveLimit) -> None:
        queue = QueueLimits(max_waiting=options.max_waiting, max_wait=options.max_wait)
        self._initial = max(options.min_limit, min(options.initial, options.max_limit))
        super().__init__(self._initial, queue)
        self._options = options
        self._slow_above = math.inf if options.slow_duration is None else options.slow_duration
        self._exact_limit = float(self._initial)
        self._shrunk_at = -math.inf
        self._baseline = 0.0  # average response time in seconds while the server isn't busy
        self._warm_up = 0  # how many windows it covers, up to _WARM_UP
        self._until_probe = _PROBED_EVERY
        self._counts_from = -math.inf  # when the server has finished what a probe found there
        self._before_probe: float | None = None  # the limit that a probe has halved
        self._begin_window()

    def report(self, permit: Permit, health: Health, *, duration: float, now: float) -> int | None:
        """Say how an admitted attempt ended, once.

        Args:
            permit: what admitted it.
            health: what it shows about the server.
            duration: seconds until the response began, or until the attempt failed.
            now: monotonic seconds.

        Returns:
            The new limit; None if it stays.
        """
        before = self.limit
        if health.is_overload or (health is Health.OK and duration > self._slow_above):
            if permit.since > self._shrunk_at:
                self._shrink(now)
        elif health is Health.OK:
            self._sample(permit, duration, now)
        return None if self.limit == before else self.limit

    def retention(self, now: float) -> Retention:
        """Return how much would be lost if the gate were forgotten."""
        retention = super().retention(now)
        has_learnt = self.limit != self._initial
        if retention is Retention.DISPOSABLE and has_learnt:
            return Retention.USEFUL
        return retention

    def _begin_window(self) -> None:
        self._window_ends: float | None = None  # set by its first sample
        self._samples = 0
        self._durations = 0.0
        self._most_in_flight = 0

    def _shrink(self, now: float) -> None:
        limit = self._exact_limit if self._before_probe is None else self._before_probe
        self._before_probe = None
        self._shrunk_at = now
        self._begin_window()
        self._set_limit(int(int(limit) * self._options.shrink_factor), now)

    def _sample(self, permit: Permit, duration: float, now: float) -> None:
        """Count a response, and change the limit if the window is complete."""
        if now < self._counts_from:
            return
        if self._window_ends is None:
            self._window_ends = now + self._options.window
        self._samples += 1
        self._durations += duration
        self._most_in_flight = max(self._most_in_flight, permit.in_flight, self.in_flight)
        if now >= self._window_ends and self._samples >= self._options.minimum_samples:
            self._end_window(now)

    def _end_window(self, now: float) -> None:
        average = self._durations / self._samples
        is_used = self._most_in_flight * 2 >= self._exact_limit
        self._begin_window()
        if self._options.algorithm == "gradient":
            self._follow(average, now, is_used=is_used)
        elif is_used:
            self._set_limit(self._exact_limit + 1, now)

    def _follow(self, average: float, now: float, *, is_used: bool) -> None:
        """Do what the response times of a window call for."""
        if self._before_probe is not None:
            self._baseline += (average - self._baseline) * _WEIGHT_OF_PROBE
            self._set_limit(self._before_probe, now)
            self._before_probe = None
            return
        self._learn(average, is_used=is_used)
        if not is_used:
            return
        self._until_probe -= 1
        if self._until_probe == 0:
            self._probe(now)
        else:
            self._set_limit(self._target(average), now)

    def _learn(self, average: float, *, is_used: bool) -> None:
        """Add the response times of a window to the baseline, unless requests may have queued."""
        if self._warm_up < _WARM_UP:
            self._warm_up += 1
            self._baseline += (average - self._baseline) / self._warm_up
        elif not is_used:
            self._baseline += (average - self._baseline) * _WEIGHT
        elif self._baseline > 2 * average:
            self._baseline *= _RECOVERY

    def _probe(self, now: float) -> None:
        """Halve the limit for a window, so that it shows the response times without a queue."""
        self._until_probe = _PROBED_EVERY
        self._counts_from = now + max(self._options.window, 2 * self._baseline)
        self._before_probe = self._exact_limit
        self._set_limit(self._exact_limit / 2, now)

    def _target(self, average: float) -> float:
        """Return the limit that the response times of a window call for."""
        options = self._options
        ratio = options.tolerance * self._baseline / average if average else 1.0
        gradient = max(0.5, min(1.0, ratio))
        target = self._exact_limit * gradient + options.headroom
        return self._exact_limit * (1 - options.smoothing) + target * options.smoothing

    def _set_limit(self, limit: float, now: float) -> None:
        self._exact_limit = float(max(self._options.min_limit, min(limit, self._options.max_limit)))
        self.limit: int = int(self._exact_limit)
        self._changed = now  # the time since the last release says nothing about the new limit

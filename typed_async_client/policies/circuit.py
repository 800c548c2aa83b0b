"""When attempts are refused because too many recent ones failed, or were slow.

Pure: the time and a random number are arguments. The state machine is that of M. Nygard, "Release
It!"; rates, windows and probes are those of resilience4j's circuit breaker and Polly's.
"""

import dataclasses
import math
import sys
from typing import Final

from typed_async_client.policies.backoff import Backoff
from typed_async_client.policies.checks import require_count, require_number, require_one_of
from typed_async_client.policies.gates import Rejected, RejectionReason
from typed_async_client.policies.health import Health
from typed_async_client.policies.hosts import Retention, Scope
from typed_async_client.policies.transitions import (
    CircuitState,
    Ticket,
    Transition,
    TransitionReason,
)
from typed_async_client.policies.windows import CountWindow, TimeWindow, Window

__all__ = ["Circuit", "CircuitBreaker"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class CircuitBreaker:
    """Stop sending to a host that fails, and probe whether it has recovered.

    A circuit opens if the share of failed, or of slow, attempts in the window reaches its limit.
    It then refuses all attempts for ``reset_timeout`` seconds. After that it is half-open: it
    admits ``probes`` attempts and refuses the others. If the share of failed or slow probes reaches
    its limit, the circuit opens again, for longer each time; otherwise it closes.

    A failure is a connection that couldn't be established or was lost, a timeout, or a status of
    500 or more. A status of 429 isn't: the server works. What the client itself causes, such as a
    full pool, a cancellation or its own deadline, doesn't count at all.

    Args:
        failure_rate: share of failures that opens the circuit, > 0 and <= 1.
        minimum_calls: attempts that must be in the window before it can open, >= 1. If
            ``window_calls`` is less, that many.
        slow_duration: seconds above which an attempt is slow, >= 0; None if none ever is.
        slow_rate: share of slow attempts that opens the circuit, > 0 and <= 1.
        window: seconds for which an attempt is counted, at least nine tenths of them; >= 0.001.
        window_calls: how many of the latest attempts are counted, however old they are, >= 1. None
            to count those within ``window`` seconds.
        probes: attempts that decide whether a half-open circuit closes, >= 1.
        reset_timeout: seconds for which the circuit stays open the first time, > 0.
        reset_factor: multiplier of that time whenever the probes failed, >= 1.
        max_reset_timeout: upper bound of that time, >= ``reset_timeout``. The time also changes by
            up to 20 % at random, so that clients don't probe at the same time.
        per: ``"host"`` for a circuit per host, ``"client"`` for one circuit for all of them.

    Raises:
        ValueError: a value is out of range; the message names it.

    Example:
        >>> circuit = CircuitBreaker(minimum_calls=1).start()
        >>> ticket = circuit.admit(now=0.0)
        >>> circuit.report(ticket, Health.FAILING, duration=0.1, now=1.0, random=0.5).state
        <CircuitState.OPEN: 'open'>
        >>> circuit.admit(now=3.0)
        Rejected(reason=<RejectionReason.CIRCUIT_OPEN: 'circuit_open'>, retry_after=3.0)
    """

    failure_rate: float = 0.5
    minimum_calls: int = 20
    slow_duration: float | None = None
    slow_rate: float = 1.0
    window: float = 30.0
    window_calls: int | None = None
    probes: int = 1
    reset_timeout: float = 5.0
    reset_factor: float = 2.0
    max_reset_timeout: float = 300.0
    per: Scope = "host"

    def __post_init__(self) -> None:
        require_number("failure_rate", self.failure_rate, above=0, at_most=1)
        require_number("slow_rate", self.slow_rate, above=0, at_most=1)
        require_number("window", self.window, at_least=0.001)
        require_number("reset_timeout", self.reset_timeout, above=0)
        require_number("reset_factor", self.reset_factor, at_least=1)
        require_number("max_reset_timeout", self.max_reset_timeout, at_least=self.reset_timeout)
        require_count("minimum_calls", self.minimum_calls, at_least=1)
        require_count("probes", self.probes, at_least=1)
        require_one_of("per", self.per, ("client", "host"))
        if self.window_calls is not None:
            require_count("window_calls", self.window_calls, at_least=1)
        if self.slow_duration is not None:
            require_number("slow_duration", self.slow_duration)

    def start(self) -> "Circuit":
        """Return a closed circuit."""
        return Circuit(self)

    def new_window(self) -> Window:
        """Return an empty window."""
        if self.window_calls is None:
            return TimeWindow(self.window)
        return CountWindow(self.window_calls)


_CLOSED: Final = CircuitState.CLOSED  # for every attempt: looking a member up takes time
_UNKNOWN: Final = Health.UNKNOWN


class Circuit:
    """The circuit of a host, or of the whole client.

    Each admitted attempt is reported once, in ``finally`` as ``Health.UNKNOWN`` if nothing else is
    known. A report about an attempt that was admitted before the last transition doesn't count.

    Args:
        options: what the circuit obeys.
    """

    __slots__ = (
        "_left",
        "_minimum_calls",
        "_options",
        "_slow_above",
        "_until",
        "_window",
        "epoch",
        "in_flight",
        "state",
        "trips",
    )

    def __init__(self, options: CircuitBreaker) -> None:
        self._options = options
        self._slow_above = math.inf if options.slow_duration is None else options.slow_duration
        self._minimum_calls = min(options.minimum_calls, options.window_calls or sys.maxsize)
        self._window: Window = options.new_window()  # of the probes while half-open
        self._until = 0.0  # open: when probes are sent; half-open: when they are replaced
        self._left = 0  # probes that may still be admitted
        self.state: CircuitState = CircuitState.CLOSED
        """Whether attempts are admitted; it changes when one is admitted or reported."""
        self.epoch: int = 0
        """Number of the state, which grows with each transition."""
        self.trips: int = 0
        """How often the circuit has opened since it was last closed."""
        self.in_flight: int = 0
        """How many attempts were admitted and not reported yet, in whatever epoch."""

    def admit(self, now: float) -> Ticket | Rejected:
        """Ask for a new attempt.

        Args:
            now: monotonic seconds.

        Returns:
            A ticket, whose ``transition`` is to be published if there is one; or why the attempt
            may not be made.
        """
        if self.state is _CLOSED:
            self.in_flight += 1
            return Ticket(self.epoch)
        if self.state is CircuitState.ISOLATED:
            return Rejected(reason=RejectionReason.CIRCUIT_ISOLATED)
        transition = self._begin_probing(now) if now >= self._until else None
        if self.state is CircuitState.OPEN or self._left == 0:
            return Rejected(reason=RejectionReason.CIRCUIT_OPEN, retry_after=self._until - now)
        self._left -= 1
        self.in_flight += 1
        return Ticket(self.epoch, is_probe=True, transition=transition)

    def report(
        self, ticket: Ticket, health: Health, *, duration: float, now: float, random: float
    ) -> Transition | None:
        """Say how an admitted attempt ended.

        Args:
            ticket: what admitted it; only its first report counts.
            health: what it shows about the server; ``UNKNOWN`` isn't counted, and lets another
                probe take its place.
            duration: seconds until the response began, or until the attempt failed.
            now: monotonic seconds.
            random: a number in [0, 1), for the jitter of the break; 0.5 means no jitter.

        Returns:
            The transition that it caused, to be published; None if it caused none.
        """
        if ticket.is_reported:
            return None
        ticket.is_reported = True
        self.in_flight -= 1
        if ticket.epoch != self.epoch:
            return None
        if health is _UNKNOWN:
            self._left += ticket.is_probe
            return None
        self._window.record(now, failed=health.is_failure, slow=duration > self._slow_above)
        return self._judge_probes(now, random) if ticket.is_probe else self._judge(now, random)

    def isolate(self) -> Transition | None:
        """Refuse all attempts until ``close()`` is called; return the transition, if it is one."""
        if self.state is CircuitState.ISOLATED:
            return None
        return self._change(CircuitState.ISOLATED, TransitionReason.MANUAL)

    def close(self) -> Transition | None:
        """Admit all attempts, forgetting earlier ones; return the transition, if it is one.

        Attempts that are in flight don't count any more, even if the circuit is closed already.
        """
        was_closed = self.state is CircuitState.CLOSED
        transition = self._close(TransitionReason.MANUAL)
        return None if was_closed else transition

    def retention(self, now: float) -> Retention:
        """Return how much would be lost if the circuit were forgotten."""
        if self.in_flight or self.state is CircuitState.ISOLATED:
            return Retention.REQUIRED
        self._window.advance(now)
        is_like_new = self.state is CircuitState.CLOSED and self._window.calls == 0
        return Retention.DISPOSABLE if is_like_new else Retention.USEFUL

    def _judge(self, now: float, random: float) -> Transition | None:
        """Open the circuit if the share of failed or slow attempts reaches its limit."""
        if self._window.calls < self._minimum_calls:
            return None
        reason = self._excess(self._window.calls)
        return None if reason is None else self._open(reason, now, random)

    def _judge_probes(self, now: float, random: float) -> Transition | None:
        """Open or close the circuit as soon as the remaining probes can't change the result."""
        probes, window = self._options.probes, self._window
        reason = self._excess(probes)
        if reason is not None:
            return self._open(reason, now, random)
        left = probes - window.calls
        may_fail = (window.failures + left) / probes >= self._options.failure_rate
        may_be_slow = (window.slow + left) / probes >= self._options.slow_rate
        if may_fail or (may_be_slow and self._options.slow_duration is not None):
            return None
        return self._close(TransitionReason.PROBES_PASSED)

    def _excess(self, calls: int) -> TransitionReason | None:
        """Return which share of ``calls`` has reached its limit."""
        if self._window.failures / calls >= self._options.failure_rate:
            return TransitionReason.FAILURE_RATE
        if self._window.slow / calls >= self._options.slow_rate:
            return TransitionReason.SLOW_RATE
        return None

    def _open(self, reason: TransitionReason, now: float, random: float) -> Transition:
        options = self._options
        self.trips += 1
        backoff = Backoff(options.reset_timeout, options.reset_factor, options.max_reset_timeout)
        seconds = backoff.delay(self.trips, random=random)
        self._until = now + seconds
        return self._change(CircuitState.OPEN, reason, retry_after=seconds)

    def _begin_probing(self, now: float) -> Transition | None:
        """Admit probes; those that a half-open circuit has waited for in vain don't count."""
        was_open = self.state is CircuitState.OPEN
        if not was_open and self._left:
            return None
        transition = self._change(CircuitState.HALF_OPEN, TransitionReason.BREAK_OVER)
        self._window = CountWindow(self._options.probes)
        self._left = self._options.probes
        self._until = now + self._options.reset_timeout
        return transition if was_open else None

    def _close(self, reason: TransitionReason) -> Transition:
        transition = self._change(CircuitState.CLOSED, reason)
        self._window = self._options.new_window()
        self.trips = 0
        return transition

    def _change(
        self, state: CircuitState, reason: TransitionReason, *, retry_after: float | None = None
    ) -> Transition:
        calls = self._window.calls
        transition = Transition(
            state=state,
            previous=self.state,
            reason=reason,
            calls=calls,
            failure_rate=self._window.failures / calls if calls else 0.0,
            slow_rate=self._window.slow / calls if calls else 0.0,
            retry_after=retry_after,
        )
        self.state = state
        self.epoch += 1
        return transition

"""Decides which name is looked up next, so that names that hang leave threads for the others.

A name whose DNS server doesn't answer keeps its thread until the system's resolver gives up, often for
20 seconds, and nothing can end it earlier. So what matters is which names get the remaining threads.

Pure: no thread, no clock and no lookup. The time is an argument, and the answer is a name.
"""

import dataclasses
from collections import Counter, OrderedDict, deque

__all__ = ["LookupLimits", "LookupQueue"]

_MAX_REMEMBERED = 4096
"""Names whose last lookup is remembered; the one looked up longest ago is forgotten first."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class LookupLimits:
    """How many names may be looked up at the same time.

    Attributes:
        usual: lookups at the same time, as long as none of them hangs.
        most: lookups at the same time in any case, those that hang included.
        recent: lookups beyond ``usual`` only start while fewer than this many aren't hanging.
        reserved: of ``most``, how many are kept for names that were answered promptly before.
        hangs_after: seconds after which a lookup counts as hanging.
        crowd: hanging lookups in one domain that make its other names suspect.
    """

    usual: int = 128
    most: int = 256
    recent: int = 64
    reserved: int = 32
    hangs_after: float = 0.5
    crowd: int = 8


class LookupQueue:
    """The names that wait to be looked up, and those that are being looked up.

    A name is *trusted* if its last lookup ended before it counted as hanging, whatever the result.
    It is *suspect* if its last lookup hung, or if lookups of its domain (the last two labels) are
    hanging now. Trusted names go first and suspect ones last; among equals, the order of arrival
    decides. Each kind of name leaves some threads for the kinds before it:

    ========  ========================  ===========================================
    names     start while fewer run     if ``usual`` run: while fewer don't hang yet
    ========  ========================  ===========================================
    trusted   than ``most``             than ``recent``
    others    than ``most - reserved``  than ``recent``
    suspect   than halfway to ``most``  than half of ``recent``
    ========  ========================  ===========================================

    Args:
        limits: how many names may be looked up at the same time.

    Example:
        >>> queue = LookupQueue(LookupLimits())
        >>> queue.add("api.test")
        >>> queue.take(now=0.0)
        'api.test'
        >>> queue.end("api.test", now=0.01)
    """

    def __init__(self, limits: LookupLimits) -> None:
        self._limits = limits
        self._trusted: OrderedDict[str, None] = OrderedDict()
        self._others: OrderedDict[str, None] = OrderedDict()
        self._suspect: OrderedDict[str, None] = OrderedDict()
        self._running: dict[str, float] = {}  # when each lookup started
        self._recent: deque[tuple[str, float]] = deque()  # oldest first; some may have ended
        self._hanging: set[str] = set()
        self._hanging_in: Counter[str] = Counter()  # by domain
        self._was_prompt: OrderedDict[str, bool] = OrderedDict()  # by name, of its last lookup

    def __contains__(self, host: str) -> bool:
        """Whether a name waits to be looked up."""
        return host in self._trusted or host in self._others or host in self._suspect

    @property
    def running(self) -> int:
        """How many names are being looked up."""
        return len(self._running)

    @property
    def hanging(self) -> int:
        """How many of them have been found hanging."""
        return len(self._hanging)

    def add(self, host: str) -> None:
        """Add a name that is neither waiting nor being looked up."""
        was_prompt = self._was_prompt.get(host)
        if was_prompt is None:
            self._others[host] = None
        elif was_prompt:
            self._trusted[host] = None
        else:
            self._suspect[host] = None

    def discard(self, host: str) -> None:
        """Remove a name that waits, if it does."""
        for names in (self._trusted, self._others, self._suspect):
            names.pop(host, None)

    def take(self, now: float) -> str | None:
        """Remove and return the name to look up next; None if none may start now.

        Args:
            now: monotonic seconds.
        """
        self._find_hanging(now)
        self._demote_suspects()
        limits, unused = self._limits, self._limits.most - self._limits.usual
        for names, most, recent in (
            (self._trusted, limits.most, limits.recent),
            (self._others, limits.most - limits.reserved, limits.recent),
            (self._suspect, limits.usual + unused // 2, limits.recent // 2),
        ):
            if names and self._may_start(most, recent):
                host, _ = names.popitem(last=False)
                self._running[host] = now
                self._recent.append((host, now))
                return host
        return None

    def end(self, host: str, now: float) -> None:
        """Record that the lookup of a name has ended.

        Args:
            host: the name.
            now: monotonic seconds.
        """
        self._find_hanging(now)
        del self._running[host]
        hung = host in self._hanging
        if hung:
            self._hanging.discard(host)
            self._hanging_in.subtract((_domain(host),))
            self._hanging_in += Counter()  # drop domains at zero
        self._was_prompt.pop(host, None)
        self._was_prompt[host] = not hung
        if len(self._was_prompt) > _MAX_REMEMBERED:
            self._was_prompt.popitem(last=False)

    def next_change(self, now: float) -> float | None:
        """Return the seconds until another name may start even though no lookup has ended.

        Returns:
            None if no name waits, or if none can start before a lookup ends.
        """
        self._find_hanging(now)
        if not self._recent or not (self._trusted or self._others or self._suspect):
            return None
        return max(self._recent[0][1] + self._limits.hangs_after - now, 0.0)

    def _may_start(self, most: int, recent: int) -> bool:
        if len(self._running) < self._limits.usual:
            return True
        return len(self._running) < most and len(self._running) - len(self._hanging) < recent

    def _find_hanging(self, now: float) -> None:
        """Note which lookups have been running for too long, and forget those that have ended."""
        while self._recent:
            host, started = self._recent[0]
            if self._running.get(host) == started:
                if now < started + self._limits.hangs_after:
                    return
                self._hanging.add(host)
                self._hanging_in[_domain(host)] += 1
            self._recent.popleft()

    def _demote_suspects(self) -> None:
        """Move the first names to the suspect ones if their domain has become suspect."""
        while self._others:
            host = next(iter(self._others))
            if self._hanging_in[_domain(host)] < self._limits.crowd:
                return
            del self._others[host]
            self._suspect[host] = None


def _domain(host: str) -> str:
    """Return the last two labels of a name."""
    return ".".join(host.rstrip(".").rsplit(".", 2)[-2:]).lower()

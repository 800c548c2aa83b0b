"""The simulations that the documentation shows: the figures of each, and its chart."""

import dataclasses
from collections.abc import Callable, Sequence

from simulation.adaptive import TASKS, WORKERS, Learning, run_adaptive
from simulation.charts import Chart, Panel
from simulation.contention import run_contention
from simulation.hedging import run_hedging
from simulation.nested import run_nested
from simulation.storm import OUTAGE_BEGINS, RATE, Storm, run_storm
from typed_async_client.policies.adaptive import AdaptiveLimit
from typed_async_client.policies.budget import RetryBudget
from typed_async_client.policies.hedge import Hedge
from typed_async_client.policies.jitter import JitterName
from typed_async_client.policies.retry import RetryPolicy

__all__ = ["REPORTS", "Report"]


@dataclasses.dataclass(frozen=True, slots=True)
class Report:
    """What a simulation showed.

    Attributes:
        header: the titles of the columns.
        rows: the cells of each row.
        chart: the picture.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    chart: Chart

    def table(self) -> str:
        """Return the figures as a table in Markdown."""
        ruler = "|".join(["", "---", *["---:"] * (len(self.header) - 1), ""])
        header, *rows = (f"| {' | '.join(line)} |" for line in (self.header, *self.rows))
        return "\n".join([header.replace("|  |", "| |"), ruler, *rows])


def storm() -> Report:
    """A server at its capacity, before, during and after an outage."""
    storms = {
        "retries within a budget": run_storm(RetryPolicy(), RetryBudget(), ends=90),
        "retries without a budget": run_storm(RetryPolicy(), ends=90),
        "no retries": run_storm(RetryPolicy(max_retries=0), ends=90),
    }
    rows = (
        ("Attempts per request, during the outage", *map(_load, storms.values())),
        ("Failed, 5 to 15 s after it", *(_failed(each, 5) for each in storms.values())),
        ("Failed, 45 to 55 s after it", *(_failed(each, 45) for each in storms.values())),
    )
    seconds = range(10, 71)
    ticks = {float(second): f"{second}" for second in range(10, 71, 10)}
    panels = [
        Panel(
            "Requests that succeed, per second",
            "second of their first attempt",
            ticks,
            (0, 25, 50, 75, 100),
            {name: [(s, each.succeeded[s]) for s in seconds] for name, each in storms.items()},
        ),
        Panel(
            "Attempts that the server receives, per second",
            "second",
            ticks,
            (0, 100, 200, 300, 400),
            {name: [(s, each.sent[s]) for s in seconds] for name, each in storms.items()},
        ),
    ]
    chart = Chart(
        "A retry storm, with and without a budget",
        "100 requests per second, to a server that can answer 100, and that can't be reached from second 20 to 30",
        "After the outage, retries without a budget keep the server at three times its capacity, and no request "
        "succeeds. With a budget, as without retries, all of them do.",
        panels,
    )
    return Report(("", *storms), rows, chart)


def _load(each: Storm) -> str:
    seconds = range(int(OUTAGE_BEGINS), int(each.outage_ends))
    return f"{sum(each.sent[second] for second in seconds) / RATE / len(seconds):.2f}"


def _failed(each: Storm, after: int) -> str:
    begin = int(each.outage_ends) + after
    succeeded = sum(each.succeeded[second] for second in range(begin, begin + 10))
    return f"{1 - succeeded / RATE / 10:.0%}".replace("%", " %")


def nested() -> Report:
    """Three layers of retries in front of a server that fails."""
    loads = {
        "within a budget": run_nested(RetryPolicy(), RetryBudget(), seconds=20),
        "without a budget": run_nested(RetryPolicy(), seconds=20),
    }
    factors = {name: [each / received[0] for each in received] for name, received in loads.items()}
    rows = [
        (f"Retries {name}", *(f"{each:.2f}" for each in line[1:])) for name, line in factors.items()
    ]
    panel = Panel(
        "Attempts per request",
        "layers of retries",
        {n: str(n) for n in range(4)},
        (1, 3, 9, 27),
        {f"retries {name}": list(enumerate(line)) for name, line in factors.items()},
        is_logarithmic=True,
    )
    chart = Chart(
        "Retries of retries",
        "Services behind each other, each of which makes up to three attempts, in front of a server that answers 503",
        "Without a budget, three layers send 27 attempts per request; with one in each layer, fewer than two.",
        [panel],
    )
    return Report(("Attempts per request, after", "one layer", "two", "three"), rows, chart)


JITTERS: tuple[JitterName, ...] = ("full", "none", "equal", "decorrelated")


def contention() -> Report:
    """Clients that contend, with each kind of jitter."""
    numbers, runs = range(10, 101, 10), 5
    calls: dict[str, list[tuple[float, float]]] = {}
    seconds: dict[str, list[tuple[float, float]]] = {}
    for jitter in JITTERS:
        results = {n: [run_contention(jitter, n, seed) for seed in range(runs)] for n in numbers}
        calls[jitter] = [(n, sum(each.calls for each in results[n]) / runs) for n in numbers]
        seconds[jitter] = [(n, sum(each.seconds for each in results[n]) / runs) for n in numbers]
    rows = [
        (f"`{name}`", f"{calls[name][-1][1]:.0f}", f"{seconds[name][-1][1]:.1f}")
        for name in JITTERS
    ]
    ticks = {n: str(n) for n in (0, *numbers)}
    panels = [
        Panel("Calls", "clients", ticks, (0, 500, 1000, 1500, 2000), calls),
        Panel(
            "Seconds until all are done",
            "clients",
            ticks,
            (0.1, 1, 10, 100),
            seconds,
            is_logarithmic=True,
        ),
    ]
    chart = Chart(
        "Jitter, when clients contend",
        "Each client updates the same item once, and retries while another was faster; averages of 5 runs",
        "Without jitter, a hundred clients need twice the calls and more than ten times the time.",
        panels,
    )
    return Report(("Jitter", "calls", "seconds"), rows, chart)


PERCENTS = (50, 95, 99, 99.9)
"""Percentiles in the table."""


def hedging() -> Report:
    """Requests with a slow tail, without and with copies."""
    runs = {"hedged after p95": run_hedging(Hedge()), "not hedged": run_hedging(None)}
    rows = [
        (
            "Attempts per request",
            *(f"{each.sent / len(each.durations):.3f}" for each in runs.values()),
        )
    ]
    rows += [
        (f"p{percent:g}, ms", *(f"{each.percentile(percent) * 1000:.0f}" for each in runs.values()))
        for percent in PERCENTS
    ]
    shown = (50, 75, 90, 95, 99, 99.5, 99.9)
    panel = Panel(
        "Response time, ms",
        "percentile of the requests",
        {n: f"p{p:g}" for n, p in enumerate(shown)},
        (10, 30, 100, 300, 1000),
        {
            name: [(n, each.percentile(p) * 1000) for n, p in enumerate(shown)]
            for name, each in runs.items()
        },
        is_logarithmic=True,
    )
    chart = Chart(
        "Hedging",
        "1,000 requests per second to 10 replicas; 1 % of the attempts are held up for 0.1 to 1 s",
        "Copies of the slowest requests shorten the longest response times from nearly a second to a few hundredths.",
        [panel],
    )
    return Report(("", *runs), rows, chart)


def adaptive() -> Report:
    """Limits that are learnt, at a server that queues and at one that refuses."""
    gradient = AdaptiveLimit(algorithm="gradient")
    runs = {
        "`gradient`, server that queues": run_adaptive(gradient),
        f"{TASKS} at once, server that queues": run_adaptive(None),
        "`gradient`, server that refuses": run_adaptive(gradient, longest_queue=0.0),
        "`aimd`, server that refuses": run_adaptive(AdaptiveLimit(), longest_queue=0.0),
    }
    rows = [(name, *_learnt(each)) for name, each in runs.items()]
    lines = {
        name.replace("`", ""): list(enumerate(each.limits, start=1)) for name, each in runs.items()
    }
    panel = Panel(
        "Limit",
        "seconds",
        {float(n): str(n) for n in range(0, 181, 30)},
        (0, 50, 100, 150, 200, 250),
        lines,
    )
    chart = Chart(
        "Adaptive limits",
        f"A client that always has work, and a server with {WORKERS} workers, which queues the rest or refuses it",
        f"Each of the limits stays within a fifth of the server's {WORKERS} workers.",
        [panel],
    )
    header = (
        "",
        "average limit after a minute",
        "responses per second",
        "response time, ms",
        "refused, %",
    )
    return Report(header, rows, chart)


def _learnt(each: Learning) -> tuple[str, ...]:
    sent = each.succeeded + each.refused
    return (
        f"{each.settled_limit(60):.0f}",
        f"{each.succeeded / len(each.limits):.0f}",
        f"{each.waited / each.succeeded * 1000:.0f}",
        f"{each.refused / sent * 100:.2f}",
    )


REPORTS: dict[str, Callable[[], Report]] = {
    "storm": storm,
    "nested": nested,
    "contention": contention,
    "hedging": hedging,
    "adaptive": adaptive,
}
"""What runs each of them, by name."""

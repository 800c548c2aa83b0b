"""The comparison of what clients make of a failing server runs, and counts what happened."""

import collections
import json
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
from benchmark_kit import BENCHMARKS, run_benchmark
from rescuing.charts import draw
from rescuing.clients import RESCUERS, missing
from rescuing.faults import Fault, Plan
from rescuing.tables import FAULTS, OUTAGE, rescued, survived
from rescuing.turns import Record, Turn

_OURS: Final = "typed_async_client"

# With this seed, 60 requests meet every fault but a stall, so that no timeout need be short.
_SEED: Final = "246"

_WITH_A_FAILURE: Final = """
import contextlib
from rescuing.clients import Rescuer
from rescuing.faults import Plan
from rescuing.turns import run_turn

@contextlib.asynccontextmanager
async def cannot_open(url, wait):
    raise OSError("no client")
    yield

try:
    run_turn(Rescuer("", "", cannot_open), Plan(seed=1, requests=1, rate=1.0), 1.0)
except RuntimeError as error:
    print(error)
"""


def test_our_client_rescues_all_that_can_be_and_executes_no_post_twice(tmp_path: Path) -> None:
    """The keyed one too; the table, the figures and the chart are written."""
    options = ["--steady", "--requests", "60", "--timeout", "20", "--outage", "0", "--seed", _SEED]
    chart = tmp_path / "chart.svg"
    script = str(BENCHMARKS / "rescue.py")
    printed = run_benchmark(script, *options, "--only", _OURS, "--chart", str(chart), cwd=tmp_path)
    report: dict[str, Any] = json.loads((tmp_path / "build" / "rescue.json").read_text("utf-8"))
    row = report["faults"][_OURS]
    assert (row["answered"], row["posts_executed_twice"]) == (report["possible"], 0)
    assert FAULTS.line(_OURS, row) in printed
    assert _OURS in chart.read_text("utf-8")


def test_an_outage_is_seen_by_the_server_and_the_client(tmp_path: Path) -> None:
    """Requests arrive before and during it, and fail during it."""
    options = ["--requests", "1", "--steady", "--outage-rate", "50", "--timeout", "20"]
    outage = ["--outage", "0.4", "--before", "1", "--patience", "0.1"]
    run_benchmark(
        str(BENCHMARKS / "rescue.py"),
        *options,
        *outage,
        "--only",
        _OURS,
        "--seed",
        _SEED,
        cwd=tmp_path,
    )
    report: dict[str, Any] = json.loads((tmp_path / "build" / "rescue.json").read_text("utf-8"))
    row = report["outage"][_OURS]
    assert row["during_per_second"] > 0
    assert set(row["errors"]) <= {"HTTPStatusError", "CircuitOpenError", "BudgetExhaustedError"}


def test_a_client_that_cannot_be_opened_is_reported(tmp_path: Path) -> None:
    """And the server ends all the same."""
    assert run_benchmark("-c", _WITH_A_FAILURE, cwd=tmp_path) == "OSError: no client\n"


def test_the_modules_that_a_client_lacks_are_named() -> None:
    """Ours needs no others; a row without figures tells why."""
    assert [missing(each) for each in RESCUERS if each.is_ours] == [[], []]
    assert FAULTS.line("peer", {"error": "peer isn't installed"}).startswith(
        "| peer | peer isn't installed |"
    )


def test_every_client_meets_the_same_faults() -> None:
    """They follow from the seed, the request and its attempt; about one attempt in eight fails."""
    plan, other = (Plan(seed=seed, requests=1000, rate=1.0) for seed in (1, 2))
    again = Plan.from_json(plan.to_json())
    faults = [plan.fault(number, attempt) for number in range(1000) for attempt in range(3)]
    assert faults == [
        again.fault(number, attempt) for number in range(1000) for attempt in range(3)
    ]
    assert faults[::3] != [other.fault(number, 0) for number in range(1000)]
    counts = collections.Counter(faults)
    assert set(counts) == set(Fault)
    assert 0.85 < counts[Fault.NONE] / len(faults) < 0.9


@pytest.mark.parametrize(
    ("method", "has_key", "faults", "expected"),
    [
        ("GET", False, [Fault.CUT, Fault.STALL, Fault.NONE], True),
        ("GET", False, [Fault.CUT, Fault.STALL, Fault.RESET], False),
        ("POST", True, [Fault.RESET, Fault.UNAVAILABLE, Fault.SLOW], True),
        ("POST", False, [Fault.THROTTLED, Fault.THROTTLED, Fault.NONE], True),
        ("POST", False, [Fault.UNAVAILABLE, Fault.NONE, Fault.NONE], False),
        ("POST", False, [Fault.RESET, Fault.NONE, Fault.NONE], False),
    ],
)
def test_what_can_be_answered_depends_on_what_a_client_may_risk(
    *, method: str, has_key: bool, faults: list[Fault], expected: bool
) -> None:
    """A POST without a key mustn't be sent again once it may have been executed."""
    assert Plan.is_answerable(method, faults, has_key=has_key) is expected


def _turn(*, normal_after: float | None = None) -> Turn:
    """Return a turn of ten requests per second, the last of which failed in an outage."""
    records = [Record(number, number / 10, number / 10 + 0.05, None) for number in range(10)]
    return Turn(
        records=[*records, Record(10, 1.0, 3.0, "ReadTimeout")],
        arrivals=[number / 10 for number in range(12)],
        posts_executed_twice=1,
        normal_after=normal_after,
    )


def test_the_figures_are_counted_from_what_clients_and_server_saw() -> None:
    """Times are those of answered requests, as their callers see them."""
    plan = Plan(seed=1, requests=11, rate=10.0, outage=(1.0, 2.0))
    assert FAULTS.line("x", rescued(_turn(), plan)) == "| x | 90.9 % | 1.20 | 1 | 50 ms | 50 ms |"
    assert OUTAGE.line("x", survived(_turn(), plan)) == "| x | 2 | 20 % | 2,000 ms | later |"
    calm = survived(_turn(normal_after=1.5), plan)
    assert OUTAGE.line("x", calm) == "| x | 2 | 20 % | 2,000 ms | 1.5 s |"


def test_the_chart_tells_in_words_what_it_shows() -> None:
    """A client that wasn't measured has no bar."""
    plan = Plan(seed=1, requests=11, rate=10.0, outage=(1.0, 2.0))
    turn = _turn()
    report = {
        "machine": {"cpu": "A <CPU>", "cores": "2", "python": "CPython", "system": "Linux"},
        "clients": {"ours": {"is_ours": True}, "peer": {"is_ours": False}},
        "faults": {"ours": rescued(turn, plan), "peer": {"error": "no"}},
        "outage": {"ours": survived(turn, plan), "peer": {"error": "no"}},
    }
    chart = ET.fromstring(draw(report))
    description = next(part.text for part in chart if part.tag.endswith("desc"))
    assert description == (
        "Requests answered. ours: 90.9 %, 1 POST twice. peer: not measured. "
        "Load in the outage. ours: 20 %, normal later. peer: not measured."
    )
    widths = [part.attrib["width"] for part in chart if part.attrib.get("class") == "peer"]
    assert widths == ["0.0", "0.0"]

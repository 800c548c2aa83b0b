"""The chart shows the results that it is given."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest
from benchmark_kit import run_benchmark

_ROOT: Final = Path(__file__).parents[2]
_SVG: Final = "{http://www.w3.org/2000/svg}"


_CHART: Final = (_ROOT / "docs" / "benchmark.svg").read_text("utf-8")


def _client(*, is_ours: bool = False) -> dict[str, Any]:
    return {"description": "what it is", "retries": is_ours, "is_ours": is_ours}


_REPORT: Final[dict[str, Any]] = {
    "machine": {"cpu": "A <CPU>", "cores": "2 cores", "python": "CPython", "system": "Linux"},
    "server": "a server",
    "schedule": {"rounds": 3, "settle": 0.8, "seconds": 0.6},
    "clients": {
        "httpx": _client(),
        "slow": _client(),
        "broken": _client(),
        "ours": _client(is_ours=True),
    },
    "results": {
        "50": {
            "httpx": {"requests_per_second": 1234.5, "ratio_to_httpx": 1.0},
            "slow": {"requests_per_second": 617.2, "ratio_to_httpx": 0.5},
            "broken": {"error": "OSError: no"},
            "ours": {"requests_per_second": 4938.0, "ratio_to_httpx": 4.0},
        }
    },
}


@pytest.fixture(name="chart", scope="module")
def draw(tmp_path_factory: pytest.TempPathFactory) -> ET.Element:
    """Draw the report above with the script itself."""
    folder = tmp_path_factory.mktemp("chart")
    results, chart = folder / "compare.json", folder / "chart.svg"
    results.write_text(json.dumps(_REPORT), "utf-8")
    script = _ROOT / "benchmarks" / "chart.py"
    subprocess.run([sys.executable, script, results, chart], check=True, timeout=60)
    return ET.fromstring(chart.read_text("utf-8"))


def _texts(chart: ET.Element) -> list[str]:
    return [part.text or "" for part in chart.iter(f"{_SVG}text")]


def _bars(chart: ET.Element) -> list[tuple[str, float, float]]:
    """Return class, left edge and width of each bar; only the legend has rounded corners."""
    return [
        (bar.attrib["class"], float(bar.attrib["x"]), float(bar.attrib["width"]))
        for bar in chart.iter(f"{_SVG}rect")
        if "rx" not in bar.attrib
    ]


def test_each_client_has_a_row_with_its_ratio(chart: ET.Element) -> None:
    """Clients that retry come first, and within each group the fastest ones."""
    texts = _texts(chart)
    order = ["Clients that retry", "ours", "Clients that don't retry", "httpx", "slow", "broken"]
    assert [text for text in texts if text in order] == order
    assert {"4.0\N{MULTIPLICATION SIGN}", "0.50\N{MULTIPLICATION SIGN}"} <= set(texts)


def test_a_client_that_failed_has_a_label_instead_of_a_bar(chart: ET.Element) -> None:
    """Three of the four clients have bars."""
    assert _texts(chart).count("failed") == 1
    assert len(_bars(chart)) == 3


def test_bars_start_at_stock_httpx(chart: ET.Element) -> None:
    """A bar grows to the right with the logarithm of the ratio, and to the left below 1."""
    (ours, start, length), (_, one, zero), (peer, left, shorter) = _bars(chart)
    assert (ours, peer) == ("ours", "peer")
    assert start == one
    assert zero == 0
    assert left + shorter == pytest.approx(one, abs=0.2)
    assert length == pytest.approx(2 * shorter, abs=0.2)


def test_the_chart_says_what_was_measured_and_where(chart: ET.Element) -> None:
    """It names the machine, the server, and the requests per second of the baseline."""
    texts = " ".join(_texts(chart))
    assert "A <CPU>, 2 cores; CPython; Linux; a server" in texts
    assert "httpx: 1,234 requests/s" in texts


def test_the_results_are_described_in_text_too(chart: ET.Element) -> None:
    """The description is for readers who can't see the bars."""
    description = chart.findtext(f"{_SVG}desc")
    assert description is not None
    assert "ours: 4.0\N{MULTIPLICATION SIGN}." in description
    assert "broken: failed." in description


def test_the_chart_in_the_readme_shows_every_client() -> None:
    """A client that is added or renamed requires a new chart."""
    script = "from clients import CLIENTS; print(*(client.name for client in CLIENTS), sep='\\n')"
    names = run_benchmark("-c", script, cwd=_ROOT).splitlines()
    assert set(names) <= set(_texts(ET.fromstring(_CHART)))


@pytest.mark.parametrize("page", ["docs/performance.md", "docs/fr/performance.md"])
def test_the_page_on_performance_names_the_machine_of_the_chart(page: str) -> None:
    """Processor, Python, system and server are the ones in the chart."""
    text = (_ROOT / page).read_text("utf-8")
    found = re.search(
        r"(AMD \w+), 2 cores; C(Python 3\.\d+)\.\d+; (\w+) [\w/]* (\d+) .*; (\w+)", _CHART
    )
    assert found is not None
    processor, python, system, version, server = found.groups()
    assert all(name in text for name in (processor, python, f"{system} {version}", server))

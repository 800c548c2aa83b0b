"""The chart shows the figures that it is given."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

import pytest

_ROOT: Final = Path(__file__).parents[2]
_SVG: Final = "{http://www.w3.org/2000/svg}"


_CHART: Final = (_ROOT / "docs" / "benchmark.svg").read_text("utf-8")


def _contestant(*, is_ours: bool = False) -> dict[str, Any]:
    return {"says": "what it does", "retries": is_ours, "is_ours": is_ours}


_REPORT: Final[dict[str, Any]] = {
    "machine": {"cpu": "A <CPU>", "cores": "2 cores", "python": "CPython", "system": "Linux"},
    "server": "a server",
    "pace": {"rounds": 3, "settle": 0.8, "seconds": 0.6},
    "contestants": {
        "httpx": _contestant(),
        "slow": _contestant(),
        "broken": _contestant(),
        "ours": _contestant(is_ours=True),
    },
    "figures": {
        "50": {
            "httpx": {"requests_per_second": 1234.5, "ratio_to_httpx": 1.0},
            "slow": {"requests_per_second": 617.2, "ratio_to_httpx": 0.5},
            "broken": {"error": "OSError: no"},
            "ours": {"requests_per_second": 4938.0, "ratio_to_httpx": 4.0},
        }
    },
}


@pytest.fixture(name="picture", scope="module")
def draw(tmp_path_factory: pytest.TempPathFactory) -> ET.Element:
    """Draw the report above by the command that the house uses."""
    folder = tmp_path_factory.mktemp("chart")
    figures, picture = folder / "compare.json", folder / "chart.svg"
    figures.write_text(json.dumps(_REPORT), "utf-8")
    script = _ROOT / "benchmarks" / "chart.py"
    subprocess.run([sys.executable, script, figures, picture], check=True, timeout=60)
    return ET.fromstring(picture.read_text("utf-8"))


def _words(picture: ET.Element) -> list[str]:
    return [part.text or "" for part in picture.iter(f"{_SVG}text")]


def _bars(picture: ET.Element) -> list[tuple[str, float, float]]:
    """Give class, left end and width of each bar; the legend's squares have round corners."""
    return [
        (bar.attrib["class"], float(bar.attrib["x"]), float(bar.attrib["width"]))
        for bar in picture.iter(f"{_SVG}rect")
        if "rx" not in bar.attrib
    ]


def test_each_contestant_has_a_row_and_its_number(picture: ET.Element) -> None:
    """Those that retry stand above the others, the fastest above the slower ones."""
    words = _words(picture)
    order = ["Clients that retry", "ours", "Clients that do not", "httpx", "slow", "broken"]
    assert [word for word in words if word in order] == order
    assert {"4.0\N{MULTIPLICATION SIGN}", "0.50\N{MULTIPLICATION SIGN}"} <= set(words)


def test_one_that_failed_has_a_word_in_place_of_a_bar(picture: ET.Element) -> None:
    """Three of the four contestants have bars."""
    assert _words(picture).count("failed") == 1
    assert len(_bars(picture)) == 3


def test_bars_begin_at_stock_httpx(picture: ET.Element) -> None:
    """A bar grows to the right with the logarithm of the ratio, and to the left below 1."""
    (ours, start, length), (_, one, nothing), (peer, left, shorter) = _bars(picture)
    assert (ours, peer) == ("ours", "peer")
    assert start == one
    assert nothing == 0
    assert left + shorter == pytest.approx(one, abs=0.2)
    assert length == pytest.approx(2 * shorter, abs=0.2)


def test_the_picture_tells_what_was_measured_and_where(picture: ET.Element) -> None:
    """The machine, the server, and the requests per second that all are measured by."""
    words = " ".join(_words(picture))
    assert "A <CPU>, 2 cores; CPython; Linux; a server" in words
    assert "httpx: 1,234 requests/s" in words


def test_the_figures_are_told_in_words_as_well(picture: ET.Element) -> None:
    """For those who do not see the bars."""
    description = picture.findtext(f"{_SVG}desc")
    assert description is not None
    assert "ours: 4.0\N{MULTIPLICATION SIGN}." in description
    assert "broken: failed." in description


def test_the_chart_of_the_readme_shows_every_contestant() -> None:
    """One that was added, renamed or taken away asks for a new chart."""
    script = (
        "from contestants import CONTESTANTS; print(*(one.name for one in CONTESTANTS), sep='\\n')"
    )
    path = os.pathsep.join(map(str, (_ROOT / "benchmarks", _ROOT)))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        check=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": path},
        timeout=60,
    )
    drawn = set(_words(ET.fromstring(_CHART)))
    assert set(done.stdout.splitlines()) <= drawn


@pytest.mark.parametrize("page", ["docs/performance.md", "docs/fr/performance.md"])
def test_the_page_on_performance_names_the_machine_of_the_chart(page: str) -> None:
    """Processor, Python, system and server are the ones in the chart."""
    text = (_ROOT / page).read_text("utf-8")
    told = re.search(
        r"(AMD \w+), 2 cores; C(Python 3\.\d+)\.\d+; (\w+) [\w/]* (\d+) .*; (\w+)", _CHART
    )
    assert told is not None
    processor, python, system, version, server = told.groups()
    assert all(name in text for name in (processor, python, f"{system} {version}", server))

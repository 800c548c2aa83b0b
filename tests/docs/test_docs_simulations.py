"""The page about the simulations shows what they print and draw."""

from typing import Final

import pytest
from docs_pages import ROOT, TWINS, read_page
from simulation.charts import draw_lines
from simulation.reports import REPORTS

_PAGE: Final = "docs/simulations.md"


def _numbers(rows: tuple[tuple[str, ...], ...]) -> list[list[str]]:
    """Return the cells with numbers, as written in English."""
    return [[cell.replace(",", ".") for cell in row[1:]] for row in rows[1:]]


@pytest.mark.parametrize("name", REPORTS)
def test_the_figures_and_the_chart_are_those_of_the_simulation(name: str) -> None:
    """``make simulate`` prints the tables, and draws the charts again if they have changed."""
    report = REPORTS[name]()
    assert report.table() in (ROOT / _PAGE).read_text("utf-8")
    chart = ROOT / "docs" / f"simulation-{name}.svg"
    assert chart.read_text("utf-8") == draw_lines(report.chart)
    assert f"{chart.name}" in read_page(_PAGE).links


def test_both_languages_have_the_same_figures() -> None:
    """With a decimal comma in French."""
    english, french = (
        [_numbers(table) for table in read_page(page).tables] for page in (_PAGE, TWINS[_PAGE])
    )
    assert len(english) == len(REPORTS)
    assert english == french

"""The page about rescued requests shows the figures of its chart, for the clients that are compared."""

from typing import Final
from xml.etree import ElementTree as ET

from docs_pages import ROOT, TWINS, read_page
from rescuing.clients import RESCUERS

_PAGE: Final = "docs/rescue.md"
_NAMES: Final = [rescuer.name for rescuer in RESCUERS]


def _described() -> str:
    chart = ET.fromstring((ROOT / "docs" / "rescue.svg").read_text("utf-8"))
    return next(part.text or "" for part in chart if part.tag.endswith("desc"))


def test_the_tables_have_the_figures_of_the_chart() -> None:
    """Both come from ``make rescue``."""
    faults, outage = read_page(_PAGE).tables
    assert [row[0] for row in faults[1:]] == [row[0] for row in outage[1:]] == _NAMES
    description = _described()
    for name, answered, _, twice, *_ in faults[1:]:
        posts = "" if twice == "0" else f", {twice} POST"
        assert f"{name}: {answered}{posts}" in description
    for name, _, load, _, after in outage[1:]:
        assert (
            f"{name}: {load}, normal {after if after == 'later' else f'after {after}'}"
            in description
        )


def test_our_client_answers_most_without_executing_a_post_twice() -> None:
    """Those that answer more than its standard policies do execute POSTs twice."""
    rows = read_page(_PAGE).tables[0][1:]
    safe = {row[0]: float(row[1].removesuffix(" %")) for row in rows if row[3] == "0"}
    assert sorted(safe, key=lambda name: -safe[name])[:2] == [_NAMES[1], _NAMES[0]]


def test_both_languages_have_the_same_figures() -> None:
    """With a decimal comma, and a space between thousands, in French."""
    english, french = (read_page(page).tables for page in (_PAGE, TWINS[_PAGE]))
    figures = [
        [
            [cell.replace(",", "\N{NO-BREAK SPACE}").replace(".", ",") for cell in row[1:-1]]
            for row in table[1:]
        ]
        for table in english
    ]
    assert figures == [[list(row[1:-1]) for row in table[1:]] for table in french]

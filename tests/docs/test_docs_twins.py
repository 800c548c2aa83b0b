"""The English and French pages say the same, and everything they point to exists."""

import ast
import re
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
from docs_pages import ROOT, TWINS, WITH_EXAMPLES, WITH_TABLES, Block, Page, code_names, read_page

_PAGES: Final = (*TWINS, *TWINS.values(), "CONTRIBUTING.md", "CHANGELOG.md")
_PICTURES: Final = sorted(
    str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").rglob("*.svg")
)
_TESTED_LANGUAGES: Final = frozenset({"python", "bash", "text"})


@pytest.fixture(name="twins", params=list(TWINS))
def read_both(request: pytest.FixtureRequest) -> tuple[Page, Page]:
    """Return an English page and its French twin."""
    return read_page(request.param), read_page(TWINS[request.param])


def test_every_page_has_a_twin() -> None:
    """No page is added in one language alone, or without these tests knowing it."""
    found = {str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")}
    assert found == {*TWINS, *TWINS.values()} - {"README.md", "README.fr.md"}


def test_headings_have_the_same_levels(twins: tuple[Page, Page]) -> None:
    """The sections correspond one to one."""
    english, french = ([level for level, _ in page.headings] for page in twins)
    assert english
    assert english == french


@pytest.mark.parametrize("name", sorted(WITH_EXAMPLES))
def test_code_differs_only_in_comments_and_printed_words(name: str) -> None:
    """The blocks correspond one to one, are in the same language and do the same."""
    pages = read_page(name), read_page(TWINS[name])
    english, french = ([_essence(block) for block in page.blocks] for page in pages)
    assert "python" in {language for language, _ in english}
    assert english == french


@pytest.mark.parametrize("name", sorted(set(TWINS) - WITH_EXAMPLES))
def test_pages_without_examples_have_the_same_commands(name: str) -> None:
    """These pages have shell commands at most; an example makes a page one of the others."""
    pages = read_page(name), read_page(TWINS[name])
    english, french = ([_essence(block) for block in page.blocks] for page in pages)
    assert {language for language, _ in english} <= {"bash"}
    assert english == french


@pytest.mark.parametrize("name", sorted(WITH_EXAMPLES))
def test_each_block_is_in_the_same_section(name: str) -> None:
    """An example is found under the same heading."""
    pages = read_page(name), read_page(TWINS[name])
    english, french = (
        [[title for _, title in page.headings].index(block.section) for block in page.blocks]
        for page in pages
    )
    assert english
    assert english == french


@pytest.mark.parametrize("name", sorted(WITH_TABLES))
def test_tables_name_the_same_things(name: str) -> None:
    """The names in backticks agree row by row and cell by cell."""
    pages = read_page(name), read_page(TWINS[name])
    english, french = (
        [[[code_names(cell) for cell in row] for row in table] for table in page.tables]
        for page in pages
    )
    assert english
    assert english == french


@pytest.mark.parametrize("name", sorted(set(TWINS) - WITH_TABLES))
def test_pages_without_tables_have_none_in_either_language(name: str) -> None:
    """A table makes a page one of those whose tables are compared."""
    assert not read_page(name).tables
    assert not read_page(TWINS[name]).tables


def test_sections_name_the_same_things(twins: tuple[Page, Page]) -> None:
    """Section by section, both pages mention the same names in backticks, in any order."""
    english, french = ([sorted(set(code_names(s))) for s in page.sections] for page in twins)
    assert any(english)
    assert english == french


@pytest.mark.parametrize("name", list(TWINS))
def test_twins_link_to_each_other(name: str) -> None:
    """A reader of the wrong language finds the right one at the top."""
    twin = TWINS[name]
    assert _target(name, read_page(name).links[0]) == ROOT / twin
    assert _target(twin, read_page(twin).links[0]) == ROOT / name


@pytest.mark.parametrize("name", _PAGES)
def test_relative_links_lead_to_files_and_headings_that_exist(name: str) -> None:
    """Fragments are headings of the page that the link leads to."""
    relative = [link for link in read_page(name).links if not urlsplit(link).scheme]
    assert relative
    for link in relative:
        target, fragment = _target(name, link), urlsplit(link).fragment
        assert target.is_file(), link
        if fragment:
            assert fragment in Page.parse(target.read_text("utf-8")).anchors, link


@pytest.mark.parametrize("name", [*TWINS, *TWINS.values()])
def test_links_to_translated_pages_keep_the_language(name: str) -> None:
    """A French reader is not sent to an English page that has a twin, except by the first link."""
    others = TWINS if name in TWINS.values() else {twin: page for page, twin in TWINS.items()}
    for link in read_page(name).links[1:]:
        if not urlsplit(link).scheme:
            assert str(_target(name, link).relative_to(ROOT)) not in others, link


@pytest.mark.parametrize("name", _PAGES)
def test_blocks_are_in_a_language_that_a_test_executes(name: str) -> None:
    """Nobody can add a block that no test looks at."""
    assert {block.language for block in read_page(name).blocks} <= _TESTED_LANGUAGES


@pytest.mark.parametrize("name", sorted(path.name for path in (ROOT / "docs").glob("*.svg")))
def test_pictures_describe_themselves_and_fetch_nothing(name: str) -> None:
    """They have a title, a description and colors for light and dark, and no external resource."""
    text = (ROOT / "docs" / name).read_text("utf-8")
    children = {part.tag.rpartition("}")[2] for part in ET.fromstring(text)}
    assert {"title", "desc"} <= children
    assert "prefers-color-scheme: dark" in text
    assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|href=|<image|<script", text)


def _target(name: str, link: str) -> Path:
    """Return the file that a relative link on a page leads to."""
    path = urlsplit(link).path
    return ((ROOT / name).parent / path).resolve() if path else ROOT / name


def _essence(block: Block) -> tuple[str, str]:
    """Return what a block does: its code without comments and without the words it prints."""
    if block.language == "python":
        return "python", ast.dump(_Wordless().visit(ast.parse(block.code)))
    if block.language == "text":  # the words differ; the number of lines doesn't
        return "text", str(len(block.code.splitlines()))
    return block.language, re.sub(r" *#.*", "", block.code)


class _Wordless(ast.NodeTransformer):
    """Removes the words from calls of ``print``; the values in an f-string stay."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "print":
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    part.value = ""
        return self.generic_visit(node)

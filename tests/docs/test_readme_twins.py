"""The two READMEs tell the same, and what they point to is there."""

import ast
import re
from typing import Final
from urllib.parse import urlsplit
from xml.etree import ElementTree as ET

import pytest
from readmes import LANGUAGES, ROOT, Block, Page, anchor_of, read_page

_PAGES: Final = ("README.md", "README.fr.md", "CONTRIBUTING.md", "CHANGELOG.md")
_TESTED_LANGUAGES: Final = frozenset({"python", "bash", "text"})


@pytest.fixture(name="twins", scope="module")
def read_both() -> tuple[Page, Page]:
    """Give the English and the French page."""
    return read_page(LANGUAGES["en"]), read_page(LANGUAGES["fr"])


def test_the_headings_have_the_same_levels(twins: tuple[Page, Page]) -> None:
    """Section follows section, one for one."""
    english, french = ([level for level, _ in page.headings] for page in twins)
    assert english == french


def test_the_code_is_the_same_but_for_comments_and_printed_words(twins: tuple[Page, Page]) -> None:
    """Block follows block, in the same language, and does the same."""
    english, french = ([_essence(block) for block in page.blocks] for page in twins)
    assert english == french


def test_each_block_stands_in_the_same_section(twins: tuple[Page, Page]) -> None:
    """An example is found under the same heading."""
    english, french = (
        [[title for _, title in page.headings].index(block.section) for block in page.blocks]
        for page in twins
    )
    assert english == french


def test_the_tables_name_the_same_things(twins: tuple[Page, Page]) -> None:
    """Row for row and cell for cell, the names in code letters agree."""
    english, french = (
        [[[_code_names(cell) for cell in row] for row in table] for table in page.tables]
        for page in twins
    )
    assert english == french


def test_the_lists_and_paragraphs_name_the_same_things(twins: tuple[Page, Page]) -> None:
    """Section for section, both pages mention the same names, though perhaps in other order."""
    english, french = (
        [sorted({name for line in prose for name in _code_names(line)}) for prose in _sections(key)]
        for key in LANGUAGES
    )
    assert english == french


def test_each_page_links_to_the_other(twins: tuple[Page, Page]) -> None:
    """A reader of the wrong language finds the right one at the top."""
    english, french = twins
    assert english.links[0] == LANGUAGES["fr"]
    assert french.links[0] == LANGUAGES["en"]


@pytest.mark.parametrize("name", _PAGES)
def test_every_relative_link_leads_somewhere(name: str) -> None:
    """Files exist, fragments are headings of the page."""
    page = read_page(name)
    anchors = {anchor_of(title) for _, title in page.headings}
    for link in page.links:
        address = urlsplit(link)
        if not address.scheme:
            assert not address.path or (ROOT / address.path).is_file(), link
            assert not address.fragment or address.fragment in anchors, link


@pytest.mark.parametrize("name", _PAGES)
def test_every_block_is_in_a_language_that_a_test_executes(name: str) -> None:
    """A block that nothing tests cannot be added unseen."""
    assert {block.language for block in read_page(name).blocks} <= _TESTED_LANGUAGES


@pytest.mark.parametrize("name", ["architecture.svg", "benchmark.svg"])
def test_a_picture_explains_itself_and_fetches_nothing(name: str) -> None:
    """It has a title and a description, colours for light and dark, and no outside resource."""
    text = (ROOT / "docs" / name).read_text("utf-8")
    children = {part.tag.rpartition("}")[2] for part in ET.fromstring(text)}
    assert {"title", "desc"} <= children
    assert "prefers-color-scheme: dark" in text
    assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"@import|href=|<image|<script", text)


def _essence(block: Block) -> tuple[str, str]:
    """Give what a block does: its code without comments, without the words that it prints."""
    if block.language == "python":
        return "python", ast.dump(_Wordless().visit(ast.parse(block.code)))
    if block.language == "text":  # the words differ; the names and numbers of lines do not
        return "text", str(len(block.code.splitlines()))
    return block.language, re.sub(r" *#.*", "", block.code)


class _Wordless(ast.NodeTransformer):
    """Takes the words out of the calls of ``print``; the values in an f-string stay."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "print":
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str):
                    part.value = ""
        return self.generic_visit(node)


def _code_names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def _sections(language: str) -> list[list[str]]:
    """Part a page into its sections, without code blocks; names may wrap over a line's end."""
    text = (ROOT / LANGUAGES[language]).read_text("utf-8")
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    return [[part.replace("\n", " ")] for part in re.split(r"^#+ ", prose, flags=re.MULTILINE)]

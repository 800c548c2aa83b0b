"""The README stays short, in order, and free of other people's hosts."""

import re
from typing import Final

import pytest
from docs_pages import ROOT, TWINS, code_names, read_page

_MOST_WORDS: Final = 1200

_SECTIONS: Final = {
    "README.md": [
        (1, "typed_async_client"),
        (2, "Installation"),
        (2, "Quick start"),
        (2, "Demo and tests"),
        (2, "What is retried"),
        (2, "Usage"),
        (3, "A simple request"),
        (3, "Custom context and callback"),
        (3, "Parallel requests"),
        (3, "FastAPI"),
        (3, "Real-time metrics"),
        (2, "What is guaranteed"),
        (2, "Performance"),
        (2, "Documentation"),
        (2, "License"),
    ],
    "README.fr.md": [
        (1, "typed_async_client"),
        (2, "Installation"),
        (2, "Premiers pas"),
        (2, "Démonstration et tests"),
        (2, "Ce qui est retenté"),
        (2, "Utilisation"),
        (3, "Une requête simple"),
        (3, "Contexte personnalisé et callback"),
        (3, "Requêtes en parallèle"),
        (3, "FastAPI"),
        (3, "Métriques en temps réel"),
        (2, "Ce qui est garanti"),
        (2, "Performances"),
        (2, "Documentation"),
        (2, "Licence"),
    ],
}

_EXAMPLES: Final = (
    "Quick start",
    "A simple request",
    "Custom context and callback",
    "Parallel requests",
    "FastAPI",
    "Real-time metrics",
)

_FIRST_SCREEN: Final = 50
"""Lines that a reader sees without scrolling far."""

_HOST: Final = re.compile(r"\b(?:https?|wss?)://([^/\s\"'`:{}]+)")
_FICTITIOUS: Final = re.compile(r"(?:[\w-]+\.)*(?:example\.com|test)|127\.0\.0\.1|testserver")


def test_the_readme_has_at_most_1200_words() -> None:
    """Words are counted as ``wc -w`` does, code blocks included."""
    words = (ROOT / "README.md").read_text("utf-8").split()
    assert 0 < len(words) <= _MOST_WORDS


@pytest.mark.parametrize("name", list(_SECTIONS))
def test_the_sections_stand_in_order(name: str) -> None:
    """What it is, installation, an example, the commands, then everything else."""
    assert list(read_page(name).headings) == _SECTIONS[name]


def test_each_example_of_the_specification_is_in_its_section() -> None:
    """One example for each, in the order of the specification, after the one that comes first."""
    blocks = [block for block in read_page("README.md").blocks if block.language == "python"]
    assert tuple(block.section for block in blocks) == _EXAMPLES


def test_the_first_example_is_on_the_first_screen() -> None:
    """It ends there, too."""
    first = next(block for block in read_page("README.md").blocks if block.language == "python")
    assert first.line + len(first.code.splitlines()) <= _FIRST_SCREEN


def test_the_readme_links_to_every_page() -> None:
    """Whatever moved out of the README can be found from it, a policy from the page about all."""
    for readme, index, folder in ((0, "README.md", "docs"), (1, "README.fr.md", "docs/fr")):
        pages = {pair[readme] for pair in TWINS.items()} - {f"{folder}/README.md", index}
        linked = {link.partition("#")[0] for link in read_page(index).links}
        policies = {
            f"{folder}/{link.partition('#')[0]}"
            for link in read_page(f"{folder}/resilience.md").links
        }
        assert {page for page in pages if "/policies/" not in page} <= linked
        assert {page for page in pages if "/policies/" in page} <= policies


@pytest.mark.parametrize("name", [*TWINS, *TWINS.values(), "CONTRIBUTING.md"])
def test_hosts_in_code_are_fictitious(name: str) -> None:
    """Examples use ``.test`` names and subdomains of example.com, not anybody's domain."""
    page = read_page(name)
    code = [block.code for block in page.blocks]
    code += [word for section in page.sections for word in code_names(section)]
    assert code
    assert [host for host in _hosts(code) if not _FICTITIOUS.fullmatch(host)] == []


def test_the_readme_has_hosts_to_look_at() -> None:
    """The test above looks at something."""
    hosts = set(_hosts([block.code for block in read_page("README.md").blocks]))
    assert {"api.example.com", "users.test", "orders.test", "external-api.test"} <= hosts


def test_hosts_in_the_example_programs_are_fictitious() -> None:
    """They only connect to this machine."""
    programs = [path.read_text("utf-8") for path in (ROOT / "examples").glob("*.py")]
    hosts = _hosts(programs)
    assert hosts
    assert [host for host in hosts if not _FICTITIOUS.fullmatch(host)] == []


def _hosts(texts: list[str]) -> list[str]:
    return [host for text in texts for host in _HOST.findall(text)]

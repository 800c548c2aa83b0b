"""The pages about the policies: their options, errors and pictures are those of the code."""

import dataclasses
import importlib.util
import inspect
from types import ModuleType
from typing import Any, Final

import pytest
from docs_pages import POLICIES, ROOT, TWINS, code_names, read_page

import typed_async_client
from typed_async_client import (
    AdaptiveLimit,
    AttemptRecord,
    Bulkhead,
    CircuitBreaker,
    EventType,
    Hedge,
    Pushback,
    RateLimit,
    Resilience,
    RetryBudget,
    RetryPolicy,
)

_CLASSES: Final[dict[str, type]] = {
    "adaptive-limit": AdaptiveLimit,
    "budget": RetryBudget,
    "bulkhead": Bulkhead,
    "circuit-breaker": CircuitBreaker,
    "hedging": Hedge,
    "pushback": Pushback,
    "rate-limit": RateLimit,
    "retries": RetryPolicy,
}

_OF_DEADLINE: Final = ("deadline", "attempt_timeout", "attempt_header", "deadline_header")

_NAMED: Final = {"429, 503": {429, 503}, "408, 425, 429, 502, 503, 504": RetryPolicy().statuses}
"""Defaults that the tables write out."""

_PAGES: Final = [
    *(f"docs/policies/{name}.md" for name in POLICIES),
    *(f"docs/fr/policies/{name}.md" for name in POLICIES),
]


@pytest.mark.parametrize("page", _PAGES)
def test_the_table_of_options_has_all_of_them_with_their_defaults(page: str) -> None:
    """In the order of the class."""
    name = page.rpartition("/")[2].removesuffix(".md")
    table = next(table for table in read_page(page).tables if table[0][0] == "Option")
    assert [row[0] for row in table[1:]] == [f"`{option}`" for option in _options(name)]
    for row, default in zip(table[1:], _options(name).values(), strict=True):
        assert _says(row[1], default), (row, default)


def _options(name: str) -> dict[str, Any]:
    kind = Resilience if name == "deadline" else _CLASSES[name]
    options = {field.name: field.default for field in dataclasses.fields(kind)}
    return {each: options[each] for each in _OF_DEADLINE} if name == "deadline" else options


def _says(cell: str, default: Any) -> bool:
    """Whether a cell has a default: as code, written out, or as a word if there is none."""
    if default is dataclasses.MISSING:
        return cell in {"required", "obligatoire"}
    if cell in _NAMED:
        return bool(_NAMED[cell] == set(default))
    if ", " in cell:
        return {str(name) for name in code_names(cell)} == {f"Fault.{one.name}" for one in default}
    return cell in {f"`{default!r}`", f'`"{default}"`'}


def test_the_table_of_policies_has_all_of_them() -> None:
    """Each option of ``Resilience`` that switches a policy on, and no other."""
    table = read_page("docs/resilience.md").tables[0]
    named = {name for row in table[1:] for name in code_names(row[1])}
    others = {"automatic_key", "attempt_header", "deadline_header"}
    assert named == {field.name for field in dataclasses.fields(Resilience)} - others


def test_the_tree_of_errors_is_that_of_the_classes() -> None:
    """Each one has the base class of its row, and none is missing."""
    table = next(t for t in read_page("docs/resilience.md").tables if t[0][0] == "Error")
    bases = {code_names(row[0])[0]: code_names(row[2])[0].rpartition(".")[2] for row in table[1:]}
    for name, base in bases.items():
        kind = getattr(typed_async_client, name)
        assert base in {each.__name__ for each in kind.__mro__[1:]}
    root = typed_async_client.GaveUpError.__mro__[1]
    assert set(bases) == {
        name
        for name, kind in inspect.getmembers(typed_async_client, inspect.isclass)
        if issubclass(kind, root)
    }


def test_every_kind_of_event_has_a_row() -> None:
    """On the page about events, or on the one about resilience."""
    tables = [*read_page("docs/usage.md").tables, *read_page("docs/resilience.md").tables]
    rows = [row for table in tables if table[0][0] == "Event" for row in table[1:]]
    named = [name for row in rows for name in code_names(row[0])]
    assert sorted(named) == sorted(kind.name for kind in EventType)


def test_the_attributes_of_an_attempt_exist() -> None:
    """Those of the record that the page describes."""
    table = read_page("docs/resilience.md").tables[-1]
    known = {field.name for field in dataclasses.fields(AttemptRecord)} | {"status", "sent"}
    assert {name for row in table[1:] for name in code_names(row[0])} <= known


def test_the_presets_have_the_numbers_of_the_table() -> None:
    """What the table says in words, as options."""
    standard, default = Resilience.standard(), Resilience.connect_only()
    assert (standard.deadline, standard.attempt_timeout) == (30.0, 10.0)
    assert standard == Resilience(
        deadline=30.0,
        pushback=Pushback(max_hold=60.0),
        retry=RetryPolicy(max_retries=2, base_delay=0.25, backoff_factor=2.0, jitter="full"),
        budget=RetryBudget(ratio=0.2, min_per_second=1.0, ttl=10.0),
        circuit=CircuitBreaker(
            failure_rate=0.5,
            minimum_calls=20,
            window=10.0,
            probes=1,
            reset_timeout=1.0,
            max_reset_timeout=10.0,
        ),
        attempt_timeout=10.0,
    )
    assert default.is_plain
    assert default.retry is not None
    assert (default.retry.max_retries, default.retry.base_delay) == (2, 1.0)
    assert (default.retry.backoff_factor, default.retry.statuses) == (2.0, frozenset())


def test_the_pictures_are_what_the_script_draws() -> None:
    """Nobody has changed them by hand."""
    drawn = {name: draw().as_svg() for name, draw in _script().PICTURES.items()}
    assert set(drawn) == {*POLICIES, "resilience"}
    for name, text in drawn.items():
        assert (ROOT / "docs" / "policies" / f"{name}.svg").read_text("utf-8") == text


def _script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("pictures", ROOT / "docs" / "pictures.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_each_page_is_the_twin_of_one_in_the_other_folder() -> None:
    """The names of the files are the same in both languages."""
    for name in POLICIES:
        assert TWINS[f"docs/policies/{name}.md"] == f"docs/fr/policies/{name}.md"

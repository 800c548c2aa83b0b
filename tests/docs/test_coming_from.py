"""The page "Coming from another library" leaves out no name, and its code does what it says."""

import ast
import inspect
import logging
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from coming_from_errors import raise_caught_by
from coming_from_objects import Served, namespace, serve
from coming_from_rows import Row, read_rows
from peer_names import PEERS, names_of

_ROWS: Final = tuple(read_rows())


@pytest.fixture(name="served", scope="module")
def serve_the_page() -> Iterator[Served]:
    """Run the server that the code reaches."""
    with serve() as served:
        yield served


@pytest.fixture(autouse=True)
def _restore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Write files elsewhere, and keep the level of the loggers."""
    monkeypatch.chdir(tmp_path)
    logger = logging.getLogger("typed_async_client")
    level = logger.level
    yield
    logger.setLevel(level)


@pytest.mark.parametrize("peer", PEERS)
def test_every_name_of_a_library_has_one_row(peer: str) -> None:
    """No name is missing, misspelt, or mapped twice."""
    mapped = [name for row in _ROWS if row.peer == peer for name in row.names]
    assert sorted(mapped) == sorted(names_of(peer))


def test_every_section_is_about_a_library_whose_names_are_known() -> None:
    """Nobody can add a section whose completeness isn't checked."""
    assert {row.peer for row in _ROWS} == set(PEERS)


def test_every_row_has_code() -> None:
    """One without a counterpart says what comes closest."""
    assert [row.names for row in _ROWS if not row.codes] == []
    assert any(row.is_without_counterpart for row in _ROWS)


@pytest.mark.parametrize("peer", PEERS)
async def test_the_code_of_each_row_does_what_it_says(peer: str, served: Served) -> None:
    """It ends without an error; a clause catches the error of a request; defaults are as stated."""
    errors = []
    for row in [row for row in _ROWS if row.peer == peer]:
        try:
            await _check(row, served)
        except Exception as error:  # noqa: BLE001 - reported, with those of other rows
            errors.append(error)
            error.add_note(f"{', '.join(row.names)}: {'; '.join(row.codes)}")
    if errors:
        rows = "".join(f"\n{error.__notes__[-1]}\n  {error!r:.200}" for error in errors)
        raise ExceptionGroup(f"rows about {peer} that aren't true:{rows}\n", errors)


async def _check(row: Row, served: Served) -> None:
    async with namespace(served, " ".join(row.codes)) as names:
        for code in row.codes:
            if code.startswith("except "):
                await raise_caught_by(code, row, names, served)
            else:
                await _run(code, names)
        if row.default is not None:
            assert _default_of(*row.option, names) == ast.literal_eval(row.default)


def _default_of(function: str, option: str, names: dict[str, Any]) -> object:
    """Return the default of an option of a function; the client passes some on to httpx's."""
    parameters = inspect.signature(eval(function, names)).parameters
    if option not in parameters:
        parameters = inspect.signature(httpx.AsyncClient).parameters
    return parameters[option].default


async def _run(code: str, names: dict[str, Any]) -> None:
    """Execute a statement, with ``await`` where the page has it."""
    compiled = compile(code, "<row>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    await_or_none = eval(compiled, names)
    if isinstance(await_or_none, types.CoroutineType):
        await await_or_none

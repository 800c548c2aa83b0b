"""The house stands: a room imports only from the rooms below it, and keeps to its laws."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import typed_async_client

PACKAGE = Path(typed_async_client.__file__).parent
NAME = PACKAGE.name

FLOORS = (
    ("errors", "policies"),
    ("facts", "copies", "context"),
    ("events",),
    ("outcome",),
    ("options",),
    ("engine",),
    ("verbs", "transports"),
    ("client",),
    ("shortcuts",),
    ("__init__",),
    ("testing",),
    ("cli",),
)
"""From the ground up. A room sees the floors below it, and itself."""

FORBIDDEN_IN_POLICIES = {"asyncio", "threading", "time", "random", "logging", "httpx", "httpcore"}
OPTIONAL = {
    "cli": {"cyclopts", "rich"},
    "transports": {"httptools", "aiohttp", "httpx_aiohttp", "pyreqwest"},
}
READS_ERRORS = {"errors", "facts"}
FILES = sorted(PACKAGE.rglob("*.py"))


def room_of(path: Path) -> str:
    """Name the room that a file stands in: its folder, or the file itself at the top."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(path: Path) -> Iterator[str]:
    """Give the full names of the modules that a file imports, wherever the import stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports in full"
            yield node.module or ""


def floor_of(room: str) -> int:
    """Give the floor of a room; every room has one."""
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


def rooms_imported(path: Path) -> Iterator[str]:
    """Give the rooms of the house that a file imports from."""
    for module in imports(path):
        if module == NAME:
            yield "__init__"
        elif module.startswith(f"{NAME}."):
            yield module.split(".")[1]


def ids(path: Path) -> str:
    """Name a test after its file."""
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_room_imports_only_from_the_floors_below(path: Path) -> None:
    """The table above is the whole plan: no arrow runs upwards or sideways."""
    room = room_of(path)
    above = {
        other
        for other in rooms_imported(path)
        if other != room and floor_of(other) >= floor_of(room)
    }
    assert above == set()


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_policy_knows_no_clock_no_chance_and_no_io(path: Path) -> None:
    """Time and random numbers come into a policy as arguments."""
    if room_of(path) == "policies":
        assert not FORBIDDEN_IN_POLICIES & {module.split(".")[0] for module in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_only_the_core_libraries_are_imported_outside_the_edges(path: Path) -> None:
    """httpx, with its anyio, httpcore and its h11 carry the core; others have one file each."""
    foreign = {module.split(".")[0] for module in imports(path)} - sys.stdlib_module_names - {NAME}
    allowed = OPTIONAL.get(room_of(path), set())
    assert foreign <= {"anyio", "httpx", "httpcore", "h11"} | allowed


@pytest.mark.parametrize("library", sorted(set.union(*OPTIONAL.values())))
def test_an_optional_library_is_imported_in_one_file(library: str) -> None:
    """So that doing without it, or changing it, is a matter of one file."""
    users = [path for path in FILES if any(name.split(".")[0] == library for name in imports(path))]
    assert len(users) == 1


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_httpcore_and_h11_errors_are_read_in_facts_alone(path: Path) -> None:
    """What a foreign error means is said in one place; ``errors.py`` only inherits from them."""
    if room_of(path) not in READS_ERRORS:
        banned = {"h11"} if room_of(path) == "transports" else {"httpcore", "h11"}
        assert not banned & {module.split(".")[0] for module in imports(path)}


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_files_and_functions_stay_small(path: Path) -> None:
    """A file stays below 300 lines and a function, its docstring left out, below 50."""
    text = path.read_text()
    assert text.count("\n") < 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            assert (node.end_lineno or 0) - node.lineno - docstring.count("\n") < 50, node.name


@pytest.mark.parametrize("path", FILES, ids=ids)
def test_a_file_opens_with_what_it_owns(path: Path) -> None:
    """Its docstring is the first thing its next owner reads."""
    assert ast.get_docstring(ast.parse(path.read_text()))

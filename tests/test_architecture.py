"""The architecture: which modules may import which, and limits on their size."""

import ast
import shutil
import sys
from pathlib import Path

import pytest
from import_layers import forbidden_imports, imported_modules, unit_of

import typed_async_client

PACKAGE = Path(typed_async_client.__file__).parent

LAYERS = (
    ("hosts",),
    (
        "charsets",
        "drafts",
        "libraries",
        "limit_checks",
        "methods",
        "pickling",
        "policies",
        "private",
        "private_names",
        "httpx_types",
        "redact",
        "spelling",
        "streams.parsing",
        "translation",
        "typevars",
        "unclosed",
        "waiting",
        "wording",
    ),
    ("attempts", "forks"),
    ("body_errors", "decode_error", "status_errors", "stream_errors", "urls"),
    ("errors", "form_files", "record", "request_checks"),
    ("lazy_fields",),
    ("sent",),
    ("sources",),
    ("httpx_errors", "phases", "reasons", "watched_body"),
    ("binding", "bodies", "context", "copies", "facts", "forms"),
    ("bad_status", "decoding", "described"),
    ("stores",),
    ("events", "explanation", "failure_kinds", "request_options"),
    ("options",),
    ("option_checks",),
    ("middleware", "outcome", "results"),
    ("kept_results",),
    ("engine",),
    ("net", "wire"),
    ("http1", "http2"),
    ("pool",),
    ("transports.backends",),
    ("transports",),
    ("httpx_client",),
    ("downloads", "interceptors", "reporting"),
    ("preparing",),
    ("launching",),
    ("streaming",),
    ("streams.reading",),
    ("streams.connections", "streams.lines"),
    ("streams.events",),
    ("streams.sse", "typed_requests"),
    ("downloads.downloading", "posting", "streams"),
    ("verbs",),
    ("submitting",),
    ("upkeep",),
    ("client",),
    ("shortcuts",),
    ("__init__",),
    ("testing",),
    ("cli",),
)
"""From the bottom up. A unit (a module or subpackage) imports only from lower layers and itself."""

WIRE = {"net", "wire", "http1", "http2", "pool"}
VALUES = {
    "binding",
    "body_errors",
    "decode_error",
    "described",
    "errors",
    "facts",
    "forks",
    "hosts",
    "httpx_errors",
    "libraries",
    "limit_checks",
    "policies",
    "private",
    "httpx_types",
} | {
    "reasons",
    "sent",
    "sources",
    "status_errors",
    "unclosed",
    "urls",
    "watched_body",
    "wording",
}
"""What the wire may import; it doesn't know contexts, events, results or the engine."""

FORBIDDEN_IN_POLICIES = {"asyncio", "threading", "time", "random", "logging", "httpx", "httpcore"}

OPTIONAL = {
    "cyclopts": "cli/app.py",
    "rich": "cli/report.py",
    "h2": "http2/library.py",
    "hpack": "http2/compression.py",
    "hyperframe": "http2/library.py",
    "httptools": "http1/parser.py",
    "brotli": "pool/brotli_decoder.py",
    "brotlicffi": "pool/brotli_decoder.py",
    "zstandard": "pool/zstd_decoder.py",
    "backports": "pool/zstd_decoder.py",
    "compression": "pool/zstd_decoder.py",
    "aiohttp": "transports/backends/aiohttp.py",
    "httpx_aiohttp": "transports/backends/aiohttp.py",
    "msgspec": "decoding/msgspec.py",
    "pydantic": "decoding/pydantic.py",
    "pyreqwest": "transports/backends/pyreqwest.py",
    "httpx_sse": "streams/parsing/server_sent.py",
    "typing_extensions": "typevars.py",  # for type checkers only
    "httpx2": "transports/httpx2.py",
    "redis": "stores/connect.py",
    "socksio": "pool/socks.py",
}
"""The only file that imports each optional library."""

CORE = {"httpx", "httpcore"}
ANYIO = "transports/sheltered.py"
"""The only file that imports anyio, a dependency of httpx."""

H11 = {"httpx_errors.py", "http1/h11_parser.py"}
"""The only files that import h11, a dependency of httpcore."""

ALL_FILES = sorted(PACKAGE.rglob("*.py"))
FILES = [str(path.relative_to(PACKAGE)) for path in ALL_FILES]
ENGINE = [file for file in FILES if file.startswith("engine/")]
POLICIES = [file for file in FILES if file.startswith("policies/")]
WIRE_FILES = [
    file
    for file in FILES
    if file.endswith("__init__.py") is False
    and unit_of(file[:-3].replace("/", "."), LAYERS) in WIRE
]


def libraries(file: str) -> set[str]:
    """Return the top-level names of the modules that a file imports."""
    return {module.partition(".")[0] for module in imported_modules(PACKAGE / file)}


def test_every_import_points_to_a_lower_layer() -> None:
    """No import points to a higher layer, to the same layer, or into a cycle."""
    assert forbidden_imports(PACKAGE, LAYERS) == []


@pytest.mark.parametrize(
    ("file", "statement", "module"),
    [
        (
            "pool/slot.py",
            "from typed_async_client.transports.pair import innermost",
            "transports.pair",
        ),
        ("http2/stream.py", "from typed_async_client.pool.slot import Slot", "pool.slot"),
        ("http1/parser.py", "import typed_async_client.http2.frames", "http2.frames"),
        (
            "transports/pair.py",
            "import typed_async_client.httpx_client.build",
            "httpx_client.build",
        ),
        ("policies/retry.py", "import typed_async_client", ""),
    ],
)
def test_a_new_import_cycle_between_subpackages_is_found(
    tmp_path: Path, file: str, statement: str, module: str
) -> None:
    """Each of these imports, added to a copy of the package, is reported."""
    copy = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    with (copy / file).open("a") as text:
        text.write(f"\n{statement}\n")
    expected = f"{file} imports {'.'.join(filter(None, (PACKAGE.name, module)))}"
    assert forbidden_imports(copy, LAYERS) == [expected]


def test_every_entry_of_the_table_exists() -> None:
    """A unit that is moved or removed is also removed from the table."""
    entries = [unit.replace(".", "/") for layer in LAYERS for unit in layer]
    missing = [e for e in entries if not {f"{e}.py", f"{e}/__init__.py"} & set(FILES)]
    assert missing == []


@pytest.mark.parametrize("file", WIRE_FILES)
def test_the_wire_does_not_depend_on_the_engine(file: str) -> None:
    """Sockets, exchanges and pools work without contexts, events or results."""
    used = {
        unit_of(module.partition(".")[2], LAYERS)
        for module in imported_modules(PACKAGE / file)
        if module.startswith(f"{PACKAGE.name}.")
    }
    assert used <= WIRE | VALUES


@pytest.mark.parametrize("file", POLICIES)
def test_a_policy_imports_no_clock_no_random_numbers_and_no_io(file: str) -> None:
    """Time and random numbers are passed to a policy as arguments."""
    assert not FORBIDDEN_IN_POLICIES & libraries(file)


def test_there_are_policies_and_wire_modules_to_check() -> None:
    """Otherwise the tests above would pass without checking anything."""
    assert len(POLICIES) > 4
    assert len(WIRE_FILES) > 20


@pytest.mark.parametrize("file", FILES)
def test_only_the_core_libraries_are_imported_without_being_optional(file: str) -> None:
    """Httpx and httpcore; any other library is imported in a single file."""
    third_party = libraries(file) - sys.stdlib_module_names - {PACKAGE.name} - CORE
    allowed = {name for name, owner in {**OPTIONAL, "anyio": ANYIO}.items() if owner == file}
    assert third_party <= (allowed | {"h11"} if file in H11 else allowed)


@pytest.mark.parametrize("library", sorted(OPTIONAL))
def test_an_optional_library_is_imported_in_one_file(library: str) -> None:
    """So replacing or dropping it affects one file."""
    users = [file for file in FILES if library in libraries(file)]
    assert users == [OPTIONAL[library]]


def test_httpcore_is_imported_only_by_the_wire_and_where_errors_are_classified() -> None:
    """Elsewhere, its errors are only known as facts, or as errors of httpx."""
    users = {file for file in FILES if "httpcore" in libraries(file)}
    assert {file for file in users if file.partition("/")[0] not in WIRE} == {
        "errors.py",
        "facts.py",
        "httpx_errors.py",
        "reasons.py",
        "private.py",
    }


@pytest.mark.parametrize("file", [*ENGINE, "outcome.py"])
def test_the_engine_names_httpx_in_types_only(file: str) -> None:
    """What it must know of responses and errors is read in ``facts.py``."""
    code = ast.parse((PACKAGE / file).read_text())
    assert "httpx" not in {
        alias.name
        for statement in code.body
        if isinstance(statement, ast.Import)
        for alias in statement.names
    }


@pytest.mark.parametrize("file", FILES)
def test_files_and_functions_stay_small(file: str) -> None:
    """A file has fewer than 300 lines; a function, without its docstring, fewer than 50."""
    text = (PACKAGE / file).read_text()
    assert text.count("\n") < 300
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            assert (node.end_lineno or 0) - node.lineno - docstring.count("\n") < 50, node.name


@pytest.mark.parametrize("file", FILES)
def test_a_file_opens_with_a_docstring(file: str) -> None:
    """It is the first thing that the next maintainer reads."""
    assert ast.get_docstring(ast.parse((PACKAGE / file).read_text()))

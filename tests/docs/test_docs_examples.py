"""The Python examples of the pages do what the pages say.

Each one runs as it is, in its own process where every warning is an error, and reaches its
``https://`` addresses on the local internet. The examples of a page run side by side.
"""

import contextlib
import itertools
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import trustme
from docs_pages import ROOT, TWINS, WITH_EXAMPLES, Block, read_page
from local_internet import LocalInternet
from warm_programs import Ended, Program, WarmInterpreter

_FASTAPI_CALLER: Final = '''
"""Serves the example's application without a network, and calls its route.

The upstream answers, is busy, doesn't know the data, and is silent, for which the client is replaced
by one that waits less long. At last no authority is trusted, so no connection can be established.
"""

import asyncio
import os

import httpx
from example import app
from typed_async_client import create_async_resilient_client


async def call(data_id, timeout=None):
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        create_async_resilient_client(timeout=timeout) as impatient,
        httpx.AsyncClient(transport=transport, base_url="http://app") as caller,
    ):
        if timeout:
            app.state.http_client = impatient
        response = await caller.get(f"/api/data/{data_id}")
    print(response.status_code, response.json())


asyncio.run(call(42))
asyncio.run(call("busy"))
asyncio.run(call("unknown"))
asyncio.run(call("slow", timeout=0.5))
del os.environ["SSL_CERT_FILE"]
asyncio.run(call(42))
'''

_FASTAPI_OUTPUT: Final = """200 {'id': '42'}
503 {'detail': 'Service Unavailable'}
404 {'detail': 'Not Found'}
504 {'detail': 'Gateway Timeout'}
502 {'detail': 'Bad Gateway'}
"""

_NOT_SHOWN: Final = re.compile(
    r"^(Executing <.*> took \d.* seconds"  # asyncio's debug mode, on a slow machine
    r"|[A-Z]+ https?://\S+: (?:gave up|failed) after \d attempts? in [\d.]+ s \(.+\)"
    r"|[A-Z]+ https?://\S+: refused by a policy \(.+\)"
    r"|(?:[A-Z]+ )?https?://\S+: the circuit of \S+ has opened \(.+\))\n",
    re.MULTILINE,
)
"""Log lines on stderr: the pages show what an example prints."""

_SECONDS: Final = re.compile(r"\d+\.\d+")

_ENGLISH: Final = {french: english for english, french in TWINS.items()}

_PAGES: Final = sorted(page for name in WITH_EXAMPLES for page in (name, TWINS[name]))


@pytest.fixture(name="certifier", scope="module")
def make_certifier(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """Return the authority that certifies all hosts, and the file that makes it trusted."""
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return authority, file


@pytest.fixture(name="interpreter", scope="module")
def start_interpreter() -> Iterator[WarmInterpreter]:
    """Start the process that runs the examples."""
    with WarmInterpreter("-W", "error", "-X", "dev") as interpreter:
        yield interpreter


def test_examples_are_where_they_are_looked_for() -> None:
    """The pages with Python blocks are exactly those whose examples run."""
    found = {
        page
        for page in (*TWINS, *TWINS.values())
        if any(block.language == "python" for block in read_page(page).blocks)
    }
    assert found == set(_PAGES)


@pytest.mark.parametrize("page", _PAGES)
def test_examples_run_as_they_are_and_print_what_is_shown(
    page: str, certifier: tuple[trustme.CA, Path], interpreter: WarmInterpreter, tmp_path: Path
) -> None:
    """Their exit code is 0, they print no complaint, and their output is the one on the page."""
    examples = _examples_of(page)
    assert examples
    if page in _ENGLISH:  # what it has in common with its twin is run there
        twins = [*_examples_of(_ENGLISH[page]).values()]
        shown = {(block.code, _shown_output(block, after)) for block, after in twins}
        examples = {
            name: pair
            for name, pair in examples.items()
            if (pair[0].code, _shown_output(*pair)) not in shown
        }
    with contextlib.ExitStack() as stack:
        programs = [
            _prepare(
                block, stack.enter_context(LocalInternet(certifier[0])), certifier[1], tmp_path
            )
            for block, _ in examples.values()
        ]
        ran = dict(zip(examples, map(_printed, interpreter.run(programs)), strict=True))
    expected = {
        name: (_SECONDS.sub("_", _shown_output(*pair)), "", 0) for name, pair in examples.items()
    }
    assert ran == expected


def _examples_of(page: str) -> "dict[str, tuple[Block, Block | None]]":
    """Return the examples in Python of a page by their place, each with the block after it."""
    blocks = read_page(page).blocks
    return {
        f"{block.section}, line {block.line}": (block, after)
        for block, after in zip(blocks, [*blocks[1:], None], strict=True)
        if block.language == "python"
    }


def _prepare(block: Block, internet: LocalInternet, authority_file: Path, folder: Path) -> Program:
    """Write an example into a folder of its own, as a program that sees its own internet."""
    home = folder / f"line_{block.line}"
    home.mkdir()
    program = home / "example.py"
    program.write_text(block.code, "utf-8")
    if "FastAPI(" in block.code:
        program = home / "caller.py"
        program.write_text(_FASTAPI_CALLER, "utf-8")
    return Program(program, internet.environment(authority_file) | {"PYTHONIOENCODING": "utf-8"})


def _printed(ended: Ended) -> tuple[str, str, int]:
    """Return what an example printed, without its seconds, and its exit code."""
    return _SECONDS.sub("_", ended.out), _NOT_SHOWN.sub("", ended.err), ended.code


def _shown_output(block: Block, after: Block | None) -> str:
    """Return what an example must print."""
    if "FastAPI(" in block.code:
        return _FASTAPI_OUTPUT
    if after is not None and (after.language, after.section) == ("text", block.section):
        return after.code
    return ""


@pytest.mark.parametrize("page", _PAGES)
def test_every_output_shown_follows_its_example(page: str) -> None:
    """No page shows an output that isn't compared."""
    blocks = read_page(page).blocks
    assert len(blocks) > 1
    assert blocks[0].language != "text"
    for before, block in itertools.pairwise(blocks):
        if block.language == "text":
            assert (before.language, before.section) == ("python", block.section)


def test_examples_reach_nothing_but_the_local_internet() -> None:
    """A host that the local internet doesn't know answers 404, and its name isn't looked up."""
    source = "import httpx; print(httpx.get('https://nowhere.invalid/').status_code)"
    authority = trustme.CA()
    with LocalInternet(authority) as internet, authority.cert_pem.tempfile() as file:
        shown = subprocess.run(
            [sys.executable, "-W", "error", "-X", "dev", "-c", source],
            capture_output=True,
            check=True,
            cwd=ROOT,
            encoding="utf-8",
            env=internet.environment(Path(file)),
            timeout=25,
        )
    assert (shown.stdout, shown.stderr) == ("404\n", "")
    assert internet.requests == {"nowhere.invalid/": 1}

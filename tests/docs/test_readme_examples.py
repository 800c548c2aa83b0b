"""The Python examples of the READMEs do what the READMEs say.

Each one runs as it stands, in a process of its own where every warning is an error, and reaches
its ``https://`` addresses on the local internet.
"""

import itertools
import re
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import trustme
from local_internet import LocalInternet
from readmes import LANGUAGES, ROOT, Block, anchor_of, read_page

_FASTAPI_CALLER: Final = '''
"""Serves the example's application without a network, and calls its route.

The second time no authority is trusted, so no connection comes about.
"""

import asyncio
import os

import httpx
from example import app


async def call():
    transport = httpx.ASGITransport(app=app)
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(transport=transport, base_url="http://app") as caller:
            response = await caller.get("/api/data/42")
    print(response.status_code, response.json())


asyncio.run(call())
del os.environ["SSL_CERT_FILE"]
asyncio.run(call())
'''

_FASTAPI_OUTPUT: Final = "200 {'id': '42'}\n502 {'detail': 'Bad Gateway'}\n"

_SLOW_MACHINE: Final = re.compile(r"^Executing <.*> took \d.* seconds\n", re.MULTILINE)
"""What asyncio's debug mode says of a busy machine; it is no fault of an example."""

_SECONDS: Final = re.compile(r"\d+\.\d+")


def _examples() -> Iterator[object]:
    """Give each Python block, and the block after it, which shows its output."""
    for language, name in LANGUAGES.items():
        blocks = read_page(name).blocks
        for block, after in zip(blocks, [*blocks[1:], None], strict=True):
            if block.language == "python":
                yield pytest.param(block, after, id=f"{language}-{_plain(block.section)}")


def _plain(title: str) -> str:
    """Give a heading in ASCII letters, for the name of a case."""
    letters = unicodedata.normalize("NFKD", anchor_of(title))
    return letters.encode("ascii", "ignore").decode()


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[trustme.CA, Path]:
    """Give the authority that all hosts are certified by, and the file that tells so."""
    authority = trustme.CA()
    file = tmp_path_factory.mktemp("authority") / "authority.pem"
    authority.cert_pem.write_to_path(str(file))
    return authority, file


@pytest.mark.parametrize(("block", "after"), list(_examples()))
def test_an_example_runs_as_it_stands_and_prints_what_is_shown(
    block: Block, after: Block | None, authority: tuple[trustme.CA, Path], tmp_path: Path
) -> None:
    """Its exit code is 0, it complains of nothing, and its output is the one in the README."""
    certifier, authority_file = authority
    program = tmp_path / "example.py"
    program.write_text(block.code, "utf-8")
    if "FastAPI(" in block.code:
        program = tmp_path / "caller.py"
        program.write_text(_FASTAPI_CALLER, "utf-8")

    with LocalInternet(certifier) as internet:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-X", "dev", str(program)],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            encoding="utf-8",
            env=internet.environment(authority_file) | {"PYTHONIOENCODING": "utf-8"},
            timeout=25,
        )

    assert _SLOW_MACHINE.sub("", done.stderr) == ""
    assert _SECONDS.sub("_", done.stdout) == _SECONDS.sub("_", _shown_output(block, after))
    assert done.returncode == 0


def _shown_output(block: Block, after: Block | None) -> str:
    """Give what an example must print; the seconds in it are not compared."""
    if "FastAPI(" in block.code:
        return _FASTAPI_OUTPUT
    if after is not None and (after.language, after.section) == ("text", block.section):
        return after.code
    return ""


@pytest.mark.parametrize("name", list(LANGUAGES.values()), ids=list(LANGUAGES))
def test_every_shown_output_follows_an_example(name: str) -> None:
    """No output stands in a README that no test compares."""
    blocks = read_page(name).blocks
    for before, block in itertools.pairwise(blocks):
        if block.language == "text":
            assert (before.language, before.section) == ("python", block.section)


def test_the_examples_reach_the_local_internet_alone() -> None:
    """A host that the local internet does not know answers 404, and needs no name service."""
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

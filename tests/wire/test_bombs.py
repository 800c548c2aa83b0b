"""Bodies that decode to very many bytes cost no more memory than the limit, and 32 MiB."""

import asyncio
import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from bombs import BOMBS, CAP, MEBIBYTE

PROGRAM = Path(__file__).with_name("bombs.py")

Case = tuple[str, str, int]


async def measured(cases: list[Case]) -> list[tuple[Any, float]]:
    """Read bodies in a new process: what they cost is the peak of its memory."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PROGRAM), json.dumps(cases), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await process.communicate()
    found: list[tuple[Any, float]] = json.loads(output)
    return found


STREAMED: list[Case] = [("stream", "zstd", 1024), ("stream", "gzip", 64), ("stream", "brotli", 64)]
LARGE: list[Case] = [("stream", name, 1024) for name in ("gzip", "double gzip", "brotli")]


@pytest.mark.parametrize("cases", [STREAMED, pytest.param(LARGE, marks=pytest.mark.bulk)])
async def test_a_bomb_that_is_streamed_costs_little_without_a_limit(cases: list[Case]) -> None:
    """Read by a slow consumer, to its end; the process grows by less than 32 MiB."""
    found = await measured(cases)
    assert [ended for ended, _ in found] == [size * MEBIBYTE for _, _, size in cases]
    assert max(grown for _, grown in found) < 32


async def test_a_bomb_that_is_read_costs_no_more_than_the_limit() -> None:
    """Up to 3 GiB of zeros, in 7 kB to 1 MB; and 300,000 chunks of one byte each."""
    codings = [("gzip", 1024), ("double gzip", 3072), ("zstd", 1024), ("brotli", 64)]
    cases = [("chunks", "gzip", 1), *(("read", *coding) for coding in codings)]
    found = await measured(cases)
    assert [ended for ended, _ in found] == [300_000, *4 * ["ResponseTooLargeError"]]
    assert max(grown for _, grown in found) < CAP / MEBIBYTE + 32
    assert found[0][1] < 32


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_a_valid_body(name: str) -> None:
    """Otherwise it would prove nothing; here, a small one."""
    make = BOMBS[name][1]
    body = make(3)
    assert len(body) < 5_000
    if "gzip" in name:
        plain = gzip.decompress(body)
        assert (gzip.decompress(plain) if name == "double gzip" else plain) == bytes(3 * MEBIBYTE)

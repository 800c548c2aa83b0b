"""Lines of NDJSON, whatever the parts in which they arrive."""

import json

import pytest
from hypothesis import given
from splits import parts_of, split_bytes

from typed_async_client.streams.parsing.lines import LineSplitter

PIECES = [
    *(b"a", b"\r", b"\n", b"\r\n", b"\n\n", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\xc2\x85", b"\x0b"),
    *("é".encode(), "日".encode(), "😀".encode(), b"\xff", b"\xe6\x97", b"\x0c", b"\x1c", b"12345"),
]


def lines_of(parts: list[bytes], *, max_bytes: int = 1000) -> tuple[list[str], bool]:
    """Return the lines of a stream, and whether one of them was too long."""
    splitter = LineSplitter(max_bytes=max_bytes)
    lines = [line for part in parts for line in splitter.feed(part)]
    lines += splitter.end()
    assert splitter.count == len(lines)
    return lines, splitter.is_too_long


def expected_of(data: bytes) -> list[str]:
    """Return the lines of a whole stream, in the most straightforward way."""
    *ended, rest = data.decode("utf-8-sig", "replace").split("\n")
    return [line.removesuffix("\r") for line in ended] + [rest] * bool(rest)


@given(split_bytes(PIECES))
def test_lines_do_not_depend_on_the_parts(case: tuple[bytes, list[bytes]]) -> None:
    """They are those of the whole text, wherever CR LF and characters are cut."""
    data, parts = case
    assert lines_of(parts)[0] == expected_of(data)


@given(split_bytes(PIECES))
def test_the_limit_does_not_depend_on_the_parts(case: tuple[bytes, list[bytes]]) -> None:
    """It counts the bytes of a line up to its LF; the lines before are returned."""
    data, parts = case
    sizes = [len(line) for line in data.split(b"\n")]
    first = next((number for number, size in enumerate(sizes) if size > 6), None)
    lines, is_too_long = lines_of(parts, max_bytes=6)
    assert is_too_long == (first is not None)
    assert lines == lines_of(parts)[0][:first]


def test_every_split_of_a_text_gives_the_same_lines() -> None:
    """Two cuts, at each pair of positions."""
    data = '{"text": "日\u2028\x85"}\r\n\r\n{"b": "😀"}\n{"last": 1}'.encode()
    for first in range(len(data)):
        for second in range(first, len(data)):
            lines, _ = lines_of(parts_of(data, [first, second]))
            assert lines == ['{"text": "日\u2028\x85"}', "", '{"b": "😀"}', '{"last": 1}']


def test_separators_within_a_json_string_do_not_end_a_line() -> None:
    """``str.splitlines()`` would split at each of them."""
    text = json.dumps({"text": "\u2028\u2029\x85\x0b\x0c\x1c\x1d\x1e"}, ensure_ascii=False)
    assert lines_of([text.encode() + b"\n"]) == ([text], False)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        (b"", []),
        (b"\n", [""]),
        (b"a", ["a"]),
        (b"a\n", ["a"]),
        (b"a\rb\r\n", ["a\rb"]),
        (b"a\r", ["a\r"]),
        (b"\xef\xbb\xbf", []),
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a", "\ufeffb"]),
        (b"caf\xe9\n", ["caf\ufffd"]),
    ],
)
def test_line_ends_marks_and_invalid_bytes(data: bytes, lines: list[str]) -> None:
    """A CR alone is data; the last line needs no end; one leading BOM is dropped."""
    assert lines_of([data])[0] == lines


def test_a_line_without_end_is_not_kept_beyond_the_limit() -> None:
    """Once a line is too long, nothing more is returned or remembered."""
    splitter = LineSplitter(max_bytes=10)
    assert splitter.feed(b"ok\n12345") == ["ok"]
    assert not splitter.is_too_long
    assert splitter.feed(b"678901") == []
    assert splitter.is_too_long
    assert splitter.feed(b"more\nand more\n") == []
    assert splitter.end() == []

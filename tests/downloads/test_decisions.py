"""What a response means for what is on the disk."""

import dataclasses
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.downloads.decisions import (
    Append,
    ContentRange,
    Decision,
    Distrust,
    Done,
    Fail,
    Head,
    Held,
    Replace,
    decide,
    parse_content_range,
)
from typed_async_client.downloads.validators import Validator

V1 = Validator("etag", '"v1"')
DATED = Validator("last_modified", "Mon, 01 Jan 2024 10:00:00 GMT")
HELD = Held(40, V1, 100)
REST = Head(status=206, etag='"v1"', content_range="bytes 40-99/100", content_length="60")
NONE_LEFT = Head(status=416, etag='"v1"', content_range="bytes */100")


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("bytes 0-0/1", ContentRange(0, 1, 1)),
        ("bytes 40-99/100", ContentRange(40, 100, 100)),
        ("Bytes 40-49/*", ContentRange(40, 50, None)),
        ("bytes 40-99/99", None),
        ("bytes 41-40/100", None),
        ("bytes */100", None),
        ("bytes=40-99/100", None),
        ("items 40-99/100", None),
        ("bytes 40-99/100, bytes 40-99/100", None),
        ("bytes -1-99/100", None),
        ("bytes ٤-٩/100", None),
        (f"bytes 0-{'9' * 5000}/*", None),
        ("", None),
        (None, None),
    ],
)
def test_a_content_range_is_read_exactly(value: str | None, parsed: ContentRange | None) -> None:
    """RFC 9110 section 14.4; what contradicts itself is none."""
    assert parse_content_range(value) == parsed


@pytest.mark.parametrize(
    ("head", "held", "expected"),
    [
        (Head(status=200, content_length="100"), Held(), Replace(100, None)),
        (Head(status=200, content_length="100", etag='"v1"'), Held(), Replace(100, V1)),
        (Head(status=200, etag='"v2"'), HELD, Replace(None, Validator("etag", '"v2"'))),
        (Head(status=200, content_length="5, 5"), HELD, Replace(None, None)),
        (Head(status=200, content_length="-1"), Held(), Replace(None, None)),
        (Head(status=200, content_encoding=" Identity"), Held(), Replace(None, None)),
        (Head(status=200, content_encoding=""), Held(), Replace(None, None)),
    ],
)
def test_a_200_is_the_whole_file(head: Head, held: Held, expected: Decision) -> None:
    """Also if its rest was asked for: it has changed, or the server knows no ranges."""
    assert decide(head, held) == expected


@pytest.mark.parametrize(
    ("changes", "held", "expected"),
    [
        ({}, HELD, Append(100, 100)),
        ({}, Held(40, V1), Append(100, 100)),
        ({"content_length": None}, HELD, Append(100, 100)),
        ({"content_range": "bytes 40-49/100", "content_length": "10"}, HELD, Append(50, 100)),
        ({"content_range": "bytes 40-99/*"}, HELD, Append(100, 100)),
        ({"content_range": "bytes 40-99/*"}, Held(40, V1), Append(100, None)),
        ({"etag": None}, Held(40, DATED, 100), Append(100, 100)),
        ({"last_modified": DATED.value}, Held(40, DATED, 100), Append(100, 100)),
    ],
)
def test_a_206_continues_the_file_if_everything_fits(
    changes: dict[str, Any], held: Held, expected: Decision
) -> None:
    """It may bring less than the rest (RFC 9110 section 14.2), and needn't know the whole length."""
    assert decide(dataclasses.replace(REST, **changes), held) == expected


@pytest.mark.parametrize(
    ("changes", "held", "reason"),
    [
        ({"content_range": "bytes 0-99/100"}, HELD, "bytes from 0 on, instead of 40"),
        ({"content_range": "bytes 41-99/100"}, HELD, "bytes from 41 on"),
        ({"content_range": "bytes 40-99/101"}, HELD, "a file of 101 bytes, which had 100"),
        ({"content_range": "bytes 40-100/*"}, HELD, "bytes up to 101 of a file that has 100"),
        ({"content_length": "61"}, HELD, "61 bytes, which aren't those of 'bytes 40-99/100'"),
        ({"etag": '"v2"'}, HELD, "ETag '\"v2\"' instead of '\"v1\"'"),
        ({"etag": 'W/"v1"'}, HELD, "another version"),
        ({"etag": None}, HELD, "ETag None instead of"),
        ({"last_modified": "yesterday"}, Held(40, DATED, 100), "Last-Modified 'yesterday'"),
        ({"content_range": None}, HELD, "without a valid Content-Range, but None"),
        (
            {"content_range": None, "content_type": "multipart/byteranges; boundary=x"},
            HELD,
            "'multipart/byteranges; boundary=x'",
        ),
        ({"content_range": "x" * 5000}, HELD, "without a valid Content-Range"),
    ],
)
def test_a_206_that_does_not_fit_is_not_trusted(
    changes: dict[str, Any], held: Held, reason: str
) -> None:
    """The reason says what doesn't, in few words."""
    decision = decide(dataclasses.replace(REST, **changes), held)
    assert isinstance(decision, Distrust)
    assert reason in decision.reason
    assert len(decision.reason) < 250


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({}, Held(100, V1, 100)),
        ({}, Held(100, V1)),
        ({"etag": None}, Held(100, V1, 100)),
        ({"etag": None}, Held(100, DATED, 100)),
    ],
)
def test_a_416_ends_the_download_if_the_file_is_whole(changes: dict[str, Any], held: Held) -> None:
    """It was killed after the last byte was written; the validator needn't be repeated."""
    assert decide(dataclasses.replace(NONE_LEFT, **changes), held) == Done()


@pytest.mark.parametrize(
    ("changes", "held", "reason"),
    [
        ({}, HELD, "a file of 100 bytes, of which there are 40"),
        ({}, Held(120, V1), "a file of 100 bytes, of which there are 120"),
        ({}, Held(101, V1, 101), "no rest, with Content-Range: 'bytes */100'"),
        ({"content_range": None}, Held(100, V1, 100), "no rest, with Content-Range: None"),
        ({"content_range": "bytes 1-2/100"}, Held(100, V1, 100), "no rest"),
        ({"etag": '"v2"'}, Held(100, V1, 100), "another version of the file"),
        ({"last_modified": "today"}, Held(100, DATED, 100), "Last-Modified 'today'"),
    ],
)
def test_any_other_416_is_not_trusted(changes: dict[str, Any], held: Held, reason: str) -> None:
    """The file has become shorter, or it is another one."""
    decision = decide(dataclasses.replace(NONE_LEFT, **changes), held)
    assert isinstance(decision, Distrust)
    assert reason in decision.reason


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (REST, "status 206 (Partial Content), although the whole file was asked for"),
        (NONE_LEFT, "status 416 (Range Not Satisfiable), although the whole"),
        (Head(status=204), "status 204 comes with no file"),
        (Head(status=302), "status 302 comes with no file: pass follow_redirects=True"),
        (Head(status=304), "status 304 comes with no file"),
        (Head(status=200, content_encoding="gzip"), "(Content-Encoding: 'gzip'), unasked"),
        (Head(status=206, content_encoding="br, gzip"), "'br, gzip'"),
    ],
)
def test_what_brings_no_file_fails(head: Head, reason: str) -> None:
    """Asking again wouldn't change it."""
    decision = decide(head, Held())
    assert isinstance(decision, Fail)
    assert reason in decision.reason


@pytest.mark.parametrize("held", [Held(40, None, 100), Held(0, V1, 100)])
def test_a_part_is_no_use_without_validator_or_bytes(held: Held) -> None:
    """Nothing was asked for that a part could answer."""
    assert isinstance(decide(REST, held), Fail)
    assert isinstance(decide(NONE_LEFT, held), Fail)


def test_a_compressed_file_is_stored_if_the_caller_wants_it() -> None:
    """Its length and its ranges are those of what is sent."""
    head = Head(status=200, content_encoding="gzip", content_length="7")
    assert decide(head, Held(), takes_coded=True) == Replace(7, None)
    coded = dataclasses.replace(REST, content_encoding="gzip")
    assert decide(coded, HELD, takes_coded=True) == Append(100, 100)


_NUMBERS = st.integers(0, 120)
_VALUES = st.none() | st.text(max_size=20)
_RANGES = st.builds("bytes {}-{}/{}".format, _NUMBERS, _NUMBERS, _NUMBERS | st.just("*"))
_HEADS = st.builds(
    Head,
    status=st.sampled_from([200, 204, 206, 302, 416]),
    etag=st.sampled_from(['"v1"', '"v2"', 'W/"v1"', None]) | _VALUES,
    last_modified=st.sampled_from([DATED.value, None]) | _VALUES,
    date=_VALUES,
    content_range=_RANGES | st.builds("bytes */{}".format, _NUMBERS) | _VALUES,
    content_length=_NUMBERS.map(str) | _VALUES,
    content_encoding=st.sampled_from([None, "gzip", "identity"]) | _VALUES,
    content_type=_VALUES,
)
_HELD = st.builds(
    Held, _NUMBERS, st.sampled_from([V1, DATED, None]), st.none() | st.integers(120, 130)
)


@given(head=_HEADS, held=_HELD, takes_coded=st.booleans())
def test_whatever_the_server_sends_the_parts_belong_together(
    head: Head, held: Held, *, takes_coded: bool
) -> None:
    """Appended is only what starts where the file ends, within its length, of the same version."""
    match decide(head, held, takes_coded=takes_coded):
        case Append(end=end, total=total):
            assert head.status == 206
            assert held.size < end <= (end if total is None else total)
            assert held.total in {None, total}
            assert held.validator is not None
            assert held.validator.agrees_with(head.etag, head.last_modified)
        case Done():
            assert head.status == 416
            assert head.content_range == f"bytes */{held.size}"
            assert held.size > 0
        case Replace():
            assert head.status == 200
        case Distrust(reason=reason):
            assert held.size > 0
            assert reason
        case Fail(reason=reason):
            assert reason

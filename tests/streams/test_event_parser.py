"""Server-sent events by the rules of the HTML standard, whatever the parts in which they arrive."""

import re
from typing import TypeAlias

import pytest
from hypothesis import given
from splits import parts_of, split_bytes

from typed_async_client.streams.parsing.events import EventParser

Event: TypeAlias = tuple[str, str, str, int | None]

PIECES = [
    *(b"data", b"event", b"id", b"retry", b":", b": ", b" ", b"\r", b"\n", b"\r\n", b"\n\n", b"7"),
    *(b"data: x\n", b"id: 1\r\n", b"retry: 250\n", b"event: e\r", b": comment\n", b"id\n", b"\0"),
    *(b"\xef\xbb\xbf", "é".encode(), "😀".encode(), b"\xf0\x9f", b"\xff", "\u2028".encode()),
]


def parsed(parts: list[bytes], *, max_bytes: int = 1000) -> tuple[list[Event], EventParser[Event]]:
    """Return the events of a stream, and the parser in its last state."""
    parser: EventParser[Event] = EventParser(
        lambda *fields: fields, max_bytes=max_bytes, last_event_id="first"
    )
    return [event for part in parts for event in parser.feed(part)], parser


def expected_of(data: bytes) -> tuple[list[Event], str, int | None]:
    """Return the events, the last id and the retry time of a whole stream, step by step."""
    text = data.decode("utf-8-sig", "replace")
    *lines, _ = re.split("\r\n|\r|\n", text)
    events: list[Event] = []
    kind, values, last_id, dispatched_id = "", [""][:0], "first", "first"
    retry: int | None = None
    latest: int | None = None
    for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line:
            dispatched_id = last_id
            if values:
                events.append((kind or "message", "\n".join(values), last_id, retry))
            kind, values, retry = "", [], None
        elif name == "data":
            values.append(value)
        elif name == "event":
            kind = value
        elif name == "id" and "\0" not in value:
            last_id = value
        elif name == "retry" and re.fullmatch("[0-9]+", value):
            retry = latest = int(value[:18])
    return events, dispatched_id, latest


@given(split_bytes(PIECES))
def test_events_do_not_depend_on_the_parts(case: tuple[bytes, list[bytes]]) -> None:
    """They are those of the whole stream, wherever line ends and characters are cut."""
    data, parts = case
    events, parser = parsed(parts)
    assert (events, parser.last_event_id, parser.retry) == expected_of(data)


@given(split_bytes(PIECES))
def test_the_limit_does_not_depend_on_the_parts(case: tuple[bytes, list[bytes]]) -> None:
    """What comes before the event that is too large is returned."""
    data, parts = case
    (limited, parser), (events, _) = parsed(parts, max_bytes=9), parsed(parts)
    assert limited == events[: len(limited)]
    (whole, as_whole) = parsed([data], max_bytes=9)
    assert (limited, parser.is_too_large) == (whole, as_whole.is_too_large)
    assert parser.is_too_large or limited == events


STREAMS: list[tuple[str, list[Event]]] = [
    ("data: a\n\n", [("message", "a", "first", None)]),
    ("data:a\r\rdata: b\r\n\r\n", [("message", "a", "first", None), ("message", "b", "first", None)]),
    ("data\n\n", [("message", "", "first", None)]),
    ("data\ndata\n\n", [("message", "\n", "first", None)]),
    ("data:  two\n\n", [("message", " two", "first", None)]),
    ("data: a\ndata: b\n\n", [("message", "a\nb", "first", None)]),
    ("data: a:b\n\n", [("message", "a:b", "first", None)]),
    ("data: a\u2028b\x85c\x0b\x0c\n\n", [("message", "a\u2028b\x85c\x0b\x0c", "first", None)]),
    ("event: add\ndata: 1\n\ndata: 2\n\n", [("add", "1", "first", None), ("message", "2", "first", None)]),
    ("event: add\n\ndata: 1\n\n", [("message", "1", "first", None)]),
    ("id: 5\ndata: 1\n\ndata: 2\n\n", [("message", "1", "5", None), ("message", "2", "5", None)]),
    ("id: 5\n\ndata: 2\n\n", [("message", "2", "5", None)]),
    ("id: a\0b\ndata: 1\n\n", [("message", "1", "first", None)]),
    ("id\ndata: 1\n\n", [("message", "1", "", None)]),
    ("retry: 100\ndata: 1\n\ndata: 2\n\n", [("message", "1", "first", 100), ("message", "2", "first", None)]),
    ("retry: -1\nretry: 1.5\nretry: \u0661\nretry:\nretry:  1\ndata: 1\n\n", [("message", "1", "first", None)]),
    ("retry: 0000\ndata: 1\n\n", [("message", "1", "first", 0)]),
    (": comment\ndata: 1\n:\n\n", [("message", "1", "first", None)]),
    ("Data: no\n data: no\ndata : no\nother: x\n\n", []),
    ("data: unfinished\n", []),
    ("data: unfinished", []),
    ("\ufeffdata: 1\n\n\ufeffdata: 2\n\n", [("message", "1", "first", None)]),
    ("\n\n\n", []),
]  # fmt: skip  # a row each


@pytest.mark.parametrize(("text", "events"), STREAMS)
def test_the_rules_of_the_standard(text: str, events: list[Event]) -> None:
    """As one part, and byte by byte."""
    data = text.encode()
    assert parsed([data])[0] == events
    assert parsed(parts_of(data, list(range(len(data)))))[0] == events


def test_a_carriage_return_ends_an_event_at_once() -> None:
    """The event needn't wait for an LF, which would belong to the same line end."""
    parser: EventParser[Event] = EventParser(lambda *fields: fields, max_bytes=100)
    assert parser.feed(b"data: 1\r\r") == [("message", "1", "", None)]
    assert parser.feed(b"") == []
    assert parser.feed(b"\ndata: 2\r\n\r") == [("message", "2", "", None)]
    assert parser.feed(b"\n") == []


def test_invalid_utf8_is_replaced() -> None:
    """A character that is cut off by a line end included."""
    assert parsed([b"data: \xf0\x9f\xff\n\n"])[0] == [("message", "\ufffd\ufffd", "first", None)]


def test_a_time_of_thousands_of_digits_is_read() -> None:
    """Python refuses to convert such numbers; it is longer than any wait."""
    events, parser = parsed([b"retry: " + b"9" * 5000 + b"\n\n"], max_bytes=10_000)
    assert (events, parser.retry) == ([], 10**18 - 1)


def test_comments_do_not_count_towards_the_limit() -> None:
    """A server may send them forever between two events, to keep the connection open."""
    events, parser = parsed([b"data: 1\n", *[b": still here\n"] * 1000, b"\n"], max_bytes=20)
    assert (events, parser.is_too_large) == ([("message", "1", "first", None)], False)


@pytest.mark.parametrize("line", [b"data: 1", b"id: 1", b"event: 1", b"other"])
def test_an_event_that_is_too_large_ends_the_stream(line: bytes) -> None:
    """Whichever fields it consists of; what was complete before is returned, and nothing is kept."""
    events, parser = parsed(
        [b"data: ok\n\n", *[line + b"\n"] * 10, b"\ndata: more\n\n"], max_bytes=30
    )
    assert events == [("message", "ok", "first", None)]
    assert parser.is_too_large


@pytest.mark.parametrize("start", [b"", b"data: "])
def test_a_line_without_end_is_not_kept_beyond_the_limit(start: bytes) -> None:
    """Nor does it have to end to be an error."""
    _, parser = parsed([start, *[b"x" * 10] * 3])
    assert not parser.is_too_large
    events, parser = parsed([start, *[b"x" * 10] * 3, b"\n\ndata: 1\n\n"], max_bytes=29)
    assert (events, parser.is_too_large) == ([], True)


@pytest.mark.parametrize("start", [b":", b"data: 1\n:", b"\xef\xbb\xbf:"])
def test_a_comment_may_be_of_any_length(start: bytes) -> None:
    """It doesn't count, and no byte of it is kept."""
    parts = [start, *[b"x" * 100] * 30]
    events, parser = parsed(parts, max_bytes=20)
    assert (events, bytes(parser._pending)) == ([], b":")
    events, parser = parsed([b"".join(parts), b"x\ndata: 2\n\n"], max_bytes=20)
    data = "1\n2" if b"1" in start else "2"
    assert (events, parser.is_too_large) == ([("message", data, "first", None)], False)


@pytest.mark.parametrize(("max_bytes", "is_too_large"), [(16, False), (15, True)])
def test_the_bytes_of_an_event_are_those_of_its_lines(
    max_bytes: int, *, is_too_large: bool
) -> None:
    """Each with its end; the empty one that ends it is free."""
    parser = EventParser(lambda *fields: fields, max_bytes=max_bytes)
    events = parser.feed(b"data: 1\ndata: 2\n\n")
    assert (parser.is_too_large, len(events)) == (is_too_large, 0 if is_too_large else 1)

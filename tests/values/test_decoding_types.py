"""Bodies decoded by this package itself: dataclasses, TypedDict classes and the types of JSON values."""

import collections.abc
import dataclasses
import datetime as dt
import decimal
import enum
import uuid
from typing import Annotated, Any, Generic, Literal, NewType, NotRequired, TypedDict, TypeVar, Union

import pytest
import typing_extensions
from decoding_kit import decode, failure

T = TypeVar("T")

UserId = NewType("UserId", int)


class TypeAliasType:
    """What a ``type`` statement of Python 3.12 creates, whose value may refer to itself."""

    __value__: Any

    def __init__(self, name: str) -> None:
        self.__name__ = name


Json: Any = TypeAliasType("Json")
Json.__value__ = dict[str, Json] | list[Json] | str | int | float | bool | None
Endless: Any = TypeAliasType("Endless")
Endless.__value__ = Union[Endless, None]  # noqa: UP007 - it defines no |
Names = typing_extensions.TypeAliasType("Names", list[str])


class Color(enum.Enum):
    """An enumeration."""

    RED = "red"
    ONE = 1


@dataclasses.dataclass
class Item:
    """A dataclass with defaults."""

    price: float
    name: str = "thing"
    tags: list[str] = dataclasses.field(default_factory=list)
    total: float = dataclasses.field(init=False, default=0.0)

    def __post_init__(self) -> None:
        if self.price < 0:
            raise ValueError(f"price must be >= 0, got {self.price}")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A dataclass that contains others, and itself."""

    items: list[Item]
    replaces: "Order | None" = None


class Movie(TypedDict):
    """A TypedDict."""

    title: str
    year: NotRequired[int]


@dataclasses.dataclass
class Page(Generic[T]):
    """A generic dataclass."""

    content: list[T]
    next: "Page[T] | None" = None


@dataclasses.dataclass
class Box(Generic[T]):
    """Another, with a field of just that type."""

    item: T


@dataclasses.dataclass
class Recursive:
    """A class whose own check calls itself until Python stops it.

    It doesn't really: another library may have raised the limit so far that the process crashes.
    """

    id: int

    def __post_init__(self) -> None:
        raise RecursionError("maximum recursion depth exceeded")


@dataclasses.dataclass
class Cat:
    """An alternative."""

    kind: Literal["cat"]
    lives: int


@dataclasses.dataclass
class Dog:
    """Another."""

    kind: Literal["dog"]
    friend: "Cat | Dog | None" = None


@dataclasses.dataclass
class Nested:
    """Contains itself."""

    inner: "Nested | None"


DAY = dt.datetime(2024, 2, 29, 12, 0, tzinfo=dt.UTC)

DECODED: list[tuple[Any, bytes, Any]] = [
    (int, b" 1 ", 1),
    (float, b"1", 1.0),
    (float, b"1.5", 1.5),
    (bool, b"true", True),
    (str, b'"text"', '"text"'),
    (str, b"", ""),
    (bytes, b"\xff", b"\xff"),
    (bytes, b"", b""),
    (None, b"null", None),
    (int | None, b"null", None),
    (int | None, b"", None),
    (Any, b"", None),
    (Any, b'{"a": [1, null]}', {"a": [1, None]}),
    (object, b"[1]", [1]),
    (Annotated[int, "metadata", ["unhashable"]], b"1", 1),
    (UserId, b"7", 7),
    (Names, b'["a"]', ["a"]),
    (Json, b'{"a": [{"b": null}]}', {"a": [{"b": None}]}),
    (list, b'["a", 1]', ["a", 1]),
    (list[int], b"[1, 2]", [1, 2]),
    (collections.abc.Sequence[int], b"[1]", [1]),
    (set[str], b'["a", "a"]', {"a"}),
    (frozenset[int], b"[1]", frozenset({1})),
    (tuple, b"[1, true]", (1, True)),
    (tuple[int, ...], b"[1, 2]", (1, 2)),
    (tuple[int, str], b'[1, "a"]', (1, "a")),
    (tuple[()], b"[1]", (1,)),
    (dict, b'{"a": 1}', {"a": 1}),
    (dict[str, int], b'{"a": 1}', {"a": 1}),
    (dict[Color, int], b'{"red": 1}', {Color.RED: 1}),
    (collections.abc.Mapping[str, list[int]], b'{"a": [1]}', {"a": [1]}),
    (Literal["a", 1], b'"a"', "a"),
    (Literal["a", 1], b"1", 1),
    (Literal[Color.RED], b'"red"', Color.RED),
    (Color, b'"red"', Color.RED),
    (Color, b"1", Color.ONE),
    (dt.datetime, b'"2024-02-29T12:00:00Z"', DAY),
    (dt.date, b'"2024-02-29"', DAY.date()),
    (dt.time, b'"12:00"', dt.time(12, 0)),
    (uuid.UUID, b'"12345678-1234-5678-1234-567812345678"', uuid.UUID("12345678" * 4)),
    (decimal.Decimal, b"0.1", decimal.Decimal("0.1")),
    (decimal.Decimal, b'"1.10"', decimal.Decimal("1.10")),
    (decimal.Decimal, b"3", decimal.Decimal(3)),
    (float | int, b"1", 1),
    (float | str, b"1", 1.0),
    (dt.date | str, b'"2024-02-29"', DAY.date()),
    (dt.date | str, b'"soon"', "soon"),
    (Item, b'{"price": 1, "unknown": {}}', Item(1.0)),
    (Order, b'{"items": [], "replaces": {"items": []}}', Order(items=[], replaces=Order(items=[]))),
    (Movie, b'{"title": "M", "unknown": 1}', {"title": "M"}),
    (Movie, b'{"title": "M", "year": 1931}', {"title": "M", "year": 1931}),
    (Page[int], b'{"content": [1], "next": {"content": []}}', Page([1], Page([]))),
    (Box[Box[int | None]], b'{"item": {"item": null}}', Box(Box(None))),
    (Page[list[Item]], b'{"content": [[{"price": 2}]]}', Page([[Item(2.0)]])),
    (Cat | Dog, b'{"kind": "dog", "friend": {"kind": "cat", "lives": 9}}', Dog("dog", Cat("cat", 9))),
    (list[int], b"\xef\xbb\xbf[1]", [1]),
    (dict[str, int], b'{"a": 1, "a": 2}', {"a": 2}),
    (list[str], b'["\\ud83d\\ude00"]', ["\U0001f600"]),
]  # fmt: skip


@pytest.mark.parametrize(("model", "content", "value"), DECODED)
def test_a_body_is_decoded_as_the_type_that_was_asked_for(
    model: Any, content: bytes, value: Any
) -> None:
    """Exactly: the type of the value is right as well."""
    decoded = decode(model, content)
    assert decoded == value
    assert type(decoded) is type(value)


LONG = "$" + ".inner" * 50

REFUSED: list[tuple[Any, bytes, str]] = [
    (int, b'"1"', "$: expected an integer, got a string"),
    (int, b"true", "$: expected an integer, got a boolean"),
    (int, b"1.0", "$: expected an integer, got a number"),
    (float, b"true", "$: expected a number, got a boolean"),
    (float, b"1e999", "$: the number is too large"),
    (float, b"1" + b"0" * 400, "$: the number is too large"),
    (None, b"0", "$: expected null, got an integer"),
    (int, b"", "$: the body is empty"),
    (int | str, b"null", "$: expected an integer or a string, got null"),
    (list[int], b'[1, "2"]', "$[1]: expected an integer, got a string"),
    (list[int], b"{}", "$: expected an array, got an object"),
    (set[Any], b"[[]]", "$: an item of a set is an object or an array"),
    (tuple[int, str], b"[1]", "$: expected an array of 2, got 1"),
    (tuple[int, str], b"{}", "$: expected an array of 2, got an object"),
    (tuple[int, str], b"[1, 2]", "$[1]: expected a string, got an integer"),
    (dict[str, int], b'{"secret": "x"}', "$[...]: expected an integer, got a string"),
    (dict[str, int], b"[]", "$: expected an object, got an array"),
    (dict[Color, int], b'{"blue": 1}', "$[...]: expected one of 'red', 1"),
    (Literal["a"], b"[]", "$: expected one of 'a'"),
    (Color, b"true", "$: expected one of 'red', 1"),
    (dt.date, b'"29 February"', "$: the string isn't a date (ISO 8601)"),
    (dt.date, b"7", "$: expected a date (ISO 8601), got an integer"),
    (uuid.UUID, b'"7"', "$: the string isn't a UUID"),
    (decimal.Decimal, b'"NaN"', "$: expected a decimal number, got a string"),
    (decimal.Decimal, b"1e999", "$: expected a decimal number, got a number"),
    (Item, b"[]", "$: expected an object (Item), got an array"),
    (Item, b"{}", "$.price: missing"),
    (Item, b'{"price": -1}', "$: Item has raised ValueError: price must be >= 0, got -1.0"),
    (Order, b'{"items": [{"price": 1}, {"price": "2"}]}', "$.items[1].price: expected a number, got a string"),
    (Movie, b'{"year": 1931}', "$.title: missing"),
    (Nested, b'{"inner": ' * 50 + b"1" + b"}" * 50, f"{LONG[:60]}...{LONG[-60:]}: expected an object (Nested) or null, got an integer"),
    (Cat | Dog, b'{"kind": "cow"}', "$: doesn't fit an object (Cat) or an object (Dog)"),
    (Recursive | int, b'{"id": 1}', "maximum recursion depth exceeded"),
    (list[int], b"[1", "Expecting ',' delimiter: line 1 column 3 (char 2)"),
    (list[float], b"[NaN]", "NaN isn't allowed in JSON"),
    (list[float], b"[-Infinity]", "-Infinity isn't allowed in JSON"),
    (list[str], b'["\\ud800"]', "a string contains half of a surrogate pair"),
    (dict[str, int], b'{"\\uDFFF": 1}', "a string contains half of a surrogate pair"),
    (list[int], b"\xff", "'utf-8' codec can't decode byte 0xff in position 0: invalid start byte"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "content", "reason"), REFUSED)
def test_a_body_that_does_not_fit_is_refused_with_its_place(
    model: Any, content: bytes, reason: str
) -> None:
    """The reason tells kinds of values, but not the values themselves."""
    assert failure(model, content) == reason


HOSTILE: dict[str, bytes] = {
    "deep arrays": b"[" * 100_000,
    "closed deep arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000,
    "deep nodes": b'{"kind": "dog", "friend": ' * 5_000 + b"null" + b"}" * 5_000,
    "many digits": b"9" * 100_000,
    "many digits of a float": b"0." + b"9" * 100_000 + b"x",
    "half of a pair": b'"\\ud83d"',
    "nothing but a mark": b"\xef\xbb\xbf",
    "UTF-16": '{"a": 1}'.encode("utf-16"),
    "a zero byte": b"[1]\0",
    "blanks": b" " * 100_000,
}


@pytest.mark.parametrize("model", [list[Any], Json, Cat | Dog, dict[str, int], int, Page[int]])
@pytest.mark.parametrize("body", HOSTILE)
def test_a_hostile_body_is_refused_with_the_one_error(body: str, model: Any) -> None:
    """Whatever Python itself raises for it; the message stays short."""
    assert len(failure(model, HOSTILE[body])) <= 300


def test_a_union_within_a_union_takes_no_exponential_time() -> None:
    """Each union tries each of its alternatives once per value, however deep that is."""
    tries = 0

    @dataclasses.dataclass
    class Left:
        child: "Left | Right | None"

        def __post_init__(self) -> None:
            nonlocal tries
            tries += 1
            raise ValueError("no")

    @dataclasses.dataclass
    class Right:
        child: "Left | Right | None"

        def __post_init__(self) -> None:
            nonlocal tries
            tries += 1

    for kind in (Left, Right):
        kind.__annotations__["child"] = Left | Right | None
    depth = 40
    value = decode(Left | Right, b'{"child":' * depth + b"null" + b"}" * depth)
    assert type(value) is Right
    assert tries < 4 * depth


class Unannotated:
    """A class that says nothing about its fields."""


@dataclasses.dataclass
class WithSocket:
    """A dataclass with a field that no JSON value fits."""

    inner: "list[Inner]"


@dataclasses.dataclass
class Inner:
    """Contains it."""

    unknown: Unannotated | None


@dataclasses.dataclass
class WithInitVar:
    """A dataclass with a parameter that isn't a field."""

    given: dataclasses.InitVar[int]


@dataclasses.dataclass
class Undefined:
    """A dataclass with a type that doesn't exist."""

    other: "Missing"  # type: ignore[name-defined]  # noqa: F821 - the point of the test


@dataclasses.dataclass
class Growing(Generic[T]):
    """Contains itself, with an ever larger argument."""

    inner: "Growing[list[T]] | None"


UNKNOWN: list[tuple[Any, str]] = [
    (Unannotated, "response_model=Unannotated: Unannotated isn't a type of JSON values; use"),
    (WithSocket, "response_model=WithSocket: Inner.unknown: Unannotated isn't a type of JSON values"),
    (WithInitVar, "WithInitVar.given: dataclasses.InitVar[int] isn't a type of JSON values"),
    (Undefined, "the types of Undefined can't be read: name 'Missing' is not defined"),
    (Box, "Box.item: ~T isn't a type of JSON values"),
    (Page, "Page.content: ~T isn't a type of JSON values"),
    (Growing[int], "it contains itself, each time with others"),
    (Endless, "it contains itself, each time with others"),
    (dict[int, str], "the names of an object are strings, not int"),
    (list[bytes], "bytes isn't a type of JSON values"),
    (Literal[b"x"], "has no values of JSON"),
    (collections.abc.Callable[[], int], "isn't a type of JSON values"),
    ("User", "response_model='User': 'User' isn't a type of JSON values"),
    (Item(1.0), "isn't a type of JSON values"),
    ([int], r"response_model=[<class 'int'>]: [<class 'int'>] isn't a type of JSON values"),
    (True, "response_model=True"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "reason"), UNKNOWN)
def test_a_type_that_no_decoder_knows_is_refused(model: Any, reason: str) -> None:
    """The message names it, where it is, and what to do."""
    for _ in range(2):  # a refusal isn't remembered as a success
        with pytest.raises(TypeError) as raised:
            decode(model, b"{}")
        assert reason in str(raised.value)
        assert "decoders=[PydanticDecoder()] (pip install 'typed-async-client[pydantic]')" in str(
            raised.value
        )


def test_alternatives_are_tried_in_the_order_in_which_they_are_written() -> None:
    """Although Python regards both unions as equal."""

    @dataclasses.dataclass
    class Small:
        id: int

    @dataclasses.dataclass
    class Large:
        id: int
        name: str = ""

    assert type(decode(Small | Large, b'{"id": 1}')) is Small
    assert type(decode(Large | Small, b'{"id": 1}')) is Large


@pytest.mark.parametrize(
    ("content_type", "content", "text"),
    [
        ("text/plain; charset=latin-1", b"caf\xe9", "café"),
        ("text/plain; charset=UTF-16", "café".encode("utf-16"), "café"),
        ("text/plain; charset=shift_jis", "日本".encode("shift_jis"), "日本"),
        ("text/plain", "café".encode(), "café"),
        ("text/plain; charset=bz2", b"abc", "abc"),
        ("text/plain; charset=zlib_codec", b"abc", "abc"),
        ("text/plain; charset=rot13", b"abc", "abc"),
        ("text/plain; charset=idna", b"xn--\xff", "xn--\ufffd"),
        ("text/plain; charset=punycode", b"abc-\xff", "abc-\ufffd"),
        ("text/plain; charset=undefined", b"abc", "abc"),
        ("text/plain; charset=unicode_escape", b"\\N", "\\N"),
        ("text/plain; charset=no-such", b"abc", "abc"),
        ("text/plain; charset=utf-8-sig-evil", b"abc", "abc"),
        ("", b"\xff", "\ufffd"),
    ],
)
def test_text_is_decoded_with_an_encoding_of_text_only(
    content_type: str, content: bytes, text: str
) -> None:
    """A server can't select a codec that compresses, raises, or warns."""
    assert decode(str, content, content_type) == text

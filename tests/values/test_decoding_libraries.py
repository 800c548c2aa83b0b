"""Bodies decoded by pydantic, by msgspec, and by decoders of the caller's own."""

import dataclasses
import sys
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import annotated_types
import httpx
import httpx2
import msgspec
import pydantic
import pydantic.dataclasses
import pytest
from decoding_kit import answered, decode, failure

from typed_async_client import DecodeError, MsgspecDecoder, PydanticDecoder
from typed_async_client.decoding.choice import decoding_for
from typed_async_client.decoding.protocol import checked_decoders

T = TypeVar("T")


class User(pydantic.BaseModel):
    """A model of pydantic."""

    id: int
    tags: list[str] = []


class Page(
    pydantic.BaseModel,
):
    """Another, which contains the first."""

    users: dict[str, User]


@pydantic.dataclasses.dataclass
class Account:
    """A dataclass of pydantic."""

    id: int


class Member(msgspec.Struct, rename="camel"):
    """A struct of msgspec."""

    user_id: int
    email: Annotated[str, msgspec.Meta(max_length=5)] = ""


@dataclasses.dataclass
class OfPydantic:
    """A plain dataclass that contains a model."""

    user: User


@dataclasses.dataclass
class OfMsgspec:
    """A plain dataclass that contains a struct."""

    member: "Member | None" = None


@dataclasses.dataclass
class Plain:
    """A plain dataclass."""

    id: int


class Both(msgspec.Struct):
    """A struct that contains a model of the other library."""

    user: User


DECODED: list[tuple[Any, bytes, Any]] = [
    (User, b'{"id": "1"}', User(id=1)),
    (list[User], b'[{"id": 1}]', [User(id=1)]),
    (User | None, b"", None),
    (Account, b'{"id": 1}', Account(1)),
    (OfPydantic, b'{"user": {"id": 1}}', OfPydantic(User(id=1))),
    (Annotated[int, annotated_types.Gt(0)], b"1", 1),
    (Annotated[list[int], pydantic.Field(max_length=1)], b"[1]", [1]),
    (pydantic.SecretStr, b'"x"', pydantic.SecretStr("x")),
    (Member, b'{"userId": 1, "unknown": 2}', Member(1)),
    (dict[str, Member], b'\xef\xbb\xbf{"a": {"userId": 1}}', {"a": Member(1)}),
    (Member | None, b"", None),
    (OfMsgspec, b'{"member": {"userId": 1}}', OfMsgspec(Member(1))),
    (Annotated[int, msgspec.Meta(ge=0)], b"1", 1),
]


@pytest.mark.parametrize(("model", "content", "value"), DECODED)
def test_the_library_of_a_type_decodes_it(model: Any, content: bytes, value: Any) -> None:
    """And everything that contains it; by the rules of the library."""
    assert decode(model, content) == value


REFUSED: list[tuple[Any, bytes, str]] = [
    (User, b'{"id": "secret"}', "$.id: Input should be a valid integer, unable to parse string as an integer"),
    (User, b'{"tags": [1, 2]}', "$.id: Field required (and 2 more)"),
    (list[User], b'[{"id": 1}, {"id": 1, "tags": ["a", 1]}]', "$[1].tags[1]: Input should be a valid string"),
    (Page, b'{"users": {"a secret": {}}}', "$.users[...].id: Field required"),
    (User, b"{", "$: Invalid JSON: EOF while parsing an object at line 1 column 1"),
    (User, b"", "$: the body is empty"),
    (list[User], b"[" + b"0," * 2000 + b"0]", "2001 errors"),
    (Annotated[int, annotated_types.Gt(0)], b"0", "$: Input should be greater than 0"),
    (Member, b'{"userId": "secret"}', "Expected `int`, got `str` - at `$.userId`"),
    (Member, b"{", "Input data was truncated"),
    (Member, b"", "$: the body is empty"),
    (Member, b'{"userId": 1, "email": "secret"}', "Expected `str` of length <= 5 - at `$.email`"),
]  # fmt: skip


@pytest.mark.parametrize(("model", "content", "reason"), REFUSED)
def test_what_a_library_refuses_is_told_without_the_values(
    model: Any, content: bytes, reason: str
) -> None:
    """The cause is its own error."""
    assert failure(model, content) == reason
    with pytest.raises(DecodeError) as raised:
        decode(model, content)
    if content:
        assert isinstance(raised.value.__cause__, pydantic.ValidationError | msgspec.DecodeError)


HOSTILE = {
    "deep": b'{"id":' * 100_000,
    "closed": b"[" * 10_000 + b"]" * 10_000,
    "many digits": b'{"id": ' + b"9" * 100_000 + b', "userId": ' + b"9" * 100_000 + b"}",
    "NaN": b'{"id": NaN, "userId": NaN}',
    "half of a pair": b'{"id": "\\ud800", "userId": "\\ud800"}',
    "not UTF-8": b'{"id": "\xff", "userId": "\xff"}',
    "a long name": b'{"' + b"a" * 1_000_000 + b'": 1}',
}


@pytest.mark.parametrize("model", [User, Page, list[User], Member, list[Member], Account])
@pytest.mark.parametrize("body", HOSTILE)
def test_a_hostile_body_is_refused_with_the_one_error(body: str, model: Any) -> None:
    """Whatever the library raises for it; the message stays short."""
    assert len(failure(model, HOSTILE[body])) <= 300


class Unfinished(pydantic.BaseModel):
    """A model that refers to a class that doesn't exist."""

    other: "Missing"  # type: ignore[name-defined]  # noqa: F821 - the point of the test


class Custom:
    """A class that no library knows."""


class WithCustom(msgspec.Struct):
    """A struct that contains it."""

    custom: list[Custom]


@pytest.mark.parametrize(
    ("model", "library"),
    [
        (Unfinished, "pydantic"),
        (Annotated[Custom, pydantic.Field()], "pydantic"),
        (WithCustom, "msgspec"),
        (Both, "msgspec"),
        (Member | dict[str, int], "msgspec"),
    ],
)
def test_a_type_that_its_library_does_not_know_is_refused(model: Any, library: str) -> None:
    """Before anything is sent, although msgspec itself would fail later."""
    with pytest.raises(TypeError, match=f"{library} can't decode it; use a dataclass"):
        decode(model, b"{}")


@pytest.mark.parametrize("make", [MsgspecDecoder, PydanticDecoder])
def test_a_library_may_decode_everything_that_it_knows(make: Callable[..., Any]) -> None:
    """By its own rules; what it doesn't know is left to the others."""
    own = [make()]
    assert decode(Plain, b'{"id": 1}', own=own) == Plain(1)
    assert decode(str, b'"text"', own=own) == "text"
    assert decode(list[User], b'[{"id": 1}]', own=own) == [User(id=1)]
    with pytest.raises(TypeError, match="no decoder for response_model=Custom"):
        decode(Custom, b"{}", own=own)
    lax = make(strict=False)
    assert decode(int, b'"1"', own=[lax]) == 1
    with pytest.raises(DecodeError):
        decode(int, b'"1"', own=[make(strict=True)])


@pytest.mark.parametrize(
    ("make", "library"), [(MsgspecDecoder, "msgspec"), (PydanticDecoder, "pydantic")]
)
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Any], library: str
) -> None:
    """When the decoder is created."""
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ImportError, match=rf"pip install 'typed-async-client\[{library}\]'"):
        make()


class Number(int):
    """A type of the caller's own."""


class NumberDecoder:
    """Decodes it, and nothing else."""

    def can_decode(self, model: Any) -> bool:
        """Return whether it is the type."""
        return model is Number

    def decode(self, content: bytes, model: type[T]) -> T:
        """Return the number."""
        if not content:
            return model()
        return model(content)  # type: ignore[call-arg]  # it is the type above


def test_a_decoder_of_the_callers_own_comes_first() -> None:
    """It gets empty bodies too, and may raise anything."""
    own = [NumberDecoder()]
    assert decode(Number, b"7", own=own) == Number(7)
    assert decode(Number, b"", own=own) == Number(0)
    assert decode(int, b"7", own=own) == 7
    assert failure(Number, b"x", own=own) == "invalid literal for int() with base 10: b'x'"


class Silent:
    """Raises an error without a message, and one that is long."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def can_decode(self, model: object) -> bool:
        """Take every type."""
        return True

    def decode(self, content: bytes, model: type[T]) -> T:
        """Fail."""
        raise self._error


def test_the_message_has_a_reason_on_one_line_without_secrets() -> None:
    """Even if the error of a decoder has none, or quotes a URL."""
    assert failure(int, b"1", [Silent(KeyError())]) == "KeyError"
    quoted = ValueError("bad\nhttps://ann:pw@a.test/?token=1 " + "x" * 5000)
    reason = failure(int, b"1", [Silent(quoted)])
    assert reason.startswith("bad https://REDACTED:REDACTED@a.test/?token=REDACTED xx")
    assert len(reason) == 300


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (NumberDecoder(), "decoders must be a list of decoders, got NumberDecoder"),
        ("json", "decoders must be a list of decoders, got str"),
        ([NumberDecoder], r"decoder NumberDecoder is a class: pass an instance, NumberDecoder\(\)"),
        ([len], "has no can_decode and no decode"),
    ],
)
def test_what_is_no_decoder_is_refused(given: object, message: str) -> None:
    """When the client is created."""
    with pytest.raises(TypeError, match=message):
        checked_decoders(given)


def test_the_message_names_request_status_type_and_place() -> None:
    """Secrets of the URL are removed."""
    _, error = decoding_for(list[Plain], ())(
        answered(b'[{"id": "1"}]', "application/json; x=y", 201)
    )
    assert str(error) == (
        "GET https://api.test/orders?token=REDACTED: 201: can't decode a body of type "
        "application/json as list[test_decoding_libraries.Plain]: $[0].id: expected an integer, got a "
        "string"
    )
    assert error is not None
    assert (error.response.status_code, error.model) == (201, list[Plain])
    assert error.request.url == "https://api.test/orders?token=secret"


def test_the_error_for_an_httpx2_response_is_caught_as_httpx2_s() -> None:
    """And as ours; a response without a request is named by its status alone."""
    request = httpx2.Request("GET", "https://api.test/")
    _, error = decoding_for(int, ())(httpx2.Response(200, text="x", request=request))
    assert isinstance(error, httpx2.DecodingError)
    assert isinstance(error, httpx.DecodingError)
    assert decoding_for(str, ())(httpx2.Response(200, text="x")) == ("x", None)
    _, error = decoding_for(int, ())(httpx.Response(200, text="x"))
    assert str(error).startswith("200: can't decode a body of type text/plain as int: ")


def test_the_default_encoding_of_a_client_applies_to_text() -> None:
    """A name, or a function of the body, as in httpx."""
    for encoding in ("latin-1", lambda content: "latin-1"):
        response = httpx.Response(200, content=b"caf\xe9", default_encoding=encoding)
        assert decoding_for(str, ())(response) == ("café", None)

"""Properties of decoding: what was encoded comes back, and nothing but the one error is raised."""

import dataclasses
import enum
import json
from typing import Any, Literal, TypedDict

import msgspec
import pydantic
import pytest
from decoding_kit import answered, decode
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client import DecodeError
from typed_async_client.decoding.choice import decoding_for


class Unit(enum.Enum):
    """An enumeration."""

    GRAM = "g"
    PIECE = 1


class Note(TypedDict):
    """A TypedDict."""

    text: str


@dataclasses.dataclass
class Part:
    """Has one field of nearly every kind."""

    count: int
    weight: float
    unit: Unit
    kind: Literal["raw", "made"] | None
    notes: list[Note]
    sizes: tuple[int, str] | None
    labels: dict[str, bool | int | str]
    parts: "list[Part]" = dataclasses.field(default_factory=list)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
INTEGERS = st.integers(-(2**70), 2**70)

PARTS = st.recursive(
    st.builds(
        Part,
        INTEGERS,
        st.floats(allow_nan=False, allow_infinity=False),
        st.sampled_from(Unit),
        st.sampled_from(["raw", "made", None]),
        st.lists(st.fixed_dictionaries({"text": TEXT}), max_size=2),
        st.none() | st.tuples(INTEGERS, TEXT),
        st.dictionaries(TEXT, st.booleans() | INTEGERS | TEXT, max_size=3),
    ),
    lambda inner: st.builds(
        dataclasses.replace,
        inner,
        parts=st.lists(inner, max_size=3),
    ),
    max_leaves=5,
)


def encoded(value: object) -> bytes:
    """Return the JSON of a value."""
    return json.dumps(value, default=plain).encode()


def plain(value: Any) -> Any:
    """Return what JSON has in place of a value."""
    return value.value if isinstance(value, enum.Enum) else vars(value)


@given(PARTS)
def test_a_value_comes_back_as_it_was(part: Part) -> None:
    """With its types: True isn't 1."""
    decoded = decode(Part, encoded(part))
    assert decoded == part
    assert repr(decoded) == repr(part)


JSON = st.recursive(
    st.none() | st.booleans() | INTEGERS | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["count", "text", "id", "a"]), inner, max_size=3)
    ),
    max_leaves=10,
)


class Model(pydantic.BaseModel):
    """A model of pydantic."""

    id: int
    text: str | None = None


class Struct(msgspec.Struct):
    """A struct of msgspec."""

    id: int
    text: str | None = None


MODELS = [
    Part,
    Note,
    list[Part],
    dict[str, float],
    Part | Note | int,
    tuple[int, ...],
    Model,
    Struct,
]


@pytest.mark.parametrize("model", MODELS)
@given(JSON.map(encoded) | st.binary(max_size=50))
def test_a_body_is_decoded_or_refused_with_the_one_error(model: Any, content: bytes) -> None:
    """Never with another; its message is one short line."""
    value, error = decoding_for(model, ())(answered(content))
    if error is None:
        assert value is not None
    else:
        assert type(error) is DecodeError
        assert error.__cause__ is not None
        assert str(error).isprintable()
        assert len(str(error)) < 600

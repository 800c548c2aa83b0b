"""Values that are filled as drafts are indistinguishable from others afterwards."""

import dataclasses

import pytest

from typed_async_client.drafts import draft_class


@dataclasses.dataclass(frozen=True, slots=True)
class Point:
    """A frozen value."""

    x: int
    y: int = 2


def finished() -> Point:
    """Fill a draft, and freeze it."""
    draft = object.__new__(draft_class(Point))
    draft.x, draft.y = 1, 2
    draft.__class__ = Point
    point: Point = draft
    return point


def test_a_finished_draft_is_a_value_of_its_class() -> None:
    """Equal to one that was constructed, with the same hash and representation."""
    assert type(finished()) is Point
    assert (finished(), hash(finished()), repr(finished())) == (
        Point(1),
        hash(Point(1)),
        repr(Point(1)),
    )


def test_a_finished_draft_is_frozen() -> None:
    """Nothing can be set or deleted."""
    point = finished()
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 5  # type: ignore[misc]  # what is tested
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.y  # what is tested

"""Creates frozen values fast: they are filled as drafts, and frozen once they are complete.

``object.__setattr__`` is several times slower than an assignment, and every request creates a
context, an event, a record and a result.
"""

from typing import Any

__all__ = ["draft_class"]


def draft_class(kind: type) -> Any:
    """Return a class whose instances can be assigned to, for values of a frozen class with slots.

    Args:
        kind: the frozen class; its own constructor isn't called.

    Example:
        >>> @dataclasses.dataclass(frozen=True, slots=True)
        ... class Point:
        ...     x: int
        >>> draft = object.__new__(draft_class(Point))
        >>> draft.x = 1
        >>> draft.__class__ = Point
        >>> draft
        Point(x=1)
    """
    assignable = {  # both of object's own, or Python doesn't take the fast way
        "__delattr__": object.__delattr__,
        "__setattr__": object.__setattr__,
        "__slots__": (),
    }
    return type(f"{kind.__name__}Draft", (kind,), assignable)

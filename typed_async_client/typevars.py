"""Type variables that have a default, so that ``RequestResult`` and ``AsyncEvent`` need no argument.

Python 3.11 and 3.12 know no defaults, and at runtime they make no difference.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx
    from typing_extensions import TypeVar

    DataT_co = TypeVar("DataT_co", covariant=True, default=Any)
    ValueT_co = TypeVar("ValueT_co", covariant=True, default=httpx.Response)
else:
    from typing import TypeVar

    DataT_co = TypeVar("DataT_co", covariant=True)
    ValueT_co = TypeVar("ValueT_co", covariant=True)

__all__ = ["DataT_co", "ValueT_co"]

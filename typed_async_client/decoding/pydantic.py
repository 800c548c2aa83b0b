"""Decodes bodies with pydantic: the only module that imports it."""

from typing import Any, Final, TypeVar

from typed_async_client.decoding.cache import per_model
from typed_async_client.decoding.json_text import without_bom

__all__ = ["PydanticDecoder"]

T = TypeVar("T")

_NEEDED: Final = "PydanticDecoder needs an extra: pip install 'typed-async-client[pydantic]'"


class PydanticDecoder:
    """Decodes JSON as every type that pydantic knows.

    A pydantic model or dataclass, and what contains one, is decoded by pydantic anyway. In
    ``decoders=[PydanticDecoder()]`` it decodes other dataclasses, ``TypedDict`` classes and JSON types
    as well, by its own rules.

    Args:
        strict: whether values are never converted, as from ``"1"`` to ``1``; None leaves it to the
            model.

    Raises:
        ImportError: pydantic isn't installed.
    """

    def __init__(self, *, strict: bool | None = None) -> None:
        try:
            import pydantic  # noqa: F401, PLC0415 - an extra
        except ImportError as error:
            raise ImportError(_NEEDED) from error
        self._strict = strict

    def can_decode(self, model: Any) -> bool:
        """Return whether pydantic can validate the type, and every type in it."""
        try:
            _adapter(model)
        except Exception:  # noqa: BLE001 - pydantic's own errors, and those of evaluating annotations
            return False
        return True

    def decode(self, content: bytes, model: type[T]) -> T:
        """Return the value of a JSON text.

        Raises:
            pydantic.ValidationError: it isn't JSON, or isn't what the type asks for.
        """
        adapter: Any = _adapter(model)
        value: T = adapter.validate_json(without_bom(content), strict=self._strict)
        return value


@per_model
def _adapter(model: Any) -> Any:
    """Return what validates a type.

    Raises:
        Exception: pydantic can't, or not yet, as a name in its annotations isn't defined.
    """
    import pydantic  # noqa: PLC0415 - an extra

    adapter: Any = pydantic.TypeAdapter(model)
    if not getattr(adapter, "pydantic_complete", True):
        raise TypeError("a name in its annotations isn't defined yet")
    return adapter

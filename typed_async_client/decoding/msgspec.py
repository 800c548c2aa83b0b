"""Decodes bodies with msgspec: the only module that imports it."""

from typing import Any, Final, TypeVar

from typed_async_client.decoding.cache import per_model
from typed_async_client.decoding.json_text import without_bom

__all__ = ["MsgspecDecoder"]

T = TypeVar("T")

_NEEDED: Final = "MsgspecDecoder needs an extra: pip install 'typed-async-client[msgspec]'"


class MsgspecDecoder:
    """Decodes JSON as every type that msgspec knows.

    A ``msgspec.Struct``, and what contains one, is decoded by msgspec anyway. In
    ``decoders=[MsgspecDecoder()]`` it decodes dataclasses, ``TypedDict`` classes and JSON types as
    well, by its own rules, and faster.

    Args:
        strict: whether a string such as ``"1"`` is no integer, as in msgspec.

    Raises:
        ImportError: msgspec isn't installed.
    """

    def __init__(self, *, strict: bool = True) -> None:
        try:
            import msgspec  # noqa: F401, PLC0415 - an extra
        except ImportError as error:
            raise ImportError(_NEEDED) from error
        self._strict = strict

    def can_decode(self, model: Any) -> bool:
        """Return whether msgspec knows the type, and every type in it."""
        try:
            return _is_known(model)
        except Exception:  # noqa: BLE001 - msgspec's own errors, and those of evaluating annotations
            return False

    def decode(self, content: bytes, model: type[T]) -> T:
        """Return the value of a JSON text.

        Raises:
            msgspec.DecodeError: it isn't JSON.
            msgspec.ValidationError: it isn't what the type asks for.
        """
        decoder: Any = (_strict_decoder if self._strict else _lax_decoder)(model)
        value: T = decoder.decode(without_bom(content))
        return value


@per_model
def _strict_decoder(model: Any) -> Any:
    import msgspec  # noqa: PLC0415 - an extra

    return msgspec.json.Decoder(model)


@per_model
def _lax_decoder(model: Any) -> Any:
    import msgspec  # noqa: PLC0415 - an extra

    return msgspec.json.Decoder(model, strict=False)


@per_model
def _is_known(model: Any) -> bool:
    """Whether msgspec decodes a type; it takes unknown classes for those of a hook, and fails later.

    Raises:
        Exception: it doesn't.
    """
    import msgspec  # noqa: PLC0415 - an extra

    _strict_decoder(model)
    seen: set[int] = set()
    waiting: list[Any] = [msgspec.inspect.type_info(model)]  # it may refer to itself
    while waiting:
        part = waiting.pop()
        if isinstance(part, msgspec.inspect.CustomType):
            return False
        if isinstance(part, list | tuple):
            waiting += part
        elif isinstance(part, msgspec.Struct) and id(part) not in seen:
            seen.add(id(part))
            waiting += [getattr(part, name) for name in part.__struct_fields__]
    return True

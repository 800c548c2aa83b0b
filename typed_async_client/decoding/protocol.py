"""What a decoder is, for those who bring their own."""

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

__all__ = ["ResponseDecoder", "checked_decoders"]

T = TypeVar("T")


class ResponseDecoder(Protocol):
    """Decodes bodies as types that it knows; pass it to a client in ``decoders=[...]``.

    One decoder serves all requests of a client, at the same time.

    Example:
        >>> class CsvDecoder:
        ...     def can_decode(self, model: Any) -> bool:
        ...         return model is csv.DictReader
        ...
        ...     def decode(self, content: bytes, model: Any) -> Any:
        ...         return model(content.decode().splitlines())
    """

    def can_decode(self, model: Any) -> bool:
        """Return whether this decoder decodes bodies as that type.

        It is called for each request that has a ``response_model``, before anything is sent.
        """

    def decode(self, content: bytes, model: type[T]) -> T:
        """Return the value of a body.

        Args:
            content: the body, which may be empty.
            model: a type that ``can_decode()`` has accepted.

        Raises:
            Exception: it can't be decoded; the request fails with a ``DecodeError``, which quotes
                the first line of the message.
        """


def checked_decoders(given: object) -> tuple[ResponseDecoder, ...]:
    """Check the decoders of a client, and return them.

    Raises:
        TypeError: they aren't a list, or an entry isn't a decoder.
    """
    if not isinstance(given, Iterable) or isinstance(given, str | bytes):
        raise TypeError(
            f"decoders must be a list of decoders, got {type(given).__qualname__}: pass [...]"
        )
    entries = tuple(given)
    for entry in entries:
        if isinstance(entry, type):
            name = entry.__qualname__
            raise TypeError(f"decoder {name} is a class: pass an instance, {name}()")
        missing = [
            name for name in ("can_decode", "decode") if not callable(getattr(entry, name, None))
        ]
        if missing:
            raise TypeError(
                f"a decoder needs the methods can_decode and decode, but {type(entry).__qualname__} "
                f"has no {' and no '.join(missing)}"
            )
    return entries

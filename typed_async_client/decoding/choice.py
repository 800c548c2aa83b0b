"""Chooses the decoder of a type, before anything is sent, and decodes responses with it.

The caller's own decoders are asked first. Then what contains a type of msgspec or pydantic is decoded
by that library, and everything else by this package.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

from typed_async_client.charsets import charset_of
from typed_async_client.decode_error import DecodeError
from typed_async_client.decoding.cache import per_model
from typed_async_client.decoding.compiler import compile_shape
from typed_async_client.decoding.failure import decode_error
from typed_async_client.decoding.hints import (
    UnsupportedError,
    name_of,
    parts_of,
    permits_none,
)
from typed_async_client.decoding.json_text import read_json
from typed_async_client.decoding.mismatch import MismatchError
from typed_async_client.decoding.msgspec import MsgspecDecoder
from typed_async_client.decoding.protocol import ResponseDecoder
from typed_async_client.decoding.pydantic import PydanticDecoder
from typed_async_client.redact import error_line

__all__ = ["ResponseDecoding", "decoding_for"]


class ResponseDecoding:
    """Decodes responses as one type.

    Args:
        model: the type.
        read: returns the value of a response, or raises.
        permits_none: whether an empty body is None.
    """

    __slots__ = ("_model", "_permits_none", "_read")

    def __init__(self, model: Any, read: Callable[[Any], Any], *, permits_none: bool) -> None:
        self._model = model
        self._permits_none = permits_none
        self._read = read

    def __call__(self, response: Any) -> tuple[Any, DecodeError | None]:
        """Return the value of a response whose body has been read, or the error instead."""
        try:
            if self._permits_none and not response.content:
                return None, None
            return self._read(response), None
        except Exception as error:  # noqa: BLE001 - a decoder may raise any
            return None, decode_error(response, self._model, error)


def decoding_for(model: Any, own: Sequence[ResponseDecoder]) -> ResponseDecoding:
    """Return what decodes responses as a type.

    Args:
        model: the type.
        own: the caller's own decoders.

    Raises:
        TypeError: no decoder knows the type; the message says what to do.
    """
    for decoder in own:
        if decoder.can_decode(model):
            return _with_decoder(model, decoder, is_own=True)
    return _built_in(model)


@per_model
def _built_in(model: Any) -> ResponseDecoding:
    if model is bytes:
        return ResponseDecoding(model, _content_of, permits_none=False)
    if model is str:
        return ResponseDecoding(model, _text_of, permits_none=False)
    libraries = {_library_of(part) for part in parts_of(model)}
    for name, make in _LIBRARIES.items():
        if name in libraries:
            decoder = make()
            if not decoder.can_decode(model):
                raise _refusal(model, f"{name} can't decode it")
            return _with_decoder(model, decoder, is_own=False)
    try:
        convert = compile_shape(model).convert
        takes_none = permits_none(model)
    except UnsupportedError as error:
        raise _refusal(model, str(error)) from error
    except RecursionError:
        raise _refusal(model, "it contains itself, each time with others") from None

    def read(response: Any) -> Any:
        return convert(read_json(_checked(response.content)), {})

    return ResponseDecoding(model, read, permits_none=takes_none)


def _with_decoder(model: Any, decoder: ResponseDecoder, *, is_own: bool) -> ResponseDecoding:
    def read(response: Any) -> Any:
        content = response.content
        return decoder.decode(content if is_own else _checked(content), model)

    return ResponseDecoding(model, read, permits_none=permits_none(model))


_LIBRARIES: Final[dict[str, Callable[[], ResponseDecoder]]] = {
    "msgspec": MsgspecDecoder,
    "pydantic": PydanticDecoder,
}

_OWNERS: Final = {
    "annotated_types": "pydantic",
    "msgspec": "msgspec",
    "pydantic": "pydantic",
    "pydantic_core": "pydantic",
}
"""Who decodes a type, by the package that defines it or an object in its annotations."""


def _library_of(part: Any) -> str | None:
    """Return the library that decodes a part of a type; None if none is needed."""
    if isinstance(part, type) and "__pydantic_validator__" in vars(part):
        return "pydantic"  # a dataclass, which has no base of its own
    kind = part if isinstance(part, type) else type(part)
    packages = [base.__module__.partition(".")[0] for base in kind.__mro__]
    return next((_OWNERS[each] for each in packages if each in _OWNERS), None)


def _content_of(response: Any) -> bytes:
    content: bytes = response.content
    return content


def _text_of(response: Any) -> str:
    """Return the text of a response, as ``response.text``, whatever charset the server names."""
    charset = charset_of(response.headers.get("content-type", ""))
    if charset is None:
        default = response.default_encoding
        charset = default(response.content) if callable(default) else default
    text: str = response.content.decode(charset or "utf-8", "replace")
    return text


def _checked(content: bytes) -> bytes:
    if not content:
        raise MismatchError("the body is empty")
    return content


def _refusal(model: Any, reason: str) -> TypeError:
    """Return the error for a type that nobody decodes."""
    return TypeError(
        f"no decoder for response_model={name_of(model)}: {error_line(TypeError(reason))}; use a "
        "dataclass, a TypedDict, types of JSON values, a pydantic model or a msgspec.Struct, or a "
        "decoder that knows it: decoders=[PydanticDecoder()] (pip install "
        "'typed-async-client[pydantic]'), decoders=[MsgspecDecoder()], or your own"
    )

"""The error for a response whose body can't be decoded as the type that the caller asked for.

``errors.py`` shows it within the tree of all errors.
"""

import contextlib
import pickle
from typing import TYPE_CHECKING, Any, Self

import httpx

from typed_async_client.forks import class_for

if TYPE_CHECKING:
    from typed_async_client.attempts import AttemptRecord

__all__ = ["DecodeError"]


class DecodeError(httpx.DecodingError):
    """The body of the response isn't what ``response_model`` asks for.

    The message shows method, URL without secrets, the type, the place in the body, and what is wrong
    there. The cause is the error of the decoder. A request isn't sent again because of it.

    Args:
        message: what happened.
        request: the request that was answered, an httpx or an httpx2 request.
        response: its response.
        model: the type that the body was to be decoded as.

    Attributes:
        response: the same; its body has been read. None if a client that keeps the error has dropped
            it, because of its ``max_result_bytes``.
        history: one record per attempt.

    Example:
        >>> async def main() -> None:
        ...     async with AsyncResilientClient() as client:
        ...         try:
        ...             await client.request("GET", "https://example.org/", response_model=list[int])
        ...         except DecodeError as error:
        ...             print(error.model, error.response.text)
    """

    _fork_name = "DecodingError"

    def __new__(
        cls,
        message: str = "",
        *,
        request: Any = None,
        response: Any = None,  # noqa: ARG004 - see __init__
        model: Any = None,  # noqa: ARG004 - see __init__
    ) -> Self:
        """Create the error, which is httpx2's too if the request is an httpx2 request."""
        created: Self = super().__new__(class_for(cls, request), message)
        return created

    def __init__(
        self, message: str = "", *, request: Any = None, response: Any = None, model: Any = None
    ) -> None:
        Exception.__init__(self, message)  # the constructors of httpx and httpx2 don't cooperate
        self.request = request
        self.response: Any = response
        self.history: tuple[AttemptRecord, ...] = ()
        self._model = _Model(model)

    @property
    def model(self) -> Any:
        """The type that the body was to be decoded as.

        None once the error was pickled, if pickle can't find the type, as for one defined in a
        function.
        """
        return self._model.value


class _Model:
    """A type, or None in a process that can't import it.

    Args:
        value: the type.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value: Any = value

    def __reduce__(self) -> tuple[Any, ...]:
        with contextlib.suppress(Exception):  # pickle and the type's own code may raise any
            pickle.dumps(self.value)
            return _Model, (self.value,)
        return _Model, (None,)

    def __deepcopy__(self, memo: object) -> "_Model":
        return self

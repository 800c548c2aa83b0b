"""Which library a value comes from, read off its class, so that the library need not be installed.

``httpx2`` and ``httpcore2`` are a fork of httpx and httpcore: their classes have the same names and
share no base with the originals.
"""

__all__ = ["check_request", "is_error_of_h2", "is_fork_instance", "is_from", "library_of"]

_FORKS = frozenset({"httpx2", "httpcore2"})


def library_of(value: object, *among: str) -> str | None:
    """Return the library in ``among`` that defines the class of ``value`` or one of its bases."""
    for kind in type(value).__mro__:
        if (root := _root_of(kind)) in among:
            return root
    return None


def is_from(value: object, *libraries: str) -> bool:
    """Whether one of ``libraries`` defines the class of ``value`` or one of its bases."""
    return library_of(value, *libraries) is not None


def is_fork_instance(value: object, name: str) -> bool:
    """Whether ``value`` is an instance of the fork's class of that name."""
    return any(kind.__name__ == name and _root_of(kind) in _FORKS for kind in type(value).__mro__)


def check_request(request: object) -> None:
    """Refuse a request of httpx2, whose client couldn't read the response.

    Raises:
        TypeError: the request is from httpx2.
    """
    if is_from(request, "httpx2"):
        raise TypeError(
            "this transport is for httpx clients, but was given to an httpx2 client: "
            "adapt it with typed_async_client.for_httpx2(transport)"
        )


def is_error_of_h2(error: BaseException) -> bool:
    """Whether h2 raised this error, and not a subclass of its errors that somebody else defines."""
    return _root_of(type(error)) == "h2"


def _root_of(kind: type) -> str:
    return kind.__module__.partition(".")[0]

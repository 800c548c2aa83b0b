"""``post_multipart()``: a form with files in one call."""

from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack, overload

from typed_async_client.engine.in_flight import ResponseTask
from typed_async_client.forms import FormFields, files_of
from typed_async_client.options import RequestOptions
from typed_async_client.typed_requests import TypedRequests

if TYPE_CHECKING:
    import asyncio

    import httpx

    from typed_async_client.context import RequestContext

__all__ = ["PostsForms"]

T = TypeVar("T")

_BODIES: Final = ("content", "data", "files", "json")


class PostsForms(TypedRequests):
    """The part of a client that submits forms."""

    @overload
    async def post_multipart(
        self,
        url: "httpx.URL | str",
        fields: FormFields,
        context: "RequestContext | None" = None,
        *,
        response_model: None = None,
        **options: Unpack[RequestOptions],
    ) -> ResponseTask: ...

    @overload
    async def post_multipart(
        self,
        url: "httpx.URL | str",
        fields: FormFields,
        context: "RequestContext | None" = None,
        *,
        response_model: type[T],
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[T]": ...

    @overload
    async def post_multipart(
        self,
        url: "httpx.URL | str",
        fields: FormFields,
        context: "RequestContext | None" = None,
        *,
        response_model: Any,
        **options: Unpack[RequestOptions],
    ) -> "asyncio.Task[Any]": ...

    async def post_multipart(
        self,
        url: "httpx.URL | str",
        fields: FormFields,
        context: "RequestContext | None" = None,
        **options: Any,
    ) -> "asyncio.Task[Any]":
        """Submit a POST request with a form: ``multipart/form-data``, RFC 7578.

        Files are streamed in pieces, however large they are. Each attempt sends the same bytes, with the
        same boundary; an open file is rewound to its start.

        Args:
            url: the URL.
            fields: the fields by name, or pairs of name and value. A value is

                - ``str``: a field of text;
                - ``bytes``: a file, named after the field;
                - an open binary file, which stays open: a file, named like it;
                - a ``pathlib.Path``: a file, opened when it is sent and closed afterwards;
                - ``(file name, content, content type, headers)`` with one of these as the content; the
                  last two may be left out. Without a file name, it is a field of text.
            context: the request's id and retry limits.
            **options: as for ``request_async()``, except those that are another body.

        Returns:
            The task of the request: of its response, or of the value with ``response_model``.

        Raises:
            ValueError: there are no fields, or one has a line break or a NUL where it must not have
                one: in a name, a content type or a header.
            TypeError: a value can't be sent, or ``options`` have another body.
            OSError: there is no file at a path.

        Example:
            >>> async def main() -> None:
            ...     async with AsyncResilientClient() as client:
            ...         task = await client.post_multipart(
            ...             "https://example.org/upload",
            ...             {"title": "June", "report": pathlib.Path("june.pdf")},
            ...         )
            ...         print((await task).status_code)
        """
        if others := [name for name in _BODIES if name in options]:
            raise TypeError(f"post_multipart() sends fields, so it takes no {', '.join(others)}")
        files = files_of(fields)
        task: asyncio.Task[Any] = await self.request_async(
            "POST", url, context, **options, files=files
        )
        return task

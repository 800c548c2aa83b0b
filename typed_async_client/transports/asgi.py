"""An ASGI transport that also reports which template the application rendered.

It adds the ASGI extension ``http.response.debug`` to httpx's ``ASGITransport``. It doesn't depend
on any framework.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx

from typed_async_client.libraries import check_request

__all__ = ["ASGITransport"]

_DEBUG = "http.response.debug"
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]


class ASGITransport(httpx.ASGITransport):
    """Send requests to an ASGI application, and expose the template it rendered.

    It takes the same arguments as ``httpx.ASGITransport`` and behaves the same. In addition, it
    offers the ASGI extension ``http.response.debug``, through which applications report the
    templates they render; Starlette and FastAPI do. The response then has

    - ``extensions["template"]``: the name of the template, a ``str``; None if it has no name;
    - ``extensions["context"]``: the context that the template was rendered with.

    If the application reports no template, neither key is set.

    Args:
        app: the application.
        raise_app_exceptions: whether exceptions of the application are raised to the caller. If
            False, the response is a 500.
        root_path: the path that the application is mounted at.
        client: the address and port that requests appear to come from.

    Example:
        >>> async with httpx.AsyncClient(
        ...     transport=ASGITransport(app), base_url="http://testserver"
        ... ) as client:
        ...     response = await client.get("/")
        >>> response.extensions["template"]
        'index.html'
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, and wait for the complete response."""
        check_request(request)
        reported: dict[str, Any] = {}
        # A new transport for each request, so that concurrent requests don't mix their templates.
        transport = httpx.ASGITransport(
            app=_with_debug_extension(self.app, reported),
            raise_app_exceptions=self.raise_app_exceptions,
            root_path=self.root_path,
            client=self.client,
        )
        response = await transport.handle_async_request(request)
        response.extensions.update(reported)
        return response


def _with_debug_extension(app: _App, reported: dict[str, Any]) -> _App:
    """Wrap an application so that it is offered the extension; store what it reports."""

    async def wrapped(scope: _Message, receive: _Receive, send: _Send) -> None:
        async def intercept(message: _Message) -> None:
            if message["type"] == _DEBUG:
                reported.update(_template_info(message["info"]))
            else:
                await send(message)

        extensions = {**scope.get("extensions", {}), _DEBUG: {}}
        await app({**scope, "extensions": extensions}, receive, intercept)

    return wrapped


def _template_info(info: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {key: info[key] for key in ("template", "context") if key in info}
    if "template" in found:
        found["template"] = getattr(found["template"], "name", found["template"])
    return found

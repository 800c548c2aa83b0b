"""Requests to an ASGI application in this process, and which template it answered with.

It owns the ASGI extension ``http.response.debug``; all the rest is httpx's ``ASGITransport``. It
knows no framework.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import httpx

__all__ = ["ASGITransport"]

_DEBUG = "http.response.debug"
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
_App = Callable[[_Message, _Receive, _Send], Awaitable[None]]


class ASGITransport(httpx.ASGITransport):
    """Send requests to an ASGI application, and learn which template it answered with.

    It takes what ``httpx.ASGITransport`` takes, and does the same. Beside that it offers the ASGI
    extension ``http.response.debug``, by which applications tell of their templates; Starlette
    and FastAPI do. Then the response has

    - ``extensions["template"]``: the name of the template, a ``str``; None if it has none;
    - ``extensions["context"]``: what the template was filled with.

    A response of an application that tells nothing has neither.

    Args:
        app: the application.
        raise_app_exceptions: whether its errors reach the requester, or are answers of status 500.
        root_path: the path that the application is mounted at.
        client: address and port that requests seem to come from.

    Example:
        >>> async with httpx.AsyncClient(
        ...     transport=ASGITransport(app), base_url="http://testserver"
        ... ) as client:
        ...     response = await client.get("/")
        >>> response.extensions["template"]
        'index.html'
    """

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, and wait for the whole answer."""
        told: dict[str, Any] = {}
        # One transport for each request: what is told belongs to that request alone.
        transport = httpx.ASGITransport(
            app=_listening(self.app, told),
            raise_app_exceptions=self.raise_app_exceptions,
            root_path=self.root_path,
            client=self.client,
        )
        response = await transport.handle_async_request(request)
        response.extensions.update(told)
        return response


def _listening(app: _App, told: dict[str, Any]) -> _App:
    """Offer the extension to an application, and keep what it tells by it."""

    async def offering(scope: _Message, receive: _Receive, send: _Send) -> None:
        async def listening(message: _Message) -> None:
            if message["type"] == _DEBUG:
                told.update(_of_template(message["info"]))
            else:
                await send(message)

        extensions = {**scope.get("extensions", {}), _DEBUG: {}}
        await app({**scope, "extensions": extensions}, receive, listening)

    return offering


def _of_template(info: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {key: info[key] for key in ("template", "context") if key in info}
    if "template" in told:
        told["template"] = getattr(told["template"], "name", told["template"])
    return told

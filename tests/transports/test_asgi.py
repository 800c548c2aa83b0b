"""Applications in this process, and which template they answered with."""

import asyncio
import importlib
from collections.abc import Mapping
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from typed_async_client import (
    ASGITransport,
    AsyncResilientClient,
    HSTSTransport,
    HTTPSOnlyTransport,
    RequestContext,
)

DEBUG = "http.response.debug"


class Template:
    """A template as frameworks have it: an object with a name."""

    def __init__(self, name: str | None) -> None:
        self.name = name


async def answer(send: Any, status: int = 200, body: bytes = b"ok") -> None:
    """Answer as an ASGI application does."""
    headers = [(b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def telling(*infos: Mapping[str, Any]) -> Any:
    """Make an application that tells something, if it may, and answers."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for info in infos:
            if DEBUG in scope.get("extensions", {}):
                await send({"type": DEBUG, "info": info})
        await answer(send)

    return app


async def ask(transport: Any, path: str = "/", **options: Any) -> httpx.Response:
    """Send one request to an application."""
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.post(path, **options)


@pytest.mark.parametrize("template", ["index.html", Template("index.html")])
async def test_a_response_tells_its_template_and_context(template: Any) -> None:
    """The template by its name, whether the application gives the name or the object."""
    context = {"user": "ann"}
    response = await ask(ASGITransport(telling({"template": template, "context": context})))
    assert response.text == "ok"
    assert response.headers["content-type"] == "text/html"
    assert response.extensions["template"] == "index.html"
    assert response.extensions["context"] is context


async def test_a_template_made_from_a_string_has_no_name() -> None:
    """There was one all the same, and its context is told."""
    app = telling({"template": Template(None), "context": {"a": 1}})
    response = await ask(ASGITransport(app))
    assert response.extensions["template"] is None
    assert response.extensions["context"] == {"a": 1}


@pytest.mark.parametrize("infos", [(), ({},), ({"queries": 3},)])
async def test_an_application_that_tells_of_no_template_leaves_no_keys(infos: Any) -> None:
    """The extension may carry other things as well."""
    response = await ask(ASGITransport(telling(*infos)))
    assert not {"template", "context"} & set(response.extensions)


async def test_the_template_that_was_told_last_counts() -> None:
    """A page of an error replaces the page that failed."""
    first = {"template": "index.html", "context": {"a": 1}}
    last = {"template": "error.html", "context": {"b": 2}}
    response = await ask(ASGITransport(telling(first, last)))
    assert response.extensions["template"] == "error.html"
    assert response.extensions["context"] == {"b": 2}


async def test_requests_at_once_do_not_mix_their_templates() -> None:
    """Each waits within the application until all of them have told."""
    everybody = asyncio.Barrier(5)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        info = {"template": scope["path"], "context": {"path": scope["path"]}}
        await send({"type": DEBUG, "info": info})
        await everybody.wait()
        await answer(send)

    transport = ASGITransport(app)
    paths = [f"/{number}" for number in range(5)]
    responses = await asyncio.gather(*(ask(transport, path) for path in paths))
    assert [response.extensions["template"] for response in responses] == paths
    assert [response.extensions["context"]["path"] for response in responses] == paths


async def test_the_rest_is_as_httpx_has_it() -> None:
    """Scope, body and answer are the same, but for the extension that is offered."""
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        scopes.append(dict(scope))
        await answer(send, 201, message["body"].upper())

    for make in (httpx.ASGITransport, ASGITransport):
        transport = make(app, root_path="/sub", client=("192.0.2.1", 7))
        response = await ask(transport, "/a%20b?c=d", content=b"body")
        assert (response.status_code, response.text) == (201, "BODY")
    assert scopes[1].pop("extensions") == {DEBUG: {}}
    assert scopes[0] == scopes[1]


async def test_errors_of_the_application_are_raised_or_answered() -> None:
    """By ``raise_app_exceptions``, as with httpx."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("no such page")

    with pytest.raises(LookupError, match="no such page"):
        await ask(ASGITransport(app))
    response = await ask(ASGITransport(app, raise_app_exceptions=False))
    assert response.status_code == 500


@pytest.mark.parametrize(
    "wrap",
    [
        lambda transport: transport,
        HTTPSOnlyTransport,
        lambda t: HSTSTransport(HTTPSOnlyTransport(t)),
    ],
)
async def test_an_application_runs_once_whatever_it_raises(wrap: Any) -> None:
    """Its own upstream may be down; the request had reached it, wrapped or not."""
    runs: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        runs.append(scope["path"])
        raise httpx.ConnectError("the application's upstream is down")

    async with AsyncResilientClient(transport=wrap(ASGITransport(app))) as client:
        task = await client.post("https://testserver/pay", RequestContext(base_delay=0.001))
        with pytest.raises(httpx.ConnectError):
            await task
    assert runs == ["/pay"]


async def test_a_resilient_client_tells_of_templates() -> None:
    """They come with the response, as any extension does."""
    app = telling({"template": "index.html", "context": {}})
    async with AsyncResilientClient(transport=ASGITransport(app)) as client:
        response = await (await client.get("http://testserver/"))
    assert response.extensions["template"] == "index.html"


async def test_starlette_tells_of_its_jinja_templates() -> None:
    """The page, its context and its template, of a framework that knows nothing of this one."""
    jinja2 = pytest.importorskip("jinja2")
    templating = importlib.import_module("starlette.templating")  # it needs jinja2
    pages = jinja2.DictLoader({"index.html": "<p>{{ user }}</p>"})
    templates = templating.Jinja2Templates(env=jinja2.Environment(loader=pages, autoescape=True))

    def index(request: Request) -> Response:
        page: Response = templates.TemplateResponse(request, "index.html", {"user": "ann"})
        return page

    response = await ask(ASGITransport(Starlette(routes=[Route("/", index, methods=["POST"])])))
    assert response.text == "<p>ann</p>"
    assert response.extensions["template"] == "index.html"
    assert response.extensions["context"]["user"] == "ann"

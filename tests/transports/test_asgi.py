"""In-process ASGI applications, and the templates that they render."""

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
    """A template as in web frameworks: an object with a name."""

    def __init__(self, name: str | None) -> None:
        self.name = name


async def answer(send: Any, status: int = 200, body: bytes = b"ok") -> None:
    """Send a response as an ASGI application does."""
    headers = [(b"content-type", b"text/html")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def reporting_app(*infos: Mapping[str, Any]) -> Any:
    """Make an application that sends debug messages, if they are supported, and a response."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        for info in infos:
            if DEBUG in scope.get("extensions", {}):
                await send({"type": DEBUG, "info": info})
        await answer(send)

    return app


async def send_request(transport: Any, path: str = "/", **options: Any) -> httpx.Response:
    """Send one request to an application."""
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        return await client.post(path, **options)


@pytest.mark.parametrize("template", ["index.html", Template("index.html")])
async def test_the_response_has_its_template_and_context(template: Any) -> None:
    """The template is identified by name, whether the app reports the name or the object."""
    context = {"user": "ann"}
    response = await send_request(
        ASGITransport(reporting_app({"template": template, "context": context}))
    )
    assert response.text == "ok"
    assert response.headers["content-type"] == "text/html"
    assert response.extensions["template"] == "index.html"
    assert response.extensions["context"] is context


async def test_a_template_made_from_a_string_has_no_name() -> None:
    """``template`` is None, and the context is still available."""
    app = reporting_app({"template": Template(None), "context": {"a": 1}})
    response = await send_request(ASGITransport(app))
    assert response.extensions["template"] is None
    assert response.extensions["context"] == {"a": 1}


@pytest.mark.parametrize("infos", [(), ({},), ({"queries": 3},)])
async def test_without_a_reported_template_neither_key_is_set(infos: Any) -> None:
    """Debug messages may carry other information."""
    response = await send_request(ASGITransport(reporting_app(*infos)))
    assert not {"template", "context"} & set(response.extensions)


async def test_the_template_reported_last_wins() -> None:
    """An error page replaces the page that failed to render."""
    first = {"template": "index.html", "context": {"a": 1}}
    last = {"template": "error.html", "context": {"b": 2}}
    response = await send_request(ASGITransport(reporting_app(first, last)))
    assert response.extensions["template"] == "error.html"
    assert response.extensions["context"] == {"b": 2}


async def test_concurrent_requests_do_not_mix_their_templates() -> None:
    """Each request waits inside the application until all have reported their template."""
    all_reported = asyncio.Barrier(5)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        info = {"template": scope["path"], "context": {"path": scope["path"]}}
        await send({"type": DEBUG, "info": info})
        await all_reported.wait()
        await answer(send)

    transport = ASGITransport(app)
    paths = [f"/{number}" for number in range(5)]
    responses = await asyncio.gather(*(send_request(transport, path) for path in paths))
    assert [response.extensions["template"] for response in responses] == paths
    assert [response.extensions["context"]["path"] for response in responses] == paths


async def test_everything_else_is_the_same_as_with_httpx() -> None:
    """Scope, body and response are the same, except for the extension that is offered."""
    scopes: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        message = await receive()
        scopes.append(dict(scope))
        await answer(send, 201, message["body"].upper())

    for make in (httpx.ASGITransport, ASGITransport):
        transport = make(app, root_path="/sub", client=("192.0.2.1", 7))
        response = await send_request(transport, "/a%20b?c=d", content=b"body")
        assert (response.status_code, response.text) == (201, "BODY")
    assert scopes[1].pop("extensions") == {DEBUG: {}}
    assert scopes[0] == scopes[1]


async def test_errors_of_the_application_are_raised_or_turned_into_a_500() -> None:
    """Depending on ``raise_app_exceptions``, as with httpx."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise LookupError("no such page")

    with pytest.raises(LookupError, match="no such page"):
        await send_request(ASGITransport(app))
    response = await send_request(ASGITransport(app, raise_app_exceptions=False))
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
    """It isn't retried on a connect error of its upstream, whether wrapped or not: it has run."""
    runs: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        runs.append(scope["path"])
        raise httpx.ConnectError("the application's upstream is down")

    async with AsyncResilientClient(transport=wrap(ASGITransport(app))) as client:
        task = await client.post("https://testserver/pay", RequestContext(base_delay=0.001))
        with pytest.raises(httpx.ConnectError):
            await task
    assert runs == ["/pay"]


async def test_templates_are_available_through_a_resilient_client() -> None:
    """They are response extensions like any other."""
    app = reporting_app({"template": "index.html", "context": {}})
    async with AsyncResilientClient(transport=ASGITransport(app)) as client:
        response = await (await client.get("http://testserver/"))
    assert response.extensions["template"] == "index.html"


async def test_starlette_reports_its_jinja_templates() -> None:
    """A real framework: the rendered page, its context and its template."""
    jinja2 = pytest.importorskip("jinja2")
    templating = importlib.import_module("starlette.templating")  # it needs jinja2
    pages = jinja2.DictLoader({"index.html": "<p>{{ user }}</p>"})
    templates = templating.Jinja2Templates(env=jinja2.Environment(loader=pages, autoescape=True))

    def index(request: Request) -> Response:
        page: Response = templates.TemplateResponse(request, "index.html", {"user": "ann"})
        return page

    response = await send_request(
        ASGITransport(Starlette(routes=[Route("/", index, methods=["POST"])]))
    )
    assert response.text == "<p>ann</p>"
    assert response.extensions["template"] == "index.html"
    assert response.extensions["context"]["user"] == "ann"

"""Ask an ASGI application which template it rendered, as a test would.

Requires ``pip install starlette jinja2``. No network is used. Run it as it is:
``python examples/asgi_templates.py``.
"""

import asyncio

import httpx
import jinja2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

from typed_async_client import ASGITransport

PAGES = jinja2.DictLoader({"index.html": "<h1>Hello {{ name }}</h1>"})
templates = Jinja2Templates(env=jinja2.Environment(loader=PAGES, autoescape=True))


async def index(request: Request) -> Response:
    """Render a page."""
    return templates.TemplateResponse(request, "index.html", {"name": "Ada"})


app = Starlette(routes=[Route("/", index)])


async def main() -> None:
    """Request the page, and see how it was rendered."""
    transport = ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://testserver") as client:
        response = await client.get("/")
    print(response.text)
    print(f"template: {response.extensions['template']}")
    print(f"name: {response.extensions['context']['name']}")


if __name__ == "__main__":
    asyncio.run(main())

"""What a type checker knows of decoded values and of results; ``assert_type`` checks nothing at runtime."""

import asyncio
import dataclasses
from typing import Any, assert_type

import httpx
import msgspec
import pydantic

from typed_async_client import (
    AsyncResilientClient,
    ClientView,
    FailureKind,
    FailureResult,
    NotFoundError,
    RequestResult,
    ResponseTask,
    SuccessResult,
    simple_async_request,
)

URL = "http://a.test/"


@dataclasses.dataclass
class User:
    """A user."""

    name: str


class Account(pydantic.BaseModel):
    """The same, of pydantic."""

    name: str


class Member(msgspec.Struct):
    """The same, of msgspec."""

    name: str


def answer(request: httpx.Request) -> httpx.Response:
    """Answer with a list for that path, else with an object."""
    if request.url.path == "/missing":
        return httpx.Response(404)
    return httpx.Response(
        200, json=[{"name": "Ada"}] if request.url.path == "/all" else {"name": "Ada"}
    )


def mocked() -> AsyncResilientClient:
    """Create a client that is answered at once."""
    return AsyncResilientClient(transport=httpx.MockTransport(answer), base_url=URL)


async def test_the_task_of_a_verb_has_the_type_that_was_asked_for() -> None:
    """Of each verb; without ``response_model`` it is a response, as before."""
    async with mocked() as client:
        assert_type(await client.get("/"), ResponseTask)
        assert_type(await client.get("/", response_model=None), ResponseTask)
        task = await client.get("/", response_model=User)
        assert_type(task, asyncio.Task[User])
        assert_type(await task, User)
        assert (await task).name == "Ada"
        assert_type(await client.post("/", json={}, response_model=Account), asyncio.Task[Account])
        form = {"title": "June"}
        assert_type(await client.post_multipart("/", form), ResponseTask)
        assert_type(await client.post_multipart("/", form, response_model=User), asyncio.Task[User])
        posted = await client.post_multipart("/", form, response_model=User | None)
        assert_type(posted, asyncio.Task[Any])
        assert_type(await client.put("/", response_model=Member), asyncio.Task[Member])
        assert_type(
            await client.patch("/", response_model=dict[str, str]), asyncio.Task[dict[str, str]]
        )
        assert_type(
            await client.delete("/all", response_model=list[User]), asyncio.Task[list[User]]
        )
        assert_type(await client.options("/", response_model=bytes), asyncio.Task[bytes])
        assert_type(await client.head("/", response_model=str), asyncio.Task[str])
        task_of_any = await client.request_async("GET", "/", response_model=User | None)
        assert_type(task_of_any, asyncio.Task[Any])
        await client.wait_for_all_requests()


async def test_so_has_the_value_of_a_request() -> None:
    """And of a request without a client of its own."""
    async with mocked() as client:
        assert_type(await client.request("GET", "/", response_model=User), User)
        assert_type(await client.request("GET", "/all", response_model=list[User]), list[User])
        assert_type(await client.request("GET", "/"), httpx.Response)
        assert_type(client.with_options(), ClientView)
        assert_type(await client.with_options().request("GET", "/", response_model=User), User)
    transport = httpx.MockTransport(answer)
    user = await simple_async_request("GET", URL, response_model=User, transport=transport)
    assert_type(user, User)
    response = await simple_async_request("GET", URL, transport=transport)
    assert_type(response, httpx.Response)
    assert (user, response.status_code) == (User("Ada"), 200)


def name_of(result: RequestResult[User]) -> str:
    """Return what a match finds."""
    match result:
        case SuccessResult(value=user):
            assert_type(user, User)
            return user.name
        case FailureResult(error=NotFoundError() as error):
            return f"nobody: {error.status_code}"
        case FailureResult(kind=FailureKind.TIMEOUT | FailureKind.DEADLINE):
            return "late"
        case FailureResult(error=error):
            assert_type(error, BaseException)
            return type(error).__name__


async def test_a_result_has_the_type_of_its_value() -> None:
    """Whether it is matched, unwrapped, or given a default."""
    async with mocked() as client:
        result = await client.fetch("GET", "/", response_model=User)
        assert_type(result, SuccessResult[User] | FailureResult)
        assert_type(result.unwrap(), User)
        assert_type(result.unwrap_or(None), User | None)
        assert name_of(result) == "Ada"
        missing = await client.fetch("GET", "/missing", response_model=User)
        assert name_of(missing) == "nobody: 404"
        assert missing.unwrap_or(User("none")).name == "none"
        plain = await client.fetch("GET", "/")
        assert_type(plain, RequestResult)
        assert_type(plain.unwrap(), httpx.Response)
        if plain.is_success is True:
            assert_type(plain.value, httpx.Response)
            assert plain.value is plain.response

"""The method and URL of a request, as events and results report them."""

import pickle
from typing import Any

import httpx
import httpx2
import pytest

from typed_async_client.record import RequestRecord

BASED = httpx.AsyncClient(
    base_url="https://ann:pw@api.test:8443/v1", params={"lang": "fr", "token": "t"}
)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.test", "http://a.test"),
        ("https://A.test:443/x?page=2#top", "https://a.test/x?page=2#top"),
        ("https://ann:pw@a.test/x", "https://REDACTED:REDACTED@a.test/x"),
        ("https://a.test/?X-Amz-Signature=8f2&b=1", "https://a.test/?X-Amz-Signature=REDACTED&b=1"),
        (httpx.URL("http://ann@[::1]:8000/"), "http://REDACTED:REDACTED@[::1]:8000/"),
        (httpx2.URL("http://a.test/x"), "http://a.test/x"),
        ("http://bücher.test/é", "http://xn--bcher-kva.test/%C3%A9"),
    ],
)
def test_the_url_is_normalized_and_has_no_secrets(url: Any, expected: str) -> None:
    """User names, passwords and signed values are redacted."""
    assert RequestRecord("GET", url).url == expected


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://ann:pw@a.test:80/x", "http://a.test"),
        ("https://a.test:8443", "https://a.test:8443"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("/relative", ""),
        ("http://a.test:no/", ""),
    ],
)
def test_the_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    """Without the default port; empty for a URL that can't be requested."""
    assert RequestRecord("GET", url).origin == origin


@pytest.mark.parametrize(
    ("url", "params", "expected"),
    [
        ("/users", {"page": 2}, "/v1/users?lang=fr&token=REDACTED&page=2"),
        ("users?x=1", None, "/v1/users?lang=fr&token=REDACTED"),
        ("", httpx2.QueryParams("api_key=k"), "/v1/?lang=fr&token=REDACTED&api_key=REDACTED"),
    ],
)
def test_base_url_and_parameters_are_merged_as_httpx_does(
    url: str, params: Any, expected: str
) -> None:
    """The reported URL is the one that is requested."""
    record = RequestRecord("GET", url, params, BASED)
    assert record.url == f"https://REDACTED:REDACTED@api.test:8443{expected}"
    assert record.origin == "https://api.test:8443"
    sent = BASED.build_request("GET", url, params=params and dict(params)).url
    assert sent.path == httpx.URL(record.url).path


@pytest.mark.parametrize(
    "url",
    [
        "https://ann:hun ter@a.test:x/",
        "https://ann:hun/ter@a.test:x/",
        "ann:hunter@a.test/",
        "http:/ann:hunter@a.test/",
    ],
)
def test_nothing_before_an_at_sign_of_an_invalid_url_is_shown(url: str) -> None:
    """It may be a password."""
    record = RequestRecord("GET", url)
    assert "hun" not in f"{record!r} {record.name}"
    assert record.url.startswith("REDACTED@")


@pytest.mark.parametrize("url", [None, 3, b"http://a.test", "http://a.test:x/" + "y" * 1000])
def test_what_is_no_url_is_shown_shortly(url: Any) -> None:
    """The request fails with the right error; its record must not fail too."""
    assert 0 < len(RequestRecord("GET", url).url) <= 200


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://a.test/x", "GET a.test"),
        ("https://ann:8@a.test:8443?x", "GET a.test"),
        (httpx.URL("http://[::1]:8000/"), "GET [::1]"),
        ("/users", "GET api.test"),
        ("https://ann:pw/x@a.test", "GET"),
        (None, "GET"),
    ],
)
def test_the_name_is_method_and_host(url: Any, name: str) -> None:
    """Without user name, password and port."""
    client = BASED if url == "/users" else None
    assert RequestRecord("GET", url, None, client).name == name


def test_a_record_is_a_value() -> None:
    """Equal records have the same hash, and a pickled one holds no secret."""
    record = RequestRecord("GET", "https://ann:pw@a.test/x")
    assert record == RequestRecord("GET", "https://REDACTED:REDACTED@a.test/x")
    assert hash(record) == hash(RequestRecord("GET", "https://REDACTED:REDACTED@a.test/x"))
    assert record != RequestRecord("POST", "https://ann:pw@a.test/x")
    assert record != "GET"
    record.resends = 1
    pickled = pickle.dumps(record)
    assert b"pw" not in pickled
    assert (pickle.loads(pickled), pickle.loads(pickled).resends) == (record, 1)

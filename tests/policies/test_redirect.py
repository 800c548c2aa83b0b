"""What a redirect to another origin carries."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.policies.redirect import Origin, OriginChange, RedirectPolicy

HTTPS = Origin("https", "shop.test", None)
HTTP = Origin("http", "shop.test", None)
OTHER, INSECURE = OriginChange.OTHER, OriginChange.INSECURE

names = st.text(string.ascii_lowercase + "-", min_size=1, max_size=20)
origins = st.builds(
    Origin,
    st.sampled_from(["http", "https", "ws", "wss", "ftp"]),
    st.sampled_from(["a.test", "b.test", "a.test.", "127.0.0.1"]),
    st.sampled_from([None, 80, 443, 8443]),
)
changes = st.sampled_from([OTHER, INSECURE])


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (HTTPS, HTTPS),
        (HTTPS, Origin("https", "shop.test", 443)),
        (HTTP, Origin("http", "shop.test", 80)),
        (HTTP, HTTPS),
        (Origin("http", "shop.test", 80), Origin("https", "shop.test", 443)),
        (Origin("http", "shop.test", 8080), Origin("https", "shop.test", 8080)),
        (Origin("ws", "shop.test", None), Origin("wss", "shop.test", None)),
    ],
)
def test_the_origin_stays(source: Origin, target: Origin) -> None:
    """Default ports may be written out, and the same host may be used over TLS from now on."""
    assert RedirectPolicy().change(source, target) is OriginChange.NONE


@pytest.mark.parametrize(
    ("source", "target"),
    [
        (HTTPS, Origin("https", "shop.test", 8443)),
        (HTTPS, Origin("https", "www.shop.test", None)),
        (HTTPS, Origin("https", "shop.test.", None)),
        (HTTPS, Origin("wss", "shop.test", None)),
        (HTTP, Origin("http", "shop.test", 8080)),
        (HTTP, Origin("https", "pay.test", None)),
        (HTTP, Origin("https", "shop.test", 8443)),
        (Origin("http", "shop.test", 8080), HTTPS),
        (HTTP, Origin("wss", "shop.test", None)),
        (HTTP, Origin("ftp", "shop.test", None)),
        (Origin("ftp", "shop.test", None), Origin("ftp", "pay.test", None)),
    ],
)
def test_the_origin_changes(source: Origin, target: Origin) -> None:
    """Another host, subdomain, port or scheme is another origin, also on the way to https."""
    assert RedirectPolicy().change(source, target) is OTHER


@pytest.mark.parametrize("target", [HTTP, Origin("http", "pay.test", None), Origin("ftp", "a", 21)])
def test_leaving_tls_is_insecure_unless_it_is_allowed(target: Origin) -> None:
    """The same host included, because anyone on the way can read the request."""
    assert RedirectPolicy().change(HTTPS, target) is INSECURE
    assert RedirectPolicy(allow_insecure=True).change(HTTPS, target) is OTHER


@pytest.mark.parametrize("change", [OTHER, INSECURE])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accept", "*/*"),
        ("accept-language", "fr"),
        ("connection", "Close"),
        ("if-none-match", '"1"'),
        ("range", "bytes=0-9"),
        ("traceparent", "00-1-2-00"),
        ("tracestate", "a=b"),
        ("user-agent", "shop/1.0"),
        ("x-request-id", "1"),
    ],
)
def test_a_header_without_a_secret_is_carried(name: str, value: str, change: OriginChange) -> None:
    """With or without a body, encrypted or not."""
    assert RedirectPolicy().carries_header(name, value, change, has_body=False)
    assert RedirectPolicy().carries_header(name, value, change, has_body=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("acceptance", "secret"),
        ("authorization", "Bearer secret"),
        ("connection", "close, x-secret"),
        ("cookie", "sid=secret"),
        ("expect", "secret"),
        ("proxy-authorization", "Basic secret"),
        ("referer", "https://shop.test/?token=secret"),
        ("x-api-key", "secret"),
    ],
)
def test_any_other_header_is_left_behind(name: str, value: str) -> None:
    """Also one that carries something else than its usual value."""
    assert not RedirectPolicy().carries_header(name, value, OTHER, has_body=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("content-type", "text/plain"),
        ("content-length", "5"),
        ("transfer-encoding", "chunked"),
        ("expect", "100-continue"),
    ],
)
def test_headers_about_the_body_are_carried_with_it(name: str, value: str) -> None:
    """Without a body they would describe nothing, or make the server wait for one."""
    assert RedirectPolicy().carries_header(name, value, OTHER, has_body=True)
    assert not RedirectPolicy().carries_header(name, value, OTHER, has_body=False)


@given(name=names, change=changes, has_body=st.booleans())
def test_a_named_header_is_carried_except_over_an_insecure_connection(
    name: str, change: OriginChange, *, has_body: bool
) -> None:
    """It is named because it matters, so it may be a secret."""
    policy = RedirectPolicy(frozenset({name}))
    assert policy.carries_header(name, "x", change, has_body=has_body) is (change is OTHER)


@given(source=origins, target=origins)
def test_a_change_of_host_never_passes_for_the_same_origin(source: Origin, target: Origin) -> None:
    """Nor does leaving TLS, whatever is allowed."""
    for policy in (RedirectPolicy(), RedirectPolicy(allow_insecure=True)):
        if policy.change(source, target) is OriginChange.NONE:
            assert source.host == target.host
            assert target.is_secure or not source.is_secure


def test_names_are_compared_in_any_case() -> None:
    """As in HTTP."""
    assert RedirectPolicy.of(["X-Api-Key"]).headers == {"x-api-key"}
    assert RedirectPolicy.of(iter(())).headers == frozenset()


@pytest.mark.parametrize(
    ("headers", "error", "message"),
    [
        ("X-Api-Key", TypeError, "must be a collection of header names, got 'X-Api-Key'"),
        (b"X", TypeError, "must be a collection of header names"),
        (None, TypeError, "must be a collection of header names, got None"),
        (7, TypeError, "must be a collection of header names, got 7"),
        ([b"X-Api-Key"], TypeError, "must contain strings, got b'X-Api-Key'"),
        (["X Api Key"], ValueError, "'X Api Key', which isn't the name of a header"),
        (["X-Api-Key:"], ValueError, "'X-Api-Key:', which isn't the name of a header"),
        ([""], ValueError, "'', which isn't the name of a header"),
        (["X\n"], ValueError, "which isn't the name of a header"),
        (["Clé"], ValueError, "which isn't the name of a header"),
        (["Cookie"], ValueError, r"can't contain 'Cookie': cookies follow if they have a domain"),
        (["HOST"], ValueError, "can't contain 'HOST': the client sets it"),
    ],
)
def test_a_wrong_name_is_refused(headers: object, error: type[Exception], message: str) -> None:
    """The message quotes it."""
    with pytest.raises(error, match=message):
        RedirectPolicy.of(headers)  # type: ignore[arg-type]  # what a user may pass


def test_a_wrong_permission_is_refused() -> None:
    """A string such as "no" would count as a permission."""
    with pytest.raises(TypeError, match="allow_insecure_redirects must be True or False, got 'no'"):
        RedirectPolicy.of(allow_insecure="no")  # type: ignore[arg-type]  # what a user may pass

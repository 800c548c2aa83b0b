"""No user name, password or signature is ever printed."""

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.redact import error_line, one_line, redact, redacted_repr


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("http://h/a?page=2#top", "http://h/a?page=2#top"),
        ("http://ann@h/", "http://REDACTED:REDACTED@h/"),
        ("http://ann:p@ss@h/@scope", "http://REDACTED:REDACTED@h/@scope"),
        ("http://h/@scope/package", "http://h/@scope/package"),
        ("http://h/?X-Amz-Signature=8f&a=1", "http://h/?X-Amz-Signature=REDACTED&a=1"),
        ("http://h/?a=1&sig=8f#b", "http://h/?a=1&sig=REDACTED#b"),
        ("http://h/?AWSAccessKeyId=8f", "http://h/?AWSAccessKeyId=REDACTED"),
        ("http://h/?X-Amz%2DSecurity-T%6Fken=8f", "http://h/?X-Amz%2DSecurity-T%6Fken=REDACTED"),
        ("http://h/#access_token=8f", "http://h/#access_token=REDACTED"),
        ("//ann:pw@h/", "//REDACTED:REDACTED@h/"),
        ("http://h/?next=/cb?token=8f&a=1", "http://h/?next=/cb?token=REDACTED&a=1"),
        ("http://h/?next=%2Fcb%3Ftoken%3D8f&a=1", "http://h/?next=%2Fcb%3Ftoken%3DREDACTED&a=1"),
        ("http://h/?a=%253Fsig%253D8f%2526b", "http://h/?a=%253Fsig%253DREDACTED"),
        ("http://h/?u=http%3A%2F%2Fann%3Apw%40i", "http://h/?u=http%3A%2F%2FREDACTED%40i"),
        ("http://h/?u=http%3A%2F%2Fi%2Fa%40b", "http://h/?u=http%3A%2F%2Fi%2Fa%40b"),
        ("http://h/?token=8;f&a=1;sid=8f", "http://h/?token=REDACTED&a=1;sid=REDACTED"),
        ("http://h/a;jsessionid=8f?pwd=8f", "http://h/a;jsessionid=REDACTED"),
        ("http://h/?side=left&design=a&keys=b", "http://h/?side=left&design=a&keys=b"),
        ("GET http://h/?token=8f: 404 Not Found", "GET http://h/?token=REDACTED: 404 Not Found"),
        ("GET http://h/?token=8:f:\nno", "GET http://h/?token=REDACTED:\nno"),
        ("at http://a:b@h/ and http://c:d@i/", f"at http://{'R:R'}@h/ and http://{'R:R'}@i/"),
    ],
)
def test_secrets_in_a_url_are_replaced_and_the_rest_is_kept(text: str, printed: str) -> None:
    """This also works for URLs within a sentence."""
    assert redact(text) == printed.replace("R:R", "REDACTED:REDACTED")


@given(st.text(alphabet=st.characters(exclude_characters="/?#", exclude_categories=["Z", "C"])))
def test_user_names_and_passwords_are_always_redacted(secret: str) -> None:
    """This holds for any characters that an authority may contain."""
    assert redact(f"http://{secret}x@h/") == "http://REDACTED:REDACTED@h/"


@pytest.mark.parametrize("quoted", ["Invalid port: 'hun'", 'Invalid IPv6 address: "[hun\'"'])
def test_what_httpx_could_not_parse_is_not_repeated(quoted: str) -> None:
    """It may be a piece of a password, and the URL itself is shown anyway."""
    error = httpx.InvalidURL(quoted)
    assert "hun" not in f"{error_line(error)} {redacted_repr(error)}"
    assert error_line(error).endswith(": REDACTED")


@pytest.mark.parametrize(
    "part", ["?", "=", "%3F", "%", "%25", "//", "@", "?a=", "?token=", "%3Ftoken%3D", "%3A%2F%2Fa"]
)
def test_a_long_url_is_redacted_in_no_time(part: str) -> None:
    """Time grows with the length, not with its square, and nothing recurs."""
    redact("http://a@h/" + part * 20_000)


@given(st.text())
def test_a_text_becomes_one_printable_line(text: str) -> None:
    """No line ending or escape sequence from a server reaches the terminal."""
    line = one_line(text)
    assert line.isprintable()
    assert line == line.strip()

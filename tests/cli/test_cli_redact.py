"""What is printed never holds a user name, a password or a signature."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.cli.redact import one_line, redact


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
        ("at http://a:b@h/ and http://c:d@i/", f"at http://{'R:R'}@h/ and http://{'R:R'}@i/"),
    ],
)
def test_secrets_of_a_url_are_replaced_and_the_rest_is_kept(text: str, printed: str) -> None:
    """Also where the URL stands within a sentence."""
    assert redact(text) == printed.replace("R:R", "REDACTED:REDACTED")


@given(st.text(alphabet=st.characters(exclude_characters="/?#", exclude_categories=["Z", "C"])))
def test_no_user_name_or_password_passes(secret: str) -> None:
    """Whatever characters an authority may hold."""
    assert redact(f"http://{secret}x@h/") == "http://REDACTED:REDACTED@h/"


@given(st.text())
def test_a_text_becomes_one_line_that_a_terminal_only_shows(text: str) -> None:
    """No line end and no escape sequence of a server reaches the terminal."""
    line = one_line(text)
    assert line.isprintable()
    assert line == line.strip()

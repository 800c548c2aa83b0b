"""No user name, password or signature is ever printed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.redact import one_line, redact


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
def test_secrets_in_a_url_are_replaced_and_the_rest_is_kept(text: str, printed: str) -> None:
    """This also works for URLs within a sentence."""
    assert redact(text) == printed.replace("R:R", "REDACTED:REDACTED")


@given(st.text(alphabet=st.characters(exclude_characters="/?#", exclude_categories=["Z", "C"])))
def test_user_names_and_passwords_are_always_redacted(secret: str) -> None:
    """This holds for any characters that an authority may contain."""
    assert redact(f"http://{secret}x@h/") == "http://REDACTED:REDACTED@h/"


@given(st.text())
def test_a_text_becomes_one_printable_line(text: str) -> None:
    """No line ending or escape sequence from a server reaches the terminal."""
    line = one_line(text)
    assert line.isprintable()
    assert line == line.strip()

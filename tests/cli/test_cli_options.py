"""The options of ``get``: what is accepted, what is refused, and that no secret is quoted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.cli.options import (
    GetOptions,
    UsageError,
    parse_header,
    parse_options,
    parse_url,
)


def test_each_option_is_parsed() -> None:
    """Each has a field, with the headers as bytes."""
    options = parse_options(
        "http://127.0.0.1/a", ["A: b", "C:d "], retries=0, timeout=1.5, follow=True
    )
    assert options == GetOptions(
        url="http://127.0.0.1/a",
        headers=((b"A", b"b"), (b"C", b"d")),
        retries=0,
        timeout=1.5,
        follow=True,
    )


@pytest.mark.parametrize("url", ["http://h", "https://h:8443/a?b=c", "HTTP://h/", "http://[::1]/"])
def test_a_valid_url_is_returned_unchanged(url: str) -> None:
    """Nothing in the URL is normalized."""
    assert parse_url(url) == url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "must start with http:// or https://"),
        ("example.org/a", "must start with http:// or https://"),
        ("ftp://example.org", "must start with http:// or https://"),
        ("http://", "has no host"),
        ("http://h:99999/", "must be 1 to 65535, not 99999"),
        ("http://h:0/", "must be 1 to 65535, not 0"),
        ("http://h:x/", "invalid URL: Invalid port: 'x'"),
        ("http://xn--/", "invalid URL"),
        ("http://ann:se/cret@h/", "percent-encode"),
        ("ftp://ann:secret@h/", "must start with http:// or https://"),
    ],
)
def test_an_unusable_url_is_refused(url: str, message: str) -> None:
    """The message says what is wrong, without quoting any part of a password."""
    with pytest.raises(UsageError, match=message) as refused:
        parse_url(url)
    assert "se" not in str(refused.value).split()
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("K: V", (b"K", b"V")),
        ("K:V", (b"K", b"V")),
        ("K:", (b"K", b"")),
        ("Cookie: a=b; c:d", (b"Cookie", b"a=b; c:d")),
        ("K: caf\xe9", (b"K", b"caf\xc3\xa9")),
        ("K: a\tb", (b"K", b"a\tb")),
    ],
)
def test_a_header_is_split_at_the_first_colon(text: str, header: tuple[bytes, bytes]) -> None:
    """Surrounding whitespace is stripped from the value, which is encoded as UTF-8."""
    assert parse_header(1, text) == header


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "has no colon"),
        ("secret", "has no colon"),
        (": secret", "has no name before the colon"),
        ("A b: secret", "has a space in its name"),
        (" K: secret", "has a space in its name"),
        ("Bearer secret:and more", "has a space in its name"),
        ("K\n: secret", "has a space in its name"),
        ("K\xe9: secret", "has an invalid character in its name"),
        ("K(1): secret", "has an invalid character in its name"),
    ],
)
def test_an_invalid_header_is_refused_and_identified_by_its_position(
    text: str, problem: str
) -> None:
    """The message quotes nothing: there may be a secret before the colon."""
    with pytest.raises(UsageError) as refused:
        parse_header(3, text)
    assert str(refused.value) == f"header 3 {problem}: write it as -H 'Name: value'"


@given(st.characters(max_codepoint=0x1F, exclude_characters="\t") | st.just("\x7f"))
def test_control_characters_in_a_value_are_refused(control: str) -> None:
    """Otherwise a line ending in a value could smuggle in a header, or a request."""
    with pytest.raises(UsageError, match="'K' contains control characters") as refused:
        parse_header(1, f"K: secret{control}X")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_an_invalid_timeout_is_refused(timeout: float) -> None:
    """Only a finite number of seconds above 0 is accepted."""
    with pytest.raises(UsageError, match="--timeout must be a number of seconds above 0"):
        parse_options("http://h/", [], retries=0, timeout=timeout, follow=False)


def test_a_negative_number_of_retries_is_refused() -> None:
    """The minimum is 0, which means one attempt."""
    with pytest.raises(UsageError, match="--retry must be 0 or more, got -1"):
        parse_options("http://h/", [], retries=-1, timeout=1.0, follow=False)

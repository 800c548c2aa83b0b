"""The words of the command line: what is taken, what is refused, and that no secret is quoted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.cli.order import Order, UsageError, check_order, read_header, read_url


def test_an_order_keeps_what_was_asked_for() -> None:
    """Each option arrives in its field, the headers as bytes."""
    order = check_order("http://127.0.0.1/a", ["A: b", "C:d "], retries=0, timeout=1.5, follow=True)
    assert order == Order(
        url="http://127.0.0.1/a",
        headers=((b"A", b"b"), (b"C", b"d")),
        retries=0,
        timeout=1.5,
        follow=True,
    )


@pytest.mark.parametrize("url", ["http://h", "https://h:8443/a?b=c", "HTTP://h/", "http://[::1]/"])
def test_a_url_of_http_is_taken_as_it_is(url: str) -> None:
    """Nothing of the URL is rewritten on its way."""
    assert read_url(url) == url


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "must begin with http:// or https://"),
        ("example.org/a", "must begin with http:// or https://"),
        ("ftp://example.org", "must begin with http:// or https://"),
        ("http://", "has no host"),
        ("http://h:99999/", "must be 1 to 65535, not 99999"),
        ("http://h:0/", "must be 1 to 65535, not 0"),
        ("http://h:x/", "cannot be read: Invalid port: 'x'"),
        ("http://xn--/", "cannot be read"),
        ("http://ann:se/cret@h/", "percent-encode"),
        ("ftp://ann:secret@h/", "must begin with http:// or https://"),
    ],
)
def test_a_url_that_nothing_can_be_sent_to_is_refused(url: str, said: str) -> None:
    """The message tells what is wrong with it, and no part of a password."""
    with pytest.raises(UsageError, match=said) as refused:
        read_url(url)
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
def test_a_header_is_a_name_a_colon_and_a_value(text: str, header: tuple[bytes, bytes]) -> None:
    """The first colon divides; the value loses the blanks around it, and is UTF-8."""
    assert read_header(1, text) == header


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("", "has no colon"),
        ("secret", "has no colon"),
        (": secret", "has no name before its colon"),
        ("A b: secret", "has a space in its name"),
        (" K: secret", "has a space in its name"),
        ("Bearer secret:and more", "has a space in its name"),
        ("K\n: secret", "has a space in its name"),
        ("K\xe9: secret", "has an invalid character in its name"),
        ("K(1): secret", "has an invalid character in its name"),
    ],
)
def test_a_header_without_a_name_is_refused_by_its_number(text: str, trouble: str) -> None:
    """The message tells what is wrong and quotes nothing: a secret may stand before the colon."""
    with pytest.raises(UsageError) as refused:
        read_header(3, text)
    assert str(refused.value) == f"header 3 {trouble}: write it as -H 'Name: value'"


@given(st.characters(max_codepoint=0x1F, exclude_characters="\t") | st.just("\x7f"))
def test_a_control_character_in_a_value_is_refused(control: str) -> None:
    """Else a line end in a value would smuggle in a header, or a request."""
    with pytest.raises(UsageError, match="'K' has control characters") as refused:
        read_header(1, f"K: secret{control}X")
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("nan"), float("inf")])
def test_a_timeout_that_is_no_time_is_refused(timeout: float) -> None:
    """Only a finite number of seconds above 0 can pass."""
    with pytest.raises(UsageError, match="--timeout must be a number of seconds above 0"):
        check_order("http://h/", [], retries=0, timeout=timeout, follow=False)


def test_a_negative_number_of_retries_is_refused() -> None:
    """0 is the least: one attempt."""
    with pytest.raises(UsageError, match="--retry must be 0 or more, got -1"):
        check_order("http://h/", [], retries=-1, timeout=1.0, follow=False)

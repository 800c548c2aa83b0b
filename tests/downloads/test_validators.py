"""Which validators are strong enough to put parts of a file together."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.downloads.validators import Validator, strong_validator

OLD = "Mon, 01 Jan 2024 10:00:00 GMT"
A_MINUTE_LATER = "Mon, 01 Jan 2024 10:01:00 GMT"
ALMOST_A_MINUTE_LATER = "Mon, 01 Jan 2024 10:00:59 GMT"
OTHER_FORMS = ["Monday, 01-Jan-24 10:00:00 GMT", "Mon Jan  1 10:00:00 2024", "0", "now", ""]


@pytest.mark.parametrize("etag", ['"v1"', '""', '"é"', '"W/"', '"\\"'])
def test_a_strong_entity_tag_is_a_validator(etag: str) -> None:
    """Whatever the date says."""
    assert strong_validator(etag, None, None) == Validator("etag", etag)
    assert strong_validator(etag, OLD, OLD) == Validator("etag", etag)


@pytest.mark.parametrize(
    "etag", ['W/"v1"', 'w/"v1"', "v1", '"v1', "", '"a", "b"', '"a\n"', '"a b"', '"€"']
)
def test_any_other_entity_tag_leaves_no_validator(etag: str) -> None:
    """A client that has an entity tag mustn't send the date, RFC 9110 section 13.1.5."""
    assert strong_validator(etag, OLD, A_MINUTE_LATER) is None


@pytest.mark.parametrize(
    ("modified", "date", "is_strong"),
    [
        (OLD, A_MINUTE_LATER, True),
        (OLD, ALMOST_A_MINUTE_LATER, False),
        (OLD, OLD, False),
        (A_MINUTE_LATER, OLD, False),
        (OLD, None, False),
        (None, OLD, False),
        ("Mon, 32 Jan 2024 10:00:00 GMT", A_MINUTE_LATER, False),
        ("Mon, 01 Abc 2024 10:00:00 GMT", A_MINUTE_LATER, False),
        ("Mon, 01 Jan 0000 10:00:00 GMT", A_MINUTE_LATER, False),
        ("Mon, 01 Jan 2024 25:00:00 GMT", A_MINUTE_LATER, False),
        ("Mon, \u0660\u0661 Jan 2024 10:00:00 GMT", A_MINUTE_LATER, False),
        *((form, A_MINUTE_LATER, False) for form in OTHER_FORMS),
    ],
)
def test_a_date_is_a_validator_when_the_file_was_old(
    modified: str | None, date: str | None, *, is_strong: bool
) -> None:
    """It could have changed twice within the second of its date, RFC 9110 section 8.8.2.2."""
    expected = Validator("last_modified", str(modified)) if is_strong else None
    assert strong_validator(None, modified, date) == expected


@pytest.mark.parametrize(
    ("etag", "modified", "agrees"),
    [('"v1"', None, True), ('"v1"', OLD, True), ('"v2"', None, False), (None, OLD, False)],
)
def test_a_part_must_have_the_same_entity_tag(
    etag: str | None, modified: str | None, *, agrees: bool
) -> None:
    """One without any isn't known to be of the same file."""
    assert Validator("etag", '"v1"').agrees_with(etag, modified) is agrees


@pytest.mark.parametrize(
    ("modified", "agrees"), [(OLD, True), (None, True), (A_MINUTE_LATER, False), ("", False)]
)
def test_a_part_may_leave_out_the_date(modified: str | None, *, agrees: bool) -> None:
    """The client has it, RFC 9110 section 15.3.7."""
    assert Validator("last_modified", OLD).agrees_with('"new"', modified) is agrees


_VALUES = st.none() | st.text(max_size=40) | st.sampled_from([OLD, A_MINUTE_LATER, '"v1"', 'W/"v"'])


@given(etag=_VALUES, modified=_VALUES, date=_VALUES)
def test_whatever_a_server_sends_a_validator_can_be_a_header(
    etag: str | None, modified: str | None, date: str | None
) -> None:
    """No value raises, and none that is returned could end a header line."""
    validator = strong_validator(etag, modified, date)
    if validator is not None:
        assert validator.value.encode("latin-1")
        assert not set(validator.value) & {"\r", "\n", "\0"}
        assert validator.agrees_with(etag, modified)

"""Strong validators: they show that the rest of a file belongs to the bytes that are there already.

Pure: header values in, a validator out. RFC 9110 section 13.1.5 says which ones ``If-Range`` may carry.
"""

import datetime as dt
import re
from email.utils import parsedate_to_datetime
from typing import Final, Literal, NamedTuple, TypeAlias

__all__ = ["Validator", "is_strong_etag", "strong_validator"]

_STRONG_ETAG: Final = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')
"""An entity tag without the prefix of a weak one, RFC 9110 section 8.8.3."""

_DATE: Final = re.compile(
    r"[A-Za-z]{3}, \d{2} [A-Za-z]{3} [1-9]\d{3} \d{2}:\d{2}:\d{2} GMT", re.ASCII
)
"""The form of dates that servers must send, RFC 9110 section 5.6.7."""

_APART: Final = dt.timedelta(seconds=60)
"""How long before the response a file must have been modified. Two changes within a second have the
same date, and the clocks of a server may differ (RFC 9110 section 8.8.2.2)."""

Kind: TypeAlias = Literal["etag", "last_modified"]


class Validator(NamedTuple):
    """A header value that changes whenever the file does."""

    kind: Kind
    value: str  #: as sent, decoded as Latin-1

    def agrees_with(self, etag: str | None, last_modified: str | None) -> bool:
        """Whether a partial response is of the same file.

        It must repeat the entity tag. It may leave out the date, which the client has sent in
        ``If-Range`` (RFC 9110 section 15.3.7).
        """
        if self.kind == "etag":
            return etag == self.value
        return last_modified in {self.value, None}


def is_strong_etag(etag: str | None) -> bool:
    """Whether a value is an entity tag, and isn't a weak one."""
    return etag is not None and _STRONG_ETAG.fullmatch(etag) is not None


def strong_validator(
    etag: str | None, last_modified: str | None, date: str | None
) -> Validator | None:
    """Return the validator of a response that ``If-Range`` may carry; None if it has none.

    With a weak entity tag it has none, because a client that has an entity tag mustn't send the
    date (RFC 9110 section 13.1.5).

    Args:
        etag: its ``ETag``; None without one.
        last_modified: its ``Last-Modified``.
        date: its ``Date``, which shows whether ``Last-Modified`` is strong.

    Example:
        >>> strong_validator('"v1"', None, None)
        Validator(kind='etag', value='"v1"')
        >>> strong_validator('W/"v1"', None, None) is None
        True
    """
    if etag is not None:
        return Validator("etag", etag) if is_strong_etag(etag) else None
    modified, sent = _instant(last_modified), _instant(date)
    if last_modified is None or modified is None or sent is None or sent - modified < _APART:
        return None
    return Validator("last_modified", last_modified)


def _instant(value: str | None) -> dt.datetime | None:
    """Return the instant of a date; None if it is malformed."""
    if value is None or not _DATE.fullmatch(value):
        return None
    try:
        instant = parsedate_to_datetime(value)
    except ValueError:  # no such day
        return None
    return instant.replace(tzinfo=dt.UTC)

"""Refuses what must not become a part of the head of a request, line breaks above all.

They would begin another header, or another request.

h11 and our own pool refuse it as well, but later, and other transports may not. Here it is refused when a
request is submitted. A message names the header, the cookie or the part, and never has its value, which
may be a secret.

=========================  ===================================================  ========================
a part of a request        is refused with                                      source
=========================  ===================================================  ========================
the name of a header       anything that isn't a token                          RFC 9110 section 5.1
the value of a header      a control character except tab, blanks around it;    RFC 9110 section 5.5
                           in a ``str``, non-ASCII characters
the name of a cookie       anything but printable ASCII, a blank, ``=``, ``;``  RFC 6265 section 4.1.1
the value of a cookie      anything but printable ASCII, ``;``                  RFC 6265 section 4.1.1
a cookie in a jar          a control character, ``;``; without a domain, also   only users set those
                           non-ASCII                                            without a domain
a user name, a password    a control character; ``:`` in a user name            RFC 7617 section 2
the extension ``target``   blanks, control characters, non-ASCII                RFC 9112 section 3.2
=========================  ===================================================  ========================
"""

import re
from collections.abc import Collection, Mapping
from http.cookiejar import CookieJar
from typing import Any, Final

__all__ = [
    "check_auth",
    "check_cookies",
    "check_encodable",
    "check_field",
    "check_head",
    "check_headers",
    "pairs_of",
]

_NAME_CHARACTERS: Final = "!#$%&'*+.^_`|~0-9A-Za-z-"
_NAME: Final = re.compile(rf"[{_NAME_CHARACTERS}]+")
_NAME_START: Final = re.compile(rf"[{_NAME_CHARACTERS}]*")
_TEXT: Final = re.compile(rb"[\t\x20-\x7e\x80-\xff]*")
_PLAIN_TEXT: Final = re.compile(r"(?:[\x21-\x7e](?:[\t\x20-\x7e]*[\x21-\x7e])?)?")
_TARGET: Final = re.compile(rb"[\x21-\x7e]+")
_COOKIE_NAME: Final = re.compile(r"[\x21-\x3a\x3c\x3e-\x7e]+")
_COOKIE_VALUE: Final = re.compile(r"[\x20-\x3a\x3c-\x7e]*")
_OF_JARS: Final = re.compile(r"[^\x00-\x1f\x7f;]*")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")

_PAIR: Final = 2

_SHOWN: Final = 40
"""Most characters of a name in a message."""


def check_head(options: Mapping[str, Any]) -> None:
    """Check the options of a request, except its URL and its body.

    Raises:
        ValueError: an option has a character that it must not have.
        TypeError: a header, or a cookie, isn't text.
    """
    if headers := options.get("headers"):
        check_headers(headers)
    if cookies := options.get("cookies"):
        check_cookies(cookies)
    if auth := options.get("auth"):
        check_auth(auth)
    if extensions := options.get("extensions"):
        _check_target(extensions.get("target"))


def check_headers(headers: Any) -> None:
    """Check headers, in any of the forms that httpx takes.

    Raises:
        ValueError: a name isn't a token, or a value has a character that it must not have.
        TypeError: a name or a value is neither ``str`` nor ``bytes``.
    """
    for name, value in getattr(headers, "raw", None) or pairs_of("headers", headers):
        check_field(name, value)


def check_field(name: Any, value: Any) -> None:
    """Check one header.

    Args:
        name: its name.
        value: its value.

    Raises:
        ValueError: the name isn't a token, or the value has a character that it must not have.
        TypeError: one of them is neither ``str`` nor ``bytes``.
    """
    if type(name) is type(value) is str and _NAME.fullmatch(name) and _PLAIN_TEXT.fullmatch(value):
        return  # nearly every header
    if not isinstance(name, str | bytes):
        raise TypeError(f"the name of a header must be str or bytes, got {type(name).__name__}")
    text = name.decode("latin-1") if isinstance(name, bytes) else name
    if not _NAME.fullmatch(text):
        start = _NAME_START.match(text)
        raise ValueError(
            f"the name of a header must consist of ASCII letters, digits and !#$%&'*+-.^_`|~, and "
            f"starts with {start[0] if start else '':.{_SHOWN}}, then something else"
        )
    if not isinstance(value, str | bytes):
        raise TypeError(
            f"the header {text:.{_SHOWN}} must be str or bytes, got {type(value).__name__}"
        )
    if problem := _problem_of(value):
        raise ValueError(f"the header {text:.{_SHOWN}} has {problem}")


def _problem_of(value: str | bytes) -> str:
    """Return what is wrong with the value of a header; empty if nothing."""
    if isinstance(value, str):
        if not value.isascii():
            return "a non-ASCII character: encode the value, or pass it as bytes"
        value = value.encode("ascii")
    if not _TEXT.fullmatch(value):
        return "a control character, such as a line break"
    return "blanks around its value: strip it" if value != value.strip(b" \t") else ""


def check_cookies(cookies: Any) -> None:
    """Check cookies, in any of the forms that httpx takes.

    Raises:
        ValueError: a name or a value has a character that it must not have.
    """
    jar = getattr(cookies, "jar", cookies)
    if isinstance(jar, CookieJar):
        for cookie in jar:
            allowed = _OF_JARS if cookie.domain else _COOKIE_VALUE
            _check_cookie(cookie.name, cookie.value, allowed, allowed)
        return
    for name, value in pairs_of("cookies", cookies):
        _check_cookie(name, value, _COOKIE_NAME, _COOKIE_VALUE)


def _check_cookie(
    name: Any, value: Any, names: "re.Pattern[str]", values: "re.Pattern[str]"
) -> None:
    if not isinstance(name, str) or not names.fullmatch(name):
        shown = f"{_shown(name)!r}" if isinstance(name, str) else type(name).__name__
        raise ValueError(
            f"invalid cookie name, {shown}: use printable ASCII without blanks, '=' and ';'"
        )
    if value is not None and not values.fullmatch(str(value)):
        raise ValueError(
            f"the cookie {_shown(name)!r} has a ';', a control character or non-ASCII in its value: "
            "percent-encode it"
        )


def check_auth(auth: Any) -> None:
    """Check a user name and a password; any other kind of ``auth`` makes its own headers.

    Raises:
        ValueError: one of them has a control character, the user name has a colon, or there aren't
            two.
        TypeError: one of them is neither ``str`` nor ``bytes``.
    """
    if not isinstance(auth, tuple):
        return
    if len(auth) != _PAIR:
        raise ValueError(f"auth must be (user name, password), got a tuple of {len(auth)}")
    for what, value in zip(("user name", "password"), auth, strict=True):
        if not isinstance(value, str | bytes):
            raise TypeError(f"the {what} of auth must be str or bytes, got {type(value).__name__}")
        check_encodable(f"the {what} of auth", value)
        text = value if isinstance(value, str) else value.decode("latin-1")
        if _CONTROL.search(text):
            raise ValueError(f"the {what} of auth has a control character, such as a line break")
        if what == "user name" and ":" in text:
            raise ValueError(
                "the user name of auth has a colon, which a server would take for its end"
            )


def check_encodable(what: str, value: str | bytes) -> None:
    """Refuse text that UTF-8 can't encode.

    Args:
        what: what it is, for the message.
        value: the text.

    Raises:
        ValueError: it has a lone surrogate.
    """
    if isinstance(value, bytes) or value.isascii():
        return
    try:
        value.encode()
    except UnicodeEncodeError:
        # Its error holds the text, which may be a secret.
        raise ValueError(f"{what} has a lone surrogate, which can't be encoded") from None


def _check_target(target: Any) -> None:
    if target is None:
        return
    raw = target.encode("utf-8", "replace") if isinstance(target, str) else target
    if not isinstance(raw, bytes) or not _TARGET.fullmatch(raw):
        raise ValueError(
            "the extension target must be bytes without blanks, control characters and non-ASCII: "
            "percent-encode them"
        )


def pairs_of(what: str, value: Any) -> Collection[tuple[Any, Any]]:
    """Return names and values, in whichever form they were passed.

    Args:
        what: what they are, for the message.
        value: a mapping, or a sequence of pairs.

    Raises:
        TypeError: it is neither.
    """
    if isinstance(value, Mapping):
        return value.items()
    is_sequence = isinstance(value, Collection) and not isinstance(value, str | bytes)
    if not (
        is_sequence and all(isinstance(one, tuple | list) and len(one) == _PAIR for one in value)
    ):
        raise TypeError(
            f"{what} must be a mapping, or a sequence of (name, value), got {type(value).__name__}"
            + (" of something else" if is_sequence else "")
        )
    pairs: Collection[tuple[Any, Any]] = value
    return pairs


def _shown(name: str) -> str:
    return name if len(name) <= _SHOWN else f"{name[:_SHOWN]}..."

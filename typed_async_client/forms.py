"""Checks the parts of a form before it is sent, and makes one of the fields of ``post_multipart()``.

httpx percent-encodes line breaks in the names of fields and files, and copies everything else into the head
of a part as it is. Line breaks there would end the head, or begin another one.
"""

import inspect
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import httpx

from typed_async_client.form_files import PathFile
from typed_async_client.request_checks import check_encodable, check_field, pairs_of
from typed_async_client.sources.files import is_file, is_text

__all__ = ["FormFields", "FormValue", "check_form", "files_of"]

FormContent: TypeAlias = str | bytes | IO[bytes] | Path
"""The content of a part: in memory, an open binary file, or a file to open when it is sent."""

FormValue: TypeAlias = (
    FormContent
    | tuple[str | None, FormContent]
    | tuple[str | None, FormContent, str | None]
    | tuple[str | None, FormContent, str | None, Mapping[str, str]]
)
"""A field: its content, or a file name, the content, its type and the other headers of the part."""

FormFields: TypeAlias = Mapping[str, FormValue] | Sequence[tuple[str, FormValue]]
"""The fields of a form; a sequence may have several of the same name."""

_BREAKS: Final = re.compile(r"[\r\n\0]")
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
"""RFC 2046 section 5.1.1."""

_LONGEST: Final = 4


def files_of(fields: FormFields) -> list[tuple[str, Any]]:
    """Return the fields of a form in the form in which httpx takes files.

    Raises:
        TypeError: ``fields`` is neither a mapping nor a sequence of pairs.
        ValueError: there are none.
    """
    pairs = pairs_of("fields", fields)
    if not pairs:
        raise ValueError("fields is empty: a form needs at least one field")
    return [(name, _part_of(name, value)) for name, value in pairs]


def _part_of(name: str, value: Any) -> Any:
    """Return a field as httpx takes it: a file name, which a text has none of, and the content."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, str):
        return None, value
    if isinstance(value, bytes):
        return name, value
    return _name_of(value, name), value


def _name_of(file: Any, default: str) -> str:
    """Return the file name of a file; what was opened by its number has none."""
    name = getattr(file, "name", None)
    return Path(os.fsdecode(name)).name if isinstance(name, str | bytes) else default


def check_form(options: dict[str, Any], client: Any) -> None:
    """Check the form of a request, and replace ``files`` by a copy in which paths are files.

    Args:
        options: the options of the request, with ``files``.
        client: the httpx client that will send it.

    Raises:
        ValueError: a part of the form, or its boundary, has a character that it must not have.
        TypeError: a part can't be sent.
        OSError: there is no file at a path.
    """
    files, data = options["files"], options.get("data")
    _check_boundary(options.get("headers"), client)
    for name in data if isinstance(data, Mapping) else ():
        _check_name("the name of a form field", name)
    options["files"] = [
        (name, _checked_part(name, value)) for name, value in pairs_of("files", files)
    ]


def _checked_part(name: Any, value: Any) -> Any:
    """Check a part of a form; return it with a file instead of a path, and with headers of its own."""
    _check_name("the name of a form field", name)
    field = f"the form field {name!r:.60}"
    parts = list(value) if isinstance(value, tuple) else [_name_of(value, "upload"), value]
    if not 1 < len(parts) <= _LONGEST:
        raise ValueError(
            f"{field} must be (file name, content), then at most its content type and its headers, "
            f"got a tuple of {len(parts)}"
        )
    if parts[0] is not None:
        _check_name(f"the file name of {field}", parts[0])
    parts[1] = _checked_content(field, parts[1])
    if len(parts) > 2 and parts[2] is not None:  # noqa: PLR2004 - the place of the content type
        if not isinstance(parts[2], str):
            raise TypeError(f"the content type of {field} must be str, got {_kind(parts[2])}")
        _check_header("Content-Type", parts[2], field)
    if len(parts) == _LONGEST:
        parts[3] = _checked_headers(field, parts[3])
    return tuple(parts)


def _checked_headers(field: str, headers: Any) -> dict[str, str]:
    """Check the headers of a part; return a copy, to which httpx adds the content type."""
    if not isinstance(headers, Mapping):
        raise TypeError(f"the headers of {field} must be a mapping, got {_kind(headers)}")
    for header, value in headers.items():
        if not isinstance(header, str) or not isinstance(value, str):
            raise TypeError(f"the headers of {field} must be str, got {_kind(header, value)}")
        _check_header(header, value, field)
    return dict(headers)


def _check_header(name: str, value: str, field: str) -> None:
    try:
        check_field(name, value)
    except ValueError as error:
        raise ValueError(f"{field}: {error}") from None


def _checked_content(field: str, content: Any) -> Any:
    if isinstance(content, Path):
        return PathFile(content)
    if isinstance(content, str | bytes):
        check_encodable(field, content)
    elif is_text(content):
        raise TypeError(f"{field} is a file in text mode: open it in binary mode")
    elif not is_file(content):
        raise TypeError(
            f"{field} must be str, bytes, a pathlib.Path or an open binary file, got "
            f"{_kind(content)}"
        )
    elif inspect.iscoroutinefunction(content.read):
        raise TypeError(
            f"{field} is a {_kind(content)} whose read() is async: await its read(), and pass the bytes, or "
            "pass the open file behind it, as in upload.file"
        )
    return content


def _check_name(what: str, name: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{what} must be str, got {_kind(name)}")
    check_encodable(what, name)
    if _BREAKS.search(name):
        raise ValueError(f"{what} has a line break or a NUL: {name!r:.60}")


def _check_boundary(headers: Any, client: Any) -> None:
    """Check the boundary in the content type of the request, or else of the client."""
    of_client = httpx.Headers(getattr(client, "headers", None)).get("Content-Type", "")
    content_type = httpx.Headers(headers).get("Content-Type", of_client)
    if not content_type.startswith("multipart/form-data"):
        return
    boundaries = [
        section.strip()[len("boundary=") :].strip('"')
        for section in content_type.split(";")
        if section.strip().lower().startswith("boundary=")
    ]
    if not boundaries or not _BOUNDARY.fullmatch(boundaries[0]):
        raise ValueError(
            "the content type multipart/form-data needs a boundary of 1 to 70 ASCII letters, digits and "
            "'()+_,-./:=?: leave the header out, and the client chooses one"
        )


def _kind(*values: object) -> str:
    return " and ".join(type(value).__name__ for value in values)

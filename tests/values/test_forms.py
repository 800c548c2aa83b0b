"""The fields of forms, and files that are opened when they are sent."""

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from typed_async_client.form_files import PathFile
from typed_async_client.forms import check_form, files_of


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    path = tmp_path / "report.txt"
    path.write_bytes(b"0123456789")
    return path


def test_a_field_becomes_a_text_or_a_file(path: Path) -> None:
    """The file name is that of the file, or that of the field."""
    memory = io.BytesIO(b"x")
    with path.open("rb") as opened, os.fdopen(os.dup(opened.fileno()), "rb") as by_number:
        files = files_of(
            {
                "text": "t",
                "bytes": b"b",
                "path": path,
                "opened": opened,
                "number": by_number,
                "memory": memory,
                "tuple": ("n", b"c", "a/b"),
            }
        )
        assert files == [
            ("text", (None, "t")),
            ("bytes", ("bytes", b"b")),
            ("path", ("report.txt", path)),
            ("opened", ("report.txt", opened)),
            ("number", ("number", by_number)),
            ("memory", ("memory", memory)),
            ("tuple", ("n", b"c", "a/b")),
        ]
    assert files_of([("a", "1"), ("a", "2")]) == [("a", (None, "1")), ("a", (None, "2"))]


@pytest.mark.parametrize("fields", [None, "a=b", b"a", 1, iter([])])
def test_fields_of_another_type_are_refused(fields: Any) -> None:
    """A form is made of fields with names."""
    with pytest.raises(TypeError, match="fields must be a mapping, or a sequence of"):
        files_of(fields)


def test_a_form_without_fields_is_refused() -> None:
    """It would be no form at all: httpx sends an empty body."""
    for fields in ({}, []):  # type: ignore[var-annotated]  # of no fields
        with pytest.raises(ValueError, match="needs at least one field"):
            files_of(fields)


class Upload:
    """What FastAPI and aiofiles give: a file that is read asynchronously."""

    async def read(self, size: int = -1) -> bytes:
        """Read nothing."""
        return bytes(max(size, 0))


@pytest.mark.parametrize("value", [Upload(), ("n", Upload()), ("n", Upload(), "a/b")])
def test_a_file_that_is_read_asynchronously_is_refused(value: Any) -> None:
    """The message says what to pass instead."""
    words = r"form field 'f' is a Upload whose read\(\) is async: await .* as in upload\.file"
    with pytest.raises(TypeError, match=words):
        check_form({"files": files_of({"f": value})}, None)


def test_a_file_in_text_mode_is_refused() -> None:
    """A temporary one, too, which is no class of ``io``."""
    with tempfile.TemporaryFile("w+") as one, tempfile.NamedTemporaryFile("w+") as other:
        files: list[Any] = [one, other, io.StringIO()]
        for file in files:
            with pytest.raises(TypeError, match="the form field 'f' is a file in text mode"):
                check_form({"files": files_of({"f": file})}, None)


def test_the_boundary_of_the_client_is_checked_unless_the_request_has_its_own_type() -> None:
    """A header of the request replaces that of the client."""
    client = httpx.Client(headers={"Content-Type": "multipart/form-data; boundary=a;b"})
    options: dict[str, Any] = {"files": {"f": b""}}
    check_form(options, client)
    client.headers["Content-Type"] = "multipart/form-data"
    with pytest.raises(ValueError, match="needs a boundary"):
        check_form(options, client)
    check_form({**options, "headers": {"Content-Type": "a/b"}}, client)


def test_the_headers_of_a_part_are_copied() -> None:
    """A content type is added by httpx to those that it is given."""
    headers = {"X-A": "1"}
    options: dict[str, Any] = {"files": {"f": ("n", b"", "a/b", headers)}}
    check_form(options, None)
    httpx.Request("POST", "http://a.test/", **options)
    assert headers == {"X-A": "1"}


def test_a_file_is_opened_when_it_is_read_and_closed_at_its_end(path: Path) -> None:
    """And opened again, if it is read from its start once more."""
    file = PathFile(path)
    path.rename(moved := path.with_name("moved"))
    with pytest.raises(FileNotFoundError):
        file.read(1)
    moved.rename(path)
    assert file.seekable()
    for _ in range(2):
        assert file.seek(0) == 0
        assert (file.read(4), file.tell(), file._file is None) == (b"0123", 4, False)
        assert (file.read(), file._file is None, file.read(4)) == (b"456789", True, b"")
    assert (file.seek(-3, os.SEEK_END), file.read(2), file.seek(-1, os.SEEK_CUR)) == (7, b"78", 8)
    assert (file.seek(1), file.read(2), file.seek(4), file.read(1)) == (1, b"12", 4, b"4")
    file.close()
    file.close()


def test_a_file_has_the_size_that_it_had_at_first(path: Path) -> None:
    """The length of the form was declared: a log that grows meanwhile is sent as it was."""
    file = PathFile(path)
    with path.open("ab") as growing:
        growing.write(b"more")
    assert file.read() == b"0123456789"
    path.write_bytes(b"0123")
    file.seek(0)
    assert (file.read(), file._file) == (b"0123", None)


def test_a_file_that_is_dropped_is_closed(path: Path) -> None:
    """Without a warning."""
    file = PathFile(path)
    file.read(1)
    opened = file._file
    assert opened is not None
    del file
    assert opened.closed


def test_a_path_that_is_no_file_is_refused(tmp_path: Path) -> None:
    """Before the form is sent."""
    with pytest.raises(FileNotFoundError):
        PathFile(tmp_path / "missing")
    with pytest.raises(ValueError, match="isn't a regular file: open it yourself"):
        PathFile(tmp_path)

"""How open files become request bodies: where they start, how long they are, and what is refused."""

import contextlib
import gzip
import io
import os
import pathlib
import tempfile
from typing import Any

import pytest

from typed_async_client.sources.files import FileBody


@pytest.fixture
def path(tmp_path: pathlib.Path) -> pathlib.Path:
    """Return the path of a file with ten bytes."""
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    return path


def read(body: FileBody) -> bytes:
    """Read a body once."""
    return b"".join(body.open_parts())


@pytest.mark.parametrize(("position", "expected"), [(0, b"0123456789"), (4, b"456789"), (12, b"")])
@pytest.mark.parametrize("buffering", [-1, 0], ids=["buffered", "raw"])
def test_a_file_is_read_from_its_position_each_time(
    path: pathlib.Path, position: int, expected: bytes, buffering: int
) -> None:
    """Wherever it stands by then; it stays there."""
    with path.open("rb", buffering) as file:
        file.seek(position)
        body = FileBody.of(file)
        assert (body.length, body.is_single_use) == (len(expected), False)
        file.seek(1)
        assert [read(body), read(body)] == [expected, expected]
        assert file.tell() == 1


def test_a_system_without_pread_rewinds_the_file(
    path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows has none."""
    monkeypatch.delattr(os, "pread")
    with path.open("rb") as file:
        file.seek(4)
        body = FileBody.of(file)
        assert [read(body), read(body)] == [b"456789", b"456789"]


def test_what_was_written_and_is_still_buffered_is_sent() -> None:
    """The length counts it, too."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"0123")
        file.seek(0)
        body = FileBody.of(file)
        assert (body.length, read(body)) == (4, b"0123")


def test_a_file_that_grows_is_sent_up_to_the_declared_length(path: pathlib.Path) -> None:
    """A log, for example."""
    with path.open("rb") as file, path.open("ab") as writer:
        body = FileBody.of(file)
        writer.write(b"more")
        writer.flush()
        assert read(body) == b"0123456789"


def test_looking_at_a_file_leaves_it_at_its_position(path: pathlib.Path) -> None:
    """The caller may read on from there."""
    with path.open("rb") as file:
        file.seek(3)
        FileBody.of(file)
        assert file.tell() == 3


def test_a_file_that_shrinks_ends_early(path: pathlib.Path) -> None:
    """Whoever sends it notices that the declared length isn't reached."""
    with path.open("rb") as file:
        body = FileBody.of(file)
        os.truncate(path, 3)
        assert (body.length, read(body)) == (10, b"012")


def test_the_length_of_a_compressed_file_is_not_that_of_what_it_contains(
    tmp_path: pathlib.Path,
) -> None:
    """Finding that out takes decompressing all of it."""
    with gzip.open(tmp_path / "file.gz", "wb") as writer:
        writer.write(b"0" * 1_000_000)
    with gzip.open(tmp_path / "file.gz", "rb") as file:
        assert file.read(10) == b"0" * 10
        body = FileBody.of(file)
        assert (body.length, body.is_single_use) == (None, False)
        assert [len(read(body)), len(read(body))] == [999_990, 999_990]


def test_a_file_whose_size_is_unknown_is_sent_without_a_length() -> None:
    """Files in ``/proc`` say that they are empty, and aren't."""
    with pathlib.Path("/proc/self/status").open("rb") as file:
        body = FileBody.of(file)
        assert file.tell() == 0
        assert body.length is None
        assert read(body).startswith(b"Name:")


def test_a_device_that_says_it_is_empty_is_sent_without_a_length() -> None:
    """It has as many bytes as anybody reads."""
    with pathlib.Path("/dev/zero").open("rb") as file:
        body = FileBody.of(file)
        assert body.length is None
        assert next(body.open_parts()) == bytes(256 * 1024)


def test_a_pipe_is_sent_once_and_as_it_comes() -> None:
    """A read doesn't wait until a large buffer is full."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "rb") as file, os.fdopen(writer, "wb", 0) as end:
        body = FileBody.of(file)
        assert (body.length, body.is_single_use) == (None, True)
        parts = iter(body.open_parts())
        end.write(b"a")
        assert next(parts) == b"a"
        end.write(b"b")
        assert next(parts) == b"b"
        end.close()
        assert next(parts, None) is None


class Spooled(io.RawIOBase):
    """A file of another class, whose ``seek`` returns nothing."""

    def __init__(self) -> None:
        super().__init__()
        self._file = io.BytesIO(b"0123456789")

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._file.tell()

    def seek(self, *position: int) -> Any:
        """Move to a position."""
        self._file.seek(*position)

    def read(self, size: int = -1) -> bytes:
        """Read some bytes."""
        return self._file.read(size)


def test_a_file_of_an_unknown_class_is_rewound() -> None:
    """Its length isn't asked for, as that might take reading all of it."""
    body = FileBody.of(Spooled())
    assert body.length is None
    assert [read(body), read(body)] == [b"0123456789"] * 2


class Plain:
    """The methods of a file and no more; ``seek`` knows no end."""

    def __init__(self) -> None:
        self._file = io.BytesIO(b"0123456789")
        self.read = self._file.read
        self.tell = self._file.tell

    def seek(self, position: int, whence: int = 0) -> int:
        """Move to a position, counted from the start only."""
        if whence:
            raise OSError("can't seek from the end")
        return self._file.seek(position)


def test_a_file_that_does_not_know_its_end_is_sent_without_a_length() -> None:
    """And stays where it is."""
    file = Plain()
    file.read(4)
    body = FileBody.of(file)
    assert (body.length, file.tell()) == (None, 4)
    assert [read(body), read(body)] == [b"456789"] * 2


class Untold(Plain):
    """A file that has a position, and doesn't tell it."""

    def __init__(self) -> None:
        super().__init__()
        self.tell = self._fail

    def _fail(self) -> int:
        raise OSError("not now")


def test_a_file_that_does_not_tell_its_position_is_sent_once() -> None:
    """It couldn't be rewound to where it was."""
    body = FileBody.of(Untold())
    assert body.is_single_use
    assert read(body) == b"0123456789"


class Empty:
    """A pipe in non-blocking mode, with nothing in it."""

    def read(self, _: int) -> None:
        """Return None, as such files do."""


def test_a_file_in_non_blocking_mode_does_not_end_the_body() -> None:
    """That there is nothing now doesn't mean that nothing follows."""
    with pytest.raises(BlockingIOError, match="non-blocking"):
        read(FileBody.of(Empty()))


class AsyncRead:
    """A file of a web framework."""

    async def read(self, _: int) -> bytes:
        """Read some bytes."""
        return b""


@pytest.mark.parametrize(
    ("opened", "message"),
    [
        (lambda path: path.open("r"), "open it in binary mode"),
        (lambda _: contextlib.nullcontext(io.StringIO("text")), "open it in binary mode"),
        (lambda _: tempfile.NamedTemporaryFile("w+"), "open it in binary mode"),  # noqa: SIM115 - the test closes it
        (lambda path: path.open("ab"), "opened for writing only"),
        (lambda _: contextlib.nullcontext(AsyncRead()), "AsyncRead whose read.. is async"),
    ],
    ids=["text", "text in memory", "temporary text", "written", "async"],
)
def test_a_file_that_cannot_be_sent_is_refused(
    path: pathlib.Path, opened: Any, message: str
) -> None:
    """Before anything is sent; the message says what to do."""
    with opened(path) as file, pytest.raises(TypeError, match=message):
        FileBody.of(file)


def test_a_closed_file_is_refused(path: pathlib.Path) -> None:
    """It was closed by a ``with`` that has ended too early."""
    with path.open("rb") as file:
        pass
    with pytest.raises(ValueError, match="keep it open until the response is there"):
        FileBody.of(file)


def test_a_file_that_is_closed_meanwhile_fails(path: pathlib.Path) -> None:
    """Its descriptor may be that of another file by then."""
    with path.open("rb") as file:
        body = FileBody.of(file)
    with pytest.raises(ValueError, match="closed file"):
        read(body)

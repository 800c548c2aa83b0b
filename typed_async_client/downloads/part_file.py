"""What a download has written so far: ``<name>.part`` beside the target, and a note of what it is.

The note, ``<name>.part.json``, is written when the part is empty. So whenever the process is killed, the
part holds the beginning of the file that the note describes, or nothing. The target is replaced at
once, when the file is whole and on the disk.
"""

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import stat
import sys
from pathlib import Path
from typing import Any, Final

from typed_async_client.downloads.decisions import Held
from typed_async_client.downloads.locked_file import is_at, open_file, open_locked
from typed_async_client.downloads.validators import Validator, is_strong_etag

__all__ = ["PartError", "PartFile", "target_of"]

_MOST_NOTED: Final = 64 * 1024
"""Bytes of a note that are read; one that we have written is shorter."""

_OURS: Final = (".part", ".part.json")
"""How the names of a download's own files end."""

_SEPARATORS: Final = (os.sep, os.altsep or os.sep)


class PartError(Exception):
    """The file in the place of the part isn't one that this download has written."""


def target_of(path: "str | os.PathLike[str]") -> Path:
    """Return where a download is to be stored; for a link, its target.

    Raises:
        TypeError: it isn't a path.
        ValueError: it names no file, or one that belongs to another download.
        OSError: its folder doesn't exist, or it is itself a folder.
    """
    text = os.fspath(path) if isinstance(path, str | os.PathLike) else None
    if not isinstance(text, str):
        raise TypeError(f"path must be a str or a path of text, got {path!r:.100}")
    if not Path(text).name or "\0" in text:
        raise ValueError(f"path must name a file, got {text!r:.100}")
    target = _followed(Path(text))
    if target.name.lower().endswith(_OURS):  # some file systems ignore the case
        raise ValueError(
            f"path must not end with '.part' or '.part.json', got {text!r:.100}: a download keeps the "
            "part of a file, and its note, under such names until the file is whole"
        )
    if not target.parent.is_dir():
        missing = "no such folder, which a download doesn't create"
        raise FileNotFoundError(errno.ENOENT, missing, str(target.parent))
    if target.is_dir():
        raise IsADirectoryError(errno.EISDIR, "a download needs the path of a file", text)
    if text.endswith(_SEPARATORS):
        raise ValueError(f"path must name a file, not a folder, got {text!r:.100}")
    return target


def _followed(path: Path) -> Path:
    """Return where a link leads to, which needn't exist; another path as it is."""
    if not path.is_symlink():
        return path
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, "a link that leads to itself", str(path))
    return target


class PartFile:
    """The part of a file that is on the disk, open and locked; the caller ends or closes it.

    Args:
        target: where the whole file will be.
        url: what is downloaded, without secrets, for people who read the note.
        identity: the same with its secrets; only a hash of it is stored.

    Attributes:
        held: what is on the disk; empty if another call has left a part that can't be resumed.

    Raises:
        BlockingIOError: another download has it open.
        PartError: it isn't empty, and has no note: no download has left it.
        OSError: it can't be opened.
    """

    def __init__(self, target: Path, url: str, identity: str) -> None:
        self._target = target
        self._path = target.with_name(f"{target.name}.part")
        self._note_path = target.with_name(f"{target.name}.part.json")
        self._url = url
        self._identity = hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()
        self._note: int | None = open_locked(self._note_path)
        self._file: int | None = None
        try:
            self._file = open_file(self._path)
            size = os.fstat(self._file).st_size
            self._check_origin(size)
            self.held: Held = self._read_note(size)
            os.lseek(self._file, 0, os.SEEK_END)
        except BaseException:
            self.close()
            raise

    def restart(self, validator: Validator | None, total: int | None) -> None:
        """Empty the part, and note what it will be a part of.

        Args:
            validator: what the rest can be asked for with; None for nothing.
            total: bytes of the whole file; None if unknown.
        """
        part, note = self._open_files()
        os.ftruncate(part, 0)
        os.lseek(part, 0, os.SEEK_SET)
        _copy_mode(self._target, part, and_also=stat.S_IRUSR | stat.S_IWUSR)
        self.held = Held(0, validator, total)
        noted: dict[str, Any] = {"url": self._url, "sha256_of_url": self._identity, "total": total}
        if validator is not None:
            noted[validator.kind] = validator.value
        os.ftruncate(note, 0)
        os.lseek(note, 0, os.SEEK_SET)
        _write(note, json.dumps(noted, indent=1).encode())

    def write(self, data: bytes) -> None:
        """Append to the part. What was written before an error stays.

        Raises:
            OSError: the disk is full, or fails.
        """
        part, _ = self._open_files()
        try:
            _write(part, data)
        finally:
            self.held = dataclasses.replace(self.held, size=os.lseek(part, 0, os.SEEK_CUR))

    def learn_total(self, total: int | None) -> None:
        """Take what a response says about the size of the whole file."""
        self.held = dataclasses.replace(self.held, total=total)

    def finish(self) -> None:
        """Replace the target with the part, which is whole, and keep its mode. This waits for the disk.

        Raises:
            PartError: another file is in the place of the part.
            OSError: the disk fails, or the target can't be replaced.
        """
        part, _ = self._open_files()
        if not is_at(part, self._path):
            raise PartError(
                f"{str(self._path)!r} was removed or replaced during the download: nothing was "
                "stored; download it again, and let nothing else use that file"
            )
        _copy_mode(self._target, part)
        os.fsync(part)
        self._file = None
        os.close(part)
        self._path.replace(self._target)
        self._drop_note()

    def close(self) -> None:
        """Close the files, and remove them if they hold nothing; idempotent."""
        part, self._file = self._file, None
        is_lost = part is not None and not is_at(part, self._path)
        is_empty = part is not None and os.fstat(part).st_size == 0
        if part is not None:
            os.close(part)
        if is_empty and not is_lost:
            with contextlib.suppress(OSError):
                self._path.unlink()
        if self._note is not None and (is_empty or is_lost or os.fstat(self._note).st_size == 0):
            self._drop_note()  # it mustn't describe the file of somebody else
        if self._note is not None:
            os.close(self._note)
            self._note = None

    def _drop_note(self) -> None:
        """Remove the note. Until then nobody else has the files, except on Windows."""
        note, self._note = self._note, None
        if note is not None and sys.platform == "win32":  # an open file can't be removed there
            os.close(note)
        with contextlib.suppress(OSError):  # the target is there; a note alone does no harm
            self._note_path.unlink()
        if note is not None and sys.platform != "win32":
            os.close(note)

    def _check_origin(self, size: int) -> None:
        """Refuse a file that no download has left: each one leaves a note, too."""
        _, note = self._open_files()
        if size and not os.fstat(note).st_size:
            raise PartError(
                f"{str(self._path)!r} is in the way, and isn't the part of a download: move or remove "
                "it, or choose another path"
            )

    def _open_files(self) -> tuple[int, int]:
        if self._file is None or self._note is None:
            raise ValueError("the part of a download was closed before")
        return self._file, self._note

    def _read_note(self, size: int) -> Held:
        """Return what of the part can be resumed; anybody may have changed the note."""
        _, note = self._open_files()
        try:
            noted = json.loads(os.read(note, _MOST_NOTED))
        except (ValueError, RecursionError):
            return Held()
        if not isinstance(noted, dict) or noted.get("sha256_of_url") != self._identity:
            return Held()
        validator, total = _validator_in(noted), noted.get("total")
        if type(total) is not int or total < 0:
            total = None
        if validator is None or (total is not None and size > total):
            return Held()
        return Held(size, validator, total)


def _validator_in(noted: dict[str, Any]) -> Validator | None:
    """Return the validator in a note, which is sent as a header; None without a valid one."""
    etag, date = noted.get("etag"), noted.get("last_modified")
    if isinstance(etag, str) and is_strong_etag(etag):
        return Validator("etag", etag)
    if isinstance(date, str) and date.isascii() and date.isprintable() and date.strip() == date:
        return Validator("last_modified", date) if date else None
    return None


def _copy_mode(source: Path, descriptor: int, *, and_also: int = 0) -> None:
    """Give an open file the permissions of another one, if that exists, and some more."""
    if sys.platform == "win32":  # permissions belong to the folder there
        return
    with contextlib.suppress(FileNotFoundError):
        found, own = source.stat().st_mode, os.fstat(descriptor).st_mode
        wanted = (found | and_also) & 0o777
        if wanted != own & 0o777:
            os.fchmod(descriptor, wanted)


def _write(descriptor: int, data: bytes) -> None:
    """Write all of the data; the system may take it in several pieces."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]

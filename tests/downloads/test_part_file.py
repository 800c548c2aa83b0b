"""The part of a download that is on the disk: what it belongs to, who has it, and what stays."""

import contextlib
import errno
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from typed_async_client.downloads.decisions import Held
from typed_async_client.downloads.part_file import PartError, PartFile, target_of
from typed_async_client.downloads.validators import Validator

V1 = Validator("etag", '"v1"')
URL = "https://files.test/a"


@pytest.fixture(autouse=True)
def _no_open_files() -> Iterator[None]:
    """Fail if a test leaves a file open, which would stay locked."""
    before = open_files()
    yield
    assert open_files() == before


def open_files() -> set[str]:
    """Return the descriptors of this process; empty where the system doesn't list them."""
    listed = Path("/dev/fd")
    return names(listed) if listed.exists() else set()


def opened(folder: Path, identity: str = URL) -> PartFile:
    """Open the part of a file."""
    return PartFile(folder / "a", URL, identity)


def left(folder: Path) -> None:
    """Leave four of six bytes behind, as a process that was killed would."""
    part = opened(folder)
    part.restart(V1, 6)
    part.write(b"abcd")
    part.close()


def names(folder: Path) -> set[str]:
    """Return what is in a folder."""
    return {path.name for path in folder.iterdir()}


def test_a_file_takes_its_place_at_once(tmp_path: Path) -> None:
    """Until it is whole, the one that was there stays."""
    target = tmp_path / "a"
    target.write_bytes(b"before")
    part = opened(tmp_path)
    part.restart(V1, 6)
    part.write(b"abc")
    part.write(b"def")
    assert target.read_bytes() == b"before"
    part.finish()
    assert (target.read_bytes(), names(tmp_path)) == (b"abcdef", {"a"})
    part.close()


def test_what_was_written_is_found_again(tmp_path: Path) -> None:
    """With what it is a part of; more can be written behind it."""
    left(tmp_path)
    part = opened(tmp_path)
    assert part.held == Held(4, V1, 6)
    part.write(b"ef")
    part.finish()
    assert (tmp_path / "a").read_bytes() == b"abcdef"


def test_a_date_is_found_again_as_well(tmp_path: Path) -> None:
    """A file without an entity tag has one."""
    dated = Validator("last_modified", "Mon, 01 Jan 2024 10:00:00 GMT")
    part = opened(tmp_path)
    part.restart(dated, None)
    part.write(b"ab")
    part.close()
    part = opened(tmp_path)
    assert part.held == Held(2, dated, None)
    part.close()


def test_a_part_of_another_url_is_not_used(tmp_path: Path) -> None:
    """Nor is it lost, before there is something better."""
    left(tmp_path)
    part = opened(tmp_path, "https://files.test/b")
    assert part.held == Held()
    part.close()
    part = opened(tmp_path)
    assert part.held == Held(4, V1, 6)
    part.close()


def test_starting_over_forgets_what_was_there(tmp_path: Path) -> None:
    """The new part is as long as what was written since."""
    left(tmp_path)
    part = opened(tmp_path)
    part.restart(None, None)
    part.write(b"x")
    part.finish()
    assert (tmp_path / "a").read_bytes() == b"x"


def test_the_note_of_a_part_that_starts_over_replaces_the_other(tmp_path: Path) -> None:
    """Nothing is left of a longer one."""
    left(tmp_path)
    part = opened(tmp_path)
    for validator in (Validator("etag", '"a longer one"'), Validator("etag", '""')):
        part.restart(validator, None)
        part.write(b"x")
    part.close()
    part = opened(tmp_path)
    assert part.held == Held(1, Validator("etag", '""'), None)
    part.close()


def test_a_file_is_on_the_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power failure, the target is the old file or the whole new one."""
    synced: list[tuple[int, bool]] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append((os.fstat(descriptor).st_size, (tmp_path / "a").exists()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    part = opened(tmp_path)
    part.restart(V1, 3)
    part.write(b"abc")
    part.finish()
    assert synced == [(3, False)]


def test_files_that_hold_nothing_are_removed(tmp_path: Path) -> None:
    """Nothing is left of a download whose first request failed."""
    part = opened(tmp_path)
    part.close()
    part.close()
    assert names(tmp_path) == set()
    left(tmp_path)
    part = opened(tmp_path)
    part.restart(None, None)
    part.close()
    assert names(tmp_path) == set()


@pytest.mark.parametrize("notes", [[], ["a.part.json"]])
def test_a_file_of_somebody_else_is_not_touched(tmp_path: Path, notes: list[str]) -> None:
    """A download leaves a note, and an empty one says nothing."""
    for name in notes:
        (tmp_path / name).touch()
    (tmp_path / "a.part").write_bytes(b"of a browser")
    with pytest.raises(PartError, match=r"a\.part' is in the way.*move or remove it"):
        opened(tmp_path)
    assert names(tmp_path) == {"a.part"}
    assert (tmp_path / "a.part").read_bytes() == b"of a browser"


def test_an_empty_file_in_the_place_of_the_part_is_used(tmp_path: Path) -> None:
    """There is nothing in it to lose."""
    (tmp_path / "a.part").touch()
    part = opened(tmp_path)
    part.restart(None, None)
    part.write(b"x")
    part.finish()
    assert names(tmp_path) == {"a"}


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can't be replaced")
@pytest.mark.parametrize("data", [b"", b"abcdef"])
def test_a_part_that_was_replaced_is_not_stored(tmp_path: Path, data: bytes) -> None:
    """The other file stays as it is, and no note claims it, whether or not the part is finished."""
    for ends in (PartFile.finish, PartFile.close):
        part = opened(tmp_path)
        part.restart(V1, len(data))
        part.write(data)
        (tmp_path / "other").write_bytes(b"other")
        (tmp_path / "other").replace(tmp_path / "a.part")
        with contextlib.suppress(PartError):
            ends(part)
            assert ends is PartFile.close
        part.close()
        assert names(tmp_path) == {"a.part"}
        assert (tmp_path / "a.part").read_bytes() == b"other"
        (tmp_path / "a.part").unlink()


@pytest.mark.skipif(sys.platform == "win32", reason="an open file can't be moved")
def test_a_link_to_the_part_is_not_the_part(tmp_path: Path) -> None:
    """It isn't put in the place of the target."""
    part = opened(tmp_path)
    part.restart(V1, 3)
    part.write(b"abc")
    (tmp_path / "a.part").rename(tmp_path / "moved")
    (tmp_path / "a.part").symlink_to(tmp_path / "moved")
    with pytest.raises(PartError, match="was removed or replaced"):
        part.finish()
    part.close()
    assert not (tmp_path / "a").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there are no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o444, 0o755])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path, mode: int) -> None:
    """A private one stays private, as does its part, which another call can write to."""
    (tmp_path / "a").write_bytes(b"before")
    (tmp_path / "a").chmod(mode)
    part = opened(tmp_path)
    part.restart(None, None)
    part.write(b"x")
    assert (tmp_path / "a.part").stat().st_mode & 0o777 == mode | 0o600
    part.finish()
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode
    assert (tmp_path / "a").read_bytes() == b"x"


def test_only_one_has_the_part(tmp_path: Path) -> None:
    """By whichever path it comes; then the next one may."""
    part = opened(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (tmp_path, tmp_path / "link"):
        with pytest.raises(BlockingIOError):
            opened(folder)
    part.close()
    opened(tmp_path).close()


@pytest.mark.skipif(sys.platform == "win32", reason="another kind of lock")
def test_a_lock_on_a_file_that_was_removed_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The download that had it ended between the opening and the locking."""
    import fcntl  # noqa: PLC0415 - Windows has none

    lock, removed = fcntl.flock, list[int]()

    def remove_first(descriptor: int, operation: int) -> None:
        if not removed:
            removed.append(descriptor)
            (tmp_path / "a.part.json").unlink()
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    part = opened(tmp_path)
    with pytest.raises(BlockingIOError):
        opened(tmp_path)
    part.close()
    assert len(removed) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="another kind of lock")
def test_a_file_system_without_locks_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems have none."""

    def refuse(descriptor: int, operation: int) -> None:
        raise OSError("no locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    left(tmp_path)
    part = opened(tmp_path)
    assert part.held.size == 4
    part.close()


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are followed")
@pytest.mark.parametrize("name", ["a.part", "a.part.json"])
def test_a_link_in_the_place_of_the_part_is_not_followed(tmp_path: Path, name: str) -> None:
    """Somebody else may have put it there, to have another file overwritten."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"mine")
    (tmp_path / name).symlink_to(precious)
    with pytest.raises(OSError, match=name):
        opened(tmp_path)
    assert precious.read_bytes() == b"mine"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
def test_a_pipe_in_the_place_of_the_part_is_refused(tmp_path: Path) -> None:
    """It would take the bytes for somebody else."""
    os.mkfifo(tmp_path / "a.part")
    with pytest.raises(FileExistsError, match="isn't a regular file"):
        opened(tmp_path)


def test_the_note_holds_no_secret(tmp_path: Path) -> None:
    """Not even where it must be told apart from another."""
    part = PartFile(tmp_path / "a", URL, f"{URL}?sig=canary")
    part.restart(V1, 6)
    part.write(b"a")
    part.close()
    assert "canary" not in (tmp_path / "a.part.json").read_text()


NOTES = [
    b"{",
    b"[]",
    b"null",
    b"\xff\xfe",
    b"[" * 60_000,
    b'{"sha256_of_url": 1}',
]


@pytest.mark.parametrize("note", NOTES)
def test_a_note_that_cannot_be_read_is_none(tmp_path: Path, note: bytes) -> None:
    """The download starts over."""
    left(tmp_path)
    (tmp_path / "a.part.json").write_bytes(note)
    part = opened(tmp_path)
    assert part.held == Held()
    part.close()
    assert (tmp_path / "a.part").read_bytes() == b"abcd"


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({"total": 4}, Held(4, V1, 4)),
        ({"total": 3}, Held()),
        ({"total": 0}, Held()),
        ({"total": -1}, Held(4, V1, None)),
        ({"total": "6"}, Held(4, V1, None)),
        ({"total": True}, Held(4, V1, None)),
        ({"etag": 'W/"v1"'}, Held()),
        ({"etag": '"v1"\r\nX: y'}, Held()),
        ({"etag": 5}, Held()),
        ({"etag": None}, Held()),
        ({"etag": None, "last_modified": "a\r\nX: y"}, Held()),
        ({"etag": None, "last_modified": "é"}, Held()),
        ({"etag": None, "last_modified": " Mon"}, Held()),
        ({"etag": None, "last_modified": ""}, Held()),
    ],
)
def test_a_note_that_somebody_has_changed_does_no_harm(
    tmp_path: Path, changes: dict[str, object], held: Held
) -> None:
    """Its values become headers, so they are checked."""
    left(tmp_path)
    note = tmp_path / "a.part.json"
    note.write_text(json.dumps(json.loads(note.read_text()) | changes))
    part = opened(tmp_path)
    assert part.held == held
    part.close()


@given(note=st.binary(min_size=1, max_size=200))
def test_no_note_raises(tmp_path_factory: pytest.TempPathFactory, note: bytes) -> None:
    """Whatever its bytes are."""
    folder = tmp_path_factory.mktemp("notes")
    (folder / "a.part").write_bytes(b"abcd")
    (folder / "a.part.json").write_bytes(note)
    part = opened(folder)
    assert part.held == Held()
    part.close()


def test_a_part_that_was_closed_takes_nothing(tmp_path: Path) -> None:
    """Its files may have been given to another download."""
    part = opened(tmp_path)
    part.close()
    with pytest.raises(ValueError, match="was closed before"):
        part.write(b"x")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device")
def test_a_full_disk_is_reported_as_it_is(tmp_path: Path) -> None:
    """What was written before stays."""
    part = opened(tmp_path)
    part.restart(V1, 6)
    part.write(b"abcd")
    descriptor = os.open("/dev/full", os.O_WRONLY)
    assert part._file is not None
    kept = os.dup(part._file)
    os.dup2(descriptor, part._file)
    with pytest.raises(OSError, match="No space left"):
        part.write(b"ef")
    os.dup2(kept, part._file)
    os.close(kept)
    os.close(descriptor)
    part.close()
    part = opened(tmp_path)
    assert part.held == Held(4, V1, 6)
    part.close()


def test_what_is_written_piece_by_piece_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The system may take less than it is given, and fail then."""
    part = opened(tmp_path)
    part.restart(V1, 9)
    pieces, write = [2, 3, 1], os.write

    def write_some(descriptor: int, data: memoryview) -> int:
        if not pieces:
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data[: pieces.pop(0)])

    monkeypatch.setattr(os, "write", write_some)
    part.write(b"abcde")
    assert part.held.size == 5
    with pytest.raises(OSError, match="full"):
        part.write(b"fghi")
    assert part.held.size == 6
    part.close()
    assert (tmp_path / "a.part").read_bytes() == b"abcdef"


def test_where_a_download_is_stored_is_checked(tmp_path: Path) -> None:
    """Before anything is sent."""
    assert target_of(tmp_path / "a") == tmp_path / "a"
    assert target_of(str(tmp_path / "a")) == tmp_path / "a"
    with pytest.raises(FileNotFoundError, match=r"no such folder.*missing"):
        target_of(tmp_path / "missing" / "a")
    with pytest.raises(IsADirectoryError, match="path of a file"):
        target_of(tmp_path)
    for path in ("", "/", "a\0b", f"{tmp_path}{os.sep}new{os.sep}"):
        with pytest.raises(ValueError, match="must name a file"):
            target_of(path)
    for name in ("a.part", "a.part.json", ".part", "a.PART"):
        with pytest.raises(ValueError, match=r"must not end with '\.part' or '\.part\.json', got"):
            target_of(tmp_path / name)
    for wrong in (b"a", 5, None):
        with pytest.raises(TypeError, match="path must be a str or a path of text, got"):
            target_of(wrong)  # type: ignore[arg-type]  # what the test is about


def test_a_link_leads_to_where_a_download_is_stored(tmp_path: Path) -> None:
    """It stays, and where it leads to is checked as any other path."""
    links = {"a": "real", "b": "a", "c": "new", "d": "x.part", "e": "e", "f": "missing/x"}
    for name, to in links.items():
        (tmp_path / name).symlink_to(tmp_path / to)
    assert {target_of(tmp_path / name).name for name in "ab"} == {"real"}
    assert target_of(tmp_path / "c") == (tmp_path / "new").resolve()
    with pytest.raises(ValueError, match=r"must not end with '\.part'"):
        target_of(tmp_path / "d")
    with pytest.raises(OSError, match="a link that leads to itself"):
        target_of(tmp_path / "e")
    with pytest.raises(FileNotFoundError, match="no such folder"):
        target_of(tmp_path / "f")

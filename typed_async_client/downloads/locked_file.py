"""Opens a file that only one download at a time may have, in whichever process.

The kernel forgets the lock when the process ends, however it ends.
"""

import contextlib
import os
import stat
import sys
from pathlib import Path
from typing import Final

__all__ = ["is_at", "open_file", "open_locked"]

_FLAGS: Final = (
    os.O_RDWR
    | os.O_CREAT
    | getattr(os, "O_BINARY", 0)  # of Windows
    | getattr(os, "O_NOFOLLOW", 0)  # a link that somebody has put there may lead anywhere
)


def open_file(path: Path) -> int:
    """Open a regular file for reading and writing, create it if it doesn't exist.

    Raises:
        OSError: it can't be opened, or isn't a regular file.
    """
    descriptor = os.open(path, _FLAGS, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileExistsError(f"{path} isn't a regular file: remove it, or choose another path")
    return descriptor


def open_locked(path: Path) -> int:
    """Open a file like ``open_file()``, and lock it until it is closed.

    Raises:
        BlockingIOError: it is locked already.
        OSError: it can't be opened, or isn't a regular file.
    """
    while True:
        descriptor = open_file(path)
        try:
            _lock(descriptor)
            is_current = is_at(descriptor, path)
        except BaseException:
            os.close(descriptor)
            raise
        if is_current:
            return descriptor
        os.close(descriptor)  # the download that had locked it has removed it meanwhile


def is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is still the one at a path."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(descriptor), path.stat(follow_symlinks=False))
    return False


if sys.platform == "win32":  # pragma: no cover - the tests don't run on Windows
    import msvcrt

    def _lock(descriptor: int) -> None:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            raise BlockingIOError(*error.args) from error

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise
        except OSError:  # this file system has no locks
            return

"""Lease: a device is one process's at a time, as far as processes of this machine can tell."""

from __future__ import annotations

import contextlib
import fcntl
import getpass
import hashlib
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from pareto_profiler.errors import TargetError
from pareto_profiler.shells.base import printable

# The same for all users, whatever they call their folder for temporary files.
_FOLDER: Final = "/tmp"  # noqa: S108 - names are no secret, links are not followed
_LONGEST: Final = 200
_MODE: Final = 0o666
_taking: Final = threading.Lock()
_held: Final[dict[str, tuple[int, int]]] = {}


class Lease:
    """A device that no other process of this machine uses until :meth:`release`.

    This process may have it several times. A lock of the kernel is what counts: it ends with the
    process, however that ends.

    Args:
        place: Where the device is: what is the same for all who reach it from here.
        name: What it is called, for messages.

    Raises:
        TargetError: Another process has it: which, as far as it says.

    Examples:
        >>> lease = Lease("ssh 192.0.2.7 22", "odroid")
        >>> lease.release()
    """

    def __init__(self, place: str, name: str) -> None:
        digest = hashlib.sha256(place.encode()).hexdigest()[:16]
        self._path: str | None = f"{_FOLDER}/pareto-profiler-lease-{digest}"
        with _taking:
            descriptor, times = _held.get(self._path, (-1, 0))
            if not times:
                descriptor = _locked(self._path, name)
            _held[self._path] = descriptor, times + 1

    def release(self) -> None:
        """Let others have it; a second call does nothing."""
        path, self._path = self._path, None
        if path is None:
            return
        with _taking:
            descriptor, times = _held.pop(path)
            if times > 1:
                _held[path] = descriptor, times - 1
            else:
                os.close(descriptor)


def _locked(path: str, name: str) -> int:
    while True:
        try:
            descriptor = _opened(path)
        except OSError as error:
            raise TargetError(
                f"{name}: {path}, which keeps it from being used twice: {error.strerror}"
            ) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_there = os.fstat(descriptor).st_ino == Path(path).lstat().st_ino
        except BlockingIOError as error:
            who = ""
            with contextlib.suppress(OSError):
                who = " ".join(printable(os.pread(descriptor, _LONGEST, 0)).split())
            os.close(descriptor)
            raise TargetError(
                f"{name}: {who or 'another process'} uses it: wait for that, or take another"
            ) from error
        except OSError:
            is_there = False
        if is_there:
            break
        os.close(descriptor)  # somebody cleaned up meanwhile
    with contextlib.suppress(OSError):  # another user's file is locked, but not written
        since = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} of {_user()}, since {since},".encode(), 0)
    return descriptor


def _opened(path: str) -> int:
    """The file, for writing where that is allowed; made where it is not there."""
    for flags in (os.O_RDWR, os.O_RDWR | os.O_CREAT | os.O_EXCL, os.O_RDONLY):
        try:
            descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, _MODE)
        except (FileNotFoundError, FileExistsError, PermissionError):
            continue
        if flags & os.O_CREAT:
            os.fchmod(descriptor, _MODE)  # whatever the umask: others lock it after us
        return descriptor
    return os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"user {os.getuid()}"

"""Files that somebody named: a regular one of a sensible size, written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from pareto_profiler.errors import InputError, ParetoProfilerError, StoreWriteError

LARGEST_MODEL_BYTES: Final = 8 << 30
LARGEST_TEXT_BYTES: Final = 1 << 30
_FULL: Final = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EFBIG}


def is_folder(path: Path) -> bool:
    """Whether a folder is there and can be seen."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def first_bytes(path: Path, count: int) -> bytes:
    """The beginning of a regular file; empty where there is none that can be read."""
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as file:
            return file.read(count)
    except (OSError, ValueError):
        return b""


def read_regular(path: Path, error: type[ParetoProfilerError], *, limit_bytes: int) -> bytes:
    """The bytes of a regular file.

    A pipe, a device or a file beyond the limit is refused without being read: none of them ends.

    Args:
        path: What the user named.
        error: What to raise.
        limit_bytes: The largest size that makes sense.

    Raises:
        ParetoProfilerError: Of the given kind, with the path and the reason.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as cause:
        reason = cause.strerror if isinstance(cause, OSError) else cause
        raise error(f"{path}: cannot be read: {reason}") from cause
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > limit_bytes:
        os.close(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise error(f"{path}: cannot be read: not a regular file")
        raise error(f"{path}: {status.st_size:,} bytes, at most {limit_bytes:,} are read")
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
        try:
            return file.read()
        except OSError as cause:
            raise error(f"{path}: cannot be read: {cause.strerror}") from cause
        except MemoryError as cause:
            raise error(f"{path}: {status.st_size:,} bytes do not fit into memory") from cause


def write_whole(path: Path, data: str | bytes) -> None:
    """Write a result.

    Raises:
        InputError: It cannot be written there.
        StoreWriteError: The disk is full; what was there before is intact.
    """
    # A file name need not be text: what stands for its bytes cannot be encoded.
    content = data.encode("utf-8", "backslashreplace") if isinstance(data, str) else data
    # Beside the target first, so that a full disk does not cost what was there before; a device
    # such as /dev/stdout cannot be replaced.
    is_device = path.exists() and not path.is_file()
    draft = path if is_device else path.resolve().with_name(f".pareto-profiler-{os.getpid()}.draft")
    try:
        draft.write_bytes(content)
        if not is_device:
            draft.replace(path.resolve())
    except OSError as error:
        if not is_device:
            draft.unlink(missing_ok=True)
        kind = StoreWriteError if error.errno in _FULL else InputError
        raise kind(f"{path}: cannot be written: {error.strerror}") from error

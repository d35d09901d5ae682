"""LocalShell: this machine."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Final

from pareto_profiler.errors import TargetError
from pareto_profiler.shells.base import PASSED_ON, Completed

_MAX_BYTES: Final = 64 << 20


class LocalShell:
    """Runs commands here, each in a session of its own, so that its children end with it."""

    def run(
        self, command: Sequence[str], *, environment: Mapping[str, str], time_limit_s: float
    ) -> Completed:
        own = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        # To files: a child that keeps a pipe open could not be waited for.
        with tempfile.TemporaryFile() as stdout, tempfile.TemporaryFile() as stderr:
            try:
                process = subprocess.Popen(
                    list(command),
                    stdin=subprocess.DEVNULL,
                    stdout=stdout,
                    stderr=stderr,
                    env=own | dict(environment),
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                raise TargetError(f"{command[0]}: cannot be started: {error}") from error
            try:
                timed_out = not _has_ended(process, time_limit_s)
            finally:
                _end(process)
                process.wait()
            return Completed(process.returncode, _content(stdout), _content(stderr), timed_out)

    def push(self, local: Path, remote: PurePosixPath) -> None:
        _copy(local, Path(remote))

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        _copy(Path(remote), local)

    def remove(self, folder: PurePosixPath) -> None:
        shutil.rmtree(Path(folder), ignore_errors=True)

    def close(self) -> None:
        """Nothing was opened."""


def _has_ended(process: subprocess.Popen[bytes], limit_s: float) -> bool:
    """Whether a process ends within a limit; nothing of this one runs meanwhile."""
    descriptor = os.pidfd_open(process.pid)
    try:
        return bool(select.select([descriptor], [], [], limit_s)[0])
    finally:
        os.close(descriptor)


def _content(file: IO[bytes]) -> bytes:
    """What was written; of endless output the beginning and the end."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size <= _MAX_BYTES:
        return file.read()
    beginning = file.read(_MAX_BYTES // 2)
    file.seek(-_MAX_BYTES // 2, os.SEEK_END)
    return beginning + file.read()


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole session; its id stays reserved until the process is waited for."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _copy(source: Path, target: Path) -> None:
    if target.is_dir():
        raise TargetError(f"{source} cannot be copied to {target}: there is a folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    except OSError as error:
        raise TargetError(f"{source} cannot be copied to {target}: {error.strerror}") from error

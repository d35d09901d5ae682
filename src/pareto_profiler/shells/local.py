"""LocalShell: this machine."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from pareto_profiler.errors import TargetError
from pareto_profiler.shells.base import PASSED_ON, Completed


class LocalShell:
    """Runs commands here, each in a session of its own, so that its children end with it."""

    def run(
        self, command: Sequence[str], *, environment: Mapping[str, str], time_limit_s: float
    ) -> Completed:
        own = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=own | dict(environment),
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            raise TargetError(f"{command[0]}: cannot be started: {error}") from error
        timed_out = False
        with process:
            try:
                stdout, stderr = process.communicate(timeout=time_limit_s)
            except subprocess.TimeoutExpired:
                timed_out = True
                _end(process)
                stdout, stderr = process.communicate()
            except BaseException:
                _end(process)
                process.wait()
                raise
        return Completed(process.returncode, stdout, stderr, timed_out)

    def push(self, local: Path, remote: PurePosixPath) -> None:
        _copy(local, Path(remote))

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        _copy(Path(remote), local)

    def remove(self, folder: PurePosixPath) -> None:
        shutil.rmtree(Path(folder), ignore_errors=True)

    def close(self) -> None:
        """Nothing was opened."""


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the whole session; its id stays reserved until the process is waited for."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _copy(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)
    except OSError as error:
        raise TargetError(f"{source} cannot be copied to {target}: {error.strerror}") from error

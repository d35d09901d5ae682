"""Workspace: files on a target, put back when the target lost them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from pareto_profiler.errors import ConnectionLostError, FailureKind, RunError, TargetError
from pareto_profiler.shells.base import Shell

_R = TypeVar("_R")

_ANSWER_LIMIT_S: Final = 30.0
_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_MAX_RESTARTS: Final = 2
_MAX_LOSSES: Final = 5


class Workspace:
    """A folder on a target with what a measurement needs.

    Args:
        shell: How the target is reached.
        folder: The folder; it is made, and removed by :meth:`close`.
        files: What has to lie there: its name there → a file here, or bytes.
        needs: What else has to be there, such as a driver.
        restore: Puts that back.

    Raises:
        TargetError: The target cannot take the files.
    """

    def __init__(
        self,
        shell: Shell,
        folder: PurePosixPath,
        files: Mapping[PurePosixPath, Path | bytes],
        *,
        needs: Sequence[PurePosixPath] = (),
        restore: Callable[[], None] = lambda: None,
    ) -> None:
        self.shell = shell
        self.folder = folder
        self.pushed = 0
        """How often the files were put there; what was written beside them before is gone."""
        self._files = dict(files)
        self._needs = list(needs)
        self._restore_rest = restore
        self._boot_id = ""
        try:
            self.recovering(self._push_files)
        except BaseException:
            self.close()
            raise

    def recovering(self, step: Callable[[], _R]) -> _R:
        """Take a step; when the connection or files are lost meanwhile, restore and take it again.

        Raises:
            RunError: The step failed with all files there; or the target restarts whenever it is
                taken.
            TargetError: The target is unusable, or the connection is lost time and again.
        """
        restarts = losses = 0
        while True:
            try:
                if losses and self._restore():
                    restarts += 1
                    if restarts >= _MAX_RESTARTS:
                        raise RunError(
                            FailureKind.CRASHED, f"the device restarted meanwhile, {restarts} times"
                        )
                return step()
            except ConnectionLostError as error:
                losses += 1
                if losses >= _MAX_LOSSES:
                    raise TargetError(f"{error}, {losses} times in a row") from error
            except (RunError, TargetError) as error:
                # Something that cleans up, or a restart nobody was connected to see: such a
                # failure says nothing about the assignment. Wrong outputs needed all files.
                is_wrong = isinstance(error, RunError) and error.kind is FailureKind.WRONG_OUTPUT
                if is_wrong or losses or not self.pushed or not self._has_lost_files():
                    raise
                losses += 1

    def keep(self, content: bytes, remote: PurePosixPath) -> None:
        """Put bytes into a file that is put back when it is lost; nothing where they are there."""
        if self._files.get(remote) != content:
            self.write(content, remote)
            self._files[remote] = content

    def write(self, content: bytes, remote: PurePosixPath) -> None:
        """Put bytes into a file on the target."""
        try:
            with tempfile.NamedTemporaryFile(prefix="pareto-profiler-") as local:
                local.write(content)
                local.flush()
                self.shell.push(Path(local.name), remote)
        except OSError as error:
            raise TargetError(f"{remote.name} cannot be written: {error.strerror}") from error

    def read(self, remote: PurePosixPath) -> bytes | None:
        """The content of a file on the target; None where there is none."""
        if self.shell.run(
            ["test", "-f", str(remote)], environment={}, time_limit_s=_ANSWER_LIMIT_S
        ).status:
            return None
        with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as here:
            local = Path(here) / "file"
            self.shell.pull(remote, local)
            return local.read_bytes()

    def close(self) -> None:
        """Remove the folder; of a target that is gone, the next search or ``clean`` does."""
        with contextlib.suppress(TargetError):
            self.shell.remove(self.folder)

    def _has_lost_files(self) -> bool:
        try:
            return not self._is_whole()
        except TargetError:  # nothing can be known of it: what was wrong before counts
            return False

    def _is_whole(self) -> bool:
        needed = [self.folder / "complete", *self._files, *self._needs]
        script = 'for f; do [ -e "$f" ] || exit 1; done'
        command = ["sh", "-c", script, "sh", *map(str, needed)]
        done = self.shell.run(command, environment={}, time_limit_s=_ANSWER_LIMIT_S)
        return done.status == 0

    def _restore(self) -> bool:
        """Put back what the target lost; whether it was restarted."""
        before = self._boot_id
        if self._is_whole():
            self._boot_id = self._ask_boot_id()
        else:
            self._restore_rest()
            self._push_files()
        return self._boot_id != before

    def _ask_boot_id(self) -> str:
        done = self.shell.run(["cat", _BOOT_ID], environment={}, time_limit_s=_ANSWER_LIMIT_S)
        return done.stdout.decode("ascii", "replace").strip()

    def _push_files(self) -> None:
        self.pushed += 1
        for remote, content in self._files.items():
            if isinstance(content, bytes):
                self.write(content, remote)
            else:
                self.shell.push(content, remote)
        self._boot_id = self._ask_boot_id()
        self.write(b"", self.folder / "complete")

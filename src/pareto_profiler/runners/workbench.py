"""Workbench: one model's files on a target, put back when the target lost them."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

import numpy as np

from pareto_profiler.core.graph import Graph
from pareto_profiler.errors import ConnectionLostError, FailureKind, RunError, TargetError
from pareto_profiler.runners.inputs import Array
from pareto_profiler.shells.base import Shell

_R = TypeVar("_R")

_CFG: Final = "pareto_profiler.cfg"
_ANSWER_LIMIT_S: Final = 30.0
_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_MOST_RESTARTS: Final = 2
_MOST_LOSSES: Final = 5


class Workbench:
    """A folder on a target with a model, as an nnpackage since every onert loads that, and inputs.

    Args:
        shell: How the target is reached.
        folder: The folder; it is made, and removed by :meth:`close`.
        graph: The model.
        model_file: Its file on this machine.
        inputs: Input tensors, written as their bare bytes.
        needs: What else has to be there, such as the probe.
        restore: Puts that back.

    Raises:
        TargetError: The target cannot take the files.
    """

    def __init__(
        self,
        shell: Shell,
        folder: PurePosixPath,
        *,
        graph: Graph,
        model_file: Path,
        inputs: Sequence[Array],
        needs: Sequence[PurePosixPath] = (),
        restore: Callable[[], None] = lambda: None,
    ) -> None:
        self.shell = shell
        self.folder = folder
        self.package = folder / "package"
        self.input_files = [folder / f"input.{i}" for i in range(len(inputs))]
        self.pushed = 0
        """How often the files were put there; what was written beside them before is gone."""
        # onert goes by the suffix, whatever the file was called.
        self._model = f"model.{graph.format}"
        self._model_type = graph.format
        self._model_file = model_file
        self._inputs = list(inputs)
        self._restore_rest = restore
        manifest = self.package / "metadata" / "MANIFEST"
        self._needed = [
            *(folder / "complete", self.package / self._model, manifest),
            *(*self.input_files, *needs),
        ]
        self._has_cfg = False
        self._cfg_there = ""
        self._boot_id = ""
        try:
            self.until_reached(self._push_files)
        except BaseException:
            self.close()
            raise

    def until_reached(self, step: Callable[[], _R]) -> _R:
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
                    if restarts >= _MOST_RESTARTS:
                        raise RunError(
                            FailureKind.CRASHED, f"the device restarted meanwhile, {restarts} times"
                        )
                return step()
            except ConnectionLostError as error:
                losses += 1
                if losses >= _MOST_LOSSES:
                    raise TargetError(f"{error}, {losses} times in a row") from error
            except (RunError, TargetError) as error:
                # Something that cleans up, or a restart nobody was connected to see: such a
                # failure says nothing about the assignment. Wrong outputs needed all files.
                is_wrong = isinstance(error, RunError) and error.kind is FailureKind.WRONG_OUTPUT
                if is_wrong or losses or not self.pushed or not self._has_lost_files():
                    raise
                losses += 1

    def tell(self, settings: dict[str, str]) -> None:
        """Write the package's configuration file, for builds that read no variables."""
        text = "".join(f"{key}={value}\n" for key, value in settings.items())
        if not self._has_cfg:
            self._has_cfg = True
            self._push_manifest()
        if text != self._cfg_there:
            self.write(text.encode(), self.package / "metadata" / _CFG)
            self._cfg_there = text

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
        script = 'for f; do [ -e "$f" ] || exit 1; done'
        command = ["sh", "-c", script, "sh", *map(str, self._needed)]
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
        self._cfg_there = ""
        self.shell.push(self._model_file, self.package / self._model)
        self._push_manifest()
        for array, remote in zip(self._inputs, self.input_files, strict=True):
            self.write(np.ascontiguousarray(array).tobytes(), remote)
        self._boot_id = self._ask_boot_id()
        self.write(b"", self.folder / "complete")

    def _push_manifest(self) -> None:
        manifest = {
            "major-version": "1",
            "minor-version": "2",
            "patch-version": "0",
            "configs": [_CFG] if self._has_cfg else [],
            "models": [self._model],
            "model-types": [self._model_type],
        }
        if self._has_cfg:
            self.write(b"", self.package / "metadata" / _CFG)
        self.write(json.dumps(manifest).encode(), self.package / "metadata" / "MANIFEST")

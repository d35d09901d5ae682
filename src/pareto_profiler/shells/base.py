"""Shell: the port through which everything on a target is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final, Protocol

from pareto_profiler.errors import tame

PASSED_ON: Final = (
    *("PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR"),
    *("VK_DRIVER_FILES", "VK_ICD_FILENAMES", "CUDA_VISIBLE_DEVICES"),
)
"""Variables of the target's own that a command gets: the last ones choose a GPU."""


@dataclass(frozen=True, slots=True)
class Completed:
    """How a command ended.

    Attributes:
        status: Exit status; -N when signal N ended it.
        stdout: What it wrote there.
        stderr: What it wrote there.
        timed_out: Whether it was ended because its time limit passed.
    """

    status: int
    stdout: bytes
    stderr: bytes
    timed_out: bool = False


def printable(output: bytes) -> str:
    r"""Output as text that does nothing to a terminal: line ends are kept, other controls are not.

    Examples:
        >>> printable(b"a\x1b[1m\nb\x00")
        'a?[1m\nb?'
    """
    return tame(output.decode("utf-8", "replace").replace("\r\n", "\n"))


class Shell(Protocol):
    """Reaches a target."""

    def run(
        self, command: Sequence[str], *, environment: Mapping[str, str], time_limit_s: float
    ) -> Completed:
        """Run a command to its end or to the time limit, after which nothing of it is left.

        (After an end of its own, children that left its session may go on.)

        Args:
            command: The program and its arguments; none of them is ever parsed by a shell.
            environment: Variables to set; of the caller's own only those a program needs to
                start are passed on, so that a stray setting cannot change a measurement.
            time_limit_s: Seconds.

        Raises:
            ConnectionLostError: The connection broke while the command ran; it is made again and
                nothing of the command is left, but how far it came is unknown.
            TargetError: The target cannot be reached, or the program is not there.
        """
        ...

    def push(self, local: Path, remote: PurePosixPath) -> None:
        """Copy a file to the target, with its mode; missing folders are made.

        Raises:
            TargetError: It cannot be copied.
        """
        ...

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        """Copy a file from the target.

        Raises:
            TargetError: It cannot be copied.
        """
        ...

    def remove(self, folder: PurePosixPath) -> None:
        """Remove a folder and all in it; nothing happens where there is none."""
        ...

    def close(self) -> None:
        """End the connection, if there is one; the next call makes a new one."""
        ...

"""RemoteShell: what all shells on another machine have in common.

What reaches the device is POSIX ``sh``, quoted here and nowhere else. A command's processes are
marked with a token in their environment, so that what a lost connection left running can be found
and ended.
"""

from __future__ import annotations

import logging
import shlex
import subprocess
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import IO, Final

from pareto_profiler.errors import ConnectionLostError, TargetError
from pareto_profiler.shells.base import PASSED_ON, Completed, printable
from pareto_profiler.shells.lease import Lease

LOG: Final = logging.getLogger(__name__)

ABSENT: Final = 1000
"""In place of an exit status: there is no such program."""
TRANSFER_LIMIT_S: Final = 600.0
MAX_TRIES: Final = 5

_TOKEN_VARIABLE: Final = "PARETO_PROFILER_RUN"  # noqa: S105 - no secret: it marks our processes
_LINES_LIMIT_S: Final = 60.0
_RETRY_S: Final = 0.5
_LAST_SIGNAL: Final = 64


class RemoteShell(ABC):
    """A shell on a device that can go away and come back; from the first use on it is ours alone.

    Args:
        name: The target's name, for messages.
        patience_s: Seconds to wait for a device that was reached before and is gone.
    """

    def __init__(self, name: str, patience_s: float = 120.0) -> None:
        self.name = name
        self._patience_s = patience_s
        self._was_reached = False
        self._last_words = ""
        self._lease: Lease | None = None

    @abstractmethod
    def _place(self) -> str:
        """Where the device is: what is the same for all who reach it from here."""

    @abstractmethod
    def _connect(self) -> None:
        """Make the connection, whatever is left of an earlier one.

        Raises:
            TargetError: It cannot be made.
        """

    @abstractmethod
    def _attempt(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        token: str,
        time_limit_s: float,
    ) -> tuple[Completed | None, bool]:
        """Run a command once: how it ended, None where that was lost; and whether it began."""

    def _is_connected(self) -> bool:
        """Whether the connection seems to be there still, as far as can be told at no cost."""
        return True

    def run(
        self, command: Sequence[str], *, environment: Mapping[str, str], time_limit_s: float
    ) -> Completed:
        if any("\0" in word for word in (*command, *environment, *environment.values())):
            raise TargetError(f"{command[0]}: an argument holds a NUL character")
        for _ in range(MAX_TRIES):
            token = new_token()
            self._reach()
            answer, began = self._attempt(command, environment, token, time_limit_s)
            if answer is not None:
                if answer.status == ABSENT:
                    raise TargetError(f"{command[0]}: no such program on {self.name}")
                if answer.timed_out:
                    self._lines(_sweeping(token))  # children that left the command's session
                return answer
            self._wait_for_return()
            if began:
                self._lines(_sweeping(token))
                raise ConnectionLostError(
                    f"{self.name}: the connection was lost while {command[0]} ran"
                )
        raise self._always_lost()

    def remove(self, folder: PurePosixPath) -> None:
        done = self._lines(f"rm -rf {shlex.quote(str(folder))}")
        if done.status:
            raise TargetError(f"{folder} cannot be removed from {self.name}: {words_of(done)}")

    def close(self) -> None:
        """End the connection and let others have the device; the next call makes a new one."""
        self._was_reached = False
        if self._lease is not None:
            self._lease.release()
            self._lease = None

    def _lines(self, lines: str) -> Completed:
        """Run lines that do no harm when they are run twice; cut off, they are run again."""
        for _ in range(MAX_TRIES):
            self._reach()
            answer, _began = self._attempt(["sh", "-c", lines], {}, new_token(), _LINES_LIMIT_S)
            if answer is not None:
                return answer
            self._wait_for_return()
        raise self._always_lost()

    def _reach(self) -> None:
        if not self._was_reached:
            self._lease = self._lease or Lease(self._place(), self.name)
            self._connect()
            self._was_reached = True
        elif not self._is_connected():
            self._wait_for_return()

    def _wait_for_return(self) -> None:
        """Connect again, for as long as patience lasts.

        Raises:
            TargetError: The device did not come back.
        """
        LOG.warning("%s: connection lost, waiting up to %.0f s", self.name, self._patience_s)
        until = time.monotonic() + self._patience_s
        while True:
            try:
                self._connect()
            except TargetError as error:
                if time.monotonic() >= until:
                    self._was_reached = False  # once is enough: the next call does not wait
                    raise TargetError(f"{error} (waited {self._patience_s:.0f} s)") from error
                time.sleep(_RETRY_S)
            else:
                LOG.warning("%s: connected again", self.name)
                return

    def _always_lost(self) -> TargetError:
        words = f": {self._last_words}" if self._last_words else ""
        return TargetError(
            f"{self.name}: the connection was lost {MAX_TRIES} times in a row{words}"
        )


def new_token() -> str:
    """A word that no output holds by chance."""
    return f"pareto-profiler-{uuid.uuid4().hex}"


def started(command: Sequence[str], environment: Mapping[str, str], token: str) -> str:
    """The words for ``sh`` that start a program with few variables beside those given."""
    passed = " ".join(f'${{{name}+"{name}=${name}"}}' for name in PASSED_ON)
    given = [f"{_TOKEN_VARIABLE}={token}", *(f"{n}={v}" for n, v in environment.items())]
    if "=" in command[0]:  # env would take it for a variable
        command = ["sh", "-c", 'exec "$0" "$@"', *command]
    return f"env -i {passed} {shlex.join([*given, *command])}"


def call_client(
    command: Sequence[str],
    limit_s: float,
    *,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.PIPE,
    stderr: IO[bytes] | int = subprocess.PIPE,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[bytes]:
    """Run a client program here; whatever happens, it does not outlive the call.

    Raises:
        TimeoutExpired: The limit passed.
    """
    with subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        env=environment,
        # Ctrl-C in a terminal is for this process, which then ends the client itself.
        start_new_session=True,
    ) as client:
        try:
            out, err = client.communicate(timeout=limit_s)
        finally:
            client.kill()
            client.wait()  # after Ctrl-C the context manager does not
    return subprocess.CompletedProcess(command, client.returncode, out or b"", err or b"")


def signal_or_status(status: int) -> int:
    """A shell's ``$?`` as :class:`Completed` has it: 128 + N stands for signal N.

    Examples:
        >>> signal_or_status(139), signal_or_status(255), signal_or_status(1)
        (-11, 255, 1)
    """
    return 128 - status if 128 < status <= 128 + _LAST_SIGNAL else status


def has_size(quoted_path: str, size: int) -> str:
    """The words for ``sh`` that check a file's size, and say so where it is another."""
    return (
        f"{{ [ $(wc -c <{quoted_path}) -eq {size} ] || "
        f"{{ echo 'cut short, or no room' >&2; false; }}; }}"
    )


def no_folder(quoted_path: str) -> str:
    """The words for ``sh`` that check that a file's place is not a folder's."""
    return f"{{ [ ! -d {quoted_path} ] || {{ echo 'there is a folder' >&2; false; }}; }}"


def words_of(done: Completed) -> str:
    """What was said last, on one line."""
    return " ".join(printable(done.stderr).split())[-500:] or f"exit status {done.status}"


def _sweeping(token: str) -> str:
    """The lines that end what a lost connection may have left running."""
    return (
        "for e in /proc/[0-9]*/environ; do "
        f"if grep -q {_TOKEN_VARIABLE}={token} $e 2>/dev/null; then "
        "p=${e%/environ}; kill -9 ${p#/proc/} 2>/dev/null; fi; done; true"
    )

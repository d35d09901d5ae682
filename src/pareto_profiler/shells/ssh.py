"""SshShell: a device over the system's OpenSSH, on one connection for all commands."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pareto_profiler.errors import TargetError
from pareto_profiler.shells.base import printable
from pareto_profiler.shells.remote import call_client
from pareto_profiler.shells.stream import StreamShell

_CONNECT_LIMIT_S: Final = 60.0
# No prompts: a key or an agent answers, and host keys are checked as the user's ssh checks them.
# The connection notices a silent end within 20 s, and ends itself when nobody used it for long.
_OPTIONS: Final = {
    "BatchMode": "yes",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "3",
    "ControlPersist": "600",
    "ForwardX11": "no",
    "RequestTTY": "no",
    "EscapeChar": "none",
    "LogLevel": "ERROR",
    # Whatever a user's configuration has for logins is not for this.
    "RemoteCommand": "none",
    "StdinNull": "no",
    "PermitLocalCommand": "no",
}
_ADVICE: Final = {
    "Permission denied": " (let your key in with ssh-copy-id; passwords are not asked for)",
    "Host key verification failed": " (connect once with ssh, to see and accept its host key)",
}


class SshShell(StreamShell):
    """Runs commands through ``ssh``: its configuration, jump hosts, keys and agents apply.

    Args:
        host: As on ssh's command line: a name of ``~/.ssh/config``, or ``user@address``.
        options: Further arguments of ssh, such as ``["-p", "2222"]``.
        patience_s: As :class:`RemoteShell`.

    Raises:
        TargetError: There is no ssh here, or the host is no host.
    """

    def __init__(self, host: str, options: Sequence[str] = (), patience_s: float = 120.0) -> None:
        super().__init__(host, patience_s)
        if not host or host.startswith("-"):
            raise TargetError(f"ssh host {host!r}: expected a name or user@address")
        if shutil.which("ssh") is None:
            raise TargetError("no ssh here: install OpenSSH's client")
        self._host = host
        self._options = list(options)
        self._more: list[str] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._socket = Path()

    def close(self) -> None:
        super().close()
        if self._folder is None:
            return
        self._end_master()
        self._folder.cleanup()
        self._folder = None

    def _place(self) -> str:
        # Whoever logs in, and by whichever of its names.
        command = ["ssh", "-G", *self._options, "--", self._host]
        done = call_client(command, _CONNECT_LIMIT_S)
        said = dict(
            line.split(" ", 1) for line in printable(done.stdout).splitlines() if " " in line
        )
        there = [said.get(key, "") for key in ("hostname", "port", "proxyjump")]
        return f"ssh {' '.join(there) if there[0] else self.name}"

    def _client(self, command: str) -> list[str]:
        return [*self._ssh("no"), "--", self._host, command]

    def _is_connected(self) -> bool:
        return self._socket.exists()

    def _connect(self) -> None:
        if self._folder is None:
            # Short, as sockets' names are limited to 108 characters; and ssh expands % in them.
            here = tempfile.gettempdir()
            is_plain = len(here) < 40 and here.isascii() and not {"%", " ", '"'} & set(here)
            self._folder = tempfile.TemporaryDirectory(
                prefix="pp-ssh-",
                dir=here if is_plain else "/tmp",  # noqa: S108 - a folder of mode 700 in it
            )
            self._socket = Path(self._folder.name) / "s"
        self._end_master()
        self._socket.unlink(missing_ok=True)
        # To a file: the connection stays in the background and would hold a pipe open.
        with tempfile.TemporaryFile() as output:
            try:
                done = call_client(
                    [*self._ssh("yes"), "-N", "-f", "--", self._host],
                    _CONNECT_LIMIT_S,
                    stdout=subprocess.DEVNULL,
                    stderr=output,
                )
            except subprocess.TimeoutExpired as error:
                raise TargetError(f"{self.name} cannot be reached: no answer") from error
            output.seek(0)
            said = output.read()
        if done.returncode:
            words = " ".join(printable(said).split()) or "ssh failed"
            advice = next((advice for sign, advice in _ADVICE.items() if sign in words), "")
            raise TargetError(f"{self.name} cannot be reached: {words}{advice}")

    def _end_master(self) -> None:
        if self._socket.exists():
            with contextlib.suppress(subprocess.TimeoutExpired):
                command = [*self._ssh("no"), "-O", "exit", "--", self._host]
                call_client(command, _CONNECT_LIMIT_S)

    def _ssh(self, master: str) -> list[str]:
        given = {"ControlMaster": master, "ControlPath": str(self._socket)} | _OPTIONS
        return [
            "ssh",
            *(f"-o{name}={value}" for name, value in given.items()),
            *self._options,
            *self._more,
        ]

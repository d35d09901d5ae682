"""Devices that tests reach: an sshd here, the emulated board where it is up, and cables to cut."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parent.parent
BOARD: Final = ROOT / ".board"
BOARD_ADDRESS: Final = "127.0.0.3"
STAND_INS: Final = Path(__file__).parent / "stand_ins"


def missing(what: str, how: str) -> None:
    """Skip a test that needs something, or fail it where the environment promises it."""
    if what in os.environ.get("PARETO_PROFILER_TESTS_REQUIRE", "").split(","):
        pytest.fail(f"{what} is not here: {how}")
    pytest.skip(f"{what} is not here: {how}")


def need_board() -> None:
    with contextlib.suppress(OSError), socket.create_connection((BOARD_ADDRESS, 2222), 2) as board:
        board.settimeout(10)
        if board.recv(4) == b"SSH-":
            return
    missing("board", "make board-up")


def need(program: str, package: str) -> None:
    if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin") is None:
        missing(package, f"apt-get install {package}")


class Sshd:
    """A real sshd on a port of its own, for the user who runs the tests."""

    def __init__(self, folder: Path, login: str = "") -> None:
        """Start it; ``login`` are lines for ``sh`` that run before every command."""
        need("sshd", "openssh-server")
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        for name in ("user_key", "host_key"):
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True
            )
        if os.getuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        (folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {folder / 'host_key'}\n"
            f"AuthorizedKeysFile {folder / 'user_key.pub'}\nStrictModes no\nUsePAM no\n"
            f"PasswordAuthentication no\nPidFile none\nMaxStartups 100\nPrintMotd no\n"
        )
        if login:
            script = folder / "login"
            script.write_text(f'#!/bin/sh\n{login}\nexec sh -c "$SSH_ORIGINAL_COMMAND"\n')
            script.chmod(0o755)
            with (folder / "sshd_config").open("a") as config:
                config.write(f"ForceCommand {script}\n")
        sshd = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin") or "sshd"
        with (folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [sshd, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=log
            )
        wait_for_port(self.port)

    def config(self, port: int | None = None, *, known: bool = True) -> list[str]:
        """Options of ssh that reach host ``here`` through a port, its own by default."""
        port = port or self.port
        path = self.folder / f"ssh_config-{port}-{known}"
        hosts = self.folder / f"known_hosts-{port}-{known}"
        key = (self.folder / "host_key.pub").read_text()
        hosts.write_text(f"[127.0.0.1]:{port} {key}" if known else "")
        path.write_text(
            f"Host here\n  HostName 127.0.0.1\n  Port {port}\n"
            f"  IdentityFile {self.folder / 'user_key'}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {hosts}\n  GlobalKnownHostsFile /dev/null\n"
            f"  StrictHostKeyChecking yes\n"
        )
        return ["-F", str(path)]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


class Cable:
    """A TCP connection's way to a device, which can be cut and plugged out."""

    def __init__(self, port: int, address: str = "127.0.0.1") -> None:
        self._target = (address, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._is_plugged = True
        self.connections = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """End all connections; new ones are let through."""
        pairs, self._pairs = self._pairs, []
        for end in (end for pair in pairs for end in pair):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def plug_out(self) -> None:
        """End all connections and refuse new ones."""
        self._is_plugged = False
        self.cut()

    def plug_in(self) -> None:
        self._is_plugged = True

    def close(self) -> None:
        self.plug_out()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if not self._is_plugged:
                near.close()
                continue
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            self.connections += 1
            self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(65536):
            sink.sendall(piece)
        sink.shutdown(socket.SHUT_WR)


def wait_for_port(port: int, address: str = "127.0.0.1") -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection((address, port)):
            return
        time.sleep(0.05)
    pytest.fail(f"{address}:{port} does not answer")

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

    def __init__(self, folder: Path, login: str = "", island: Island | None = None) -> None:
        """Start it; ``login`` are lines for ``sh`` that run before every command."""
        need("sshd", "openssh-server")
        self.folder = folder
        self.address = island.address if island else "127.0.0.1"
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
            f"Port {self.port}\nListenAddress {self.address}\nHostKey {folder / 'host_key'}\n"
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
                [
                    *(island.within if island else ()),
                    sshd,
                    "-D",
                    "-e",
                    "-f",
                    folder / "sshd_config",
                ],
                stderr=log,
            )
        wait_for_port(self.port, self.address)

    def config(self, port: int | None = None, *, known: bool = True) -> list[str]:
        """Options of ssh that reach host ``here`` through a port, its own by default."""
        port = port or self.port
        path = self.folder / f"ssh_config-{port}-{known}"
        hosts = self.folder / f"known_hosts-{port}-{known}"
        key = (self.folder / "host_key.pub").read_text()
        hosts.write_text(f"[{self.address}]:{port} {key}" if known else "")
        path.write_text(
            f"Host here\n  HostName {self.address}\n  Port {port}\n"
            f"  IdentityFile {self.folder / 'user_key'}\n  IdentitiesOnly yes\n"
            f"  UserKnownHostsFile {hosts}\n  GlobalKnownHostsFile /dev/null\n"
            f"  StrictHostKeyChecking yes\n"
        )
        return ["-F", str(path)]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


class Island:
    """A network namespace at a link of its own, which may go down without a word."""

    def __init__(self, number: int) -> None:
        need("ip", "iproute2")
        self._name = f"island{number}"
        self._link = f"to-{self._name}"
        ours, self.address = (f"10.213.0.{4 * number + n}" for n in (1, 2))
        self.within = ("ip", "netns", "exec", self._name)
        if (
            os.geteuid()
            or subprocess.run(["ip", "netns", "add", self._name], check=False).returncode
        ):
            pytest.skip("a network namespace needs root")
        peer = ("peer", "name", "eth0", "netns", self._name)
        self._ip("link", "add", self._link, "type", "veth", *peer)
        self._ip("address", "add", f"{ours}/30", "dev", self._link)
        self._ip("link", "set", self._link, "up")
        self._ip("-n", self._name, "address", "add", f"{self.address}/30", "dev", "eth0")
        self._ip("-n", self._name, "link", "set", "eth0", "up")

    def sink(self) -> None:
        """Neither end is told that nothing arrives any more."""
        self._ip("-n", self._name, "link", "set", "eth0", "down")

    def rise(self) -> None:
        self._ip("-n", self._name, "link", "set", "eth0", "up")

    def close(self) -> None:
        self._ip("netns", "delete", self._name)

    @staticmethod
    def _ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True)


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

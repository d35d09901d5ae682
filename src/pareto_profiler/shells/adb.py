"""AdbShell: an Android device, or anything that runs adbd, over the Android Debug Bridge."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from typing import Final

from pareto_profiler.errors import TargetError
from pareto_profiler.shells.remote import call_client
from pareto_profiler.shells.stream import StreamShell

_ANSWER_LIMIT_S: Final = 30.0
_HANDSHAKE_LIMIT_S: Final = 5.0
_HANDSHAKES: Final = 3
_RETRY_S: Final = 0.2


class AdbShell(StreamShell):
    """Runs commands through ``adb shell``.

    Args:
        serial: As ``adb devices`` lists it, or ``address:port``, which is connected to; empty for
            the only device there is.
        patience_s: As :class:`RemoteShell`.

    Raises:
        TargetError: There is no adb here.
    """

    def __init__(self, serial: str = "", patience_s: float = 120.0) -> None:
        super().__init__(serial or "the adb device", patience_s)
        if serial.startswith("-"):
            raise TargetError(f"adb serial {serial!r}: expected one that `adb devices` lists")
        if shutil.which("adb") is None:
            raise TargetError("no adb here: install Android's platform tools (Debian: adb)")
        self._serial = serial

    def _place(self) -> str:
        serial = self._serial or _adb(["adb", "get-serialno"])[1]
        return f"adb {serial}"

    def _client(self, command: str) -> list[str]:
        return [*self._adb(), "shell", "-T", command]

    def _connect(self) -> None:
        is_address = re.fullmatch(r"\S+:\d+", self._serial)
        for _ in range(_HANDSHAKES if is_address else 1):
            if is_address:
                # A dead connection is kept in adb's list and would be taken for a live one.
                _adb(["adb", "disconnect", self._serial])
                _, answer = _adb(["adb", "connect", self._serial])
                if not re.search(r"\bconnected to", answer):
                    raise TargetError(f"{self.name} cannot be reached: {answer}")
            status, said = self._features()
            if "offline" not in said:
                break
        if status:
            raise TargetError(f"{self.name} cannot be reached: {said}")
        if "shell_v2" not in said.split():
            raise TargetError(f"{self.name}: its adbd is older than Android 7 (no shell_v2)")

    def _features(self) -> tuple[int, str]:
        """What the device can do; it is "offline" until both sides have shaken hands."""
        until = time.monotonic() + _HANDSHAKE_LIMIT_S
        while True:
            status, said = _adb([*self._adb(), "features"])
            if not status or "offline" not in said or time.monotonic() >= until:
                return status, said
            time.sleep(_RETRY_S)

    def _adb(self) -> list[str]:
        return ["adb", *(["-s", self._serial] if self._serial else [])]


def _adb(command: list[str]) -> tuple[int, str]:
    """How adb ended, and what it said."""
    try:
        done = call_client(command, _ANSWER_LIMIT_S, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired as error:
        raise TargetError(f"{' '.join(command[:4])}: no answer") from error
    return done.returncode, " ".join(done.stdout.decode("utf-8", "replace").split())

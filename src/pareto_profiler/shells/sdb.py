"""SdbShell: a Tizen device over the Smart Development Bridge.

Of ``sdb`` no exit status is trusted. ``sdb shell`` loses it, mixes the two output streams on a
terminal that changes line ends, and takes about a thousand characters. So the lines to run are
pushed as a file, what the command writes goes to files on the device, and both come back as
hexadecimal digits between markers, with the status behind them. ``sdb push`` says that all is well
when it is not, so sizes are compared on the device.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final

from pareto_profiler.errors import TargetError
from pareto_profiler.shells.base import Completed, printable
from pareto_profiler.shells.remote import (
    ABSENT,
    TRANSFER_LIMIT_S,
    RemoteShell,
    call_client,
    has_size,
    new_token,
    no_folder,
    signal_or_status,
    started,
    words_of,
)

_ANSWER_LIMIT_S: Final = 30.0
_GRACE_S: Final = 15.0


class SdbShell(RemoteShell):
    """Runs commands through ``sdb``.

    Args:
        serial: As ``sdb devices`` lists it, or ``address:port``, which is connected to; empty for
            the only device there is.
        scratch: A folder on the device for the lines to run and for output; it is made.
        root: Whether to ask for root (``sdb root on``) when connecting.
        patience_s: As :class:`RemoteShell`.

    Raises:
        TargetError: There is no sdb here, or a name is none that can be passed on.
    """

    def __init__(
        self,
        serial: str,
        scratch: PurePosixPath,
        *,
        root: bool = True,
        patience_s: float = 120.0,
    ) -> None:
        super().__init__(serial or "the sdb device", patience_s)
        if serial.startswith("-"):
            raise TargetError(f"sdb serial {serial!r}: expected one that `sdb devices` lists")
        if not re.fullmatch(r"/[\w/.-]+", str(scratch), re.ASCII):
            raise TargetError(
                f"folder {scratch}: sdb needs a path of letters, digits, /, _, . and - only"
            )
        if shutil.which("sdb") is None:
            raise TargetError("no sdb here: it comes with Tizen Studio; put its tools on PATH")
        self._serial = serial
        self._scratch = scratch
        self._root = root

    def _place(self) -> str:
        serial = self._serial or self._sdb_alone("get-serialno")
        return f"sdb {serial}"

    def push(self, local: Path, remote: PurePosixPath) -> None:
        try:
            found = local.stat()
            local.open("rb").close()
        except OSError as error:
            raise TargetError(f"{local} cannot be copied: {error.strerror}") from error
        self._reach()
        part = self._push_plainly(local)
        folder, path = shlex.quote(str(remote.parent)), shlex.quote(str(remote))
        done = self._lines(
            f"{has_size(part, found.st_size)} && mkdir -p {folder} && {no_folder(path)} "
            f"&& chmod {found.st_mode & 0o777:o} {part} && mv -f {part} {path} "
            f"|| {{ rm -f {part}; false; }}"
        )
        if done.status:
            raise TargetError(
                f"{local} cannot be copied to {remote} on {self.name}: {words_of(done)}"
            )

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        part, path = f"{self._scratch}/{new_token()}", shlex.quote(str(remote))
        done = self._lines(f"cp {path} {part} && chmod 644 {part} && wc -c <{part}")
        words = words_of(done)
        if done.status == 0:
            try:
                with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as here:
                    plain = Path(here) / "pulled"
                    said = self._sdb("pull", part, str(plain), limit_s=TRANSFER_LIMIT_S)
                    if (
                        plain.is_file()
                        and str(plain.stat().st_size) == done.stdout.decode().strip()
                    ):
                        local.parent.mkdir(parents=True, exist_ok=True)
                        shutil.copyfile(plain, local)
                        return
                    words = f"cut short: {said}"
            except OSError as error:
                raise TargetError(
                    f"{remote} cannot be copied to {local}: {error.strerror}"
                ) from error
            finally:
                self._lines(f"rm -f {part}")
        raise TargetError(f"{remote} cannot be copied from {self.name}: {words}")

    def _connect(self) -> None:
        if re.fullmatch(r"[\w.-]+(:\d+)?", self._serial) and "." in self._serial:
            if self._was_reached:
                self._sdb_alone("disconnect", self._serial)
            self._sdb_alone("connect", self._serial)
        if self._root:  # where it is refused, the device goes on as it can
            self._sdb("root", "on")
        token = new_token()
        said = self._sdb("shell", f"mkdir -p {self._scratch} && echo {token}")
        if token not in said:
            raise TargetError(f"{self.name} cannot be reached: {said or 'sdb shell says nothing'}")

    def _attempt(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        token: str,
        time_limit_s: float,
    ) -> tuple[Completed | None, bool]:
        folder = f"{self._scratch}/{token}.d"
        # The command leads a session of its own, so that its children can be ended with it. What
        # watches its time may miss that it is no longer needed (shells lose signals just before
        # they wait): it must not hold the terminal, whose end sdb waits for.
        lines = f"""mkdir -p {folder}; cd {folder} || exit
: >out; : >err
echo {token}-begin
s=; command -v setsid >/dev/null && s=setsid
if command -v {shlex.quote(command[0])} >/dev/null; then
$s {started(command, environment, token)} </dev/null >out 2>err &
p=$!
trap 'kill -9 -$p || kill -9 $p; cd /; rm -rf {folder} {self._scratch}/{token}; exit' HUP TERM
(trap 'kill $!; exit' TERM; sleep {max(0.1, time_limit_s):.1f} & wait $!
: >late; kill -9 -$p || kill -9 $p) </dev/null >/dev/null 2>&1 &
w=$!
wait $p; r=$?
kill $w
[ -n "$s" ] && kill -9 -$p
else r={ABSENT}; fi
t=0; [ -e late ] && t=1
echo {token}-out; od -An -v -tx1 out
echo {token}-err; od -An -v -tx1 err
cd /; rm -rf {folder} {self._scratch}/{token}
echo {token}-end $r $t
"""
        with tempfile.NamedTemporaryFile("w", prefix="pareto-profiler-") as file:
            file.write(lines)
            file.flush()
            script = self._push_plainly(Path(file.name), token)
        said = self._sdb("shell", f"sh {script} 2>/dev/null", limit_s=time_limit_s + _GRACE_S)
        found = re.search(
            rf"{token}-out(.*?){token}-err(.*?){token}-end (\d+) (\d)", said, re.DOTALL
        )
        if not found:
            self._last_words = " ".join(printable(said.encode()).split())[-300:]
            return None, f"{token}-begin" in said
        stdout, stderr, status, late = found.groups()
        return (
            Completed(
                signal_or_status(int(status)),
                bytes.fromhex("".join(stdout.split())),
                bytes.fromhex("".join(stderr.split())),
                timed_out=late == "1",
            ),
            True,
        )

    def _push_plainly(self, local: Path, name: str = "") -> str:
        """Push under a name of our own: sdb sees neither the file's name nor where it goes."""
        name = name or new_token()
        with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as here:
            plain = Path(here) / name
            plain.symlink_to(local.resolve())
            remote = f"{self._scratch}/{name}"
            self._sdb("push", str(plain), remote, limit_s=TRANSFER_LIMIT_S)
        return remote

    def _sdb(self, *arguments: str, limit_s: float = _ANSWER_LIMIT_S) -> str:
        return self._sdb_alone(
            *(["-s", self._serial] if self._serial else []), *arguments, limit_s=limit_s
        )

    def _sdb_alone(self, *arguments: str, limit_s: float = _ANSWER_LIMIT_S) -> str:
        """What sdb says, on either stream; where it hangs, what it said till then."""
        try:
            done = call_client(["sdb", *arguments], limit_s, stderr=subprocess.STDOUT)
        except subprocess.TimeoutExpired as error:
            return (error.stdout or b"").decode("utf-8", "replace").strip()
        return done.stdout.decode("utf-8", "replace").strip()

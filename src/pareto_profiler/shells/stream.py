"""StreamShell: a remote shell over a client program that passes all three streams on.

The client's standard input carries the lines to run and then stays open as a lifeline: when it
ends, because the time limit passed, this process died or the connection was cut, what runs on the
device is killed with all its children. So nothing is left there that could disturb what comes next.
"""

from __future__ import annotations

import contextlib
import selectors
import shlex
import subprocess
import tempfile
import time
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import IO, Final

from pareto_profiler.errors import TargetError
from pareto_profiler.shells.base import Completed
from pareto_profiler.shells.remote import (
    ABSENT,
    MOST_TRIES,
    TRANSFER_LIMIT_S,
    RemoteShell,
    call_client,
    has_size,
    new_token,
    signal_or_status,
    started,
    words_of,
)

_GRACE_S: Final = 5.0


class StreamShell(RemoteShell):
    """A remote shell whose client keeps stdin, stdout and stderr apart and free of changes."""

    @abstractmethod
    def _client(self, command: str) -> list[str]:
        """The local program and its arguments that run a command line on the device."""

    def push(self, local: Path, remote: PurePosixPath) -> None:
        folder, path = shlex.quote(str(remote.parent)), shlex.quote(str(remote))
        part = f"{path}.part"
        try:
            found = local.stat()
            source = local.open("rb")
        except OSError as error:
            raise TargetError(f"{local} cannot be copied: {error.strerror}") from error
        # Beside its place and then renamed: never half a file under the name.
        lines = (
            f"mkdir -p {folder} && cat >{part} && {has_size(part, found.st_size)} "
            f"&& chmod {found.st_mode & 0o777:o} {part} && mv -f {part} {path}"
        )
        with source:
            done = self._stream(lines, source, None)
        if done.status:
            raise TargetError(
                f"{local} cannot be copied to {remote} on {self.name}: {words_of(done)}"
            )

    def pull(self, remote: PurePosixPath, local: Path) -> None:
        path = shlex.quote(str(remote))
        try:
            local.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".part-", dir=local.parent) as folder:
                part = Path(folder) / "part"
                with part.open("wb") as target:
                    done = self._stream(f"cat {path} && wc -c <{path} >&2", None, target)
                if done.status:
                    words = words_of(done)
                elif done.stderr.strip() != str(part.stat().st_size).encode():
                    # Such as a login script that greets.
                    words = "not only the file's bytes came"
                else:
                    part.replace(local)
                    return
        except OSError as error:
            raise TargetError(f"{remote} cannot be copied to {local}: {error.strerror}") from error
        raise TargetError(f"{remote} cannot be copied from {self.name}: {words}")

    def _attempt(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        token: str,
        time_limit_s: float,
    ) -> tuple[Completed | None, bool]:
        with subprocess.Popen(
            self._client("exec sh"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C in a terminal is for this process, which then ends the client itself.
            start_new_session=True,
        ) as client:
            try:
                done = _attend(client, _running(command, environment, token), time_limit_s)
            finally:
                client.kill()
                client.wait()  # after Ctrl-C the context manager does not
        return _completed(done, token), token.encode() in done.stdout

    def _stream(self, lines: str, stdin: IO[bytes] | None, stdout: IO[bytes] | None) -> Completed:
        """Run lines with a file at either end; what they say on stderr comes back."""
        token = new_token()
        # The status goes last and on stderr, since stdout is the file's.
        script = (
            f"exec 3>&1; words=$({{ {lines}; }} 2>&1 >&3); status=$?; "
            f"printf '%s\\n%s %d\\n' \"$words\" {token} $status >&2"
        )
        for _ in range(MOST_TRIES):
            self._reach()
            for file in (stdin, stdout):
                if file is not None:
                    file.seek(0)
            if stdout is not None:
                stdout.truncate()
            try:
                done = call_client(
                    self._client(f"exec sh -c {shlex.quote(script)}"),
                    TRANSFER_LIMIT_S,
                    stdin=stdin or subprocess.DEVNULL,
                    stdout=stdout or subprocess.DEVNULL,
                )
            except subprocess.TimeoutExpired as error:
                raise TargetError(f"{self.name} does not answer: {lines[:80]}") from error
            words, found, status = done.stderr.rpartition(f"\n{token} ".encode())
            if found and status.strip().isdigit():
                return Completed(int(status), b"", words)
            self._wait_for_return()
        raise self._always_lost()


def _running(command: Sequence[str], environment: Mapping[str, str], token: str) -> bytes:
    """The lines for ``sh`` that run one command and tell how it ended."""
    # fd 3: the lifeline; fd 4: stderr, kept from the shell's own remarks on killed jobs.
    # setsid: so that the whole family can be killed; where it is not there, the command alone is.
    return f"""{{
exec 3<&0 4>&2 2>/dev/null
printf '%s\\n' {token}
printf '%s\\n' {token} >&4
s=; command -v setsid >/dev/null && s=setsid
if command -v {shlex.quote(command[0])} >/dev/null; then
$s {started(command, environment, token)} </dev/null 2>&4 3<&- 4>&- &
p=$!
(read -r x <&3; kill -9 -$p || kill -9 $p) >/dev/null 4>&- &
w=$!
wait $p; r=$?
kill $w
[ -n "$s" ] && kill -9 -$p
else r={ABSENT}; fi
printf '\\n%s %d\\n' {token} $r >&4
exit 0
}}
""".encode()


def _completed(done: Completed, token: str) -> Completed | None:
    """What the command did, cut out of all that came back; None where its end is missing."""
    mark = token.encode() + b"\n"
    _, began, stdout = done.stdout.partition(mark)
    _, began_too, rest = done.stderr.partition(mark)
    stderr, found, status = rest.rpartition(b"\n" + token.encode() + b" ")
    if began and began_too and found and status.strip().isdigit():
        return Completed(signal_or_status(int(status)), stdout, stderr, done.timed_out)
    return None


def _attend(client: subprocess.Popen[bytes], lines: bytes, time_limit_s: float) -> Completed:
    """Send the lines, gather what comes back, and end the lifeline when the time limit passed."""
    assert client.stdin is not None
    assert client.stdout is not None
    assert client.stderr is not None
    with contextlib.suppress(BrokenPipeError):
        client.stdin.write(lines)
        client.stdin.flush()
    output: dict[int, bytearray] = {}
    deadline, timed_out = time.monotonic() + time_limit_s, False
    with selectors.DefaultSelector() as selector:
        for stream in (client.stdout, client.stderr):
            output[stream.fileno()] = bytearray()
            selector.register(stream, selectors.EVENT_READ, stream)
        while selector.get_map():
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                if timed_out:  # told to end, and silent: the connection is of no use any more
                    break
                timed_out, deadline = True, deadline + _GRACE_S
                with contextlib.suppress(BrokenPipeError):
                    client.stdin.close()
                continue
            for key, _ in selector.select(remaining):
                piece: bytes = key.data.read1(1 << 16)
                output[key.fd] += piece
                if not piece:
                    selector.unregister(key.fileobj)
    stdout, stderr = (bytes(output[s.fileno()]) for s in (client.stdout, client.stderr))
    return Completed(0, stdout, stderr, timed_out)

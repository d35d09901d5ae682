"""StreamShell: a remote shell over a client program that passes all three streams on.

One ``sh`` on the device takes all commands, so that none waits for a login. Its standard input is a
lifeline, too: when a line comes or it ends, because the time limit passed, this process died or the
connection was cut, what runs on the device is killed with all its children. So nothing is left
there that could disturb what comes next.
"""

from __future__ import annotations

import contextlib
import re
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
from pareto_profiler.shells.base import Completed, printable
from pareto_profiler.shells.remote import (
    ABSENT,
    MAX_TRIES,
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

_GRACE_S: Final = 5.0
_LONGEST_MARK: Final = 100
_MAX_BYTES: Final = 64 << 20


class StreamShell(RemoteShell):
    """A remote shell whose client keeps stdin, stdout and stderr apart and free of changes."""

    _session: _Session | None = None

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
            f"mkdir -p {folder} && {no_folder(path)} && cat >{part} "
            f"&& {has_size(part, found.st_size)} && chmod {found.st_mode & 0o777:o} {part} "
            f"&& mv -f {part} {path} || {{ rm -f {part}; false; }}"
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
                if done.status == 0:
                    # What a login script printed stands before, and is no part of it.
                    size = int(done.stderr.split()[-1])
                    with part.open("r+b") as target:
                        surplus = target.seek(0, 2) - size
                        if surplus > 0:
                            target.seek(surplus)
                            content = target.read()
                            target.seek(0)
                            target.write(content)
                            target.truncate()
                    if surplus >= 0:
                        part.replace(local)
                        return
                words = words_of(done)
        except OSError as error:
            raise TargetError(f"{remote} cannot be copied to {local}: {error.strerror}") from error
        raise TargetError(f"{remote} cannot be copied from {self.name}: {words}")

    def close(self) -> None:
        super().close()
        self._end_session()

    def _attempt(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        token: str,
        time_limit_s: float,
    ) -> tuple[Completed | None, bool]:
        if self._session is None:
            self._session = _Session(self._client("exec sh"))
        try:
            answer = self._session.ask(_running(command, environment, token), token, time_limit_s)
        except BaseException:
            self._end_session()
            raise
        if answer[0] is None:
            self._last_words = self._session.last_words
            self._end_session()
        return answer

    def _end_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.end()

    def _stream(self, lines: str, stdin: IO[bytes] | None, stdout: IO[bytes] | None) -> Completed:
        """Run lines with a file at either end; what they say on stderr comes back."""
        token = new_token()
        # The status goes last and on stderr, since stdout is the file's.
        script = (
            f"exec 3>&1; words=$({{ {lines}; }} 2>&1 >&3); status=$?; "
            f"printf '%s\\n%s %d\\n' \"$words\" {token} $status >&2"
        )
        for _ in range(MAX_TRIES):
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


# fd 3: the lifeline; fd 4: stderr, kept from the shell's own remarks on killed jobs.
# setsid: so that the whole family can be killed; where it is not there, the command alone is.
_OPENING: Final = b"""{
exec 3<&0 4>&2 2>/dev/null
s=; command -v setsid >/dev/null && s=setsid
}
"""


def _running(command: Sequence[str], environment: Mapping[str, str], token: str) -> bytes:
    """The lines for ``sh`` that run one command and tell how it ended."""
    # In braces: all is read before anything runs, and nothing of it is left for the lifeline.
    return f"""{{
printf '%s\\n' {token}
printf '%s\\n' {token} >&4
if command -v {shlex.quote(command[0])} >/dev/null; then
$s {started(command, environment, token)} </dev/null 2>&4 3<&- 4>&- &
p=$!
(read -r x <&3; kill -9 -$p || kill -9 $p) >/dev/null 4>&- &
w=$!
wait $p; r=$?
kill $w; wait $w
[ -n "$s" ] && kill -9 -$p
else r={ABSENT}; fi
printf '\\n%s %d\\n' {token} $r
printf '\\n%s %d\\n' {token} $r >&4
}}
""".encode()


class _Session:
    """One ``sh`` on the device, ready for the next command."""

    def __init__(self, client: list[str]) -> None:
        self._client = subprocess.Popen(
            client,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Ctrl-C in a terminal is for this process, which then ends the client itself.
            start_new_session=True,
        )
        self._is_opened = False
        self.last_words = ""

    def ask(self, lines: bytes, token: str, time_limit_s: float) -> tuple[Completed | None, bool]:
        """Send the lines of a command and gather its answer, or what came of it."""
        assert self._client.stdout is not None
        assert self._client.stderr is not None
        self._send(lines if self._is_opened else _OPENING + lines)
        self._is_opened = True
        streams = (self._client.stdout, self._client.stderr)
        parts = {stream.fileno(): _Part(token.encode()) for stream in streams}
        deadline, timed_out = time.monotonic() + time_limit_s, False
        with selectors.DefaultSelector() as selector:
            for stream in streams:
                selector.register(stream, selectors.EVENT_READ, stream)
            while not all(part.is_whole for part in parts.values()):
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    if timed_out:  # told to end, and silent: the connection is of no use any more
                        break
                    timed_out, deadline = True, deadline + _GRACE_S
                    self._send(b"\n")
                    continue
                for key, _ in selector.select(remaining):
                    piece: bytes = key.data.read1(1 << 16)
                    if piece:
                        parts[key.fd].add(piece)
                    else:
                        selector.unregister(key.fileobj)
                if not selector.get_map():
                    break
        out, err = (parts[stream.fileno()] for stream in streams)
        if not (out.is_whole and err.is_whole):
            self.last_words = " ".join(printable(err.tail).split())
            return None, out.has_begun
        return Completed(signal_or_status(err.status), out.text, err.text, timed_out), True

    def end(self) -> None:
        """End it, and with it what runs in it."""
        self._client.kill()
        self._client.communicate()

    def _send(self, lines: bytes) -> None:
        assert self._client.stdin is not None
        # A client that is gone has ended its output, too, and that is looked at.
        with contextlib.suppress(BrokenPipeError):
            self._client.stdin.write(lines)
            self._client.stdin.flush()


class _Part:
    """What one stream brings of a command's answer, between the marks that its token makes.

    Of endless output the beginning and the end are kept.
    """

    def __init__(self, token: bytes) -> None:
        self._begin = token + b"\n"
        self._end = re.compile(rb"\n" + token + rb" (\d+)\n")
        self._data = bytearray()
        self._found: re.Match[bytes] | None = None

    def add(self, piece: bytes) -> None:
        unsearched = max(0, len(self._data) - _LONGEST_MARK)
        self._data += piece
        if self._found is None:
            self._found = self._end.search(self._data, unsearched)
        if self._found is None and len(self._data) > _MAX_BYTES:
            del self._data[_MAX_BYTES // 4 : -_MAX_BYTES // 4]

    @property
    def is_whole(self) -> bool:
        return self._found is not None

    @property
    def has_begun(self) -> bool:
        return self._begin in self._data

    @property
    def tail(self) -> bytes:
        return bytes(self._data[-500:])

    @property
    def text(self) -> bytes:
        end = self._found.start() if self._found else len(self._data)
        return bytes(self._data[:end]).partition(self._begin)[2]

    @property
    def status(self) -> int:
        return int(self._found[1]) if self._found else 0

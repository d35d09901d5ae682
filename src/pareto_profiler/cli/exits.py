"""Exit statuses, and the one place where an error becomes a line for the user."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, ParamSpec, TextIO, TypeVar

from pareto_profiler.errors import ParetoProfilerError, StoreWriteError, TargetError, tame

DONE: Final = 0
CANNOT_KEEP: Final = 1
BAD_INPUT: Final = 2
TARGET_UNUSABLE: Final = 3
INTERRUPTED: Final = 130
_MAX_DIGITS: Final = 100_000
_MAX_CHARACTERS: Final = 3000
_ENDING_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PATIENCE_S: Final = 0.5

_P = ParamSpec("_P")
_R = TypeVar("_R")


def reporting_errors(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turn the package's errors into one line on stderr and an exit status."""

    @wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        # Ids of large spaces have more digits than Python converts by default; not without any
        # limit, since converting takes quadratic time.
        sys.set_int_max_str_digits(_MAX_DIGITS)
        _open_streams()
        show_warnings()
        try:
            with _ended_like_interrupted():
                result = command(*args, **kwargs)
            sys.stdout.flush()
        except ParetoProfilerError as error:
            leave(status_of(error), f"error: {error}")
        except BrokenPipeError:
            # The reader of our output went away, such as `head`: nothing is wrong.
            silence(sys.stdout)
            sys.exit(DONE)
        except OSError as error:
            silence(sys.stdout)
            what = error.filename or "output cannot be written"
            leave(CANNOT_KEEP, f"error: {what}: {error.strerror or error}")
        except KeyboardInterrupt:
            leave(INTERRUPTED, "interrupted")
        else:
            return result

    return wrapped


def show_warnings() -> None:
    """Pass on what the package logs, such as a connection that was lost, as notes."""
    logger = logging.getLogger("pareto_profiler")
    if not logger.handlers:
        logger.addHandler(_Notes())


class _Notes(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


def note(text: str) -> None:
    """Tell the user something that is not the result: on stderr.

    That nobody reads it any more, or that it cannot be written, is no reason to stop measuring.
    """
    try:
        print(tame(text), file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def program() -> str:
    """How the user called this command."""
    name = Path(sys.argv[0]).name
    return "python -m pareto_profiler" if name == "__main__.py" else name


def command_line() -> str:
    """The whole command, to be pasted into a shell."""
    return f"{program()} {shlex.join(sys.argv[1:])}"


def status_of(error: ParetoProfilerError) -> int:
    """The exit status that an error ends the command with."""
    if isinstance(error, TargetError):
        return TARGET_UNUSABLE
    return CANNOT_KEEP if isinstance(error, StoreWriteError) else BAD_INPUT


def leave(status: int, text: str) -> NoReturn:
    """End the command with one line on stderr; with ``--json`` as an object on stdout, too."""
    line = shortened(" ".join(tame(text).split()).rstrip(": "))
    try:
        print(f"{program()}: {line}", file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)
    if "--json" in sys.argv:
        words = line.removeprefix("error: ")
        try:
            print(json.dumps({"error": words, "status": status}), flush=True)
        except OSError:
            silence(sys.stdout)
    sys.exit(status)


def shortened(line: str) -> str:
    """A line that fits on a screen: of a value of thousands of digits the ends are enough."""
    if len(line) <= _MAX_CHARACTERS:
        return line
    half = _MAX_CHARACTERS // 2
    return f"{line[:half]} … {line[-half:]}"


def silence(stream: TextIO) -> None:
    """Send what is still buffered nowhere: Python would try once more to write it, and complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _open_streams() -> None:
    """Make the standard streams usable, whatever the caller closed and however it encodes text."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
        elif mode == "w" and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """Treat what a job scheduler or a closed terminal sends like Ctrl-C: end cleanly."""
    is_heard = threading.Event()

    def interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
        is_heard.set()
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt)
        for number in _ENDING_SIGNALS
        if signal.getsignal(number) is not signal.SIG_IGN  # as nohup wants it
    }
    with _answering_at_once(is_heard):
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


@contextmanager
def _answering_at_once(is_heard: threading.Event) -> Iterator[None]:
    """Tell that an interrupt came where a long computation keeps Python from acting on it."""
    there, here = os.pipe()
    os.set_blocking(here, False)

    def watch() -> None:
        while arrived := os.read(there, 1):
            if arrived[0] in _ENDING_SIGNALS and not is_heard.wait(_PATIENCE_S):
                with contextlib.suppress(OSError):
                    os.write(2, b"interrupted: ends as soon as what is being computed lets it\n")

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    wakeup = signal.set_wakeup_fd(here, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        os.close(here)
        thread.join()
        os.close(there)

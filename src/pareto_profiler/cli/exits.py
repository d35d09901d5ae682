"""Exit statuses, and the one place where an error becomes a line for the user."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, ParamSpec, TypeVar

from pareto_profiler.errors import ParetoProfilerError, StoreWriteError, TargetError

DONE: Final = 0
CANNOT_KEEP: Final = 1
BAD_INPUT: Final = 2
TARGET_UNUSABLE: Final = 3
INTERRUPTED: Final = 130
_ENDING_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)

_P = ParamSpec("_P")
_R = TypeVar("_R")


def reporting_errors(command: Callable[_P, _R]) -> Callable[_P, _R]:
    """Turn the package's errors into one line on stderr and an exit status."""

    @wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        # Ids of large spaces have more digits than Python converts by default.
        sys.set_int_max_str_digits(0)
        try:
            with _ended_like_interrupted():
                return command(*args, **kwargs)
        except ParetoProfilerError as error:
            _leave(status_of(error), f"error: {error}")
        except BrokenPipeError:
            # The reader of our output went away, such as `head`: nothing is wrong.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(DONE)
        except KeyboardInterrupt:
            _leave(INTERRUPTED, "interrupted")

    return wrapped


def status_of(error: ParetoProfilerError) -> int:
    """The exit status that an error ends the command with."""
    if isinstance(error, TargetError):
        return TARGET_UNUSABLE
    return CANNOT_KEEP if isinstance(error, StoreWriteError) else BAD_INPUT


def _leave(status: int, text: str) -> NoReturn:
    line = " ".join(text.split())
    print(f"{Path(sys.argv[0]).name}: {line}", file=sys.stderr)
    sys.exit(status)


@contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """Treat what a job scheduler or a closed terminal sends like Ctrl-C: end cleanly."""

    def interrupt(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

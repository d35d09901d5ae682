"""Every exception of the package.

::

    ParetoProfilerError
    ├─ ModelError          a model file cannot be read or understood
    ├─ InputError          an option, an input tensor file or another given file does not fit
    ├─ SpaceError          an assignment, an id or an operation list does not belong to this space
    ├─ StoreError          a journal is damaged, locked, of another search or of another schema
    │  └─ StoreWriteError  a journal cannot be written (disk full, no permission)
    ├─ TargetError         the device or its runtime is unusable: the search stops
    │  ├─ ConnectionLostError  the device went away under a command, and is there again
    │  ├─ BaselineError        the baseline fails, on which everything else stands
    │  └─ OtherKindError       a board is not of the kind of the others of a fleet
    └─ RunError            this assignment failed on a healthy target: a failure, the search goes on
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from enum import StrEnum
from typing import ParamSpec, TypeVar

__all__ = [
    "ConnectionLostError",
    "FailureKind",
    "InputError",
    "ModelError",
    "OtherKindError",
    "ParetoProfilerError",
    "RunError",
    "SpaceError",
    "StoreError",
    "StoreWriteError",
    "TargetError",
]

_P = ParamSpec("_P")
_R = TypeVar("_R")


class FailureKind(StrEnum):
    """Why an assignment has no figures."""

    REJECTED = "rejected"
    """The runtime refused it, at load, prepare or run."""
    CRASHED = "crashed"
    """The measured process was ended by a signal."""
    TIMED_OUT = "timed_out"
    """The time limit of the plan passed."""
    OUT_OF_MEMORY = "out_of_memory"
    """Memory ran out, or the memory limit of the plan was reached."""
    WRONG_OUTPUT = "wrong_output"
    """It ran, and its outputs differ from the baseline's beyond the tolerance."""
    NOT_RECORDED = "not_recorded"
    """The table that stands in for a device does not hold it."""


class ParetoProfilerError(Exception):
    """Base of everything this package raises on purpose; its text is one line for the user."""


class ModelError(ParetoProfilerError):
    """A model file cannot be read or understood."""


class InputError(ParetoProfilerError):
    """Something given on the command line or in a file does not fit."""


class SpaceError(ParetoProfilerError):
    """An assignment, an id or an operation list does not belong to the decision space."""


class StoreError(ParetoProfilerError):
    """A journal cannot be used as it is; the text has the path and the line."""


class StoreWriteError(StoreError):
    """A journal cannot be written; what it held before is intact."""


class TargetError(ParetoProfilerError):
    """The target cannot measure anything, whatever the assignment."""


class BaselineError(TargetError):
    """The baseline fails, on which everything else stands.

    Args:
        kind: What happened.
        message: In the runtime's words.
    """

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(f"the baseline itself fails: {kind}: {message}")
        self.kind = kind


class OtherKindError(TargetError):
    """A board is not of the kind of the others that measure beside it; the text says how."""


class ConnectionLostError(TargetError):
    """The device went away while a command ran and is there again: what it did is unknown."""


class RunError(ParetoProfilerError):
    """One assignment failed on a healthy target.

    Args:
        kind: What happened.
        message: The runtime's own words, or what was found and expected.
    """

    def __init__(self, kind: FailureKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


def tame(text: str) -> str:
    r"""Text that does nothing to a terminal: line ends are kept, other controls are not.

    Examples:
        >>> tame("a\x1b[1m\nb")
        'a?[1m\nb'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def said_in_python(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let errors name the parameters of a function where they name options of the command.

    Examples:
        >>> @said_in_python
        ... def load(inputs=None):
        ...     raise InputError("it has no data; give --input, or see --help")
        >>> load()
        Traceback (most recent call last):
        ...
        pareto_profiler.errors.InputError: it has no data; give inputs=…, or see --help
    """
    parameters = inspect.signature(function).parameters
    has_limits = any(p.kind is p.VAR_KEYWORD for p in parameters.values())

    def spelled(option: re.Match[str]) -> str:
        name, value = option[1].replace("-", "_"), option[2]
        for n in (name, f"{name}s", f"{name}es"):
            if n in parameters:
                return f"{n}={value!r}:" if value else f"{n}=…"
        return option[0]

    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except ParetoProfilerError as error:
            if has_limits:
                limit = r"--max (\w+)=VALUE"
                error.args = tuple(re.sub(limit, r"\1=…", str(text)) for text in error.args)
            error.args = tuple(
                re.sub(r"--([a-z][a-z-]*)(?: (\S+):)?", spelled, text)
                if isinstance(text, str)
                else text
                for text in error.args
            )
            raise

    return call

"""Results on stdout: as text for people, as JSON for scripts."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_profiler.cli.exits import silence
from pareto_profiler.errors import InputError, tame
from pareto_profiler.files import write_whole

if TYPE_CHECKING:
    from rich.console import Console

    from pareto_profiler.report.joint import Joint
    from pareto_profiler.report.summary import Summary


def print_json(data: Any) -> None:
    """Print plain data as JSON."""
    print(json.dumps(_finite(data), indent=2, allow_nan=False))


def _finite(data: Any) -> Any:
    """The same with null for what has no number in JSON."""
    if isinstance(data, float) and not math.isfinite(data):
        return None
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return data


def print_summary(summary: Summary, *, as_json: bool) -> None:
    """Print a summary in either form."""
    if as_json:
        print_json(summary.to_json())
        return
    from pareto_profiler.report.terminal import renderables

    out = console()
    for part in renderables(summary):
        out.print(part, markup=False)


def print_joint(joint: Joint, *, as_json: bool) -> None:
    """Print the joint front of several runtimes in either form."""
    if as_json:
        print_json(joint.to_json())
        return
    from pareto_profiler.report.terminal import joint_renderables

    out = console()
    for part in joint_renderables(joint):
        out.print(part, markup=False)


def console() -> Console:
    """Standard output for Rich, without a width.

    Nothing is cut or folded to fit: tables keep every figure, lines stay whole for grep and paste,
    and a narrow terminal wraps by itself.
    """
    from rich.console import Console

    class Pipe(Console):
        def on_broken_pipe(self) -> None:
            raise BrokenPipeError  # ours to handle, as with any other output

    return Pipe(soft_wrap=True, width=10_000, highlight=False, markup=False, emoji=False)


def write_file(path: Path, data: str | bytes) -> None:
    """Write a result.

    Raises:
        InputError: It cannot be written there, or would overwrite a journal.
        StoreWriteError: The disk is full; what was there before is intact.
    """
    check_no_journal(path)
    write_whole(path, data)


def check_writable(path: Path) -> None:
    """See before a search that its result can be written to a file.

    Raises:
        InputError: It cannot, or it would overwrite a journal.
    """
    check_no_journal(path)
    try:
        was_there = path.exists()
        path.open("ab").close()
        if not was_there:
            path.resolve().unlink()
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def check_no_journal(path: Path) -> None:
    """See that a file is no journal of a run.

    Raises:
        InputError: It is one.
    """
    from pareto_profiler.store import is_journal

    if path.is_file() and is_journal(path):
        raise InputError(f"{path}: is the journal of a run, which nothing may overwrite")


def show_warnings() -> None:
    """Pass on what the package logs, such as a connection that was lost, as notes."""
    import logging

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            note(record.getMessage())

    logger = logging.getLogger("pareto_profiler")
    if not logger.handlers:
        logger.addHandler(Notes())


def note(text: str) -> None:
    """Tell the user something that is not the result: on stderr.

    That nobody reads it any more, or that it cannot be written, is no reason to stop measuring.
    """
    try:
        print(tame(text), file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)

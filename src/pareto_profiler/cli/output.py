"""Results on stdout: as text for people, as JSON for scripts."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from rich.console import Console

from pareto_profiler.errors import InputError
from pareto_profiler.files import write_whole
from pareto_profiler.storage.journal import is_journal


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


class _Pipe(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError  # ours to handle, as with any other output


def console() -> Console:
    """Standard output for Rich, without a width.

    Nothing is cut or folded to fit: tables keep every figure, lines stay whole for grep and paste,
    and a narrow terminal wraps by itself.
    """
    return _Pipe(soft_wrap=True, width=10_000, highlight=False, markup=False, emoji=False)


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
    if path.is_file() and is_journal(path):
        raise InputError(f"{path}: is the journal of a run, which nothing may overwrite")

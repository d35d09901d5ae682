"""Results on stdout: as text for people, as JSON for scripts."""

from __future__ import annotations

import json
import math
import textwrap
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pareto_profiler.errors import InputError
from pareto_profiler.files import write_whole
from pareto_profiler.report.terminal import WIDTH, wrap
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


def say(*lines: str) -> None:
    """Print prose, each line as lines of 80 columns; what is to be copied from it stays whole."""
    for line in "\n".join(lines).split("\n"):
        print(*wrap(line), sep="\n")


def show(table: Table) -> None:
    """Print a table of at most 80 columns: cells of text are folded between words."""
    console = Console(width=WIDTH, highlight=False, markup=False, emoji=False)
    with console.capture() as captured:
        console.print(table)
    print(*(line.rstrip() for line in captured.get().splitlines()), sep="\n")


def show_facts(*facts: tuple[str, str]) -> None:
    """Print names and what they are, one below the other."""
    left = max((len(name) for name, _ in facts), default=0) + 2
    for name, text in facts:
        lines = textwrap.wrap(text, WIDTH - left, break_on_hyphens=False, break_long_words=False)
        print(f"{name:{left}}" + f"\n{'':{left}}".join(lines))


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

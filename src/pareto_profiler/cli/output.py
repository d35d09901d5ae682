"""Results on stdout: as text for people, as JSON for scripts."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_profiler.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from pareto_profiler.report.summary import Summary


def print_json(data: Any) -> None:
    """Print plain data as JSON."""
    print(json.dumps(data, indent=2))


def print_summary(summary: Summary, *, as_json: bool) -> None:
    """Print a summary in either form."""
    if as_json:
        print_json(summary.to_json())
        return
    from pareto_profiler.report.terminal import renderables

    out = console()
    for part in renderables(summary):
        out.print(part, markup=False)


def console() -> Console:
    """Standard output for Rich, without a width.

    Nothing is cut or folded to fit: tables keep every figure, lines stay whole for grep and paste,
    and a narrow terminal wraps by itself.
    """
    from rich.console import Console

    return Console(soft_wrap=True, width=10_000, highlight=False)


def write_file(path: Path, data: str | bytes) -> None:
    """Write a result.

    Raises:
        InputError: It cannot be written there.
    """
    try:
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def check_writable(path: Path) -> None:
    """See before a search that its result can be written to a file.

    Raises:
        InputError: The folder is not there or not writable, or it is no file.
    """
    folder = path.parent
    if path.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"{path}: cannot be written: no file in a writable folder")


def note(text: str) -> None:
    """Tell the user something that is not the result: on stderr."""
    print(text, file=sys.stderr, flush=True)

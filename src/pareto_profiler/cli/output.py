"""Results on stdout: as text for people, as JSON for scripts."""

from __future__ import annotations

import contextlib
import json
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
        InputError: It cannot.
    """
    try:
        was_there = path.exists()
        path.open("ab").close()
        if not was_there:
            path.unlink()
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error


def note(text: str) -> None:
    """Tell the user something that is not the result: on stderr.

    That nobody reads it any more, or that it cannot be written, is no reason to stop measuring.
    """
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)

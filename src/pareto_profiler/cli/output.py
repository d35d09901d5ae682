"""Results on stdout: as text for people, as JSON for scripts."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

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
    """Standard output for Rich.

    Where it is no terminal there is no width to keep to: lines stay whole for grep and paste.
    """
    from rich.console import Console

    width = None if sys.stdout.isatty() else 10_000
    return Console(soft_wrap=True, width=width, highlight=False)


def note(text: str) -> None:
    """Tell the user something that is not the result: on stderr."""
    print(text, file=sys.stderr, flush=True)

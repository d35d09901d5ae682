"""Results on stdout: as text for people, as JSON for scripts."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pareto_profiler.report.summary import Summary



def print_json(data: Any) -> None:
    """Print plain data as JSON."""
    print(json.dumps(data, indent=2))


def print_summary(summary: Summary, *, as_json: bool) -> None:
    """Print a summary in either form."""
    if as_json:
        print_json(summary.to_json())
        return
    from rich.console import Console

    from pareto_profiler.report.terminal import renderables

    # Not a terminal: no width to keep to, so that lines stay whole for grep and paste.
    console = Console(soft_wrap=True, width=None if sys.stdout.isatty() else 10_000)
    for part in renderables(summary):
        console.print(part, markup=False, highlight=False)


def note(text: str) -> None:
    """Tell the user something that is not the result: on stderr."""
    print(text, file=sys.stderr, flush=True)

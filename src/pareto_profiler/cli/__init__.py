"""The commands: the only place that prints, exits and draws progress."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command ``pareto-profiler``."""
    try:
        from pareto_profiler.cli.main import app
    except KeyboardInterrupt:  # importing takes a moment, too
        sys.exit(130)
    app()

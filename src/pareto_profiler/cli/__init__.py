"""The commands: the only place that prints, exits and draws progress.

Here are the entry points of the console scripts. They import the commands themselves when they are
called, so that Ctrl-C during that moment ends them like at any other.
"""

from __future__ import annotations

import sys
from importlib import import_module


def main() -> None:
    """Run ``pareto-profiler``."""
    _run("main", "app")


def gen_oplist() -> None:
    """Run ``gen_oplist``."""
    _run("seed_commands", "gen_oplist_app")


def brute_force_profiler() -> None:
    """Run ``brute_force_profiler``."""
    _run("seed_commands", "brute_force_profiler_app")


def random_sampler() -> None:
    """Run ``random_sampler``."""
    _run("seed_commands", "random_sampler_app")


def _run(module: str, app: str) -> None:
    try:
        try:
            getattr(import_module(f"{__name__}.{module}"), app)()
        finally:
            if sys.stdout is not None:  # the caller may have closed it
                sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # of Typer's own output, such as --help
        from pareto_profiler.cli.exits import CANNOT_KEEP, leave, silence

        silence(sys.stdout)
        leave(CANNOT_KEEP, f"error: output cannot be written: {error.strerror}")

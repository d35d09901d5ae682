"""The commands: the only place that prints, exits and draws progress.

Here are the entry points of the console scripts. They import the commands themselves when they are
called, so that Ctrl-C during that moment ends them like at any other.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from importlib import import_module
from typing import Any, Final

# Options that were called otherwise once: they still work, and no help shows them.
_FORMER_TO: Final = {
    "deploy": "--format",
    "report": "--output",
    "export": "--output",
    "bench": "--output",
}
_FORMER_OPTIONS: Final = {
    "--least-repeats": "--min-repeats",
    "--most-repeats": "--max-repeats",
    "--onert-library": "--library",
}


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
    # Matrices of a few hundred rows gain nothing from threads, and these wait for each other by
    # spinning, on a busy machine for longer than they compute. NumPy reads it when it is imported.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    command = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    sys.argv[1:] = [_as_of_today(word, command) for word in sys.argv[1:]]
    try:
        try:
            sys.exit(_status(getattr(import_module(f"{__name__}.{module}"), app)))
        finally:
            if sys.stdout is not None:  # the caller may have closed it
                sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:  # of Typer's own output, such as --help
        from pareto_profiler.cli.exits import CANNOT_KEEP, leave, silence

        silence(sys.stdout)
        leave(CANNOT_KEEP, f"error: output cannot be written: {error.strerror}")


def _as_of_today(word: str, command: str) -> str:
    """A word of the command line, an option by the name it has now."""
    name, sign, value = word.partition("=")
    if name == "--to":
        name = _FORMER_TO.get(command, name)
    return f"{_FORMER_OPTIONS.get(name, name)}{sign}{value}"


def _status(app: Callable[..., int | None]) -> int:
    """Run a command; a command line that it does not take is one line, like all bad input."""
    from typer import BadParameter

    # Typer has no public name for the error of all that is wrong with a command line.
    usage_error: Any = BadParameter.__bases__[0]
    try:
        return app(standalone_mode=False) or 0
    except usage_error as error:
        from pareto_profiler.cli.exits import BAD_INPUT, leave

        if type(error).__name__ == "NoArgsIsHelpError":
            return BAD_INPUT  # the help was printed
        command = f"; see: {error.ctx.command_path} --help" if error.ctx else ""
        leave(BAD_INPUT, f"error: {error.format_message().rstrip('.')}{command}")

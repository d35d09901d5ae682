"""Runs installed commands in forked processes: what a command imports is imported once.

A request is a line of JSON on standard input, its answer one on standard output. Started by
``command.py``; a command's process differs from a user's in nothing but who imported its modules.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import pkgutil
import signal
import sys
import time
import traceback
from collections.abc import Callable

COMMANDS = ("main", "gen_oplist", "brute_force_profiler", "random_sampler")
HEAVY = """
    jinja2 matplotlib.figure moocore numpy plotext rich.console rich.table typer
""".split()


def serve() -> None:
    """Answer until standard input ends."""
    import pareto_profiler
    from pareto_profiler import cli

    # Before the module of the same name takes the place of one of them.
    entries = {name: getattr(cli, name) for name in COMMANDS}
    for module in pkgutil.walk_packages(pareto_profiler.__path__, "pareto_profiler."):
        if not module.name.endswith("__main__") and "qnehvi" not in module.name:
            importlib.import_module(module.name)
    for name in HEAVY:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        asked = json.loads(line)
        pid = os.fork()
        if not pid:
            _become(asked, entries[asked["entry"]])
        print(json.dumps(_wait(pid, asked["limit_s"])), flush=True)


def _wait(pid: int, limit_s: float) -> int | None:
    """The exit status as ``subprocess`` has it; None where the time limit passed."""
    end = time.monotonic() + limit_s
    pause_s = 0.001
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(pause_s)
        pause_s = min(0.02, 1.2 * pause_s)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def _become(asked: dict[str, object], entry: Callable[[], None]) -> None:
    """Be the command, to the end of the process."""
    status = 1
    try:
        os.chdir(str(asked["cwd"]))
        os.environ.clear()
        os.environ.update(asked["environment"])  # type: ignore[arg-type]
        for number, path in enumerate((os.devnull, asked["stdout"], asked["stderr"])):
            opened = os.open(str(path), os.O_WRONLY | os.O_APPEND if number else os.O_RDONLY)
            os.dup2(opened, number)
            os.close(opened)
        sys.stdin, sys.stdout, sys.stderr = (
            open(n, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            for n, mode in enumerate("rww")
        )
        sys.argv = list(asked["argv"])  # type: ignore[call-overload]
        signal.signal(signal.SIGINT, signal.default_int_handler)
        entry()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError, ValueError):
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    serve()

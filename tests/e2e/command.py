"""Runs the installed commands as a user does: each in a process and a folder of its own."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Collection
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent
ENTRIES = {
    "pareto-profiler": "main",
    "gen_oplist": "gen_oplist",
    "brute_force_profiler": "brute_force_profiler",
    "random_sampler": "random_sampler",
}
JUDGED = (0, 1, 3)
"""Of a deploy that runs what it wrote: done; unlike what was measured; too busy to tell."""
_ONE_AT_A_TIME = threading.Lock()


def command(name: str, *arguments: object) -> list[str]:
    """The command line of an installed script."""
    return [str(BIN / name), *map(str, arguments)]


def run(
    name: str,
    *arguments: object,
    cwd: Path,
    status: int | Collection[int] = 0,
    limit_s: float = 300,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run to the end; check the exit status, or one of several, and that no traceback is shown."""
    # What a variable changes while Python starts, only a process of its own shows.
    start = _started if environment else _forked
    done = start(command(name, *arguments), cwd, limit_s, environment)
    assert "Traceback" not in done.stderr, done.stderr
    expected = {status} if isinstance(status, int) else status
    assert done.returncode in expected, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def _started(
    words: list[str], cwd: Path, limit_s: float, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=limit_s,
    )


def _forked(
    words: list[str], cwd: Path, limit_s: float, environment: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    del environment
    with (
        tempfile.NamedTemporaryFile() as out,
        tempfile.NamedTemporaryFile() as err,
        _ONE_AT_A_TIME,
    ):
        asked = {
            "entry": ENTRIES[Path(words[0]).name],
            "argv": words,
            "cwd": str(cwd),
            "environment": dict(os.environ),
            "stdout": out.name,
            "stderr": err.name,
            "limit_s": limit_s,
        }
        server = _server()
        assert server.stdin
        assert server.stdout
        server.stdin.write(json.dumps(asked) + "\n")
        server.stdin.flush()
        status = json.loads(server.stdout.readline())
        texts = [Path(f.name).read_bytes().decode().replace("\r\n", "\n") for f in (out, err)]
        if status is None:
            raise subprocess.TimeoutExpired(words, limit_s, *texts)
    return subprocess.CompletedProcess(words, status, *texts)


@functools.cache
def _server() -> subprocess.Popen[str]:
    server = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("fork_server.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    atexit.register(server.kill)
    return server


def pp(
    *arguments: object,
    cwd: Path,
    status: int | Collection[int] = 0,
    limit_s: float = 300,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run ``pareto-profiler``."""
    return run(
        "pareto-profiler", *arguments, cwd=cwd, status=status, limit_s=limit_s, **environment
    )


def pp_json(*arguments: object, cwd: Path, **environment: str) -> Any:
    """Run ``pareto-profiler … --json`` and read its answer."""
    return json.loads(pp(*arguments, "--json", cwd=cwd, **environment).stdout)


def pp_error(*arguments: object, cwd: Path, status: int = 2) -> str:
    """Run ``pareto-profiler`` into an error: one line on stderr, nothing on stdout."""
    done = pp(*arguments, cwd=cwd, status=status)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("pareto-profiler: error: ")
    assert done.stdout == ""
    return lines[0]

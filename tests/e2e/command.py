"""Runs the installed commands as a user does: each in a process and a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

BIN = Path(sys.executable).parent


def command(name: str, *arguments: object) -> list[str]:
    """The command line of an installed script."""
    return [str(BIN / name), *map(str, arguments)]


def run(
    name: str,
    *arguments: object,
    cwd: Path,
    status: int = 0,
    limit_s: float = 300,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run to the end and check the exit status and that no traceback is shown."""
    done = subprocess.run(
        command(name, *arguments),
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=limit_s,
    )
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == status, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def pp(
    *arguments: object, cwd: Path, status: int = 0, limit_s: float = 300, **environment: str
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

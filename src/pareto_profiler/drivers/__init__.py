"""Drivers: one fresh process measures one assignment, through any runtime, and answers in lines."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Final

from pareto_profiler.errors import TargetError

PROTOCOL: Final = 6
"""Version of the requests and answers that this package speaks."""

_FOLDER: Final = Path(__file__).parent / "bin"


def model() -> Path:
    """A small model, to see how much a machine's measurements scatter.

    Raises:
        TargetError: This installation has none.
    """
    path = _FOLDER / "model.tflite"
    if not path.is_file():
        raise TargetError(f"{path}: missing: this package was installed without its build step")
    return path


def binary(runtime: str, architecture: str | None = None) -> Path:
    """A runtime's driver for an architecture as ``uname -m`` names it; this machine's by default.

    Raises:
        TargetError: There is none.
    """
    name = architecture or platform.machine()
    path = _FOLDER / f"{runtime}-{name}"
    if not path.is_file():
        built = sorted(p.name.removeprefix(f"{runtime}-") for p in _FOLDER.glob(f"{runtime}-*"))
        raise TargetError(
            f"no {runtime} driver for {name}: this installation has "
            f"{', '.join(built) or 'none (it was installed without its build step)'}"
        )
    return path

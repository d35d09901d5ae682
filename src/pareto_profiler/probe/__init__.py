"""The measuring program ``probe.c`` and its binaries, one per architecture."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Final

from pareto_profiler.errors import TargetError

PROTOCOL: Final = 5
"""Version of the probe's answers that this package reads."""


def model() -> Path:
    """A small model, to see how much a machine's measurements scatter.

    Raises:
        TargetError: This installation has none.
    """
    path = Path(__file__).parent / "bin" / "model.tflite"
    if not path.is_file():
        raise TargetError(f"{path}: missing: this package was installed without its build step")
    return path


def binary(architecture: str | None = None) -> Path:
    """The probe for an architecture as ``uname -m`` names it; this machine's by default.

    Raises:
        TargetError: There is none.
    """
    name = architecture or platform.machine()
    folder = Path(__file__).parent / "bin"
    path = folder / f"probe-{name}"
    if not path.is_file():
        built = sorted(p.name.removeprefix("probe-") for p in folder.glob("probe-*"))
        raise TargetError(
            f"no probe for {name}: this installation has "
            f"{', '.join(built) or 'none (it was installed without its build step)'}"
        )
    return path

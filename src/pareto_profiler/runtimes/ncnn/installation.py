"""An ncnn: a library with its C API, or the binding of the wheel in a fresh Python process."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.core.support import SupportTable
from pareto_profiler.drivers.engine import Driver
from pareto_profiler.errors import TargetError
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runtimes.base import Engine, Where
from pareto_profiler.runtimes.installed import DriverInstallation
from pareto_profiler.runtimes.ncnn.engine import NcnnEngine
from pareto_profiler.runtimes.ncnn.masks import BACKENDS
from pareto_profiler.runtimes.wheel import Wheel
from pareto_profiler.shells.base import Shell

NAME: Final = "ncnn"
# No wheel has it: only what it is called is of use.
_LIBRARY: Final = Wheel(NAME, NAME, NAME, "libncnn.so*", "")
_DRIVER: Final = Path(__file__).parent / "driver.py"


@dataclass(frozen=True, slots=True)
class NcnnInstallation(DriverInstallation):
    """An ncnn that its driver measures."""

    runtime = NAME

    def offered_backends(self) -> tuple[str, ...]:
        return tuple(BACKENDS)

    def support(
        self,
        table: SupportTable,
        backends: Sequence[str],
        folder: PurePosixPath,
        model: Model,
        inputs: Sequence[Array],
    ) -> SupportTable:
        """The table: what masks can change follows from a layer's parameters."""
        del backends, folder, model, inputs
        return table

    def start(
        self,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        model: Model,
        inputs: Sequence[Array],
    ) -> Engine:
        return NcnnEngine(
            self.driver, folder, space, plan, model=model, inputs=inputs, energy=self.energy
        )


def find(shell: Shell, where: Where) -> NcnnInstallation:
    """The library that is named, on this machine or another; else the wheel's binding here.

    Raises:
        InputError: There is no such library.
        TargetError: There is none, or it cannot be used.
    """
    if where.given.get("library"):
        driver, version = _LIBRARY.driver(shell, where)
        return NcnnInstallation(driver, version, where.energy)
    if not where.is_local:
        raise TargetError(
            f"{where.target}: name a libncnn.so there with --library: ncnn's wheel has a Python "
            f"binding and no library that could be pushed"
        )
    spec = importlib.util.find_spec(NAME)
    folders = (spec and spec.submodule_search_locations) or ()
    binding = next((f for folder in folders for f in sorted(Path(folder).glob("ncnn*.so"))), None)
    if binding is None:
        raise TargetError(f"no {NAME} here: pip install {NAME}, or name a library with --library")
    driver = Driver(
        shell,
        PurePosixPath(_DRIVER),
        PurePosixPath(binding),
        interpreter=(sys.executable, "-I"),
    )
    told = driver.version()
    return NcnnInstallation(driver, told or importlib.metadata.version(NAME), where.energy)

"""A LiteRT on a target: the one library of its wheel, pushed where it is not this machine."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.core.support import SupportTable
from pareto_profiler.errors import RunError, TargetError
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runtimes.base import Engine, Where
from pareto_profiler.runtimes.installed import DriverInstallation
from pareto_profiler.runtimes.litert.engine import Asked, LiteRTEngine
from pareto_profiler.runtimes.litert.placing import BACKENDS, BUILTIN, WEBGPU
from pareto_profiler.runtimes.wheel import Wheel
from pareto_profiler.shells.base import Shell

NAME: Final = "litert"
WHEEL: Final = Wheel(NAME, "ai-edge-litert", "ai_edge_litert", "libLiteRt.so", "2.1.6")
_LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiteRTInstallation(DriverInstallation):
    """A LiteRT that its driver measures.

    Attributes:
        has_gpu: Whether the library of the GPU's accelerator lies beside the runtime's.
    """

    runtime = NAME
    has_gpu: bool = False

    def offered_backends(self) -> tuple[str, ...]:
        return tuple(b for b in BACKENDS if self.has_gpu or b != WEBGPU)

    def support(
        self,
        table: SupportTable,
        backends: Sequence[str],
        folder: PurePosixPath,
        model: Model,
        inputs: Sequence[Array],
    ) -> SupportTable:
        """What the backends take of a model: each is offered everything once."""
        operations = [o.index for o in model.graph.operations if not table.is_fixed(o)]
        space = DecisionSpace.by_groups(
            tuple(BACKENDS), Granularity.OPERATION, {"all": list(model.graph.operations)}
        )
        engine = LiteRTEngine(self.driver, folder, space, Plan(), model=model, inputs=inputs)
        taken: dict[str, frozenset[int]] = {}
        try:
            for backend in backends:
                try:
                    claimed = engine.claimed(backend, operations)
                except RunError as error:
                    if backend == WEBGPU:
                        raise TargetError(_why_unusable(error.message)) from error
                    if backend == backends[0]:
                        words = f"{model.path}: litert cannot load it: {error.message}"
                        raise TargetError(words) from error
                    _LOG.warning("%s takes nothing of the model: %s", backend, error.message)
                    claimed = frozenset()
                if backend != BUILTIN:
                    taken[backend] = claimed
        finally:
            engine.close()
        return Asked(table, taken)

    def start(
        self,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        model: Model,
        inputs: Sequence[Array],
    ) -> Engine:
        return LiteRTEngine(
            self.driver, folder, space, plan, model=model, inputs=inputs, energy=self.energy
        )


def find(shell: Shell, where: Where) -> LiteRTInstallation:
    """The library of the wheel, or the one that is named; on another machine it is pushed.

    Raises:
        InputError: There is no such library.
        TargetError: It cannot be used there.
    """
    driver, version = WHEEL.driver(shell, where)
    return LiteRTInstallation(driver, version, where.energy, bool(driver.opened()["has_gpu"]))


def _why_unusable(said: str) -> str:
    """The last error among what the GPU's accelerator says; before it stand notes and warnings."""
    *_, words = re.findall(r"ERROR: (?:\[\S+\] )?([^|]*[^| ])", said) or [said]
    return f"{NAME} has {WEBGPU}, but cannot use it here: {words}"

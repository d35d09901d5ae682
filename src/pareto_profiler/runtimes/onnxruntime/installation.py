"""An ONNX Runtime on a target: the one library of its wheel, pushed where it is not here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.core.support import SupportTable
from pareto_profiler.errors import RunError, TargetError
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runtimes.base import Engine, Where
from pareto_profiler.runtimes.installed import DriverInstallation
from pareto_profiler.runtimes.onnxruntime.engine import OnnxRuntimeEngine
from pareto_profiler.runtimes.onnxruntime.folding import NAME, WHEEL, folded
from pareto_profiler.runtimes.onnxruntime.rewriting import PACKED, PLAIN, Base
from pareto_profiler.shells.base import Shell


@dataclass(frozen=True, slots=True)
class OnnxRuntimeInstallation(DriverInstallation):
    """An ONNX Runtime that its driver measures."""

    runtime = NAME
    _bases: dict[str, Base] = field(default_factory=dict)

    def offered_backends(self) -> tuple[str, ...]:
        return (PACKED, PLAIN)

    def support(
        self,
        table: SupportTable,
        backends: Sequence[str],
        folder: PurePosixPath,
        model: Model,
        inputs: Sequence[Array],
    ) -> SupportTable:
        """What the runtime packs of a model: its processor decides, so it is asked once."""
        del backends
        space = DecisionSpace.by_groups(
            (PACKED, PLAIN), Granularity.OPERATION, {"all": list(model.graph.operations)}
        )
        engine = self._engine(folder, space, Plan(), model, inputs)
        try:
            packable = engine.packable()
        except RunError as error:
            raise TargetError(f"{model.path}: {NAME} cannot load it: {error.message}") from error
        finally:
            engine.close()
        return _Packable(table, packable)

    def start(
        self,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        model: Model,
        inputs: Sequence[Array],
    ) -> Engine:
        return self._engine(folder, space, plan, model, inputs)

    def _engine(
        self,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        model: Model,
        inputs: Sequence[Array],
    ) -> OnnxRuntimeEngine:
        digest = model.graph.digest
        if digest not in self._bases:
            self._bases[digest] = folded(model)
        return OnnxRuntimeEngine(
            self.driver,
            folder,
            space,
            plan,
            model=model,
            base=self._bases[digest],
            inputs=inputs,
            energy=self.energy,
        )


@dataclass(frozen=True, slots=True)
class _Packable:
    """A support table for which the runtime itself decides of what it does not pack."""

    table: SupportTable
    packable: frozenset[int]

    def why_not(self, backend: str, operation: Operation) -> str:
        return self.table.why_not(backend, operation)

    def is_fixed(self, operation: Operation) -> bool:
        return operation.index not in self.packable

    def check_granularity(self, graph: Graph, granularity: str) -> None:
        self.table.check_granularity(graph, granularity)


def find(shell: Shell, where: Where) -> OnnxRuntimeInstallation:
    """The library of the wheel, or the one that is named; on another machine it is pushed.

    Raises:
        InputError: There is no such library.
        TargetError: It cannot be used there.
    """
    driver, version = WHEEL.driver(shell, where)
    return OnnxRuntimeInstallation(driver, version, where.energy)

"""An ONNX Runtime on a target: the one library of its wheel, pushed where it is not here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from pareto_profiler.runtimes.onnxruntime.providers import PROVIDERS, offered
from pareto_profiler.runtimes.onnxruntime.rewriting import PACKED, PLAIN, Base
from pareto_profiler.shells.base import Shell


@dataclass(frozen=True, slots=True)
class OnnxRuntimeInstallation(DriverInstallation):
    """An ONNX Runtime that its driver measures.

    Attributes:
        providers: Backends that the library has beside the CPU's.
    """

    runtime = NAME
    providers: tuple[str, ...] = ()
    _bases: dict[str, Base] = field(default_factory=dict)

    def offered_backends(self) -> tuple[str, ...]:
        return (PACKED, PLAIN, *self.providers)

    def support(
        self,
        table: SupportTable,
        backends: Sequence[str],
        folder: PurePosixPath,
        model: Model,
        inputs: Sequence[Array],
    ) -> SupportTable:
        """What the runtime packs of a model, and what its providers take: each is asked once."""
        space = DecisionSpace.by_groups(
            (PACKED, PLAIN), Granularity.OPERATION, {"all": list(model.graph.operations)}
        )
        engine = self._engine(folder, space, Plan(), model, inputs)
        try:
            packable = engine.packable()
            taken = {b: _taken(engine, b) for b in backends if b in PROVIDERS}
        except RunError as error:
            raise TargetError(f"{model.path}: {NAME} cannot load it: {error.message}") from error
        finally:
            engine.close()
        return _Asked(table, packable, taken, packable.union(*taken.values()))

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


def _taken(engine: OnnxRuntimeEngine, backend: str) -> frozenset[int]:
    try:
        return engine.taken(backend)
    except RunError as error:
        # Its words begin with files of the source and conditions that do not hold.
        words = error.message.rpartition(" was false. ")[2]
        raise TargetError(f"{NAME} has {backend}, but cannot use it here: {words}") from error


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the runtime said of a model's operations when it was asked.

    Attributes:
        table: What is known without asking.
        packable: Operations that it packs.
        taken: Provider's backend → operations that it takes.
        decided: Operations of either.
    """

    table: SupportTable
    packable: frozenset[int]
    taken: Mapping[str, frozenset[int]]
    decided: frozenset[int]

    def why_not(self, backend: str, operation: Operation) -> str:
        if operation.index not in self.taken.get(backend, {operation.index}):
            return f"{backend} does not take @{operation.index} {operation.name}"
        if backend == PLAIN and operation.index not in self.packable:
            return f"@{operation.index} {operation.name} has no weights that are packed"
        return self.table.why_not(backend, operation)

    def is_fixed(self, operation: Operation) -> bool:
        return operation.index not in self.decided

    def check_granularity(self, graph: Graph, granularity: str) -> None:
        self.table.check_granularity(graph, granularity)


def find(shell: Shell, where: Where) -> OnnxRuntimeInstallation:
    """The library of the wheel, or the one that is named; on another machine it is pushed.

    Raises:
        InputError: There is no such library.
        TargetError: It cannot be used there.
    """
    driver, version = WHEEL.driver(shell, where)
    there = offered(version, driver.opened().get("providers", ()))
    return OnnxRuntimeInstallation(driver, version, where.energy, there)

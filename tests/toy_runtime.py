"""A runtime of one file: it computes what measuring would tell."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Fault, no_faults
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.support import SupportTable
from pareto_profiler.core.traits import Traits
from pareto_profiler.core.trial import OperationTime, Placement, Profile
from pareto_profiler.errors import FailureKind, RunError, TargetError
from pareto_profiler.models import Model, load
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runtimes.base import Engine, Form, Installation, Launch, Runtime, Where
from pareto_profiler.shells.base import Shell

# Seconds and bytes of one operation.
COSTS = {"slow": (2e-3, 1e5), "fast": (1e-3, 1e6)}


@dataclass(frozen=True)
class Words:
    """One assignment in the toy's words."""

    text: str


class Toy:
    """Places operations anywhere, at a price."""

    name = "toy"
    formats = frozenset({"tflite"})
    backends = tuple(COSTS)
    on_request: frozenset[str] = frozenset()
    tables = frozenset(COSTS)
    rewrites: frozenset[str] = frozenset()
    settings: Mapping[str, tuple[str, ...]] = {"threads": ()}
    traits = Traits(zero_copy=(frozenset(COSTS),))
    forms: Mapping[str, Form] = {}

    def read(self, path: Path) -> Model:
        return load(path)

    def why_not(self, backend: str, operation: Operation) -> str:
        return f"{backend} has no TANH" if (backend, operation.name) == ("fast", "TANH") else ""

    def is_fixed(self, operation: Operation) -> bool:
        return operation.name == "RESHAPE"

    def check_granularity(self, graph: Graph, granularity: str) -> None:
        pass

    def configuration(
        self, space: DecisionSpace, assignment: Assignment, plan: Plan | None
    ) -> Words:
        return Words("toy " + " ".join(f"{i}:{b}" for i, b in _placed(space, assignment)))

    def faults(self, header: Header) -> Callable[[Assignment], tuple[Fault, ...]]:
        return no_faults

    def find(self, shell: Shell, where: Where) -> Installation:
        return Found()


@dataclass(frozen=True)
class Found:
    """It is everywhere."""

    name: str = "toy 1"
    library: str = ""
    tells_energy: bool = False

    def digest(self) -> str:
        return "0"

    def offered_backends(self) -> tuple[str, ...]:
        return Toy.backends

    def support(
        self,
        table: SupportTable,
        backends: Sequence[str],
        folder: PurePosixPath,
        model: Model,
        inputs: Sequence[Array],
    ) -> SupportTable:
        return table

    def start(
        self,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        model: Model,
        inputs: Sequence[Array],
    ) -> Engine:
        return Computed(space)


class Computed:
    """Adds up costs."""

    can_profile = True

    def __init__(self, space: DecisionSpace) -> None:
        self._space = space

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        placed = _placed(self._space, assignment)
        if not self._space.is_feasible(assignment):
            raise RunError(FailureKind.REJECTED, "not that")
        if dict(placed).get(0) == "fast" and dict(placed).get(1) == "slow":
            raise RunError(FailureKind.REJECTED, "not these two")
        seconds = sum(COSTS[b][0] for _, b in placed)
        memory = 1e6 + sum(COSTS[b][1] for _, b in placed)
        return Measurement({"exec_time": (seconds,) * 5, "max_rss": (memory,)}, output_error=0.0)

    def placement(self, assignment: Assignment) -> Placement | None:
        return Placement(assignment, _placed(self._space, assignment))

    def profile(self, assignment: Assignment) -> Profile:
        placed = _placed(self._space, assignment)
        return Profile(tuple(OperationTime(i, b, COSTS[b][0]) for i, b in placed))

    def refusal(self, backend_by_operation: Mapping[int, str]) -> str:
        return ""

    def loads(self, backend: str) -> bool:
        return True

    def reference(self) -> list[Array] | None:
        return None

    def compare_on(self, sets: Sequence[Sequence[Array]]) -> None:
        pass

    def remarks(self) -> list[str]:
        return []

    def run_artifact(
        self, launch: Launch, assignment: Assignment
    ) -> tuple[Measurement, Placement | None]:
        raise TargetError("a toy ships nothing")

    def close(self) -> None:
        pass


def _placed(space: DecisionSpace, assignment: Assignment) -> tuple[tuple[int, str], ...]:
    return tuple(space.backend_by_operation(assignment).items())


RUNTIME: Runtime = Toy()

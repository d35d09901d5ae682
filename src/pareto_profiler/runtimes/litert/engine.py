"""LiteRTEngine: assignments of one model on LiteRT, through its driver."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.support import SupportTable
from pareto_profiler.core.trial import OperationTime, Placement, Profile
from pareto_profiler.drivers.answer import Event, measurement_of
from pareto_profiler.drivers.engine import Driver, DriverEngine, Realisation, run_program
from pareto_profiler.errors import FailureKind, RunError, TargetError
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runtimes.base import Launch
from pareto_profiler.runtimes.litert.placing import (
    BUILTIN,
    LiteRTConfiguration,
    operations_in,
    options_of,
    places_of,
)

# Of one backend in a profile, so that neighbours, and mostly what is side by side, are apart.
_INSTANCES: Final = 16
_PROFILED_RUNS: Final = 30
_NAMED: Final = 5
_MAX_CACHES: Final = 6


@dataclass(frozen=True, slots=True)
class LiteRTLaunch(Launch):
    """Sets of operations as they are shipped.

    Attributes:
        sets: Options of each set's delegate, and its operations.
        threads: Of the builtin kernels.
        program: A Python program on this machine that runs the model.
    """

    sets: Sequence[tuple[str, str]] = ()
    threads: int = 1
    program: Path | None = None


class LiteRTEngine(DriverEngine):
    """Measures assignments of one model with LiteRT.

    Args:
        driver: What measures.
        folder: A folder on the target for the model, inputs, reference outputs and weight caches.
        space: What may be asked for.
        plan: How to measure.
        model: The model.
        inputs: Input tensors.
        energy: Files of counters of energy or sensors of power that are read with the runs.

    Raises:
        TargetError: The target cannot take the files.
    """

    def __init__(
        self,
        driver: Driver,
        folder: PurePosixPath,
        space: DecisionSpace,
        plan: Plan,
        *,
        model: Model,
        inputs: Sequence[Array],
        energy: Sequence[str] = (),
    ) -> None:
        self._model_file = folder / "model.tflite"
        self._graph = model.graph
        self._built: dict[PurePosixPath, int] = {}
        super().__init__(
            driver,
            folder,
            space,
            plan,
            files={self._model_file: model.file},
            inputs=inputs,
            output_types=model.graph.output_types,
            energy=energy,
        )

    def loads(self, backend: str) -> bool:
        try:
            self.claimed(backend, [o.index for o in self._graph.operations])
        except RunError:
            return False
        return True

    def claimed(self, backend: str, operations: Sequence[int]) -> frozenset[int]:
        """Which of some operations a backend takes, where all of them are offered to it.

        Raises:
            RunError, TargetError: As :meth:`run`.
        """
        way = self._on(dict.fromkeys(operations, backend), self._plan.threads)

        def step() -> frozenset[int]:
            prepared = self._answer(way, {"prepare_only": True}, "prepared")["prepared"]
            return frozenset(_placed(prepared, self._graph))

        return self._workspace.recovering(step)

    def run_artifact(
        self, launch: Launch, assignment: Assignment
    ) -> tuple[Measurement, Placement | None]:
        if not isinstance(launch, LiteRTLaunch):
            raise TargetError("what was written is for another runtime")
        if launch.program is not None:
            return run_program(launch.program), None
        names = [f"set {k}" for k in range(len(launch.sets))]
        request = {
            "model": str(self._model_file),
            "backends": {n: {"options": o} for n, (o, _) in zip(names, launch.sets, strict=True)},
            "place": [[ranges, n] for n, (_, ranges) in zip(names, launch.sets, strict=True)],
            "operations": self._graph.own_count,
            "threads": launch.threads,
        }

        def step() -> dict[str, Event]:
            self._have_reference()
            members = {**self._runs(), "reference": str(self._reference)}
            return self._answer(Realisation(request), members, "measured", is_random=True)

        events = self._workspace.recovering(step)
        options = {n: {"options": o} for n, (o, _) in zip(names, launch.sets, strict=True)}
        placed = {i: options[n] for i, n in _placed(events["prepared"], self._graph).items()}
        told = LiteRTConfiguration.of(self._space, assignment, self._plan)
        return measurement_of(events, self._error_of(events)), Placement(
            assignment,
            tuple(told.backend_by_operation.items()),
            tuple(
                f"operation {i} is not run as {backend} runs it"
                for i, backend in told.backend_by_operation.items()
                if placed.get(i, {}) != options_of(backend, told.threads)
            ),
        )

    def _realise(self, assignment: Assignment) -> Realisation:
        told = LiteRTConfiguration.of(self._space, assignment, self._plan)
        if not told.weight_cache:
            return self._on(told.backend_by_operation, told.threads)
        folder = self._folder / f"weights-{hashlib.sha256(told.text.encode()).hexdigest()[:12]}"
        way = self._on(told.backend_by_operation, told.threads, folder)
        self._build_caches(way, folder)
        return way

    def _prepare(self, backend_by_operation: Mapping[int, str]) -> Realisation:
        first = self._space.backends[0]
        every = {o.index: first for o in self._graph.operations} | dict(backend_by_operation)
        return self._on(every, self._plan.threads)

    def _on(
        self,
        backend_by_operation: Mapping[int, str],
        threads: int,
        caches: PurePosixPath | None = None,
    ) -> Realisation:
        places = places_of(self._graph, backend_by_operation)
        # Of each set its own file: two delegates that share one overwrite each other's.
        files = {b: str(caches / b) if caches else "" for _, b in places}
        backends = {b: options_of(b, threads, file) for b, file in files.items()}
        request = {
            "model": str(self._model_file),
            "backends": {**backends, BUILTIN: {}},
            "place": places,
            "operations": self._graph.own_count,
            "threads": threads,
        }
        return Realisation(request)

    def _build_caches(self, way: Realisation, folder: PurePosixPath) -> None:
        """Run once where files are not there yet: that run is not the steady state.

        A few assignments' are kept: each is as large as its packed weights.
        """
        if self._built.pop(folder, 0) != self._workspace.pushed:
            self._workspace.write(b"", folder / "begun")
            self._answer(way, {"runs": [0, 0]}, "measured")
        self._built[folder] = self._workspace.pushed
        while len(self._built) > _MAX_CACHES:
            oldest = next(iter(self._built))
            del self._built[oldest]
            self._driver.shell.remove(oldest)

    def _check(self, assignment: Assignment, prepared: Event) -> None:
        """See that each delegate claimed what it was to take."""
        if words := self._refused(self._space.backend_by_operation(assignment), prepared):
            raise RunError(FailureKind.REJECTED, words)

    def _refused(self, backend_by_operation: Mapping[int, str], prepared: Event) -> str:
        placed = _placed(prepared, self._graph)
        refused: dict[str, list[int]] = {}
        for i, backend in backend_by_operation.items():
            if placed.get(i, BUILTIN) != backend:
                refused.setdefault(backend, []).append(i)
        words = "; ".join(f"{b} did not take {self._named(i)}" for b, i in refused.items())
        return f"{words}: they fell to {BUILTIN}" if words else ""

    def _named(self, indices: Sequence[int]) -> str:
        operations = [self._graph.operations[i] for i in indices]
        named = ", ".join(f"@{o.index} {o.name}" for o in operations[:_NAMED])
        more = len(operations) - _NAMED
        return f"{named} and {more} more" if more > 0 else named

    def _placement(self, assignment: Assignment) -> Placement | None:
        way = self._realise(assignment)
        prepared = self._answer(way, {"prepare_only": True}, "prepared")["prepared"]
        placed = _placed(prepared, self._graph)
        wanted = self._space.backend_by_operation(assignment)
        return Placement(
            assignment,
            tuple((i, placed.get(i, BUILTIN)) for i in range(len(self._graph.operations))),
            tuple(
                f"operation {i}: {backend} was asked for, {placed.get(i, BUILTIN)} ran it"
                for i, backend in wanted.items()
                if placed.get(i, BUILTIN) != backend
            ),
        )

    def _profile(self, assignment: Assignment) -> Profile:
        told = LiteRTConfiguration.of(self._space, assignment, self._plan)
        apart = {
            i: b if b == BUILTIN else f"{b}#{i % _INSTANCES}"
            for i, b in told.backend_by_operation.items()
        }
        members = {"runs": [1, 1], "warmups": 3, "profile_runs": _PROFILED_RUNS}
        events = self._answer(self._on(apart, told.threads), members, "profiled")
        found: dict[int, OperationTime] = {}
        for entry in events["profiled"]["operations"]:
            indices = operations_in(entry["at"], self._graph)
            if len(indices) == 1:
                backend = entry["backend"].partition("#")[0] or BUILTIN
                found[indices[0]] = OperationTime(indices[0], backend, _middle(entry["ns"]))
        return Profile(tuple(found[i] for i in sorted(found)))


@dataclass(frozen=True, slots=True)
class Asked:
    """What the backends said of a model's operations when they were asked.

    Attributes:
        table: What is known without asking.
        taken: Backend → operations that it takes.
    """

    table: SupportTable
    taken: Mapping[str, frozenset[int]]

    def why_not(self, backend: str, operation: Operation) -> str:
        if backend not in self.taken or operation.index in self.taken[backend]:
            return self.table.why_not(backend, operation)
        return f"{backend} does not take @{operation.index} {operation.name}"

    def is_fixed(self, operation: Operation) -> bool:
        return self.table.is_fixed(operation)

    def check_granularity(self, graph: Graph, granularity: str) -> None:
        self.table.check_granularity(graph, granularity)


def _placed(prepared: Event, graph: Graph) -> dict[int, str]:
    """Operation → the backend that claimed it."""
    rows: Sequence[Any] = prepared["placed"]
    return {i: backend for ranges, backend in rows for i in operations_in(ranges, graph)}


def _middle(nanoseconds: Sequence[int]) -> float:
    """Seconds: the mean of the middle half, since the clock counts whole microseconds."""
    ordered = sorted(nanoseconds)
    quarter = len(ordered) // 4
    middle = ordered[quarter : len(ordered) - quarter]
    return sum(middle) / len(middle) / 1e9

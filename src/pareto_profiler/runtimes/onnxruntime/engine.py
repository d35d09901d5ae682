"""OnnxRuntimeEngine: assignments of one model on ONNX Runtime, through its driver."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from statistics import median
from typing import Any, Final

from pareto_profiler.core.graph import Graph
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import OperationTime, Placement, Profile
from pareto_profiler.drivers.answer import Event, measurement_of
from pareto_profiler.drivers.engine import Driver, DriverEngine, Realisation, run_program
from pareto_profiler.errors import FailureKind, RunError, TargetError
from pareto_profiler.models import Model
from pareto_profiler.models.onnx_reader import parsed
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runtimes.base import Launch
from pareto_profiler.runtimes.onnxruntime.configuration import (
    OnnxRuntimeConfiguration,
    options_text,
)
from pareto_profiler.runtimes.onnxruntime.rewriting import (
    PACKED,
    PLAIN,
    SAVED_WEIGHTS,
    WEIGHTS,
    Base,
    Rewritten,
)

_PROFILED_RUNS: Final = 30
_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class OnnxRuntimeLaunch(Launch):
    """A model as it is shipped.

    Attributes:
        model: The file, with the weights beside it.
        options: Of the session.
        threads: Of the session.
        environment: Variables of the process.
        program: A Python program on this machine that runs it.
    """

    model: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    program: Path | None = None


class OnnxRuntimeEngine(DriverEngine):
    """Measures assignments of one model with ONNX Runtime.

    Args:
        driver: What measures.
        folder: A folder on the target for models, weights, inputs and reference outputs.
        space: What may be asked for.
        plan: How to measure.
        model: The model.
        base: It, with all that is constant folded.
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
        base: Base,
        inputs: Sequence[Array],
        energy: Sequence[str] = (),
    ) -> None:
        self._graph: Graph = model.graph
        self._base = base
        self._packable: frozenset[int] | None = None
        super().__init__(
            driver,
            folder,
            space,
            plan,
            files={folder / WEIGHTS: base.folder / WEIGHTS},
            inputs=inputs,
            output_types=model.graph.output_types,
            energy=energy,
        )

    def loads(self, backend: str) -> bool:
        return backend in {PACKED, PLAIN}

    def packable(self) -> frozenset[int]:
        """Operations that the runtime packs where their weights are constants.

        Raises:
            RunError, TargetError: As :meth:`run`.
        """
        if self._packable is None:

            def step() -> frozenset[int]:
                ways = self._read_back(self._base.rewritten(()), {}, self._plan.threads)
                return frozenset(i for i, way in ways.items() if way == PACKED)

            self._packable = self._workspace.recovering(step)
        return self._packable

    def run_artifact(
        self, launch: Launch, assignment: Assignment
    ) -> tuple[Measurement, Placement | None]:
        if not isinstance(launch, OnnxRuntimeLaunch) or launch.model is None:
            raise TargetError("what was written is for another runtime")
        if launch.program is not None:
            return run_program(launch.program), None
        shipped = self._folder / "shipped"
        files = [launch.model, launch.model.with_name(WEIGHTS)]
        there = shipped / launch.model.name

        def step() -> dict[str, Event]:
            self._have_reference()
            for file in files:
                if file.is_file():
                    self._driver.shell.push(file, shipped / file.name)
            way = self._way(there, launch.options, launch.threads, launch.environment)
            members = {**self._runs(), "reference": str(self._reference)}
            return self._answer(way, members, "measured", is_random=True)

        events = self._workspace.recovering(step)
        told = self._told(assignment)
        wanted = self._rewritten(told).overridable
        is_as_told = frozenset(events["prepared"]["overridable"]) == wanted
        words = "weights are left as they are that should not be, or the other way round"
        placement = Placement(
            assignment,
            tuple(told.backend_by_operation.items()),
            () if is_as_told else (words,),
        )
        return measurement_of(events, self._error_of(events)), placement

    def _told(self, assignment: Assignment) -> OnnxRuntimeConfiguration:
        return OnnxRuntimeConfiguration.of(self._space, assignment, self._plan)

    def _rewritten(self, told: OnnxRuntimeConfiguration) -> Rewritten:
        plain = {i for i, b in told.backend_by_operation.items() if b == PLAIN}
        return self._base.rewritten(plain & self.packable())

    def _realise(self, assignment: Assignment) -> Realisation:
        told = self._told(assignment)
        return self._written(self._rewritten(told), told)

    def _written(self, made: Rewritten, told: OnnxRuntimeConfiguration) -> Realisation:
        file = self._folder / "model.onnx"
        content = made.content if told.external_data else self._base.whole(made)
        self._workspace.write(content, file)
        return self._way(file, told.options, told.threads, told.environment)

    def _way(
        self,
        file: PurePosixPath,
        options: Mapping[str, str],
        threads: int,
        environment: Mapping[str, str] | None = None,
    ) -> Realisation:
        return Realisation(
            {
                "model": str(file),
                "backends": {"session": {"options": options_text(options)}},
                "threads": threads,
            },
            environment or {},
        )

    def _prepare(self, backend_by_operation: Mapping[int, str]) -> Realisation:
        told = OnnxRuntimeConfiguration(dict(backend_by_operation), self._plan.threads)
        return self._written(self._rewritten(told), told)

    def _check(self, assignment: Assignment, prepared: Event) -> None:
        """See that the session found those weights overridable that were to be, and no others."""
        wanted = self._rewritten(self._told(assignment)).overridable
        found = frozenset(prepared["overridable"])
        if wanted != found:
            names = sorted(wanted ^ found)
            more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
            words = ", ".join(names[:_NAMED])
            raise RunError(
                FailureKind.REJECTED, f"weights are not taken as they were written: {words}{more}"
            )

    def _read_back(
        self, made: Rewritten, options: Mapping[str, str], threads: int
    ) -> dict[int, str]:
        """How operations are run, from the graph that the runtime saves."""
        saved = self._folder / "saved"
        file, model = saved / "model.onnx", self._folder / "model.onnx"
        self._workspace.write(made.content, model)
        self._workspace.write(b"", file)
        save = {"save": str(file), **SAVED_WEIGHTS}
        way = self._way(model, {**options, **save}, threads)
        prepared = self._answer(way, {"prepare_only": True}, "prepared")["prepared"]
        content = self._workspace.read(file)
        self._driver.shell.remove(saved)
        if not content:
            raise TargetError(
                "onnxruntime saved no optimised graph: an operation's way is not told"
            )
        return self._base.read_back(parsed(content, Path(file.name)), prepared["overridable"])

    def _placement(self, assignment: Assignment) -> Placement | None:
        told = self._told(assignment)
        ways = self._read_back(self._rewritten(told), told.options, told.threads)
        return Placement(
            assignment,
            tuple((i, ways.get(i, b)) for i, b in told.backend_by_operation.items()),
            tuple(
                f"operation {i}: {backend} was asked for, {ways[i]} ran it"
                for i, backend in told.backend_by_operation.items()
                if i in self.packable() and ways.get(i, backend) != backend
            ),
        )

    def _profile(self, assignment: Assignment) -> Profile:
        told = self._told(assignment)
        members = {"runs": [1, 1], "warmups": 3, "profile_runs": _PROFILED_RUNS}
        events = self._answer(self._realise(assignment), members, "profiled")
        file = PurePosixPath(events["profiled"]["file"])
        content = self._workspace.read(file)
        self._driver.shell.remove(file)
        times = times_of(content or b"[]", self._base)
        return Profile(
            tuple(
                OperationTime(i, told.backend_by_operation.get(i, ""), times[i])
                for i in sorted(times)
            )
        )


def times_of(content: bytes, base: Base) -> dict[int, float]:
    """Operation → seconds: medians over runs, from the runtime's profile.

    Raises:
        RunError: It is not what the runtime writes.
    """
    try:
        events: list[dict[str, Any]] = json.loads(content)
        told = [
            (str(e["name"]), str(e["args"]["op_name"]), float(e["dur"]))
            for e in events
            if e.get("cat") == "Node" and str(e.get("name", "")).endswith("_kernel_time")
        ]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(FailureKind.REJECTED, f"the profile cannot be read: {error}") from error
    microseconds: dict[str, list[float]] = {}
    operations: dict[str, int | None] = {}
    for name, builtin, duration in told:
        microseconds.setdefault(name, []).append(duration)
        operations[name] = base.operation_of_event(name, builtin)
    seconds: dict[int, float] = {}
    for name, values in microseconds.items():
        if (operation := operations[name]) is not None:
            seconds[operation] = seconds.get(operation, 0.0) + median(values) / 1e6
    return seconds

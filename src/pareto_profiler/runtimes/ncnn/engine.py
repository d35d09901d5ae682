"""NcnnEngine: assignments of one model on ncnn, through its driver."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from statistics import median
from typing import Final

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import OperationTime, Placement, Profile
from pareto_profiler.drivers.answer import Event, measurement_of
from pareto_profiler.drivers.engine import Driver, DriverEngine, Realisation, run_program
from pareto_profiler.errors import FailureKind, RunError, TargetError
from pareto_profiler.models import Model
from pareto_profiler.models.param_reader import weights_file
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runtimes import allocator
from pareto_profiler.runtimes.base import Launch
from pareto_profiler.runtimes.ncnn.masks import BACKENDS, NcnnConfiguration, masked

_PROFILED_RUNS: Final = 20


@dataclass(frozen=True, slots=True)
class NcnnLaunch(Launch):
    """A model as it is shipped.

    Attributes:
        model: The .param file, with the weights beside it.
        options: Of the net.
        threads: Of the net.
        environment: Variables of the process.
        program: A Python program on this machine that runs it.
    """

    model: Path | None = None
    options: Mapping[str, int] | None = None
    threads: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    program: Path | None = None


class NcnnEngine(DriverEngine):
    """Measures assignments of one model with ncnn.

    Args:
        driver: What measures.
        folder: A folder on the target for models, weights, inputs and reference outputs.
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
        self._graph = model.graph
        self._text = model.file.read_text(encoding="utf-8")
        self._weights = folder / "model.bin"
        super().__init__(
            driver,
            folder,
            space,
            plan,
            files={self._weights: weights_file(model.file)},
            inputs=inputs,
            output_types=model.graph.output_types,
            energy=energy,
        )

    def loads(self, backend: str) -> bool:
        return backend in BACKENDS

    def remarks(self) -> list[str]:
        return ["ncnn cannot say which kernel ran a layer: placement is not verifiable"]

    def run_artifact(
        self, launch: Launch, assignment: Assignment
    ) -> tuple[Measurement, Placement | None]:
        if not isinstance(launch, NcnnLaunch) or launch.model is None:
            raise TargetError("what was written is for another runtime")
        if launch.program is not None:
            return run_program(launch.program), None
        shipped = self._folder / "shipped"
        there = shipped / launch.model.name
        weights = weights_file(launch.model)

        def step() -> dict[str, Event]:
            self._have_reference()
            for file in (launch.model, weights):
                if file is not None:
                    self._driver.shell.push(file, shipped / file.name)
            way = self._way(there, shipped / weights.name, launch.options or {}, launch.threads)
            way = replace(way, environment=launch.environment)
            members = {**self._runs(), "reference": str(self._reference)}
            return self._answer(way, members, "measured", is_random=True)

        events = self._workspace.recovering(step)
        del assignment  # what ran where cannot be told
        return measurement_of(events, self._error_of(events)), None

    def _realise(self, assignment: Assignment) -> Realisation:
        return self._written(NcnnConfiguration.of(self._space, assignment, self._plan))

    def _prepare(self, backend_by_operation: Mapping[int, str]) -> Realisation:
        return self._written(NcnnConfiguration(dict(backend_by_operation), self._plan.threads, {}))

    def _written(self, told: NcnnConfiguration, layers: Sequence[str] = ()) -> Realisation:
        file = self._folder / "model.param"
        self._workspace.write(masked(self._text, told.backend_by_operation).encode(), file)
        way = self._way(file, self._weights, told.options, told.threads, layers)
        return replace(way, environment=allocator.environment(told.settings))

    def _way(
        self,
        file: PurePosixPath,
        weights: PurePosixPath,
        options: Mapping[str, int],
        threads: int,
        layers: Sequence[str] = (),
    ) -> Realisation:
        tensors = self._graph.tensors
        told = [("weights", str(weights)), *options.items()]
        told += [("input", tensors[t].name) for t in self._graph.inputs]
        told += [
            ("output", f"{tensors[t].size_bytes} {tensors[t].name}") for t in self._graph.outputs
        ]
        told += [("layer", name) for name in layers]
        text = "".join(f"{key} = {value}\n" for key, value in told)
        net = {"options": text}
        return Realisation({"model": str(file), "threads": threads, "backends": {"net": net}})

    def _check(self, assignment: Assignment, prepared: Event) -> None:
        del assignment
        layers = len(self._graph.operations) + len(self._graph.inputs)
        there = prepared.get("layers", layers)
        if there != layers:
            words = f"{there} layers were read, {layers} were written"
            raise RunError(FailureKind.REJECTED, words)

    def _placement(self, assignment: Assignment) -> Placement | None:
        del assignment
        return None

    def _profile(self, assignment: Assignment) -> Profile:
        told = NcnnConfiguration.of(self._space, assignment, self._plan)
        members = {"runs": [1, 1], "warmups": 3, "profile_runs": _PROFILED_RUNS}
        timed = [o for o in self._graph.operations if o.outputs]
        tops = [self._graph.tensors[o.outputs[-1]].name for o in timed]
        events = self._answer(self._written(told, tops), members, "profiled")
        return Profile(
            tuple(
                OperationTime(
                    operation.index,
                    told.backend_by_operation.get(operation.index, ""),
                    median(nanoseconds) / 1e9,
                )
                for operation, nanoseconds in zip(
                    timed, events["profiled"]["layer_ns"], strict=True
                )
            )
        )

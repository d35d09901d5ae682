"""OnnxRuntimeEngine: assignments of one model on ONNX Runtime, through its driver."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
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
from pareto_profiler.runtimes.onnxruntime.providers import (
    CPU,
    PROVIDERS,
    Provider,
    driver_options,
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
        providers: Backends of the session beside the CPU's.
        environment: Variables of the process.
        program: A Python program on this machine that runs it.
    """

    model: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    threads: int = 1
    providers: Sequence[str] = ()
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
        if backend in {PACKED, PLAIN}:
            return True
        try:
            self.taken(backend)
        except RunError:
            return False
        return True

    def taken(self, backend: str) -> frozenset[int]:
        """Operations that a provider takes where all are given to it.

        Raises:
            RunError: The session cannot be made with it: there is no such device, say.
            TargetError: As :meth:`run`.
        """

        def step() -> frozenset[int]:
            asked = dict.fromkeys(sorted(set(self._base.operation_at.values())), backend)
            told = OnnxRuntimeConfiguration(asked, self._plan.threads)
            way = self._written(self._rewritten(told), told)
            prepared = self._answer(way, {"prepare_only": True}, "prepared")["prepared"]
            return frozenset(asked) - self._on(prepared, CPU)

        return self._workspace.recovering(step)

    def packable(self) -> frozenset[int]:
        """Operations that the runtime packs where their weights are constants.

        Raises:
            RunError, TargetError: As :meth:`run`.
        """
        if self._packable is None:

            def step() -> frozenset[int]:
                told = OnnxRuntimeConfiguration({}, self._plan.threads)
                ways = self._read_back(self._base.rewritten(()), told)
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
            providers = [PROVIDERS[backend] for backend in launch.providers]
            way = self._way(
                there, launch.options, launch.threads, providers, environment=launch.environment
            )
            members = {**self._runs(), "reference": str(self._reference)}
            return self._answer(way, members, "measured", is_random=True)

        events = self._workspace.recovering(step)
        told = self._told(assignment)
        words = self._otherwise(told, events["prepared"])
        placement = Placement(
            assignment, tuple(told.backend_by_operation.items()), (words,) if words else ()
        )
        return measurement_of(events, self._error_of(events)), placement

    def _told(self, assignment: Assignment) -> OnnxRuntimeConfiguration:
        return OnnxRuntimeConfiguration.of(self._space, assignment, self._plan)

    def _rewritten(self, told: OnnxRuntimeConfiguration) -> Rewritten:
        plain = {i for i, b in told.backend_by_operation.items() if b == PLAIN}
        layers = {i: b for i, b in told.backend_by_operation.items() if b in PROVIDERS}
        return self._base.rewritten(plain & self.packable(), layers)

    def _realise(self, assignment: Assignment) -> Realisation:
        told = self._told(assignment)
        return self._written(self._rewritten(told), told)

    def _written(self, made: Rewritten, told: OnnxRuntimeConfiguration) -> Realisation:
        file = self._folder / "model.onnx"
        content = made.content if told.external_data else self._base.whole(made)
        self._workspace.write(content, file)
        return self._way(
            file, told.options, told.threads, told.providers, environment=told.environment
        )

    def _way(
        self,
        file: PurePosixPath,
        options: Mapping[str, str],
        threads: int,
        providers: Collection[Provider] = (),
        *,
        environment: Mapping[str, str] | None = None,
    ) -> Realisation:
        return Realisation(
            {
                "model": str(file),
                "backends": {
                    "session": {"options": options_text({**options, **driver_options(providers)})}
                },
                "threads": threads,
            },
            environment or {},
        )

    def _prepare(self, backend_by_operation: Mapping[int, str]) -> Realisation:
        told = OnnxRuntimeConfiguration(dict(backend_by_operation), self._plan.threads)
        return self._written(self._rewritten(told), told)

    def _check(self, assignment: Assignment, prepared: Event) -> None:
        if words := self._otherwise(self._told(assignment), prepared):
            raise RunError(FailureKind.REJECTED, words)

    def _refused(self, backend_by_operation: Mapping[int, str], prepared: Event) -> str:
        told = OnnxRuntimeConfiguration(dict(backend_by_operation), self._plan.threads)
        return self._otherwise(told, prepared)

    def _otherwise(self, told: OnnxRuntimeConfiguration, prepared: Event) -> str:
        """What the session made of an assignment that was not asked for; empty where nothing."""
        wanted = self._rewritten(told).overridable ^ frozenset(prepared["overridable"])
        if wanted:
            return f"weights are not taken as they were written: {_some(sorted(wanted))}"
        asked = told.backend_by_operation
        on_cpu = self._on(prepared, CPU)
        if left := [i for i in sorted(asked) if asked[i] in PROVIDERS and i in on_cpu]:
            return f"{asked[left[0]]} does not take {_some([f'@{i}' for i in left])}"
        for provider in told.providers:
            taken = self._on(prepared, provider.name)
            if wrong := [i for i in sorted(asked) if asked[i] != provider.backend and i in taken]:
                return f"{provider.backend} took {_some([f'@{i}' for i in wrong])}, too"
        return ""

    def _on(self, prepared: Event, provider: str) -> frozenset[int]:
        """Operations whose nodes the session lists for a provider.

        Where one lays out nodes anew, it lists none of them: only what is listed is told.
        """
        rows: Sequence[tuple[str, str]] = prepared.get("placed", ())
        made = (self._base.maker_of.get(name) for name, there in rows if there == provider)
        return frozenset(i for i in made if i is not None)

    def _read_back(self, made: Rewritten, told: OnnxRuntimeConfiguration) -> dict[int, str]:
        """How operations are run, from the graph that the runtime saves."""
        saved = self._folder / "saved"
        file, model = saved / "model.onnx", self._folder / "model.onnx"
        self._workspace.write(made.content, model)
        self._workspace.write(b"", file)
        save = {"save": str(file), **SAVED_WEIGHTS}
        way = self._way(model, {**told.options, **save}, told.threads, told.providers)
        prepared = self._answer(way, {"prepare_only": True}, "prepared")["prepared"]
        content = self._workspace.read(file)
        self._driver.shell.remove(saved)
        if not content:
            raise TargetError(
                "onnxruntime saved no optimised graph: an operation's way is not told"
            )
        ways = self._base.read_back(parsed(content, Path(file.name)), prepared["overridable"])
        on_cpu = self._on(prepared, CPU)
        placed = {
            i: b for i, b in told.backend_by_operation.items() if b in PROVIDERS and i not in on_cpu
        }
        return {**ways, **placed}

    def _placement(self, assignment: Assignment) -> Placement | None:
        told = self._told(assignment)
        ways = self._read_back(self._rewritten(told), told)
        return Placement(
            assignment,
            tuple((i, ways.get(i, b)) for i, b in told.backend_by_operation.items()),
            tuple(
                f"operation {i}: {backend} was asked for, {ways[i]} ran it"
                for i, backend in told.backend_by_operation.items()
                if ways.get(i, backend) != backend
                and (i in self.packable() or backend in PROVIDERS)
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

    Of what other providers than the CPU's run, the profile has only how long asking them took: that
    is left out.

    Raises:
        RunError: It is not what the runtime writes.
    """
    try:
        events: list[dict[str, Any]] = json.loads(content)
        told = [
            (str(e["name"]), str(e["args"]["op_name"]), float(e["dur"]))
            for e in events
            if e.get("cat") == "Node"
            and str(e.get("name", "")).endswith("_kernel_time")
            and e["args"].get("provider", CPU) == CPU
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


def _some(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"

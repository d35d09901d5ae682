"""Checking: whether a target can measure, and what of a model its backends can prepare."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import DecisionSpace, Granularity, Variable
from pareto_profiler.core.support import Support
from pareto_profiler.errors import RunError, TargetError
from pareto_profiler.jobs import Choices, folder_on, install
from pareto_profiler.models import Model
from pareto_profiler.runners.inputs import random_inputs
from pareto_profiler.runners.machine import Conditions, Machine, diagnostics
from pareto_profiler.runtimes.base import Installation, Runtime
from pareto_profiler.shells.base import Shell
from pareto_profiler.support_cache import SupportCache
from pareto_profiler.targets import Target


@dataclass(slots=True)
class Findings:
    """What a check found."""

    target: str
    machine: Machine
    conditions: Conditions
    runtime: str = ""
    library: str = ""
    offered: tuple[str, ...] = ()
    loading: dict[str, bool] = field(default_factory=dict)
    refusals: dict[str, dict[str, str]] = field(default_factory=dict)
    supported: set[tuple[str, str]] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def advice(self, model: Path | None) -> list[str]:
        """What to do about it, in plain words."""
        said = list(self.problems)
        said += diagnostics(self.machine, self.conditions)
        absent = [backend for backend, loads in self.loading.items() if not loads]
        if absent:
            said.append(
                f"{', '.join(absent)}: there, but not to be loaded (a missing driver or library, "
                f"such as OpenCL): searches leave it out"
            )
        said += self.remarks
        corrections = [
            f"{'--forbid' if words else '--allow'} {backend}:{operation}"
            for backend, refused in self.refusals.items()
            for operation, words in refused.items()
            if bool(words) == ((backend, operation) in self.supported)
        ]
        if corrections:
            said.append(
                f"search with {' '.join(corrections)}: here it is not as the support tables say"
            )
        if model is None and not self.problems:
            said.append("name a model, to see which backends load and what they can run of it")
        return said


def look_at_runtime(
    found: Findings, room: Runtime, target: Target, shell: Shell, model: Model | None, library: str
) -> None:
    """Add what a runtime there says, of itself and of a model."""
    try:
        installation = install(room, target, shell, Choices(Path(), library=library))
    except TargetError as error:
        found.problems.append(str(error))
        return
    found.runtime, found.library = installation.name, installation.library
    there = installation.offered_backends()
    wanted = target.backends_of(room.name)
    for backend in wanted:
        if there and backend not in there:
            found.problems.append(
                f"backend {backend}, which {target.name} is to have, is not there: "
                f"there are {', '.join(there)}"
            )
    found.offered = tuple(b for b in wanted if b in there) or there
    if model and found.offered:
        _try_operations(found, room, target, installation, model)


def _try_operations(
    found: Findings, room: Runtime, target: Target, installation: Installation, model: Model
) -> None:

    graph = model.graph
    support = Support.of([f"{backend}:*" for backend in found.offered], (), room)
    space = DecisionSpace.of(graph, found.offered, Granularity.NAME, support=support)
    known = SupportCache.of(found.machine, found.runtime, installation.digest(), graph.digest)
    folder = folder_on(target, f"check by {os.getpid()}")
    engine = installation.start(folder, space, Plan(), model, random_inputs(graph, 0))

    def refusal(backend: str, variable: Variable) -> str:
        question = f"{backend}:{variable.name}"
        if question not in known.answers:
            try:
                known.answers[question] = engine.refusal(
                    dict.fromkeys(variable.operations, backend)
                )
            except RunError as error:
                return f"{error.kind}: {error.message}"  # another time it may be otherwise
        return known.answers[question]

    try:
        if words := engine.refusal({}):
            found.problems.append(f"the model cannot be prepared at all: {words}")
            return
        found.remarks = engine.remarks()
        tables = DecisionSpace.of(graph, found.offered, Granularity.NAME, support=Support(room))
        found.supported = {(b, v.name) for v in tables.variables for b in v.feasible}
        for backend in found.offered:
            found.loading[backend] = engine.loads(backend)
            if found.loading[backend]:
                found.refusals[backend] = {v.name: refusal(backend, v) for v in space.variables}
    except RunError as error:
        found.problems.append(f"the model cannot be prepared at all: {error}")
    finally:
        engine.close()
        known.keep()

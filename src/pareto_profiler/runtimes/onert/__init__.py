"""onert, the runtime of Samsung's ONE: a map of operations to backends, read when it compiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from pareto_profiler.core.configuration import Configuration
from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Fault
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import Assignment, DecisionSpace, Granularity
from pareto_profiler.core.traits import Role, SettingTrait, Traits
from pareto_profiler.errors import SpaceError
from pareto_profiler.models import Model, load_of
from pareto_profiler.models.reader import CUSTOM
from pareto_profiler.runtimes.base import Form, Installation, Runtime, Where
from pareto_profiler.runtimes.onert import loader, support
from pareto_profiler.runtimes.onert.configuration import SETTING_VALUES
from pareto_profiler.shells.base import Shell

# onert hands tensors from one of these to another without a copy.
_PORTABLE: Final = frozenset({"cpu", "ruy", "xnnpack", "ggml", "builtin"})


class _Onert:
    name = "onert"
    formats = frozenset({"tflite", "circle"})
    backends = tuple(support.OPERATIONS)
    on_request: frozenset[str] = frozenset()
    tables = frozenset(support.OPERATIONS)
    rewrites = frozenset(
        "RESHAPE PRELU HARD_SWISH MIRROR_PAD REDUCE_MIN DEQUANTIZE DENSIFY".split()
    )
    settings = SETTING_VALUES
    traits = Traits(
        zero_copy=(_PORTABLE,),
        small=_PORTABLE,
        keeps_inputs=_PORTABLE,
        settings={
            "threads": SettingTrait(Role.THREADS),
            # WIC takes the largest first, FirstFit what comes first, Bump reuses nothing.
            "memory_planner": SettingTrait(
                Role.ARENA, {"WIC": (0.0, 0.02), "FirstFit": (0.1, 0.1), "Bump": (1.0, 0.5)}
            ),
            # Reuse takes a fixed order: all but Linear keep every activation, whatever the planner.
            "executor": SettingTrait(
                Role.OTHER, {"Linear": (0.0, 0.02), "Dataflow": (1.0, 0.5), "Parallel": (1.0, 0.5)}
            ),
        },
    )

    @property
    def forms(self) -> Mapping[str, Form]:
        from pareto_profiler.runtimes.onert.forms import FORMS

        return FORMS

    def read(self, path: Path) -> Model:
        model = load_of(path, self.formats, self.name)
        return replace(model, graph=named(model.graph))

    def why_not(self, backend: str, operation: Operation) -> str:
        return support.why_not(backend, operation)

    def is_fixed(self, operation: Operation) -> bool:
        is_refused = operation.problem.startswith((loader.UNKNOWN, loader.FOREIGN))
        return operation.name in support.FIXED_NAMES or is_refused

    def check_granularity(self, graph: Graph, granularity: str) -> None:
        if graph.subgraph_count > 1 and granularity != Granularity.NAME:
            raise SpaceError(
                f"the model has {graph.subgraph_count} subgraphs and onert applies one index map "
                f"to each of them: granularity {granularity} cannot be told, use name"
            )

    def configuration(
        self, space: DecisionSpace, assignment: Assignment, plan: Plan | None
    ) -> Configuration:
        from pareto_profiler.runtimes.onert.shipment import configuration

        return configuration(space, assignment, plan)

    def faults(self, header: Header) -> Callable[[Assignment], tuple[Fault, ...]]:
        from pareto_profiler.runtimes.onert.faults import faults_of

        return faults_of(header)

    def find(self, shell: Shell, where: Where) -> Installation:
        from pareto_profiler.runtimes.onert.installation import find

        return find(shell, where)


def named(graph: Graph) -> Graph:
    """A graph with onert's names of operations, and what its loader refuses."""
    bodies = tuple(
        replace(body, operations=tuple(_named(o, graph) for o in body.operations))
        for body in graph.bodies
    )
    return replace(
        graph, operations=tuple(_named(o, graph) for o in graph.operations), bodies=bodies
    )


def _named(operation: Operation, graph: Graph) -> Operation:
    """An operation as onert's loader names it, with what the loader refuses."""
    is_circle = graph.format == "circle"
    made = loader.translate(
        operation.builtin, is_custom=operation.kind == CUSTOM, is_circle=is_circle
    )
    # Those of a body are not the graph's.
    touched = [] if operation.subgraph else [*operation.inputs, *operation.outputs]
    dtypes = [graph.tensors[t].dtype for t in touched if t >= 0] or [operation.dtype]
    problem = loader.problem_of(
        operation.builtin,
        made,
        operation.inputs,
        operation.outputs,
        tuple(dtypes),
        is_circle=is_circle,
    )
    ends = {*graph.inputs, *graph.outputs}.intersection(touched)
    if not problem and any(graph.tensors[t].dtype == "int16" for t in ends):
        problem = "an input or output of the model is int16, which onert's calls do not take"
    return replace(
        operation,
        name=made.name if made else operation.builtin,
        kind=made.kind if made else "",
        problem=problem,
    )


RUNTIME: Final[Runtime] = _Onert()

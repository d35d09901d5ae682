"""LiteRT: one compiled model, with a delegate of its own for each set of operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from pareto_profiler.core.configuration import Configuration
from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Fault, no_faults
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.traits import Role, SettingTrait, Traits
from pareto_profiler.errors import ModelError
from pareto_profiler.models import Model, load_of
from pareto_profiler.models.signatures import alike, named_outputs, stray
from pareto_profiler.runtimes.base import Form, Installation, Runtime, Where
from pareto_profiler.runtimes.litert.placing import (
    BACKENDS,
    BUILTIN,
    ON_REQUEST,
    WEBGPU,
    is_constant,
)
from pareto_profiler.shells.base import Shell

# The interpreter runs these itself, whatever the operations of their bodies run on.
_CONTROL_FLOW: Final = {"IF", "WHILE", "CALL", "CALL_ONCE", "STABLEHLO_COMPOSITE"}


_DISPATCH: Final = "DISPATCH_OP"
_COMPILED: Final = "compiled for an NPU: take the model that it was compiled from"


class _LiteRT:
    name = "litert"
    formats = frozenset({"tflite"})
    backends = tuple(BACKENDS)
    on_request = ON_REQUEST
    tables = frozenset({BUILTIN})
    rewrites: frozenset[str] = frozenset()
    settings: Mapping[str, tuple[str, ...]] = {"threads": (), "weight_cache": ("off", "on")}
    # All but the GPU work on the same tensors, and bring no library of their own.
    traits = Traits(
        zero_copy=(frozenset(BACKENDS) - {WEBGPU},),
        small=frozenset(BACKENDS) - {WEBGPU},
        is_partitioned=True,
        settings={"threads": SettingTrait(Role.THREADS), "weight_cache": SettingTrait(Role.OTHER)},
    )

    @property
    def forms(self) -> Mapping[str, Form]:
        from pareto_profiler.runtimes.litert.forms import FORMS

        return FORMS

    def read(self, path: Path) -> Model:
        model = load_of(path, self.formats, self.name)
        # LiteRT looks names up among the outputs, and ends the process where one is not there.
        named = list(named_outputs(model.file))
        if words := stray(named, model.graph.outputs):
            raise ModelError(
                f"{path}: {words}, so LiteRT cannot run it; convert it again, or try another "
                f"--runtime"
            )
        # Without a signature it makes one of the tensors' names, and ends the process if two agree.
        for what in () if named else ("inputs", "outputs"):
            tensors = (model.graph.tensors[t] for t in getattr(model.graph, what))
            if name := alike([tensor.name for tensor in tensors]):
                raise ModelError(
                    f"{path}: two {what} are called {name!r}, and LiteRT tells them apart by name; "
                    f"name them in the file, or try another --runtime"
                )
        operations = tuple(
            replace(o, problem=_COMPILED) if o.builtin == _DISPATCH else o
            for o in model.graph.operations
        )
        graph = replace(model.graph, operations=operations)
        # Each operation is placed, also those of bodies, by subgraph and operation.
        return replace(model, graph=graph.with_bodies())

    def why_not(self, backend: str, operation: Operation) -> str:
        del backend, operation  # each backend is asked for every model, when it is there
        return ""

    def is_fixed(self, operation: Operation) -> bool:
        is_named = operation.builtin in _CONTROL_FLOW or operation.builtin == _DISPATCH
        return is_named or operation.subgraph > 0 or is_constant(operation)

    def check_granularity(self, graph: Graph, granularity: str) -> None:
        del graph, granularity

    def configuration(
        self, space: DecisionSpace, assignment: Assignment, plan: Plan | None
    ) -> Configuration:
        from pareto_profiler.runtimes.litert.placing import LiteRTConfiguration

        return LiteRTConfiguration.of(space, assignment, plan)

    def faults(self, header: Header) -> Callable[[Assignment], tuple[Fault, ...]]:  # noqa: ARG002
        return no_faults

    def find(self, shell: Shell, where: Where) -> Installation:
        from pareto_profiler.runtimes.litert.installation import find

        return find(shell, where)


RUNTIME: Final[Runtime] = _LiteRT()

"""ncnn: one net, in which each layer's mask switches some kernels off."""

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
from pareto_profiler.models import Model, load_of
from pareto_profiler.models.onnx_reader import FORMAT as ONNX
from pareto_profiler.models.param_reader import FORMAT as PARAM
from pareto_profiler.runtimes.base import Form, Installation, Runtime, Where
from pareto_profiler.runtimes.ncnn import masks
from pareto_profiler.shells.base import Shell


class _Ncnn:
    name = "ncnn"
    formats = frozenset({PARAM, ONNX})
    backends = tuple(masks.BACKENDS)
    on_request = masks.ON_REQUEST
    tables = frozenset(masks.BACKENDS)
    rewrites: frozenset[str] = frozenset()
    settings: Mapping[str, tuple[str, ...]] = masks.SETTINGS
    # Kernels of one processor, on the same tensors.
    traits = Traits(
        zero_copy=(frozenset(masks.BACKENDS),),
        small=frozenset(masks.BACKENDS),
        is_sure=True,
        settings={
            name: SettingTrait(Role.THREADS if name == "threads" else Role.OTHER)
            for name in masks.SETTINGS
        },
    )

    @property
    def forms(self) -> Mapping[str, Form]:
        from pareto_profiler.runtimes.ncnn.forms import FORMS

        return FORMS

    def read(self, path: Path) -> Model:
        model = load_of(path, self.formats, self.name)
        if model.graph.format == ONNX:
            from pareto_profiler.runtimes.ncnn.conversion import converted

            model = converted(model)
        return replace(model, graph=masks.named(model.graph))

    def why_not(self, backend: str, operation: Operation) -> str:
        return masks.why_not(backend, operation)

    def is_fixed(self, operation: Operation) -> bool:
        return not masks.is_decided(operation)

    def check_granularity(self, graph: Graph, granularity: str) -> None:
        del graph, granularity

    def configuration(
        self, space: DecisionSpace, assignment: Assignment, plan: Plan | None
    ) -> Configuration:
        return masks.NcnnConfiguration.of(space, assignment, plan)

    def faults(self, header: Header) -> Callable[[Assignment], tuple[Fault, ...]]:  # noqa: ARG002
        return no_faults

    def find(self, shell: Shell, where: Where) -> Installation:
        from pareto_profiler.runtimes.ncnn.installation import find

        return find(shell, where)


RUNTIME: Final[Runtime] = _Ncnn()

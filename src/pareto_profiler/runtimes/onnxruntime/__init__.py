"""ONNX Runtime: one session; operations are packed, left plain, or given to another provider."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from pareto_profiler.models.onnx_reader import FORMAT
from pareto_profiler.runtimes.base import Form, Installation, Runtime, Where
from pareto_profiler.runtimes.onnxruntime.configuration import SETTINGS
from pareto_profiler.runtimes.onnxruntime.providers import PROVIDERS
from pareto_profiler.runtimes.onnxruntime.rewriting import PACKED, PLAIN, is_decided
from pareto_profiler.shells.base import Shell


class _OnnxRuntime:
    name = "onnxruntime"
    formats = frozenset({FORMAT})
    backends = (PACKED, PLAIN, *PROVIDERS)
    # Theirs is other memory, which max_rss does not count.
    on_request = frozenset(PROVIDERS)
    tables = frozenset({PACKED})
    rewrites: frozenset[str] = frozenset()
    settings: Mapping[str, tuple[str, ...]] = SETTINGS
    # A convolution that is laid out anew takes and makes tensors that others have to unpack.
    traits = Traits(
        small=frozenset({PACKED, PLAIN}),
        is_sure=True,
        settings={
            name: SettingTrait(Role.THREADS if name == "threads" else Role.OTHER)
            for name in SETTINGS
        },
    )

    @property
    def forms(self) -> Mapping[str, Form]:
        from pareto_profiler.runtimes.onnxruntime.forms import FORMS

        return FORMS

    def read(self, path: Path) -> Model:
        return load_of(path, self.formats, self.name)

    def why_not(self, backend: str, operation: Operation) -> str:
        del backend, operation  # the library is asked for every model, when it is there
        return ""

    def is_fixed(self, operation: Operation) -> bool:
        return not is_decided(operation.builtin)

    def check_granularity(self, graph: Graph, granularity: str) -> None:
        del graph, granularity

    def configuration(
        self, space: DecisionSpace, assignment: Assignment, plan: Plan | None
    ) -> Configuration:
        from pareto_profiler.runtimes.onnxruntime.configuration import OnnxRuntimeConfiguration

        return OnnxRuntimeConfiguration.of(space, assignment, plan)

    def faults(self, header: Header) -> Callable[[Assignment], tuple[Fault, ...]]:  # noqa: ARG002
        return no_faults

    def find(self, shell: Shell, where: Where) -> Installation:
        from pareto_profiler.runtimes.onnxruntime.installation import find

        return find(shell, where)


RUNTIME: Final[Runtime] = _OnnxRuntime()

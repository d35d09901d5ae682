"""Asked: a support table of what backends said of a model themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.core.support import SupportTable


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

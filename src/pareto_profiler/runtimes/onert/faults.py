"""Which mixes of backends onert computes wrongly, by its own plan of memory and constants."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Final

from pareto_profiler.core.graph import Graph
from pareto_profiler.core.ports import Fault, no_faults
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import Assignment
from pareto_profiler.runtimes.onert.arena import Arena
from pareto_profiler.runtimes.onert.lowering import PORTABLE, Constants, Lowered, Lowering

OVERWRITTEN, MIXED_UP = "a tensor is overwritten", "a constant is mixed up"
"""Causes of faults."""

# Since 2021-02-04, 2024-08-20 and 2024-12-13.
_PLANS_ALONE: Final = (1, 13)
_COPIES_BY_BACKEND: Final = (1, 29)
_SHARES_MEMORY: Final = (1, 30)
_NEWEST: Final = (1, 30)
_SHARING: Final = frozenset({"Reshape", "ExpandDims", "Squeeze"})
_BIAS: Final = 2
_REMEMBERED: Final = 100_000
_MOST_OPERATIONS: Final = 2000


def faults_of(header: Header) -> Callable[[Assignment], tuple[Fault, ...]]:
    """What is known of a run's assignments beforehand; of the newest version where none is told.

    Models with loops or branches are left out, since their bodies are planned by themselves, and
    those of thousands of operations, which would take seconds an assignment.
    """
    space, graph = header.space, header.graph
    if graph is None or graph.bodies or len(graph.operations) > _MOST_OPERATIONS:
        return no_faults
    version = re.match(r"onert (\d+)\.(\d+)", header.runtime)
    known = Faults(graph, tuple(map(int, version.groups())) if version else _NEWEST)
    first, others = space.backends[0], range(len(graph.operations))

    @lru_cache(maxsize=_REMEMBERED)
    def found(assignment: Assignment) -> tuple[Fault, ...]:
        settings = space.settings(assignment)
        placed = dict.fromkeys(others, first) | space.backend_by_operation(assignment)
        return known.of(
            placed, settings.get("memory_planner", "WIC"), settings.get("executor", "Linear")
        )

    return found


class Faults:
    """Foretells the faults of assignments of one graph on one version of onert.

    Two causes: each backend plans the life of its tensors from its own readers alone, and, since
    1.29, each keeps one copy of shared constants, whichever it needed first.

    Args:
        graph: With onert's names of operations.
        version: Of onert.
    """

    def __init__(self, graph: Graph, version: tuple[int, ...]) -> None:
        self._graph = graph
        self._version = version
        self._lowering = Lowering(graph)

    def of(
        self, backend_by_operation: Mapping[int, str], planner: str, executor: str = "Linear"
    ) -> tuple[Fault, ...]:
        """Those of an assignment, by the order of operations.

        Args:
            backend_by_operation: Backend of each operation.
            planner: ``WIC``, ``FirstFit`` or ``Bump``; onert takes all else for FirstFit.
            executor: Only ``Linear`` reuses memory.

        Returns:
            Faults of the causes :data:`OVERWRITTEN` and :data:`MIXED_UP`. O(t²) for t tensors.
        """
        lowering = self._lowering
        backends = lowering.backends(backend_by_operation)
        if len({*backends}) < 2:
            return ()
        constants = lowering.give(
            backends, is_copy_by_backend=self._version[:2] >= _COPIES_BY_BACKEND
        )
        found = [*self._mixed_up(backends, constants)]
        if executor == "Linear" and planner != "Bump" and self._version[:2] >= _PLANS_ALONE:
            lowered = lowering.lower(backends, constants)
            for backend in sorted({*backends} & PORTABLE):
                found += self._overwritten(lowered, backend, planner)
        return tuple(fault for _, fault in sorted(found, key=itemgetter(0)))

    def _mixed_up(
        self, backends: Sequence[str], constants: Constants
    ) -> Iterator[tuple[int, Fault]]:
        """Operations that get another constant than they name, and would notice."""
        tensors = self._graph.tensors
        for (o, t), instead in constants.given.items():
            wanted, got = tensors[t], tensors[instead]
            are_zeros = wanted.content == got.content == "zeros"
            is_same = wanted.content == got.content and wanted.constant_bytes == got.constant_bytes
            if not wanted.content or not got.content or is_same:
                continue
            if are_zeros and self._is_long_enough(o, t, instead, backends[o]):
                continue
            words = (
                f"{self._called(o)} on {backends[o]} gets constant {self._named(instead)} in place "
                f"of {self._named(t)}: of the constants copied to {backends[o]}, onert keeps one"
            )
            yield o, Fault(MIXED_UP, words)

    def _is_long_enough(self, o: int, t: int, instead: int, backend: str) -> bool:
        """Whether an operation reads zeros alone of other zeros than its own.

        Kernels read as many as they need; cpu's convolution goes over its output in strides of the
        length of what it is given, whatever that is.
        """
        operation, tensors = self._graph.operations[o], self._graph.tensors
        is_bias = len(operation.inputs) > _BIAS and operation.inputs[_BIAS] == t
        is_strided = backend == "cpu" and operation.name == "Conv2D" and is_bias
        if is_strided and operation.dtype == "float32":
            return True
        return tensors[instead].constant_bytes >= tensors[t].constant_bytes

    def _overwritten(
        self, lowered: Lowered, backend: str, planner: str
    ) -> Iterator[tuple[int, Fault]]:
        """Tensors in a backend's memory that are overwritten before all have read them."""
        sizes = [t.size_bytes for t in self._graph.tensors]
        arena = Arena(lowered, backend, sizes, self._roots(lowered, backend))
        late = arena.read_late()
        places = arena.places(planner) if late else {}
        for t, at in late:
            start, end = places[arena.root(t)]
            for other, (other_start, other_end) in places.items():
                is_between = arena.released[arena.root(t)] < arena.written[other] < at
                if is_between and start < other_end and other_start < end:
                    yield self._fault(lowered, backend, at, t, other)
                    break

    def _roots(self, lowered: Lowered, backend: str) -> dict[int, int]:
        """Tensors that lie where another does, with that one."""
        if backend != "cpu" or self._version[:2] < _SHARES_MEMORY:
            return {}
        read = {t for step in lowered.steps if step.backend == backend for t in step.reads}
        roots: dict[int, int] = {}
        for step in lowered.steps:
            if step.backend != backend or not step.reads:
                continue
            if self._graph.operations[step.operation].name not in _SHARING:
                continue
            source, out = step.reads[0], step.writes[0]
            are_held = lowered.holder.get(source) == lowered.holder.get(out) == backend
            if are_held and source not in lowered.original and out in read:
                roots[out] = roots.get(source, source)
        return roots

    def _fault(
        self, lowered: Lowered, backend: str, at: int, t: int, other: int
    ) -> tuple[int, Fault]:
        tensor, instead = (lowered.original.get(i, i) for i in (t, other))
        step = lowered.steps[at]
        reader, where = step.operation, step.backend
        if reader >= len(self._graph.operations):
            (copy,) = step.writes
            following = next((s for s in lowered.steps[at:] if copy in s.reads), None)
            if following is not None:
                reader, where = following.operation, following.backend
        words = (
            f"{self._called(reader)} on {where} reads {self._named(tensor)} after {backend} has "
            f"put {self._named(instead)} in its place"
        )
        return reader, Fault(OVERWRITTEN, words)

    def _called(self, o: int) -> str:
        if o >= len(self._graph.operations):
            return "the caller"
        return f"{self._graph.operations[o].name} @{o}"

    def _named(self, t: int) -> str:
        return f"{self._graph.tensors[t].name or 'tensor'} (tensor {t})"

"""What LiteRT is told of an assignment: sets of operations, and options of their delegates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.drivers.engine import place_of
from pareto_profiler.runtimes.configured import Configured

BUILTIN: Final = "builtin"
WEBGPU: Final = "webgpu"

# 1 and 2: int8 operations, which are claimed without flags, too, but not with other flags alone.
_INT8: Final = 1 | 2
BACKENDS: Final[Mapping[str, str]] = {
    "xnnpack": "",
    BUILTIN: "",
    # A buffer for indirection that lives only while it is needed.
    "xnnpack-lean": f"flags = {_INT8 | 32}\n",
    # Arithmetic in half precision, whatever the model has.
    "xnnpack-fp16": f"flags = {_INT8 | 4}\n",
    WEBGPU: "",
}
"""Backend → options of its delegate beside the threads."""

ON_REQUEST: Final = frozenset({"xnnpack-lean", "xnnpack-fp16", WEBGPU})
"""Backends that are used only where they are named."""

_OF_CONSTANTS: Final = {"DEQUANTIZE", "DENSIFY"}


def is_constant(operation: Operation) -> bool:
    """Whether an operation only unpacks a constant: it goes with those that take it."""
    return operation.builtin in _OF_CONSTANTS and operation.weight_bytes > 0


class LiteRTConfiguration(Configured):
    """One assignment in LiteRT's words.

    Examples:
        >>> LiteRTConfiguration({0: "xnnpack", 1: "xnnpack", 2: "builtin"}, 1).text
        'xnnpack 0-1; builtin 2; threads 1'
    """

    __slots__ = ()

    @property
    def weight_cache(self) -> bool:
        """Whether packed weights are kept in files."""
        return self.settings.get("weight_cache") == "on"


def places_of(
    graph: Graph | None, backend_by_operation: Mapping[int, str]
) -> list[tuple[str, str]]:
    """What delegates take: ranges of operations and their backend.

    What only unpacks a constant is offered to every backend that has an operation that takes it.

    Args:
        graph: The model; None where only numbers are known.
        backend_by_operation: Of those that are decided.
    """
    chosen = {i: b for i, b in backend_by_operation.items() if b != BUILTIN}
    operations = graph.operations if graph else ()
    makers = {t: o.index for o in operations if is_constant(o) for t in o.outputs}
    offers = {
        (makers[t], chosen[o.index])
        for o in operations
        if o.index in chosen
        for t in o.inputs
        if t in makers
    }
    layers = [chosen, *({i: backend} for i, backend in sorted(offers))]
    found: list[tuple[int, str, str]] = []
    for layer in layers:
        by_subgraph: dict[int, dict[int, str]] = {}
        for i, backend in layer.items():
            subgraph, index = graph.place_of(i) if graph else (0, i)
            by_subgraph.setdefault(subgraph, {})[index] = backend
        for subgraph, there in by_subgraph.items():
            prefix = f"{subgraph}:" if subgraph else ""
            found += [(subgraph, prefix + ranges, backend) for ranges, backend in place_of(there)]
    # A prefix holds for what follows it, where sets are joined.
    return [(ranges, backend) for _, ranges, backend in sorted(found, key=lambda f: f[0])]


def options_of(backend: str, threads: int, cache_file: str = "") -> dict[str, str]:
    r"""What a request says of a backend.

    Examples:
        >>> options_of("xnnpack-lean", 2)
        {'options': 'num_threads = 2\nflags = 35\n'}
        >>> options_of("builtin", 2)
        {}
    """
    kind = backend.partition("#")[0]
    if kind == BUILTIN:
        return {}
    if kind == WEBGPU:
        return {"options": WEBGPU}
    cache = f'weight_cache_file_path = "{cache_file}"\n' if cache_file else ""
    return {"options": f"num_threads = {threads}\n{BACKENDS[kind]}{cache}"}


def operations_in(ranges: str, graph: Graph) -> list[int]:
    """Operations in an answer's ranges, such as ``0-2,5``, or ``1:0-2`` of subgraph 1."""
    subgraph, colon, rest = ranges.rpartition(":")
    found: list[int] = []
    for part in rest.split(","):
        first, _, last = part.partition("-")
        indices = range(int(first), int(last or first) + 1)
        there = (graph.operation_at(int(subgraph) if colon else 0, i) for i in indices)
        found += [i for i in there if i is not None]
    return found

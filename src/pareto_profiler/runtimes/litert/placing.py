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
    places = [(ranges, backend) for ranges, backend in place_of(chosen)]
    operations = graph.operations if graph else ()
    makers = {t: o.index for o in operations if is_constant(o) for t in o.outputs}
    offers = {
        (makers[t], chosen[o.index])
        for o in operations
        if o.index in chosen
        for t in o.inputs
        if t in makers
    }
    return places + [(str(i), backend) for i, backend in sorted(offers)]


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


def operations_in(ranges: str) -> list[int]:
    """Operations of the first subgraph in an answer's ranges; none of another's.

    Examples:
        >>> operations_in("0-2,5"), operations_in("1:0-2")
        ([0, 1, 2, 5], [])
    """
    found: list[int] = []
    for part in [] if ":" in ranges else ranges.split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found

"""``pareto-profiler inspect``: what a model is made of, and how large its decision spaces are."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from pareto_profiler.cli.options import JsonOption, ModelArgument, RuntimeOption, command
from pareto_profiler.cli.output import print_json, say, show
from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import DecisionSpace, Granularity, readable
from pareto_profiler.core.support import Support
from pareto_profiler.errors import SpaceError
from pareto_profiler.models import Model
from pareto_profiler.quantities import split
from pareto_profiler.runtimes import runtime_for
from pareto_profiler.runtimes.base import Runtime

_MIXES = 100
_FEW = 2
_MIXED_OPERATIONS = 6500


@command
def inspect(
    model: ModelArgument,
    backends: Annotated[
        str,
        typer.Option(
            help="Backends to look at, comma-separated; the first is the baseline.",
            show_default="all that the runtime's tables know",
        ),
    ] = "",
    runtime: RuntimeOption = "",
    operations: Annotated[
        bool, typer.Option("--operations", help="List every operation, too.")
    ] = False,
    allow: Annotated[
        list[str] | None,
        typer.Option(help="BACKEND:OPERATION to hold feasible whatever the tables say."),
    ] = None,
    forbid: Annotated[
        list[str] | None, typer.Option(help="BACKEND:OPERATION to hold infeasible.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show a model's operations, which backend can run them, and the size of each decision space.

    Nothing is measured, and the runtime need not be installed. What it refuses is listed with the
    reason.
    """
    room = runtime_for(model, runtime)
    read = room.read(model)
    support = Support.of(allow or (), forbid or (), room)
    named = split(backends) or room.backends[:1] + tuple(
        b
        for b in room.backends[1:]
        if b not in room.on_request
        and any(not room.why_not(b, o) for o in read.graph.operations if not room.is_fixed(o))
    )
    support.check(named, {o.name for o in read.graph.all_operations})
    found = _findings(read, named, support, every_operation=operations or as_json)
    found["faulty_mixes"] = _faulty_mixes(read, named, support, room)
    if as_json:
        print_json(found)
    else:
        _print(found, read, room, operations=operations, is_all=not backends)


def _findings(
    model: Model, backends: tuple[str, ...], support: Support, *, every_operation: bool
) -> dict[str, Any]:
    graph = model.graph
    found: dict[str, Any] = {
        "model": str(model.path),
        "format": graph.format,
        "digest": graph.digest,
        "subgraphs": graph.subgraph_count,
        "original": graph.original or None,
        "inputs": [_tensor(graph, t) for t in graph.inputs],
        "outputs": [_tensor(graph, t) for t in graph.outputs],
        "edges": [asdict(edge) for edge in graph.edges] if every_operation else [],
        "weight_bytes": sum(o.weight_bytes for o in graph.operations),
        "operation_names": _by_name(graph, backends, support),
        "spaces": {str(g): _space(graph, backends, g, support) for g in Granularity},
        "unloadable": [
            {"index": o.index, "builtin": o.builtin, "problem": o.problem} for o in graph.unloadable
        ],
    }
    if every_operation:
        found["operations"] = [_operation(o, graph) for o in graph.operations]
    return found


def _tensor(graph: Graph, index: int) -> dict[str, Any]:
    tensor = graph.tensors[index]
    return {
        "name": tensor.name,
        "shape": list(tensor.shape),
        "signature": list(tensor.signature),
        "dtype": tensor.dtype,
        "bytes": tensor.size_bytes,
    }


def _operation(operation: Operation, graph: Graph) -> dict[str, Any]:
    return {
        "index": operation.index,
        "builtin": operation.builtin,
        "version": operation.version,
        "name": operation.name,
        "kind": operation.kind,
        "dtype": operation.dtype,
        "inputs": [_tensor(graph, t) if t >= 0 else None for t in operation.inputs],
        "outputs": [_tensor(graph, t) for t in operation.outputs],
        "data_bytes": operation.data_bytes,
        "weight_bytes": operation.weight_bytes,
        "problem": operation.problem,
        "origin": graph.origins[operation.index] if graph.origins else operation.index,
    }


def _by_name(graph: Graph, backends: tuple[str, ...], support: Support) -> list[dict[str, Any]]:
    groups: dict[str, list[Operation]] = {}
    for operation in graph.all_operations:
        groups.setdefault(operation.name, []).append(operation)
    return [
        {
            "name": name,
            "count": len(group),
            "kinds": dict(Counter(o.kind for o in group if o.kind)),
            "weight_bytes": sum(o.weight_bytes for o in group),
            "placed_by_runtime": support.table.is_fixed(group[0]) and not group[0].problem,
            "supported": {b: sum(not support.why_not(b, o) for o in group) for b in backends},
        }
        for name, group in groups.items()
    ]


def _space(
    graph: Graph, backends: tuple[str, ...], granularity: Granularity, support: Support
) -> dict[str, Any]:
    try:
        space = DecisionSpace.of(graph, backends, granularity, support=support)
    except SpaceError as error:
        return {"problem": str(error)}
    # As text: JSON's readers round or refuse large integers.
    return {
        "variables": len(space.variables),
        "size": str(space.size),
        "ids": str(space.id_limit),
    }


def _faulty_mixes(
    model: Model, backends: tuple[str, ...], support: Support, room: Runtime
) -> dict[str, Any]:
    """How many of some random mixes by operation the runtime is known to compute wrongly."""
    try:
        space = DecisionSpace.of(model.graph, backends, Granularity.OPERATION, support=support)
    except SpaceError:
        return {"of": 0, "wrong": 0, "causes": {}}
    header = Header(model.name, model.graph.digest, space, (), runtime=room.name, graph=model.graph)
    faults, causes = room.faults(header), Counter[str]()
    wrong = 0
    # Larger graphs take longer than in proportion.
    count = max(1, min(_MIXES, _MIXED_OPERATIONS // max(1, len(model.graph.operations))))
    for mix in space.draw(np.random.default_rng(0), count):
        found = {fault.cause for fault in faults(mix)}
        causes.update(found)
        wrong += bool(found)
    return {"of": count, "wrong": wrong, "causes": dict(causes)}


def _print(
    found: dict[str, Any], model: Model, room: Runtime, *, operations: bool, is_all: bool
) -> None:
    graph = model.graph
    say(
        f"{model.path}: {graph.format}, {len(graph.operations)} operations, "
        f"{len(graph.edges)} edges, {found['weight_bytes']:,} bytes of weights, "
        f"{graph.subgraph_count} subgraph{'s' * (graph.subgraph_count > 1)}"
    )
    for way in ("inputs", "outputs"):
        for tensor in found[way]:
            sizes = tensor["signature"] or tensor["shape"]
            shape = "×".join("?" if size < 0 else str(size) for size in sizes) or "scalar"
            if tensor["signature"]:
                shape += f" (? are free, {'×'.join(map(str, tensor['shape']))} in the file)"
            say(f"  {way[:-1]} {tensor['name']}: {shape} {tensor['dtype']}")

    names = found["operation_names"]
    backends = list(names[0]["supported"])
    say("")
    table = Table(box=None, padding=(0, 1, 0, 0))
    for column in ("operation", "count", "kinds", *backends):
        is_text = column in {"operation", "kinds"}
        table.add_column(column, justify="left" if is_text else "right", no_wrap=column != "kinds")
    for row in names:
        kinds = ", ".join(f"{n} {kind}" for kind, n in row["kinds"].items())
        cells = [_cell(row, backend, room) for backend in backends]
        table.add_row(row["name"], str(row["count"]), kinds, *cells)
    show(table)
    say("(✓ all of them; a number: only so many; – none; = placed by the runtime; ? not known)", "")

    _print_spaces(found, room, is_all=is_all)
    _print_mixes(found["faulty_mixes"], room)
    for operation in found["unloadable"]:
        say(
            f"  {room.name} cannot load @{operation['index']} {operation['builtin']}: "
            f"{operation['problem']}"
        )
    if operations:
        for o in graph.operations:
            shapes = ", ".join(
                "×".join(map(str, graph.tensors[t].shape)) or "scalar" for t in o.outputs
            )
            say(
                f"  @{o.index:<4} {o.builtin} v{o.version} → {o.name} {o.kind} "
                f"{o.dtype} → {shapes}; {o.data_bytes:,} B data, {o.weight_bytes:,} B weights"
                + (f"; @{graph.origins[o.index]} of the original" if graph.origins else "")
            )


def _print_spaces(found: dict[str, Any], room: Runtime, *, is_all: bool) -> None:
    for granularity, space in found["spaces"].items():
        text = space.get("problem") or (
            f"{space['variables']} variables, {readable(int(space['size']))} feasible "
            f"assignments of {readable(int(space['ids']))} ids"
        )
        say(f"  {granularity:9} {text}")
    if is_all and len(room.tables & {*found["operation_names"][0]["supported"]}) > _FEW:
        say(
            f"  (of all that {room.name}'s tables know: a device has some of them; name --backends)"
        )


def _print_mixes(mixes: dict[str, Any], room: Runtime) -> None:
    if not mixes["wrong"]:
        return
    causes = ", ".join(f"{cause} in {count}" for cause, count in mixes["causes"].items())
    say(
        f"  {mixes['wrong']} of {mixes['of']} random mixes by operation compute wrongly on "
        f"{room.name}, as far as is known ({causes}); a search avoids them"
    )


def _cell(row: dict[str, Any], backend: str, room: Runtime) -> str:
    if row["placed_by_runtime"]:
        return "="
    if backend not in room.tables:
        return "?"
    count = row["supported"][backend]
    return "✓" if count == row["count"] else str(count) if count else "–"

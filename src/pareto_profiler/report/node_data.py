"""Node data: a point of a run, operation by operation, for Google's Model Explorer."""

from __future__ import annotations

from typing import Any, Final

from pareto_profiler.errors import InputError
from pareto_profiler.report.page_data import COLOURS
from pareto_profiler.report.summary import Row, Summary

_COOL, _WARM = "#eef4ff", "#e0902f"
_GRADIENT: Final = [{"stop": 0, "bgColor": _COOL}, {"stop": 1, "bgColor": _WARM}]


def node_data_of(summary: Summary, row: Row) -> dict[str, Any]:
    """What Model Explorer shows beside each node of the model's graph, a file for each kind.

    Nodes are named as it numbers them: by the operation's place in the file that was given, also
    where the run is of an adapted model.

    Args:
        summary: Of the run.
        row: The point.

    Returns:
        Name of a file → its data: ``backend``; ``time``, in ms on that backend, as far as it was
        traced; ``bytes``, in and out, in KiB; ``front``, in how many of a hundred points of the
        front the operation is on the same backend.

    Raises:
        InputError: The run does not hold the model's graph.
    """
    graph, space = summary.header.graph, summary.header.space
    if graph is None:
        raise InputError("node data is of a model's graph, which this run does not hold")
    kinds: dict[str, dict[str, Any]] = {"backend": {}, "time": {}, "bytes": {}, "front": {}}
    colours = dict(zip(space.backends, COLOURS * len(space.backends), strict=False))
    for v, (variable, backend) in enumerate(
        zip(space.variables, row.estimate.assignment, strict=True)
    ):
        if variable.is_setting:
            continue
        alike = [other.estimate.assignment[v] == backend for other in summary.front]
        for o in variable.operations:
            if o >= graph.own_count:
                continue  # its nodes are of the main subgraph
            node = str(graph.origins[o] if graph.origins else o)
            kinds["backend"][node] = {"value": backend, "bgColor": colours[backend]}
            seconds = summary.profiles.get(backend, {}).get(o)
            if seconds is not None:
                kinds["time"][node] = {"value": round(1e3 * seconds, 6)}
            kinds["bytes"][node] = {"value": round(graph.operations[o].data_bytes / 1024, 3)}
            if alike:
                kinds["front"][node] = {"value": round(100 * sum(alike) / len(alike), 1)}
    titles = {
        "backend": "backend",
        "time": "ms on its backend",
        "bytes": "KiB in and out",
        "front": "% of the front on this backend",
    }
    return {
        kind: {"name": titles[kind], "results": results}
        | ({} if kind == "backend" else {"gradient": _GRADIENT})
        for kind, results in kinds.items()
        if results
    }

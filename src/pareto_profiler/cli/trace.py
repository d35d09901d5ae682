"""``pareto-profiler trace``: how long each operation takes on each backend."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from pareto_profiler.cli.exits import reporting_errors
from pareto_profiler.cli.measure import (
    AddressOption,
    BackendsOption,
    CpusOption,
    JsonOption,
    LibraryOption,
    ModelArgument,
    RepeatsOption,
    TargetOption,
    TargetsOption,
    ThreadsOption,
    plan_of,
)
from pareto_profiler.core.space import Granularity
from pareto_profiler.errors import InputError, RunError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pareto_profiler.core.graph import Graph
    from pareto_profiler.runners.trace import OperationTime


@reporting_errors
def trace(
    model: ModelArgument,
    backends: BackendsOption = "",
    repeats: RepeatsOption = None,
    threads: ThreadsOption = None,
    cpus: CpusOption = "",
    onert_library: LibraryOption = "",
    target: TargetOption = "local",
    address: AddressOption = "",
    targets: TargetsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how long each operation takes on each backend, as the runtime traces it.

    One traced run per backend, with everything on it that it can run and the rest on the first
    backend. Tracing takes time itself, and acl_cl tells when work was handed over, not how long
    it took: for orientation, while `search` measures whole inferences.
    """
    import tempfile
    from pathlib import Path

    from pareto_profiler.cli.assembly import Choices, prepare
    from pareto_profiler.cli.output import note, print_json
    from pareto_profiler.runners.onert import OnertRunner

    plan = plan_of(repeats=repeats, threads=threads, cpus=cpus)
    job = prepare(
        Choices(
            model=model,
            granularity=Granularity.OPERATION,
            backends=backends,
            plan=plan,
            onert_library=onert_library,
            target=target,
            address=address,
            targets_file=targets,
        )
    )
    space, graph = job.header.space, job.model.graph
    found: dict[str, Sequence[OperationTime]] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as here:
            runner = job.runner(Path(here))
            try:
                if not isinstance(runner, OnertRunner):
                    raise InputError(f"{job.header.runtime} cannot be traced: the probe is needed")
                for backend in space.backends:
                    assignment = tuple(
                        backend if backend in v.feasible else v.feasible[0] for v in space.variables
                    )
                    try:
                        found[backend] = runner.trace(assignment)
                    except RunError as error:
                        note(f"{backend}: {error.kind}: {error.message}")
            finally:
                runner.close()
    finally:
        job.shell.close()
    if not any(found.values()):
        raise InputError(f"{job.header.runtime} left no trace")
    if as_json:
        print_json(_facts(graph, found))
    else:
        _print(graph, found)


def _facts(graph: Graph, found: dict[str, Sequence[OperationTime]]) -> dict[str, Any]:
    return {
        "operations": [
            {"index": o.index, "name": o.name, "builtin": o.builtin} for o in graph.operations
        ],
        "seconds": {
            backend: [
                {
                    "index": t.index,
                    "subgraph": t.subgraph,
                    "name": t.name,
                    "backend": t.backend,
                    "seconds": t.seconds,
                }
                for t in times
            ]
            for backend, times in found.items()
        },
    }


def _print(graph: Graph, found: dict[str, Sequence[OperationTime]]) -> None:
    from rich.table import Table

    from pareto_profiler.cli.output import console

    out = console()
    table = Table("", "operation", box=None)
    for backend in found:
        table.add_column(f"{backend} ms", justify="right")
    by_backend = {b: {t.index: t for t in times} for b, times in found.items()}
    count = len(graph.operations)
    for operation in graph.operations:
        times = [by_backend[b].get(operation.index) for b in found]
        cells = [
            f"{1e3 * median(t.seconds):.3f}" if t and t.seconds and t.backend == b else "–"
            for b, t in zip(found, times, strict=True)
        ]
        table.add_row(f"@{operation.index}", f"{operation.name} ({operation.builtin})", *cells)

    def total(times: Sequence[OperationTime], *, of_copies: bool) -> str:
        chosen = [t for t in times if (t.index >= count) is of_copies and t.seconds]
        return f"{1e3 * sum(median(t.seconds) for t in chosen):.3f}"

    table.add_section()
    table.add_row(
        "", "copies between backends", *(total(t, of_copies=True) for t in found.values())
    )
    table.add_row("", "all operations", *(total(t, of_copies=False) for t in found.values()))
    out.print(table)
    out.print("  medians · – runs on another backend there", highlight=False)

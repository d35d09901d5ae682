"""``pareto-profiler trace``: how long each operation takes on each backend."""

from __future__ import annotations

from dataclasses import asdict
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
    RuntimeOption,
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
    from pareto_profiler.core.trial import OperationTime, Profile


@reporting_errors
def trace(
    model: ModelArgument,
    backends: BackendsOption = "",
    repeats: RepeatsOption = None,
    threads: ThreadsOption = None,
    cpus: CpusOption = "",
    runtime: RuntimeOption = "",
    library: LibraryOption = "",
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

    plan = plan_of(repeats=repeats, threads=threads, cpus=cpus)
    job = prepare(
        Choices(
            model=model,
            granularity=Granularity.OPERATION,
            backends=backends,
            plan=plan,
            runtime=runtime,
            library=library,
            target=target,
            address=address,
            targets_file=targets,
        )
    )
    space, graph = job.header.space, job.model.graph
    profiles: dict[str, Profile] = {}
    try:
        with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as here:
            engine = job.engine(Path(here))
            try:
                if not engine.can_profile:
                    raise InputError(f"{job.header.runtime} cannot be traced: a driver is needed")
                for backend in space.backends:
                    assignment = tuple(
                        backend if backend in v.feasible else v.feasible[0] for v in space.variables
                    )
                    try:
                        profiles[backend] = engine.profile(assignment)
                    except RunError as error:
                        note(f"{backend}: {error.kind}: {error.message}")
            finally:
                engine.close()
    finally:
        job.shell.close()
    if not any(profile.operations for profile in profiles.values()):
        raise InputError(f"{job.header.runtime} left no trace")
    if as_json:
        print_json(_facts(graph, profiles))
    else:
        _print(graph, profiles)


def _facts(graph: Graph, profiles: dict[str, Profile]) -> dict[str, Any]:
    return {
        "operations": [
            {"index": o.index, "name": o.name, "builtin": o.builtin} for o in graph.operations
        ],
        "profiles": {backend: asdict(profile) for backend, profile in profiles.items()},
    }


def _print(graph: Graph, profiles: dict[str, Profile]) -> None:
    from rich.table import Table

    from pareto_profiler.cli.output import console

    out = console()
    table = Table("", "operation", box=None)
    for backend in profiles:
        table.add_column(f"{backend} ms", justify="right")
    by_backend = {b: {t.index: t for t in p.operations} for b, p in profiles.items()}
    for operation in graph.operations:
        times = [by_backend[b].get(operation.index) for b in profiles]
        cells = [
            f"{1e3 * t.seconds:.3f}" if t and t.backend == b else "–"
            for b, t in zip(profiles, times, strict=True)
        ]
        table.add_row(f"@{operation.index}", f"{operation.name} ({operation.builtin})", *cells)

    def total(times: Sequence[OperationTime]) -> str:
        return f"{1e3 * sum(t.seconds for t in times):.3f}"

    table.add_section()
    copies = (total(p.transfers) for p in profiles.values())
    table.add_row("", "copies between backends", *copies)
    table.add_row("", "all operations", *(total(p.operations) for p in profiles.values()))
    out.print(table)
    out.print("  medians · – runs on another backend there", highlight=False)

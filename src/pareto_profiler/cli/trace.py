"""``pareto-profiler trace``: how long each operation takes on each backend."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from pareto_profiler.cli.exits import note
from pareto_profiler.cli.options import (
    BackendsOption,
    CpusOption,
    JsonOption,
    MeasuringOptions,
    ModelArgument,
    RepeatsOption,
    TargetOptions,
    ThreadsOption,
    command,
)
from pareto_profiler.cli.output import print_json, say, show, write_file
from pareto_profiler.core.graph import Graph
from pareto_profiler.core.space import Granularity
from pareto_profiler.core.trial import OperationTime, Profile
from pareto_profiler.errors import InputError, RunError
from pareto_profiler.jobs import Choices, measuring
from pareto_profiler.quantities import split
from pareto_profiler.report.timeline import timeline_of


class TraceFormat(StrEnum):
    """What ``trace`` can write."""

    TABLE = "table"
    PERFETTO = "perfetto"


@command
def trace(
    model: ModelArgument,
    where: TargetOptions,
    backends: BackendsOption = "",
    repeats: RepeatsOption = None,
    threads: ThreadsOption = None,
    cpus: CpusOption = "",
    file_format: Annotated[
        TraceFormat, typer.Option("--format", help="A table, or events that Perfetto opens.")
    ] = TraceFormat.TABLE,
    to: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File of perfetto; standard output without it."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show how long each operation takes on each backend, as the runtime traces it.

    One traced run per backend, with everything on it that it can run and the rest on the first
    backend. Tracing takes time itself, and acl_cl tells when work was handed over, not how long
    it took: for orientation, while `search` measures whole inferences.
    """
    if to is not None and file_format is TraceFormat.TABLE:
        raise InputError(f"--output {to}: is the file of --format perfetto")
    plan = MeasuringOptions(repeats=repeats, threads=threads, cpus=cpus).plan()
    choices = Choices(
        model=model,
        granularity=Granularity.OPERATION,
        backends=split(backends),
        plan=plan,
        **where.chosen,
    )
    profiles: dict[str, Profile] = {}
    with measuring(choices) as (job, engine):
        space, graph = job.header.space, job.model.graph
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
    if not any(profile.operations for profile in profiles.values()):
        raise InputError(f"{job.header.runtime} left no trace")
    if file_format is TraceFormat.PERFETTO:
        text = json.dumps(timeline_of(graph, profiles)) + "\n"
        if to is None:
            sys.stdout.write(text)
        else:
            write_file(to, text)
            note(f"written: {to}; open it at ui.perfetto.dev or chrome://tracing")
    elif as_json:
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
    show(table)
    say("  medians · – runs on another backend there")

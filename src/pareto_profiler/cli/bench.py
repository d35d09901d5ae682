"""``pareto-profiler bench``: samplers side by side on recorded tables and simulated devices."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import closing, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from pareto_profiler.bench import (
    BASELINE,
    Effort,
    Run,
    Subject,
    efforts_of,
    facts_of,
    judged,
    records_of,
)
from pareto_profiler.bench import subject_of as subject_named
from pareto_profiler.cells import Cell, Cluster, Kept, Pool, Workers, cells_of, done
from pareto_profiler.cli.exits import TARGET_UNUSABLE, note
from pareto_profiler.cli.options import JsonOption, command
from pareto_profiler.cli.output import check_writable, print_json, say, show, write_file
from pareto_profiler.cli.progress import Counting
from pareto_profiler.quantities import split
from pareto_profiler.report.records import parquet_of

DEFAULT_SAMPLERS = "structured,random,local,hlps" + (",nsga2" if find_spec("pymoo") else "")


_EXPLAINED: Final = (
    "(median evaluations, and the device's seconds, to that share of the reference hypervolume; "
    "share in the end with quartiles; score: 0 as random, 1 the optimum at once)"
)


@command
def bench(
    tables: Annotated[
        list[str],
        typer.Argument(
            metavar="TABLE…",
            help="Recorded runs, packed tables, CSV files, dumps of ONE's tools, or "
            "simulated:NAME:SEED.",
        ),
    ],
    samplers: Annotated[
        str,
        typer.Option(
            help="Which, comma-separated; NAME:N has another budget, NAME:N:S another number of "
            "searches. random is always among them.",
            show_default="structured, random, local, hlps, and nsga2 where pymoo is installed",
        ),
    ] = DEFAULT_SAMPLERS,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Searches of each sampler.")] = 10,
    budget: Annotated[int, typer.Option(min=1, help="Evaluations of each search.")] = 200,
    workers: Annotated[
        int,
        typer.Option(
            "--workers", "--jobs", min=1, max=256, help="Processes here.", show_default="all cores"
        ),
    ] = os.cpu_count() or 1,
    dask: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS|local",
            help="Workers of Dask instead: a scheduler's address, or local for a cluster here.",
            show_default=False,
        ),
    ] = "",
    keep: Annotated[
        Path | None,
        typer.Option(
            help="Keep each finished search in this file: the same bench again goes on.",
            show_default=False,
        ),
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write every search's curve there, as Parquet."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare samplers: how soon does what they report come close to the true front?

    Each search starts with the baseline and the uniform assignments; every process on the device
    counts as an evaluation. Judged is the hypervolume of the true values of what would be reported
    as the front, as a share of the reference front's: that of all assignments that are known and
    that any sampler evaluated. Measurements have noise: drawn again from a table's samples, or
    simulated.
    """
    efforts = {BASELINE: Effort(budget, seeds)} | efforts_of(split(samplers), budget, seeds)
    if to is not None:
        check_writable(to)
    subjects = {table: subject_named(table) for table in tables}
    _warn(subjects)
    results: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    died: list[str] = []
    with (
        nullcontext() if keep is None else Kept(keep) as kept,
        closing(_pool(dask, workers)) as pool,
    ):
        for table, subject in subjects.items():
            runs = _runs(cells_of(table, efforts), pool, kept, died)
            names = [name for name in efforts if any(run.sampler == name for run in runs)]
            if BASELINE not in names:
                died.append(f"{table}: nothing to compare with: no search of {BASELINE} is there")
                continue
            curves = judged(subject, runs, names)
            results.append(facts_of(table, subject, curves, budget))
            rows += records_of(table, curves)
            if not as_json:
                facts = results[-1]
                counts = f"{facts['variables']} variables, {facts['backends']} backends"
                say("", f"{Path(table).name}: {counts}")
                show(_table_of(facts))
                say(_EXPLAINED)
    if to is not None:
        write_file(to, parquet_of(rows))
    if as_json:
        print_json(results)
    for words in died:
        note(f"error: {words}")
    if died:
        raise typer.Exit(TARGET_UNUSABLE)


def _warn(subjects: Mapping[str, Subject]) -> None:
    """Say which tables are no full recordings."""
    for table, subject in subjects.items():
        if subject.unrecorded:
            size = subject.problem.space.size
            note(
                f"warning: {table} holds {size - subject.unrecorded} of {size} assignments: one "
                f"that it lacks counts as a failure, so that samplers look worse than they are"
            )


def _pool(dask: str, workers: int) -> Pool:
    if not dask:
        return Workers(workers)
    cluster = Cluster(dask, workers)
    note(f"dashboard: {cluster.dashboard}")
    return cluster


def _runs(cells: Sequence[Cell], pool: Pool, kept: Kept | None, died: list[str]) -> list[Run]:
    """What came of the cells of a table, told while they finish."""
    runs = []
    what = f"{Path(cells[0].table).name}: {{}} of {len(cells)} searches"
    progress = Counting(len(cells), what)
    try:
        for cell, answer in done(cells, pool, kept):
            if isinstance(answer, Run):
                runs.append(answer)
            else:
                where = f"{cell.table}: {cell.sampler}, seed {cell.seed}"
                died.append(f"{where}: {answer.words}")
            progress.add()
    finally:
        progress.close()
    return runs


def _table_of(facts: dict[str, Any]) -> Table:
    """The results on one table, for a terminal."""
    out = Table("sampler", box=None, padding=(0, 1, 0, 0))
    for title in ("to 90 %", "to 95 %", "to 99 %", "seconds to 95 %", "in the end", "score"):
        out.add_column(title, justify="right")
    for name, found in facts["samplers"].items():
        cells = [str(n) if n is not None else "–" for n in found["evaluations"].values()]
        seconds = found["seconds_to_95%"]
        low, middle, high = found["final"]
        out.add_row(
            name,
            *cells,
            "–" if seconds is None else f"{seconds:.1f}",
            f"{middle:.1%} ({low:.1%} … {high:.1%})",
            f"{found['score']:+.2f}",
        )
    return out

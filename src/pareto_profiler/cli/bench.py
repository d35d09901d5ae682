"""``pareto-profiler bench``: samplers side by side on recorded tables and simulated devices."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.table import Table

from pareto_profiler.bench import BASELINE, Effort, efforts_of, facts_of, records_of, run_all
from pareto_profiler.bench import subject_of as subject_named
from pareto_profiler.cli.exits import note
from pareto_profiler.cli.options import JsonOption, command
from pareto_profiler.cli.output import check_writable, print_json, say, show, write_file
from pareto_profiler.errors import InputError
from pareto_profiler.quantities import split
from pareto_profiler.report.records import parquet_of
from pareto_profiler.samplers import SAMPLERS

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
            "simulated:FAMILY:SEED.",
        ),
    ],
    samplers: Annotated[
        str,
        typer.Option(
            help="Which, comma-separated; NAME:N has another budget, NAME:N:S another number of "
            "searches. random is always among them.",
            show_default="structured, local, hlps, and nsga2 where pymoo is installed",
        ),
    ] = DEFAULT_SAMPLERS,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Searches of each sampler.")] = 10,
    budget: Annotated[int, typer.Option(min=1, help="Evaluations of each search.")] = 200,
    jobs: Annotated[
        int, typer.Option(min=1, max=256, help="Processes.", show_default="all cores")
    ] = os.cpu_count() or 1,
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
    for name in efforts:
        if name not in SAMPLERS:
            raise InputError(f"sampler {name!r}: expected one of {', '.join(SAMPLERS)}")
    if to is not None:
        check_writable(to)
    results: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for table in tables:
        subject = subject_named(table)
        searches = sum(effort.seeds for effort in efforts.values())
        note(f"{table}: {len(efforts)} samplers, {searches} searches")
        curves = run_all(table, subject, efforts, jobs)
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

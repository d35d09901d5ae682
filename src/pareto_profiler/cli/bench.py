"""``pareto-profiler bench``: samplers side by side on recorded tables and simulated devices."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareto_profiler.cli.exits import reporting_errors
from pareto_profiler.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pareto_profiler.bench import Curve, Run, Subject

DEFAULT_SAMPLERS = "structured,random,local,nsga2,hlps"
_BASELINE = "random"


@reporting_errors
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
            "searches. random is always among them."
        ),
    ] = DEFAULT_SAMPLERS,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Searches of each sampler.")] = 10,
    budget: Annotated[int, typer.Option(min=1, help="Evaluations of each search.")] = 200,
    jobs: Annotated[
        int, typer.Option(min=1, max=256, help="Processes.", show_default="all cores")
    ] = os.cpu_count() or 1,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write every search's curve there, as Parquet.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare samplers: how soon does what they report come close to the true front?

    Each search starts with the baseline and the uniform assignments; every process on the device
    counts as an evaluation. Judged is the hypervolume of the true values of what would be reported
    as the front, as a share of the reference front's: that of all assignments that are known and
    that any sampler evaluated. Measurements have noise: drawn again from a table's samples, or
    simulated.
    """
    from pareto_profiler.cli.assembly import split
    from pareto_profiler.cli.output import check_writable, console, note, print_json
    from pareto_profiler.samplers import SAMPLERS

    efforts = {_BASELINE: Effort(budget, seeds)} | efforts_of(split(samplers), budget, seeds)
    for name in efforts:
        if name not in SAMPLERS:
            raise InputError(f"sampler {name!r}: expected one of {', '.join(SAMPLERS)}")
    if to is not None:
        check_writable(to)
    results: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for table in tables:
        subject = subject_of(table)
        searches = sum(effort.seeds for effort in efforts.values())
        note(f"{table}: {len(efforts)} samplers, {searches} searches")
        curves = run_all(table, subject, efforts, jobs)
        results.append(facts_of(table, subject, curves, budget))
        rows += records_of(table, curves)
        if not as_json:
            console().print(table_of(results[-1]))
    if to is not None:
        from pareto_profiler.cli.output import write_file
        from pareto_profiler.cli.show import parquet_of

        write_file(to, parquet_of(rows))
    if as_json:
        print_json(results)


def subject_of(table: str) -> Subject:
    """What a table's name stands for.

    Raises:
        InputError, StoreError: It cannot be read, or there is no such device.
    """
    from pareto_profiler.bench import device_subject, table_subject
    from pareto_profiler.cli.show import open_recording
    from pareto_profiler.runners.devices import PREFIX

    if table.startswith(PREFIX):
        return device_subject(table)
    return table_subject(table, open_recording(Path(table)))


@dataclass(frozen=True, slots=True)
class Effort:
    """How much one sampler is tried: searches of so many evaluations each."""

    evaluations: int
    seeds: int


def efforts_of(parts: Sequence[str], budget: int, seeds: int) -> dict[str, Effort]:
    """Sampler → effort, from parts such as ``nsga2``, ``nsga2:600`` and ``tpe:150:3``.

    Raises:
        InputError: A number is none, or not positive.

    Examples:
        >>> efforts_of(["tpe:150:3", "local"], 200, 10)["tpe"]
        Effort(evaluations=150, seeds=3)
    """
    found = {}
    for part in parts:
        name, *numbers = part.split(":")
        if len(numbers) > 2 or not all(n.isdecimal() and int(n) for n in numbers):
            raise InputError(f"{part!r}: expected NAME, NAME:EVALUATIONS or NAME:EVALUATIONS:SEEDS")
        given = [int(n) for n in numbers]
        found[name] = Effort(*given, *(budget, seeds)[len(given) :])
    return found


def run_all(
    table: str, subject: Subject, efforts: Mapping[str, Effort], jobs: int
) -> dict[str, list[Curve]]:
    """All searches, judged against all that any of them saw."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    from itertools import repeat

    from pareto_profiler.bench import curve_of, scale_of

    pairs = [(name, seed) for name, effort in efforts.items() for seed in range(effort.seeds)]
    # Each in one thread: several searches are run side by side.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(jobs, len(pairs)), mp_context=context) as pool:
        several = [efforts[name].evaluations for name, _ in pairs]
        runs = list(pool.map(_run, repeat(table), pairs, several, chunksize=1))
    scale = scale_of(subject, runs)
    return {
        name: [curve_of(subject, scale, run) for run in runs if run.sampler == name]
        for name in efforts
    }


def _run(table: str, pair: tuple[str, int], budget: int) -> Run:
    from pareto_profiler.bench import run_one
    from pareto_profiler.samplers import SAMPLERS

    name, seed = pair
    return run_one(subject_of(table), name, SAMPLERS[name], seed, budget)


def facts_of(
    table: str, subject: Subject, curves: dict[str, list[Curve]], budget: int
) -> dict[str, Any]:
    """The results on one table, as plain data."""
    from pareto_profiler.bench import SHARES, median_evaluations, methodology_score, quartiles

    scores = methodology_score(curves, _BASELINE, budget)
    points = [n for n in (10, 15, 20, 30, 40, 60, 100, 150, 200, 300, 600) if n <= budget]
    return {
        "table": table,
        "variables": len(subject.problem.space.variables),
        "backends": len(subject.problem.space.backends),
        "space_size": str(subject.problem.space.size),
        "budget": budget,
        "samplers": {
            name: {
                "evaluations": {f"{s:.0%}": median_evaluations(mine, s) for s in SHARES},
                "seconds_to_95%": _median_seconds(mine, 0.95),
                "shares": {
                    str(n): list(q) for n, q in zip(points, quartiles(mine, points), strict=True)
                },
                "final": list(next(iter(quartiles(mine, [budget])))),
                "evaluated": [len(c.shares) for c in mine],
                "score": scores[name],
            }
            for name, mine in curves.items()
        },
    }


def _median_seconds(curves: Sequence[Curve], share: float) -> float | None:
    from statistics import median

    found = []
    for curve in curves:
        n = curve.evaluations_to(share)
        found.append(float("inf") if n is None else curve.run.seconds[n - 1])
    middle = median(found)
    return None if middle == float("inf") else round(middle, 3)


def records_of(table: str, curves: dict[str, list[Curve]]) -> list[dict[str, Any]]:
    """One flat record for each evaluation at which a share changed."""
    records = []
    for name, mine in curves.items():
        for curve in mine:
            last = -1.0
            for n, (share, seconds) in enumerate(
                zip(curve.shares, curve.run.seconds, strict=True), 1
            ):
                if share != last or n == len(curve.shares):
                    records.append(
                        {
                            "table": table,
                            "sampler": name,
                            "seed": curve.run.seed,
                            "evaluation": n,
                            "seconds": seconds,
                            "share": share,
                        }
                    )
                last = share
    return records


def table_of(facts: dict[str, Any]) -> Any:
    """The results on one table, for a terminal."""
    from rich.table import Table

    out = Table(
        "sampler",
        box=None,
        title=f"{facts['table']}: {facts['variables']} variables, {facts['backends']} backends",
        title_justify="left",
    )
    for title in ("to 90 %", "to 95 %", "to 99 %", "device s to 95 %", "in the end", "score"):
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
    out.caption = (
        "median evaluations to that share of the reference hypervolume; share in the end with "
        "quartiles; score: 0 as random, 1 the optimum at once"
    )
    return out

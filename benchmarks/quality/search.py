"""Samplers on simulated devices and recorded tables: curves, figures, pictures for the appendix.

    python benchmarks/quality/search.py run OUT [TABLE…]   searches, two hours on two cores
    python benchmarks/quality/search.py show OUT           the appendix's table, and pictures

``OUT`` is a folder; a table that has its curves there is not run again.
"""

from __future__ import annotations

import json
import os
import re
import sys
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import moocore
import numpy as np

from pareto_profiler.bench import (
    Curve,
    Run,
    Subject,
    efforts_of,
    facts_of,
    judged,
    records_of,
    subject_of,
)
from pareto_profiler.cells import Workers, cells_of, done
from pareto_profiler.report.records import parquet_of
from pareto_profiler.simulation.families import FAMILIES

SEEDS = 10
BUDGET = 800
SAMPLERS = ["structured:60", "random", "local", "nsga2", "spea2", "hlps:400", "tpe:150:3"]
if find_spec("botorch"):
    SAMPLERS.append("qnehvi:120:3")
ATTAINED = 40
ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"


def run(out: Path, tables: list[str]) -> None:
    """Search everywhere, and keep the curves."""
    out.mkdir(parents=True, exist_ok=True)
    for table in tables or [f"simulated:{family}:0" for family in FAMILIES]:
        file = out / f"{slug(table)}.json"
        if file.exists():
            continue
        subject = subject_of(table)
        efforts = efforts_of(SAMPLERS, BUDGET, SEEDS)
        with closing(Workers(len(os.sched_getaffinity(0)))) as pool:
            answers = [answer for _, answer in done(cells_of(table, efforts), pool)]
        runs = [answer for answer in answers if isinstance(answer, Run)]
        assert len(runs) == len(answers), answers
        curves = judged(subject, runs, efforts)
        named = name_in_results(table)
        facts = facts_of(named, subject, curves, BUDGET)
        facts["fronts"] = {name: fronts_at(subject, mine) for name, mine in curves.items()}
        file.with_suffix(".parquet").write_bytes(parquet_of(records_of(named, curves)))
        file.write_text(json.dumps(facts, indent=1), encoding="utf-8")
        print(line(facts), flush=True)


def fronts_at(subject: Subject, curves: list[Curve]) -> list[list[list[float]]]:
    """For each search the true values of what it would have reported after some evaluations."""
    found = []
    for curve in curves:
        members = curve.run.reported[min(ATTAINED, len(curve.run.reported)) - 1]
        found.append([list(v) for v in map(subject.truth, sorted(members)) if v is not None])
    return found


def name_in_results(table: str) -> str:
    """As it is found from the project's folder, wherever that is."""
    if table.startswith("simulated:"):
        return table
    path = Path(table).resolve()
    return path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else path.name


def slug(table: str) -> str:
    """A file name of a table's."""
    return re.sub(r"[^\w-]+", "_", Path(table).stem if "/" in table else table)


def title(facts: dict[str, Any]) -> str:
    """Of a picture."""
    name = slug(facts["table"]).removeprefix("simulated_").removesuffix("_0")
    return name.removesuffix("-emulated_board").replace("-operations", "\noperations")


def line(facts: dict[str, Any]) -> str:
    """A row of the table in docs/search_appendix.md."""
    samplers = facts["samplers"]
    mine = samplers["structured"]["evaluations"]
    cells = [str(mine[s] or "–") for s in ("90%", "95%", "99%")]
    others = {n: f["evaluations"]["95%"] for n, f in samplers.items() if n != "structured"}
    reached = {n: e for n, e in others.items() if e is not None}
    best = min(reached, key=lambda n: reached[n]) if reached else None
    if best:
        said = f"{best} {reached[best]}"
    else:
        last = max(others, key=lambda n: samplers[n]["final"][1])
        said = f"none in {facts['budget']} ({last} {samplers[last]['final'][1]:.0%})"
    name = slug(facts["table"]).removeprefix("simulated_").removesuffix("_0")
    shape = f"{facts['variables']} × {facts['backends']}"
    final = samplers["structured"]["final"][1]
    return f"| `{name}` | {shape} | {' | '.join(cells)} | {final:.1%} | {said} |"


def show(out: Path) -> None:
    """The table, and a picture for each."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    found = [json.loads(f.read_text(encoding="utf-8")) for f in sorted(out.glob("*.json"))]
    print(
        "| device | variables × backends | to 90 % | 95 % | 99 % | in the end | best other, 95 % |"
    )
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for facts in found:
        print(line(facts))
    columns = 3
    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(12, 3 * rows), sharex=True, sharey=True)
    for axis, facts in zip(axes.flat, found, strict=False):
        for name, sampler in facts["samplers"].items():
            points = [int(n) for n in sampler["shares"]]
            low, middle, high = zip(*sampler["shares"].values(), strict=True)
            axis.plot(points, middle, label=name, lw=2 if name == "structured" else 1)
            axis.fill_between(points, low, high, alpha=0.15)
        axis.set_xscale("log")
        axis.set_ylim(0, 1.02)
        axis.set_title(title(facts), fontsize=9)
    for axis in axes.flat[len(found) :]:
        axis.remove()
    legend(axes, loc="lower right")
    figure.supxlabel("evaluations")
    figure.supylabel("share of the reference hypervolume, median and quartiles")
    figure.tight_layout()
    PICTURES.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURES / "search.svg", metadata={"Date": None})
    attainment([facts for facts in found if "fronts" in facts], plt)


def attainment(found: list[dict[str, Any]], plt: Any) -> None:
    """What half of the searches attained after so many evaluations (empirical attainment)."""
    if not found:
        return
    columns = 3
    rows = -(-len(found) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(12, 3 * rows), squeeze=False)
    for axis in axes.flat[len(found) :]:
        axis.remove()
    for axis, facts in zip(axes.flat, found, strict=False):
        for name, fronts in facts["fronts"].items():
            points = np.array([[*v, n] for n, front in enumerate(fronts, 1) for v in front])
            half = moocore.eaf(points[:, :2], sets=points[:, 2].astype(int), percentiles=[50])
            half = half[np.argsort(half[:, 0])]
            width = 2 if name == "structured" else 1
            axis.step(1e3 * half[:, 0], half[:, 1] / 2**20, where="post", label=name, lw=width)
        axis.set_title(title(facts), fontsize=9)
    figure.supxlabel("latency, ms")
    figure.supylabel("peak memory, MiB")
    legend(axes)
    figure.tight_layout()
    figure.savefig(PICTURES / "attainment.svg", metadata={"Date": None})


def legend(axes: Any, **options: Any) -> None:
    """In the first picture, of all samplers: some were tried on some devices only."""
    lines: dict[str, Any] = {}
    for axis in axes.flat:
        lines |= dict(zip(*reversed(axis.get_legend_handles_labels()), strict=True))
    axes.flat[0].legend(lines.values(), lines.keys(), fontsize=8, **options)


if __name__ == "__main__":
    command, folder, *names = sys.argv[1:]
    if command == "run":
        run(Path(folder), names)
    else:
        show(Path(folder))

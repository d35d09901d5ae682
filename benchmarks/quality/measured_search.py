"""How soon samplers come to the front of a model that is measured here, not simulated.

    python benchmarks/quality/measured_search.py MODEL [RUNTIME] [SEEDS]

`structured` searches with 40 evaluations, once a seed; `local`, `nsga2` and `tpe` with 150, once.
What each assignment is worth is the median of all its measurements by whichever sampler; a share is
that of the hypervolume of everything that any of them saw. Every process counts, profiles included.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from pareto_profiler.bench import Scale
from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Trial
from pareto_profiler.storage.journal import read

OBJECTIVES = objectives_of(("exec_time", "max_rss"))
OTHERS = {"local": 150, "nsga2": 150, "tpe": 150}
OWN = 40
SHARES = (0.9, 0.95, 0.99)


def search(
    model: Path, runtime: str, sampler: str, budget: int, seed: int, to: Path
) -> list[Trial]:
    """The trials of one search."""
    options = f"--granularity operation --no-confirm --retries 0 --anchor-every 0 --seed {seed}"
    command = [sys.executable, "-m", "pareto_profiler", "search", str(model), *options.split()]
    command += ["--runtime", runtime, "--sampler", sampler, "--budget", str(budget)]
    subprocess.run([*command, "--output", str(to)], check=True, capture_output=True)
    return list(read(to).trials)


def worth(searches: Sequence[Sequence[Trial]]) -> dict[Assignment, tuple[float, ...]]:
    """Assignment → the median of all its measurements, objective by objective."""
    figures: dict[Assignment, list[tuple[float, ...]]] = {}
    for trials in searches:
        for trial in trials:
            if isinstance(trial.outcome, Measurement):
                values = tuple(trial.outcome.value(o) for o in OBJECTIVES)
                figures.setdefault(trial.assignment, []).append(values)
    return {a: tuple(map(median, zip(*rows, strict=True))) for a, rows in figures.items()}


def main() -> None:
    """Search with each, and print after how many evaluations it has which share."""
    model, runtime = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "litert"
    seeds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    asked = [("structured", OWN, seed) for seed in range(seeds)]
    asked += [(name, budget, 0) for name, budget in OTHERS.items()]
    with tempfile.TemporaryDirectory() as folder:
        searches = {
            (name, seed): search(
                model, runtime, name, budget, seed, Path(folder) / f"{name}-{seed}"
            )
            for name, budget, seed in asked
        }
    values = worth(list(searches.values()))
    scale = Scale.of(values.values())
    print(f"{model.stem} on {runtime}: {len(values)} assignments, {len(scale.front)} on the front")
    for (name, seed), trials in searches.items():
        seen: list[tuple[float, ...]] = []
        shares = []
        for trial in trials:
            if trial.assignment in values:
                seen.append(values[trial.assignment])
            shares.append(scale.share(seen) if seen else 0.0)
        when = [next((str(n) for n, s in enumerate(shares, 1) if s >= x), "–") for x in SHARES]
        told = ", ".join(f"{x:.0%} after {n}" for x, n in zip(SHARES, when, strict=True))
        print(f"  {name:10} seed {seed}: {told}; {shares[-1]:.1%} after {len(trials)}")


if __name__ == "__main__":
    main()

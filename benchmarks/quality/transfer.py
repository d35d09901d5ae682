"""How much sooner a search is there that starts from another device's run (`search --from`).

    python benchmarks/quality/transfer.py [SEEDS [FAMILY…]]

For each family evaluations to 95 % of the hypervolume, the median over seeds: from nothing; from a
run of 60 evaluations on a second board of the kind; from one on a device of the same model whose
operations, copies and memory cost something else; and by an oracle, which begins with the baseline
and the uniform assignments as all do and then takes what truly adds most.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from statistics import median

from pareto_profiler.bench import Run, Scale, curve_of, device_subject, run_one, scale_of
from pareto_profiler.core.ports import Problem, Sampler
from pareto_profiler.core.rules import ONE_SHOT
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.samplers.structured import Carried, StructuredSampler
from pareto_profiler.simulation.families import Device

FAMILIES = ("chain-20x3", "hand-over-20x3", "crashes-40x3", "mobile-53x3")
BUDGET = 40
LEARNED = 60
SHARE = 0.95
OTHER = 5


def searched(family: str, how: str, seed: int) -> Run:
    """One search on the family's first device."""
    device = Device.of(f"simulated:{family}:0")
    source = replace(device, costs_of=OTHER) if how == "another kind" else device

    def make(problem: Problem) -> Sampler:
        if how == "nothing":
            return StructuredSampler(problem)
        return StructuredSampler(problem, learned(source, problem, 100 + seed))

    return run_one(device_subject(device), how, make, seed, BUDGET)


def learned(device: Device, problem: Problem, seed: int) -> Carried:
    """What a search elsewhere learned."""
    runner, journal = device_subject(device).runner(seed), MemoryJournal()
    for _ in search(
        problem.space,
        StructuredSampler(replace(problem, seed=seed)),
        runner,
        journal,
        Budget(LEARNED),
        source="structured",
        objectives=problem.objectives,
        rules=replace(ONE_SHOT, seed=seed, confirm_share=1e-9),
        clock=runner,
    ):
        pass
    return Carried(problem, journal.trials)


def oracle(device: Device, scale: Scale, runs: list[Run]) -> int:
    """Evaluations of one who knows the truth of all that any run evaluated."""
    subject = device_subject(device)
    truths = {a: subject.truth(a) for run in runs for a in run.assignments}
    points = {v for v in truths.values() if v is not None}
    mine = [v for v in map(subject.truth, subject.known) if v is not None]
    while scale.share(mine) < SHARE:
        mine.append(max(sorted(points), key=lambda p: scale.share([*mine, p])))
    return len(mine)


def main(seeds: str = "10", *families: str) -> None:
    """Print a line for each family."""
    os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
    ways = ("nothing", "its kind", "another kind")
    print("family          ", *(f"{way:>14}" for way in (*ways, "oracle")))
    with ProcessPoolExecutor(2) as pool:
        for family in families or FAMILIES:
            device = Device.of(f"simulated:{family}:0")
            asked = [(family, way, seed) for way in ways for seed in range(int(seeds))]
            runs = list(pool.map(searched, *zip(*asked, strict=True)))
            subject = device_subject(device)
            scale = scale_of(subject, runs)
            cells = []
            for way in ways:
                curves = [curve_of(subject, scale, r) for r in runs if r.sampler == way]
                counts = [c.evaluations_to(SHARE) or BUDGET + 1 for c in curves]
                cells.append(f"{median(counts):g} ({min(counts)}…{max(counts)})")
            cells.append(str(oracle(device, scale, runs)))
            print(f"{family:16}", *(f"{cell:>14}" for cell in cells), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

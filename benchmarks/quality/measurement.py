"""Do intervals hold, and are verdicts right? Against simulated devices whose truth is known.

    python benchmarks/quality/measurement.py [MEASUREMENTS] [DEVICES]

Coverage: of MEASUREMENTS (2000) assignments per kind of noise, each measured in whole searches with
anchors, repeats and adaptive numbers of runs, how many of the 95 % intervals of exec_time hold the
true value. True is the figure on an undisturbed device at its mean level during the search.

Memberships: on DEVICES (50) devices with all kinds of noise at once, the share of assignments whose
place is called wrong, at equal numbers of timed runs.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from simulation import NOISES, OBJECTIVES, SPACE, USUAL, Truth, exact, on_the_front, truth_of

from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.membership import Verdict, memberships
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.rules import MARGIN, ONE_SHOT, Rules
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Trial
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.samplers import RandomSampler
from pareto_profiler.simulation.runner import Noise, SimulatedRunner

BUDGET = 100
EVERYTHING = replace(USUAL, processes=0.02, drift=0.02, busy_share=0.15, busy_s=1.0, outliers=0.01)


def searched(
    truth: Truth, noise: Noise, plan: Plan, rules: Rules, budget: int, seed: int
) -> tuple[Sequence[Trial], SimulatedRunner]:
    """The trials of one search, and the device."""
    device = SimulatedRunner(SPACE, truth.get, noise, plan, seed)
    journal = MemoryJournal()
    sampler = RandomSampler(Problem(SPACE, seed=seed))
    for _ in search(
        SPACE,
        sampler,
        device,
        journal,
        Budget(budget),
        source="random",
        objectives=OBJECTIVES,
        rules=rules,
        clock=device,
    ):
        pass
    return journal.trials, device


def mean_level(trials: Sequence[Trial], device: SimulatedRunner) -> float:
    """Of the device when the undisturbed anchors were measured: what drift is corrected to."""
    levels = [
        level
        for level, trial in zip(device.levels, trials, strict=True)
        if trial.assignment == SPACE.default
        and isinstance(trial.outcome, Measurement)
        and not trial.outcome.is_contended
    ]
    return float(np.mean(levels))


def coverage(noise: Noise, measurements: int) -> tuple[float, float, int, float]:
    """Share of intervals that hold, their median half-width, how many, share left uncalled."""
    held: list[bool] = []
    widths: list[float] = []
    uncalled = seed = 0
    while len(held) < measurements:
        truth = truth_of(seed)
        trials, device = searched(truth, noise, Plan(), Rules(seed=seed), BUDGET, seed)
        level = mean_level(trials, device)
        for item in Estimates.of(trials, OBJECTIVES, SPACE.default).items:
            ends = item.figures[0].interval()
            if ends is None:
                uncalled += 1
                continue
            low, high = ends
            value = truth[item.assignment]["exec_time"] * math.exp(level)
            held.append(low <= value <= high)
            widths.append((high - low) / 2 / value)
        seed += 1
    held = held[:measurements]
    return float(np.mean(held)), float(np.median(widths)), len(held), uncalled / len(widths)


def main() -> None:
    """Print both tables."""
    measurements = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    devices = int(sys.argv[2]) if len(sys.argv) > 2 else 50
    print("noise                          intervals  hold    half-width  no interval (busy)")
    for name, noise in NOISES.items():
        share, width, count, uncalled = coverage(noise, measurements)
        print(f"{name:30s} {count:9d}  {share:.1%}  {width:10.2%}  {uncalled:.1%}")
    print()
    print_memberships(devices)


def print_memberships(devices: int) -> None:
    """The second table."""
    wrong: dict[str, int] = {}
    runs: dict[str, int] = {}
    undecided = assignments = 0
    began = time.monotonic()
    for seed in range(devices):
        truth = truth_of(1000 + seed)
        strict = on_the_front(exact(truth), 0.0)
        lenient = on_the_front(exact(truth), MARGIN)
        assignments += len(truth)

        def count(
            name: str,
            said: Mapping[Assignment, bool | None],
            true: Mapping[Assignment, bool],
            trials: Sequence[Trial],
        ) -> None:
            errors = sum(said.get(a) is not None and said[a] != is_on for a, is_on in true.items())
            wrong[name] = wrong.get(name, 0) + errors
            made = sum(
                len(t.outcome.samples["exec_time"])
                for t in trials
                if isinstance(t.outcome, Measurement)
            )
            runs[name] = runs.get(name, 0) + made

        for name, repeats in (("one shot", 1), ("10 repeats", 10)):
            plan = Plan(repeats=repeats, warmups=1)
            trials, _ = searched(truth, EVERYTHING, plan, ONE_SHOT, len(truth), seed)
            estimates = Estimates.of(trials, OBJECTIVES)
            count(name, on_the_front(estimates, 0.0), strict, trials)
            with_margin = replace(estimates, is_noise_known=True)
            count(f"{name}, margin", on_the_front(with_margin, MARGIN), lenient, trials)
        plan = Plan(repeats=5, warmups=1)
        rules = Rules(seed=seed)
        trials, _ = searched(truth, EVERYTHING, plan, rules, 2 * len(truth), seed)
        estimates = Estimates.of(trials, OBJECTIVES, SPACE.default)
        places = dict(
            zip((i.assignment for i in estimates.items), memberships(estimates), strict=True)
        )
        verdicts = {
            a: None if p.verdict is Verdict.INCONCLUSIVE else p.verdict is Verdict.ON
            for a, p in places.items()
        }
        undecided += sum(v is None for v in verdicts.values())
        count("this, verdicts", verdicts, lenient, trials)
        count(
            "this, likelier", {a: p.probability >= 0.5 for a, p in places.items()}, lenient, trials
        )
    print(f"{devices} devices, {assignments} assignments, {time.monotonic() - began:.0f} s")
    print("measured                timed runs   wrong memberships")
    for name, errors in wrong.items():
        print(f"{name:22s} {runs[name]:11d}   {errors / assignments:.2%} ({errors})")
    print(f"this, inconclusive: {undecided / assignments:.1%}")
    print(f"this over 10 repeats: {wrong['this, verdicts'] / max(1, wrong['10 repeats']):.3f}")


if __name__ == "__main__":
    main()

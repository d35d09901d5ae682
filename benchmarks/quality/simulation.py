"""Devices with known truth, for judging statistics: figures with structure, noise of four kinds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np

from pareto_profiler.core.estimate import Estimate, Estimates, Figure
from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.membership import Verdict, memberships
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Trial
from pareto_profiler.simulation.runner import Noise

OBJECTIVES: Final = objectives_of(("exec_time", "max_rss"))
SPACE: Final = DecisionSpace.by_names(("cpu", "ruy"), ["a", "b", "c", "d", "e", "f"])

USUAL: Final = Noise(runs=0.05, processes=0.01, memory=0.001)
NOISES: Final = {
    "log-normal": USUAL,
    "drift": replace(USUAL, drift=0.03),
    "contention the device tells": replace(USUAL, busy_share=0.3, busy_s=2.0),
    "contention it does not tell": replace(USUAL, busy_share=0.2, busy_s=0.02, is_visible=False),
    "1 % outliers of 30 times": replace(USUAL, outliers=0.01),
}

Truth = dict[Assignment, dict[str, float]]


def truth_of(seed: int) -> Truth:
    """Times that add up, some hand-overs, memory that steps with each backend in use."""
    random = np.random.default_rng([seed, 1])
    times = random.lognormal(math.log(8e-4), 0.8, size=6)
    speeds = random.uniform(0.5, 1.3, size=6)
    weights = random.lognormal(math.log(3e5), 1.0, size=6)
    hand_over = random.uniform(0.0, 2e-4)
    truth = {}
    for assignment in SPACE:
        is_ruy = np.array([backend == "ruy" for backend in assignment])
        seconds = float(np.where(is_ruy, times * speeds, times).sum())
        seconds += hand_over * int((is_ruy[1:] != is_ruy[:-1]).sum())
        memory = 14e6 + 1.5e6 * bool(is_ruy.any()) + float((weights * is_ruy).sum())
        truth[assignment] = {"exec_time": seconds, "max_rss": memory}
    return truth


def exact(truth: Truth, *, is_noise_known: bool = True) -> Estimates:
    """Estimates that know the truth."""
    items = tuple(
        Estimate(
            assignment,
            (Trial(i, assignment, Measurement({n: (v,) for n, v in values.items()})),),
            tuple(Figure(values[o.name]) for o in OBJECTIVES),
        )
        for i, (assignment, values) in enumerate(truth.items())
    )
    return Estimates(OBJECTIVES, items, is_noise_known, (0.0, 0.0), (0.0, 0.0))


def on_the_front(estimates: Estimates, margin: float) -> dict[Assignment, bool]:
    """Where figures count as exact: who is on the front."""
    places = memberships(estimates, margin=margin)
    return {
        item.assignment: place.verdict is Verdict.ON or place.probability >= 0.5
        for item, place in zip(estimates.items, places, strict=True)
    }

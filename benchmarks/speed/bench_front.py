"""Speed of fronts, hypervolumes and replays: python benchmarks/speed/bench_front.py."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np

from pareto_profiler import Budget, DecisionSpace, Measurement, TableRunner, Trial
from pareto_profiler.core.front import hypervolume, nondominated
from pareto_profiler.core.ports import Problem
from pareto_profiler.loop import MemoryJournal, search
from pareto_profiler.samplers import RandomSampler

POINTS = 1_000_000
SMALL = 3_000
VARIABLES = 16
_T = TypeVar("_T")


def timed(call: Callable[[], _T]) -> tuple[_T, float]:
    """The result of a call and its seconds."""
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


def naive_nondominated(points: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[bool]:
    """The definition, one row against all at a time."""
    return [
        not bool(((points <= row).all(axis=1) & (points < row).any(axis=1)).any()) for row in points
    ]


def fronts() -> None:
    """Non-dominated filtering and hypervolume of 10^6 points."""
    generator = np.random.default_rng(0)
    small = generator.random((SMALL, 2))
    fast, fast_s = timed(lambda: nondominated(small).tolist())
    naive, naive_s = timed(lambda: naive_nondominated(small))
    assert fast == naive
    print(f"{SMALL} points: {fast_s * 1e3:.2f} ms, the definition {naive_s * 1e3:.0f} ms, ", end="")
    print(f"ratio {naive_s / fast_s:.0f}")
    for name, points in (
        ("uniform", generator.random((POINTS, 2))),
        ("all on the front", _anti_diagonal(generator)),
    ):
        mask, filtering_s = timed(partial(nondominated, points))
        _, volume_s = timed(partial(hypervolume, points, [1.1, 1.1]))
        print(
            f"{POINTS} points, {name}: front of {mask.sum()} in {filtering_s:.2f} s, "
            f"hypervolume in {volume_s:.2f} s, together {filtering_s + volume_s:.2f} s"
        )


def _anti_diagonal(
    generator: np.random.Generator,
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    x = generator.random(POINTS)
    return np.column_stack([x, 1.0 - x])


def replays() -> None:
    """Trials a second on a recorded table of 2^16 assignments."""
    space = DecisionSpace.by_names(("cpu", "ruy"), [f"op{i}" for i in range(VARIABLES)])
    values = np.random.default_rng(1).random((space.size, 2))
    table = [
        Trial(i, a, Measurement({"exec_time": (x,), "max_rss": (y,)}))
        for i, (a, (x, y)) in enumerate(zip(space, values.tolist(), strict=True))
    ]
    runner = TableRunner(space, table)
    journal = MemoryJournal()
    sampler = RandomSampler(Problem(space, seed=0))
    trials, seconds = timed(
        lambda: sum(1 for _ in search(space, sampler, runner, journal, Budget(), source="random"))
    )
    assert trials == len({t.assignment for t in journal.trials}) == len(table)
    print(f"replay: {trials} trials in {seconds:.2f} s, {trials / seconds:,.0f} a second")


if __name__ == "__main__":
    fronts()
    replays()

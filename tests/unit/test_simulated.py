"""Devices that exist as numbers: simulated ones, and tables whose noise is drawn again."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import ROOT

from pareto_profiler.core.measurement import OBJECTIVES
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.errors import FailureKind, RunError, SpaceError
from pareto_profiler.runners.table import TableRunner
from pareto_profiler.simulation.runner import Noise, SimulatedRunner
from pareto_profiler.storage.journal import read

SPACE = DecisionSpace.by_names(("cpu", "ruy"), ["a", "b"])
TRUTH = {a: {"exec_time": 0.01 + 0.001 * i, "max_rss": 1e7} for i, a in enumerate(SPACE)}
TIME, MEMORY = OBJECTIVES["exec_time"], OBJECTIVES["max_rss"]
CPU = SPACE.default


def test_without_noise_it_answers_with_the_truth():
    runner = SimulatedRunner(SPACE, TRUTH.get, Noise())
    for assignment, true in TRUTH.items():
        measured = runner.run(assignment)
        assert measured.value(TIME) == pytest.approx(true["exec_time"])
        assert measured.value(MEMORY) == pytest.approx(true["max_rss"], abs=4096)


def test_the_seed_decides_the_noise():
    def values(seed: int) -> list[float]:
        runner = SimulatedRunner(SPACE, TRUTH.get, Noise(runs=0.1, processes=0.1), seed=seed)
        return [runner.run(CPU).value(TIME) for _ in range(3)]

    assert values(1) == values(1) != values(2)


def test_its_clock_goes_by_what_it_does():
    runner = SimulatedRunner(SPACE, TRUTH.get, Noise(), Plan(repeats=10, warmups=5))
    began = runner.now()
    runner.run(CPU)
    assert runner.now() - began == pytest.approx(0.05 + 15 * 0.01)
    runner.rest(7.0)
    assert runner.now() - began == pytest.approx(7.2)


def test_what_it_does_not_hold_fails_and_what_is_not_of_the_space_is_refused():
    runner = SimulatedRunner(SPACE, {CPU: TRUTH[CPU]}.get, Noise())
    with pytest.raises(RunError) as caught:
        runner.run(("ruy", "ruy"))
    assert caught.value.kind is FailureKind.REJECTED
    with pytest.raises(SpaceError):
        runner.run(("gpu", "cpu"))


def test_runs_stop_at_the_precision_as_the_probes_do():
    def runs(precision: float) -> int:
        plan = Plan(precision=precision, run_time_s=1e9)
        runner = SimulatedRunner(SPACE, TRUTH.get, Noise(runs=0.02), plan)
        return len(runner.run(CPU).samples["exec_time"])

    assert runs(1.0) == 10 < runs(0.003) < runs(0.0001) == 200


def test_a_table_scatters_as_it_was_recorded():
    table = read(ROOT / "examples" / "tables" / "mobilenet_v2_035_96-x86_64")
    space = table.header.space
    exact = TableRunner(space, table.trials)

    def values(seed: int, count: int) -> list[float]:
        runner = TableRunner(space, table.trials, seed=seed)
        return [runner.run(space.default).value(TIME) for _ in range(count)]

    assert values(1, 3) == values(1, 3) != values(2, 3)
    scattered = values(3, 200)
    assert exact.run(space.default).value(TIME) == exact.run(space.default).value(TIME)
    assert np.median(scattered) == pytest.approx(exact.run(space.default).value(TIME), rel=0.03)
    assert 0.005 < np.std(np.log(scattered)) < 0.08

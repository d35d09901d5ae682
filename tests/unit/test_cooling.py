"""Rests: only for a device that heats up, as long as it needs."""

from __future__ import annotations

import pytest
from rooms import onert_problem

from pareto_profiler.cooling import Cooling
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.rules import Rules
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.core.trial import Trial
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.samplers import RandomSampler
from pareto_profiler.simulation.runner import Noise, SimulatedRunner

SPACE = DecisionSpace.by_names(("cpu", "ruy"), ["a", "b", "c", "d", "e", "f"])
OBJECTIVES = objectives_of(["exec_time", "max_rss"])
TRUTH = {a: {"exec_time": 0.02, "max_rss": 2e7} for a in SPACE}


def searched(noise: Noise, seed: int = 1) -> tuple[list[Trial], SimulatedRunner]:
    device = SimulatedRunner(SPACE, TRUTH.get, noise, Plan(repeats=20, warmups=0), seed=seed)
    journal = MemoryJournal()
    trials = search(
        SPACE,
        RandomSampler(onert_problem(SPACE, seed=0)),
        device,
        journal,
        Budget(250),
        source="random",
        objectives=OBJECTIVES,
        # All are the same: repeats to tell them apart go on to the end of the budget.
        rules=Rules(margin=0.0),
        clock=device,
    )
    return list(trials), device


def anchors(trials: list[Trial]) -> list[float]:
    return [t.outcome.value(OBJECTIVES[0]) for t in trials if t.assignment == SPACE.default]


def test_a_device_that_heats_up_gets_rests_and_is_faster_for_it():
    noise = Noise(runs=0.005, heating=0.3, heat_s=6.0)
    rested, _ = searched(noise)
    assert sum(t.rested_s for t in rested) > 0
    levels = anchors(rested)
    hottest, later = max(levels), levels[len(levels) // 2 :]
    # It learns: the second half of the search runs cooler than the hottest moment.
    assert sum(later) / len(later) < 0.96 * hottest


@pytest.mark.thorough
def test_a_device_that_does_not_gets_none():
    for noise in (Noise(runs=0.05, processes=0.02), Noise(runs=0.01, outliers=0.02)):
        trials, _ = searched(noise)
        # To look again at once is no rest.
        assert all(t.rested_s < 0.01 for t in trials)


def test_other_work_that_comes_and_goes_unseen_does_not_teach_long_rests():
    noise = Noise(runs=0.01, busy_share=0.3, busy_s=5.0, busy_factor=1.5, is_visible=False)
    trials, _ = searched(noise)
    worked = sum(t.duration_s for t in trials)
    assert sum(t.rested_s for t in trials) < 0.5 * worked


@pytest.mark.thorough
def test_a_neighbour_that_slows_for_moments_is_no_heat():
    noise = Noise(runs=0.01, busy_share=0.5, busy_s=1.0, busy_factor=1.8, is_visible=False)
    rested = worked = 0.0
    for seed in range(2):
        trials, _ = searched(noise, seed)
        rested += sum(t.rested_s for t in trials)
        worked += sum(t.duration_s for t in trials)
    assert rested < 0.1 * worked


def test_rests_that_do_not_help_are_given_up():
    cooling = Cooling()
    now, slept = 0.0, 0.0
    for level in (0.0, 0.001, 0.0, 0.001):
        now += 10
        assert cooling.rest_after(level, now) == 0.0
    for _ in range(20):
        now += 10
        rest = cooling.rest_after(0.3, now)
        slept += rest
        now += rest
    assert 0 < slept <= 3 * 10 + 1
    assert cooling.rest_before_block(now) == 0.0

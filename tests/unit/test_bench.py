"""What the bench counts and computes."""

from __future__ import annotations

import numpy as np
import pytest

from pareto_profiler.bench import (
    Curve,
    Run,
    Scale,
    curve_of,
    median_evaluations,
    methodology_score,
    quartiles,
    run_one,
    scale_of,
    subject_of,
    table_subject,
)
from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind, InputError
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.simulation.families import BREAKING

BOTH = objectives_of(["exec_time", "max_rss"])
SPACE = DecisionSpace.by_names(("cpu", "npu"), ["a", "b", "c"])


def trial(number: int, assignment: tuple[str, ...], time: float, memory: float) -> Trial:
    samples = {"exec_time": (time,), "max_rss": (memory,)}
    return Trial(number, assignment, Measurement(samples), duration_s=0.5)


def curve(*shares: float) -> Curve:
    seconds = tuple(float(n) for n in range(len(shares)))
    empty = ((),) * len(shares)
    return Curve(Run("s", 0, seconds, empty, (frozenset(),) * len(shares)), shares)


def test_shares_are_of_the_reference_fronts_own_box():
    scale = Scale.of([(1.0, 3.0), (3.0, 1.0), (2.0, 2.0), (3.0, 3.0)])
    assert len(scale.front) == 3
    assert scale.share([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]) == pytest.approx(1.0)
    assert scale.share([]) == 0.0
    assert scale.share([(9.0, 9.0)]) == 0.0
    # Of a box of 2.2 squared, beyond (1, 1): one corner point has 2.2 × 0.2 of it.
    whole = 2.2 * 0.2 + 1.2 * 1.0 + 0.2 * 1.0
    assert scale.share([(1.0, 3.0)]) == pytest.approx(2.2 * 0.2 / whole)


def test_a_front_of_one_point_has_a_box_too():
    scale = Scale.of([(1.0, 1.0)])
    assert scale.share([(1.0, 1.0)]) == pytest.approx(1.0)
    assert scale.share([(1.02, 1.0)]) == 0.0


def test_evaluations_and_quartiles():
    curves = [curve(0.1, 0.91, 0.96), curve(0.1, 0.2, 0.92, 0.99), curve(0.5)]
    assert [c.evaluations_to(0.9) for c in curves] == [2, 3, None]
    assert median_evaluations(curves, 0.9) == 3
    assert median_evaluations(curves, 0.99) is None
    assert curves[2].at(100) == 0.5
    assert curves[0].at(0) == 0.0
    assert next(iter(quartiles(curves, [3])))[1] == 0.92


def test_the_score_is_zero_for_random_and_one_for_the_optimum_at_once():
    curves = {"random": [curve(0.0, 0.5)], "good": [curve(1.0, 1.0)], "bad": [curve(0.0, 0.25)]}
    scores = methodology_score(curves, "random", 2)
    assert scores["random"] == 0.0
    assert scores["good"] == 1.0
    assert scores["bad"] < 0


def table() -> Recording:
    rows = [trial(i, a, 1.0 + i, 800.0 - 100 * i) for i, a in enumerate(SPACE) if i != 5]
    trials = tuple(Trial(n, t.assignment, t.outcome, duration_s=0.5) for n, t in enumerate(rows))
    return Recording(Header("t", "", SPACE, ("exec_time", "max_rss")), trials)


def test_a_tables_clock_adds_up_what_was_recorded_and_what_it_lacks_takes_no_time():
    subject = table_subject("t", table())
    run = run_one(subject, "exhaustive", SAMPLERS["exhaustive"], 0, 8)
    assert len(run.assignments) == 8
    assert run.seconds[-1] == pytest.approx(3.5)
    found = curve_of(subject, scale_of(subject, [run]), run)
    assert found.shares[-1] == pytest.approx(1.0)
    assert list(found.shares) == sorted(found.shares)


def test_a_table_without_figures_is_no_subject():
    empty = Recording(table().header, (Trial(0, SPACE.default, Failure(FailureKind.CRASHED, "")),))
    with pytest.raises(InputError, match="nothing was measured"):
        table_subject("t", empty)


def test_runs_of_the_same_seed_are_the_same_and_judged_by_the_truth():
    subject = subject_of("simulated:tiny-8x2:1")
    runs = [run_one(subject, "local", SAMPLERS["local"], 3, 40) for _ in range(2)]
    assert runs[0] == runs[1]
    scale = scale_of(subject, runs)
    shares = curve_of(subject, scale, runs[0]).shares
    assert 0 < shares[-1] <= 1 + 1e-9
    values = np.array([subject.truth(a) for a in runs[0].reported[-1]])
    assert scale.share(map(tuple, values.tolist())) == pytest.approx(shares[-1])


def test_structured_is_ahead_of_random_within_the_same_evaluations():
    subject = subject_of("simulated:chain-20x3:2")
    runs = {n: run_one(subject, n, SAMPLERS[n], 0, 26) for n in ("structured", "random")}
    scale = scale_of(subject, runs.values())
    ahead, behind = (curve_of(subject, scale, runs[n]).shares[-1] for n in runs)
    assert ahead > behind + 0.2


@pytest.mark.parametrize("family", BREAKING)
@pytest.mark.thorough
def test_structured_is_not_behind_random_where_its_assumptions_are_broken(family: str):
    subject = subject_of(f"simulated:{family}:0")
    names = ("structured", "random")
    runs = [run_one(subject, n, SAMPLERS[n], seed, 15) for n in names for seed in (0, 1)]
    scale = scale_of(subject, runs)
    curves = [curve_of(subject, scale, run) for run in runs]
    for evaluations in (10, 15):
        ahead, behind = (
            np.mean([c.at(evaluations) for c in curves if c.run.sampler == n]) for n in names
        )
        assert ahead >= behind

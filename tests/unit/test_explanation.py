"""What is said of an assignment, against a device whose truth is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rooms import onert_problem

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind, RunError, TargetError
from pareto_profiler.loop import Budget, MemoryJournal, measure_in_turns, search
from pareto_profiler.samplers.random import RandomSampler
from pareto_profiler.samplers.structured import StructuredSampler
from pareto_profiler.samplers.structured.explanation import Explanation, explanation_of
from pareto_profiler.simulation.families import Device, Recipe
from pareto_profiler.simulation.runner import Noise

DEVICE = Device("a device", Recipe("", 9, 3, noise=Noise(), ruggedness=0.0, skips=0.4), 3)
PROBLEM = onert_problem(DEVICE.space, graph=DEVICE.graph)
OBJECTIVES = ("exec_time", "max_rss")


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    """A search, and as many assignments at random as tell all terms apart."""
    journal = MemoryJournal()
    runner = DEVICE.runner(Plan(repeats=3, warmups=0))
    for sampler, budget in ((StructuredSampler(PROBLEM), 20), (RandomSampler(PROBLEM), 80)):
        for _ in search(
            DEVICE.space, sampler, runner, journal, Budget(budget), source="x", clock=runner
        ):
            pass
    return journal.trials


def fastest(trials: list[Trial]) -> Assignment:
    measured = [t for t in trials if isinstance(t.outcome, Measurement)]
    return min(measured, key=lambda t: DEVICE.truth(t.assignment)["exec_time"]).assignment


def explained(trials: list[Trial], assignment: Assignment, tolerance: float = 0.01) -> Explanation:
    found = explanation_of(PROBLEM, trials, assignment, (tolerance, tolerance))
    assert found is not None
    return found


def loaded(trial: Trial, peak: float) -> Trial:
    """The same on a device where loading the model takes some memory, whatever follows."""
    if not isinstance(trial.outcome, Measurement):
        return trial
    (stayed,) = trial.outcome.samples["max_rss"]
    samples = {"max_rss": (max(peak, stayed),), "rss_after_load": (peak,)}
    samples |= {"rss_anon": (stayed,), "rss_file": (0.0,)}
    samples = {**trial.outcome.samples, **samples}
    return replace(trial, outcome=replace(trial.outcome, samples=samples))


def change(one: Assignment, other: Assignment) -> list[float]:
    """True difference, in shown units."""
    a, b = DEVICE.truth(one), DEVICE.truth(other)
    return [o.shown(b[o.name] - a[o.name]) for o in PROBLEM.objectives]


def test_parts_and_shares_add_up(trials: list[Trial]):
    found = explained(trials, fastest(trials))
    parts = np.sum([p.effect.values for p in found.parts], axis=0)
    assert parts == pytest.approx(found.whole.values)
    assert found.choices
    for choice in found.choices:
        shares = np.sum(list(choice.through.values()), axis=0)
        assert shares == pytest.approx(choice.effect.values, abs=1e-9)


def test_the_difference_from_the_baseline_is_the_true_one(trials: list[Trial]):
    best = fastest(trials)
    true = change(DEVICE.space.default, best)
    found = explained(trials, best).whole
    base = DEVICE.truth(DEVICE.space.default)
    for k, o in enumerate(PROBLEM.objectives):
        assert found.values[k] == pytest.approx(true[k], abs=0.01 * o.shown(base[o.name]))


def test_what_a_choice_changes_is_what_putting_it_back_does(trials: list[Trial]):
    best, space = fastest(trials), DEVICE.space
    base = DEVICE.truth(space.default)["exec_time"]
    names = [v.name for v in space.variables]
    errors = []
    for choice in explained(trials, best).choices:
        at = names.index(choice.variable)
        back = (*best[:at], choice.default, *best[at + 1 :])
        errors.append(abs(choice.effect.values[0] - change(back, best)[0]) / (1e3 * base))
    assert np.median(errors) < 0.01


@pytest.mark.parametrize("tolerance", [0.005, 0.05, 0.3])
def test_simplifications_are_simpler_and_hardly_worse(trials: list[Trial], tolerance: float):
    best, space = fastest(trials), DEVICE.space
    found = explained(trials, best, tolerance).simplifications
    for simpler in found:
        put_back = [
            v.name
            for v, mine, theirs in zip(space.variables, best, simpler.assignment, strict=True)
            if mine != theirs
        ]
        assert tuple(put_back) == simpler.put_back
        assert all(
            theirs in (mine, default)
            for mine, theirs, default in zip(best, simpler.assignment, space.default, strict=True)
        )
        truth = DEVICE.truth(simpler.assignment)
        for name in OBJECTIVES:
            assert truth[name] <= (1 + 2 * tolerance) * DEVICE.truth(best)[name]
    counts = [len(s.put_back) for s in found]
    assert counts == sorted(counts, reverse=True)
    if tolerance == 0.3:
        assert found


def test_what_the_peak_of_loading_hides_is_told_apart(trials: list[Trial]):
    best = fastest(trials)
    before, after = (DEVICE.truth(a)["max_rss"] for a in (DEVICE.space.default, best))
    for peak in ((before + after) / 2, 1.1 * max(before, after)):
        hidden = [loaded(t, peak) for t in trials]
        found = explained(hidden, best)
        true = (max(peak, after) - max(peak, before)) / 1024
        assert found.whole.values[1] == pytest.approx(true, abs=0.01 * before / 1024)
        assert "below the peak of loading" in [p.name for p in found.parts]
        parts = np.sum([p.effect.values for p in found.parts], axis=0)
        assert parts == pytest.approx(found.whole.values)
    assert found.whole.values[1] == found.whole.deviations[1] == 0
    assert {c.effect.values[1] for c in found.choices} == {0.0}
    assert {share[1] for c in found.choices for share in c.through.values()} == {0.0}
    assert "below the peak of loading" not in [p.name for p in explained(trials, best).parts]


def test_everything_tolerable_is_the_baseline(trials: list[Trial]):
    (simpler,) = explained(trials, fastest(trials), 1e6).simplifications
    assert simpler.assignment == DEVICE.space.default


def test_the_baseline_needs_no_explanation(trials: list[Trial]):
    found = explained(trials, DEVICE.space.default)
    assert found.choices == found.simplifications == ()
    assert found.whole.values == (0.0, 0.0)


def test_without_a_baseline_there_is_none(trials: list[Trial]):
    others = [t for t in trials if t.assignment != DEVICE.space.default]
    assert explanation_of(PROBLEM, others, fastest(trials), (0.01, 0.01)) is None


def test_where_only_names_are_known(trials: list[Trial]):
    problem = replace(PROBLEM, graph=None)
    found = explanation_of(problem, trials, fastest(trials), (0.01, 0.01))
    assert found is not None
    assert found.choices


# Measured in turns.


def test_each_round_measures_each_once_with_the_baseline(trials: list[Trial]):
    journal = MemoryJournal()
    runner = DEVICE.runner(Plan(repeats=1, warmups=0))
    default, best = DEVICE.space.default, fastest(trials)
    made = list(
        measure_in_turns(runner, journal, default, [best], 5, source="explain", clock=runner)
    )
    assert made == journal.trials
    rounds = [[t.assignment for t in made[i : i + 2]] for i in range(0, 10, 2)]
    assert all(sorted(r) == sorted([default, best]) for r in rounds)
    assert len({tuple(r) for r in rounds}) == 2
    assert {t.source for t in made if t.assignment == default} == {"anchor"}
    assert {t.source for t in made if t.assignment == best} == {"explain"}


class Refusing:
    """A runner that refuses one assignment."""

    def __init__(self, refused: Assignment) -> None:
        self.refused = refused
        self.runner = DEVICE.runner(Plan(repeats=1, warmups=0))

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        if assignment == self.refused:
            raise RunError(FailureKind.REJECTED, "no")
        return self.runner.run(assignment, is_repeat=is_repeat)

    def __getattr__(self, name: str) -> object:
        return getattr(self.runner, name)


def test_what_fails_is_recorded_once_and_left_out(trials: list[Trial]):
    journal, best, default = MemoryJournal(), fastest(trials), DEVICE.space.default
    for _ in measure_in_turns(
        Refusing(best), journal, default, [best], 3, source="explain", board="b1"
    ):
        pass
    assert [t.assignment for t in journal.trials].count(default) == 3
    (failed,) = [t for t in journal.trials if t.assignment == best]
    assert isinstance(failed.outcome, Failure)
    assert {t.board for t in journal.trials} == {"b1"}


def test_a_failing_baseline_is_the_targets_fault():
    default = DEVICE.space.default
    with pytest.raises(TargetError, match="the baseline itself fails"):
        list(measure_in_turns(Refusing(default), MemoryJournal(), default, [], 1, source="x"))

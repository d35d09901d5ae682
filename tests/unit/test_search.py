"""The loop: warm start, budget, failures, resume, verification."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest
from rooms import onert_problem

from pareto_profiler.cli import progress
from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.ports import LearningSampler
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Failure, Placement, Profile, Trial
from pareto_profiler.errors import FailureKind, RunError, TargetError
from pareto_profiler.loop import Budget, MemoryJournal, search, verify
from pareto_profiler.report.places import front_of
from pareto_profiler.runners.table import TableRunner
from pareto_profiler.samplers import SAMPLERS

SPACE = DecisionSpace.by_names(("cpu", "ruy"), ["a", "b", "c", "d"])


def measured(assignment: Assignment) -> Measurement:
    number = SPACE.id_of(assignment)
    return Measurement({"exec_time": (20.0 - number,), "max_rss": (100.0 + 3 * number,)})


def table(failing: Sequence[Assignment] = ()) -> TableRunner:
    trials = [
        Trial(i, a, Failure(FailureKind.REJECTED, "NYI") if a in failing else measured(a))
        for i, a in enumerate(SPACE)
    ]
    return TableRunner(SPACE, trials)


def front_in(journal: MemoryJournal) -> Callable[[Sequence[Placement]], list[Assignment]]:
    header = Header("table", "", SPACE, ("exec_time", "max_rss"))
    return lambda placed: front_of(Recording(header, journal.trials, placed))


class Recorder:
    """A runner that writes down what it was asked."""

    def __init__(self, inner: TableRunner) -> None:
        self.inner = inner
        self.asked: list[Assignment] = []
        self.verified: list[Assignment] = []
        self.misplaced: set[Assignment] = set()

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        self.asked.append(assignment)
        return self.inner.run(assignment, is_repeat=is_repeat)

    def placement(self, assignment: Assignment) -> Placement | None:
        self.verified.append(assignment)
        wrong = ("operation 0 ran elsewhere",) if assignment in self.misplaced else ()
        return Placement(assignment, ((0, "cpu"),), wrong)

    @property
    def can_profile(self) -> bool:
        return self.inner.can_profile

    def profile(self, assignment: Assignment) -> Profile:
        return self.inner.profile(assignment)

    def close(self) -> None:
        pass


UNLIMITED = Budget()


def go(runner, journal, budget=UNLIMITED, name="random", seed=0) -> list[Trial]:
    sampler = SAMPLERS[name](onert_problem(SPACE, seed=seed))
    return list(search(SPACE, sampler, runner, journal, budget, source=name))


def test_the_baseline_and_the_uniform_assignments_come_first():
    trials = go(table(), MemoryJournal(), Budget(trials=5))
    assert [t.assignment for t in trials[:2]] == [("cpu",) * 4, ("ruy",) * 4]
    assert [t.source for t in trials] == ["baseline", "uniform", "random", "random", "random"]
    assert [t.number for t in trials] == [0, 1, 2, 3, 4]
    assert all(t.started_at and t.duration_s >= 0 for t in trials)


def test_without_a_budget_it_ends_with_the_space():
    runner = Recorder(table())
    trials = go(runner, MemoryJournal())
    assert sorted(t.assignment for t in trials) == sorted(SPACE)
    assert len(runner.asked) == len(set(runner.asked)) == 16


def test_failures_are_trials_and_the_search_goes_on():
    failing = [a for a in SPACE if a[0] == "ruy"]
    trials = go(table(failing), MemoryJournal())
    failed = [t for t in trials if isinstance(t.outcome, Failure)]
    assert sorted(t.assignment for t in failed) == sorted(failing)
    assert {t.outcome.message for t in failed if isinstance(t.outcome, Failure)} == {"NYI"}
    assert len(trials) == 16


@pytest.mark.parametrize("name", sorted(set(SAMPLERS) - {"qnehvi"}))
@pytest.mark.parametrize("stop", [1, 2, 3, 9])
def test_a_stopped_search_goes_on_to_the_same_trials(name: str, stop: int):
    whole = go(table(), MemoryJournal(), Budget(trials=12), name)
    journal = MemoryJournal(whole[:stop])
    runner = Recorder(table())
    rest = go(runner, journal, Budget(trials=12), name)
    assert [t.assignment for t in journal.trials] == [t.assignment for t in whole]
    assert len(runner.asked) == len(rest) == len(whole) - stop
    assert len(whole) == 12 or name == "structured"


def test_a_spent_budget_measures_nothing():
    runner = Recorder(table())
    journal = MemoryJournal(go(table(), MemoryJournal(), Budget(trials=4)))
    assert go(runner, journal, Budget(trials=4)) == []
    assert runner.asked == []


def test_time_counts_over_all_runs_of_a_search():
    past = [Trial(0, ("cpu",) * 4, measured(("cpu",) * 4), "baseline", "", 100.0)]
    assert go(table(), MemoryJournal(past), Budget(seconds=99.0)) == []
    assert go(table(), MemoryJournal(past), Budget(seconds=101.0)) != []


def test_a_failing_baseline_is_the_targets_fault_and_no_trial():
    journal = MemoryJournal()
    with pytest.raises(TargetError, match="baseline itself fails: rejected: NYI"):
        go(table([("cpu",) * 4]), journal)
    assert journal.trials == []


def test_several_failures_in_a_row_have_the_baseline_looked_at():
    failing = [a for a in SPACE if a != ("cpu",) * 4]
    runner = Recorder(table(failing))
    trials = go(runner, MemoryJournal())
    assert len(trials) == 16
    # After 5 and after 10 failures in a row; the check itself is no trial.
    assert runner.asked.count(("cpu",) * 4) == 3


def test_a_target_that_died_ends_the_search_with_everything_kept():
    class Dying(Recorder):
        def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
            if len(self.asked) >= 4:
                self.asked.append(assignment)
                raise RunError(FailureKind.CRASHED, "gone")
            return super().run(assignment, is_repeat=is_repeat)

    journal = MemoryJournal()
    with pytest.raises(TargetError, match="baseline itself fails"):
        go(Dying(table()), journal)
    assert len(journal.trials) == 4 + 5


def test_what_a_table_does_not_hold_does_not_end_a_replay():
    partial = TableRunner(SPACE, [Trial(0, SPACE.assignment_of(3), measured(("cpu",) * 4))])
    trials = go(partial, MemoryJournal())
    kinds = [t.outcome.kind for t in trials if isinstance(t.outcome, Failure)]
    assert (len(trials), len(kinds), set(kinds)) == (16, 15, {FailureKind.NOT_RECORDED})


def test_each_assignment_on_the_front_is_verified_once():
    runner, journal = Recorder(table()), MemoryJournal()
    go(runner, journal)
    found = list(verify(runner, journal, (), front_in(journal)))
    assert sorted(p.assignment for p in found) == sorted(SPACE)
    assert journal.placements == found
    assert list(verify(runner, journal, found, front_in(journal))) == []


def test_a_target_that_cannot_tell_leaves_the_front_as_it_is():
    class Silent(Recorder):
        def placement(self, assignment: Assignment) -> Placement | None:
            self.verified.append(assignment)
            if len(self.verified) % 2:
                raise RunError(FailureKind.TIMED_OUT, "a hiccup")
            return None

    runner, journal = Silent(table()), MemoryJournal()
    go(runner, journal)
    assert list(verify(runner, journal, (), front_in(journal))) == []
    assert sorted(runner.verified) == sorted(SPACE)
    assert journal.placements == []


def test_what_takes_the_place_of_a_misplaced_assignment_is_verified_in_turn():
    space_values = {("cpu",) * 4: (1.0, 1.0), ("ruy",) * 4: (2.0, 2.0)}
    trials = [
        Trial(i, a, Measurement({"exec_time": (x,), "max_rss": (y,)}))
        for i, (a, (x, y)) in enumerate(space_values.items())
    ]
    runner, journal = Recorder(table()), MemoryJournal(trials)
    runner.misplaced = {("cpu",) * 4}
    found = list(verify(runner, journal, (), front_in(journal)))
    assert [p.assignment for p in found] == [("cpu",) * 4, ("ruy",) * 4]
    assert [bool(p.mismatches) for p in found] == [True, False]


@pytest.mark.parametrize("name", ["structured", "random"])
def test_a_long_thought_is_told_and_a_sampler_stays_what_it_is(
    name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(progress, "_LONG_THOUGHT_S", 0.0)
    space = DecisionSpace.by_names(("cpu", "ruy"), ["A", "B"])
    shown = progress.Progress(space, objectives_of(["exec_time", "max_rss"]), Budget(5), ())
    sampler = SAMPLERS[name](onert_problem(space))
    plain_ask = sampler.ask
    is_told = threading.Event()
    monkeypatch.setattr(progress, "note", lambda text: (told.append(text), is_told.set()))
    told: list[str] = []

    def long_ask(count: int = 1) -> object:
        assert is_told.wait(60)
        return plain_ask(count)

    monkeypatch.setattr(sampler, "ask", long_ask)
    announcing = shown.announcing(sampler)
    assert isinstance(announcing, LearningSampler) == isinstance(sampler, LearningSampler)
    assert announcing.ask(2) == plain_ask(2)
    assert told == ["0/4  choosing what to measure next"]

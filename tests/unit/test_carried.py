"""What another run learned is used as far as it predicts what is measured here."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from pareto_profiler.bench import Curve, Scale, curve_of, device_subject, run_one
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.ports import Problem, Sampler
from pareto_profiler.core.trial import Failure, Profile, Trial
from pareto_profiler.errors import FailureKind, InputError
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.samplers.structured import Carried, StructuredSampler, carried_words
from pareto_profiler.simulation.families import Device

HERE = Device.of("simulated:chain-20x3:0")
SUBJECT = device_subject(HERE)
SPACE = SUBJECT.problem.space


@cache
def learned(costs_of: int | None = None) -> tuple[Trial, ...]:
    """Trials of a search on another board of the kind, or on another kind of device."""
    subject = device_subject(replace(HERE, costs_of=costs_of))
    runner, journal = subject.runner(77), MemoryJournal()
    for _ in search(
        SPACE,
        StructuredSampler(subject.problem),
        runner,
        journal,
        Budget(20),
        source="structured",
        objectives=subject.problem.objectives,
        clock=runner,
    ):
        pass
    return tuple(journal.trials)


def curve(make: type[StructuredSampler] | None, costs_of: int | None, budget: int) -> Curve:
    samplers: list[StructuredSampler] = []

    def made(problem: Problem) -> Sampler:
        carried = None if make is None else Carried(problem, learned(costs_of))
        samplers.append(StructuredSampler(problem, carried))
        return samplers[-1]

    run = run_one(SUBJECT, "structured", made, 0, budget)
    return curve_of(SUBJECT, scale(), run)


@cache
def scale() -> Scale:
    truths = [SUBJECT.truth(t.assignment) for t in learned() if not isinstance(t.outcome, Profile)]
    return Scale.of([v for v in truths if v is not None])


def evaluations(costs_of: int | None, *, is_carried: bool = True) -> int:
    found = curve(StructuredSampler if is_carried else None, costs_of, 14).evaluations_to(0.9)
    return found or 99


@pytest.mark.thorough
def test_a_second_board_is_there_sooner_and_another_kind_no_later_than_the_warm_start():
    from_nothing = evaluations(None, is_carried=False)
    assert evaluations(None) + 4 <= from_nothing
    warm_start = 1 + len(SPACE.backends)
    assert evaluations(5) <= from_nothing + warm_start


def told(sampler: StructuredSampler, count: int, *, factor: float = 1.0) -> StructuredSampler:
    """A sampler that was told what is measured here first."""
    runner = SUBJECT.runner(3)
    first = [SPACE.default, *filter(SPACE.is_feasible, SPACE.uniforms())]
    first = [a for a in first if a not in sampler.observations.told.values]
    for number in range(count):
        assignment = first[number] if number < len(first) else sampler.ask()[0]
        measured = runner.run(assignment).scaled({"exec_time": factor})
        sampler.tell(Trial(number, assignment, measured, "structured"))
    return sampler


def test_evidence_decides_how_far_it_is_trusted_and_boards_of_a_kind_need_no_traces_again():
    problem = SUBJECT.problem
    same = told(StructuredSampler(problem, Carried(problem, learned())), 3)
    assert same.profiles() == ()
    # A device on which all on a backend takes a time of its own is traced.
    other = told(StructuredSampler(problem, Carried(problem, learned(5))), 3)
    assert other.profiles()
    # How fast it is as a whole is no difference of kind.
    twice = told(StructuredSampler(problem, Carried(problem, learned())), 3, factor=2.0)
    assert twice.profiles() == ()
    same = told(same, 4)
    other = told(other, 4)
    assert same.trusts()["exec_time"] < other.trusts()["exec_time"]
    nothing = told(StructuredSampler(problem), 1)
    assert nothing.trusts() == {"exec_time": 1.0, "max_rss": 1.0}
    assert any(isinstance(t.outcome, Profile) for t in learned())


def test_what_failed_there_is_avoided_until_it_works_here():
    problem = replace(SUBJECT.problem, graph=None)
    choices = [i for i, v in enumerate(SPACE.variables) if len(v.feasible) > 1]
    bad = choices[0]
    runner, trials = SUBJECT.runner(1), []
    for number, i in enumerate(choices):
        changed = (*SPACE.default[:i], SPACE.variables[i].feasible[1], *SPACE.default[i + 1 :])
        outcome: Measurement | Failure = runner.run(changed)
        if i == bad:
            outcome = Failure(FailureKind.CRASHED, "gone")
        trials.append(Trial(number + 1, changed, outcome, "structured"))
    baseline = Trial(0, SPACE.default, runner.run(SPACE.default), "baseline")
    carried = Carried(problem, [baseline, *trials])
    failing = trials[0].assignment
    sampler = StructuredSampler(problem, carried)
    sampler.tell(baseline)
    posterior, _, _ = sampler.outlook()
    digits = sampler.observations.structure.encode([failing, trials[1].assignment])
    assert posterior.works(digits).mean(axis=0).tolist() == [0.25, 1.0]
    sampler.tell(Trial(1, failing, runner.run(failing), "structured"))
    posterior, _, _ = sampler.outlook()
    assert posterior.works(digits).all()


def test_a_run_without_a_baseline_is_nothing_to_start_from():
    only = [t for t in learned() if t.assignment != SPACE.default]
    with pytest.raises(InputError, match="its baseline was not measured"):
        Carried(SUBJECT.problem, only)


def test_how_far_it_was_used_is_told():
    words = "a is as there, b is a little as there, c is otherwise (not used)"
    assert carried_words({"a": 0.05, "b": 0.6, "c": 1.0}) == words

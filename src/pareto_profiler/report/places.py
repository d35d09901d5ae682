"""Places: what a recording says of each assignment, and which ones are on its front."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.measurement import Measurement, Objective, objectives_of
from pareto_profiler.core.membership import Membership, memberships, shown_front
from pareto_profiler.core.ports import LearningSampler, Problem
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Trial
from pareto_profiler.errors import InputError
from pareto_profiler.runtimes.problem import problem_of
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.samplers.structured import LEAST

# What a model of fewer makes of each from the others says little, and seems sure of it.
_MIN_LEARNED: Final = 8
_MAX_LEARNED: Final = 1000
_MAX_ASKED: Final = 200
_LEARNING: Final[Mapping[str, Callable[[Problem], LearningSampler]]] = {
    name: factory
    for name, factory in SAMPLERS.items()
    if isinstance(factory, type) and issubclass(factory, LearningSampler)
}


def estimates_of(recording: Recording, objectives: Sequence[Objective]) -> Estimates:
    """What a recording says of each assignment that ran where it was asked to.

    Raises:
        InputError: An objective's metric was not recorded.
    """
    trials = [t for t in _in_place(recording) if isinstance(t.outcome, Measurement)]
    for trial in trials:
        _check_metrics(trial, objectives)
    return Estimates.of(trials, objectives, recording.header.space.default)


def places_of(recording: Recording, estimates: Estimates) -> tuple[Membership, ...]:
    """The place of every assignment, by its measurements and by what a sampler learned.

    Where one that learns what assignments cost made some of the trials, what it makes of each from
    all others has a say beside the measurements. Not where the noise is unknown, so that figures
    count as exact, and not where fewer than eight or more than a thousand assignments were
    measured.

    Args:
        recording: Its header says margin and confidence.
        estimates: As :func:`estimates_of` gives them.

    Returns:
        In the order of ``estimates.items``.
    """
    header = recording.header
    known = with_what_was_learned(recording, estimates)
    return memberships(known, margin=header.margin, confidence=header.confidence)


def with_what_was_learned(recording: Recording, estimates: Estimates) -> Estimates:
    """The figures by which places are judged; see :func:`places_of`."""
    if estimates.is_noise_known and _MIN_LEARNED <= len(estimates.items) <= _MAX_LEARNED:
        for sampler in _learned(recording, estimates.objectives):
            estimates = estimates.combined_with(sampler.predictions())
    return estimates


def is_finished(recording: Recording, objectives: Sequence[Objective]) -> bool:
    """Whether a sampler that learns made some of the trials, and would ask for no more.

    False also where asking would take long: of more than 200 variables.
    """
    space = recording.header.space
    measured = {t.assignment for t in recording.trials if isinstance(t.outcome, Measurement)}
    is_early = len(measured) < min(space.size, LEAST + len(space.backends))
    if is_early or len(space.variables) > _MAX_ASKED:
        return False
    samplers = list(_learned(recording, objectives))
    return bool(samplers) and not any(sampler.ask(1) for sampler in samplers)


def _learned(recording: Recording, objectives: Sequence[Objective]) -> Iterator[LearningSampler]:
    """The samplers that learn among those that made trials, told everything."""
    header = recording.header
    problem = problem_of(header, objectives)
    for name in {t.source for t in recording.trials} & _LEARNING.keys():
        sampler = _LEARNING[name](problem)
        for trial in _in_place(recording):
            sampler.tell(trial)
        yield sampler


def front_of(recording: Recording) -> list[Assignment]:
    """What is more likely on the front than not, by increasing first objective.

    Raises:
        InputError: An objective's metric was not recorded.
    """
    estimates = estimates_of(recording, objectives_of(recording.header.objectives))
    front = shown_front(estimates, places_of(recording, estimates), recording.header.margin)
    return [estimates.items[i].assignment for i in front]


def _in_place(recording: Recording) -> list[Trial]:
    """All trials but those of assignments that ran elsewhere than asked."""
    latest = {p.assignment: p for p in recording.placements}
    apart = {a for a, p in latest.items() if p.mismatches}
    return [t for t in recording.trials if t.assignment not in apart]


def _check_metrics(trial: Trial, objectives: Sequence[Objective]) -> None:
    outcome = trial.outcome
    for objective in objectives:
        if isinstance(outcome, Measurement) and not outcome.has(objective):
            raise InputError(
                f"objective {objective.name}: trial {trial.number} recorded only "
                f"{', '.join(outcome.samples)}"
            )

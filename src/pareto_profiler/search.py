"""search(): the loop from a decision space and a runner to a list of trials."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Final, Protocol

from pareto_profiler.core.front import Front
from pareto_profiler.core.measurement import Measurement, Objective
from pareto_profiler.core.ports import Runner, Sampler
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Failure, Placement, Trial
from pareto_profiler.errors import FailureKind, RunError, TargetError

_CHECK_AFTER_FAILURES: Final = 5


@dataclass(frozen=True, slots=True)
class Budget:
    """When a search ends, at the latest; trials of earlier runs of the same search count too.

    Attributes:
        trials: Number of trials; None for no limit.
        seconds: Time spent on trials; None for no limit.
    """

    trials: int | None = None
    seconds: float | None = None

    def is_spent(self, trials: int, seconds: float) -> bool:
        """Whether no further trial may begin."""
        return (self.trials is not None and trials >= self.trials) or (
            self.seconds is not None and seconds >= self.seconds
        )


class Journal(Protocol):
    """Where trials are kept: the store, or memory."""

    @property
    def trials(self) -> Sequence[Trial]:
        """What is there already."""
        ...

    def append(self, entry: Trial | Placement, /) -> None:
        """Keep one more."""
        ...


class MemoryJournal:
    """A journal that is not kept, for offline mode and for tests.

    Args:
        trials: What is there already.
    """

    def __init__(self, trials: Sequence[Trial] = ()) -> None:
        self.trials = list(trials)
        self.placements: list[Placement] = []

    def append(self, entry: Trial | Placement) -> None:
        """Keep one more."""
        if isinstance(entry, Trial):
            self.trials.append(entry)
        else:
            self.placements.append(entry)


def search(
    space: DecisionSpace,
    sampler: Sampler,
    runner: Runner,
    journal: Journal,
    budget: Budget,
    *,
    source: str,
) -> Iterator[Trial]:
    """Measure the baseline, the uniform assignments, then what the sampler asks for.

    Trials that the journal holds already are told to the sampler and not measured again, so a
    search that was interrupted goes on where it was. A generator: drawing progress and stopping
    early are the caller's.

    Args:
        space: What may be chosen.
        sampler: Proposes.
        runner: Measures.
        journal: Keeps each trial before it is yielded.
        budget: When to end.
        source: The sampler's name, for the record.

    Yields:
        Each new trial.

    Raises:
        TargetError: The baseline fails: before anything else was measured, or after several
            failures in a row.
        StoreWriteError: A trial cannot be kept.
    """
    told = set()
    spent_s = 0.0
    for trial in journal.trials:
        sampler.tell(trial)
        told.add(trial.assignment)
        spent_s += trial.duration_s
    numbers = count(len(journal.trials))
    warm_start = [("baseline", space.default)] + [("uniform", a) for a in space.uniforms()]
    waiting = iter([(who, a) for who, a in warm_start if a not in told])
    failures_in_a_row, check_after = 0, _CHECK_AFTER_FAILURES

    while not budget.is_spent(made := next(numbers), spent_s):
        who, assignment = next(waiting, (source, None))
        if assignment is None:
            asked = sampler.ask()
            if not asked:
                return
            assignment = asked[0]
        trial = attempt(runner, assignment, made, who)
        is_target_failure = (
            isinstance(trial.outcome, Failure)
            and trial.outcome.kind is not FailureKind.NOT_RECORDED
        )
        if isinstance(trial.outcome, Failure) and is_target_failure and who == "baseline":
            # The target's fault and not the assignment's: no trial, so that it is tried again.
            raise _baseline_fails(trial.outcome)
        journal.append(trial)
        sampler.tell(trial)
        spent_s += trial.duration_s
        failures_in_a_row = failures_in_a_row + 1 if is_target_failure else 0
        if failures_in_a_row >= check_after:
            check_baseline(runner, space.default)
        # Where most assignments are infeasible, long rows are no news: look less and less often.
        check_after = check_after * 2 if failures_in_a_row >= check_after else check_after
        yield trial


def attempt(runner: Runner, assignment: Assignment, number: int, source: str) -> Trial:
    """Measure one assignment once; a failure of the assignment becomes the outcome.

    Raises:
        TargetError: The target is unusable.
    """
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds")
    start = time.monotonic()
    outcome: Measurement | Failure
    try:
        outcome = runner.run(assignment)
    except RunError as error:
        outcome = Failure(error.kind, error.message)
    return Trial(number, assignment, outcome, source, started_at, time.monotonic() - start)


def check_baseline(runner: Runner, baseline: Assignment) -> None:
    """After several failures in a row: is it the target?

    Raises:
        TargetError: The baseline fails too.
    """
    try:
        runner.run(baseline)
    except RunError as error:
        raise _baseline_fails(Failure(error.kind, error.message)) from error


def _baseline_fails(failure: Failure) -> TargetError:
    return TargetError(f"the baseline itself fails: {failure.kind}: {failure.message}")


def verify(
    runner: Runner,
    journal: Journal,
    placements: Sequence[Placement],
    objectives: Sequence[Objective],
) -> Iterator[Placement]:
    """Read back where the operations of each assignment on the front really ran.

    An assignment that ran elsewhere than asked leaves the front, and what takes its place is
    verified in turn. Assignments that were verified before are not verified again.

    Yields:
        Each new placement, kept before it is yielded.

    Raises:
        TargetError: The target is unusable.
    """
    known: dict[Assignment, Placement | None] = {p.assignment: p for p in placements}
    while True:
        misplaced = {a for a, p in known.items() if p and p.mismatches}
        front = Front.of((t for t in journal.trials if t.assignment not in misplaced), objectives)
        missing = [t.assignment for t in front.trials if t.assignment not in known]
        if not missing:
            return
        for assignment in missing:
            try:
                placement = runner.placement(assignment)
            except RunError:  # it was measured before: a hiccup, to be verified another time
                placement = None
            known[assignment] = placement
            if placement is not None:
                journal.append(placement)
                yield placement

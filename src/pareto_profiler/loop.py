"""search(): the loop from a decision space and a runner to a list of trials."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final, Protocol

import numpy as np

from pareto_profiler.cooling import Cooling
from pareto_profiler.core.measurement import OBJECTIVES, Measurement, Objective
from pareto_profiler.core.ports import Runner, Sampler
from pareto_profiler.core.rules import ONE_SHOT, Rules
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import AGAIN, ANCHOR, CONFIRM, Failure, Placement, Profile, Trial
from pareto_profiler.errors import BaselineError, FailureKind, RunError, TargetError
from pareto_profiler.schedule import BASELINE, PROFILE, Schedule

CHECK_AFTER_FAILURES: Final = 5
"""In a row, before it is seen whether it is the target."""


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

    def left(self, trials: int, seconds: float) -> int:
        """How many further trials may begin, as far as can be told.

        Examples:
            >>> Budget(trials=10).left(4, 0.0), Budget(seconds=5.0).left(4, 6.0)
            (6, 0)
        """
        if self.is_spent(trials, seconds):
            return 0
        return sys.maxsize if self.trials is None else self.trials - trials

    def seconds_left(self, seconds: float) -> float:
        """Time that is left of it."""
        return math.inf if self.seconds is None else max(0.0, self.seconds - seconds)

    def without(self, share: float) -> Budget:
        """What is left when that share of it is kept back; at least one trial.

        Examples:
            >>> Budget(trials=100).without(0.25)
            Budget(trials=75, seconds=None)
        """
        return Budget(
            None if self.trials is None else self.trials - math.floor(share * self.trials),
            None if self.seconds is None else self.seconds * (1 - share),
        )


class Clock(Protocol):
    """Tells time, and lets it pass."""

    def now(self) -> float:
        """Seconds since 1970, never going back."""
        ...

    def rest(self, seconds: float) -> None:
        """Let that time pass."""
        ...


class MachineClock:
    """This machine's."""

    def __init__(self) -> None:
        self._epoch = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since 1970, never going back."""
        return self._epoch + time.monotonic()

    def rest(self, seconds: float) -> None:
        """Let that time pass."""
        if seconds > 0:
            time.sleep(seconds)


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
    objectives: Sequence[Objective] = (),
    rules: Rules = ONE_SHOT,
    clock: Clock | None = None,
) -> Iterator[Trial]:
    """Measure the baseline, the uniform assignments, what the sampler asks for, and repeats.

    A sampler that learns from profiles gets those it wants in between, where the runner has them.

    Trials that the journal holds already are told and not measured again, so a search that was
    interrupted goes on where it was. A generator: drawing progress and stopping early are the
    caller's.

    Args:
        space: What may be chosen.
        sampler: Proposes.
        runner: Measures.
        journal: Keeps each trial before it is yielded.
        budget: When to end.
        source: The sampler's name, for the record.
        objectives: What the front is over, where ``rules`` ask for repeats that confirm it.
        rules: How carefully to measure.
        clock: Tells time and rests; the machine's own by default.

    Yields:
        Each new trial.

    Raises:
        TargetError: The baseline fails: before anything else was measured, or after several
            failures in a row.
        StoreWriteError: A trial cannot be kept.
    """
    clock = clock or MachineClock()
    schedule = Schedule(space, sampler, source, objectives, rules, is_profiling=runner.can_profile)
    exploring = budget.without(rules.confirm_share)
    waiting: deque[tuple[str, Assignment]] = deque()
    made, spent_s, is_as_scheduled = 0, 0.0, True
    for trial in journal.trials:
        if is_as_scheduled and not waiting:
            waiting.extend(schedule.next_block(exploring.left(made, spent_s)))
        is_as_scheduled = is_as_scheduled and _strike_out(waiting, trial)
        schedule.tell(trial)
        made, spent_s = made + 1, spent_s + trial.duration_s + trial.rested_s
    cooling, rested_s = Cooling(), 0.0
    failures_in_a_row, check_after = 0, CHECK_AFTER_FAILURES

    while not budget.is_spent(made, spent_s):
        if not waiting:
            waiting.extend(schedule.next_block(exploring.left(made, spent_s)))
            if not waiting:
                return
            rested_s = min(cooling.rest_before_block(clock.now()), budget.seconds_left(spent_s))
            clock.rest(rested_s)
        who, assignment = waiting.popleft()
        is_repeat = who in {ANCHOR, AGAIN, CONFIRM}
        trial = run_trial(
            runner, assignment, made, who, is_repeat=is_repeat, clock=clock, rested_s=rested_s
        )
        rested_s = 0.0
        if who == BASELINE and (failure := failure_of(trial)):
            # The target's fault and not the assignment's: no trial, so that it is tried again.
            raise baseline_fails(failure)
        journal.append(trial)
        schedule.tell(trial)
        made += 1
        spent_s += trial.duration_s + trial.rested_s
        if (
            who in {BASELINE, ANCHOR}
            and isinstance(trial.outcome, Measurement)
            and not budget.is_spent(made, spent_s)
        ):
            rested_s = rest_if_hot(cooling, trial.outcome, clock, budget.seconds_left(spent_s))
            waiting.extendleft([(ANCHOR, assignment)] * (rested_s > 0))
        failures_in_a_row = failures_in_a_row + 1 if failure_of(trial) else 0
        if failures_in_a_row >= check_after:
            check_baseline(runner, space.default)
        # Where most assignments are infeasible, long rows are no news: look less and less often.
        check_after = check_after * 2 if failures_in_a_row >= check_after else check_after
        yield trial


def measure_in_turns(
    runner: Runner,
    journal: Journal,
    default: Assignment,
    assignments: Sequence[Assignment],
    rounds: int,
    *,
    source: str,
    seed: int = 0,
    clock: Clock | None = None,
    board: str = "",
) -> Iterator[Trial]:
    """Measure some assignments against each other: round by round, each in another random order.

    The baseline is measured in each round, too. What fails is left out of further rounds.

    Args:
        runner: Measures.
        journal: Keeps each trial before it is yielded.
        default: The baseline.
        assignments: Which.
        rounds: How often each.
        source: Of the trials, for the record; the baseline's are anchors.
        seed: Of the order.
        clock: Tells time; the machine's own by default.
        board: Which one of several measures, for the record.

    Yields:
        Each trial.

    Raises:
        TargetError: The baseline fails.
        StoreWriteError: A trial cannot be kept.
    """
    left = dict.fromkeys([default, *assignments])
    for _ in range(rounds):
        order = np.random.default_rng([seed, len(journal.trials)]).permutation(len(left))
        members = list(left)
        for i in order.tolist():
            who = ANCHOR if members[i] == default else source
            # What is new is measured like what it is compared with.
            trial = run_trial(
                runner, members[i], len(journal.trials), who, is_repeat=True, clock=clock
            )
            if isinstance(trial.outcome, Failure):
                if who == ANCHOR:
                    raise baseline_fails(trial.outcome)
                del left[members[i]]
            kept = replace(trial, board=board)
            journal.append(kept)
            yield kept


def _strike_out(waiting: deque[tuple[str, Assignment]], trial: Trial) -> bool:
    """Take a trial that was made before from the block that it was part of.

    False where it was part of none: made under other rules or for another sampler, as what follows.
    """
    entry = (trial.source, trial.assignment)
    if entry in waiting:
        waiting.remove(entry)
    elif trial.source != ANCHOR:  # anchors come in between after rests
        waiting.clear()
        return False
    return True


def rest_if_hot(cooling: Cooling, anchor: Measurement, clock: Clock, most_s: float) -> float:
    """Rest if the anchor says that the device is hot; how long."""
    if anchor.is_contended or not anchor.has(OBJECTIVES["exec_time"]):
        return 0.0
    level = math.log(max(anchor.value(OBJECTIVES["exec_time"]), 1e-9))
    rest_s = min(cooling.rest_after(level, clock.now()), most_s)
    clock.rest(rest_s)
    return rest_s


def run_trial(
    runner: Runner,
    assignment: Assignment,
    number: int,
    source: str,
    *,
    is_repeat: bool = False,
    clock: Clock | None = None,
    rested_s: float = 0.0,
) -> Trial:
    """Measure one assignment once; a failure of the assignment becomes the outcome.

    Raises:
        TargetError: The target is unusable.
    """
    clock = clock or MachineClock()
    start = clock.now()
    started_at = datetime.fromtimestamp(start, UTC).isoformat(timespec="milliseconds")
    outcome: Measurement | Failure | Profile
    try:
        is_profile = source == PROFILE
        outcome = (
            runner.profile(assignment)
            if is_profile
            else runner.run(assignment, is_repeat=is_repeat)
        )
    except RunError as error:
        outcome = Failure(error.kind, error.message)
    return Trial(number, assignment, outcome, source, started_at, clock.now() - start, rested_s)


def check_baseline(runner: Runner, baseline: Assignment) -> None:
    """After several failures in a row: is it the target?

    Raises:
        TargetError: The baseline fails too.
    """
    try:
        runner.run(baseline)
    except RunError as error:
        raise baseline_fails(Failure(error.kind, error.message)) from error


def failure_of(trial: Trial) -> Failure | None:
    """Why it failed, where a target ran it; what a table does not hold is no failure."""
    outcome = trial.outcome
    if isinstance(outcome, Failure) and outcome.kind is not FailureKind.NOT_RECORDED:
        return outcome
    return None


def baseline_fails(failure: Failure) -> TargetError:
    """The error, where it is the target's fault."""
    return BaselineError(failure.kind, failure.message)


def verify(
    runner: Runner,
    journal: Journal,
    placements: Sequence[Placement],
    front: Callable[[Sequence[Placement]], Sequence[Assignment]],
) -> Iterator[Placement]:
    """Read back where the operations of each assignment on the front really ran.

    An assignment that ran elsewhere than asked leaves the front, and what takes its place is
    verified in turn. Assignments that were verified before are not verified again.

    Args:
        runner: Reads back.
        journal: Keeps the placements.
        placements: Read back before.
        front: What is on it, as far as is known of placements.

    Yields:
        Each new placement, kept before it is yielded.

    Raises:
        TargetError: The target is unusable.
    """
    known = {p.assignment: p for p in placements}
    asked, is_moved = set(known), True
    while is_moved:
        is_moved = False
        for assignment in [a for a in front(list(known.values())) if a not in asked]:
            asked.add(assignment)
            try:
                placement = runner.placement(assignment)
            except RunError:  # it was measured before: a hiccup, to be verified another time
                continue
            if placement is not None:
                known[assignment] = placement
                is_moved |= bool(placement.mismatches)
                journal.append(placement)
                yield placement

"""TableRunner: recorded trials in place of a device, for offline mode and for tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Final

import numpy as np

from pareto_profiler.core.measurement import OBJECTIVES, Measurement
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Failure, Placement, Profile, Trial
from pareto_profiler.errors import FailureKind, RunError

Outcome = Measurement | Failure

_PROCESS_NOISE: Final = ("exec_time", "max_rss")
_EPOCH_S: Final = 1.7e9


class TableRunner:
    """Answers with what was recorded, failures included.

    An assignment that was measured several times is answered with the samples of all of these that
    other work did not disturb. With a seed, answers scatter as the recorded ones did: one of the
    assignment's processes is drawn, then as many of its runs as it has, with replacement; where an
    assignment has one process only, how processes differ is taken from the baseline's.

    It is its own clock: each answer takes as long as it took when it was recorded. What the table
    does not hold is a failure of kind ``not_recorded`` that takes no time.

    Args:
        space: Of the recorded search.
        trials: What it recorded.
        placements: What it read back.
        seed: Of the noise; None for none.
    """

    def __init__(
        self,
        space: DecisionSpace,
        trials: Iterable[Trial],
        placements: Iterable[Placement] = (),
        seed: int | None = None,
    ) -> None:
        self._space = space
        outcomes: dict[Assignment, list[Outcome]] = {}
        durations: dict[Assignment, list[float]] = {}
        self._profiles: dict[Assignment, tuple[Profile, float]] = {}
        for trial in trials:
            if isinstance(trial.outcome, Profile):
                self._profiles[trial.assignment] = (trial.outcome, trial.duration_s)
            elif trial.source != "profile":
                outcomes.setdefault(trial.assignment, []).append(trial.outcome)
                durations.setdefault(trial.assignment, []).append(trial.duration_s)
        self._durations = {a: fmean(found) for a, found in durations.items()}
        self._now = _EPOCH_S
        self._outcomes = {a: _undisturbed(found) for a, found in outcomes.items()}
        self._merged = {a: _merged(found) for a, found in self._outcomes.items()}
        self._placements = {p.assignment: p for p in placements}
        self._random = None if seed is None else np.random.default_rng(seed)

    def now(self) -> float:
        """Seconds since 1970 on a clock that recorded durations move on."""
        return self._now

    def rest(self, seconds: float) -> None:
        """Let that time pass."""
        self._now += seconds

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        del is_repeat  # what was recorded is all there is
        self._now += self._durations.get(assignment, 0.0)
        outcome = self._merged.get(assignment)
        if isinstance(outcome, Measurement):
            return outcome if self._random is None else self._scattered(assignment, self._random)
        self._space.check(assignment)
        if outcome is None:
            raise RunError(FailureKind.NOT_RECORDED, "the table does not hold this assignment")
        raise RunError(outcome.kind, outcome.message)

    def placement(self, assignment: Assignment) -> Placement | None:
        self._space.check(assignment)
        return self._placements.get(assignment)

    @property
    def can_profile(self) -> bool:
        return bool(self._profiles)

    def profile(self, assignment: Assignment) -> Profile:
        self._space.check(assignment)
        if assignment not in self._profiles:
            raise RunError(FailureKind.NOT_RECORDED, "the table does not hold this profile")
        found, duration_s = self._profiles[assignment]
        self._now += duration_s
        return found

    def close(self) -> None:
        """Nothing to leave."""

    def _scattered(self, assignment: Assignment, random: np.random.Generator) -> Measurement:
        recorded = self._outcomes[assignment]
        drawn = recorded[int(random.integers(len(recorded)))]
        assert isinstance(drawn, Measurement)
        factors = self._process_noise(random) if len(recorded) == 1 else {}
        runs = len(drawn.samples.get("exec_time", ()))
        picked: list[int] = random.integers(runs, size=runs).tolist() if runs else []
        return replace(
            drawn,
            samples={
                name: tuple(
                    values[i] * factors.get(name, 1.0)
                    for i in (picked if len(values) == runs else range(len(values)))
                )
                for name, values in drawn.samples.items()
            },
        )

    def _process_noise(self, random: np.random.Generator) -> dict[str, float]:
        """By how much one of the baseline's processes differs from their mean."""
        baseline = [
            o
            for o in self._outcomes.get(self._space.default, ())
            if isinstance(o, Measurement) and all(n in o.samples for n in _PROCESS_NOISE)
        ]
        if len(baseline) < 2:
            return {}
        drawn = baseline[int(random.integers(len(baseline)))]
        return {
            name: drawn.value(OBJECTIVES[name])
            / math.exp(fmean(math.log(o.value(OBJECTIVES[name])) for o in baseline))
            for name in _PROCESS_NOISE
        }


def _undisturbed(outcomes: Sequence[Outcome]) -> Sequence[Outcome]:
    """The measurements where there are any, the undisturbed ones where there are."""
    measured = [o for o in outcomes if isinstance(o, Measurement)]
    return [o for o in measured if not o.is_contended] or measured or outcomes[:1]


def _merged(outcomes: Sequence[Outcome]) -> Outcome:
    first = outcomes[0]
    measured = [o for o in outcomes if isinstance(o, Measurement)]
    if not isinstance(first, Measurement) or len(measured) < 2:
        return first
    names = [n for n in first.samples if all(n in o.samples for o in measured)]
    samples = {n: tuple(v for o in measured for v in o.samples[n]) for n in names}
    return replace(first, samples=samples)

"""Bench: samplers side by side on recorded tables and simulated devices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.front import Front, hypervolume, nondominated
from pareto_profiler.core.measurement import Objective, objectives_of
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import LearningSampler, Problem, Runner, Sampler
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.rules import ONE_SHOT
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Trial
from pareto_profiler.errors import InputError, RunError
from pareto_profiler.loop import Budget, Clock, MemoryJournal, search
from pareto_profiler.runners.table import TableRunner
from pareto_profiler.runtimes.problem import problem_of
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.samplers.history import History
from pareto_profiler.simulation.families import PREFIX, Device
from pareto_profiler.storage.opening import open_recording

Vector = NDArray[np.float64]
Flags = NDArray[np.bool_]
Values = tuple[float, ...]

SHARES: Final = (0.9, 0.95, 0.99)
"""Of the reference front's hypervolume, at which evaluations are counted."""

BASELINE: Final = "random"
"""The sampler that scores are relative to."""

_BOX: Final = 1.1
_LEFT_OVER: Final = 1e-9


class TimedRunner(Runner, Clock, Protocol):
    """A runner that is its own clock."""


@dataclass(frozen=True)
class Subject:
    """Something that samplers are tried on.

    Attributes:
        name: For tables and titles.
        problem: What is searched; its seed is replaced.
        runner: Makes a runner with noise of that seed.
        truth: The true values of an assignment; None where it fails or is not known.
        known: Assignments that everybody may know the truth of, for the reference front.
        unrecorded: Assignments that a table lacks.
    """

    name: str
    problem: Problem
    runner: Callable[[int], TimedRunner]
    truth: Callable[[Assignment], Values | None]
    known: Sequence[Assignment] = ()
    unrecorded: int = 0


@dataclass(frozen=True)
class Run:
    """One sampler on one subject with one seed.

    Attributes:
        sampler: Its name.
        seed: Of the sampler and of the noise.
        seconds: On the device's clock, after each evaluation.
        assignments: What was evaluated, in order.
        reported: After each evaluation, the assignments that would be reported as the front.
    """

    sampler: str
    seed: int
    seconds: tuple[float, ...]
    assignments: tuple[Assignment, ...]
    reported: tuple[frozenset[Assignment], ...]


def run_one(
    subject: Subject,
    name: str,
    make: Callable[[Problem], Sampler],
    seed: int,
    evaluations: int,
) -> Run:
    """Search once; every process on the device counts as an evaluation, profiles included.

    What a sampler leaves of the budget goes to repeats that confirm the front, as in any search.
    """
    given = subject.problem
    problem = replace(given, seed=seed)
    runner = subject.runner(seed)
    start = runner.now()
    seconds: list[float] = []
    assignments: list[Assignment] = []
    reported: list[frozenset[Assignment]] = []
    sampler, journal, told = make(problem), MemoryJournal(), History(problem.objectives)
    for trial in search(
        problem.space,
        sampler,
        runner,
        journal,
        Budget(evaluations),
        source=name,
        objectives=problem.objectives,
        rules=replace(ONE_SHOT, confirm_share=_LEFT_OVER, seed=seed),
        clock=runner,
    ):
        told.add(trial)
        seconds.append(runner.now() - start)
        assignments.append(trial.assignment)
        reported.append(reported_front(journal.trials, sampler, problem, told))
    return Run(name, seed, tuple(seconds), tuple(assignments), tuple(reported))


def reported_front(
    trials: Sequence[Trial], sampler: Sampler, problem: Problem, told: History
) -> frozenset[Assignment]:
    """What would be reported now: the front of what was measured, weighed with what is learned.

    Args:
        trials: All so far.
        sampler: Was told them.
        problem: What is searched.
        told: The same trials, for samplers that do not learn.
    """
    if not isinstance(sampler, LearningSampler):
        return frozenset(told.front())
    estimates = Estimates.of(trials, problem.objectives, problem.space.default)
    weighed = estimates.combined_with(sampler.predictions())
    return frozenset(item.assignment for item in Front.among(weighed).items)


@dataclass(frozen=True)
class Scale:
    """What hypervolumes are measured on.

    Attributes:
        front: True values of the reference front, shape ``(n, m)``.
        low, reference: Of its own box, a tenth larger than its ranges.
    """

    front: Vector
    low: Vector
    reference: Vector

    @classmethod
    def of(cls, points: Iterable[Values]) -> Scale:
        """From all true values that are known."""
        rows = np.array(sorted(set(points)))
        front = rows[nondominated(rows)]
        low, high = front.min(axis=0), front.max(axis=0)
        # A front of a single point has no ranges: a hundredth of its values stands in.
        ranges = np.maximum(high - low, 0.01 * np.abs(low))
        return cls(front, low, low + _BOX * ranges)

    def share(self, points: Iterable[Values]) -> float:
        """Hypervolume of points over the reference front's."""
        whole = self._volume(self.front)
        rows = np.array(list(points)).reshape(-1, len(self.low))
        return self._volume(rows) / whole

    def _volume(self, rows: Vector) -> float:
        scaled = (rows - self.low) / (self.reference - self.low)
        inside = scaled[(scaled < 1).all(axis=1)]
        return hypervolume(inside, [1.0] * len(self.low)) if len(inside) else 0.0


@dataclass(frozen=True)
class Curve:
    """How a run came to the front.

    Attributes:
        run: Which.
        shares: Of the reference hypervolume, by the true values of what is reported, after each
            evaluation.
    """

    run: Run
    shares: tuple[float, ...]

    def evaluations_to(self, share: float) -> int | None:
        """Evaluations after which it has that share for the first time; None where never."""
        return next((n for n, s in enumerate(self.shares, 1) if s >= share), None)

    def at(self, evaluation: int) -> float:
        """The share after so many evaluations; a run that ended earlier stays where it was."""
        if not self.shares or evaluation < 1:
            return 0.0
        return self.shares[min(evaluation, len(self.shares)) - 1]


def scale_of(subject: Subject, runs: Iterable[Run]) -> Scale:
    """The front of everything that is known and of everything that any run evaluated."""
    seen = {a for run in runs for a in run.assignments} | set(subject.known)
    points = [v for v in map(subject.truth, sorted(seen)) if v is not None]
    return Scale.of(points)


def curve_of(subject: Subject, scale: Scale, run: Run) -> Curve:
    """Judge a run by the truth."""
    shares: dict[frozenset[Assignment], float] = {}
    found = []
    for members in run.reported:
        if members not in shares:
            values = [v for v in map(subject.truth, members) if v is not None]
            shares[members] = scale.share(values)
        found.append(shares[members])
    return Curve(run, tuple(found))


def median_evaluations(curves: Sequence[Curve], share: float) -> int | None:
    """Median over seeds; None where at least half never came there."""
    found = [c.evaluations_to(share) for c in curves]
    many = [float("inf") if n is None else float(n) for n in found]
    middle = median(many)
    return None if middle == float("inf") else round(middle)


def quartiles(curves: Sequence[Curve], evaluations: Iterable[int]) -> Iterator[Values]:
    """Lower quartile, median, upper quartile of the shares after so many evaluations."""
    for n in evaluations:
        low, middle, high = np.quantile([c.at(n) for c in curves], [0.25, 0.5, 0.75])
        yield float(low), float(middle), float(high)


def methodology_score(
    curves: Mapping[str, Sequence[Curve]], baseline: str, evaluations: int
) -> dict[str, float]:
    """How far each sampler is from the baseline to the optimum, in the mean over the budget.

    Willemsen et al. 2024 (the methodology of Kernel Tuner): at equidistant points of the budget,
    the mean distance from the optimum relative to that of random search; 0 is as good as random, 1
    is the optimum at once.

    Args:
        curves: Sampler → its curves.
        baseline: Name of random search.
        evaluations: The budget.
    """
    points = sorted({max(1, round(x)) for x in np.linspace(1, evaluations, 50)})
    means = {name: [np.mean([c.at(n) for c in cs]) for n in points] for name, cs in curves.items()}
    floor = means[baseline]
    return {
        name: float(
            np.mean(
                [
                    (m - f) / (1 - f) if f < 1 - 1e-9 else float(m >= f)
                    for m, f in zip(mine, floor, strict=True)
                ]
            )
        )
        for name, mine in means.items()
    }


def table_subject(name: str, recording: Recording, objectives: Sequence[Objective] = ()) -> Subject:
    """A recorded table: noise is drawn again from its samples, its clock adds up its durations.

    The truth is the median over all recorded samples of an assignment. What the table lacks is a
    failure that takes no time.

    Raises:
        InputError: It holds no measurement of two objectives.
    """
    header = recording.header
    chosen = tuple(objectives) or objectives_of(header.objectives)
    exact = TableRunner(header.space, recording.trials)

    @cache
    def truth(assignment: Assignment) -> Values | None:
        try:
            return tuple(exact.run(assignment).value(o) for o in chosen)
        except (RunError, KeyError):
            return None

    known = tuple(dict.fromkeys(t.assignment for t in recording.trials))
    if not any(map(truth, known)):
        raise InputError(f"{name}: nothing was measured in {', '.join(o.name for o in chosen)}")
    return Subject(
        name,
        problem_of(replace(header, seed=0), chosen),
        lambda seed: TableRunner(header.space, recording.trials, seed=seed),
        truth,
        known,
        max(0, header.space.size - len(known)),
    )


def device_subject(device: Device) -> Subject:
    """A simulated device: five runs in each process."""
    plan = Plan(repeats=5, warmups=0)

    @cache
    def truth(assignment: Assignment) -> Values | None:
        try:
            found = device.truth(assignment)
        except RunError:
            return None
        return found["exec_time"], found["max_rss"]

    return Subject(
        device.name,
        Problem(device.space, graph=device.graph, traits=device.traits),
        lambda seed: device.runner(plan, seed),
        truth,
        (device.space.default, *filter(device.space.is_feasible, device.space.uniforms())),
    )


def subject_of(table: str) -> Subject:
    """What a table's name stands for.

    Raises:
        InputError, StoreError: It cannot be read, or there is no such device.
    """
    if table.startswith(PREFIX):
        return device_subject(Device.of(table))
    return table_subject(table, open_recording(Path(table)))


@dataclass(frozen=True, slots=True)
class Effort:
    """How much one sampler is tried: searches of so many evaluations each."""

    evaluations: int
    seeds: int


def efforts_of(parts: Sequence[str], budget: int, seeds: int) -> dict[str, Effort]:
    """Sampler → effort, from parts such as ``nsga2``, ``nsga2:600`` and ``tpe:150:3``.

    Raises:
        InputError: There is no such sampler, or a number is none, or not positive.

    Examples:
        >>> efforts_of(["tpe:150:3", "local"], 200, 10)["tpe"]
        Effort(evaluations=150, seeds=3)
    """
    found = {}
    for part in parts:
        name, *numbers = part.split(":")
        if name not in SAMPLERS:
            raise InputError(f"sampler {name!r}: expected one of {', '.join(SAMPLERS)}")
        if len(numbers) > 2 or not all(n.isdecimal() and int(n) for n in numbers):
            raise InputError(f"{part!r}: expected NAME, NAME:EVALUATIONS or NAME:EVALUATIONS:SEEDS")
        given = [int(n) for n in numbers]
        found[name] = Effort(*given, *(budget, seeds)[len(given) :])
    return found


def judged(
    subject: Subject, runs: Sequence[Run], samplers: Iterable[str]
) -> dict[str, list[Curve]]:
    """Runs judged against all that any of them saw, by sampler and seed."""
    scale = scale_of(subject, runs)
    curves = [curve_of(subject, scale, r) for r in sorted(runs, key=lambda run: run.seed)]
    return {name: [c for c in curves if c.run.sampler == name] for name in samplers}


def facts_of(
    table: str, subject: Subject, curves: dict[str, list[Curve]], budget: int
) -> dict[str, Any]:
    """The results on one table, as plain data."""
    scores = methodology_score(curves, BASELINE, budget)
    points = [n for n in (10, 15, 20, 30, 40, 60, 100, 150, 200, 300, 600) if n <= budget]
    return {
        "table": table,
        "variables": len(subject.problem.space.variables),
        "backends": len(subject.problem.space.backends),
        "space_size": str(subject.problem.space.size),
        "unrecorded": str(subject.unrecorded),
        "budget": budget,
        "samplers": {
            name: {
                "evaluations": {f"{s:.0%}": median_evaluations(mine, s) for s in SHARES},
                "seconds_to_95%": _median_seconds(mine, 0.95),
                "shares": {
                    str(n): list(q) for n, q in zip(points, quartiles(mine, points), strict=True)
                },
                "final": list(next(iter(quartiles(mine, [budget])))),
                "evaluated": [len(c.shares) for c in mine],
                "score": scores[name],
            }
            for name, mine in curves.items()
        },
    }


def _median_seconds(curves: Sequence[Curve], share: float) -> float | None:
    found = []
    for curve in curves:
        n = curve.evaluations_to(share)
        found.append(float("inf") if n is None else curve.run.seconds[n - 1])
    middle = median(found)
    return None if middle == float("inf") else round(middle, 3)


def records_of(table: str, curves: dict[str, list[Curve]]) -> list[dict[str, Any]]:
    """One flat record for each evaluation at which a share changed."""
    records = []
    for name, mine in curves.items():
        for curve in mine:
            last = -1.0
            for n, (share, seconds) in enumerate(
                zip(curve.shares, curve.run.seconds, strict=True), 1
            ):
                if share != last or n == len(curve.shares):
                    records.append(
                        {
                            "table": table,
                            "sampler": name,
                            "seed": curve.run.seed,
                            "evaluation": n,
                            "seconds": seconds,
                            "share": share,
                        }
                    )
                last = share
    return records

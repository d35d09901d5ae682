"""ModelReport: what the structured sampler makes of a list of trials, as plain data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np

from pareto_profiler.core.front import nondominated
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.trial import Trial
from pareto_profiler.samplers.structured.nogoods import NoGood
from pareto_profiler.samplers.structured.observations import ObjectiveModel, Observations
from pareto_profiler.samplers.structured.posterior import Posterior
from pareto_profiler.samplers.structured.sampler import StructuredSampler
from pareto_profiler.samplers.structured.structure import Digits, Structure, Vector
from pareto_profiler.samplers.structured.terms import GROUPS, OF_WORK

_SHOWN_GROUPS: Final = (
    "backend",
    "partition",
    "kind",
    "hand-over",
    "setting",
    "planner",
    "overlap",
    "workspace",
)
_TELLING: Final = 1e-3
# Of the deviation before measuring: above it hardly anything was learned.
_LEARNED: Final = 0.9
_LIKELY: Final = 0.3
# A term that one measurement alone sets apart is that measurement, and not learned.
_MIN_SUPPORT: Final = 2
_WITHIN: Final = 1.645


@dataclass(frozen=True, slots=True)
class Skill:
    """How well an objective is predicted, each measurement from all others.

    Attributes:
        objective: Its name.
        measured: How many assignments.
        error: Median distance of prediction and measurement, as a fraction.
        coverage: Share of the measurements inside their 90 % intervals.
        correlation: Rank correlation of prediction and measurement.
        scatter: What it takes for the spread between measurements, as a fraction.
    """

    objective: str
    measured: int
    error: float
    coverage: float
    correlation: float
    scatter: float


@dataclass(frozen=True, slots=True)
class Term:
    """A learned weight, in units for people.

    Attributes:
        name: What it is.
        objective: Of which.
        value, deviation: Posterior mean and standard deviation.
        unit: ms or KiB, per what.
    """

    name: str
    objective: str
    value: float
    deviation: float
    unit: str


@dataclass(frozen=True, slots=True)
class Culprit:
    """Choices that together fail.

    Attributes:
        choices: As ``Conv2D@5 on xnnpack``.
        probability: Share of the plausible explanations that contain it.
    """

    choices: tuple[str, ...]
    probability: float


@dataclass(frozen=True, slots=True)
class Point:
    """An assignment that is predicted to be on the front.

    Attributes:
        id: Its number.
        values, deviations: In shown units.
        works: Probability that it neither fails nor computes wrongly.
        is_measured: Whether it was.
    """

    id: int
    values: tuple[float, ...]
    deviations: tuple[float, ...]
    works: float
    is_measured: bool


@dataclass(frozen=True, slots=True)
class ModelReport:
    """What is believed after some trials.

    Attributes:
        skills: One for each objective.
        terms: Learned costs of backends, copies and settings, those near zero left out.
        culprits: The likeliest first.
        front: By the first objective; empty where it was not asked for.
        units: Objective → the unit it is shown in.
    """

    skills: tuple[Skill, ...]
    terms: tuple[Term, ...]
    culprits: tuple[Culprit, ...]
    front: tuple[Point, ...]
    units: dict[str, str]

    def without(self, objectives: Collection[str]) -> ModelReport:
        """What is left when nothing is said of some objectives; no front where it is of several."""
        if not objectives:
            return self
        return replace(
            self,
            skills=tuple(s for s in self.skills if s.objective not in objectives),
            terms=tuple(t for t in self.terms if t.objective not in objectives),
            front=(),
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data; ids as text."""
        found = asdict(self)
        for point in found["front"]:
            point["id"] = str(point["id"])
        return found


def model_report_of(
    problem: Problem, trials: Iterable[Trial], *, has_front: bool = True
) -> ModelReport | None:
    """Fit the model to trials; None where the baseline is not among them.

    Args:
        problem: What was searched.
        trials: All, in order.
        has_front: Whether to predict the front, too, which takes longest: that of the posterior's
            means over what was measured and what would be proposed next.
    """
    sampler = StructuredSampler(problem)
    for trial in trials:
        sampler.tell(trial)
    if problem.space.default not in sampler.observations.told.values:
        return None
    objectives = problem.objectives
    points: tuple[Point, ...] = ()
    if has_front:
        drawn, pool, _ = sampler.outlook()
        points = _front(problem, sampler.observations, drawn, pool)
    # The same draws whether or not a front is asked for: what is said of failures depends on them.
    posterior = Posterior.of(sampler.observations, np.random.default_rng([problem.seed, 5]))
    beliefs = posterior.beliefs
    return ModelReport(
        tuple(skill_of(o.name, b) for o, b in zip(objectives, beliefs, strict=True)),
        tuple(t for o, b in zip(objectives, beliefs, strict=True) for t in _terms(o, b)),
        tuple(_culprits(sampler.observations.structure, posterior.explanations)),
        points,
        {o.name: o.shown_unit for o in objectives},
    )


def _front(
    problem: Problem, observations: Observations, posterior: Posterior, pool: Digits
) -> tuple[Point, ...]:
    candidates = np.vstack([observations.measured(), pool])
    works = posterior.works(candidates).mean(axis=0)
    works[: len(observations.told.values)] = 1.0
    means, deviations = posterior.expected(candidates)
    floors = [b.terms.floor(candidates) for b in posterior.beliefs]
    means = np.maximum(means, np.stack(floors, axis=1))
    likely = np.flatnonzero(works > 0.5)
    keep = likely[nondominated(means[likely])] if len(likely) else likely
    assignments = observations.structure.decode(candidates)

    def shown(row: Vector) -> tuple[float, ...]:
        pairs = zip(problem.objectives, posterior.beliefs, row.tolist(), strict=True)
        return tuple(o.shown(value * b.base) for o, b, value in pairs)

    return tuple(
        Point(
            problem.space.id_of(assignments[i]),
            shown(means[i]),
            shown(deviations[i]),
            float(works[i]),
            assignments[i] in observations.told.values,
        )
        for i in sorted(keep.tolist(), key=lambda i: float(means[i, 0]))
    )


def skill_of(name: str, belief: ObjectiveModel) -> Skill:
    """How well a fitted model predicts each measurement from all others."""
    predicted, spread = belief.regression.left_out()
    values = belief.regression.values
    distance = np.abs(predicted - values)
    return Skill(
        name,
        len(values),
        float(np.median(distance / np.maximum(np.abs(values), 1e-12))),
        float((distance <= _WITHIN * spread).mean()),
        belief.skill(),
        belief.regression.scales.noise,
    )


def _terms(objective: Any, belief: ObjectiveModel) -> list[Term]:
    terms, regression = belief.terms, belief.regression
    weights = regression.weights
    found = []
    features = regression.features
    largest = float(np.max(regression.values)) if len(regression.values) else 0.0
    shown_groups = [GROUPS.index(group) for group in _SHOWN_GROUPS]
    for where, family in terms.families:
        names, groups, units = family.names(), family.groups(), family.units()
        for at in np.flatnonzero((family.spreads > 0) & np.isin(groups, shown_groups)).tolist():
            i = where.start + at
            value, spread = float(weights[i]), regression.weight_deviation(i)
            if spread > _LEARNED * regression.prior_deviation(i):
                continue
            if not names[at] or abs(value) < _TELLING or abs(value) < spread:
                continue
            column = features.column(i)
            if _support(column) < _MIN_SUPPORT:
                continue
            unit = units[at]
            # What is no rate is a step: shown as large as it is where it is largest.
            step = float(np.abs(column).max())
            if (unit is None and abs(value) * step > largest) or (
                unit == OF_WORK and abs(value) > 1
            ):
                continue
            if unit and unit.is_share:
                shown, deviation, words = value, spread, unit.words
            else:
                per = unit.per if unit else step
                shown = objective.shown(value * belief.base) * per
                deviation = objective.shown(spread * belief.base) * per
                words = f"{objective.shown_unit} {unit.words}" if unit else objective.shown_unit
            found.append(Term(names[at], objective.name, shown, deviation, words))
    return found


def _support(column: Vector) -> int:
    """How many measurements differ in a feature from what most of them have."""
    return len(column) - int(np.unique(column, return_counts=True)[1].max(initial=0))


def _culprits(structure: Structure, explanations: Sequence[list[NoGood]]) -> list[Culprit]:
    # What the space leaves out anyway is no news.
    counts = Counter(
        pairs
        for explanation in explanations
        for pairs in set(explanation)
        if all(structure.is_feasible[v, c] for v, c in pairs)
    )
    variables = structure.problem.space.variables
    return [
        Culprit(
            tuple(f"{variables[v].name} on {variables[v].choices[c]}" for v, c in pairs),
            count / len(explanations),
        )
        for pairs, count in counts.most_common(12)
        if count >= _LIKELY * len(explanations)
    ]

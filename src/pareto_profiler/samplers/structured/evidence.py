"""Evidence: all that was told, and the models that are fitted to it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from pareto_profiler.core.estimate import Figure, Predictions
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Failure, Profile, Trial
from pareto_profiler.errors import FailureKind
from pareto_profiler.samplers.structured.culprits import Culprits
from pareto_profiler.samplers.structured.regression import Draws, Regression
from pareto_profiler.samplers.structured.structure import Digits, Flags, Structure, Vector
from pareto_profiler.samplers.structured.terms import GROUPS, Known, Terms
from pareto_profiler.samplers.told import Told

_NOISE: Final = {"s": 0.01, "B": 0.003}
_RESIDUAL: Final = {"s": 0.005, "B": 0.003}
_LEAST: Final = {"B": 0.0015}
_WORTH_PROFILING: Final = 0.2
# What was only measured while others worked counts as so many measurements.
_DISTURBED: Final = 1e-3
_FLAT: Final = 1e-3
_LEAST_EXTENT: Final = 0.02
_UNKNOWN_EXTENT: Final = 0.5
_LEVEL: Final = 1e-4
_ON_LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class Bound:
    """What was measured with some backends; to load the model with them takes no more.

    Attributes:
        used: The backends' digits.
        settings: The settings' digits.
        value: The least, over the baseline's.
    """

    used: frozenset[int]
    settings: tuple[int, ...]
    value: float

    def covers(self, other: Bound) -> bool:
        """Whether it has the other one's backends and perhaps more."""
        return other.used <= self.used and other.settings == self.settings

    def is_met(self, structure: Structure, digits: Digits, *, is_exact: bool = False) -> Flags:
        """Which assignments have no other backends and settings, or exactly these."""
        chosen = digits[:, structure.operation_variables]
        is_same = (digits[:, structure.setting_variables] == list(self.settings)).all(axis=1)
        found: Flags = is_same & np.isin(chosen, list(self.used)).all(axis=1)
        if is_exact:
            for backend in self.used:
                found &= (chosen == backend).any(axis=1)
        return found


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed of one objective.

    Attributes:
        terms: Its features.
        regression: Their weights.
        base: The baseline's value, which everything is over.
        bounds: Where some assignments' values are those of loading the model and not theirs, what
            that level is not above.
    """

    terms: Terms
    regression: Regression
    base: float
    bounds: tuple[Bound, ...] = ()

    @property
    def has_level(self) -> bool:
        """Whether loading the model may take more memory than to run it."""
        return bool(self.bounds)

    def predict(self, digits: Digits) -> tuple[Vector, Vector]:
        """Mean and standard deviation of assignments' values over the baseline's."""
        mean, spread = self.regression.predict(self.terms.features(digits), digits)
        return self._raised(mean, spread, self._level(digits)) if self.has_level else (mean, spread)

    def change(self, one: Digits, others: Digits) -> tuple[Vector, Vector]:
        """By how much others' values differ from one's, shape ``(1, variables)``; the same."""
        features = self.terms.features
        mean, spread = self.regression.change(features(one), one, features(others), others)
        if not self.has_level:
            return mean, spread
        own, _ = self.regression.predict(features(one), one)
        level = self._level(np.vstack([one, others]))
        raised, spread = self._raised(own + mean, spread, level[1:])
        return raised - np.maximum(own, level[:1]), spread

    def drawn(
        self, draws: Draws, digits: Digits, random: np.random.Generator | None = None
    ) -> Vector:
        """Values under each drawn model, shape ``(draws, assignments)``; see ``Draws.values``."""
        found = draws.values(self.terms.features(digits), digits, random)
        if self.has_level:
            levels = (self.terms.levels(digits) @ draws.weights.T).T
            found = np.maximum(found, self._bounded(levels, digits))
        return np.maximum(found, self.terms.floor(digits))

    def _level(self, digits: Digits) -> Vector:
        return self._bounded(self.terms.levels(digits) @ self.regression.weights, digits)

    def _bounded(self, levels: Vector, digits: Digits) -> Vector:
        """No higher than what was measured with the same backends or more; the last axis's."""
        for bound in self.bounds:
            is_met = bound.is_met(self.terms.structure, digits)
            levels = np.where(is_met, np.minimum(levels, bound.value), levels)
        return levels

    def _raised(self, mean: Vector, spread: Vector, level: Vector) -> tuple[Vector, Vector]:
        """Moments of the larger one of a normal variable and a level."""
        from scipy.special import ndtr

        spread = np.maximum(spread, 1e-9)
        above = (mean - level) / spread
        share, density = ndtr(above), np.exp(-(above**2) / 2) / np.sqrt(2 * np.pi)
        first = level + (mean - level) * share + spread * density
        second = level**2 * (1 - share) + (mean**2 + spread**2) * share
        second += (mean + level) * spread * density
        return first, np.sqrt(np.maximum(second - first**2, 0.0))

    def skill(self) -> float:
        """Rank correlation of left-out predictions with measurements; 1 where all are equal."""
        from scipy.stats import spearmanr

        predicted, _ = self.regression.left_out()
        values = self.regression.values
        if np.ptp(values) < _FLAT or np.ptp(predicted) == 0:
            return 1.0
        return float(spearmanr(predicted, values).statistic)


class Evidence:
    """Measurements, failures and profiles of a problem.

    Args:
        problem: What is searched.
        told: Its measurements and failures; the owner adds to it.
    """

    def __init__(self, problem: Problem, told: Told) -> None:
        self.structure = Structure(problem)
        self.told = told
        self._problem = problem
        self._profiles: dict[Assignment, Profile] = {}
        self._absent: set[Assignment] = set()
        self._messages: dict[Assignment, str] = {}
        self._beliefs: tuple[Belief, ...] = ()

    def add(self, trial: Trial) -> None:
        """Take in what ``told`` does not keep."""
        self._beliefs = ()
        if isinstance(trial.outcome, Profile):
            self._profiles[trial.assignment] = trial.outcome
        elif is_absent(trial):
            self._absent.add(trial.assignment)
        elif isinstance(trial.outcome, Failure):
            is_refused = trial.outcome.kind is FailureKind.REJECTED
            self._messages[trial.assignment] = trial.outcome.message if is_refused else ""

    def measured(self) -> Digits:
        """Digits of what was measured, in the order of ``told.values``."""
        return self.structure.encode(list(self.told.values))

    def failed(self) -> Digits:
        """Digits of what failed."""
        return self.structure.encode(self._failures())

    def culprits(self) -> Culprits:
        """What explains the failures."""
        digits = self.failed()
        return Culprits(self.structure, self.measured(), digits, self._blamed(digits))

    def _failures(self) -> list[Assignment]:
        """What failed; what a table does not hold is no failure."""
        failed = self.told.failed - self._absent
        return sorted(a for a in failed if a in self._problem.space)

    def _blamed(self, failed: Digits) -> Flags:
        """Which variables may have a part in each failure, shape of ``failed``.

        Where a refusal names kinds of operations, only these. Not where one with the same message
        has them only where they are known to work: then they are innocent.
        """
        s = self.structure
        names = np.array(s.names)
        blamed = np.ones(failed.shape, dtype=bool)
        rows: dict[str, list[int]] = {}
        for i, assignment in enumerate(self._failures()):
            rows.setdefault(self._messages.get(assignment, ""), []).append(i)
        works = np.zeros((len(names), s.choices), dtype=bool)
        for row in self.measured():
            works[np.arange(len(names)), row] = True
        for message, alike in rows.items():
            named = _named(message, {s.names[v] for v in s.operation_variables})
            is_named = np.isin(names, list(named))
            is_open = [is_named & ~works[np.arange(len(names)), failed[i]] for i in alike]
            if all(flags.any() for flags in is_open):
                blamed[alike] = is_named
        return blamed

    def worth_profiling(self) -> Sequence[Assignment]:
        """The uniform assignments, and where one does not run what comes closest of what does."""
        if not self.structure.owner or self._problem.space.default not in self.told.values:
            return ()
        told = self.told.values
        backends = self._problem.space.backends
        found = dict.fromkeys(map(self._uniform, backends))
        for backend in backends:
            uniform = self._uniform(backend)
            if uniform in told or uniform in self._profiles:
                continue
            seen = {i for a in self._profiles for i, c in enumerate(a) if c == backend}
            operations = self.structure.operation_variables
            unseen = {i for i in operations if uniform[i] == backend} - seen
            gains = {a: sum(a[i] == backend for i in unseen) for a in told}
            best = max(gains, key=lambda a: gains[a])
            if gains[best] >= _WORTH_PROFILING * len(operations):
                found[best] = None
        return tuple(found)

    def beliefs(self) -> tuple[Belief, ...]:
        """What is believed of each objective; the baseline must have been told."""
        self._beliefs = self._beliefs or tuple(self._fitted())
        return self._beliefs

    def _fitted(self) -> Iterator[Belief]:
        s, told = self.structure, self.told
        digits = self.measured()
        repeats = np.array([told.repeats(a) for a in told.values], dtype=float)
        is_disturbed = np.array([told.is_disturbed(a) for a in told.values])
        profiled = self._profiled()
        for k, objective in enumerate(self._problem.objectives):
            base = max(told.values[self._problem.space.default][k], 1e-12)
            is_timed = objective.unit in {"s", "J"}
            values = np.array([row[k] for row in told.values.values()]) / base
            terms = Terms(s, objective, self._known(k, base, profiled))
            parts, part_values = self._seen_copies(terms, profiled)
            bounds = self._bounds(digits, values) if terms.is_memory else []
            is_level = self._on_level(digits, values, bounds)
            make = partial(
                Regression,
                digits=digits,
                values=values,
                precisions=np.where(is_disturbed, _DISTURBED, repeats) if is_timed else repeats,
                means=terms.means,
                spreads=terms.spreads,
                groups=terms.groups,
                parts=parts,
                part_values=part_values,
                group_count=len(GROUPS),
                noise=_NOISE.get(objective.unit, 0.02),
                residual=_RESIDUAL.get(objective.unit, 0.05),
                least=_LEAST.get(objective.unit, 0.0),
            )
            regression = _fitted(make, terms, is_level)
            yield Belief(terms, regression, base, tuple(bounds) if is_level.any() else ())

    def _bounds(self, digits: Digits, values: Vector) -> list[Bound]:
        """The least that was measured with each set of backends, settings alike."""
        s = self.structure
        least: dict[tuple[frozenset[int], tuple[int, ...]], float] = {}
        for row, value in zip(digits, values.tolist(), strict=True):
            used = frozenset(row[s.operation_variables].tolist())
            group = used, tuple(row[s.setting_variables].tolist())
            least[group] = min(value, least.get(group, value))
        return [Bound(*group, value) for group, value in least.items()]

    def _on_level(self, digits: Digits, values: Vector, bounds: Sequence[Bound]) -> Flags:
        """What is on a level that several are on, and nothing with these backends is below."""
        s, found = self.structure, np.zeros(len(values), dtype=bool)
        for bound in bounds:
            highest = min(b.value for b in bounds if b.covers(bound)) * (1 + _LEVEL)
            alike = bound.is_met(s, digits, is_exact=True) & (values <= highest)
            found |= alike & (np.count_nonzero(alike) >= _ON_LEVEL)
        if found.any():
            found[list(self.told.values).index(self._problem.space.default)] = True
        return found

    def predictions(self) -> Predictions:
        """What is believed of each measured assignment from all others; none without a baseline."""
        space = self._problem.space
        if space.default not in self.told.values:
            return Predictions({}, ())
        # Priors are made of these, so that leaving them out does not leave them out.
        shaping = {space.default, *map(self._uniform, space.backends)}
        is_shaping = np.array([a in shaping for a in self.told.values])
        columns, noise = [], []
        for belief in self.beliefs():
            values, deviations = belief.regression.left_out_truth()
            relative = deviations / np.maximum(values, 1e-300)
            relative[is_shaping | (values <= 0)] = np.inf
            pairs = zip((values * belief.base).tolist(), relative.tolist(), strict=True)
            columns.append([Figure(value, deviation) for value, deviation in pairs])
            noise.append(belief.regression.scales.noise)
        rows = zip(*columns, strict=True)
        return Predictions(dict(zip(self.told.values, rows, strict=True)), tuple(noise))

    def _uniform(self, backend: str) -> Assignment:
        return tuple(
            backend if not v.is_setting and backend in v.feasible else v.feasible[0]
            for v in self._problem.space.variables
        )

    def _known(self, k: int, base: float, profiled: _Profiled) -> Known:
        uniforms = [self._uniform(name) for name in self._problem.space.backends]
        values = self.told.values
        totals = {b: values[a][k] / base for b, a in enumerate(uniforms) if a in values}
        copies = {b: profiled.copies[a] for b, a in enumerate(uniforms) if a in profiled.copies}
        # Not of the uniform assignments alone: where these fail, others show what backends cost.
        others = [abs(row[k] / base - 1) for a, row in values.items() if a != uniforms[0]]
        extent = max(_LEAST_EXTENT, *others) if others else _UNKNOWN_EXTENT
        return Known(base, {0: 1.0} | totals, profiled.times, copies, extent)

    def _profiled(self) -> _Profiled:
        """The profiles, over the time that the baseline took."""
        space, s = self._problem.space, self.structure
        whole = self._baseline_seconds()
        seen: dict[int, dict[int, float]] = {}
        copies: dict[Assignment, float] = {}
        for assignment, profile in self._profiles.items():
            sums: dict[tuple[int, str], float] = {}
            for o in profile.operations:
                i = s.owner.get(o.index)
                if i is not None:
                    sums[i, o.backend] = sums.get((i, o.backend), 0.0) + o.seconds / whole
            for (i, name), share in sums.items():
                # Where only some of a variable's operations ran there, it says too little.
                if name == assignment[i]:
                    mine = seen.setdefault(space.backends.index(name), {})
                    mine[i] = min(share, mine.get(i, share))
            copies[assignment] = self._copied_seconds(profile) / whole
        times = {}
        for backend, mine in seen.items():
            times[backend] = np.full(len(s.counts), np.nan)
            # Settings take no time of their own: that is known without a trace.
            times[backend][list(s.setting_variables)] = 0.0
            times[backend][list(mine)] = list(mine.values())
        return _Profiled(times, copies)

    def _baseline_seconds(self) -> float:
        """As measured, or else as its profile adds up to."""
        default = self._problem.space.default
        for k, objective in enumerate(self._problem.objectives):
            if objective.name == "exec_time":
                return max(self.told.values[default][k], 1e-12)
        operations = self._profiles[default].operations if default in self._profiles else ()
        return sum(o.seconds for o in operations) or 1.0

    def _copied_seconds(self, profile: Profile) -> float:
        """Of the operations that the runtime added to the graph's."""
        graph = self._problem.graph
        if graph is None:
            return 0.0
        return sum(o.seconds for o in profile.operations if o.index >= len(graph.operations))

    def _seen_copies(self, terms: Terms, profiled: _Profiled) -> tuple[Any, Vector]:
        """What copies between backends took in traced runs: features, and values."""
        if not terms.is_time or self._problem.graph is None or not self._profiles:
            return terms.features(self.structure.encode([])), np.zeros(0)
        features = terms.features(self.structure.encode(list(profiled.copies)))
        features = features * (terms.groups == GROUPS.index("hand-over"))
        return features, np.array(list(profiled.copies.values()))


def _fitted(make: partial[Regression], terms: Terms, is_level: Flags) -> Regression:
    """Fit, where what was measured is the larger one of two sums: the run's, and the level's.

    What is on the level says of its run only that it takes no more. Where it seems to, it is told
    so, until nothing more seems to.

    Args:
        make: Fits; takes features, what of them is level, and parts.
        terms: Make these features.
        is_level: Which measurements are the level's.
    """
    digits, values = make.keywords["digits"], make.keywords["values"]
    run = terms.features(digits)
    if not is_level.any():
        return make(run, is_level=is_level)
    own = np.where(is_level, 0.0, 1.0)[:, None]
    both = run * own + terms.levels(digits) * (1 - own)
    is_told = np.zeros(len(values), dtype=bool)
    while True:
        limits = {"parts": run[np.flatnonzero(is_told)], "part_values": values[is_told]}
        found = make(both, is_level=is_level, **limits)
        is_more = is_level & ~is_told & (found.predict(run, digits)[0] > values * (1 + _LEVEL))
        if not is_more.any():
            return found
        is_told = is_told | is_more


@dataclass(frozen=True, slots=True)
class _Profiled:
    """Profiles over the baseline's time: of each variable by backend, and of the copies."""

    times: dict[int, Vector]
    copies: dict[Assignment, float]


def is_absent(trial: Trial) -> bool:
    """Whether a table simply does not hold it."""
    outcome = trial.outcome
    return isinstance(outcome, Failure) and outcome.kind is FailureKind.NOT_RECORDED


def _named(message: str, names: set[str]) -> set[str]:
    """Operations that a message names: as a word, or as a kernel's, as in CpuConcatenate."""
    return {
        name
        for name in names
        if re.search(r"\b(?:{0}\b|(?:Cpu|Cl|CL|NE){0})".format(re.escape(name)), message)
    }

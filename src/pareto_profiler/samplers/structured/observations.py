"""Observations: all that was told, and the models that are fitted to it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import numpy as np

from pareto_profiler.core.estimate import Figure, Predictions
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Failure, Profile, Trial
from pareto_profiler.errors import FailureKind
from pareto_profiler.samplers.history import History
from pareto_profiler.samplers.structured.carried import Carried
from pareto_profiler.samplers.structured.features import Features
from pareto_profiler.samplers.structured.nogoods import NoGoods
from pareto_profiler.samplers.structured.regression import Draws, Regression
from pareto_profiler.samplers.structured.structure import (
    Chosen,
    Digits,
    Flags,
    Structure,
    Vector,
)
from pareto_profiler.samplers.structured.terms import GROUPS, SideBySide, Terms
from pareto_profiler.samplers.structured.warm_start import PriorData, WarmStart

_NOISE: Final = {"s": 0.01, "B": 0.003}
_RESIDUAL: Final = {"s": 0.005, "B": 0.003}
_WORTH_PROFILING: Final = 0.2
# What was only measured while others worked counts as so many measurements.
_DISTURBED: Final = 1e-3
_FLAT: Final = 1e-3
_MIN_EXTENT: Final = 0.02
_UNKNOWN_EXTENT: Final = 0.5
# Fits with workspaces, and from how many measurements on.
_ROUNDS: Final = 6
_ENOUGH: Final = 8
_PATIENCE: Final = 3
# By how much the evidence must rise for features that a fit before suggested.
_GAIN: Final = 3.0
# How many predicted faults have to come for each that does not.
_DISPROOF: Final = 4
# As in "Node number 3 (CONV_2D) failed to prepare".
_NUMBERED: Final = re.compile(r"(?:[Nn]ode number|[Oo]peration|@)\s*(\d{1,9})\s*\(?(\w+)")


@dataclass(frozen=True, slots=True)
class ObjectiveModel:
    """What is believed of one objective.

    Attributes:
        terms: Its features.
        regression: Their weights.
        base: The baseline's value, which everything is over; of memory beneath the peak of loading.
        bottom: That peak over it, below which nothing is measured; -inf where it hides nothing.
        trust: By how much of its prior's spread a weight may differ from what another run learned;
            1 where nothing is carried over.
    """

    terms: Terms
    regression: Regression
    base: float
    bottom: float = -np.inf
    trust: float = 1.0

    def drawn(
        self, draws: Draws, chosen: Chosen, random: np.random.Generator | None = None
    ) -> Vector:
        """Values under each drawn model, shape ``(draws, assignments)``; see ``Draws.values``."""
        found = draws.values(self.terms.features(chosen), chosen.digits, random)
        return self.peak(np.maximum(found, self.terms.floor(chosen.digits)))

    def peak(self, values: Vector) -> Vector:
        """What is measured where the regression predicts these values."""
        found: Vector = np.maximum(values, self.bottom)
        return found

    def skill(self) -> float:
        """Rank correlation of left-out predictions with measurements; 1 where all are equal."""
        predicted, _ = self.regression.left_out()
        values = self.regression.values
        if np.ptp(values) < _FLAT or np.ptp(predicted) == 0:
            return 1.0
        return float(np.corrcoef(_ranks(predicted), _ranks(values))[0, 1])


class Observations:
    """Measurements, failures and profiles of a problem.

    Args:
        problem: What is searched.
        told: Its measurements and failures; the owner adds to it.
        carried: What another run learned.
    """

    def __init__(self, problem: Problem, told: History, carried: Carried | None = None) -> None:
        self.carried = carried
        self.structure = Structure(problem)
        self.told = told
        self._problem = problem
        self._profiles: dict[Assignment, Profile] = {}
        self._absent: set[Assignment] = set()
        self._messages: dict[Assignment, str] = {}
        self._beliefs: tuple[ObjectiveModel, ...] = ()
        self._came = Counter[str]()
        self._failed_to_come = Counter[str]()

    def add(self, trial: Trial) -> None:
        """Take in what ``told`` does not keep."""
        self._beliefs = ()
        is_wrong = (
            isinstance(trial.outcome, Failure) and trial.outcome.kind is FailureKind.WRONG_OUTPUT
        )
        if is_wrong or isinstance(trial.outcome, Measurement):
            causes = {fault.cause for fault in self._problem.faults(trial.assignment)}
            (self._came if is_wrong else self._failed_to_come).update(causes)
        if isinstance(trial.outcome, Profile):
            self._profiles[trial.assignment] = trial.outcome
        elif is_absent(trial):
            self._absent.add(trial.assignment)
        elif isinstance(trial.outcome, Failure):
            is_refused = trial.outcome.kind is FailureKind.REJECTED
            self._messages[trial.assignment] = trial.outcome.message if is_refused else ""

    @property
    def is_traced(self) -> bool:
        """Whether any profile was told."""
        return bool(self._profiles)

    def measured(self) -> Digits:
        """Digits of what was measured, in the order of ``told.values``."""
        return self.structure.encode(list(self.told.values))

    def failed(self) -> Digits:
        """Digits of what failed, and was not predicted."""
        return self.structure.encode(self._failures())

    def culprits(self) -> NoGoods:
        """What explains the failures that were not predicted."""
        digits = self.failed()
        return NoGoods(self.structure, self.measured(), digits, self._blamed(digits))

    def is_predicted_wrong(self, assignment: Assignment) -> bool:
        """Whether it has a fault of a cause that trials have shown this runtime to have.

        One trial has to compute wrongly, as a later version may be mended; and few may have come
        out right against it.
        """
        shown = {c for c, n in self._came.items() if n > _DISPROOF * self._failed_to_come[c]}
        if not shown:
            return False
        return any(fault.cause in shown for fault in self._problem.faults(assignment))

    def _failures(self) -> list[Assignment]:
        """What failed and was not predicted; what a table does not hold is no failure."""
        failed = self.told.failed - self._absent
        return sorted(
            a for a in failed if a in self._problem.space and not self.is_predicted_wrong(a)
        )

    def _blamed(self, failed: Digits) -> Flags:
        """Which variables may have a part in each failure, shape of ``failed``.

        Where a refusal names an operation by its number, only that one's; where it names kinds of
        operations, only these. Not where one with the same message has them only where they are
        known to work: then they are innocent.
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
            numbered = self._numbered(message)
            is_named = np.isin(names, list(named))
            if numbered:
                is_named = np.isin(np.arange(len(names)), numbered)
            is_open = [is_named & ~works[np.arange(len(names)), failed[i]] for i in alike]
            if all(flags.any() for flags in is_open):
                blamed[alike] = is_named
        return blamed

    def _numbered(self, message: str) -> list[int]:
        """Variables of operations that a message names by number, where their names agree."""
        graph, owner = self._problem.graph, self.structure.owner
        if graph is None or not owner:
            return []
        found = []
        for number, word in _NUMBERED.findall(message):
            o = int(number)
            if (
                o in owner
                and o < len(graph.operations)
                and word in {graph.operations[o].builtin, graph.operations[o].name}
            ):
                found.append(owner[o])
        return found

    def worth_profiling(self) -> Sequence[Assignment]:
        """The uniform assignments, and where one does not run what comes closest of what does."""
        if not self.structure.owner or self._problem.space.default not in self.told.values:
            return ()
        if self.carried and self.carried.profiled.times and self.carried.is_of_kind(self.told):
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

    def beliefs(self) -> tuple[ObjectiveModel, ...]:
        """What is believed of each objective; the baseline must have been told."""
        self._beliefs = self._beliefs or tuple(self._fitted())
        return self._beliefs

    def first_fits(self) -> Iterator[tuple[Terms, Vector]]:
        """For each objective the terms that need no fit before, and the weights they get."""
        digits, profiled = self.measured(), self.profiled()
        for k, objective in enumerate(self._problem.objectives):
            levels, _ = self._levels(k)
            start = WarmStart(self.structure, objective, self._known(levels, profiled))
            belief = self._belief(k, levels, Terms(start), digits, profiled)
            yield belief.terms, belief.regression.weights

    def _fitted(self) -> Iterator[ObjectiveModel]:
        digits, profiled = self.measured(), self.profiled()
        for k in range(len(self._problem.objectives)):
            levels, hiding = self._levels(k)
            known = self._known(levels, profiled)
            objective = self._problem.objectives[k]
            start = WarmStart(self.structure, objective, known)
            belief = self._belief(k, levels, Terms(start), digits, profiled)
            for again in self._refits(k, levels, belief, digits, profiled):
                if again.regression.evidence > belief.regression.evidence + _GAIN:
                    belief = again
            yield replace(belief, bottom=hiding / known.base)

    def _refits(
        self,
        k: int,
        levels: dict[Assignment, float],
        belief: ObjectiveModel,
        digits: Digits,
        profiled: Profiled,
    ) -> Iterator[ObjectiveModel]:
        """Fits with features that are made of what a fit before them found."""
        start = belief.terms.start
        first, seen = belief.regression.evidence, list[float]()
        is_wide = self.structure.is_in_detail and len(levels) >= _ENOUGH
        rounds = int(any(belief.terms.of(SideBySide)))
        rounds = _ROUNDS if start.is_memory and is_wide else rounds
        for n in range(rounds):
            if n == _PATIENCE and not any(again > first for again in seen):
                break
            weights = belief.regression.weights
            learned = belief.terms.learned(weights, has_workspaces=start.is_memory)
            before, belief = (
                belief,
                self._belief(k, levels, Terms(start, learned), digits, profiled),
            )
            seen.append(belief.regression.evidence)
            yield belief
            if belief.regression.evidence == before.regression.evidence:
                break  # the same features: the next would be no other

    def _levels(self, k: int) -> tuple[dict[Assignment, float], float]:
        """What an objective's terms add up to, and the peak that hides what is less; or -inf."""
        values = {a: row[k] for a, row in self.told.values.items()}
        levels = {a: row[k] for a, row in self.told.beneath.items()}
        hiding = [value for a, value in values.items() if levels[a] < value]
        # What loading takes does not depend on where operations run, but may on settings.
        if not hiding or self.structure.setting_variables:
            return values, -np.inf
        return levels, min(hiding)

    def _belief(
        self,
        k: int,
        levels: dict[Assignment, float],
        terms: Terms,
        digits: Digits,
        profiled: Profiled,
    ) -> ObjectiveModel:
        told, objective = self.told, self._problem.objectives[k]
        base = terms.start.known.base
        precisions = np.array([told.repeats(a) for a in told.values], dtype=float)
        if objective.unit in {"s", "J"}:
            precisions[[told.is_disturbed(a) for a in told.values]] = _DISTURBED
        parts, part_values = self._seen_copies(terms, profiled)
        fit = partial(
            Regression,
            terms.features(Chosen(self.structure, digits)),
            digits,
            np.array(list(levels.values())) / base,
            precisions,
            groups=terms.groups,
            parts=parts,
            part_values=part_values,
            group_count=len(GROUPS),
            noise=_NOISE.get(objective.unit, 0.02),
            residual=_RESIDUAL.get(objective.unit, 0.05),
            repeated=told.spread(k),
        )
        best, trusted = fit(means=terms.means, spreads=terms.spreads), 1.0
        for trust, means, spreads in self.carried.priors(k, terms) if self.carried else ():
            again = fit(means=means, spreads=spreads)
            if again.evidence > best.evidence:
                best, trusted = again, trust
        return ObjectiveModel(terms, best, base, trust=trusted)

    def predictions(self) -> Predictions:
        """What is believed of each measured assignment from all others; none without a baseline."""
        space = self._problem.space
        if space.default not in self.told.values:
            return Predictions({}, ())
        # Priors are made of these, so that leaving them out does not leave them out.
        shaping = {space.default, *map(self._uniform, space.backends)}
        is_shaping = np.array([a in shaping for a in self.told.values])
        columns, noise, correlations = [], [], []
        for belief in self.beliefs():
            values, deviations = belief.regression.left_out_truth()
            relative = deviations / np.maximum(values, 1e-300)
            relative[is_shaping | (values <= 0)] = np.inf
            shown = belief.peak(values) * belief.base
            pairs = zip(shown.tolist(), relative.tolist(), strict=True)
            columns.append([Figure(value, deviation) for value, deviation in pairs])
            noise.append(belief.regression.scales.noise)
            correlation = belief.regression.correlation()
            # What is known of by itself alone, or hidden by a peak, has errors of its own.
            alone = np.flatnonzero((values <= 0) | (shown > values * belief.base))
            correlation[alone, :] = correlation[:, alone] = 0.0
            correlation[alone, alone] = 1.0
            correlations.append(correlation)
        rows = zip(*columns, strict=True)
        figures = dict(zip(self.told.values, rows, strict=True))
        return Predictions(figures, tuple(noise), tuple(correlations))

    def _uniform(self, backend: str) -> Assignment:
        return tuple(
            backend if not v.is_setting and backend in v.feasible else v.feasible[0]
            for v in self._problem.space.variables
        )

    def _known(self, levels: dict[Assignment, float], profiled: Profiled) -> PriorData:
        uniforms = [self._uniform(name) for name in self._problem.space.backends]
        base = max(levels[self._problem.space.default], 1e-12)
        totals = {b: levels[a] / base for b, a in enumerate(uniforms) if a in levels}
        copies = {b: profiled.copies[a] for b, a in enumerate(uniforms) if a in profiled.copies}
        # Not of the uniform assignments alone: where these fail, others show what backends cost.
        others = [abs(value / base - 1) for a, value in levels.items() if a != uniforms[0]]
        extent = max(_MIN_EXTENT, *others) if others else _UNKNOWN_EXTENT
        least = min(levels.values()) / base
        return PriorData(base, {0: 1.0} | totals, profiled.times, copies, extent, least)

    def profiled(self) -> Profiled:
        """The profiles, over the time that the baseline took; elsewhere, where that serves here."""
        if not self._profiles and self.carried and self.carried.is_of_kind(self.told):
            return self.carried.profiled
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
            copies[assignment] = sum(o.seconds for o in profile.transfers) / whole
        times = {}
        for backend, mine in seen.items():
            times[backend] = np.full(len(s.counts), np.nan)
            # Settings take no time of their own: that is known without a trace.
            times[backend][list(s.setting_variables)] = 0.0
            times[backend][list(mine)] = list(mine.values())
        return Profiled(times, copies)

    def _baseline_seconds(self) -> float:
        """As measured, or else as its profile adds up to."""
        default = self._problem.space.default
        for k, objective in enumerate(self._problem.objectives):
            if objective.name == "exec_time":
                return max(self.told.values[default][k], 1e-12)
        profile = self._profiles.get(default, Profile())
        return sum(o.seconds for o in (*profile.operations, *profile.transfers)) or 1.0

    def _seen_copies(self, terms: Terms, profiled: Profiled) -> tuple[Features, Vector]:
        """What copies between backends took in traced runs: features, and values."""
        s, has_traces = self.structure, bool(self._problem.graph and self._profiles)
        seen = list(profiled.copies) if terms.start.is_time and has_traces else []
        features = terms.features(Chosen(s, s.encode(seen)))
        features = features.scaled((terms.groups == GROUPS.index("hand-over")).astype(float))
        return features, np.array([profiled.copies[a] for a in seen])


@dataclass(frozen=True, slots=True)
class Profiled:
    """Profiles over the baseline's time: of each variable by backend, and of the copies."""

    times: dict[int, Vector]
    copies: dict[Assignment, float]


def _ranks(values: Vector) -> Vector:
    """Places by size, equal values sharing the mean of theirs.

    As SciPy's ``rankdata``, without SciPy.
    """
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    found: Vector = (ends - (counts - 1) / 2)[place]
    return found


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

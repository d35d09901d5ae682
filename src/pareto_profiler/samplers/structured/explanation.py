"""Explanation: what each choice of an assignment changes, and which of them change nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np

from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Trial
from pareto_profiler.samplers.structured.features import Features
from pareto_profiler.samplers.structured.model_report import Skill, skill_of
from pareto_profiler.samplers.structured.observations import ObjectiveModel
from pareto_profiler.samplers.structured.posterior import Posterior
from pareto_profiler.samplers.structured.sampler import StructuredSampler
from pareto_profiler.samplers.structured.structure import (
    Chosen,
    Digits,
    Flags,
    Structure,
    Vector,
)
from pareto_profiler.samplers.structured.terms import (
    ACTIVATIONS,
    HAND_OVERS,
    IN_USE,
    ITSELF,
    NEIGHBOURS,
    OVERLAP,
    HandOvers,
    Terms,
)

HIDDEN, REST = "below the peak of loading", "other terms"
"""Through what else a choice changes an objective."""

_KNOWN: Final = (ITSELF, NEIGHBOURS, HAND_OVERS, OVERLAP, IN_USE, ACTIVATIONS)

_TELLING: Final = 1e-3
_WORKS: Final = 0.5
_SURELY: Final = 2.0
# One-sided 95 and 80 % of a normal distribution; then what is as likely to be too much as not.
_CAUTIONS: Final = (1.645, 0.84, 0.0)


@dataclass(frozen=True, slots=True)
class Effect:
    """By how much something changes the objectives, in shown units.

    Attributes:
        values, deviations: Posterior mean and standard deviation for each objective.
    """

    values: tuple[float, ...]
    deviations: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Of the difference from the baseline.

    Attributes:
        name: What it comes from.
        effect: How much.
    """

    name: str
    effect: Effect


@dataclass(frozen=True, slots=True)
class Choice:
    """A choice that is not the baseline's.

    Attributes:
        variable: Whose.
        choice, default: What was chosen, and what the baseline has.
        effect: Against the same assignment with the baseline's choice here.
        through: Through what, as the values of each objective; they add up to the effect.
        works: Probability that the assignment works with the baseline's choice here, too.
    """

    variable: str
    choice: str
    default: str
    effect: Effect
    through: dict[str, tuple[float, ...]]
    works: float


@dataclass(frozen=True, slots=True)
class Simplification:
    """The assignment with some choices put back to the baseline's.

    Attributes:
        assignment: What comes of it.
        put_back: Names of the variables.
        effect: Against the assignment.
        works: Probability that it neither fails nor computes wrongly.
    """

    assignment: Assignment
    put_back: tuple[str, ...]
    effect: Effect
    works: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why an assignment is as good as it is.

    Attributes:
        parts: What makes the difference from the baseline; they add up to it.
        whole: That difference.
        choices: All that are not the baseline's, those that change most first.
        simplifications: What the assignment could do without; the simplest first.
        skills: How well the model predicts, one for each objective.
    """

    parts: tuple[Part, ...]
    whole: Effect
    choices: tuple[Choice, ...]
    simplifications: tuple[Simplification, ...]
    skills: tuple[Skill, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def explanation_of(
    problem: Problem, trials: Iterable[Trial], assignment: Assignment, tolerances: Sequence[float]
) -> Explanation | None:
    """Explain an assignment by the model that is fitted to all trials.

    Simplifications put back as many choices as possible while no objective gets worse by more than
    its tolerance, with 95 %, with 80 % and in the mean: choices one by one, the neighbouring ones
    with the same choice together, and all of a backend, the most harmless first, as many at a time
    as are tolerable together. O(v) predictions for v variables, in a few rounds.

    Args:
        problem: What was searched.
        trials: All, in order.
        assignment: Which, measured or not.
        tolerances: For each objective, by which fraction of its value it may get worse.

    Returns:
        None where the baseline is not among the trials.
    """
    sampler = StructuredSampler(problem)
    for trial in trials:
        sampler.tell(trial)
    if problem.space.default not in sampler.observations.told.values:
        return None
    posterior = Posterior.of(sampler.observations, np.random.default_rng([problem.seed, 5]))
    model = _Model(problem, sampler.observations.structure, posterior)
    return model.explain(assignment, tolerances)


class _Model:
    """Effects of changes under a posterior."""

    def __init__(self, problem: Problem, structure: Structure, posterior: Posterior) -> None:
        self._problem = problem
        self._structure = structure
        self._posterior = posterior
        (self._default,) = structure.encode([problem.space.default])
        self._scales = [
            o.shown(1.0) * b.base
            for o, b in zip(problem.objectives, posterior.beliefs, strict=True)
        ]

    def explain(self, assignment: Assignment, tolerances: Sequence[float]) -> Explanation:
        (mine,) = self._structure.encode([assignment])
        found: list[Digits] = []
        for caution in _CAUTIONS:
            simpler = self._simplified(mine, tolerances, caution)
            if (simpler != mine).any() and not any((simpler == s).all() for s in found):
                found.append(simpler)
        found.sort(key=lambda row: int((row != self._default).sum()))
        return Explanation(
            tuple(self._parts(mine)),
            self._change(self._default, mine[None])[0],
            tuple(self._choices(mine)),
            tuple(self._simplification(mine, row) for row in found),
            tuple(
                skill_of(o.name, b)
                for o, b in zip(self._problem.objectives, self._posterior.beliefs, strict=True)
            ),
        )

    def _changes(self, one: Digits, others: Digits) -> Iterator[tuple[Vector, Vector]]:
        """For each objective by how much others differ from one, over the baseline's value."""
        rows = np.vstack([one[None], others])
        for belief in self._posterior.beliefs:
            features = belief.terms.features(Chosen(self._structure, rows))
            mean, spread = belief.regression.change(
                features[slice(1)], one[None], features[slice(1, None)], others
            )
            lift, is_unseen = self._lift(belief, features, rows)
            yield (
                np.where(is_unseen, 0.0, mean + lift[1:] - lift[0]),
                np.where(is_unseen, 0.0, spread),
            )

    def _lift(
        self, belief: ObjectiveModel, features: Features, rows: Digits
    ) -> tuple[Vector, Flags]:
        """By how much the peak of loading is above what terms add up to.

        And for all rows but the first whether that surely hides all that it differs by.
        """
        if not np.isfinite(belief.bottom):
            return np.zeros(len(rows)), np.zeros(len(rows) - 1, dtype=bool)
        values, deviations = belief.regression.predict(features, rows)
        is_below = values + _SURELY * deviations < belief.bottom
        return belief.peak(values) - values, is_below[1:] & is_below[0]

    def _change(self, one: Digits, others: Digits) -> list[Effect]:
        return self._shown(list(self._changes(one, others)))

    def _shown(self, pairs: list[tuple[Vector, Vector]]) -> list[Effect]:
        means = np.stack([m * s for (m, _), s in zip(pairs, self._scales, strict=True)], axis=1)
        spreads = np.stack([d * s for (_, d), s in zip(pairs, self._scales, strict=True)], axis=1)
        rows = zip(means.tolist(), spreads.tolist(), strict=True)
        return [Effect(tuple(m), tuple(d)) for m, d in rows]

    # The difference from the baseline.

    def _parts(self, mine: Digits) -> Iterator[Part]:
        s = self._structure
        # Operations first: what settings change is best known around what was measured most.
        here = mine.copy()
        here[s.setting_variables] = self._default[s.setting_variables]
        told = list(self._parts_of_operations(self._default, here))
        told += [Part(HIDDEN, self._shown(self._hidden(self._default, here))[0])]
        for i in s.setting_variables:
            if mine[i] != here[i]:
                there = here.copy()
                there[i] = mine[i]
                name = f"{self._named(i)} {self._choice(i, mine[i])}"
                told += [Part(name, self._change(here, there[None])[0])]
                here = there
        whole = self._change(self._default, mine[None])[0]
        own = self._posterior.expected(mine[None])[0][0]
        least = [_TELLING * min(1.0, v) * s for v, s in zip(own, self._scales, strict=True)]
        for part in told:
            if any(abs(v) >= e for v, e in zip(part.effect.values, least, strict=True)):
                yield part
                whole = Effect(
                    tuple(w - v for w, v in zip(whole.values, part.effect.values, strict=True)),
                    whole.deviations,
                )
        yield Part(REST, Effect(whole.values, tuple(0.0 for _ in whole.values)))

    def _parts_of_operations(self, here: Digits, mine: Digits) -> Iterator[Part]:
        names: dict[str, list[tuple[Vector, Vector]]] = {}
        for belief in self._posterior.beliefs:
            for name, row in self._rows(belief.terms, here, mine):
                pair = belief.regression.through(Features.of_rows(row[None]))
                names.setdefault(name, []).append(pair)
        for name, pairs in names.items():
            yield Part(name, self._shown(pairs)[0])

    def _hidden(self, here: Digits, mine: Digits) -> list[tuple[Vector, Vector]]:
        """What of the terms' sum is not seen, since it is below the peak of loading the model."""
        found, rows = [], np.stack([here, mine])
        for belief in self._posterior.beliefs:
            lift, _ = self._lift(belief, belief.terms.features(Chosen(self._structure, rows)), rows)
            found.append((lift[1:] - lift[:1], np.zeros(1)))
        return found

    def _rows(self, terms: Terms, here: Digits, mine: Digits) -> Iterator[tuple[str, Vector]]:
        """What differs in features, by where it comes from; the same names for each objective."""
        s, kinds = self._structure, _kinds(terms)
        both = terms.features(Chosen(s, np.stack([here, mine]))).dense()
        difference = both[1] - both[0]
        changed = [i for i in s.operation_variables if mine[i] != here[i]]
        for choice in sorted({int(mine[i]) for i in changed}):
            moved = [i for i in changed if mine[i] == choice]
            name = f"{len(moved)} of {len(s.operation_variables)} on {s.backends[choice]}"
            yield name, self._own(terms, mine, moved, here)
        counts = self._handed(mine)
        counts.subtract(self._handed(here))
        makers, takers = [*s.backends, "inputs"], [*s.backends, "outputs"]
        for (p, q), count in sorted(counts.items()):
            if count:
                row = np.zeros(len(difference))
                at = p * len(makers) + q
                columns = [where.start + at for where, _ in terms.of(HandOvers)]
                row[columns] = difference[columns]
                more = f"{abs(count)} {'more' if count > 0 else 'fewer'}"
                yield f"hand-overs {makers[p]} → {takers[q]}, {more}", row
        for b, backend in enumerate(s.backends):
            is_used = [bool((d[s.operation_variables] == b).any()) for d in (here, mine)]
            if is_used[0] != is_used[1]:
                name = f"{backend} in use" if is_used[1] else f"{backend} not in use"
                yield name, difference * _of_backend(terms, b)
        for kind in (NEIGHBOURS, OVERLAP, ACTIVATIONS):
            yield kind, difference * (kinds == kind)

    def _handed(self, digits: Digits) -> Counter[tuple[int, int]]:
        """How many tensors go from which backend to which other; the host's number is the last."""
        whole = [*digits.tolist(), len(self._structure.backends)]
        return Counter(
            (whole[h.producer], taker)
            for h in self._structure.hand_overs
            for taker in {whole[c] for c in h.consumers} - {whole[h.producer]}
        )

    def _own(self, terms: Terms, mine: Digits, moved: list[int], here: Digits) -> Vector:
        """Features that moved operations change whatever runs elsewhere: these add up."""
        kept = mine.copy()
        kept[moved] = here[moved]
        both = terms.features(Chosen(self._structure, np.stack([kept, mine]))).dense()
        found: Vector = (both[1] - both[0]) * (_kinds(terms) == ITSELF)
        return found

    # Choice by choice.

    def _choices(self, mine: Digits) -> Iterator[Choice]:
        changed = np.flatnonzero(mine != self._default)
        if not len(changed):
            return
        rows = np.repeat(mine[None], len(changed), axis=0)
        rows[np.arange(len(changed)), changed] = self._default[changed]
        back = self._change(mine, rows)
        works = self._posterior.works(rows).mean(axis=0)
        through = [self._through(b, mine, rows) for b in self._posterior.beliefs]
        effects = [Effect(tuple(-v for v in e.values), e.deviations) for e in back]
        weight = [
            max(abs(v) / s for v, s in zip(e.values, self._scales, strict=True)) for e in effects
        ]
        for k in sorted(range(len(changed)), key=lambda k: -weight[k]):
            i = int(changed[k])
            shares = {
                kind: tuple(
                    float(t[kind][k]) * s for t, s in zip(through, self._scales, strict=True)
                )
                for kind in (*_KNOWN, HIDDEN)
            }
            known = np.sum(list(shares.values()), axis=0)
            rest = tuple((np.array(effects[k].values) - known).tolist())
            yield Choice(
                self._named(i),
                self._choice(i, mine[i]),
                self._choice(i, self._default[i]),
                effects[k],
                shares | {REST: rest},
                float(works[k]),
            )

    def _through(self, belief: ObjectiveModel, mine: Digits, rows: Digits) -> dict[str, Vector]:
        """Kind → by how much mine differs from each row through terms of that kind."""
        terms = belief.terms
        both = np.vstack([mine[None], rows])
        features = terms.features(Chosen(self._structure, both))
        kinds = _kinds(terms)
        weights = belief.regression.weights
        lift, is_unseen = self._lift(belief, features, both)
        values = {kind: features.times(weights * (kinds == kind)) for kind in _KNOWN}
        found = {kind: own[0] - own[1:] for kind, own in values.items()}
        found[HIDDEN] = lift[0] - lift[1:]
        return {kind: np.where(is_unseen, 0.0, shares) for kind, shares in found.items()}

    # What it could do without.

    def _simplified(self, mine: Digits, tolerances: Sequence[float], caution: float) -> Digits:
        current = mine
        while moves := self._moves(current):
            harm = self._harm(mine, self._with(current, moves), tolerances, caution)
            order = [k for k in np.argsort(harm, kind="stable").tolist() if harm[k] <= 1]
            if not order:
                break
            fine, too_many = 1, len(order) + 1
            while too_many - fine > 1:
                middle = (fine + too_many) // 2
                union = sorted({v for k in order[:middle] for v in moves[k]})
                tried = self._with(current, [union])
                is_fine = self._harm(mine, tried, tolerances, caution)[0] <= 1
                fine, too_many = (middle, too_many) if is_fine else (fine, middle)
            union = sorted({v for k in order[:fine] for v in moves[k]})
            (current,) = self._with(current, [union])
        return current

    def _with(self, current: Digits, moves: Sequence[Sequence[int]]) -> Digits:
        rows = np.repeat(current[None], len(moves), axis=0)
        for row, move in zip(rows, moves, strict=True):
            row[list(move)] = self._default[list(move)]
        return rows

    def _moves(self, current: Digits) -> list[tuple[int, ...]]:
        """Sets of variables to put back: single ones, neighbours alike, all of a backend."""
        s = self._structure
        changed: Flags = current != self._default
        found: list[tuple[int, ...]] = [(int(i),) for i in np.flatnonzero(changed)]
        operations = np.array(s.operation_variables, dtype=int)
        left = {n for n, i in enumerate(operations.tolist()) if changed[i]}
        for choice in sorted({int(current[operations[n]]) for n in left}):
            alike = [n for n in sorted(left) if current[operations[n]] == choice]
            found.append(tuple(int(operations[n]) for n in alike))
        neighbours = s.neighbours()
        while left:
            block, edge = set(), [left.pop()]
            while edge:
                one = edge.pop()
                block.add(one)
                beside = [
                    n
                    for n in neighbours[one]
                    if n in left and current[operations[n]] == current[operations[one]]
                ]
                left.difference_update(beside)
                edge += beside
            found.append(tuple(sorted(int(operations[n]) for n in block)))
        return list(dict.fromkeys(found))

    def _harm(
        self, mine: Digits, rows: Digits, tolerances: Sequence[float], caution: float
    ) -> Vector:
        """How much worse rows are than what is tolerable, in multiples of it."""
        found = np.full(len(rows), -np.inf)
        own = self._posterior.expected(mine[None])[0][0]
        changes = self._changes(mine, rows)
        for (mean, spread), value, tolerance in zip(changes, own, tolerances, strict=True):
            found = np.maximum(found, (mean + caution * spread) / max(tolerance * value, 1e-12))
        works = self._posterior.works(rows).mean(axis=0)
        found[works < _WORKS] = np.inf
        return found

    def _simplification(self, mine: Digits, row: Digits) -> Simplification:
        (assignment,) = self._structure.decode(row[None])
        put_back = tuple(self._named(int(i)) for i in np.flatnonzero(row != mine))
        works = float(self._posterior.works(row[None]).mean())
        return Simplification(assignment, put_back, self._change(mine, row[None])[0], works)

    def _named(self, variable: int) -> str:
        return self._problem.space.variables[variable].name

    def _choice(self, variable: int, digit: int) -> str:
        return self._problem.space.variables[variable].choices[digit]


def _kinds(terms: Terms) -> Any:
    """Of each weight, through what it acts."""
    return np.array([way for _, family in terms.families for way in family.ways()], dtype=object)


def _of_backend(terms: Terms, backend: int) -> Flags:
    """Which weights are about a backend's use."""
    found: Flags = np.concatenate([f.uses() for _, f in terms.families]) == backend
    return found

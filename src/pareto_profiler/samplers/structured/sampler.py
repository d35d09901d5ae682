"""StructuredSampler: learns what operations and hand-overs cost, and solves for the front."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np

from pareto_profiler.core.front import nondominated
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Failure, Profile, Trial
from pareto_profiler.errors import FailureKind
from pareto_profiler.samplers.random import RandomSampler
from pareto_profiler.samplers.structured.culprits import Conjunction, Culprits, avoids
from pareto_profiler.samplers.structured.fronts import (
    Costs,
    Forest,
    Program,
    costs_of,
    infeasible,
    is_programmable,
)
from pareto_profiler.samplers.structured.gain import choose
from pareto_profiler.samplers.structured.regression import Draws, Regression
from pareto_profiler.samplers.structured.structure import Digits, Structure, Vector
from pareto_profiler.samplers.structured.terms import GROUPS, Known, Terms
from pareto_profiler.samplers.told import Told

_DRAWS: Final = 32
_SOLVED_DRAWS: Final = 16
_PROGRAMMED_DRAWS: Final = 1
_PER_DRAW: Final = 44
_WHOLE_SPACE: Final = 20_000
_POOL: Final = 400
_PROBLEM_SIZE: Final = 4_000_000
_SHARES: Final = (0.0, 0.02, 0.06, 0.15, 0.3, 0.5, 0.7, 0.85, 0.94, 0.98, 1.0)
_SETTINGS: Final = 6
_HOPES: Final = 6
_NEIGHBOURS: Final = 100
_WITH_SETTINGS: Final = 120
_LATELY: Final = 6
_CAUTION: Final = 3.0
_NOISE: Final = {"s": 0.01, "B": 0.003}
_RESIDUAL: Final = {"s": 0.01, "B": 0.003}
_NO_GAIN: Final = 2e-4
_LEAST: Final = 4
_WORTH_PROFILING: Final = 0.2


@dataclass(frozen=True, slots=True)
class Belief:
    """What is believed of one objective.

    Attributes:
        terms: Its features.
        regression: Their weights.
        base: The baseline's value, which everything is over.
    """

    terms: Terms
    regression: Regression
    base: float


class StructuredSampler:
    """Fits a Bayesian linear model of every objective, and measures where its front may move.

    The model: docs/search.md. After each tell it is fitted anew to all that was told. Models drawn
    from its posterior are each solved for their fronts (small spaces are gone through whole); of
    all assignments found so, that batch is asked for which adds the most hypervolume in the mean
    over the draws, where what is likely to fail counts in proportion. Asks for nothing when
    nothing promises to add a 5000th of the front's box.

    Where what it predicts does not come with what is then measured, every other proposal is a
    neighbour of the front, as in local search.

    Args:
        problem: What is searched; with the model's graph it knows more.
    """

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.structure = Structure(problem)
        self.told = Told(problem.objectives)
        self._random = RandomSampler(problem)
        self._profiles: dict[Assignment, Profile] = {}
        self._absent: set[Assignment] = set()
        self._asked: list[Assignment] = []
        self._is_done = False
        self._trials = 0
        self._failed_lately = deque[bool](maxlen=_LATELY)

    def profiles(self) -> Sequence[Assignment]:
        """The uniform assignments, and where one does not run what comes closest of what does."""
        if not self.structure.owner or self._problem.space.default not in self.told.values:
            return ()
        told = self.told.values
        found = dict.fromkeys(map(self._uniform, self._problem.space.backends))
        for backend in self._problem.space.backends:
            uniform = self._uniform(backend)
            if uniform in told or uniform in self._profiles:
                continue
            unseen = {
                i
                for i in self.structure.operation_variables
                if uniform[i] == backend and not self._is_seen(i, backend)
            }
            gains = {a: sum(a[i] == backend for i in unseen) for a in told}
            best = max(gains, key=lambda a: gains[a])
            if gains[best] >= _WORTH_PROFILING * len(self.structure.operation_variables):
                found[best] = None
        return tuple(found)

    def _uniform(self, backend: str) -> Assignment:
        return tuple(
            backend if not v.is_setting and backend in v.feasible else v.feasible[0]
            for v in self._problem.space.variables
        )

    def _is_seen(self, variable: int, backend: str) -> bool:
        return any(a[variable] == backend for a in self._profiles)

    def tell(self, trial: Trial) -> None:
        self._asked, self._is_done = [], False
        self._trials += 1
        if isinstance(trial.outcome, Profile):
            self._profiles[trial.assignment] = trial.outcome
            return
        if isinstance(trial.outcome, Failure) and trial.outcome.kind is FailureKind.NOT_RECORDED:
            self._absent.add(trial.assignment)
        elif trial.assignment not in self.told:
            self._failed_lately.append(isinstance(trial.outcome, Failure))
        self.told.add(trial)
        self._random.tell(trial)

    def ask(self, count: int = 1) -> list[Assignment]:
        if len(self._asked) < count and not self._is_done:
            self._asked = self._propose(count)
            self._is_done = len(self._asked) < count
        return self._asked[:count]

    def candidates(
        self, beliefs: Sequence[Belief]
    ) -> tuple[Digits, Vector, list[list[Conjunction]]]:
        """What was measured and what might be next, how probably each works, and explanations."""
        random = np.random.default_rng([self._problem.seed, 5, self._trials])
        draws = [b.regression.draw(_DRAWS, random) for b in beliefs]
        explanations = self._culprits().draw(_DRAWS, random)
        measured = self.structure.encode(list(self.told.values))
        pool = self._pool(beliefs, draws, explanations, random)
        works = np.ones(len(measured) + len(pool))
        if len(pool):
            works[len(measured) :] = np.mean([avoids(pool, e) for e in explanations], axis=0)
        return np.vstack([measured, pool]), works, explanations

    def _propose(self, count: int) -> list[Assignment]:
        space = self._problem.space
        if len(self.told) >= space.size and not self._random.ask(1):
            return []
        if space.default not in self.told.values:
            return self._warm_start(count)
        random = np.random.default_rng([self._problem.seed, 5, self._trials])
        beliefs = self.beliefs()
        draws = [b.regression.draw(_DRAWS, random) for b in beliefs]
        culprits = self._culprits()
        explanations = culprits.draw(_DRAWS, random)
        pool = self._pool(beliefs, draws, explanations, random)
        if not len(pool):
            return self._random.ask(count)
        chosen = self._chosen(pool, beliefs, draws, explanations, count, random)
        if self._is_doubtful(beliefs):
            return self._mixed(chosen, count, random)
        measured = len(self.told.values)
        is_over = measured >= _LEAST + len(space.backends) and chosen[0][1] < _NO_GAIN
        return [] if is_over else [a for a, gain in chosen if gain > 0] or self._random.ask(count)

    def _warm_start(self, count: int) -> list[Assignment]:
        space = self._problem.space
        first = [a for a in (space.default, *space.uniforms()) if space.is_feasible(a)]
        rest = self._random.ask(count + len(first))
        return [a for a in dict.fromkeys([*first, *rest]) if a not in self.told][:count]

    def beliefs(self) -> list[Belief]:
        """What is believed of each objective; the baseline must have been told."""
        s, told = self.structure, self.told
        assignments = list(told.values)
        digits = s.encode(assignments)
        repeats = np.array([told.repeats(a) for a in assignments], dtype=float)
        found = []
        for k, objective in enumerate(self._problem.objectives):
            base = max(told.values[self._problem.space.default][k], 1e-12)
            values = np.array([told.values[a][k] for a in assignments]) / base
            terms = Terms(s, objective, self._known(k, base))
            parts, part_values = self._seen_copies(terms)
            regression = Regression(
                terms.features(digits),
                digits,
                values,
                repeats,
                terms.means,
                terms.spreads,
                terms.groups,
                parts=parts,
                part_values=part_values,
                group_count=len(GROUPS),
                noise=_NOISE.get(objective.unit, 0.02),
                residual=_RESIDUAL.get(objective.unit, 0.05),
            )
            found.append(Belief(terms, regression, base))
        return found

    def _known(self, k: int, base: float) -> Known:
        space, s = self._problem.space, self.structure
        totals, profiles, copies = {0: 1.0}, dict[int, Vector](), dict[int, float]()
        operations = len(self._problem.graph.operations) if self._problem.graph else 0
        time = self.told.values[space.default][0]
        seen: dict[tuple[int, int], list[float]] = {}
        for assignment, profile in self._profiles.items():
            sums: dict[tuple[int, str], float] = {}
            for o in profile.operations:
                i = s.owner.get(o.index)
                if i is not None:
                    sums[i, o.backend] = sums.get((i, o.backend), 0.0) + o.seconds / time
            for (i, name), seconds in sums.items():
                # Where only some of a variable's operations ran there, it says too little.
                if name == assignment[i]:
                    seen.setdefault((i, space.backends.index(name)), []).append(seconds)
        for backend, name in enumerate(space.backends):
            uniform = self._uniform(name)
            if uniform in self.told.values:
                totals[backend] = self.told.values[uniform][k] / base
            mine = {i: min(times) for (i, b), times in seen.items() if b == backend}
            if mine:
                profiles[backend] = np.full(len(s.counts), np.nan)
                profiles[backend][list(mine)] = list(mine.values())
            if uniform in self._profiles:
                copies[backend] = sum(
                    o.seconds / time
                    for o in self._profiles[uniform].operations
                    if o.index >= operations
                )
        return Known(base, totals, profiles, copies)

    def _seen_copies(self, terms: Terms) -> tuple[Any, Vector]:
        """What copies between backends took in traced runs: features, and values."""
        graph, told = self._problem.graph, self.told
        if not terms.is_time or graph is None or not self._profiles:
            return terms.features(self.structure.encode([])), np.zeros(0)
        time = told.values[self._problem.space.default][0]
        assignments = list(self._profiles)
        features = terms.features(self.structure.encode(assignments))
        features = features * (terms.groups == GROUPS.index("hand-over"))
        seconds = [
            sum(o.seconds for o in p.operations if o.index >= len(graph.operations))
            for p in self._profiles.values()
        ]
        return features, np.array(seconds) / time

    def _culprits(self) -> Culprits:
        s = self.structure
        failed = sorted(a for a in self.told.failed - self._absent if a in self._problem.space)
        return Culprits(s, s.encode(list(self.told.values)), s.encode(failed))

    def _pool(
        self,
        beliefs: Sequence[Belief],
        draws: Sequence[Draws],
        explanations: Sequence[list[Conjunction]],
        random: np.random.Generator,
    ) -> Digits:
        """Candidates: digits, told and infeasible ones left out."""
        s, space = self.structure, self._problem.space
        if space.size <= _WHOLE_SPACE:
            everything = s.encode([a for a in space if a not in self.told])
            if not len(everything):
                return everything
            values = self._drawn(everything, beliefs, draws, random)
            kept = np.zeros(len(everything), dtype=bool)
            for rows, explanation in zip(values, explanations, strict=True):
                fine = np.flatnonzero(avoids(everything, explanation))
                if len(fine):
                    kept[fine[nondominated(rows[fine])]] = True
            return self._thinned(everything[kept], random)
        found = [self._solved(beliefs, draws, explanations, random)]
        found.append(s.encode(self._neighbours(random)))
        found.append(self._between(beliefs, found[0]))
        found.append(s.encode(self._random.ask(10)))
        found.append(self._with_other_settings(found[0], random))
        rows = np.unique(np.vstack(found), axis=0)
        fresh = [a for a in s.decode(rows) if a not in self.told and space.is_feasible(a)]
        pool = s.encode(fresh)
        if len(pool) > _POOL and s.setting_variables:
            values = self._drawn(pool, beliefs, draws, random)
            kept_in_any = np.logical_or.reduce([nondominated(of_draw) for of_draw in values])
            pool = pool[np.flatnonzero(kept_in_any)]
        return self._thinned(pool, random)

    def _with_other_settings(self, solved: Digits, random: np.random.Generator) -> Digits:
        """Some solutions under each of some settings."""
        s = self.structure
        if not s.setting_variables:
            return solved[:0]
        settings = self._setting_rows(random)[:, s.setting_variables]
        some = np.unique(solved, axis=0)
        some = some[random.permutation(len(some))[:_WITH_SETTINGS]]
        rows = np.repeat(some, len(settings), axis=0)
        rows[:, s.setting_variables] = np.tile(settings, (len(some), 1))
        return rows

    def _neighbours(self, random: np.random.Generator) -> list[Assignment]:
        """Some of the one-change neighbours of the front."""
        front, space = self.told.front(), self._problem.space
        found = []
        for _ in range(_NEIGHBOURS):
            changed = list(front[int(random.integers(len(front)))])
            i = int(random.integers(len(changed)))
            feasible = space.variables[i].feasible
            changed[i] = feasible[int(random.integers(len(feasible)))]
            found.append(tuple(changed))
        return found

    @staticmethod
    def _thinned(rows: Digits, random: np.random.Generator) -> Digits:
        if len(rows) <= _POOL:
            return rows
        return rows[np.sort(random.choice(len(rows), _POOL, replace=False))]

    def _drawn(
        self,
        digits: Digits,
        beliefs: Sequence[Belief],
        draws: Sequence[Draws],
        random: np.random.Generator,
    ) -> Vector:
        """Values under each drawn model, shape ``(draws, assignments, objectives)``."""
        columns = [
            d.values(b.terms.features(digits), digits, random)
            for b, d in zip(beliefs, draws, strict=True)
        ]
        return np.stack(columns, axis=2)

    def _solved(
        self,
        beliefs: Sequence[Belief],
        draws: Sequence[Draws],
        explanations: Sequence[list[Conjunction]],
        random: np.random.Generator,
    ) -> Digits:
        """Fronts of some drawn models."""
        s = self.structure
        byte_scale = beliefs[0].terms.byte_scale
        forest = Forest(s, byte_scale)
        backends = len(s.backends)
        size = len(s.counts) * backends
        most = max(2 * len(_SHARES), _PROBLEM_SIZE // size)
        per_draw = max(len(_SHARES), min(_PER_DRAW, most // _SOLVED_DRAWS))
        closed = infeasible(s)
        settings = self._setting_rows(random)
        used = [settings[int(random.integers(len(settings)))] for _ in range(_SOLVED_DRAWS)]
        used = used[: max(1, most // per_draw)]
        costs = [
            [
                costs_of(b.terms, draw.weights[d], setting)
                for b, draw in zip(beliefs, draws, strict=True)
            ]
            for d, setting in enumerate(used)
        ]
        problems = [
            problem
            for d, mine in enumerate(costs)
            for problem in _weighted(mine, closed, explanations[d], per_draw, random)
        ]
        rows = forest.solve(*(np.stack(parts) for parts in zip(*problems, strict=True)))
        for d, setting in enumerate(used):
            mine = slice(d * per_draw, (d + 1) * per_draw)
            rows[mine, s.setting_variables] = setting[s.setting_variables]
        found = [rows]
        for d in range(min(_PROGRAMMED_DRAWS, len(used)) if is_programmable(s) else 0):
            program = Program(s, costs[d], byte_scale, explanations[d])
            seen = rows[d * per_draw : (d + 1) * per_draw]
            for digits in self._programmed(program, costs[d], seen, beliefs, draws, d, random):
                digits[s.setting_variables] = used[d][s.setting_variables]
                found.append(digits[None])
        return np.vstack(found)

    def _setting_rows(self, random: np.random.Generator) -> Digits:
        """Digits of settings worth a look: the front's, the default's, and random ones."""
        s, space = self.structure, self._problem.space
        default = s.encode([space.default])
        if not s.setting_variables:
            return default
        known = s.encode(self.told.front())[:, s.setting_variables]
        every = np.array(
            list(product(*(np.flatnonzero(s.is_feasible[i]) for i in s.setting_variables)))
        )
        picked = every[random.permutation(len(every))[:_SETTINGS]]
        rows = np.unique(np.vstack([known, picked]), axis=0)
        found = np.repeat(default, len(rows), axis=0)
        found[:, s.setting_variables] = rows
        return found[random.permutation(len(found))]

    def _programmed(
        self,
        program: Program,
        costs: Sequence[Costs],
        seen: Digits,
        beliefs: Sequence[Belief],
        draws: Sequence[Draws],
        d: int,
        random: np.random.Generator,
    ) -> list[Digits]:
        """ε-constraint problems between the ends of what the weighted sums found."""
        values = np.stack(
            [b.terms.features(seen) @ w.weights[d] for b, w in zip(beliefs, draws, strict=True)],
            axis=1,
        )
        ends = values[nondominated(values)]
        found = []
        for k in range(len(costs)):
            low, high = float(ends[:, k].min()), float(ends[:, k].max())
            limit = low + (high - low) * float(random.random())
            other = (k + 1) % len(costs)
            shares = [1.0 if i == other else 1e-3 for i in range(len(costs))]
            digits = program.solve(shares, {k: limit} if high > low else {})
            if digits is not None:
                found.append(digits)
        return found

    def _between(self, beliefs: Sequence[Belief], solved: Digits) -> Digits:
        """Parts of what works put into what is hoped for, and the other way round.

        Once something failed, this is how its cause is found in few trials, as by bisection: in
        halves, quarters, eighths and sixteenths. What still works is worth its measurement, too.
        """
        s, told = self.structure, self.told
        failed = s.encode(sorted(a for a in told.failed - self._absent if a in self._problem.space))
        front = s.encode(told.front())
        if not len(failed) or not len(front):
            return failed
        hopes = np.unique(np.vstack([failed, solved[:: max(1, len(solved) // 200)]]), axis=0)
        hoped = np.stack(
            [b.regression.predict(b.terms.features(hopes), hopes)[0] for b in beliefs], axis=1
        )
        promising = np.flatnonzero(nondominated(hoped))[:_HOPES]
        order = np.array(s.operation_variables)
        found = []
        for hope in hopes[promising]:
            closest = front[(front != hope).sum(axis=1).argmin()]
            for parts in (2, 4, 8, 16):
                for part in np.array_split(order, min(parts, len(order))):
                    for one, other in ((hope, closest), (closest, hope)):
                        mixed = one.copy()
                        mixed[part] = other[part]
                        found.append(mixed)
        return np.array(found, dtype=np.intp).reshape(len(found), failed.shape[1])

    def _chosen(
        self,
        pool: Digits,
        beliefs: Sequence[Belief],
        draws: Sequence[Draws],
        explanations: Sequence[list[Conjunction]],
        count: int,
        random: np.random.Generator,
    ) -> list[tuple[Assignment, float]]:
        measured = self.structure.encode(list(self.told.values))
        both = np.vstack([measured, pool])
        values = self._drawn(both, beliefs, draws, random)
        known, hoped = values[:, : len(measured)], values[:, len(measured) :]
        works = np.stack([avoids(pool, e) for e in explanations])
        corner = _corner(known.mean(axis=0), hoped.mean(axis=0), works.mean(axis=0) > 0.5)
        # Where most proposals failed, explanations were too hopeful: what surely works comes first.
        caution = _CAUTION * sum(self._failed_lately) / _LATELY
        picks = choose(list(known), hoped, works, corner, count, random, caution)
        assignments = self.structure.decode(pool[[i for i, _ in picks]])
        return [(a, gain) for a, (_, gain) in zip(assignments, picks, strict=True)]

    def _is_doubtful(self, beliefs: Sequence[Belief]) -> bool:
        """Whether predictions do not come with what is measured."""
        if len(self.told.values) < _LEAST + 2 * len(self._problem.space.backends) + 4:
            return False
        return any(skill(b) < 0.3 for b in beliefs)

    def _mixed(
        self, chosen: list[tuple[Assignment, float]], count: int, random: np.random.Generator
    ) -> list[Assignment]:
        """Every other one a neighbour of the front."""
        mine = [a for a, _ in chosen]
        around = [a for a in dict.fromkeys(self._neighbours(random)) if a not in self.told]
        others = [a for a in around if a not in mine]
        both = [a for pair in zip(others, mine, strict=False) for a in pair]
        return (both or mine or self._random.ask(count))[:count]


def skill(belief: Belief) -> float:
    """Rank correlation of left-out predictions with what was measured; 1 where all is equal."""
    from scipy.stats import spearmanr

    predicted, _ = belief.regression.left_out()
    values = belief.regression.values
    if np.ptp(values) < 1e-3 or np.ptp(predicted) == 0:
        return 1.0
    return float(spearmanr(predicted, values).statistic)


def _weighted(
    costs: Sequence[Costs],
    closed: Vector,
    explanation: list[Conjunction],
    count: int,
    random: np.random.Generator,
) -> Iterator[tuple[Vector, Vector, Vector]]:
    """Weighted sums of the objectives, with all backends and with random ones of them."""
    objectives = len(costs)
    scale = [max(1e-9, float(np.abs(c.unary).sum(axis=0).max())) for c in costs]
    for n in range(count):
        share = _SHARES[n % len(_SHARES)]
        parts = [1 - share, share] if objectives == 2 else random.dirichlet(np.ones(objectives))
        parts = [max(1e-4, float(p)) / z for p, z in zip(parts, scale, strict=True)]
        banned = random.random(closed.shape[1]) < (0.0 if n < len(_SHARES) else 0.4)
        whole = sum((p * c.unary for p, c in zip(parts, costs, strict=True)), closed * 0.0)
        limited = closed + 1e3 * banned
        for variable, choice in _broken(explanation, whole + limited, random):
            limited[variable, choice] += 1e5
        pairs = list(zip(parts, costs, strict=True))
        yield (
            whole + limited,
            np.add.reduce([p * c.copies for p, c in pairs]),
            np.add.reduce([p * c.copied_bytes for p, c in pairs]),
        )


def _broken(
    explanation: list[Conjunction], unary: Vector, random: np.random.Generator
) -> list[tuple[int, int]]:
    """Choices to give up so that no conjunction stays whole, cheap ones that break many first."""
    if not explanation:
        return []
    pairs = sorted({pair for conjunction in explanation for pair in conjunction})
    holds = np.array([[pair in conjunction for conjunction in explanation] for pair in pairs])
    variables, choices = np.array(pairs).T
    others = unary[variables].copy()
    others[np.arange(len(pairs)), choices] = np.inf
    loss = np.maximum(0.0, others.min(axis=1) - unary[variables, choices]) + 1e-3
    worth = random.lognormal(0, 0.7, len(pairs)) / np.minimum(loss, 1e9)
    is_whole = np.ones(len(explanation), dtype=bool)
    found = []
    while is_whole.any():
        best = int(np.argmax(worth * holds[:, is_whole].sum(axis=1)))
        found.append(pairs[best])
        is_whole &= ~holds[best]
    return found


def _corner(known: Vector, hoped: Vector, is_likely: Vector) -> Vector:
    """Of the box around the front that is measured or believed in, a tenth larger than that."""
    rows = np.vstack([known, hoped[is_likely.astype(bool)]])
    front = rows[nondominated(rows)]
    low, high = front.min(axis=0), front.max(axis=0)
    found: Vector = low + 1.1 * np.maximum(high - low, 0.02 * np.abs(low))
    return found

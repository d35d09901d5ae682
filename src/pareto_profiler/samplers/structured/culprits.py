"""Culprits: which choices together make an assignment fail, as far as trials tell."""

from __future__ import annotations

from itertools import combinations
from typing import Final

import numpy as np

from pareto_profiler.samplers.structured.structure import Digits, Flags, Structure, Vector

Conjunction = tuple[tuple[int, int], ...]
"""(variable, digit) pairs that together make every assignment fail which has them all."""

_LONGEST: Final = 6
_FEW_VARIABLES: Final = 8
_LARGEST_SUBSET: Final = 3
_MOST_CLOSE: Final = 60
_SWEEPS: Final = 3
_PARSIMONY: Final = 3.0
_EXPECTED: Final = 0.5
_OWN: Final = 3.0
_MIXED: Final = 0.1


class Culprits:
    """Conjunctions of choices that explain all failures and no success.

    A failure rarely comes from one choice alone: a backend computes a block wrongly only when all
    of it runs there, and what is wrong in one block often is in others like it. So the hypotheses
    are windows of neighbouring operations with their backends (of few variables: all small
    subsets), each of them true or not. A success rules out all it contains; of those in a failure
    at least one is true; how many are true at all is learned with them, and how many of each
    pattern: operations of the same names on the same backends. Explanations are drawn from that
    posterior by Gibbs sampling. Where no window explains a failure, a minimal set of choices of
    which no success has all is drawn instead.

    Args:
        structure: Of the problem.
        successes: Digits of what was measured, shape ``(n, variables)``.
        failures: Digits of what failed.
    """

    def __init__(self, structure: Structure, successes: Digits, failures: Digits) -> None:
        self._successes, self._failures = successes, failures
        self._structure = structure
        self._hypotheses: list[Conjunction] = []
        self._explains: list[list[int]] = []
        self._kinds: list[int] = []
        self._patterns: list[int] = []
        self._pattern_sizes: list[int] = []
        if len(failures):
            self._collect()

    def draw(self, count: int, random: np.random.Generator) -> list[list[Conjunction]]:
        """Explanations of all failures, as plausible as each other."""
        if not len(self._failures):
            return [[] for _ in range(count)]
        orphans = set(range(len(self._failures))) - {f for fs in self._explains for f in fs}
        found = []
        for true in self._chain(count, random):
            explanation = [self._hypotheses[h] for h in true]
            for f in random.permutation(sorted(orphans)).tolist():
                failure = self._failures[f]
                if not any(all(failure[v] == c for v, c in pairs) for pairs in explanation):
                    explanation.append(self._hitting_set(failure, random))
            found.append(explanation)
        return found

    def _collect(self) -> None:
        """All hypotheses that no success rules out, and which failures each would explain."""
        s = self._structure
        order = np.array(s.operation_variables, dtype=np.intp)
        groups = [tuple(range(i, i + n)) for n in range(1, _LONGEST + 1) for i in range(len(order))]
        groups = [g for g in groups if g[-1] < len(order)]
        if len(order) <= _FEW_VARIABLES:
            groups = [g for n in range(1, 4) for g in combinations(range(len(order)), n)]
        uniform = [
            np.where(s.is_feasible[:, b], b, -1) for b in range(len(s.backends))
        ]  # windows on one backend may be wrong though no failure has them yet
        rows: list[Digits] = [*self._failures, *uniform]
        names = [v.name.split("@")[0].split("/")[0] for v in s.problem.space.variables]
        patterns: dict[tuple[tuple[str, int], ...], int] = {}
        numbers: dict[Conjunction, int] = {}
        seen: set[Conjunction] = set()
        for f, row in enumerate(rows):
            same = self._successes[:, order] == row[order]
            for group in groups:
                columns = order[list(group)]
                choices = row[columns]
                if choices.min() < 0:
                    continue
                pairs = tuple(zip(columns.tolist(), choices.tolist(), strict=True))
                if pairs not in seen:
                    seen.add(pairs)
                    pattern = tuple((names[v], c) for v, c in pairs)
                    if pattern not in patterns:
                        patterns[pattern] = len(patterns)
                        self._pattern_sizes.append(0)
                    self._pattern_sizes[patterns[pattern]] += 1
                    if bool(same[:, list(group)].all(axis=1).any()):
                        continue
                    self._patterns.append(patterns[pattern])
                    numbers[pairs] = len(self._hypotheses)
                    self._hypotheses.append(pairs)
                    self._explains.append([])
                    is_mixed = len(set(choices.tolist())) > 1
                    self._kinds.append(2 * len(group) + is_mixed)
                if f < len(self._failures) and pairs in numbers:
                    self._explains[numbers[pairs]].append(f)

    def _chain(self, count: int, random: np.random.Generator) -> list[list[int]]:
        """Which hypotheses are true: each time a likely start, then some Gibbs sweeps."""
        if not self._hypotheses:
            return [[] for _ in range(count)]
        prior = np.array([_prior(k) for k in self._kinds])
        patterns = np.array(self._patterns, dtype=np.intp)
        sizes = np.array(self._pattern_sizes, dtype=float)
        explains = np.zeros((len(prior), len(self._failures)), dtype=bool)
        for h, failures in enumerate(self._explains):
            explains[h, failures] = True
        coupled = np.flatnonzero(explains.any(axis=1))
        free = np.flatnonzero(~explains.any(axis=1))
        found: list[list[int]] = []
        for _ in range(count):
            state = self._start(explains, prior, random)
            covered = explains[state].sum(axis=0)
            like = np.bincount(patterns[state], minlength=len(sizes)).astype(float)
            for _ in range(_SWEEPS):
                weight, true = float(prior.sum()), float(state.sum())
                # As many as one are expected before anything failed; weakly, as of half a failure.
                rate = random.beta(_EXPECTED + true, _EXPECTED * weight + max(0.0, weight - true))
                alone = _OWN * rate * prior
                dice = random.random(len(prior))
                chances = (alone + like[patterns] - state) / (_OWN + sizes[patterns] - 1)
                fresh = dice[free] < chances[free]
                like -= np.bincount(patterns[free], state[free], len(like))
                like += np.bincount(patterns[free], fresh, len(like))
                state[free] = fresh
                # Where chance says no, only a hypothesis that is true or likely can change.
                swayed = coupled[state[coupled] | (dice[coupled] < chances[coupled])]
                for h in random.permutation(swayed).tolist():
                    failures = self._explains[h]
                    if state[h]:
                        covered[failures] -= 1
                        like[patterns[h]] -= 1
                    chance = (alone[h] + like[patterns[h]]) / (_OWN + sizes[patterns[h]] - 1)
                    state[h] = bool((covered[failures] == 0).any()) or dice[h] < chance
                    if state[h]:
                        covered[failures] += 1
                        like[patterns[h]] += 1
            found.append(np.flatnonzero(state).tolist())
        return found

    def _start(self, explains: Flags, prior: Vector, random: np.random.Generator) -> Flags:
        """A few hypotheses that explain all failures: those that explain many at once first."""
        state = np.zeros(len(prior), dtype=bool)
        is_open = explains.any(axis=0)
        chance = np.log(prior) + random.gumbel(size=len(prior))
        while is_open.any():
            fresh = explains[:, is_open].sum(axis=1)
            worth = np.where(fresh > 0, chance + fresh * _PARSIMONY, -np.inf)
            best = int(np.argmax(worth))
            state[best] = True
            is_open &= ~explains[best]
        return state

    def _hitting_set(self, failure: Digits, random: np.random.Generator) -> Conjunction:
        """Choices of a failure, one at least that each success lacks; none superfluous."""
        differs = self._successes != failure
        differs = differs[differs.any(axis=1)]  # measured once, failed once: a hiccup
        order = np.argsort(differs.sum(axis=1), kind="stable")[:_MOST_CLOSE]
        if not len(order):
            return tuple((v, int(c)) for v, c in enumerate(failure))
        rows = differs[order]
        shared = (self._failures == failure).sum(axis=0).astype(float) ** 2
        chosen: list[int] = []
        is_open = np.ones(len(rows), dtype=bool)
        for k in range(len(rows)):
            if not is_open[k]:
                continue
            options = np.flatnonzero(rows[k])
            weights = shared[options] * (1 + rows[is_open][:, options].sum(axis=0)) ** 2
            pick = int(random.choice(options, p=weights / weights.sum()))
            chosen.append(pick)
            is_open &= ~rows[:, pick]
        for pick in random.permutation(chosen).tolist():
            rest = [i for i in chosen if i != pick]
            if rest and rows[:, rest].any(axis=1).all():
                chosen = rest
        return tuple((v, int(failure[v])) for v in sorted(chosen))


def _prior(kind: int) -> float:
    """How much likelier than a single choice: longer windows and mixed ones are less so."""
    length, is_mixed = divmod(kind, 2)
    return (_MIXED if is_mixed else 1.0) * (1.0 if length <= 4 else 0.5 ** (length - 4))


def avoids(digits: Digits, explanation: list[Conjunction]) -> Flags:
    """Which assignments have none of the conjunctions whole."""
    fine = np.ones(len(digits), dtype=bool)
    for pairs in explanation:
        fine &= ~np.logical_and.reduce([digits[:, v] == c for v, c in pairs])
    return fine

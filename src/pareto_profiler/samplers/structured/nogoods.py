"""NoGoods: which choices together make an assignment fail, as far as trials tell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np

from pareto_profiler.samplers.structured.structure import Digits, Flags, Structure, Vector

_log_gamma = np.vectorize(math.lgamma, otypes=[float])

NoGood = tuple[tuple[int, int], ...]
"""(variable, digit) pairs that together make every assignment fail which has them all."""

_LONGEST: Final = 6
_GAPS: Final = (2, 3, 4)
_FEW_VARIABLES: Final = 8
_LARGEST_SUBSET: Final = 3
_LARGEST_CONNECTED: Final = 4
_MAX_TRIED: Final = 60_000
_LENGTHS: Final = (64, 32, 16, 8, 4, 2, 1)
_MAX_CLOSE: Final = 60
_SWEEPS: Final = 3
_PARSIMONY: Final = 1.0
_OWN: Final = (0.1, 0.1, 1.0)
_TEMPER: Final = 8.0
_MIXED: Final = 0.1
_TINY: Final = 1e-12


class NoGoods:
    """Conjunctions of choices that explain all failures and no success.

    A failure rarely comes from one choice alone: a backend computes a block wrongly only when all
    of it runs there, and what is wrong in one block is in others like it. So the hypotheses are
    windows of neighbouring operations and small sets that edges hold together, with their backends
    (of few variables: all small subsets), each of them true or not. A success rules out all it
    contains; of those in a failure at least one is true. Hypotheses of one pattern (operations of
    the same names and fan-out, on the same backends) tend to be all true or all false. Explanations
    are drawn from that posterior by Gibbs sampling, of single hypotheses and of whole patterns.
    Where no hypothesis explains a failure, a minimal set of choices of which no success has all is
    drawn instead.

    Args:
        structure: Of the problem.
        successes: Digits of what was measured, shape ``(n, variables)``.
        failures: Digits of what failed.
        blamed: Which variables may have a part in each failure, shape of ``failures``; all of them
            where that is not given.
    """

    def __init__(
        self,
        structure: Structure,
        successes: Digits,
        failures: Digits,
        blamed: Flags | None = None,
    ) -> None:
        self._successes, self._failures = successes, failures
        self._blamed = np.ones(failures.shape, dtype=bool) if blamed is None else blamed
        self._structure = structure
        self._hypotheses: list[NoGood] = []
        self._explains: list[list[int]] = []
        self._kinds: list[tuple[int, bool, bool]] = []
        self._patterns: list[int] = []
        self._pattern_sizes: list[int] = []
        if len(failures):
            self._collect()

    def draw(self, count: int, random: np.random.Generator) -> list[list[NoGood]]:
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
        uniform = [
            np.where(s.is_feasible[:, b], b, -1) for b in range(len(s.backends))
        ]  # windows on one backend may be wrong though no failure has them yet
        rows: list[Digits] = [*self._failures, *uniform]
        groups = self._groups(len(order), _MAX_TRIED // len(rows))
        by_length = _by_length(groups)
        # What another operation takes, too, is another thing.
        names = [f"{name} {n}" for name, n in zip(s.names, s.takers(), strict=True)]
        patterns: dict[tuple[tuple[str, int], ...], int] = {}
        numbers: dict[NoGood, int] = {}
        seen: set[NoGood] = set()
        successes, columns_of = self._successes[:, order], [order[list(g)].tolist() for g in groups]
        for f, row in enumerate(rows):
            is_failure = f < len(self._failures)
            own = row[order]
            same, is_blamed = successes == own, self._blamed[f, order] if is_failure else own < 0
            there, ruled_out, explained = np.zeros((3, len(groups)), dtype=bool)
            for at, positions in by_length:
                there[at] = (own[positions] >= 0).all(axis=1)
                ruled_out[at] = _all_in_any(same, positions)
                explained[at] = is_blamed[positions].all(axis=1)
            choices_of = own.tolist()
            for g in np.flatnonzero(there).tolist():
                group = groups[g]
                choices = [choices_of[i] for i in group]
                pairs = tuple(zip(columns_of[g], choices, strict=True))
                if pairs not in seen:
                    seen.add(pairs)
                    pattern = tuple((names[v], c) for v, c in pairs)
                    if pattern not in patterns:
                        patterns[pattern] = len(patterns)
                        self._pattern_sizes.append(0)
                    self._pattern_sizes[patterns[pattern]] += 1
                    if ruled_out[g]:
                        continue
                    self._patterns.append(patterns[pattern])
                    numbers[pairs] = len(self._hypotheses)
                    self._hypotheses.append(pairs)
                    self._explains.append([])
                    is_gapped = group[-1] - group[0] >= len(group)
                    is_mixed = len(set(choices)) > 1
                    self._kinds.append((len(group), is_gapped, is_mixed))
                if explained[g] and pairs in numbers:
                    self._explains[numbers[pairs]].append(f)

    def _groups(self, count: int, most: int) -> list[tuple[int, ...]]:
        """Positions among the operations' variables of what may fail together; about so many."""
        if count <= _FEW_VARIABLES:
            return [g for n in range(1, _LARGEST_SUBSET + 1) for g in combinations(range(count), n)]
        if _LONGEST * count > most:
            # Halves of halves, as deep as it can be afforded.
            lengths = [n for n in _LENGTHS if 2 * count < most * n]
            return [tuple(range(i, min(i + n, count))) for n in lengths for i in range(0, count, n)]
        windows = [tuple(range(i, i + n)) for n in range(1, _LONGEST + 1) for i in range(count)]
        windows += [(i, i + gap) for gap in _GAPS for i in range(count)]
        neighbours = self._structure.neighbours()
        windows += _apart(neighbours)
        connected = _connected(neighbours, _LARGEST_CONNECTED, most - len(windows))
        return list(dict.fromkeys([g for g in windows if g[-1] < count] + connected))

    def _chain(self, count: int, random: np.random.Generator) -> list[list[int]]:
        """Which hypotheses are true.

        Several times as many states as are wanted, each from a likely start by Gibbs sweeps; of
        these so many, by how probable they are (importance resampling, tempered).
        """
        if not self._hypotheses:
            return [[] for _ in range(count)]
        # What fails may be all of its like, or one by one: measurements have to tell.
        members = _Members(self._patterns, self._explains, len(self._failures))
        chances = [self._chances(members, own) for own in _OWN]
        states = [
            self._state(chances[n // 2 % len(_OWN)], random, is_by_pattern=n % 2 == 0)
            for n in range(2 * count)
        ]
        heights = np.array(
            [chances[n // 2 % len(_OWN)].height(state) for n, state in enumerate(states)]
        )
        heights /= _TEMPER
        weights = np.exp(heights - heights.max())
        picks = random.choice(len(states), count, p=weights / weights.sum())
        return [np.flatnonzero(states[i]).tolist() for i in picks]

    def _chances(self, members: _Members, own: float) -> _Chances:
        sizes = np.array(self._pattern_sizes, dtype=float)
        sizes -= np.bincount(members.patterns[~members.is_met], minlength=len(sizes))
        # A kind of conjunction is as likely as another, however many of it there are.
        kind_of = dict(zip(self._patterns, self._kinds, strict=True))
        many = Counter(kind_of.values() if own < 1 else self._kinds)
        total = sum(map(_prior, many))
        expected = {kind: _prior(kind) / total for kind in many}
        for _ in range(2):
            shares = np.zeros(len(sizes))
            for pattern, kind in kind_of.items():
                shares[pattern] = min(0.5, expected[kind] / many[kind])
            chances = _Chances(members, sizes, own * shares, own)
            # Of the kinds that explain what failed so far there may be as many again.
            met = Counter(kind_of[pattern] for pattern in chances.fewest())
            expected = {kind: _prior(kind) / total + met[kind] for kind in many}
        return chances

    def _state(
        self, chances: _Chances, random: np.random.Generator, *, is_by_pattern: bool
    ) -> Flags:
        members, sizes, own = chances.members, chances.sizes, chances.own
        explains, patterns = members.explains, members.patterns
        state = chances.start(random, is_by_pattern=is_by_pattern)
        covered = explains[state].sum(axis=0)
        like = np.bincount(patterns[state], minlength=len(sizes)).astype(float)
        coupled, free = np.flatnonzero(members.is_met), np.flatnonzero(~members.is_met)
        for _ in range(_SWEEPS):
            dice = random.random(len(state))
            others = np.maximum(own + sizes - 1, _TINY)
            shares = ((chances.alone + like) / others)[patterns] - state / others[patterns]
            # Where chance says no, only a hypothesis that is true or likely can change.
            swayed = coupled[state[coupled] | (dice[coupled] < shares[coupled])]
            for h in random.permutation(swayed).tolist():
                failures, g = self._explains[h], patterns[h]
                if state[h]:
                    covered[failures] -= 1
                    like[g] -= 1
                share = (chances.alone[g] + like[g]) / others[g]
                state[h] = bool((covered[failures] == 0).any()) or dice[h] < share
                if state[h]:
                    covered[failures] += 1
                    like[g] += 1
            flips = random.random(len(sizes))
            several = members.several
            several = several[(like[several] > 0) | (flips[several] < chances.all_true[several])]
            for g in random.permutation(several).tolist():
                chances.flip(g, state, covered, like, float(flips[g]))
        # Of what no failure has only its likes tell.
        kinds, place = np.unique(patterns[free], return_inverse=True)
        true, alone = like[kinds], chances.alone[kinds]
        shares = random.beta(alone + true, own - alone + sizes[kinds] - true)
        state[free] = random.random(len(free)) < shares[place]
        return state

    def _hitting_set(self, failure: Digits, random: np.random.Generator) -> NoGood:
        """Choices of a failure, one at least that each success lacks; none superfluous."""
        differs = self._successes != failure
        differs = differs[differs.any(axis=1)]  # measured once, failed once: a hiccup
        order = np.argsort(differs.sum(axis=1), kind="stable")[:_MAX_CLOSE]
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


class _Members:
    """Which hypotheses are of one pattern and explain something.

    Args:
        patterns: Of each hypothesis.
        explains: Of each, which failures it would explain.
        failure_count: How many there are.

    Attributes:
        is_met: Which hypotheses explain any failure.
        of: Pattern → hypotheses of it that do.
        several: Patterns of which more than one does.
        cover: Pattern → how many of them explain each failure.
        covers: Which patterns explain which failure, in the order of ``of``.
    """

    def __init__(self, patterns: list[int], explains: list[list[int]], failure_count: int) -> None:
        self.patterns = np.array(patterns, dtype=np.intp)
        self.explains = np.zeros((len(patterns), failure_count), dtype=bool)
        for h, failures in enumerate(explains):
            self.explains[h, failures] = True
        self.is_met = self.explains.any(axis=1)
        self.of: dict[int, list[int]] = {}
        for h in np.flatnonzero(self.is_met).tolist():
            self.of.setdefault(patterns[h], []).append(h)
        self.groups = list(self.of.values())
        self.several = np.array([g for g, hs in self.of.items() if len(hs) > 1], dtype=np.intp)
        self.cover = {g: self.explains[hs].sum(axis=0) for g, hs in self.of.items()}
        self.covers = np.array([cover > 0 for cover in self.cover.values()])


class _Chances:
    """How probable sets of true hypotheses are.

    Of each pattern, all or none of its members tend to be true: how many are is Beta-binomial, with
    most of its mass at both ends where ``own`` is small.

    Args:
        members: The hypotheses.
        sizes: Of each pattern, what is ruled out included, what has a part in no failure left out.
        alone: First parameter of each pattern's Beta distribution.
        own: The sum of both: the smaller, the more a pattern is true or false as a whole.
    """

    def __init__(self, members: _Members, sizes: Vector, alone: Vector, own: float) -> None:
        self.members, self.sizes, self.alone, self.own = members, sizes, alone, own
        counts = np.array([len(hypotheses) for hypotheses in members.groups])
        self._all_gains = self._gain(list(members.of), 0, counts)
        self._own_gains = self._gain(members.patterns, 0, 1)
        self.all_true = np.zeros(len(sizes))
        self.all_true[list(members.of)] = (1 + np.tanh(self._all_gains / 2)) / 2

    def height(self, state: Flags) -> float:
        """Logarithm of its probability, up to a constant."""
        like = np.bincount(self.members.patterns[state], minlength=len(self.sizes))
        seen = np.flatnonzero(like)
        return float(self._gain(seen, 0, like[seen]).sum())

    def _gain(self, patterns: Any, before: Any, after: Any) -> Vector:
        """Logarithm of how much likelier other numbers of true members are."""
        alone, rest = self.alone[patterns], self.sizes[patterns] + self.own - self.alone[patterns]
        # By beta functions, whose sums of arguments are the same.
        likely = _log_gamma(alone + after) + _log_gamma(rest - after)
        return np.asarray(likely - _log_gamma(alone + before) - _log_gamma(rest - before))

    def flip(self, pattern: int, state: Flags, covered: Digits, like: Vector, dice: float) -> None:
        """A Gibbs step of a whole pattern: all of its members that explain something, or none."""
        members, cover = self.members.of[pattern], self.members.cover[pattern]
        if like[pattern] not in {0, len(members)}:
            return
        without = covered - cover if like[pattern] else covered
        is_true = dice < self.all_true[pattern] or bool((without[cover > 0] == 0).any())
        state[members] = is_true
        covered[:] = without + cover * is_true
        like[pattern] = len(members) * is_true

    def fewest(self) -> list[int]:
        """Patterns that explain all failures, taken one by one, the likeliest first."""
        patterns = list(self.members.of)
        return [patterns[i] for i in _cover(self.members.covers, self._all_gains)]

    def start(self, random: np.random.Generator, *, is_by_pattern: bool) -> Flags:
        """A few hypotheses, or whole patterns, that explain all failures: big ones first."""
        members = self.members
        by_pattern = (members.covers, self._all_gains)
        explains, gains = by_pattern if is_by_pattern else (members.explains, self._own_gains)
        chance = gains + random.gumbel(size=len(gains))
        state = np.zeros(len(members.patterns), dtype=bool)
        for best in _cover(explains, chance):
            state[members.groups[best] if is_by_pattern else best] = True
        return state


def _by_length(groups: list[tuple[int, ...]]) -> list[tuple[Digits, Digits]]:
    """Numbers of groups of one length, and their members: shape ``(groups, length)``."""
    lengths = np.array([len(group) for group in groups], dtype=np.intp)
    numbers = [np.flatnonzero(lengths == n) for n in np.unique(lengths)]
    return [(at, np.array([groups[g] for g in at.tolist()], dtype=np.intp)) for at in numbers]


def _all_in_any(rows: Flags, positions: Digits) -> Flags:
    """For each group of columns whether any row has all of them."""
    found = np.zeros(len(positions), dtype=bool)
    for row in rows:
        found |= row[positions].all(axis=1)
    return found


def _cover(explains: Flags, chance: Vector) -> list[int]:
    """Rows that together explain all columns that any does, one by one, the likeliest first."""
    chosen = []
    is_open = explains.any(axis=0)
    while is_open.any():
        fresh = explains[:, is_open].sum(axis=1)
        best = int(np.argmax(np.where(fresh > 0, chance + fresh * _PARSIMONY, -np.inf)))
        chosen.append(best)
        is_open &= ~explains[best]
    return chosen


def _apart(neighbours: list[list[int]]) -> list[tuple[int, ...]]:
    """Pairs that edges join over one or two others between them."""
    found: dict[tuple[int, ...], None] = {}
    for i, near in enumerate(neighbours):
        beyond = {k for j in near for k in neighbours[j]}
        for other in beyond | {m for k in beyond for m in neighbours[k]}:
            if other > i:
                found[i, other] = None
    return list(found)


def _connected(neighbours: list[list[int]], largest: int, most: int) -> list[tuple[int, ...]]:
    """Sets of two and more that edges hold together, small ones first; at most so many."""
    known: dict[tuple[int, ...], None] = {(i,): None for i in range(len(neighbours))}
    layer = list(known)
    for _ in range(largest - 1):
        grown: dict[tuple[int, ...], None] = {}
        for group in layer:
            for other in {n for i in group for n in neighbours[i]} - set(group):
                grown[tuple(sorted((*group, other)))] = None
        if len(known) + len(grown) > most:
            break
        known.update(grown)
        layer = list(grown)
    return list(known)


def _prior(kind: tuple[int, bool, bool]) -> float:
    """How likely conjunctions of a kind are: longer windows and mixed ones are less so."""
    length, _, is_mixed = kind
    return (_MIXED if is_mixed else 1.0) * (1.0 if length <= 4 else 0.5 ** (length - 4))


def violates_none(digits: Digits, explanation: list[NoGood]) -> Flags:
    """Which assignments have none of the conjunctions whole."""
    return np.asarray(works_under(digits, [explanation])[0])


def works_under(digits: Digits, explanations: Sequence[list[NoGood]]) -> Flags:
    """Which assignments do, for each explanation: shape ``(explanations, assignments)``."""
    columns = np.ascontiguousarray(digits.T)
    broken: dict[NoGood, Flags] = {}
    fine = np.ones((len(explanations), len(digits)), dtype=bool)
    for own, explanation in zip(fine, explanations, strict=True):
        for pairs in explanation:
            if pairs not in broken:
                whole = np.logical_and.reduce([columns[v] == c for v, c in pairs])
                broken[pairs] = ~whole
            np.logical_and(own, broken[pairs], out=own)
    return fine


def given(explanation: list[NoGood], settings: Digits, positions: list[int]) -> list[NoGood]:
    """What remains of an explanation where settings are chosen: of operations alone.

    Conjunctions that other settings break are left out, and such as are whole already: no
    operation can avoid these.

    Args:
        explanation: Conjunctions of operations and settings.
        settings: Digits of an assignment with these settings, shape ``(variables,)``.
        positions: Of the settings.
    """
    chosen = {(i, int(settings[i])) for i in positions}
    found = []
    for pairs in explanation:
        if all(pair in chosen for pair in pairs if pair[0] in positions):
            rest = tuple(pair for pair in pairs if pair[0] not in positions)
            if rest:
                found.append(rest)
    return found

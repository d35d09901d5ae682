"""Schedule: what is measured next: warm start, blocks in random order, anchors, repeats."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from statistics import median
from typing import Final

import numpy as np

from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.front import nondominated
from pareto_profiler.core.measurement import Measurement, Objective
from pareto_profiler.core.membership import Verdict, memberships, undecided_within
from pareto_profiler.core.ports import LearningSampler, Sampler
from pareto_profiler.core.repeating import Contest, chance_of_verdict, worth_repeating
from pareto_profiler.core.rules import Rules
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import AGAIN, ANCHOR, CONFIRM, Failure, Profile, Trial
from pareto_profiler.errors import FailureKind

BASELINE: Final = "baseline"
PROFILE: Final = "profile"
UNIFORM: Final = "uniform"

_DRAWS: Final = 500
_MAX_FAILURES: Final = 3
_FINE: Final = 0.05
_HOPELESS: Final = 0.05
_TINY: Final = 1e-12

Block = list[tuple[str, Assignment]]


class Schedule:
    """Says what to measure next; told every trial, it says the same again.

    Args:
        space: What may be chosen.
        sampler: Proposes.
        source: Its name, for the record.
        objectives: What the front is over.
        rules: How carefully.
        is_profiling: Whether the sampler gets the profiles that it would like.
    """

    def __init__(
        self,
        space: DecisionSpace,
        sampler: Sampler,
        source: str,
        objectives: Sequence[Objective],
        rules: Rules,
        *,
        is_profiling: bool = False,
    ) -> None:
        self._default = space.default
        self._sampler = sampler
        # To look at each method of a protocol takes longer than most samplers think.
        self._learning = sampler if isinstance(sampler, LearningSampler) else None
        self._source = source
        self._objectives = tuple(objectives)
        self._rules = rules
        self._is_repeating = rules.retries > 0 or rules.confirm_share > 0
        self._trials: list[Trial] = []
        self._disturbed: set[Assignment] = set()
        self._undisturbed: set[Assignment] = set()
        self._tries: Counter[Assignment] = Counter()
        self._again_tries: Counter[Assignment] = Counter()
        self._failures: Counter[Assignment] = Counter()
        self._since_anchor = 0
        self._is_profiling = is_profiling
        self._profiled: set[Assignment] = set()
        self._refused: set[Assignment] = set()
        self._first_board = ""
        self._paced = [o for o in self._objectives if o.unit in {"s", "J"}]
        self._anchors: dict[tuple[str, str], list[float]] = {}
        uniforms = space.uniforms()
        likely = [(UNIFORM, a) for a in uniforms if space.is_feasible(a)]
        self._warm_start: Block = [(BASELINE, self._default), *likely]
        unlikely = [(UNIFORM, a) for a in uniforms if not space.is_feasible(a)]
        self._unlikely: Block = unlikely if rules.doubts_tables else []

    def tell(self, trial: Trial) -> None:
        """Take in a finished trial."""
        self._trials.append(trial)
        trial = self._levelled(trial)
        if trial.source == PROFILE:
            self._profiled.add(trial.assignment)
            self._since_anchor += 1
            if isinstance(trial.outcome, Profile):
                self._sampler.tell(trial)
            return
        self._sampler.tell(trial)
        self._tries[trial.assignment] += 1
        if trial.source == AGAIN:
            self._again_tries[trial.assignment] += 1
        is_anchor = trial.assignment == self._default
        self._since_anchor = 0 if is_anchor else self._since_anchor + 1
        # Where it took its time can be seen of what computes wrongly, too.
        if (
            isinstance(trial.outcome, Failure)
            and trial.outcome.kind is not FailureKind.WRONG_OUTPUT
        ):
            self._refused.add(trial.assignment)
        if not self._is_repeating:
            return
        if not isinstance(trial.outcome, Measurement):
            self._failures[trial.assignment] += 1
        elif trial.outcome.is_contended:
            self._disturbed.add(trial.assignment)
        else:
            self._undisturbed.add(trial.assignment)

    def next_block(
        self, explore: int, pending: Sequence[Assignment] = (), most: int | None = None
    ) -> Block:
        """What to measure now, in that order; empty when there is nothing left to do.

        Args:
            explore: How much the sampler may be asked for before the front is to be confirmed.
            pending: What boards are measuring meanwhile: it is left out, and what may come of it is
                waited for before there is nothing left.
            most: How much to ask the sampler for at once; None for what the rules say.
        """
        block = self._block(explore, tuple(pending), most or self._rules.block)
        return [(who, a) for who, a in block if a not in pending] if pending else block

    def _block(self, explore: int, pending: tuple[Assignment, ...], most: int) -> Block:
        if warm_start := self._untried(self._warm_start):
            is_first = warm_start[0][0] == BASELINE
            return warm_start[:1] if is_first else warm_start
        if explore > 0 and (profiles := self._profiles()):
            return profiles[:explore]
        block = self._exploring(min(explore, most), pending) if explore > 0 else []
        # Whether the support tables hold is worth a look, and nothing that the front waits for.
        block = block or self._untried(self._unlikely)
        if not block and self._rules.confirm_share:
            block = self._confirming()
        if not block and self._rules.confirm_share < 1:
            # Everything is decided: what is left of the budget goes to the sampler after all.
            block = self._exploring(most, pending)
        is_due = 0 < self._rules.anchor_every <= self._since_anchor
        if block and is_due:
            return [(ANCHOR, self._default), *self._shuffled(block)]
        return self._shuffled(block)

    def _levelled(self, trial: Trial) -> Trial:
        """As it would have been on the board that began, as far as the baseline tells by now."""
        outcome = trial.outcome
        if not trial.board or not isinstance(outcome, Measurement):
            return trial
        self._first_board = self._first_board or trial.board
        if trial.assignment == self._default:
            told = [o for o in self._paced if outcome.has(o) and not outcome.is_contended]
            for objective in told:
                mine = self._anchors.setdefault((trial.board, objective.name), [])
                mine.append(max(outcome.value(objective), _TINY))
        factors = {}
        for objective in self._paced:
            first = self._anchors.get((self._first_board, objective.name))
            own = self._anchors.get((trial.board, objective.name))
            if first and own and trial.board != self._first_board:
                factors[objective.name] = median(first) / median(own)
        return replace(trial, outcome=outcome.scaled(factors)) if factors else trial

    def _untried(self, block: Block) -> Block:
        return [(who, a) for who, a in block if a not in self._tries]

    def _profiles(self) -> Block:
        if not self._is_profiling or self._learning is None:
            return []
        done = self._profiled | self._refused
        return [(PROFILE, a) for a in self._learning.profiles() if a not in done]

    def _exploring(self, count: int, pending: tuple[Assignment, ...]) -> Block:
        if self._learning is not None:
            # Such a one learns most from the first trials: small blocks at first.
            count = min(count, max(2, len(self._tries) // 4))
            asked = self._learning.ask_beside(pending, count)
        else:
            new = self._sampler.ask(count + len(pending))
            asked = [a for a in new if a not in pending][:count]
        return [*self._again(), *((self._source, a) for a in asked)]

    def _again(self) -> Block:
        """What other work disturbed, later in time: it may be over."""
        if not self._rules.retries or 2 * self._again_tries.total() > len(self._trials):
            return []
        waiting = [
            a
            for a in sorted(self._disturbed - self._undisturbed)
            if self._again_tries[a] < self._rules.retries
        ]
        return [(AGAIN, a) for a in waiting[: self._rules.block]]

    def _confirming(self) -> Block:
        """A repeat of everything undecided, and of what it is undecided against."""
        estimates = Estimates.of(self._trials, self._objectives, self._default)
        rules = self._rules
        if not estimates.is_noise_known:
            chosen = np.flatnonzero(nondominated(estimates.values())).tolist()
            if rules.within and len(estimates.items):
                chosen = undecided_within(estimates, rules.within)
            repeated = dict.fromkeys(estimates.items[i].assignment for i in chosen)
            repeated[self._default] = None
            return [(CONFIRM, a) for a in repeated if self._may_be_repeated(a)]
        known = estimates
        if self._learning is not None:
            known = estimates.combined_with(self._learning.predictions())
        contests, candidates = [], set[int]()
        for (one, rival), probability in self._contests(known):
            pair = [one] if rival is None else [one, rival]
            members = [i for i in pair if self._is_told_more_by_repeats(estimates, i)]
            chance = self._chance(estimates, members, probability)
            if chance >= _HOPELESS:
                contests.append((one, rival))
                candidates.update(members)
        fine = _FINE * rules.margin
        chosen = worth_repeating(known, contests, candidates, rules.block, fine=fine)
        return [(CONFIRM, estimates.items[i].assignment) for i in chosen]

    def _contests(self, known: Estimates) -> list[tuple[Contest, float]]:
        """What is not decided, and against what; with the probability of either side."""
        rules = self._rules
        margin, confidence = rules.margin, rules.confidence
        if rules.within:
            open_ones = undecided_within(known, rules.within, margin=margin, confidence=confidence)
            best = open_ones[:1]
            rivals: list[int | None] = [None, *open_ones[1:]]
            return [((i, rival), 1 - confidence) for i in best for rival in rivals]
        places = memberships(known, margin=margin, confidence=confidence, draws=_DRAWS)
        return [
            ((i, place.rival), place.probability)
            for i, place in enumerate(places)
            if place.verdict is Verdict.INCONCLUSIVE
        ]

    def _chance(self, estimates: Estimates, members: Sequence[int], probability: float) -> float:
        """That all the repeats which these may still have decide a contest; 0 without any."""
        if not members:
            return 0.0
        made = min(len(estimates.items[i].trials) for i in members)
        left = min(self._rules.max_repeats - len(estimates.items[i].trials) for i in members)
        growth = math.sqrt(1 + max(1, left) / made)
        return chance_of_verdict(probability, growth, self._rules.confidence)

    def _is_told_more_by_repeats(self, estimates: Estimates, position: int) -> bool:
        # What is known to a small part of the margin is no better decided by knowing it better.
        item, fine = estimates.items[position], _FINE * self._rules.margin
        is_open = any(figure.deviation > fine for figure in item.figures)
        return is_open and self._may_be_repeated(item.assignment)

    def _may_be_repeated(self, assignment: Assignment) -> bool:
        # What fails, or what other work disturbs again and again, is left as it is.
        is_contended = assignment in self._disturbed - self._undisturbed
        most = 1 + self._rules.retries if is_contended else self._rules.max_repeats
        return self._tries[assignment] < most and self._failures[assignment] < _MAX_FAILURES

    def _shuffled(self, block: Block) -> Block:
        if self._rules.block == 1:
            return block
        order = np.random.default_rng([self._rules.seed, len(self._trials)])
        return [block[i] for i in order.permutation(len(block)).tolist()]

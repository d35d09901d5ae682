"""StructuredSampler: learns what operations and hand-overs cost, and solves for the front."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Final

import numpy as np

from pareto_profiler.core.estimate import Predictions
from pareto_profiler.core.front import nondominated, unbeaten
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.rules import MARGIN, wanted_of
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.traits import Role, SettingTrait
from pareto_profiler.core.trial import Failure, Profile, Trial
from pareto_profiler.samplers.proposing import ProposingSampler
from pareto_profiler.samplers.structured.carried import Carried
from pareto_profiler.samplers.structured.climbing import local_search
from pareto_profiler.samplers.structured.gain import (
    BestWithin,
    ExpectedImprovement,
    Improvement,
    choose,
)
from pareto_profiler.samplers.structured.looks import beside_the_ends, most_noticeable
from pareto_profiler.samplers.structured.observations import Observations, is_absent
from pareto_profiler.samplers.structured.pool import WHOLE_SPACE, Pool, neighbours_of_front
from pareto_profiler.samplers.structured.posterior import Posterior
from pareto_profiler.samplers.structured.structure import Digits, Flags, Vector

_LATELY: Final = 6
_NO_GAIN: Final = 5e-5
# Before so many measurements beside one for each backend nothing ends.
LEAST: Final = 4
_DOUBTFUL_SKILL: Final = 0.3
_LITTLE_GAIN: Final = 0.01
_LOOK_FROM: Final = 28
_LOOK_EVERY: Final = 4
# By how many times the noise what is measured before a search for one ends may miss a limit.
_DOUBTED_NOISE: Final = 3.0


class StructuredSampler(ProposingSampler):
    """Fits a Bayesian linear model of every objective, and measures where its front may move.

    The model: docs/search.md. After each tell it is fitted anew to all that was told. Models drawn
    from its posterior are each solved for their fronts (small spaces are gone through whole); of
    all assignments found so, that batch is asked for which adds the most hypervolume in the mean
    over the draws, where what is likely to fail counts in proportion. Asks for nothing when
    nothing promises to add a 20 000th of the front's box. What nobody would notice, or noise alone
    promises, is no gain.

    Once little is promised, every fourth proposal is a look: what may beat the front by most as
    ratios go, every other time beside an end of it. Where what it predicts does not come with what
    is then measured, every other proposal is a neighbour of the front, as in local search.

    Args:
        problem: What is searched; with the model's graph it knows more.
        carried: What another run of the same space learned.
    """

    def __init__(self, problem: Problem, carried: Carried | None = None) -> None:
        super().__init__(problem)
        self.observations = Observations(problem, self._told, carried)
        self._trials = 0
        self._failed_lately = deque[bool](maxlen=_LATELY)
        self._first = {problem.space.default, *problem.space.uniforms()}

    def profiles(self) -> Sequence[Assignment]:
        """The uniform assignments, and where one does not run what comes closest of what does."""
        return self.observations.worth_profiling()

    def predictions(self) -> Predictions:
        """What the model makes of everything measured, each from all others."""
        return self.observations.predictions()

    def trusts(self) -> dict[str, float]:
        """How far what another run learned is used, by objective: 1 where it is not.

        The baseline must have been told.
        """
        names = [o.name for o in self._problem.objectives]
        beliefs = self.observations.beliefs()
        return {name: belief.trust for name, belief in zip(names, beliefs, strict=True)}

    def tell(self, trial: Trial) -> None:
        is_news = trial.assignment not in self._told and not is_absent(trial)
        # That a warm start fails says nothing of the explanations, of which there were none.
        is_proposal = trial.assignment not in self._first
        if is_news and is_proposal and not isinstance(trial.outcome, Profile):
            self._failed_lately.append(isinstance(trial.outcome, Failure))
        self._trials += 1
        self.observations.add(trial)
        super().tell(trial)

    def outlook(self) -> tuple[Posterior, Digits, np.random.Generator]:
        """What is believed, what might be next, and the generator that drew both.

        The baseline must have been told.
        """
        random = np.random.default_rng([self._problem.seed, 5, self._trials])
        posterior = Posterior.of(self.observations, random)
        gathered = Pool(self._problem.space, self.observations, posterior, self._random, random)
        pool = gathered.gather()
        return posterior, np.vstack([pool, self._around(pool, posterior, random)]), random

    def ask_beside(self, pending: Sequence[Assignment], count: int = 1) -> list[Assignment]:
        """As ask, as if what is being measured were there already, under each draw as drawn."""
        if not pending:
            return self.ask(count)
        # Some are proposed otherwise than by what they gain: of these there must be enough.
        found = self._propose(count + len(pending), tuple(pending))
        return [a for a in found if a not in pending][:count]

    def _propose(self, count: int, pending: Sequence[Assignment] = ()) -> list[Assignment]:
        space = self._problem.space
        if len(self._told) >= space.size and not self._random.ask(1):
            return []
        if space.default not in self._told.values:
            return self._warm_start(count)
        if switched := [a for a in self._switched() if a not in pending]:
            return switched[:count]
        posterior, pool, random = self.outlook()
        if pending:
            waiting = self.observations.structure.encode(list(pending))
            pool = pool[~(pool[:, None] == waiting).all(axis=2).any(axis=1)]
        if not len(pool):
            return self._random.ask(count)
        chosen = self._chosen(pool, posterior, count, random, pending=pending)
        if self._is_doubtful(posterior):
            return self._mixed(chosen, count, random)
        if len(self._told.values) >= LEAST + len(space.backends) and chosen[0][1] < _NO_GAIN:
            # Beyond the ends of what is sure there may be more.
            chosen = self._chosen(pool, posterior, count, random, doubt=0.0, pending=pending)
            if chosen[0][1] < _NO_GAIN:
                # Few figures alone may come with a model by chance.
                return [] if self._is_told_enough() else self._mixed(chosen, count, random)
        promising = [a for a, gain in chosen if gain > 0]
        is_front = not self._problem.within
        if is_front and chosen[0][1] < _LITTLE_GAIN and self.observations.structure.is_in_detail:
            promising = self._with_looks(promising, posterior, pool, count, random)
        return promising or self._random.ask(count)

    def _with_looks(
        self,
        promising: list[Assignment],
        posterior: Posterior,
        pool: Digits,
        count: int,
        random: np.random.Generator,
    ) -> list[Assignment]:
        """Now and then what may be noticed, however little of the box it is."""
        found = list(promising)
        for k, turn in enumerate(range(len(self._told), len(self._told) + count)):
            if turn < _LOOK_FROM or turn % _LOOK_EVERY:
                continue
            # Every other one at an end, where a model only extrapolates.
            ends = beside_the_ends(self._problem.space, self.observations)
            candidates = ends if turn // _LOOK_EVERY % 2 else np.vstack([pool, ends])
            found[k:k] = most_noticeable(
                self.observations, posterior, candidates, random, asked=found[:k]
            )
        return list(dict.fromkeys(found))[:count]

    def _warm_start(self, count: int) -> list[Assignment]:
        space = self._problem.space
        first = [a for a in (space.default, *space.uniforms()) if space.is_feasible(a)]
        rest = self._random.ask(count + len(first))
        return [a for a in dict.fromkeys([*first, *rest]) if a not in self._told][:count]

    def _switched(self) -> list[Assignment]:
        """The baseline with one setting changed of which nothing is known beforehand.

        What such a switch does alone is what users have, and seldom what it does beside others.
        """
        space, traits = self._problem.space, self._problem.traits
        found = []
        for i, variable in enumerate(space.variables):
            trait = traits.settings.get(variable.name, SettingTrait())
            if variable.is_setting and trait.role is Role.OTHER:
                before, behind = space.default[:i], space.default[i + 1 :]
                found += [(*before, c, *behind) for c in variable.feasible[1:]]
        return [a for a in found if a not in self._told]

    def _around(self, pool: Digits, posterior: Posterior, random: np.random.Generator) -> Digits:
        """What is found by climbing on from a pool; nothing where it is made of all there is."""
        s, observations = self.observations.structure, self.observations
        if self._problem.space.size <= WHOLE_SPACE or not len(pool) or not s.is_in_detail:
            return pool[:0]
        measured = observations.measured()
        values = posterior.means(np.vstack([measured, pool]))
        improvement = self._prospect(
            values, len(measured), posterior, posterior.works(pool), random
        )
        told = np.vstack([measured, observations.failed()])
        found = local_search(
            s,
            posterior,
            improvement,
            pool,
            values[:, len(measured) :],
            told,
            random,
            observations.is_predicted_wrong,
        )
        return s.new(found, self._told)

    def _chosen(
        self,
        pool: Digits,
        posterior: Posterior,
        count: int,
        random: np.random.Generator,
        doubt: float = 1.0,
        pending: Sequence[Assignment] = (),
    ) -> list[tuple[Assignment, float]]:
        measured = self.observations.measured()
        waiting = self.observations.structure.encode(list(pending))
        values = posterior.values(np.vstack([measured, pool, waiting]), random)
        works = posterior.works(pool)
        coming = values[:, len(measured) + len(pool) :]
        values = values[:, : len(measured) + len(pool)]
        improvement = self._prospect(values, len(measured), posterior, works, random, doubt)
        will_work = posterior.works(waiting)
        for k in range(len(pending)):
            improvement = improvement.after(coming[:, k], will_work[:, k])
        # Where proposals failed, explanations leave too much out: smaller steps come first.
        caution = sum(self._failed_lately) / _LATELY
        new = values[:, len(measured) :]
        picks = choose(improvement, new, works, count, caution)
        if caution and picks[0][1] < _NO_GAIN:
            # What is left is risky, which is no reason to end.
            picks = choose(improvement, new, works, count)
        assignments = self.observations.structure.decode(pool[[i for i, _ in picks]])
        return [(a, gain) for a, (_, gain) in zip(assignments, picks, strict=True)]

    def _prospect(
        self,
        values: Vector,
        measured: int,
        posterior: Posterior,
        works: Flags,
        random: np.random.Generator,
        doubt: float = 1.0,
    ) -> Improvement:
        """What there is to gain over what is measured.

        Args:
            values: Of what is measured and then of candidates, under each draw.
            measured: How many are.
            posterior: Whose they are.
            works: Whether candidates do.
            random: For more than two objectives.
            doubt: By how many deviations what enlarges the box must be better than what is
                measured; with 0, what seems to be just beyond a limit counts as within it.
        """
        known, candidates = values[:, :measured], values[:, measured:]
        likely = candidates[:, works.mean(axis=0) > 0.5]
        reference = _reference(known.mean(axis=0), likely.mean(axis=0), doubt * likely.std(axis=0))
        # What noise alone promises is no gain, nor what nobody would notice.
        noise = np.array([b.regression.scales.noise for b in posterior.beliefs])
        modest = known * (1 - np.minimum(MARGIN / 2, noise))
        if self._problem.within:
            limits = self._limits(posterior)
            # Where nothing seems to be within them, what moves the front may come closer.
            if (known <= limits).all(axis=2).any() or (candidates <= limits).all(axis=2).any():
                names = [o.name for o in self._problem.objectives]
                wanted = wanted_of(names, self._problem.within)
                known = np.where(np.arange(len(names)) == wanted, modest, known)
                found = BestWithin.of(known, candidates, limits, wanted)
                # What seems to be just beyond a limit may be within it.
                return found if doubt else found.beyond(1 + _DOUBTED_NOISE * noise)
        return ExpectedImprovement.of(modest, candidates, reference, random)

    def _limits(self, posterior: Posterior) -> Vector:
        """What each objective may be at most, over the baseline's."""
        pairs = zip(self._problem.objectives, posterior.beliefs, strict=True)
        return np.array([self._problem.within.get(o.name, np.inf) / b.base for o, b in pairs])

    def _is_told_enough(self) -> bool:
        """Whether operations were traced, or about as many assignments measured as there are."""
        observations = self.observations
        operations = len(observations.structure.operation_variables)
        return observations.is_traced or len(self._told.values) >= operations

    def _is_doubtful(self, posterior: Posterior) -> bool:
        """Whether predictions do not come with what is measured."""
        if len(self._told.values) < LEAST + 2 * len(self._problem.space.backends) + 4:
            return False
        return any(b.skill() < _DOUBTFUL_SKILL for b in posterior.beliefs)

    def _mixed(
        self, chosen: list[tuple[Assignment, float]], count: int, random: np.random.Generator
    ) -> list[Assignment]:
        """Every other one a neighbour of the front."""
        mine = [a for a, _ in chosen]
        around = neighbours_of_front(self._problem.space, self.observations, random)
        around = [a for a in dict.fromkeys(around) if a not in self._told]
        is_wrong = self.observations.is_predicted_wrong
        others = [a for a in around if a not in mine and not is_wrong(a)]
        both = [a for pair in zip(others, mine, strict=False) for a in pair]
        return (both or mine or self._random.ask(count))[:count]


def _reference(known: Vector, candidates: Vector, doubts: Vector) -> Vector:
    """Of the box around the front that is measured or believed in, a tenth larger than that."""
    # What is only perhaps better than what is known is no reason to look at a larger box.
    modest = (candidates + doubts)[:, None, :]
    is_beaten = np.any(np.all(known[None, :, :] <= modest, axis=2), axis=1)
    rows = np.vstack([known, candidates[~is_beaten]])
    front = rows[nondominated(rows)]
    front = front[unbeaten(front, MARGIN, 1 + MARGIN / 2)]
    low, high = front.min(axis=0), front.max(axis=0)
    found: Vector = low + 1.1 * np.maximum(high - low, 0.02 * np.abs(low))
    return found

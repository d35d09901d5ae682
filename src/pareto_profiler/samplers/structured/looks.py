"""Looks: where the front may be beaten noticeably, however little of the box that is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pareto_profiler.core.front import nondominated
from pareto_profiler.core.rules import MARGIN
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.samplers.local import neighbours
from pareto_profiler.samplers.structured.observations import Observations
from pareto_profiler.samplers.structured.posterior import Posterior
from pareto_profiler.samplers.structured.structure import Digits, Vector

_NOTICEABLE: Final = MARGIN / 2
_LEAST: Final = 0.1
_TINY: Final = 1e-9


def improvements(front: Vector, candidates: Vector) -> Vector:
    """By how much each candidate beats a front, in the objective where it does so most.

    Than each point of the front, and the least of all these: by so much the front would have to be
    better everywhere to be as good as the candidate there (the additive epsilon indicator, of
    logarithms). Negative where a point of the front is better in everything.

    Args:
        front: Positive, shape ``(n, m)``.
        candidates: Positive, shape ``(c, m)``.

    Returns:
        Shape ``(c,)``. O(n c m).

    Examples:
        >>> front = np.array([[1.0, 4.0], [4.0, 1.0]])
        >>> np.exp(improvements(front, np.array([[2.0, 2.0], [2.0, 1.0], [2.0, 4.0]]))).tolist()
        [2.0, 2.0, 1.0]
    """
    ratios = np.log(front)[:, None, :] - np.log(candidates)[None, :, :]
    found: Vector = ratios.max(axis=2).min(axis=0)
    return found


def most_noticeable(
    observations: Observations,
    posterior: Posterior,
    candidates: Digits,
    random: np.random.Generator,
    asked: Sequence[Assignment] = (),
) -> list[Assignment]:
    """What is expected to beat the front by most, as ratios go and not as hypervolume goes.

    Hypervolume is where objectives are far apart; where a front is steep, or ends, what is better
    by percents may be a millionth of the box. The expected maximin improvement (Svenson and Santner
    2016), as far as it is noticed.

    Args:
        observations: What was told.
        posterior: What is believed.
        candidates: To choose from.
        random: Where chance decides.
        asked: What is asked for already: it counts as measured, where it works.

    Returns:
        One; none where what is expected beyond what is noticed is less than a tenth of that.
    """
    waiting = observations.structure.encode(list(asked))
    is_asked = (candidates[:, None, :] == waiting[None, :, :]).all(axis=2).any(axis=1)
    candidates = candidates[~is_asked]
    if not len(candidates):
        return []
    measured = observations.measured()
    digits = np.vstack([measured, waiting, candidates])
    values = np.maximum(posterior.values(digits, random), _TINY)
    works = posterior.works(digits)
    works[:, : len(measured)] = True
    before = len(digits) - len(candidates)
    better = []
    for mine, does in zip(values, works, strict=True):
        known = mine[:before][does[:before]]
        better.append(improvements(known[nondominated(known)], mine[before:]))
    noticed = np.maximum(0.0, np.stack(better) - _NOTICEABLE)
    worth = (noticed * works[:, before:]).mean(axis=0)
    for best in np.argsort(-worth, kind="stable").tolist():
        if worth[best] < _LEAST * _NOTICEABLE:
            break
        (assignment,) = observations.structure.decode(candidates[[best]])
        if not observations.is_predicted_wrong(assignment):
            return [assignment]
    return []


def beside_the_ends(space: DecisionSpace, observations: Observations) -> Digits:
    """One choice away from what is best in an objective, and new."""
    told = list(observations.told.values)
    best = np.array(list(observations.told.values.values())).argmin(axis=0)
    ends = [told[i] for i in best.tolist()]
    around = dict.fromkeys(a for end in ends for a in neighbours(space, end))
    return observations.structure.encode([a for a in around if a not in observations.told])

"""Looks: where the front may be beaten noticeably, however little of the box that is."""

from __future__ import annotations

from typing import Final

import numpy as np

from pareto_profiler.core.front import nondominated
from pareto_profiler.core.rules import MARGIN
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.samplers.local import neighbours
from pareto_profiler.samplers.structured.evidence import Evidence
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
    evidence: Evidence, posterior: Posterior, candidates: Digits, random: np.random.Generator
) -> list[Assignment]:
    """What is expected to beat the front by most, as ratios go and not as hypervolume goes.

    Hypervolume is where objectives are far apart; where a front is steep, or ends, what is better
    by percents may be a millionth of the box. The expected maximin improvement (Svenson and Santner
    2016), as far as it is noticed.

    Args:
        evidence: What was told.
        posterior: What is believed.
        candidates: To choose from.
        random: Where chance decides.

    Returns:
        One; none where what is expected beyond what is noticed is less than a tenth of that.
    """
    if not len(candidates):
        return []
    measured = evidence.measured()
    values = posterior.values(np.vstack([measured, candidates]), random)
    values = np.maximum(values, _TINY)
    known, hoped = values[:, : len(measured)], values[:, len(measured) :]
    better = [improvements(k[nondominated(k)], h) for k, h in zip(known, hoped, strict=True)]
    noticed = np.maximum(0.0, np.stack(better) - _NOTICEABLE)
    worth = (noticed * posterior.works(candidates)).mean(axis=0)
    best = int(np.argmax(worth))
    if worth[best] < _LEAST * _NOTICEABLE:
        return []
    return evidence.structure.decode(candidates[[best]])


def beside_the_ends(space: DecisionSpace, evidence: Evidence) -> Digits:
    """One choice away from what is best in an objective, and new."""
    told = list(evidence.told.values)
    best = np.array(list(evidence.told.values.values())).argmin(axis=0)
    ends = [told[i] for i in best.tolist()]
    around = dict.fromkeys(a for end in ends for a in neighbours(space, end))
    return evidence.structure.encode([a for a in around if a not in evidence.told])

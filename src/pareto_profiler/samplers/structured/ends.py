"""Ends: what may lie beyond the best that was measured of one objective."""

from __future__ import annotations

from typing import Final

import numpy as np

from pareto_profiler.core.rules import MARGIN
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.samplers.local import neighbours
from pareto_profiler.samplers.structured.evidence import Evidence
from pareto_profiler.samplers.structured.posterior import Posterior

_CHANCE: Final = 0.1


def beyond_an_end(
    space: DecisionSpace,
    evidence: Evidence,
    posterior: Posterior,
    objective: int,
    random: np.random.Generator,
) -> Assignment | None:
    """The likeliest of one choice's changes to be noticeably better than the best measured.

    Where a front ends, a model only extrapolates; what it is unsure of there is little hypervolume,
    and may be the one thing that it has wrong.

    Args:
        space: What may be chosen.
        evidence: What was told.
        posterior: What is believed.
        objective: Its position.
        random: Where chance decides.

    Returns:
        None where nothing has a chance of a tenth to be better by half of the margin.
    """
    told = evidence.told
    best = min(told.values, key=lambda a: told.values[a][objective])
    open_ones = [a for a in neighbours(space, best) if a not in told]
    if not open_ones:
        return None
    digits = evidence.structure.encode(open_ones)
    goal = told.values[best][objective] / posterior.beliefs[objective].base * (1 - MARGIN / 2)
    hopes = posterior.values(digits, random)[:, :, objective] < goal
    chances = (hopes & posterior.works(digits)).mean(axis=0)
    likeliest = int(np.argmax(chances))
    return open_ones[likeliest] if chances[likeliest] >= _CHANCE else None

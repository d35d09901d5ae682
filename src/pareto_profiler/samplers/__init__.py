"""Who proposes assignments, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from pareto_profiler.core.ports import Sampler
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.samplers.exhaustive import ExhaustiveSampler
from pareto_profiler.samplers.random import RandomSampler

__all__ = ["SAMPLERS", "ExhaustiveSampler", "RandomSampler", "SamplerFactory"]


class SamplerFactory(Protocol):
    """How every sampler is made."""

    def __call__(self, space: DecisionSpace, seed: int) -> Sampler:
        """A sampler over ``space``; samplers without chance ignore ``seed``."""
        ...


SAMPLERS: Final[Mapping[str, SamplerFactory]] = {
    "exhaustive": ExhaustiveSampler,
    "random": RandomSampler,
}

"""Who proposes assignments, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from pareto_profiler.core.ports import Problem, Sampler
from pareto_profiler.samplers.evolutionary import nsga2, spea2
from pareto_profiler.samplers.exhaustive import ExhaustiveSampler
from pareto_profiler.samplers.hlps import HlpsSampler
from pareto_profiler.samplers.local import LocalSampler
from pareto_profiler.samplers.qnehvi import QnehviSampler
from pareto_profiler.samplers.random import RandomSampler
from pareto_profiler.samplers.structured import StructuredSampler
from pareto_profiler.samplers.tpe import TpeSampler

__all__ = ["SAMPLERS", "ExhaustiveSampler", "RandomSampler", "SamplerFactory"]


class SamplerFactory(Protocol):
    """How every sampler is made."""

    def __call__(self, problem: Problem) -> Sampler:
        """A sampler for a problem; samplers without chance ignore its seed."""
        ...


SAMPLERS: Final[Mapping[str, SamplerFactory]] = {
    "exhaustive": ExhaustiveSampler,
    "hlps": HlpsSampler,
    "local": LocalSampler,
    "nsga2": nsga2,
    "qnehvi": QnehviSampler,
    "random": RandomSampler,
    "spea2": spea2,
    "structured": StructuredSampler,
    "tpe": TpeSampler,
}

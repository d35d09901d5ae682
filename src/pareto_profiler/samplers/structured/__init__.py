"""The default sampler, of: structure, terms, regression, fronts, culprits, gain, beliefs."""

from __future__ import annotations

from pareto_profiler.samplers.structured.carried import Carried, carried_words
from pareto_profiler.samplers.structured.sampler import StructuredSampler

__all__ = ["Carried", "StructuredSampler", "carried_words"]

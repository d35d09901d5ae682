"""The default sampler, of: structure, terms, regression, fronts, culprits, gain, beliefs."""

from __future__ import annotations

from pareto_profiler.samplers.structured.sampler import Belief, StructuredSampler

__all__ = ["Belief", "StructuredSampler"]

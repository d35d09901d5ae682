"""The default sampler, see docs/design.md."""

from __future__ import annotations

from pareto_profiler.samplers.structured.carried import Carried, carried_words
from pareto_profiler.samplers.structured.sampler import LEAST, StructuredSampler

__all__ = ["LEAST", "Carried", "StructuredSampler", "carried_words"]

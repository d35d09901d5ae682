"""Beliefs: what the structured model makes of a run, for its page."""

from __future__ import annotations

from typing import Final

from pareto_profiler.core.recording import Recording
from pareto_profiler.report.summary import Summary
from pareto_profiler.runtimes.problem import problem_of
from pareto_profiler.samplers.structured.model_report import ModelReport, model_report_of

_MAX_LEARNED: Final = 1000


def beliefs_about(recording: Recording, summary: Summary) -> ModelReport | None:
    """What the structured model makes of a run; None where it can say nothing in a moment."""
    header = recording.header
    if summary.baseline is None or len(summary.measured) > _MAX_LEARNED:
        return None
    problem = problem_of(header, summary.objectives)
    found = model_report_of(problem, recording.trials, has_front=False)
    return found and found.without(summary.baseline.untold)

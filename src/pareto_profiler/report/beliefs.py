"""Beliefs: what the structured model makes of a run, and the page that tells it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from pareto_profiler.core.recording import Recording
from pareto_profiler.report.page import page_of
from pareto_profiler.report.selection import Limit
from pareto_profiler.report.summary import Judged, Row, Summary
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


def told_page_of(
    judged: Judged,
    recordings: Mapping[str, Recording],
    shipped: Callable[[Row, str], Sequence[str]] | str,
    limits: Sequence[Limit] = (),
    *,
    live: str = "",
) -> str:
    """The page of a run or of several together, with what was learned of each.

    Args:
        judged: What is shown.
        recordings: Of its runs, by their names.
        shipped: See :func:`page_of`.
        limits: Drawn as lines.
        live: See :func:`page_of`.
    """
    beliefs = {
        name: beliefs_about(recordings[name], summary) for name, summary in judged.runs.items()
    }
    return page_of(judged, beliefs, limits, shipped, live=live)

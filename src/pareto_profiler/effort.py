"""Effort: in one word how much a search tries, and how exactly it measures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from pareto_profiler.core.space import Granularity


class EffortName(StrEnum):
    """What an effort is called."""

    QUICK = "quick"
    NORMAL = "normal"
    THOROUGH = "thorough"


@dataclass(frozen=True, slots=True)
class Effort:
    """What a search does where nothing else is said.

    Attributes:
        budget: Most trials.
        granularity: What shares a backend.
        plan: What the plan of a measurement is, where it is not the usual one.
    """

    budget: int
    granularity: Granularity
    plan: Mapping[str, Any] = field(default_factory=dict)

    def planned(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The plan with what was said; who says how many runs there are says how exact they are."""
        return dict(given) if "repeats" in given else {**self.plan, **given}


EFFORTS: Final[Mapping[EffortName, Effort]] = {
    EffortName.QUICK: Effort(
        30, Granularity.NAME, {"precision": 0.01, "max_repeats": 50, "run_time_s": 0.3}
    ),
    EffortName.NORMAL: Effort(100, Granularity.NAME),
    EffortName.THOROUGH: Effort(
        300, Granularity.OPERATION, {"precision": 0.002, "run_time_s": 3.0}
    ),
}
"""A first look in a minute; what is found without being asked; an answer that ships."""

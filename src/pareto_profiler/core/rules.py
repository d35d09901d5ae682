"""Rules: how carefully a search measures, and what difference counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

MARGIN: Final = 0.01
"""A difference that nobody would notice, as a fraction."""

CONFIDENCE: Final = 0.99
"""Of each verdict on what is on the front."""


ALIKE: Final = 0.15
"""By how much boards of a kind may differ, as a fraction."""


Limits = Mapping[str, float]
"""Name of an objective → what it may be at most, in its own unit: seconds, bytes."""


def wanted_of(names: Sequence[str], limits: Limits) -> int:
    """Position of the objective that is to be least: the first without a limit, or the first.

    Examples:
        >>> wanted_of(["exec_time", "max_rss"], {"exec_time": 0.01})
        1
    """
    return next((i for i, name in enumerate(names) if name not in limits), 0)


@dataclass(frozen=True, slots=True)
class Rules:
    """How carefully a search measures.

    Attributes:
        anchor_every: Trials after which the baseline is measured again; 0 for never.
        block: Assignments that are measured in random order before the sampler is asked again.
        retries: How often an assignment is measured again because other work disturbed it; over
            the whole search at most every other trial is such a repeat.
        confirm_share: Of the budget, kept for repeats that decide what is on the front; 0 for none,
            1 for nothing else.
        max_repeats: Trials of one assignment after which it stays undecided.
        margin: A difference that nobody would notice, as a fraction.
        confidence: Of each verdict.
        seed: Of the order.
        within: What objectives may be at most, where one assignment is looked for and not a front:
            the least of the first objective that has no limit.
        doubts_tables: Whether what no backend is said to run is tried on each once, when there is
            time: that shows whether the support tables hold.
        alike: By how much more or less time than on the others the baseline may take on a board
            that measures beside them, as a fraction.
        wait_s: Most time, over the whole search, to wait for other work on the target to end.
    """

    anchor_every: int = 8
    block: int = 8
    retries: int = 3
    confirm_share: float = 0.25
    max_repeats: int = 40
    margin: float = MARGIN
    confidence: float = CONFIDENCE
    seed: int = 0
    within: Limits = field(default_factory=dict)
    doubts_tables: bool = True
    alike: float = ALIKE
    wait_s: float = 0.0


ONE_SHOT: Final = Rules(anchor_every=0, block=1, retries=0, confirm_share=0.0)
"""Everything once, in the order asked for: as the original measures, and for tables."""

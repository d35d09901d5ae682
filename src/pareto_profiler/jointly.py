"""Several runtimes in one search: whose turn it is, and up to how many trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

# Of the budget, in the first round of each; and in each further round.
_FIRST: Final = 1 / 3
_STEP: Final = 1 / 10
_LEAST: Final = 4


@dataclass(frozen=True, slots=True)
class Party:
    """One runtime's search.

    Attributes:
        spent: Trials of it.
        gain: By how much its last round moved the joint front, as hypervolume a trial; None before
            its first round.
        is_done: Whether it asks for no more.
    """

    spent: int = 0
    gain: float | None = None
    is_done: bool = False


def next_round(parties: Mapping[str, Party], trials: int) -> tuple[str, int] | None:
    """Who searches next, and how many trials it may have then.

    Each has a first round, together a third of the budget. Then it is the one whose last round
    moved the joint front most for a trial; of equals the one that has spent least.

    Args:
        parties: By name.
        trials: The budget of all of them together.

    Returns:
        None where the budget is spent or nobody asks for more.

    Examples:
        >>> next_round({"a": Party(10, 0.1), "b": Party(10, 0.3)}, 40)
        ('b', 14)
    """
    left = trials - sum(p.spent for p in parties.values())
    waiting = {name: p for name, p in parties.items() if not p.is_done}
    if left <= 0 or not waiting:
        return None
    first = max(_LEAST, round(_FIRST * trials / len(parties)))
    for name, party in waiting.items():
        if party.gain is None:
            return name, party.spent + min(left, max(1, first - party.spent))
    name = max(waiting, key=lambda n: (waiting[n].gain or 0.0, -waiting[n].spent))
    return name, waiting[name].spent + min(left, max(_LEAST, round(_STEP * trials)))

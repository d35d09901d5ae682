"""Trial: a finished attempt at one assignment; the list of them is all that a search leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.space import Assignment
from pareto_profiler.errors import FailureKind

ANCHOR: Final = "anchor"
AGAIN: Final = "again"
CONFIRM: Final = "confirm"
EXPLAIN: Final = "explain"
_REPEATS: Final = frozenset({ANCHOR, AGAIN, CONFIRM, EXPLAIN})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why an attempt has no figures: a fact about the assignment, never a number.

    Args:
        kind: What happened.
        message: The runtime's own words, or what was found and expected.
    """

    kind: FailureKind
    message: str


@dataclass(frozen=True, slots=True)
class OperationTime:
    """How long one operation took in a traced run.

    Attributes:
        index: Its index in the file; of a copy the runtime's own number.
        backend: Where it ran.
        seconds: Median over the traced runs.
    """

    index: int
    backend: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Where the time of an assignment goes, from a run of its own that the runtime traced.

    Tracing takes time itself, so a profile has no objectives' figures.

    Attributes:
        operations: In the order of execution; empty where the runtime left no trace.
        transfers: Copies that the runtime made between backends.
    """

    operations: tuple[OperationTime, ...] = ()
    transfers: tuple[OperationTime, ...] = ()


@dataclass(frozen=True, slots=True)
class Trial:
    """An assignment and what came of it.

    Attributes:
        number: Position in the search, from 0.
        assignment: One choice per variable.
        outcome: The measurement, or why there is none; a profile, where that was asked for.
        source: Why it was made: ``baseline``, ``uniform``, the sampler's name; ``profile`` to see
            how long each operation takes, ``anchor`` for the baseline once more, ``again`` after
            other work disturbed it, ``confirm`` to decide what is on the front, ``explain`` to
            compare with a simpler one; empty where that is not known.
        started_at: UTC, ISO 8601; empty where it was not recorded.
        duration_s: Wall time of the whole attempt, host's work included.
        rested_s: How long the device was left alone before, to cool down.
        board: Which one of several boards of a kind measured it; empty where there is one.
    """

    number: int
    assignment: Assignment
    outcome: Measurement | Failure | Profile
    source: str = ""
    started_at: str = field(default="", compare=False)
    duration_s: float = field(default=0.0, compare=False)
    rested_s: float = field(default=0.0, compare=False)
    board: str = ""

    @property
    def is_first(self) -> bool:
        """Whether it is known to be an assignment's first measurement, at fixed addresses.

        Repeats are at random ones. Of a trial without a source, as in tables of any origin, nothing
        is known.
        """
        return bool(self.source) and self.source not in _REPEATS


def spent_s(trials: Iterable[Trial]) -> float:
    """Seconds that some trials took: of boards side by side those of the one that worked longest.

    Examples:
        >>> def made(board):
        ...     figures = Measurement({"exec_time": (2.0,)})
        ...     return Trial(0, (0,), figures, duration_s=2.0, board=board)
        >>> spent_s([made("a"), made("b"), made("a")])
        4.0
    """
    by_board: dict[str, float] = {}
    for trial in trials:
        before = by_board.get(trial.board, 0.0)
        by_board[trial.board] = before + trial.duration_s + trial.rested_s
    return max(by_board.values(), default=0.0)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the runtime said that it ran each operation of an assignment.

    Attributes:
        assignment: What was asked for.
        backend_by_operation: Operation index → backend, read back from the runtime.
        mismatches: One line per operation that ran elsewhere than asked; empty when all is well.
    """

    assignment: Assignment
    backend_by_operation: tuple[tuple[int, str], ...]
    mismatches: tuple[str, ...] = ()

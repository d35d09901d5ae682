"""Verification: whether what ships does what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Any, Final

import numpy as np

from pareto_profiler.core.estimate import Figure
from pareto_profiler.core.measurement import OBJECTIVES
from pareto_profiler.core.quantiles import student_t
from pareto_profiler.core.space import Assignment
from pareto_profiler.errors import RunError, TargetError
from pareto_profiler.report.summary import Row, Summary
from pareto_profiler.runtimes.base import Engine, Launch

CONFIDENCE: Final = 0.99
_UNKNOWN_NOISE: Final = 0.05
_WIDE: Final = 2.0
# What noise must not be able to hide where both ways are called as fast as each other.
_HIDDEN: Final = 1.5
# Turns before the noise of these processes says anything, and at most.
_SOME_TURNS: Final = 4
_MAX_TURNS: Final = 10


def spread_of(noise: float) -> float:
    """Standard deviation from process to process, of the logarithm; unknown ones are 5 %."""
    return noise or _UNKNOWN_NOISE


def expected_range(figure: Figure, noise: float, margin: float) -> tuple[float, float]:
    """Where the figure of one more process lies with 99 %.

    Student's t on logarithms: how uncertain the figure is and how much processes differ together,
    and the margin that nobody would notice.

    Args:
        figure: Of the assignment, from all its processes.
        noise: Standard deviation from process to process, of the logarithm; 0 where it is unknown.
        margin: As a fraction.

    Examples:
        >>> low, high = expected_range(Figure(10.0, 0.01, 20), noise=0.02, margin=0.01)
        >>> round(low, 1), round(high, 1)
        (9.3, 10.8)
    """
    deviation = figure.deviation if math.isfinite(figure.deviation) else _UNKNOWN_NOISE
    spread = math.hypot(deviation, spread_of(noise))
    reach = student_t(figure.freedom, (1 + CONFIDENCE) / 2) * spread + math.log1p(margin)
    return figure.value * math.exp(-reach), figure.value * math.exp(reach)


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of running what ships, beside the assignment in the way of the search.

    Machines are not as fast every day, and the range of one more process is wide where little is
    known of the noise: so both are run in turns, and have to be as fast as each other.

    Attributes:
        seconds: ``exec_time`` of each process that ran what ships.
        expected: Where one of them lies with 99 %, by what was measured in the search.
        mismatches: What is otherwise than it should be (an operation that ran elsewhere, a variable
            with another value), a line each; None where the runtime cannot tell where it ran.
        beside: ``exec_time`` of processes that realise the assignment as the search did.
        noise: Standard deviation from process to process in the search, of the logarithm; 0 where
            it is unknown. Where these processes differ by more, that counts.
        margin: A difference that nobody would notice, as a fraction.
        is_disturbed: Whether other work disturbed most of these processes: that they differ proves
            nothing then.
    """

    seconds: Sequence[float]
    expected: tuple[float, float]
    mismatches: tuple[str, ...] | None
    beside: Sequence[float]
    noise: float = 0.0
    margin: float = 0.01
    is_disturbed: bool = False

    @property
    def is_telling(self) -> bool:
        """Whether the search says where the median process may be, to a factor that is of use."""
        low, high = self.expected
        return high <= _WIDE**2 * low

    @property
    def is_in_range(self) -> bool:
        """Whether the median process is where it was when the assignment was measured."""
        low, high = self.expected
        return low <= median(self.seconds) <= high

    @property
    def _reach(self) -> float:
        """How far the two ways may be apart by noise alone, with 99 %, of the logarithm.

        By that of the search, or by that of these processes: the machine may be busier.
        """
        side = (1 + CONFIDENCE) / 2
        reach = NormalDist().inv_cdf(side) * spread_of(self.noise)
        logs = [np.log(self.seconds), np.log(self.beside)]
        if freedom := sum(map(len, logs)) - len(logs):
            squares = sum(float(((each - each.mean()) ** 2).sum()) for each in logs)
            reach = max(reach, student_t(freedom, side) * math.sqrt(squares / freedom))
        share = math.sqrt(1 / len(self.seconds) + 1 / len(self.beside))
        return reach * share + math.log1p(self.margin)

    @property
    def is_as_fast(self) -> bool | None:
        """Whether it is as fast as the same under the driver is now, with 99 %.

        None where that cannot be told: by noise it may take half as long again, or other work may
        be why they differ.
        """
        distance = abs(math.log(median(self.seconds) / median(self.beside)))
        if distance > self._reach:
            return None if self.is_disturbed else False
        return True if distance + self._reach <= math.log(_HIDDEN) else None

    @property
    def is_good(self) -> bool | None:
        """Whether it runs where it should, as fast as it should; None where that cannot be told."""
        return False if self.mismatches else self.is_as_fast

    def to_json(self) -> dict[str, Any]:
        """As plain data, times in milliseconds."""
        return {
            "exec_time_ms": [1e3 * s for s in self.seconds],
            "expected_ms": [1e3 * x for x in self.expected] if self.is_telling else None,
            "beside_ms": [1e3 * s for s in self.beside],
            "mismatches": None if self.mismatches is None else list(self.mismatches),
            "is_good": self.is_good,
        }

    @property
    def words(self) -> str:
        """For people."""
        placed = "this form cannot tell where operations ran"
        if self.mismatches is not None:
            placed = "every operation runs where it was measured"
        if self.mismatches:
            more = len(self.mismatches) - 1
            rest = f" and {more} more" if more else ""
            placed = f"NOT what was measured: {self.mismatches[0]}{rest}"
        count = len(self.seconds)
        times = "" if count == 1 else f", median of {count} processes"
        now = f"exec_time {1e3 * median(self.seconds):.4g} ms{times}"
        own = f"the driver now ({1e3 * median(self.beside):.4g} ms)"
        if self.is_as_fast is None:
            return f"{now}: no verdict beside {own}: processes scatter too much to tell; {placed}"
        same = "within noise as under" if self.is_as_fast else "DIFFERENT beyond noise from"
        return f"{now}: {self._then}{same} {own}; {placed}"

    @property
    def _then(self) -> str:
        """How it compares with what was measured in the search; empty where that says little."""
        low, high = self.expected
        if not self.is_telling:
            return ""
        then = f"({1e3 * low:.4g} to {1e3 * high:.4g} ms)"
        if self.is_in_range:
            return f"as in the search {then}, "
        faster = "faster than" if median(self.seconds) < low else "not as fast as"
        return f"the machine is {faster} it was then {then}, "


def verify(
    engine: Engine,
    launch: Launch,
    assignment: Assignment,
    figure: Figure,
    *,
    noise: float,
    margin: float,
) -> Verification:
    """Run what was written and the assignment in turns, until both are as fast as each other.

    Four turns at least, since one says nothing of how much processes scatter now.

    Args:
        engine: Where it was measured.
        launch: What was written.
        assignment: What it shall realise.
        figure: Its ``exec_time`` in the search.
        noise: Standard deviation from process to process, of the logarithm; 0 where it is unknown.
        margin: A difference that nobody would notice, as a fraction.

    Raises:
        TargetError: One of the two does not run.
    """
    time = OBJECTIVES["exec_time"]
    expected = expected_range(figure, noise, margin)
    taken: list[float] = []
    beside: list[float] = []
    disturbed = 0
    wrong: tuple[str, ...] | None = launch.differences or None
    while True:
        try:
            made, placement = engine.run_artifact(launch, assignment)
        except RunError as error:
            words = f"what was written does not run: {error.kind}: {error.message}"
            raise TargetError(words) from error
        try:
            own = engine.run(assignment, is_repeat=True)
        except RunError as error:
            words = f"the assignment itself does not run any more: {error.kind}: {error.message}"
            raise TargetError(words) from error
        taken.append(made.value(time))
        beside.append(own.value(time))
        disturbed += own.is_contended
        if placement is not None:
            wrong = tuple(dict.fromkeys([*(wrong or ()), *placement.mismatches]))
        verified = Verification(
            tuple(taken),
            expected,
            wrong,
            tuple(beside),
            noise,
            margin,
            is_disturbed=2 * disturbed > len(beside),
        )
        is_known = len(taken) >= _SOME_TURNS
        if wrong or (verified.is_as_fast and is_known) or len(taken) == _MAX_TURNS:
            return verified


def verify_rows(
    engine: Engine, summary: Summary, rows: Sequence[Row], launches: Sequence[Launch]
) -> list[Verification]:
    """Verify what was written of each of some rows of a run.

    Raises:
        TargetError: Something does not run.
    """
    noise = summary.noise.get("exec_time", 0.0) if summary.is_noise_known else 0.0
    return [
        verify(
            engine,
            launch,
            row.estimate.assignment,
            _exec_time(summary, row),
            noise=noise,
            margin=summary.header.margin,
        )
        for row, launch in zip(rows, launches, strict=True)
    ]


def _exec_time(summary: Summary, row: Row) -> Figure:
    names = [o.name for o in summary.objectives]
    if "exec_time" in names:
        return row.estimate.figures[names.index("exec_time")]
    samples = getattr(row.trial.outcome, "samples", {})
    return Figure(median(samples.get("exec_time", (1.0,))))

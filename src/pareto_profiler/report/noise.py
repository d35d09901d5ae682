"""NoiseFloor: how much measurements of one and the same thing differ on a machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any, Final

from pareto_profiler.core.estimate import MIN_REPEATS, Estimates
from pareto_profiler.core.measurement import OBJECTIVES, Measurement
from pareto_profiler.core.quantiles import student_t
from pareto_profiler.core.trial import Trial
from pareto_profiler.runners.machine import Machine

_BUSY: Final = 0.5
_MUCH_SPREAD: Final = 0.02
_MUCH_DISTURBED: Final = 0.1
_EXEC_TIME, _MAX_RSS = OBJECTIVES["exec_time"], OBJECTIVES["max_rss"]


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """An A/A test: the same thing measured again and again, every other time called B.

    Attributes:
        processes: How often it was measured.
        quiet: How many of these other work did not disturb; the spread is theirs, if there are
            three or more.
        exec_time_s: Its latency.
        spread: Standard deviation from process to process, as a fraction, drift taken off.
        memory_spread: The same of peak memory.
        drift: By how much the level moved meanwhile, as a fraction.
        difference: B over A less 1, with its 95 % interval: 0 should be in it.
        disturbed: Share of the runs that other work disturbed.
        other_cpus: Processors that others used meanwhile, on average.
        notes: What the measurements noted.
    """

    processes: int
    quiet: int
    exec_time_s: float
    spread: float
    memory_spread: float
    drift: float
    difference: tuple[float, float, float]
    disturbed: float
    other_cpus: float
    notes: tuple[str, ...]

    @classmethod
    def of(cls, trials: Sequence[Trial]) -> NoiseFloor:
        """Compute it from trials of one assignment, six or more, all measured."""
        outcomes = [t.outcome for t in trials if isinstance(t.outcome, Measurement)]
        anchor = trials[0].assignment
        whole = Estimates.of(trials, (_EXEC_TIME, _MAX_RSS), anchor)
        quiet = sum(not o.is_contended for o in outcomes)
        levels = [math.log(o.value(_EXEC_TIME)) for o in outcomes]
        # Neighbours are compared, so that drift is on both sides.
        pairs = [b - a for a, b in zip(levels[::2], levels[1::2], strict=False)]
        mean = sum(pairs) / len(pairs)
        variance = sum((p - mean) ** 2 for p in pairs) / (len(pairs) - 1)
        reach = student_t(len(pairs) - 1, 0.975) * math.sqrt(variance / len(pairs))
        marks = [mark for o in outcomes for mark in o.disturbed]
        others = [x for o in outcomes for x in o.samples.get("other_cpus", ())]
        return cls(
            processes=len(outcomes),
            quiet=quiet,
            exec_time_s=whole.items[0].values[0],
            spread=whole.noise[0] if whole.is_noise_known else stdev(levels),
            memory_spread=whole.noise[1],
            drift=math.expm1(whole.drifts[0]),
            difference=(math.expm1(mean), math.expm1(mean - reach), math.expm1(mean + reach)),
            disturbed=sum(marks) / len(marks) if marks else 0.0,
            other_cpus=sum(others) / len(others) if others else 0.0,
            notes=outcomes[0].notes,
        )

    def smallest_difference(self, processes: int) -> float:
        """What can be told apart with so many processes of each, as a fraction.

        At 95 % confidence, in four of five tries (Student's t).
        """
        kept = self.quiet if self.quiet > MIN_REPEATS else self.processes
        reach = student_t(kept - 1, 0.975) + student_t(kept - 1, 0.8)
        return reach * self.spread * math.sqrt(2 / processes)

    @property
    def is_busy(self) -> bool:
        """Whether other work disturbed so much that it says nothing of a quiet machine."""
        return self.disturbed > _BUSY

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "processes": self.processes,
            "quiet": self.quiet,
            "exec_time_s": self.exec_time_s,
            "spread": self.spread,
            "memory_spread": self.memory_spread,
            "drift": self.drift,
            "difference": list(self.difference),
            "disturbed": self.disturbed,
            "busy": self.is_busy,
            "other_cpus": self.other_cpus,
            "smallest_difference": {str(n): self.smallest_difference(n) for n in (1, 5, 20)},
            "notes": list(self.notes),
        }


def diagnosis(floor: NoiseFloor, machine: Machine, cpus: str) -> list[str]:
    """What spoils the measurements, and what to do about it, a line each."""
    said = list(floor.notes)
    if floor.disturbed > _MUCH_DISTURBED:
        pinning = "" if cpus or machine.cores < 2 else ", or pin measurements with --cpus"
        said.append(
            f"other work used {floor.other_cpus:.1f} processors and disturbed "
            f"{floor.disturbed:.0%} of the runs: end it{pinning}"
        )
    if floor.spread > _MUCH_SPREAD and not floor.is_busy:
        said.append(
            f"processes differ by {floor.spread:.1%}: differences of some percent take many "
            f"repeats to see; a quieter machine would save them"
        )
    low, high = floor.difference[1:]
    if low > 0 or high < 0:
        said.append(
            "the A/A test failed: the same thing was seen to differ from itself; it happens once "
            "in twenty times, run it again"
        )
    return said

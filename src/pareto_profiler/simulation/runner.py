"""SimulatedRunner: a device that is its true figures and a model of its noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.measurement import QUIET_CPUS, Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.statistics import standard_error_of_median
from pareto_profiler.core.trial import Placement, Profile
from pareto_profiler.errors import FailureKind, RunError

Vector = NDArray[np.float64]

_EPOCH_S: Final = 1.7e9
_PROCESS_S: Final = 0.05
_TRACED_RUNS: Final = 10
_PAGE: Final = 4096.0


@dataclass(frozen=True, slots=True)
class Noise:
    """What a device adds to the truth; spreads are standard deviations of logarithms.

    Attributes:
        runs: Spread of the runs of one process.
        processes: Spread between processes.
        drift: Spread that the level's random walk gains in a minute.
        busy_share: Of the time, during which something else runs on the device.
        busy_s: How long that lasts, on average.
        busy_factor: What it does to a run.
        is_visible: Whether the device tells that something else runs.
        outliers: Share of runs that take ``outlier_factor`` times as long, for no visible reason.
        outlier_factor: See there.
        memory: Spread of memory between processes.
        warming: How much slower the first run is than the steady ones, as a fraction; it falls by a
            third with every run.
        heating: How much slower a device becomes that has worked for long, as a fraction.
        heat_s: After which time it has come two thirds of that way, and back when resting.
    """

    runs: float = 0.0
    processes: float = 0.0
    drift: float = 0.0
    busy_share: float = 0.0
    busy_s: float = 2.0
    busy_factor: float = 2.0
    is_visible: bool = True
    outliers: float = 0.0
    outlier_factor: float = 30.0
    memory: float = 0.0
    warming: float = 0.0
    heating: float = 0.0
    heat_s: float = 10.0


class SimulatedRunner:
    """Draws what a device with such noise would answer; it is its own clock.

    Runs until the plan's precision is reached, as the driver does.

    Args:
        space: Of the assignments.
        truth: Assignment → metric → true value; None for what the device does not run. May raise
            ``RunError`` itself.
        noise: Of the device.
        plan: How to measure.
        seed: Of the noise.
        profile_of: Draws what a traced run would show; None for a device that does not trace.
    """

    def __init__(
        self,
        space: DecisionSpace,
        truth: Callable[[Assignment], Mapping[str, float] | None],
        noise: Noise,
        plan: Plan | None = None,
        seed: int = 0,
        profile_of: Callable[[Assignment, np.random.Generator], Profile] | None = None,
    ) -> None:
        self._space = space
        self._truth = truth
        self._noise = noise
        self._plan = plan or Plan()
        self._random = np.random.default_rng(seed)
        self._profile_of = profile_of
        self._now = 0.0
        self._level = 0.0
        self._heat = 0.0
        self._is_busy = False
        self._busy_until = 0.0
        if noise.busy_share:
            self._is_busy = self._random.random() < noise.busy_share
            self._busy_until = self._lasting()
        self.levels: list[float] = []
        """Logarithm of the drift when each measurement began, for judging estimates."""

    def now(self) -> float:
        """Simulated seconds since 1970."""
        return _EPOCH_S + self._now

    def rest(self, seconds: float) -> None:
        """Let that time pass without work."""
        self._pass(seconds, is_working=False)

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        del is_repeat  # each is left to chance
        self._space.check(assignment)
        true = self._truth(assignment)
        if true is None:
            raise RunError(FailureKind.REJECTED, "the simulated device does not run this")
        self._pass(_PROCESS_S, is_working=True)
        self.levels.append(self._level)
        noise, plan = self._noise, self._plan
        steady = true["exec_time"] * math.exp(self._random.normal(0.0, noise.processes))
        most = plan.repeats or plan.max_repeats
        warmups = 0 if plan.warmups is None else plan.warmups
        walls: list[float] = []
        others: list[float] = []
        worked_s = 0.0
        while len(walls) < warmups + most and not self._is_enough(
            walls[warmups:], others, worked_s
        ):
            warm = 1 + noise.warming * (2 / 3) ** len(walls)
            wall = steady * warm * math.exp(self._level + self._random.normal(0.0, noise.runs))
            wall *= 1 + noise.heating * self._heat
            wall *= noise.busy_factor if self._is_busy else 1.0
            wall *= noise.outlier_factor if self._random.random() < noise.outliers else 1.0
            others.append(1.0 if self._is_busy and noise.is_visible else 0.0)
            walls.append(wall)
            worked_s += wall if len(walls) > warmups else 0.0
            self._pass(wall, is_working=True)
        scatter = math.exp(self._random.normal(0.0, noise.memory))
        peak = round(true["max_rss"] * scatter / _PAGE) * _PAGE
        samples = {
            "exec_time": tuple(walls[warmups:]),
            "other_cpus": tuple(others[warmups:]),
            "max_rss": (peak,),
        }
        return Measurement(samples, {"exec_time": tuple(walls[:warmups])}, output_error=0.0)

    def placement(self, assignment: Assignment) -> Placement | None:
        self._space.check(assignment)
        return None

    @property
    def can_profile(self) -> bool:
        return self._profile_of is not None

    def profile(self, assignment: Assignment) -> Profile:
        self._space.check(assignment)
        if self._profile_of is None:
            raise RunError(FailureKind.REJECTED, "the simulated device does not trace")
        found = self._profile_of(assignment, self._random)
        runs_s = _TRACED_RUNS * sum(o.seconds for o in found.operations)
        self._pass(_PROCESS_S + runs_s, is_working=True)
        return found

    def close(self) -> None:
        """Nothing to leave."""

    def _is_enough(self, walls: list[float], others: list[float], worked_s: float) -> bool:
        plan = self._plan
        if plan.repeats is not None or len(walls) < plan.min_repeats:
            return False
        if worked_s >= plan.run_time_s:
            return True
        quiet = [w for w, o in zip(walls, others[-len(walls) :], strict=True) if o <= QUIET_CPUS]
        if len(quiet) < plan.min_repeats:
            return False
        ordered = sorted(quiet)
        return standard_error_of_median(ordered) <= plan.precision * ordered[len(ordered) // 2]

    def _pass(self, seconds: float, *, is_working: bool) -> None:
        if self._noise.drift:
            spread = self._noise.drift * math.sqrt(seconds / 60)
            self._level += self._random.normal(0.0, spread)
        if self._noise.heating:
            goal = 1.0 if is_working else 0.0
            self._heat += (goal - self._heat) * (1 - math.exp(-seconds / self._noise.heat_s))
        self._now += seconds
        while self._noise.busy_share and self._now > self._busy_until:
            self._is_busy = not self._is_busy
            self._busy_until += self._lasting()

    def _lasting(self) -> float:
        share = self._noise.busy_share
        mean = self._noise.busy_s * (1.0 if self._is_busy else (1 - share) / share)
        return float(self._random.exponential(mean))

"""QuietRunner: waits until other work on the target is over, and measures again."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

from pareto_profiler.core.measurement import QUIET_CPUS, Measurement
from pareto_profiler.core.ports import Runner
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Placement, Profile
from pareto_profiler.errors import TargetError
from pareto_profiler.shells.base import Shell

_LOG: Final = logging.getLogger(__name__)

# All processors' ticks, twice: user nice system idle iowait irq softirq steal.
_BUSY: Final = """
sed -n 's/^cpu  *//p' /proc/stat; sleep 1; sed -n 's/^cpu  *//p' /proc/stat
grep -c '^cpu[0-9]' /proc/stat"""
_IDLE: Final = slice(3, 5)
_COUNTED: Final = 8
_REST_S: Final = 2.0
_TRIES: Final = 3


class QuietRunner:
    """Another runner whose measurements are made again once the target is quiet.

    What other work disturbed is thrown away where the target becomes quiet in time, and kept as it
    is where it does not: then nothing is waited for any more.

    Args:
        runner: Measures.
        busy_cpus: Says how many processors are busy on the target, nothing of ours running.
        limit_s: Most time to wait, over all measurements.
        rest: Lets time pass.
    """

    def __init__(
        self,
        runner: Runner,
        busy_cpus: Callable[[], float],
        limit_s: float,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._runner = runner
        self._busy_cpus = busy_cpus
        self._left_s = limit_s
        self._rest = rest

    def run(self, assignment: Assignment, *, is_repeat: bool = False) -> Measurement:
        measured = self._runner.run(assignment, is_repeat=is_repeat)
        for _ in range(_TRIES):
            if not measured.is_contended or not self._became_quiet():
                break
            measured = self._runner.run(assignment, is_repeat=is_repeat)
        return measured

    def placement(self, assignment: Assignment) -> Placement | None:
        return self._runner.placement(assignment)

    @property
    def can_profile(self) -> bool:
        return self._runner.can_profile

    def profile(self, assignment: Assignment) -> Profile:
        return self._runner.profile(assignment)

    def close(self) -> None:
        """Close the runner."""
        self._runner.close()

    def _became_quiet(self) -> bool:
        """Whether other work ended before the time was over."""
        if self._left_s <= 0:
            return False
        _LOG.warning("other work runs on the target: waiting until it ends")
        while self._left_s > 0:
            began = time.monotonic()
            if self._busy_cpus() <= QUIET_CPUS:
                return True
            self._rest(min(_REST_S, self._left_s))
            self._left_s -= max(_REST_S, time.monotonic() - began)
        _LOG.warning("other work goes on: measuring beside it from now on")
        return False


def busy_cpus(shell: Shell) -> float:
    """How many processors of a target are busy, over a second.

    Raises:
        TargetError: It cannot be reached, or does not answer as a Linux would.
    """
    done = shell.run(["sh", "-c", _BUSY], environment={}, time_limit_s=30.0)
    try:
        before, after, count = done.stdout.decode("ascii", "replace").splitlines()
        pairs = zip(before.split()[:_COUNTED], after.split()[:_COUNTED], strict=True)
        ticks = [int(late) - int(early) for early, late in pairs]
        return int(count) * (1 - sum(ticks[_IDLE]) / sum(ticks))
    except (ValueError, ZeroDivisionError) as error:
        raise TargetError(f"the target does not say how busy it is: {done.stdout!r}") from error

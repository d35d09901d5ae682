"""Progress of a search: a live bar on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import contextlib
import shutil
import sys
import time
from typing import TYPE_CHECKING, Final, Protocol

from pareto_profiler.cli.output import note
from pareto_profiler.core.front import Front, reference_point
from pareto_profiler.core.measurement import Measurement, Objective
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.core.trial import Trial
from pareto_profiler.search import Budget

if TYPE_CHECKING:
    from collections.abc import Sequence

_LINE_EVERY_S: Final = 1.0
_TELLING_TOTAL: Final = 10**9


class Progress:
    """Counts trials and keeps the front as they come.

    Args:
        space: Of the search.
        objectives: What is minimised.
        budget: When it ends.
        before: Trials of earlier runs of the same search.
    """

    def __init__(
        self,
        space: DecisionSpace,
        objectives: tuple[Objective, ...],
        budget: Budget,
        before: Sequence[Trial],
    ) -> None:
        self._baseline_assignment = space.default
        self._uniform_assignments = set(space.uniforms())
        everything = space.size + sum(not space.is_feasible(a) for a in self._uniform_assignments)
        self._budget = budget
        total = min(everything, budget.trials) if budget.trials is not None else everything
        self._total = max(total, len(before))
        self._objectives = objectives
        self._baseline: Trial | None = None
        self._uniforms: list[Trial] = []
        self._front = Front.of(before, objectives)
        self._measured = self._failed = 0
        self._spent_s = 0.0
        for trial in before:
            self._count(trial)
        self._made_before, self._began = self.made, time.monotonic()
        self._is_closed = False
        self._view: _View = _Bar() if sys.stderr.isatty() else _Lines()

    @property
    def made(self) -> int:
        """Trials so far."""
        return self._measured + self._failed

    def add(self, trial: Trial) -> None:
        """One more trial."""
        self._count(trial)
        self._front = self._front.including(trial)
        self._view.show(self.made, self._total, self._text())

    def close(self) -> None:
        """Leave the last state on the screen; a second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._view.close(self._text() if self.made else "")

    def _count(self, trial: Trial) -> None:
        self._spent_s += trial.duration_s
        if not isinstance(trial.outcome, Measurement):
            self._failed += 1
            return
        self._measured += 1
        if trial.assignment == self._baseline_assignment:
            self._baseline = trial
        elif trial.assignment in self._uniform_assignments:
            self._uniforms.append(trial)

    def _text(self) -> str:
        return (
            f"{self.made}{self._of_total()}  measured {self._measured}  failed {self._failed}  "
            f"front {len(self._front.trials)}  {self._hypervolume()}{self._left()}"
        )

    def _hypervolume(self) -> str:
        if self.made <= len(self._uniform_assignments):
            return ""  # its reference point is known when the warm start is done
        reference = reference_point(
            self._baseline, self._uniforms, self._front.trials, self._objectives
        )
        return f"hypervolume {self._front.hypervolume(reference):.4f}  "

    def _of_total(self) -> str:
        # Of a space of 10^1000 assignments searched by the clock there is no telling number.
        return f"/{self._total}" if self._total < _TELLING_TOTAL else ""

    def _left(self) -> str:
        if self.made >= self._total or self._budget.is_spent(self.made, self._spent_s):
            return "done"
        made = self.made - self._made_before
        if not made:
            return "time left unknown"
        # No float reaches the assignments of a large space; a trillion is for ever, too.
        rest = min(self._total - self.made, 10**12)
        left = rest * (time.monotonic() - self._began) / made
        if self._budget.seconds is not None:
            left = min(left, max(0.0, self._budget.seconds - self._spent_s))
        minutes, seconds = divmod(round(left), 60)
        return f"{minutes}:{seconds:02d} left"


class _View(Protocol):
    def show(self, made: int, total: int, text: str) -> None: ...

    def close(self, text: str) -> None: ...


class _Lines:
    """At most one line a second, and the last one."""

    def __init__(self) -> None:
        self._shown_at = 0.0
        self._shown = ""

    def show(self, made: int, total: int, text: str) -> None:
        del made, total
        now = time.monotonic()
        if now - self._shown_at >= _LINE_EVERY_S:
            self._shown_at, self._shown = now, text
            note(text)

    def close(self, text: str) -> None:
        if text not in {"", self._shown}:
            note(text)


class _Bar:
    """A bar that is drawn between measurements only: nothing runs beside the measured process."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as RichProgress

        self._bar = RichProgress(
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            # Room for the ^C that a terminal echoes.
            console=Console(stderr=True, width=shutil.get_terminal_size().columns - 3),
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=None)
        self._bar.start()

    def show(self, made: int, total: int, text: str) -> None:
        # The terminal may be gone: no reason to stop measuring.
        with contextlib.suppress(OSError):
            self._bar.update(
                self._task, completed=made, total=total, description=text, refresh=True
            )

    def close(self, text: str) -> None:
        with contextlib.suppress(OSError):
            self._bar.update(self._task, description=text, refresh=True)
            self._bar.stop()

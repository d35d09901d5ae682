"""Progress of a search: a live bar on a terminal, plain lines elsewhere; always on stderr."""

from __future__ import annotations

import contextlib
import shutil
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from pareto_profiler.cli.exits import note
from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.front import Front, reference_point
from pareto_profiler.core.measurement import Objective
from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Failure, Trial, spent_s
from pareto_profiler.loop import Budget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pareto_profiler.core.ports import Sampler

_LINE_EVERY_S: Final = 1.0
_BAR_EVERY_S: Final = 0.1
_COST: Final = 50
_LONG_THOUGHT_S: Final = 3.0
_TELLING_TOTAL: Final = 10**9


class Progress:
    """Counts trials and keeps the front as they come.

    Args:
        space: Of the search.
        objectives: What is minimised.
        budget: When it ends.
        before: Trials of earlier runs of the same search.
        repeats: Whether what may be on the front is measured again.
    """

    def __init__(
        self,
        space: DecisionSpace,
        objectives: tuple[Objective, ...],
        budget: Budget,
        before: Sequence[Trial],
        *,
        repeats: bool = False,
    ) -> None:
        self._baseline = space.default
        self._uniforms = space.uniforms()
        likely = sum(map(space.is_feasible, self._uniforms))
        self._warm_start = 1 + likely
        everything = space.size + len(self._uniforms) - likely
        self._budget = budget
        # Repeats take what the space leaves of a budget; else the space is what there is to do.
        self._counts_trials = budget.trials is not None and (repeats or budget.trials < everything)
        self._total = budget.trials if self._counts_trials and budget.trials else everything
        self._tried: set[Assignment] = set()
        self._objectives = objectives
        self._trials: list[Trial] = []
        self._failed = 0
        for trial in before:
            self._count(trial)
        self._made_before, self._began = self.made, time.monotonic()
        self._next_at = 0.0
        self._is_closed = False
        self._view: _View = _Bar() if sys.stderr.isatty() else _Lines()

    @property
    def made(self) -> int:
        """Trials so far; assignments, where it is the space that ends the search."""
        return len(self._trials) if self._counts_trials else len(self._tried)

    def add(self, trial: Trial) -> None:
        """One more trial."""
        self._count(trial)
        began = time.monotonic()
        if began >= self._next_at:
            self._view.show(self.made, self._total, self._text())
            # What is said is computed from all trials: never for long.
            cost_s = time.monotonic() - began
            self._next_at = began + max(self._view.every_s, _COST * cost_s)

    def announcing(self, sampler: Sampler) -> Sampler:
        """The same sampler, whose long asks are told: on large graphs one may take minutes."""
        return _Announcing(sampler, self._say_that_it_thinks)

    def _say_that_it_thinks(self) -> None:
        text = f"{self.made}{self._of_total()}  choosing what to measure next"
        self._view.show(self.made, self._total, text)

    def close(self) -> None:
        """Leave the last state on the screen; a second call does nothing."""
        if not self._is_closed:
            self._is_closed = True
            self._view.close(f"{self._text()}done" if self.made else "")

    def _count(self, trial: Trial) -> None:
        self._trials.append(trial)
        self._tried.add(trial.assignment)
        self._failed += isinstance(trial.outcome, Failure)

    def _text(self) -> str:
        estimates = Estimates.of(self._trials, self._objectives, self._baseline)
        counts = (
            f"{self.made}{self._of_total()}  measured {len(estimates.items)}  "
            f"failed {self._failed}  "
        )
        if self._is_closed:
            return counts  # what is on the front is judged now, and said below
        front = Front.among(estimates)
        return (
            f"{counts}best so far {len(front.items)}  "
            f"{self._hypervolume(estimates, front)}{self._left()}"
        )

    def _hypervolume(self, estimates: Estimates, front: Front) -> str:
        if len(self._trials) < self._warm_start:
            return ""  # its reference point is known when the warm start is done
        values = {item.assignment: item.values for item in estimates.items}
        reference = reference_point(
            values.get(self._baseline),
            [values[a] for a in self._uniforms if a in values],
            [item.values for item in front.items],
            len(self._objectives),
        )
        return f"hypervolume {front.hypervolume(reference):.4f}  "

    def _of_total(self) -> str:
        # Of a space of 10^1000 assignments searched by the clock there is no telling number.
        return f"/{self._total}" if self._total < _TELLING_TOTAL else ""

    def _left(self) -> str:
        if self.made >= self._total:
            return ""
        made = self.made - self._made_before
        if not made:
            return "time left unknown"
        # No float reaches the assignments of a large space; a trillion is for ever, too.
        rest = min(self._total - self.made, 10**12)
        left = rest * (time.monotonic() - self._began) / made
        if self._budget.seconds is not None:
            left = min(left, max(0.0, self._budget.seconds - spent_s(self._trials)))
        minutes, seconds = divmod(round(left), 60)
        return f"{minutes}:{seconds:02d} left"


class Counting:
    """Shows how many of some pieces of work are done.

    Args:
        total: How many there are.
        text: With a place for how many are done.
    """

    def __init__(self, total: int, text: str) -> None:
        self._total = total
        self._told = text
        self._done = 0
        self._next_at = 0.0
        self._view: _View = _Bar() if sys.stderr.isatty() else _Lines()

    def add(self) -> None:
        """One more."""
        self._done += 1
        if time.monotonic() >= self._next_at:
            self._next_at = time.monotonic() + self._view.every_s
            self._view.show(self._done, self._total, self._told.format(self._done))

    def close(self) -> None:
        """Leave the last state on the screen."""
        self._view.close(self._told.format(self._done))


class _Announcing:
    """Has all that a sampler has, whichever it is."""

    def __init__(self, sampler: Sampler, announce: Callable[[], None]) -> None:
        self._sampler: Any = sampler
        self._announce = announce

    def ask(self, count: int = 1) -> list[Assignment]:
        return self._aloud(lambda: self._sampler.ask(count))

    def ask_beside(self, pending: Sequence[Assignment], count: int = 1) -> list[Assignment]:
        return self._aloud(lambda: self._sampler.ask_beside(pending, count))

    def tell(self, trial: Trial) -> None:
        self._sampler.tell(trial)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sampler, name)

    def _aloud(self, ask: Callable[[], list[Assignment]]) -> list[Assignment]:
        # Over before anything is measured here: nothing runs beside a measurement.
        timer = threading.Timer(_LONG_THOUGHT_S, self._announce)
        timer.daemon = True
        timer.start()
        try:
            return ask()
        finally:
            timer.cancel()


class _View(Protocol):
    every_s: float

    def show(self, made: int, total: int, text: str) -> None: ...

    def close(self, text: str) -> None: ...


class _Lines:
    """At most one line a second, and the last one."""

    every_s = _LINE_EVERY_S

    def __init__(self) -> None:
        self._shown = ""

    def show(self, made: int, total: int, text: str) -> None:
        del made, total
        self._shown = text
        note(text)

    def close(self, text: str) -> None:
        if text not in {"", self._shown}:
            note(text)


class _Bar:
    """A bar that is drawn between measurements only: nothing runs beside the measured process."""

    every_s = _BAR_EVERY_S

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

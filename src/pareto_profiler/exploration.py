"""Exploration: a job's search from its first trial to the placements of its front."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from pareto_profiler.core.measurement import OBJECTIVES, Measurement, Objective, objectives_of
from pareto_profiler.core.ports import Problem, Runner, Sampler
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.rules import ONE_SHOT, Limits, Rules
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Placement, Trial
from pareto_profiler.errors import InputError, TargetError
from pareto_profiler.fleet import Connect, Fleet, search_on_boards
from pareto_profiler.jobs import WORK_PREFIX, Job, check_machine
from pareto_profiler.loop import Budget, search, verify
from pareto_profiler.report.places import front_of
from pareto_profiler.runners.quiet import QuietRunner, busy_cpus
from pareto_profiler.runtimes.base import Engine
from pareto_profiler.runtimes.problem import problem_of
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.samplers.structured import Carried, StructuredSampler
from pareto_profiler.shells.base import Shell
from pareto_profiler.storage.journal import JOURNAL, Store

_LEARNING: Final = "structured"


def sampler_of(
    name: str, header: Header, within: Limits | None = None, source: Recording | None = None
) -> Sampler:
    """The sampler of this name, for a search under such a header.

    Args:
        name: Of ``SAMPLERS``.
        header: Of the search.
        within: What objectives may be at most, where one assignment is looked for. Samplers that do
            not learn look for the front all the same.
        source: A run of the same space, such as another device's, to start from what it learned.

    Raises:
        InputError: There is none, or it learns nothing that could be carried over, or the source
            is of another space.
    """
    if name not in SAMPLERS:
        raise InputError(f"sampler {name!r}: expected one of {', '.join(SAMPLERS)}")
    problem = replace(problem_of(header), within=within or {})
    if source is None:
        return SAMPLERS[name](problem)
    if name != _LEARNING:
        raise InputError(f"--from: {name} learns nothing that could be used: expected {_LEARNING}")
    return StructuredSampler(problem, _carried(problem, source))


def _carried(problem: Problem, source: Recording) -> Carried:
    space, there = problem.space, source.header.space
    if [v.name for v in there.variables] != [v.name for v in space.variables]:
        raise InputError(
            f"--from: that run of {source.header.model_name} on {source.header.runtime} has "
            f"{len(there.variables)} variables by {there.granularity}: expected the "
            f"{len(space.variables)} by {space.granularity} of this search; take a run of the same "
            f"model, with the same --runtime, --granularity and --vary"
        )
    if there.backends != space.backends:
        raise InputError(
            f"--from: that run has {', '.join(there.backends)}: "
            f"expected {', '.join(space.backends)}"
        )
    known = [
        t
        for t in source.trials
        if t.assignment in space
        and not (
            isinstance(t.outcome, Measurement)
            and not all(t.outcome.has(o) for o in problem.objectives)
        )
    ]
    try:
        return Carried(problem, known)
    except InputError as error:
        raise InputError(f"--from: {error}") from error


@dataclass(frozen=True, slots=True)
class Exploration:
    """A job whose files and processes are there, with what was measured before.

    Attributes:
        job: What is searched; its header says what is asked for now.
        engine: Measures on the job's board.
        store: Keeps trials and placements; its header is that of the search's beginning.
        folder: Of the run.
    """

    job: Job
    engine: Engine
    store: Store
    folder: Path

    @property
    def recording(self) -> Recording:
        """What is known so far."""
        return self.store.recording

    @property
    def has_boards(self) -> bool:
        """Whether several boards measure, or did."""
        return len(self.job.boards) > 1 or any(t.board for t in self.store.trials)

    def trials(self, sampler: Sampler, budget: Budget, rules: Rules = ONE_SHOT) -> Iterator[Trial]:
        """Search, then read back where the operations of what is on the front ran.

        Args:
            sampler: Proposes.
            budget: When to end.
            rules: How carefully to measure.

        Yields:
            Each new trial.

        Raises:
            InputError: The target does not tell an objective.
            TargetError: The target became unusable; what was measured is kept.
            StoreWriteError: A trial cannot be kept.
        """
        header = self.job.header
        rules = replace(rules, doubts_tables=not (header.traits and header.traits.is_sure))
        objectives = objectives_of(header.objectives)
        for trial in self._searched(sampler, budget, rules, objectives):
            _check_told(trial, objectives)
            yield trial
        self.verify_front(
            replace(
                self.store.header,
                objectives=header.objectives,
                margin=rules.margin,
                confidence=rules.confidence,
            )
        )

    def verify_front(self, judged: Header) -> None:
        """Read back where the operations of what is on the front ran, and keep that.

        Args:
            judged: What the front is over.

        Raises:
            TargetError: The target is unusable; of several, each is.
        """
        store = self.store

        def front(placed: Sequence[Placement]) -> Sequence[Assignment]:
            return front_of(Recording(judged, store.trials, placed))

        if set(front(store.placements)) <= {p.assignment for p in store.placements}:
            return
        left = [self.job.board, *(b for b in self.job.boards if b != self.job.board)]
        while left:
            try:
                with self._connected(left.pop(0)) as (runner, _):
                    for _ in verify(runner, store, store.placements, front):
                        pass
                    left.clear()
            except TargetError:
                if not left:
                    raise

    def _searched(
        self, sampler: Sampler, budget: Budget, rules: Rules, objectives: Sequence[Objective]
    ) -> Iterator[Trial]:
        job, space, source = self.job, self.job.header.space, self.job.header.sampler
        if not self.has_boards:
            yield from search(
                space,
                sampler,
                _patient(self.engine, job.shell, rules),
                self.store,
                budget,
                source=source,
                objectives=objectives,
                rules=rules,
            )
            return

        def connecting(board: str) -> Connect:
            @contextmanager
            def connect() -> Iterator[Runner]:
                with self._connected(board) as (engine, shell):
                    yield _patient(engine, shell, rules)

            return connect

        yield from search_on_boards(
            space,
            sampler,
            Fleet({board: connecting(board) for board in job.boards}, space.default),
            self.store,
            budget,
            source=source,
            is_profiling=self.engine.can_profile,
            objectives=objectives,
            rules=rules,
            patience_s=max(target.patience_s for target in job.boards.values()),
        )

    @contextmanager
    def _connected(self, board: str) -> Iterator[tuple[Engine, Shell]]:
        """A board's engine, and how it is reached; the first one's is there all the time."""
        job = self.job
        if board == job.board:
            if len(job.boards) > 1:
                check_machine(self.store.header.machine, job.shell)
            yield self.engine, job.shell
            return
        with job.on(board) as there, closing(there.engine(self.folder)) as engine:
            yield engine, there.shell


def _patient(runner: Runner, shell: Shell, rules: Rules) -> Runner:
    """A runner that waits for other work to end, where rules say so."""
    return QuietRunner(runner, partial(busy_cpus, shell), rules.wait_s) if rules.wait_s else runner


def _check_told(trial: Trial, objectives: Sequence[Objective]) -> None:
    """See that a measurement has a figure for each objective.

    Raises:
        InputError: It has not.
    """
    if not isinstance(trial.outcome, Measurement):
        return
    for objective in objectives:
        if not trial.outcome.has(objective):
            told = [o.name for o in OBJECTIVES.values() if trial.outcome.has(o)]
            looked_for = f" ({objective.source})" if objective.source else ""
            raise InputError(
                f"objective {objective.name}: this target does not tell it{looked_for}; it tells "
                f"{', '.join(told)}"
            )


def _check_free(folder: Path) -> None:
    """See that a folder holds a run, or nothing of somebody else's."""
    # Who names the folder they are in has seen what it holds.
    is_here = folder.resolve() == Path.cwd()
    if is_here or not folder.is_dir() or (folder / JOURNAL).exists():
        return
    names = sorted(p.name for p in folder.iterdir() if not p.name.startswith("."))
    if others := [name for name in names if name != "report.html"]:
        more = ", …" if len(others) > 1 else ""
        raise InputError(
            f"{folder}: holds no run, but {others[0]}{more}: expected a run's folder, an empty or "
            f"a new one"
        )


@contextmanager
def opened(job: Job, folder: Path, journal: Path | None = None) -> Iterator[Exploration]:
    """An exploration in a folder; its journal and engine are closed in the end.

    Args:
        job: What is searched.
        folder: Of the run.
        journal: Where its trials are, if not where they usually are in the folder.

    Raises:
        InputError, StoreError: The journal is another search's, or damaged; or there is none, and
            the folder is somebody else's.
        TargetError: Nothing can be put on the target.
    """
    if journal is None:
        _check_free(folder)
    with closing(Store(journal or folder / JOURNAL, job.header)) as store:
        # The journal is ours: what is there was left by a search that was killed.
        for left in folder.glob(f"{WORK_PREFIX}*"):
            if not left.is_symlink():
                shutil.rmtree(left, ignore_errors=True)
        with closing(job.engine(folder)) as engine:
            yield Exploration(job, engine, store, folder)

"""Exploration: a job's search from its first trial to the placements of its front."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pareto_profiler.core.measurement import OBJECTIVES, Measurement, Objective, objectives_of
from pareto_profiler.core.ports import Runner, Sampler
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.rules import ONE_SHOT, Limits, Rules
from pareto_profiler.core.trial import Trial
from pareto_profiler.errors import InputError
from pareto_profiler.jobs import Job
from pareto_profiler.loop import Budget, search, verify
from pareto_profiler.report.places import front_of
from pareto_profiler.runners.quiet import QuietRunner, busy_cpus
from pareto_profiler.runtimes.base import Engine
from pareto_profiler.runtimes.problem import problem_of
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.storage.journal import JOURNAL, Store


def sampler_of(name: str, header: Header, within: Limits | None = None) -> Sampler:
    """The sampler of this name, for a search under such a header.

    Args:
        name: Of ``SAMPLERS``.
        header: Of the search.
        within: What objectives may be at most, where one assignment is looked for. Samplers that do
            not learn look for the front all the same.

    Raises:
        InputError: There is none.
    """
    if name not in SAMPLERS:
        raise InputError(f"sampler {name!r}: expected one of {', '.join(SAMPLERS)}")
    return SAMPLERS[name](replace(problem_of(header), within=within or {}))


@dataclass(frozen=True, slots=True)
class Exploration:
    """A job whose files and processes are there, with what was measured before.

    Attributes:
        job: What is searched; its header says what is asked for now.
        engine: Measures.
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
        runner: Runner = self.engine
        if rules.wait_s:
            runner = QuietRunner(runner, partial(busy_cpus, self.job.shell), rules.wait_s)
        objectives = objectives_of(header.objectives)
        for trial in search(
            header.space,
            sampler,
            runner,
            self.store,
            budget,
            source=header.sampler,
            objectives=objectives,
            rules=rules,
        ):
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
            TargetError: The target is unusable.
        """
        store = self.store
        for _ in verify(
            self.engine,
            store,
            store.placements,
            lambda placed: front_of(Recording(judged, store.trials, placed)),
        ):
            pass


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


@contextmanager
def opened(job: Job, folder: Path, journal: Path | None = None) -> Iterator[Exploration]:
    """An exploration in a folder; its journal and engine are closed in the end.

    Args:
        job: What is searched.
        folder: Of the run.
        journal: Where its trials are, if not where they usually are in the folder.

    Raises:
        InputError, StoreError: The journal is another search's, or damaged.
        TargetError: Nothing can be put on the target.
    """
    with (
        closing(Store(journal or folder / JOURNAL, job.header)) as store,
        closing(job.engine(folder)) as engine,
    ):
        yield Exploration(job, engine, store, folder)

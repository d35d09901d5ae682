"""Exploring with a progress bar: what the measuring commands have in common."""

from __future__ import annotations

from collections.abc import Callable

from pareto_profiler.cli.exits import command_line, note
from pareto_profiler.cli.progress import Progress
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.ports import Sampler
from pareto_profiler.core.rules import ONE_SHOT, Rules
from pareto_profiler.errors import TargetError
from pareto_profiler.exploration import Exploration
from pareto_profiler.loop import Budget
from pareto_profiler.storage.journal import read


def explore(
    exploration: Exploration,
    sampler: Sampler,
    budget: Budget,
    rules: Rules = ONE_SHOT,
    after_trial: Callable[[], None] = lambda: None,
) -> None:
    """Search, verify the front, and show progress all the while.

    Args:
        exploration: Of what.
        sampler: Proposes.
        budget: When to end.
        rules: How carefully to measure.
        after_trial: Called after each, before the next begins.

    Raises:
        KeyboardInterrupt: After it was told how to go on.
        TargetError: The same.
    """
    store = exploration.store
    progress = Progress(
        store.header.space,
        objectives_of(exploration.job.header.objectives),
        budget,
        store.trials,
        repeats=rules.confirm_share > 0,
    )
    try:
        for trial in exploration.trials(progress.announcing(sampler), budget, rules):
            progress.add(trial)
            after_trial()
    except (KeyboardInterrupt, TargetError) as error:
        progress.close()
        # Asked of the file: the interrupt may have come between keeping and counting a trial.
        kept = len(read(store.path).trials)
        if kept or isinstance(error, KeyboardInterrupt):
            what = "interrupted" if isinstance(error, KeyboardInterrupt) else "the search ends here"
            note(
                f"{what}; {kept} trials are kept in {exploration.folder}. "
                f"To go on: {command_line()}"
            )
        raise
    finally:
        progress.close()

"""Several runtimes at once: searching them by turns, and one front over their runs."""

from __future__ import annotations

import contextlib
import hashlib
import math
import shlex
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pareto_profiler.cli.assembly import Choices, Job, identity, prepare, shortened
from pareto_profiler.cli.output import note
from pareto_profiler.core.recording import Recording
from pareto_profiler.errors import InputError, ModelError, RunError, SpaceError, TargetError
from pareto_profiler.jointly import Party, next_round
from pareto_profiler.report.joint import Joint
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runners.outputs import compared, largest_error
from pareto_profiler.runtimes import RUNTIMES
from pareto_profiler.runtimes.base import Engine
from pareto_profiler.search import Budget
from pareto_profiler.store import JOURNAL, Store, read

OBJECTIVES: Final = "exec_time,model_rss"
"""By default: runtimes take more or less memory before any model, which says nothing of it."""


def runs_in(folder: Path) -> dict[str, Path]:
    """The runs of several runtimes in a folder, by their names; empty where it is none of these."""
    if (folder / JOURNAL).exists() or not folder.is_dir():
        return {}
    return {name: folder / name for name in RUNTIMES if (folder / name / JOURNAL).is_file()}


def within(run: Path, name: str) -> tuple[Path, str]:
    """The run and the id that ``RUNTIME:3`` means in a folder of several; others are left alone.

    Raises:
        InputError: There is no run of this runtime, or it has to be named.
    """
    runs = runs_in(run)
    if not runs:
        return run, name
    runtime, colon, number = name.partition(":")
    if colon and runtime in runs:
        return runs[runtime], number
    known = ", ".join(f"{n}:ID" for n in runs)
    raise InputError(f"{run}: holds runs of several runtimes: name a point as {known}")


def open_runs(folder: Path) -> dict[str, Recording]:
    """The recordings of a folder of runs that have trials, in the order in which they began."""
    recordings = {name: read(path) for name, path in runs_in(folder).items()}
    begun = sorted(recordings.items(), key=lambda run: run[1].header.created_at)
    return {name: recording for name, recording in begun if recording.trials}


_ROUND: Final = 30

Explore = Callable[[Job, Engine, Store, Path, Budget, float], None]
"""Searches on with an engine that stays open, up to a budget, a share of it for repeats."""


@dataclass(slots=True)
class _Search:
    job: Job
    engine: Engine
    store: Store
    folder: Path


def search_jointly(
    names: Sequence[str],
    choices: Choices,
    budget: Budget,
    explore: Explore,
    output: Path | None,
    *,
    confirm_share: float,
) -> tuple[Joint, Path]:
    """Search over several runtimes, the budget where the joint front moves.

    A runtime that does not take the model is left out, and said.

    Args:
        names: Of the runtimes, the one of the baseline first.
        choices: What the user asked for; the runtime is replaced.
        budget: Of all of them together.
        explore: Searches one of them on, up to a budget of its own.
        output: A folder for the runs; None for one named after them.
        confirm_share: Of the budget that is kept for repeats of what is undecided in the end.

    Raises:
        InputError, ModelError, TargetError: None can be used; or one's target became unusable.
    """
    if choices.library:
        raise InputError(
            "library: is of one runtime; with several name them in targets.toml, as libraries = …"
        )
    if output is not None and (output / JOURNAL).exists():
        raise InputError(f"{output}: holds the run of one runtime; name a new folder")
    with contextlib.ExitStack() as open_ones:
        jobs: dict[str, Job] = {}
        problems: dict[str, ModelError | SpaceError | TargetError] = {}
        for name in names:
            try:
                jobs[name] = prepare(replace(choices, runtime=name))
            except (ModelError, SpaceError, TargetError) as error:
                problems[name] = error
                continue
            open_ones.callback(jobs[name].shell.close)
        if not jobs:
            raise next(iter(problems.values()))
        folder = output or _default_folder(jobs)
        searches: dict[str, _Search] = {}
        for name, job in jobs.items():
            store = Store(folder / name / JOURNAL, job.header)
            open_ones.callback(store.close)
            try:
                engine = job.engine(folder / name)
            except TargetError as error:
                problems[name] = error
                continue
            open_ones.callback(engine.close)
            searches[name] = _Search(job, engine, store, folder / name)
        if not searches:
            raise next(iter(problems.values()))
        for name, problem in problems.items():
            note(f"{name} is left out: {problem}")
        _take_turns(searches, budget, explore, confirm_share)
        _compare_outputs(searches)
        return _joint_of(searches), folder


def _take_turns(
    searches: Mapping[str, _Search], budget: Budget, explore: Explore, confirm_share: float
) -> None:
    began = time.monotonic()
    parties = {name: Party(len(s.store.trials)) for name, s in searches.items()}
    share = 0.0
    while True:
        # Without a number of trials, rounds are as if a few more were left for each.
        whole = budget.trials or sum(p.spent for p in parties.values()) + _ROUND * len(parties)
        turn = next_round(parties, round(whole * (1 - confirm_share)))
        left_s = _left_s(budget, began, 1 - confirm_share)
        if turn is None or left_s <= 0:
            break
        name, target = turn
        one = searches[name]
        note(f"{name}: to {target} trials")
        problem = None
        try:
            limit = _limit(one, target, left_s)
            explore(one.job, one.engine, one.store, one.folder, limit, 0.0)
        except TargetError as error:
            # Another runtime may go on; what this one measured is kept.
            problem = error
        made = len(one.store.trials) - parties[name].spent
        before = share
        share = _joint_of(searches).hypervolume if any(map(_trials, searches.values())) else 0.0
        gain = max(0.0, share - before) / max(1, made)
        is_done = problem is not None or (left_s == math.inf and len(one.store.trials) < target)
        parties[name] = Party(len(one.store.trials), gain, is_done)
        if problem is not None:
            if not share and all(party.is_done for party in parties.values()):
                raise problem
            note(f"{name} ends here: {problem}")
    if confirm_share and any(map(_trials, searches.values())):
        spent = sum(map(_trials, searches.values()))
        left = budget.trials - spent if budget.trials is not None else 10**6
        _confirm(searches, left, _left_s(budget, began, 1.0), explore)


def _left_s(budget: Budget, began: float, share: float) -> float:
    if budget.seconds is None:
        return math.inf
    return began + share * budget.seconds - time.monotonic()


def _limit(one: _Search, trials: int, left_s: float) -> Budget:
    spent_s = sum(t.duration_s + t.rested_s for t in one.store.trials)
    return Budget(trials, None if left_s == math.inf else spent_s + max(left_s, 1e-3))


def _trials(one: _Search) -> int:
    return len(one.store.trials)


def _joint_of(searches: Mapping[str, _Search]) -> Joint:
    return Joint.of({n: s.store.recording for n, s in searches.items() if s.store.trials})


def _confirm(searches: Mapping[str, _Search], left: int, left_s: float, explore: Explore) -> None:
    """Repeat what is undecided, most where most of the joint front is."""
    front = [point.runtime for point in _joint_of(searches).front]
    for name in dict.fromkeys(front) if left > 0 and left_s > 0 else ():
        one, part = searches[name], front.count(name) / len(front)
        limit = _limit(one, len(one.store.trials) + max(1, round(left * part)), left_s * part)
        note(f"{name}: repeats of what is undecided")
        try:
            explore(one.job, one.engine, one.store, one.folder, limit, 1.0)
        except TargetError as error:
            note(f"{name} ends here: {error}")


def _compare_outputs(searches: Mapping[str, _Search]) -> None:
    """Two implementations check each other: say where their baselines' outputs differ."""
    told: dict[str, list[Array]] = {}
    for name, one in searches.items():
        # A baseline that does not run was told before.
        with contextlib.suppress(TargetError):
            arrays = one.engine.reference()
            told |= {} if arrays is None else {name: arrays}
    for name in list(told)[1:]:
        first, wanted = next(iter(told.items()))
        plan = searches[name].job.header.plan
        try:
            pairs = zip(told[name], wanted, strict=True)
            largest_error([compared(a, b) for a, b in pairs], plan.tolerance if plan else 1e-3)
        except RunError as error:
            note(f"the baselines of {first} and {name} do not agree: {error.message}")


def _default_folder(jobs: Mapping[str, Job]) -> Path:
    header = next(iter(jobs.values())).header
    text = " ".join(identity(job.header) for job in jobs.values())
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    readable = shortened("-".join([header.model_name, str(header.space.granularity), *jobs]))
    return Path("pareto-runs") / f"{readable}-{digest}"


def again(folder: Path) -> str:
    """The command that shows a folder of runs."""
    return shlex.join(["pareto-profiler", "show", str(folder)])

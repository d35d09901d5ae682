"""Several runtimes in one search: whose turn it is, up to how many trials, and what comes of it."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pareto_profiler.core.front import hypervolume_share
from pareto_profiler.core.trial import spent_s
from pareto_profiler.errors import InputError, ModelError, RunError, SpaceError, TargetError
from pareto_profiler.exploration import Exploration, opened
from pareto_profiler.jobs import Choices, Job, identity, prepare, shortened
from pareto_profiler.loop import Budget
from pareto_profiler.report.joint import Joint
from pareto_profiler.runners.inputs import Array
from pareto_profiler.runners.outputs import compared, largest_error
from pareto_profiler.storage.journal import JOURNAL

OBJECTIVES: Final = ("exec_time", "model_rss")
"""By default: runtimes take more or less memory before any model, which says nothing of it."""

_LOG: Final = logging.getLogger(__name__)
# Of the budget, in the first round of each; and in each further round.
_FIRST: Final = 1 / 3
_STEP: Final = 1 / 10
_LEAST: Final = 4
_ROUND: Final = 30


@dataclass(frozen=True, slots=True)
class Party:
    """One runtime's search.

    Attributes:
        spent: Trials of it.
        gain: By how much its last round moved the joint front, as hypervolume a trial; None before
            its first round.
        is_done: Whether it asks for no more.
    """

    spent: int = 0
    gain: float | None = None
    is_done: bool = False


def next_round(parties: Mapping[str, Party], trials: int) -> tuple[str, int] | None:
    """Who searches next, and how many trials it may have then.

    Each has a first round, together a third of the budget. Then it is the one whose last round
    moved the joint front most for a trial; of equals the one that has spent least.

    Args:
        parties: By name.
        trials: The budget of all of them together.

    Returns:
        None where the budget is spent or nobody asks for more.

    Examples:
        >>> next_round({"a": Party(10, 0.1), "b": Party(10, 0.3)}, 40)
        ('b', 14)
    """
    left = trials - sum(p.spent for p in parties.values())
    waiting = {name: p for name, p in parties.items() if not p.is_done}
    if left <= 0 or not waiting:
        return None
    first = max(_LEAST, round(_FIRST * trials / len(parties)))
    for name, party in waiting.items():
        if party.gain is None:
            return name, party.spent + min(left, max(1, first - party.spent))
    name = max(waiting, key=lambda n: (waiting[n].gain or 0.0, -waiting[n].spent))
    return name, waiting[name].spent + min(left, max(_LEAST, round(_STEP * trials)))


Explore = Callable[[Exploration, Budget, float], None]
"""Searches on, up to a budget, a share of it for repeats."""


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
    if len(set(names)) < len(names):
        raise InputError(f"runtimes {','.join(names)}: one is named twice")
    if choices.library:
        raise InputError(
            "library: is of one runtime; with several name them in targets.toml, as libraries = …"
        )
    if output is not None and (output / JOURNAL).exists():
        raise InputError(f"{output}: holds the run of one runtime; name a new folder")
    with contextlib.ExitStack() as open_ones:
        jobs, problems = _jobs(names, choices, open_ones)
        folder = output or _default_folder(jobs)
        searches: dict[str, Exploration] = {}
        for name, job in jobs.items():
            try:
                searches[name] = open_ones.enter_context(opened(job, folder / name))
            except TargetError as error:
                problems[name] = error
        if not searches:
            raise next(iter(problems.values()))
        for name, problem in problems.items():
            _LOG.warning("%s is left out: %s", name, problem)
        _take_turns(searches, budget, explore, confirm_share)
        _compare_outputs(searches)
        if problems:
            _LOG.warning("the joint front is without %s, left out above", ", ".join(problems))
        return _joint_of(searches), folder


def _jobs(
    names: Sequence[str], choices: Choices, open_ones: contextlib.ExitStack
) -> tuple[dict[str, Job], dict[str, Exception]]:
    """Of the runtimes that take the model, and what is wrong with the others."""
    jobs: dict[str, Job] = {}
    problems: dict[str, Exception] = {}
    for name in names:
        try:
            jobs[name] = open_ones.enter_context(prepare(replace(choices, runtime=name)))
        except (ModelError, SpaceError, TargetError) as error:
            problems[name] = error
    if not jobs:
        raise next(iter(problems.values()))
    return jobs, problems


def _take_turns(
    searches: Mapping[str, Exploration], budget: Budget, explore: Explore, confirm_share: float
) -> None:
    began = time.monotonic()
    parties = {name: Party(len(s.store.trials)) for name, s in searches.items()}
    known: list[tuple[float, ...]] = []
    while True:
        # Without a number of trials, rounds are as if a few more were left for each.
        whole = budget.trials or sum(p.spent for p in parties.values()) + _ROUND * len(parties)
        turn = next_round(parties, round(whole * (1 - confirm_share)))
        left_s = _left_s(budget, began, 1 - confirm_share)
        if turn is None or left_s <= 0:
            break
        name, target = turn
        one = searches[name]
        problem = None
        try:
            limit = _limit(one, target, left_s)
            explore(one, limit, 0.0)
        except TargetError as error:
            # Another runtime may go on; what this one measured is kept.
            problem = error
        made = len(one.store.trials) - parties[name].spent
        # Before and after in one box, which grows while uniform assignments are measured.
        before = share = 0.0
        if any(map(_trials, searches.values())):
            joint = _joint_of(searches)
            before, share = hypervolume_share(known, joint.reference), joint.hypervolume
            known = [row.estimate.values for row in joint.measured]
        gain = max(0.0, share - before) / max(1, made)
        is_done = problem is not None or (left_s == math.inf and len(one.store.trials) < target)
        parties[name] = Party(len(one.store.trials), gain, is_done)
        if problem is not None:
            if not share and all(party.is_done for party in parties.values()):
                raise problem
            _LOG.warning("%s ends here: %s", name, problem)
    if confirm_share and any(map(_trials, searches.values())):
        spent = sum(map(_trials, searches.values()))
        left = budget.trials - spent if budget.trials is not None else 10**6
        _confirm(searches, left, _left_s(budget, began, 1.0), explore)


def _left_s(budget: Budget, began: float, share: float) -> float:
    if budget.seconds is None:
        return math.inf
    return began + share * budget.seconds - time.monotonic()


def _limit(one: Exploration, trials: int, left_s: float) -> Budget:
    if left_s == math.inf:
        return Budget(trials)
    return Budget(trials, spent_s(one.store.trials) + max(left_s, 1e-3))


def _trials(one: Exploration) -> int:
    return len(one.store.trials)


def _joint_of(searches: Mapping[str, Exploration]) -> Joint:
    return Joint.of({n: s.store.recording for n, s in searches.items() if s.store.trials})


def _confirm(
    searches: Mapping[str, Exploration], left: int, left_s: float, explore: Explore
) -> None:
    """Repeat what is undecided, most where most of the joint front is."""
    front = [row.runtime for row in _joint_of(searches).front]
    for name in dict.fromkeys(front) if left > 0 and left_s > 0 else ():
        one, part = searches[name], front.count(name) / len(front)
        limit = _limit(one, len(one.store.trials) + max(1, round(left * part)), left_s * part)
        try:
            explore(one, limit, 1.0)
        except TargetError as error:
            _LOG.warning("%s ends here: %s", name, error)


def _compare_outputs(searches: Mapping[str, Exploration]) -> None:
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
            allowed = (plan.tolerance, plan.tolerance_kind) if plan else (1e-3,)
            largest_error([compared(a, b) for a, b in pairs], *allowed)
        except RunError as error:
            _LOG.warning("the baselines of %s and %s do not agree: %s", first, name, error.message)


def _default_folder(jobs: Mapping[str, Job]) -> Path:
    header = next(iter(jobs.values())).header
    text = " ".join(identity(job.header) for job in jobs.values())
    digest = hashlib.sha256(text.encode()).hexdigest()[:8]
    readable = shortened("-".join([header.model_name, str(header.space.granularity), *jobs]))
    return Path("pareto-runs") / f"{readable}-{digest}"

"""Simplifying: whether an assignment is as good without choices that seem not to matter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pareto_profiler.core.membership import LIKELY, Verdict
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import EXPLAIN
from pareto_profiler.exploration import Exploration
from pareto_profiler.loop import measure_in_turns
from pareto_profiler.report.summary import Row, Summary


@dataclass(frozen=True, slots=True)
class Tried:
    """A simpler assignment after it was measured against the one to explain.

    Attributes:
        number: Its id.
        changes: Objective → by which fraction it is worse, and where that lies with 95 %; empty
            where it failed.
        words: What comes of it.
        is_good: Whether it can take the place of the other.
        is_told: Whether that could be told.
    """

    number: int
    changes: dict[str, tuple[float, float, float]]
    words: str
    is_good: bool
    is_told: bool = True


def try_simpler(
    exploration: Exploration,
    assignment: Assignment,
    simpler: Sequence[Assignment],
    rounds: int,
    progress: Callable[[int, int], None],
) -> list[Tried]:
    """Measure simpler assignments in turns with the one that they may take the place of.

    Args:
        exploration: Of the run.
        assignment: The one.
        simpler: The others.
        rounds: How often each.
        progress: History how many trials of how many are done.

    Raises:
        TargetError: The baseline fails.
        StoreWriteError: A trial cannot be kept.
    """
    header, store = exploration.job.header, exploration.store
    default, before = header.space.default, len(store.trials)
    every = [assignment, *simpler]
    whole = rounds * len({default, *every})
    trials = measure_in_turns(
        exploration.engine,
        store,
        default,
        every,
        rounds,
        source=EXPLAIN,
        seed=header.seed,
        board=exploration.job.board if exploration.has_boards else "",
    )
    for made, _ in enumerate(trials, 1):
        progress(made, whole)
    exploration.verify_front(store.header)
    summary = Summary.of(exploration.recording)
    return [_judged(summary, assignment, other, before) for other in simpler]


def tolerances(summary: Summary, assignment: Assignment) -> tuple[float, ...]:
    """For each objective by which fraction it may get worse: the margin, or the noise."""
    row = summary.row_of(assignment)
    found = []
    for o in summary.objectives:
        ends = row.intervals.get(o.name) if row else None
        value = row.values[o.name] if row else 0.0
        width = (ends[1] - ends[0]) / 2 / value if ends and value else 0.0
        found.append(max(summary.header.margin, width))
    return tuple(found)


def _judged(summary: Summary, assignment: Assignment, other: Assignment, since: int) -> Tried:
    """What came of measuring a simpler assignment, in trials from that number on."""
    number = summary.header.space.id_of(other)
    mine, theirs = summary.row_of(assignment), summary.row_of(other)
    failures = [t.outcome for t in summary.failures if t.assignment == other and t.number >= since]
    if failures:
        message = getattr(failures[-1], "message", "")
        return Tried(number, {}, f"fails: {message}", is_good=False)
    if mine is None or theirs is None:
        words = "the assignment itself" if mine is None else "it"
        return Tried(number, {}, f"{words} ran elsewhere than asked", is_good=False)
    if not (mine.estimate.is_told and theirs.estimate.is_told):
        words = "no verdict: other work disturbed it"
        return Tried(number, {}, words, is_good=False, is_told=False)
    changes: dict[str, tuple[float, float, float]] = {}
    worse: list[str] = []
    open_ones: list[str] = []
    pairs = zip(
        summary.objectives,
        mine.estimate.figures,
        theirs.estimate.figures,
        tolerances(summary, assignment),
        strict=True,
    )
    for o, a, b, tolerance in pairs:
        ratio = b.over(a)
        ends = ratio.interval()
        if ends is None:
            words = f"no verdict: {o.name} scatters too much"
            return Tried(number, {}, words, is_good=False, is_told=False)
        low, high = ends
        changes[o.name] = (ratio.value - 1, low - 1, high - 1)
        if low - 1 > summary.header.margin:
            worse.append(o.name)
        elif ratio.value - 1 > tolerance:
            open_ones.append(o.name)
    return _concluded(mine, theirs, changes, worse, open_ones)


def _concluded(
    mine: Row,
    theirs: Row,
    changes: dict[str, tuple[float, float, float]],
    worse: Sequence[str],
    open_ones: Sequence[str],
) -> Tried:
    """Whether one that is worse in some objectives, or perhaps, can take the other's place."""
    words = ", ".join(
        f"{name} {change:+.2%} ({low:+.2%} to {high:+.2%})"
        for name, (change, low, high) in changes.items()
    )
    place = theirs.place
    is_near = place.probability >= LIKELY or mine.id in theirs.ties
    if worse:
        words += f": worse in {', '.join(worse)}"
    elif open_ones:
        words += f": whether it is as good in {', '.join(open_ones)} cannot be told"
        return Tried(theirs.id, changes, words, is_good=False, is_told=False)
    elif place.verdict is Verdict.OFF or not is_near:
        words += ": as good, but off the front" if place.verdict is Verdict.OFF else ": likely off"
    else:
        sure = "" if place.verdict is Verdict.ON else f", with {place.probability:.0%}"
        words += f": as good, and on the front{sure}"
    is_good = not worse and place.verdict is not Verdict.OFF and is_near
    return Tried(theirs.id, changes, words, is_good=is_good)

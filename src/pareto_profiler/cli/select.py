"""``pareto-profiler select``: the assignment that fits a goal."""

from __future__ import annotations

from typing import Annotated

import typer

from pareto_profiler.cli.options import (
    JsonOption,
    LimitOptions,
    RunArgument,
    TableOptions,
    command,
)
from pareto_profiler.cli.output import print_json
from pareto_profiler.core.measurement import ALIASES, Objective
from pareto_profiler.errors import InputError
from pareto_profiler.report.joint import judged
from pareto_profiler.report.naming import named
from pareto_profiler.report.selection import (
    Goal,
    Limit,
    Selection,
    Trade,
    check_objective,
    knee_of,
    shown,
)
from pareto_profiler.report.summary import Judged
from pareto_profiler.report.terminal import configured, wrap


@command
def select(
    run: RunArgument,
    limits: LimitOptions,
    given: TableOptions,
    minimise: Annotated[
        str,
        typer.Option(
            help="The smallest of this objective.",
            show_default="the first that has no limit",
        ),
    ] = "",
    knee: Annotated[
        bool,
        typer.Option(
            "--knee",
            help="The knee: of the front's points the one with the smallest sum of objectives, "
            "each as a logarithm scaled to its range on the front.",
        ),
    ] = False,
    weights: Annotated[
        str,
        typer.Option(
            help="How much objectives count, e.g. exec_time=2,max_rss=1: the smallest product of "
            "figures, each to the power of its weight.",
            show_default=False,
        ),
    ] = "",
    as_json: JsonOption = False,
) -> None:
    """Select one assignment from a run's front: the fastest within limits, or by another goal.

    Tells how sure it is that the limits are kept and that no other one is better, and what the next
    looser limit would buy. Without any option: the smallest of the first objective.
    """
    if sum((bool(minimise), knee, bool(weights))) > 1:
        raise InputError("--minimise, --knee and --weights exclude each other")
    summary = judged(run, given.names, given.baseline)
    goal = _goal(summary, limits.asked, minimise, weights, is_knee=knee)
    found = Selection.of(summary, goal)
    if as_json:
        print_json(found.to_json())
    else:
        print_selection(found)


def _goal(
    summary: Judged,
    asked: list[tuple[str, str]],
    minimise: str,
    weights: str,
    *,
    is_knee: bool,
) -> Goal:

    limits = Limit.several(asked, summary)
    known = [o.name for o in summary.objectives]
    if is_knee:
        return Goal(limits)
    found = _weights_of(weights) if weights else {minimise: 1.0} if minimise else {}
    found = {ALIASES.get(name, name): weight for name, weight in found.items()}
    for name in found:
        check_objective(name, known)
    if found:
        return Goal(limits, found)
    return Goal.smallest(summary.objectives, limits)


def _weights_of(text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.strip().partition("=")
        try:
            found[name] = float(number)
        except ValueError:
            found[name] = -1.0
        if not 0 <= found[name] < float("inf"):
            raise InputError(f"weights {text!r}: expected something like exec_time=2,max_rss=1")
    if not any(found.values()):
        raise InputError(f"weights {text!r}: all are nothing")
    return found


def print_selection(found: Selection) -> None:
    """Print what was selected, how surely, and what else there is."""

    def say(text: str) -> None:
        for line in text.splitlines():
            print(*wrap(line), sep="\n")

    summary, row = found.summary, found.row
    for text in summary.warnings:
        say(f"warning: {text}")
    asked = "".join(f", with {limit.words}" for limit in found.goal.limits)
    say(f"{named(summary, row.name)}: {_goal_words(found)}{asked}")
    for objective in summary.objectives:
        say(f"  {objective.name:12s} {_figure(found, objective)}")
    if summary.is_noise_known:
        if found.goal.limits:
            kept = _percent(found.within) if found.within is not None else "no verdict"
            say(f"within the limits: {kept}")
        if found.best is not None:
            rivals = ", ".join(named(summary, name) for name in found.rivals[:3])
            others = f"; perhaps {rivals}" if found.rivals else ""
            say(f"{_none_of(found)} is better: {_percent(found.best)}{others}")
        else:
            say(f"{_none_of(found)} is better: no verdict, see the warnings")
    for trade in found.trades:
        say(_words(found, trade))
    if found.goal.limits and not found.trades and found.best is not None:
        say("looser limits would buy nothing that was measured")
    # To be copied: whole, however long.
    print(f"configuration:\n  {configured(row)}")


def _goal_words(found: Selection) -> str:
    if found.goal.weights is None and knee_of(found.summary) is None:
        return "no point of this front is a knee: this is the fastest"
    return found.goal.words(found.summary.objectives)


def _none_of(found: Selection) -> str:
    """What the selected one is compared with: nothing that was not measured."""
    where = " that keep the limits" if found.goal.limits else ""
    return f"none of the {found.among} measured{where}" if found.among > 1 else "no other measured"


def _figure(found: Selection, objective: Objective) -> str:

    row = found.row
    at = found.summary.objectives.index(objective)
    text = shown(objective, row.estimate.values[at])
    if objective.name in row.untold:
        return f"{text}, no verdict"
    if ends := row.intervals.get(objective.name):
        low, high = ends
        scale = objective.shown_per_unit
        text += f" ({shown(objective, low / scale)} to {shown(objective, high / scale)})"
    ratio = row.against_baseline.get(objective.name)
    return text if ratio is None else f"{text}, {ratio:.1%} of the baseline"


def _words(found: Selection, trade: Trade) -> str:
    """What another assignment would change."""
    pairs = zip(
        found.summary.objectives,
        trade.row.estimate.values,
        found.row.estimate.values,
        strict=True,
    )
    more: list[str] = []
    less: list[str] = []
    for objective, theirs, mine in pairs:
        change = shown(objective, abs(theirs - mine))
        if theirs != mine:
            (more if theirs > mine else less).append(f"{change} {objective.name}")
    cost = f"{' and '.join(more)} more" if more else "nothing"
    gain = f"{' and '.join(less)}" if less else "nothing"
    return f"{cost} would save {gain}: {named(found.summary, trade.row.name)}"


def _percent(probability: float) -> str:
    if probability >= 0.9995:
        return "over 99.9% probable"
    return f"{probability:.1%} probable"

"""``pareto-profiler confirm``: repeats of a run until it is decided what is on its front."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pareto_profiler.cli.exits import note
from pareto_profiler.cli.options import (
    AnchorOption,
    JsonOption,
    JudgingOptions,
    TimeOption,
    WhereNow,
    command,
)
from pareto_profiler.cli.search import measure
from pareto_profiler.core.membership import Verdict
from pareto_profiler.core.rules import Rules
from pareto_profiler.core.trial import spent_s
from pareto_profiler.jobs import choices_of
from pareto_profiler.loop import Budget
from pareto_profiler.quantities import seconds_of
from pareto_profiler.storage.opening import open_measurable

_RULES = Rules()


@command
def confirm(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    judging: JudgingOptions,
    now: WhereNow,
    budget: Annotated[int, typer.Option(min=1, help="Most trials to add.")] = 50,
    time: TimeOption = "",
    anchor_every: AnchorOption = _RULES.anchor_every,
    as_json: JsonOption = False,
) -> None:
    """Repeat measurements of a run until it is decided what is on its front.

    Repeats go to what is undecided and to what it is undecided against, in random order with the
    baseline in between, each in a fresh process. It ends when everything is decided or the budget
    is spent. The trials are added to the run.
    """
    recording = open_measurable(run)
    header = recording.header
    given = {name: value for name, value in judging.given.items() if value is not None}
    choices = choices_of(replace(header, **given), now.model, now.address, now.targets)
    seconds = spent_s(recording.trials) + seconds_of(time) if time else None
    limit = Budget(len(recording.trials) + budget, seconds)
    rules = Rules(
        anchor_every=anchor_every,
        # The machine may be quiet now: what was always disturbed is tried again.
        retries=_RULES.max_repeats,
        confirm_share=1.0,
        margin=choices.margin,
        confidence=choices.confidence,
        seed=choices.seed,
    )
    summary = measure(choices, limit, rules, run, None, as_json=as_json, space=header.space)
    left = [row for row in summary.measured if row.place.verdict is Verdict.INCONCLUSIVE]
    note(f"{len(left)} assignments are not decided" if left else "everything is decided")
    if any(row.untold for row in left):
        note("other work on the target disturbed their times: confirm again when it is over")

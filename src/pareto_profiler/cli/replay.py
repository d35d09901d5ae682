"""``pareto-profiler replay``: a search on a recorded table or a simulated device."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Final

import typer

from pareto_profiler.cli.exits import command_line, note
from pareto_profiler.cli.fronts import print_summary
from pareto_profiler.cli.options import (
    InsteadOption,
    JsonOption,
    SamplerOption,
    TableOptions,
    WithinOption,
    command,
)
from pareto_profiler.cli.report import leave_report
from pareto_profiler.cli.search import DEFAULT_SAMPLER
from pareto_profiler.cli.select import print_selection
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Sampler
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.space import readable
from pareto_profiler.core.trial import Failure
from pareto_profiler.effort import EFFORTS, EffortName
from pareto_profiler.errors import FailureKind, InputError
from pareto_profiler.exploration import sampler_of
from pareto_profiler.loop import Budget, MemoryJournal, search, verify
from pareto_profiler.quantities import seconds_of, split
from pareto_profiler.report.places import front_of
from pareto_profiler.report.selection import Goal, Limit, Selection
from pareto_profiler.report.summary import Summary
from pareto_profiler.runners.table import TableRunner
from pareto_profiler.simulation.families import PREFIX, Device
from pareto_profiler.simulation.runner import SimulatedRunner
from pareto_profiler.storage.journal import JOURNAL, Store
from pareto_profiler.storage.opening import open_recording

_LARGEST_TABLE = 1_000_000


_BUDGET: Final = EFFORTS[EffortName.NORMAL].budget


@command
def replay(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="A recorded run, a packed table, a CSV file, a result dump of ONE's tools, or a "
            "simulated device: simulated:NAME:SEED.",
        ),
    ],
    given: TableOptions,
    sampler: SamplerOption = DEFAULT_SAMPLER,
    budget: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most trials.",
            show_default=f"the whole space, of a huge one as many as the table has, or {_BUDGET}",
        ),
    ] = None,
    time: Annotated[
        str, typer.Option("--time", help="Most time on the device's clock, e.g. 10m.")
    ] = "",
    noise: Annotated[
        bool,
        typer.Option(
            "--noise",
            help="Draw answers from the recorded raw samples, so that they scatter as they did.",
        ),
    ] = False,
    objectives: InsteadOption = "",
    within: WithinOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the sampler, and of noise.")] = 0,
    output: Annotated[
        Path | None, typer.Option(help="Keep the replayed run in this new folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Search on a recorded table or a simulated device: offline mode.

    The same samplers, budget and summary as `search`, everything measured once. Its clock adds up
    recorded durations. What a table does not hold is a failure of kind not_recorded, which counts
    as a trial but takes no time; how many there were is said.
    """
    offline = _offline(table, given, split(objectives), seed=seed, has_noise=noise)
    origin = {"command": command_line()}
    header = replace(offline.header, sampler=sampler, seed=seed, origin=origin)
    seconds = seconds_of(time) if time else None
    if budget is None and seconds is None and header.space.size > _LARGEST_TABLE:
        budget = offline.trials or _BUDGET
        note(f"of {readable(header.space.size)} assignments: replaying {budget} trials")
    limits = Limit.beforehand(within or (), objectives_of(header.objectives))
    proposer = sampler_of(sampler, header, {x.objective.name: x.most for x in limits})
    if output is not None and (output / JOURNAL).exists():
        raise InputError(f"{output}: holds a run already; name a new folder")
    store = None if output is None else Store(output / JOURNAL, header)
    journal = MemoryJournal()
    try:
        _search(offline, header, proposer, journal, Budget(budget, seconds))
    finally:
        if store is not None:
            # Nothing here was measured, so a kill loses what can be computed again; no more.
            with closing(store):
                store.extend([*journal.trials, *journal.placements])
    recording = Recording(header, journal.trials, journal.placements)
    whole = offline.whole
    summary = Summary.of(recording, reference=whole.reference if whole else ())
    if not as_json:
        _say(summary, recording, offline)
    print_summary(summary, output, as_json=as_json)
    if output is not None:
        leave_report(summary, {"": recording}, output)
    if limits and not as_json:
        print_selection(Selection.of(summary, Goal.smallest(summary.objectives, limits)))


def _search(
    offline: _Offline, header: Header, proposer: Sampler, journal: MemoryJournal, limit: Budget
) -> None:
    runner, source = offline.runner, header.sampler
    for _ in search(header.space, proposer, runner, journal, limit, source=source, clock=runner):
        pass
    if not offline.is_placed:
        return
    for _ in verify(
        runner, journal, (), lambda placed: front_of(Recording(header, journal.trials, placed))
    ):
        pass


def _say(summary: Summary, recording: Recording, offline: _Offline) -> None:
    trials, whole = recording.trials, offline.whole
    spent = sum(t.duration_s for t in trials)
    said = f"{len(trials)} trials took {spent:.1f} s on its clock"
    if whole and whole.hypervolume:
        share = summary.hypervolume / whole.hypervolume
        said = (
            f"{len(trials)} trials on a table of {offline.trials} found {min(share, 1):.1%} of its "
            f"hypervolume, in {spent:.1f} s of recorded time"
        )
    note(said)
    missing = sum(
        isinstance(t.outcome, Failure) and t.outcome.kind is FailureKind.NOT_RECORDED
        for t in trials
    )
    if missing:
        note(f"{missing} of them are not in the table: counted as failures that take no time")


@dataclass(frozen=True)
class _Offline:
    """What is searched in place of a device.

    Attributes:
        header: Of the replayed run.
        runner: Answers.
        whole: All that a table holds.
        trials: How many these are.
        is_placed: Whether it knows of any operation where it ran.
    """

    header: Header
    runner: TableRunner | SimulatedRunner
    whole: Summary | None
    trials: int
    is_placed: bool


def _offline(
    table: str, given: TableOptions, objectives: tuple[str, ...], *, seed: int, has_noise: bool
) -> _Offline:
    wanted = objectives_of(objectives) if objectives else ()
    if table.startswith(PREFIX):
        if given.backends or given.baseline:
            raise InputError(f"{table}: a simulated device has backends and a baseline of its own")
        device = Device.of(table)
        names = tuple(o.name for o in wanted) or ("exec_time", "max_rss")
        if set(names) != {"exec_time", "max_rss"}:
            raise InputError(f"{table}: has exec_time and max_rss only")
        header = Header(device.name, "", device.space, names, target="table", graph=device.graph)
        return _Offline(
            header, device.runner(Plan(repeats=5, warmups=0), seed), None, 0, is_placed=False
        )
    recording = open_recording(Path(table), given.names, given.baseline)
    whole = Summary.of(recording, wanted)
    # Another target: a replayed run must never be continued on a real one.
    header = replace(
        recording.header,
        objectives=tuple(o.name for o in whole.objectives),
        target="table",
    )
    runner = TableRunner(
        header.space, recording.trials, recording.placements, seed if has_noise else None
    )
    return _Offline(
        header, runner, whole, len(recording.trials), is_placed=bool(recording.placements)
    )

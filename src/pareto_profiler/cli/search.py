"""``pareto-profiler search``, ``record`` and ``confirm``: from a model to a front."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from pareto_profiler.adapting import can_adapt
from pareto_profiler.blaming import first_refused
from pareto_profiler.cli.exits import command_line, note
from pareto_profiler.cli.explore import explore
from pareto_profiler.cli.fronts import print_joint, print_summary
from pareto_profiler.cli.live import LivePage
from pareto_profiler.cli.options import (
    DumpfileOption,
    EffortOption,
    JsonOption,
    LiveOption,
    MeasuringOptions,
    ModelArgument,
    ObjectivesOption,
    OutputOption,
    SamplerOption,
    SeedOption,
    SpaceOptions,
    TargetOptions,
    TimeOption,
    TrustOptions,
    WithinOption,
    command,
)
from pareto_profiler.cli.output import check_writable, write_file
from pareto_profiler.cli.report import leave_report
from pareto_profiler.cli.select import print_selection
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.rules import Rules
from pareto_profiler.core.space import DecisionSpace, readable
from pareto_profiler.effort import EFFORTS, Effort, EffortName
from pareto_profiler.errors import BaselineError, FailureKind, InputError, TargetError
from pareto_profiler.exploration import Exploration, opened, sampler_of
from pareto_profiler.jobs import Choices, Job, default_folder, folder_on, prepare
from pareto_profiler.jointly import OBJECTIVES, search_jointly
from pareto_profiler.loop import Budget
from pareto_profiler.models import load
from pareto_profiler.quantities import numbers_of, seconds_of, split
from pareto_profiler.report.beliefs import told_page_of
from pareto_profiler.report.joint import Joint
from pareto_profiler.report.records import seed_dump
from pareto_profiler.report.selection import Goal, Limit, Selection
from pareto_profiler.report.summary import Summary
from pareto_profiler.samplers.structured import StructuredSampler, carried_words
from pareto_profiler.shipping import check_no_model
from pareto_profiler.storage.opening import open_recording, open_runs
from pareto_profiler.storage.seed_formats import check_dumpable

DEFAULT_SAMPLER = "structured"
_LARGEST_TABLE = 1_000_000
_RULES = Rules()


@command
def search(
    model: ModelArgument,
    space: SpaceOptions,
    measuring: MeasuringOptions,
    trust: TrustOptions,
    where: TargetOptions,
    effort: EffortOption = EffortName.NORMAL,
    sampler: SamplerOption = DEFAULT_SAMPLER,
    budget: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most trials, counting those that the run has already. Every process is a trial: "
            "failures, repeats and traces, too.",
            show_default="as --effort says: 30, 100, 300; with --time no limit",
        ),
    ] = None,
    time: TimeOption = "",
    seed: SeedOption = 0,
    objectives: ObjectivesOption = "",
    confirm: Annotated[
        bool,
        typer.Option(
            help="Keep at least a quarter of the budget for repeats of what may be on the front.",
            rich_help_panel="Trust",
        ),
    ] = True,
    within: WithinOption = None,
    start_from: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="RUN",
            help="Start from what another run of the same choices learned, such as one of another "
            "device, as far as it predicts what is measured here.",
            show_default=False,
        ),
    ] = None,
    output: OutputOption = None,
    dumpfile: DumpfileOption = None,
    is_live: LiveOption = False,
    as_json: JsonOption = False,
) -> None:
    """Search for the Pareto front of a model, here or on a target.

    Measures the baseline (all on the first backend) and the uniform assignments, then what the
    sampler proposes, each in a fresh process. Every finished trial is kept at once: interrupt it
    whenever you like and run the same command again to go on.
    """
    seconds = seconds_of(time) if time else None
    usual = EFFORTS[effort]
    limit = Budget(usual.budget if budget is None and seconds is None else budget, seconds)
    runtimes = split(where.runtime)
    if len(runtimes) > 1 and dumpfile is not None:
        raise InputError("dumpfile: ONE's format is of one runtime, name a single --runtime")
    default = OBJECTIVES if len(runtimes) > 1 else Choices(model).objectives
    names = [o.name for o in objectives_of(split(objectives) or default)]
    rules = trust.rules(seed, _RULES.confirm_share if confirm else 0.0)
    if within and len(runtimes) > 1:
        raise InputError("--within: is for the search of one runtime, name a single --runtime")
    if start_from is not None and len(runtimes) > 1:
        raise InputError("--from: is for the search of one runtime, name a single --runtime")
    source = None if start_from is None else open_recording(start_from)
    limits = Limit.beforehand(within or (), objectives_of(names))
    rules = replace(rules, within={x.objective.name: x.most for x in limits})
    choices = _choices(model, space, measuring, where, rules, names, sampler, usual)
    with LivePage() if is_live else nullcontext() as live:
        if live is not None:
            note(f"live page: {live.url}")
        if len(runtimes) > 1:
            _measure_jointly(runtimes, choices, limit, rules, output, live, as_json=as_json)
            return
        summary = measure(
            choices,
            limit,
            rules,
            output,
            dumpfile,
            live,
            as_json=as_json,
            limits=limits,
            source=source,
        )
        if limits and not as_json:
            print_selection(Selection.of(summary, Goal.smallest(summary.objectives, limits)))


@command
def record(
    model: ModelArgument,
    space: SpaceOptions,
    measuring: MeasuringOptions,
    trust: TrustOptions,
    where: TargetOptions,
    objectives: ObjectivesOption = "exec_time,max_rss",
    seed: SeedOption = 0,
    output: OutputOption = None,
    dumpfile: DumpfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure every feasible assignment: a table for `replay`; ONE's brute_force_profiler.

    Resumable like `search`.
    """
    rules = trust.rules(seed, 0.0)
    names = [o.name for o in objectives_of(split(objectives))]
    choices = _choices(model, space, measuring, where, rules, names, "exhaustive")
    measure(choices, Budget(), rules, output, dumpfile, as_json=as_json, largest=_LARGEST_TABLE)


def _choices(
    model: Path,
    space: SpaceOptions,
    measuring: MeasuringOptions,
    where: TargetOptions,
    rules: Rules,
    objectives: Sequence[str],
    sampler: str,
    effort: Effort = EFFORTS[EffortName.NORMAL],
) -> Choices:
    return Choices(
        model=model,
        granularity=space.granularity or effort.granularity,
        backends=split(space.backends),
        oplist=space.oplist,
        adapt=space.adapt,
        vary=split(space.vary),
        only=numbers_of(space.only) if space.only else (),
        allow=space.allow or (),
        forbid=space.forbid or (),
        objectives=objectives,
        plan=effort.planned(measuring.plan()),
        input_file=measuring.input_file,
        input_shapes=measuring.input_shape or (),
        sampler=sampler,
        seed=rules.seed,
        margin=rules.margin,
        confidence=rules.confidence,
        command=command_line(),
        **where.chosen,
    )


def _measure_jointly(
    runtimes: Sequence[str],
    choices: Choices,
    budget: Budget,
    rules: Rules,
    output: Path | None,
    live: LivePage | None,
    *,
    as_json: bool,
) -> None:
    def on(exploration: Exploration, limit: Budget, share: float) -> None:
        job = exploration.job
        what = "repeats of what is undecided" if share else f"to {limit.trials} trials"
        note(f"{job.runtime.name}: {what}")
        sampler = sampler_of(choices.sampler, job.header)

        def show() -> None:
            if live is not None:
                live.offer(lambda: _joint_page(exploration.folder.parent))

        explore(exploration, sampler, limit, replace(rules, confirm_share=share), show)

    joint, folder = search_jointly(
        runtimes, choices, budget, on, output, confirm_share=rules.confirm_share
    )
    print_joint(joint, folder, as_json=as_json)
    note(f"results: {folder} (again: {shlex.join(['pareto-profiler', 'show', str(folder)])})")
    leave_report(joint, open_runs(folder), folder)
    if live is not None:
        live.offer(lambda: _joint_page(folder), is_last=True)


def _joint_page(folder: Path) -> tuple[int, str]:
    runs = open_runs(folder)
    made = sum(len(run.trials) for run in runs.values())
    return made, told_page_of(Joint.of(runs), runs, str(folder), live="trials")


def _page(recording: Recording, folder: Path) -> tuple[int, str]:
    page = told_page_of(Summary.of(recording), {"": recording}, str(folder), live="trials")
    return len(recording.trials), page


def measure(
    choices: Choices,
    budget: Budget,
    rules: Rules,
    output: Path | None,
    dumpfile: Path | None,
    live: LivePage | None = None,
    *,
    as_json: bool,
    largest: int | None = None,
    space: DecisionSpace | None = None,
    limits: Sequence[Limit] = (),
    source: Recording | None = None,
) -> Summary:
    """Search, verify and print; what was there goes on."""
    with prepare(choices, space) as job:
        _check(job, dumpfile, largest)
        sampler = sampler_of(choices.sampler, job.header, rules.within, source)
        folder = output or default_folder(job.header)
        with opened(job, folder) as exploration:
            made = len(exploration.store.trials)
            if made:
                note(f"going on in {folder}: {made} trials are there")
            if made and budget.trials is not None and made >= budget.trials:
                note(f"the budget of {budget.trials} trials is spent already")

            def show() -> None:
                if live is not None:
                    live.offer(lambda: _page(exploration.recording, folder))

            try:
                explore(exploration, sampler, budget, rules, show)
            except BaselineError as error:
                raise _blamed(job, error, is_new=not made) from error
            recording = exploration.recording
    if source is not None and isinstance(sampler, StructuredSampler):
        note(f"from {source.header.target}: {carried_words(sampler.trusts())}")
    if dumpfile is not None:
        write_file(dumpfile, seed_dump(recording))
    # Of what was asked for now: the header has the objectives that the search began with.
    objectives = job.header.objectives
    summary = Summary.of(
        recording,
        objectives_of(objectives),
        margin=choices.margin,
        confidence=choices.confidence,
    )
    print_summary(summary, folder, limits, as_json=as_json)
    note(f"results: {folder} (again: {_again(folder, job.header, recording.header)})")
    leave_report(summary, {"": recording}, folder, limits)
    if live is not None:
        live.offer(lambda: _page(recording, folder), is_last=True)
    return summary


def _again(folder: Path, now: Header, kept: Header) -> str:
    """What shows the same again, if the run began with other objectives or is judged otherwise."""
    words = ["pareto-profiler", "show", str(folder)]
    if now.objectives != kept.objectives:
        words += ["--objectives", ",".join(now.objectives)]
    if now.margin != kept.margin:
        words += ["--margin", f"{now.margin:g}"]
    if now.confidence != kept.confidence:
        words += ["--confidence", f"{now.confidence:g}"]
    return shlex.join(words)


def _blamed(job: Job, error: BaselineError, *, is_new: bool) -> TargetError:
    """The error, with the operation that the runtime refuses where it does not say which."""
    graph = job.model.graph
    if free := job.header.graph.free_inputs if job.header.graph else ():
        shape = "×".join(map(str, free[0].shape))
        sizes = f"{free[0].name!r} has free sizes and was measured at {shape}: give --input-shape"
        return TargetError(f"{error}; {sizes}{', or --adapt' if can_adapt(graph) else ''}")
    names = {name for o in graph.operations for name in (o.name, o.builtin)}
    is_named = any(re.search(rf"\b{re.escape(name)}\b", str(error)) for name in names)
    if not is_new or error.kind is not FailureKind.REJECTED or is_named:
        return error
    dtypes = {graph.tensors[t].dtype for t in graph.inputs}
    if "input" not in job.header.origin and dtypes & {"int32", "int64"}:
        note("its integer inputs were drawn at random: if that is why it fails, give --input")
    found = next((o for o in graph.operations if o.problem), None)
    if found is None:
        note("the runtime does not say which operation it refuses: trying beginnings of the model")
        found = first_refused(
            job, folder_on(job.target, f"beginnings by {os.getpid()}"), str(error)
        )
    if found is None:
        return error
    why = f" ({found.problem})" if found.problem else ""
    advice = "--adapt rewrites it"
    if can_adapt(graph) and load(job.model.path).graph.free_inputs:
        advice = "--adapt fixes the sizes that the model leaves free"
    elif not can_adapt(graph) or found.builtin not in job.runtime.rewrites or graph.original:
        advice = "try another --runtime"
    return TargetError(
        f"{error}; the first operation that it refuses is @{found.index} {found.builtin}{why}: "
        f"{advice}"
    )


def _check(job: Job, dumpfile: Path | None, largest: int | None) -> None:
    space = job.header.space
    if dumpfile is not None:
        check_no_model(dumpfile, job.header)
        check_writable(dumpfile)
        check_dumpable(space)
    if largest is not None and space.size > largest:
        raise InputError(
            f"the space has {readable(space.size)} assignments, at most {largest:,} are recorded: "
            f"take a coarser granularity, or search"
        )

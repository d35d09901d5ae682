"""``pareto-profiler search``, ``record`` and ``replay``: from a model or a table to a front."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareto_profiler.cli.exits import command_line, reporting_errors
from pareto_profiler.cli.show import (
    BackendsOfDumpOption,
    BaselineOption,
    ConfidenceShownOption,
    MarginShownOption,
)
from pareto_profiler.core.plan import Plan, cpus_of
from pareto_profiler.core.rules import CONFIDENCE, MARGIN, ONE_SHOT, Rules
from pareto_profiler.core.space import Granularity, readable
from pareto_profiler.errors import InputError, TargetError
from pareto_profiler.runtimes import RUNTIMES

if TYPE_CHECKING:
    from pareto_profiler.cli.assembly import Choices, Job
    from pareto_profiler.core.ports import Sampler
    from pareto_profiler.core.recording import Header, Recording
    from pareto_profiler.core.space import DecisionSpace
    from pareto_profiler.report.summary import Summary
    from pareto_profiler.runners.simulated import SimulatedRunner
    from pareto_profiler.runners.table import TableRunner
    from pareto_profiler.runtimes.base import Engine
    from pareto_profiler.search import Budget
    from pareto_profiler.store import Store

DEFAULT_SAMPLER = "structured"
_DEFAULT_BUDGET = 100
_LARGEST_TABLE = 1_000_000
_OBJECTIVES = "exec_time,max_rss"
_PLAN = Plan()
_RULES = Rules()


def _sampler_names() -> list[str]:
    from pareto_profiler.samplers import SAMPLERS

    return list(SAMPLERS)


def target_names() -> list[str]:
    """What completes the name of a target."""
    from pareto_profiler.targets import targets

    return list(targets())


ModelArgument = Annotated[
    Path,
    typer.Argument(metavar="MODEL", help="A .tflite or .circle file, or an nnpackage directory."),
]
GranularityOption = Annotated[
    Granularity,
    typer.Option(
        help="What shares a backend: operations of one name, of one name and data size (index), "
        "or none (operation).",
        rich_help_panel="Space",
    ),
]
BackendsOption = Annotated[
    str,
    typer.Option(
        help="Backends to choose from, comma-separated, the baseline's first.",
        show_default="all that the runtime has",
        rich_help_panel="Space",
    ),
]
OplistOption = Annotated[
    Path | None,
    typer.Option(
        help="Take grouping and order from an oplist.json, so that ids can be compared with the "
        "original tool's; replaces --granularity.",
        rich_help_panel="Space",
    ),
]
VaryOption = Annotated[
    str,
    typer.Option(
        help="Runtime settings to search over as well, comma-separated: threads (1, 2, 4 … up to "
        "the cores), executor (Linear, Dataflow, Parallel), memory_planner (WIC, FirstFit, Bump), "
        "use_mmaped_data (0, 1).",
        show_default="none",
        rich_help_panel="Space",
    ),
]
OnlyOption = Annotated[
    str,
    typer.Option(
        help="Decide only these operations, such as 3-8,10 (their numbers: inspect); all others "
        "stay on the baseline's backend.",
        show_default="all",
        rich_help_panel="Space",
    ),
]
AllowOption = Annotated[
    list[str] | None,
    typer.Option(
        help="BACKEND:OPERATION to try whatever the support tables say, e.g. ruy:Softmax or ruy:*; "
        "may be repeated.",
        rich_help_panel="Space",
    ),
]
ForbidOption = Annotated[
    list[str] | None,
    typer.Option(help="BACKEND:OPERATION never to try; may be repeated.", rich_help_panel="Space"),
]
ObjectivesOption = Annotated[
    str,
    typer.Option(
        help="Two or more of exec_time, max_rss, model_rss, prepare_time, first_run_time, "
        "cpu_time, output_error, energy.",
        rich_help_panel="Measuring",
    ),
]
RepeatsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100_000,
        help="Exactly that many timed runs per process.",
        show_default="as many as --precision takes",
        rich_help_panel="Measuring",
    ),
]
WarmupsOption = Annotated[
    int | None,
    typer.Option(
        min=0,
        max=100_000,
        help="Exactly that many runs before them, after the first one.",
        show_default="until they get no faster",
        rich_help_panel="Measuring",
    ),
]
PrecisionOption = Annotated[
    str,
    typer.Option(
        help="Runs are repeated until the standard error of their median is below that.",
        show_default=f"{100 * _PLAN.precision:g}%",
        rich_help_panel="Measuring",
    ),
]
MinRepeatsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100_000,
        help="At least that many timed runs per process.",
        show_default=f"{_PLAN.min_repeats}",
        rich_help_panel="Measuring",
    ),
]
MaxRepeatsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=100_000,
        help="At most that many.",
        show_default=f"{_PLAN.max_repeats}",
        rich_help_panel="Measuring",
    ),
]
RunTimeOption = Annotated[
    str,
    typer.Option(
        help="Time of timed runs per process after which the least number of them is enough.",
        show_default=f"{_PLAN.run_time_s:g}s",
        rich_help_panel="Measuring",
    ),
]
AnchorOption = Annotated[
    int,
    typer.Option(
        "--anchor-every",
        min=0,
        max=100_000,
        help="Trials after which the baseline is measured again, to see drift; 0 for never.",
        rich_help_panel="Trust",
    ),
]
RetriesOption = Annotated[
    int,
    typer.Option(
        min=0,
        max=1000,
        help="How often an assignment is measured again that other work on the target disturbed.",
        rich_help_panel="Trust",
    ),
]
ConfirmOption = Annotated[
    bool,
    typer.Option(
        help="Keep a quarter of the budget for repeats of what may be on the front.",
        rich_help_panel="Trust",
    ),
]
MarginOption = Annotated[
    str,
    typer.Option(
        help="Differences below that are nothing: 1%, or 0 for strict dominance.",
        show_default=f"{100 * MARGIN:g}%",
        rich_help_panel="Trust",
    ),
]
ConfidenceOption = Annotated[
    str,
    typer.Option(
        help="Of each verdict on what is on the front.",
        show_default=f"{100 * CONFIDENCE:g}%",
        rich_help_panel="Trust",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=1024,
        help="Threads each backend may use, where --vary does not vary them.",
        show_default=f"{_PLAN.threads}, or as the target says",
        rich_help_panel="Measuring",
    ),
]
InputOption = Annotated[
    Path | None,
    typer.Option(
        "--input",
        help="Input tensors: .npy, .npz or .h5.",
        show_default="the nnpackage's own, else random",
        rich_help_panel="Measuring",
    ),
]
ToleranceOption = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        help="Largest accepted difference from the baseline's output, as a fraction of its range.",
        show_default=f"{_PLAN.tolerance}, or as the target says",
        rich_help_panel="Measuring",
    ),
]
TimeLimitOption = Annotated[
    str,
    typer.Option(
        help="Per assignment, e.g. 30s.",
        show_default=f"{_PLAN.time_limit_s:.0f}s, or as the target says",
        rich_help_panel="Measuring",
    ),
]
CpusOption = Annotated[
    str,
    typer.Option(
        help="Processors that a measured process may run on, e.g. 4-7, or all.",
        show_default="all, or as the target says",
        rich_help_panel="Measuring",
    ),
]
PauseOption = Annotated[
    str,
    typer.Option(
        help="Rest before each process, e.g. 0.5s, for a device that heats up.",
        show_default="none, or as the target says",
        rich_help_panel="Measuring",
    ),
]
MemoryLimitOption = Annotated[
    str,
    typer.Option(
        help="Data memory a measured process may take, e.g. 300MB.",
        show_default="no limit",
        rich_help_panel="Measuring",
    ),
]
LibraryOption = Annotated[
    str,
    typer.Option(
        help="The runtime's library on the target, or the folder it is in.",
        show_default="the target's, here the runtime's wheel",
        rich_help_panel="Target",
    ),
]
RuntimeOption = Annotated[
    str,
    typer.Option(
        "--runtime",
        help="What runs the model: " + ", ".join(RUNTIMES) + "; several, comma-separated, are "
        "searched together, the first one's baseline is that of all.",
        show_default=next(iter(RUNTIMES)),
        rich_help_panel="Target",
        autocompletion=lambda: list(RUNTIMES),
    ),
]
TargetOption = Annotated[
    str,
    typer.Option(
        help="Where to measure: local, odroid, tizen, android, or a name of targets.toml.",
        rich_help_panel="Target",
        autocompletion=target_names,
    ),
]
AddressOption = Annotated[
    str,
    typer.Option(
        help="Of the target: user@host for ssh, a serial or host:port for sdb and adb.",
        show_default="as targets.toml says",
        rich_help_panel="Target",
    ),
]
TargetsOption = Annotated[
    Path | None,
    typer.Option(
        help="File with the targets.",
        show_default="targets.toml here, else in ~/.config/pareto-profiler",
        rich_help_panel="Target",
    ),
]
SamplerOption = Annotated[
    str,
    typer.Option(
        help="Who proposes assignments: structured, which learns what operations and copies "
        "between backends cost; random, exhaustive, local, hlps, nsga2, spea2, tpe, qnehvi.",
        autocompletion=_sampler_names,
    ),
]
TimeOption = Annotated[
    str, typer.Option("--time", help="Most time for all trials together, e.g. 10m.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Of the sampler and of random inputs.")]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        help="Folder of the run; running the same command again goes on there.",
        show_default="in pareto-runs, named after the search",
    ),
]
DumpfileOption = Annotated[
    Path | None,
    typer.Option(help="Write the result in the format of ONE's pareto_profiler there, too."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@reporting_errors
def search(
    model: ModelArgument,
    granularity: GranularityOption = Granularity.NAME,
    backends: BackendsOption = "",
    vary: VaryOption = "",
    only: OnlyOption = "",
    oplist: OplistOption = None,
    allow: AllowOption = None,
    forbid: ForbidOption = None,
    sampler: SamplerOption = DEFAULT_SAMPLER,
    budget: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most trials, those of earlier runs of the same search included. Each is one "
            "process, also if it fails, repeats or traces.",
            show_default=f"{_DEFAULT_BUDGET}, with --time no limit",
        ),
    ] = None,
    time: TimeOption = "",
    seed: SeedOption = 0,
    objectives: ObjectivesOption = "",
    repeats: RepeatsOption = None,
    warmups: WarmupsOption = None,
    precision: PrecisionOption = "",
    min_repeats: MinRepeatsOption = None,
    max_repeats: MaxRepeatsOption = None,
    run_time: RunTimeOption = "",
    threads: ThreadsOption = None,
    input_file: InputOption = None,
    tolerance: ToleranceOption = None,
    time_limit: TimeLimitOption = "",
    memory_limit: MemoryLimitOption = "",
    cpus: CpusOption = "",
    pause: PauseOption = "",
    anchor_every: AnchorOption = _RULES.anchor_every,
    retries: RetriesOption = _RULES.retries,
    confirm: ConfirmOption = True,
    margin: MarginOption = "",
    confidence: ConfidenceOption = "",
    runtime: RuntimeOption = "",
    library: LibraryOption = "",
    target: TargetOption = "local",
    address: AddressOption = "",
    targets: TargetsOption = None,
    output: OutputOption = None,
    dumpfile: DumpfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Search for the Pareto front of a model, here or on a target.

    Measures the baseline (all on the first backend) and the uniform assignments, then what the
    sampler proposes, each in a fresh process. Every finished trial is kept at once: interrupt it
    whenever you like and run the same command again to go on.
    """
    from pareto_profiler.cli.assembly import Choices, seconds_of, split
    from pareto_profiler.cli.joint import OBJECTIVES
    from pareto_profiler.search import Budget

    seconds = seconds_of(time) if time else None
    if budget is None and seconds is None:
        budget = _DEFAULT_BUDGET
    names = split(runtime)
    if len(names) > 1 and dumpfile is not None:
        raise InputError("dumpfile: ONE's format is of one runtime, name a single --runtime")
    objectives = objectives or (OBJECTIVES if len(names) > 1 else _OBJECTIVES)
    choices = Choices(
        model=model,
        granularity=granularity,
        backends=backends,
        oplist=oplist,
        vary=vary,
        only=only,
        allow=allow or (),
        forbid=forbid or (),
        objectives=objectives,
        plan=plan_of(
            repeats=repeats,
            warmups=warmups,
            precision=precision,
            min_repeats=min_repeats,
            max_repeats=max_repeats,
            run_time=run_time,
            threads=threads,
            tolerance=tolerance,
            time_limit=time_limit,
            memory_limit=memory_limit,
            cpus=cpus,
            pause=pause,
        ),
        input_file=input_file,
        runtime=runtime,
        library=library,
        target=target,
        address=address,
        targets_file=targets,
        sampler=sampler,
        seed=seed,
        margin=_margin(margin),
        confidence=_confidence(confidence),
    )
    rules = replace(
        _rules(choices, anchor_every, retries),
        confirm_share=_RULES.confirm_share if confirm else 0.0,
    )
    if len(names) > 1:
        _measure_jointly(names, choices, Budget(budget, seconds), rules, output, as_json=as_json)
        return
    _measure(choices, Budget(budget, seconds), rules, output, dumpfile, as_json=as_json)


@reporting_errors
def record(
    model: ModelArgument,
    granularity: GranularityOption = Granularity.NAME,
    backends: BackendsOption = "",
    vary: VaryOption = "",
    only: OnlyOption = "",
    oplist: OplistOption = None,
    allow: AllowOption = None,
    forbid: ForbidOption = None,
    objectives: ObjectivesOption = "exec_time,max_rss",
    repeats: RepeatsOption = None,
    warmups: WarmupsOption = None,
    precision: PrecisionOption = "",
    min_repeats: MinRepeatsOption = None,
    max_repeats: MaxRepeatsOption = None,
    run_time: RunTimeOption = "",
    threads: ThreadsOption = None,
    input_file: InputOption = None,
    tolerance: ToleranceOption = None,
    time_limit: TimeLimitOption = "",
    memory_limit: MemoryLimitOption = "",
    cpus: CpusOption = "",
    pause: PauseOption = "",
    anchor_every: AnchorOption = _RULES.anchor_every,
    retries: RetriesOption = _RULES.retries,
    margin: MarginOption = "",
    confidence: ConfidenceOption = "",
    runtime: RuntimeOption = "",
    library: LibraryOption = "",
    target: TargetOption = "local",
    address: AddressOption = "",
    targets: TargetsOption = None,
    seed: SeedOption = 0,
    output: OutputOption = None,
    dumpfile: DumpfileOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure every feasible assignment: a table for `replay`; ONE's brute_force_profiler.

    Resumable like `search`.
    """
    from pareto_profiler.cli.assembly import Choices
    from pareto_profiler.search import Budget

    choices = Choices(
        model=model,
        granularity=granularity,
        backends=backends,
        oplist=oplist,
        vary=vary,
        only=only,
        allow=allow or (),
        forbid=forbid or (),
        objectives=objectives,
        plan=plan_of(
            repeats=repeats,
            warmups=warmups,
            precision=precision,
            min_repeats=min_repeats,
            max_repeats=max_repeats,
            run_time=run_time,
            threads=threads,
            tolerance=tolerance,
            time_limit=time_limit,
            memory_limit=memory_limit,
            cpus=cpus,
            pause=pause,
        ),
        input_file=input_file,
        runtime=runtime,
        library=library,
        target=target,
        address=address,
        targets_file=targets,
        sampler="exhaustive",
        seed=seed,
        margin=_margin(margin),
        confidence=_confidence(confidence),
    )
    rules = replace(_rules(choices, anchor_every, retries), confirm_share=0.0)
    _measure(choices, Budget(), rules, output, dumpfile, as_json=as_json, largest=_LARGEST_TABLE)


@reporting_errors
def confirm(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.")],
    budget: Annotated[int, typer.Option(min=1, help="Most further trials.")] = 50,
    time: TimeOption = "",
    margin: MarginShownOption = "",
    confidence: ConfidenceShownOption = "",
    anchor_every: AnchorOption = _RULES.anchor_every,
    model: Annotated[
        Path | None, typer.Option(help="The model, where it is no longer where it was.")
    ] = None,
    address: AddressOption = "",
    targets: TargetsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Repeat measurements of a run until it is decided what is on its front.

    Repeats go to what is undecided and to what it is undecided against, in random order with the
    baseline in between, each in a fresh process. It ends when everything is decided or the budget
    is spent. The trials are added to the run.
    """
    from pareto_profiler.cli.assembly import seconds_of
    from pareto_profiler.cli.output import note
    from pareto_profiler.core.membership import Verdict
    from pareto_profiler.search import Budget

    recording = reopened(run)
    choices = choices_again(recording, model, address, targets)
    choices = replace(
        choices,
        margin=_margin(margin) if margin else choices.margin,
        confidence=_confidence(confidence) if confidence else choices.confidence,
    )
    seconds = seconds_of(time) if time else None
    spent_s = sum(t.duration_s + t.rested_s for t in recording.trials)
    whole = Budget(len(recording.trials) + budget, None if seconds is None else spent_s + seconds)
    # The machine may be quiet now: what was always disturbed is tried again.
    rules = replace(_rules(choices, anchor_every, _RULES.max_repeats), confirm_share=1.0)
    summary = _measure(
        choices, whole, rules, run, None, as_json=as_json, space=recording.header.space
    )
    left = sum(row.place.verdict is Verdict.INCONCLUSIVE for row in summary.measured)
    note(f"{left} assignments are not decided" if left else "everything is decided")


def reopened(run: Path) -> Recording:
    """A run that is to go on where it was measured.

    Raises:
        InputError: It cannot.
    """
    from pareto_profiler.store import is_journal, read

    if run.exists() and not is_journal(run):
        raise InputError(f"{run}: neither the folder of a run nor a journal: only these go on")
    recording = read(run)
    if recording.header.target == "table":
        raise InputError(f"{run}: was replayed from a table: there is nothing to measure again")
    return recording


def choices_again(
    recording: Recording, model: Path | None, address: str, targets: Path | None
) -> Choices:
    """What a run was made with, but for what is somewhere else now."""
    from pareto_profiler.cli.assembly import choices_of

    header = recording.header
    origin = dict(header.origin) | ({"model": str(model)} if model else {})
    choices = choices_of(replace(header, origin=origin))
    return replace(
        choices,
        address=address or choices.address,
        targets_file=targets or choices.targets_file,
    )


@reporting_errors
def replay(
    table: Annotated[
        str,
        typer.Argument(
            metavar="TABLE",
            help="A recorded run, a packed table, a CSV file, a result dump of ONE's tools, or a "
            "simulated device: simulated:FAMILY:SEED.",
        ),
    ],
    sampler: SamplerOption = DEFAULT_SAMPLER,
    budget: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Most trials.",
            show_default=f"the whole space, of a huge one as many as the table has, or "
            f"{_DEFAULT_BUDGET}",
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
    objectives: Annotated[
        str, typer.Option(help="Instead of the recorded ones.", show_default=False)
    ] = "",
    seed: Annotated[int, typer.Option(min=0, help="Of the sampler, and of noise.")] = 0,
    backends: BackendsOfDumpOption = "",
    baseline: BaselineOption = "",
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
    from pareto_profiler.cli.assembly import seconds_of
    from pareto_profiler.cli.output import note, print_summary
    from pareto_profiler.cli.report import leave_report
    from pareto_profiler.core.recording import Recording
    from pareto_profiler.core.trial import Failure
    from pareto_profiler.errors import FailureKind
    from pareto_profiler.report.places import front_of
    from pareto_profiler.report.summary import Summary
    from pareto_profiler.search import Budget, MemoryJournal, verify
    from pareto_profiler.search import search as run_search
    from pareto_profiler.store import JOURNAL, Store

    offline = _offline(table, backends, baseline, objectives, seed=seed, has_noise=noise)
    origin = {"command": command_line()}
    header = replace(offline.header, sampler=sampler, seed=seed, origin=origin)
    seconds = seconds_of(time) if time else None
    if budget is None and seconds is None and header.space.size > _LARGEST_TABLE:
        budget = offline.trials or _DEFAULT_BUDGET
        note(f"of {readable(header.space.size)} assignments: replaying {budget} trials")
    proposer = make_sampler(sampler, header)
    if output is not None and (output / JOURNAL).exists():
        raise InputError(f"{output}: holds a run already; name a new folder")
    journal = MemoryJournal() if output is None else Store(output / JOURNAL, header)
    runner = offline.runner
    for _ in run_search(
        header.space,
        proposer,
        runner,
        journal,
        Budget(budget, seconds),
        source=sampler,
        clock=runner,
    ):
        pass
    for _ in verify(
        runner, journal, (), lambda placed: front_of(Recording(header, journal.trials, placed))
    ):
        pass
    whole = offline.whole
    summary = Summary.of(
        Recording(header, journal.trials, journal.placements),
        reference=whole.reference if whole else (),
    )
    if not as_json:
        spent = sum(t.duration_s for t in journal.trials)
        said = f"{len(journal.trials)} trials took {spent:.1f} s on its clock"
        if whole and whole.hypervolume:
            share = summary.hypervolume / whole.hypervolume
            said = (
                f"{len(journal.trials)} trials on a table of {offline.trials} found {share:.1%} of "
                f"its hypervolume, in {spent:.1f} s of recorded time"
            )
        note(said)
        missing = sum(
            isinstance(t.outcome, Failure) and t.outcome.kind is FailureKind.NOT_RECORDED
            for t in journal.trials
        )
        if missing:
            note(f"{missing} of them are not in the table: counted as failures that take no time")
    print_summary(summary, as_json=as_json)
    if output is not None:
        leave_report(Recording(header, journal.trials, journal.placements), summary, output)


@dataclass(frozen=True)
class _Offline:
    """What is searched in place of a device."""

    header: Header
    runner: TableRunner | SimulatedRunner
    whole: Summary | None
    trials: int


def _offline(
    table: str, backends: str, baseline: str, objectives: str, *, seed: int, has_noise: bool
) -> _Offline:
    from pareto_profiler.cli.assembly import split
    from pareto_profiler.cli.show import open_recording
    from pareto_profiler.core.measurement import objectives_of
    from pareto_profiler.core.recording import Header
    from pareto_profiler.report.summary import Summary
    from pareto_profiler.runners.devices import PREFIX, Device
    from pareto_profiler.runners.table import TableRunner

    wanted = objectives_of(split(objectives)) if objectives else ()
    if table.startswith(PREFIX):
        if backends or baseline:
            raise InputError(f"{table}: a simulated device has backends and a baseline of its own")
        device = Device.of(table)
        names = tuple(o.name for o in wanted) or ("exec_time", "max_rss")
        if set(names) != {"exec_time", "max_rss"}:
            raise InputError(f"{table}: has exec_time and max_rss only")
        header = Header(device.name, "", device.space, names, target="table", graph=device.graph)
        return _Offline(header, device.runner(Plan(repeats=5, warmups=0), seed), None, 0)
    recording = open_recording(Path(table), backends, baseline)
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
    return _Offline(header, runner, whole, len(recording.trials))


def _margin(text: str) -> float:
    from pareto_profiler.cli.assembly import fraction_of

    return fraction_of(text) if text else MARGIN


def _confidence(text: str) -> float:
    from pareto_profiler.cli.assembly import confidence_of

    return confidence_of(text) if text else CONFIDENCE


def _rules(choices: Choices, anchor_every: int, retries: int) -> Rules:
    return Rules(
        anchor_every=anchor_every,
        retries=retries,
        margin=choices.margin,
        confidence=choices.confidence,
        seed=choices.seed,
    )


def plan_of(
    *,
    repeats: int | None = None,
    warmups: int | None = None,
    precision: str = "",
    min_repeats: int | None = None,
    max_repeats: int | None = None,
    run_time: str = "",
    threads: int | None = None,
    tolerance: float | None = None,
    time_limit: str = "",
    memory_limit: str = "",
    cpus: str = "",
    pause: str = "",
) -> dict[str, Any]:
    """What the options say about the plan; what they leave out is the target's business.

    Raises:
        InputError: A duration, a size, the tolerance or the processors make no sense.
    """
    from pareto_profiler.cli.assembly import fraction_of, kib_of, seconds_of

    if repeats is not None and (precision or min_repeats or max_repeats):
        raise InputError(
            "repeats: give either an exact number, or a precision with least and most repeats"
        )
    if (min_repeats or _PLAN.min_repeats) > (max_repeats or _PLAN.max_repeats):
        raise InputError(
            f"repeats: at least {min_repeats or _PLAN.min_repeats} are more than at most "
            f"{max_repeats or _PLAN.max_repeats}"
        )
    if tolerance is not None and not math.isfinite(tolerance):
        raise InputError(f"tolerance {tolerance}: expected a fraction of an output's range")
    if cpus and cpus != "all":
        cpus_of(cpus)
    given = {
        "repeats": repeats,
        "warmups": warmups,
        "precision": fraction_of(precision) if precision else None,
        "min_repeats": min_repeats,
        "max_repeats": max_repeats,
        "run_time_s": seconds_of(run_time) if run_time else None,
        "threads": threads,
        "tolerance": tolerance,
        "time_limit_s": seconds_of(time_limit) if time_limit else None,
        "memory_limit_kib": kib_of(memory_limit) or None,
        "cpus": ("" if cpus == "all" else cpus) if cpus else None,
        "pause_s": (0.0 if pause in {"0", "0s"} else seconds_of(pause)) if pause else None,
    }
    return {name: value for name, value in given.items() if value is not None}


def _measure_jointly(
    names: Sequence[str],
    choices: Choices,
    budget: Budget,
    rules: Rules,
    output: Path | None,
    *,
    as_json: bool,
) -> None:
    from pareto_profiler.cli.joint import again, search_jointly
    from pareto_profiler.cli.output import note, print_joint

    def on(
        job: Job, engine: Engine, store: Store, folder: Path, limit: Budget, share: float
    ) -> None:
        mine = replace(rules, confirm_share=share)
        explore(job, engine, make_sampler(choices.sampler, job.header), store, folder, limit, mine)

    joint, folder = search_jointly(
        names, choices, budget, on, output, confirm_share=rules.confirm_share
    )
    print_joint(joint, as_json=as_json)
    note(f"results: {folder} (again: {again(folder)})")


def _measure(
    choices: Choices,
    budget: Budget,
    rules: Rules,
    output: Path | None,
    dumpfile: Path | None,
    *,
    as_json: bool,
    largest: int | None = None,
    space: DecisionSpace | None = None,
) -> Summary:
    from pareto_profiler.cli.assembly import prepare
    from pareto_profiler.cli.output import note, print_summary, write_file
    from pareto_profiler.cli.report import leave_report
    from pareto_profiler.cli.show import seed_dump
    from pareto_profiler.core.measurement import objectives_of
    from pareto_profiler.report.summary import Summary

    job = prepare(choices, space)
    try:
        recording, folder = _run(choices, job, budget, rules, output, dumpfile, largest)
    finally:
        job.shell.close()
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
    print_summary(summary, as_json=as_json)
    again = ["pareto-profiler", "show", str(folder)]
    if objectives != recording.header.objectives:
        again += ["--objectives", ",".join(objectives)]
    if choices.margin != recording.header.margin:
        again += ["--margin", f"{choices.margin:g}"]
    if choices.confidence != recording.header.confidence:
        again += ["--confidence", f"{choices.confidence:g}"]
    note(f"results: {folder} (again: {shlex.join(again)})")
    leave_report(recording, summary, folder)
    return summary


def _run(
    choices: Choices,
    job: Job,
    budget: Budget,
    rules: Rules,
    output: Path | None,
    dumpfile: Path | None,
    largest: int | None,
) -> tuple[Recording, Path]:
    from pareto_profiler.cli.assembly import default_folder
    from pareto_profiler.cli.output import check_writable, note
    from pareto_profiler.seed_formats import check_dumpable
    from pareto_profiler.store import JOURNAL, Store

    if dumpfile is not None:
        check_writable(dumpfile)
        check_dumpable(job.header.space)
    if largest is not None and job.header.space.size > largest:
        raise InputError(
            f"the space has {readable(job.header.space.size)} assignments, at most {largest:,} "
            f"are recorded: take a coarser granularity, or search"
        )
    sampler = make_sampler(choices.sampler, job.header)
    folder = output or default_folder(job.header)
    store = Store(folder / JOURNAL, job.header)
    try:
        if store.trials:
            note(f"going on in {folder}: {len(store.trials)} trials are there")
            if budget.trials is not None and len(store.trials) >= budget.trials:
                note(f"the budget of {budget.trials} trials is spent already")
        run_job(job, sampler, store, folder, budget, rules)
        return store.recording, folder
    finally:
        store.close()


def run_job(
    job: Job,
    sampler: Sampler,
    store: Store,
    folder: Path,
    budget: Budget,
    rules: Rules = ONE_SHOT,
) -> None:
    """Search, verify the front, and show progress all the while.

    Raises:
        KeyboardInterrupt: After it was told how to go on.
    """
    engine = job.engine(folder)
    try:
        explore(job, engine, sampler, store, folder, budget, rules)
    finally:
        engine.close()


def explore(
    job: Job,
    engine: Engine,
    sampler: Sampler,
    store: Store,
    folder: Path,
    budget: Budget,
    rules: Rules = ONE_SHOT,
) -> None:
    """As :func:`run_job`, with an engine that stays open."""
    from pareto_profiler.cli.output import note
    from pareto_profiler.cli.progress import Progress
    from pareto_profiler.core.measurement import objectives_of
    from pareto_profiler.core.recording import Recording
    from pareto_profiler.report.places import front_of
    from pareto_profiler.search import search as run_search
    from pareto_profiler.search import verify
    from pareto_profiler.store import read

    header = store.header
    objectives = objectives_of(job.header.objectives)
    progress = Progress(
        header.space, objectives, budget, store.trials, repeats=rules.confirm_share > 0
    )
    try:
        for trial in run_search(
            header.space,
            progress.announcing(sampler),
            engine,
            store,
            budget,
            source=job.header.sampler,
            objectives=objectives,
            rules=rules,
        ):
            progress.add(trial)
        judged = replace(
            header,
            objectives=job.header.objectives,
            margin=rules.margin,
            confidence=rules.confidence,
        )
        for _ in verify(
            engine,
            store,
            store.placements,
            lambda placed: front_of(Recording(judged, store.trials, placed)),
        ):
            pass
    except (KeyboardInterrupt, TargetError) as error:
        progress.close()
        # Asked of the file: the interrupt may have come between keeping and counting a trial.
        kept = len(read(store.path).trials)
        if kept or isinstance(error, KeyboardInterrupt):
            what = "interrupted" if isinstance(error, KeyboardInterrupt) else "the search ends here"
            note(f"{what}; {kept} trials are kept in {folder}. To go on: {command_line()}")
        raise
    finally:
        progress.close()


def make_sampler(name: str, header: Header) -> Sampler:
    """The sampler of this name, for a search under such a header.

    Raises:
        InputError: There is none.
    """
    from pareto_profiler.runtimes.problem import problem_of
    from pareto_profiler.samplers import SAMPLERS

    if name not in SAMPLERS:
        raise InputError(f"sampler {name!r}: expected one of {', '.join(SAMPLERS)}")
    return SAMPLERS[name](problem_of(header))

"""Options that several commands have, each written once; groups of them are one parameter."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from pareto_profiler.cli.exits import reporting_errors
from pareto_profiler.core.plan import Plan, cpus_of, tolerance_of
from pareto_profiler.core.rules import ALIKE, CONFIDENCE, MARGIN, Rules
from pareto_profiler.core.space import Granularity
from pareto_profiler.effort import EffortName
from pareto_profiler.errors import InputError
from pareto_profiler.quantities import confidence_of, fraction_of, kib_of, seconds_of, split
from pareto_profiler.runtimes import RUNTIMES, runtime
from pareto_profiler.runtimes.base import Runtime

_PLAN = Plan()
_RULES = Rules()
_R = TypeVar("_R")


def command(function: Callable[..., _R]) -> Callable[..., _R]:
    """A command whose parameters may be groups of options: dataclasses whose fields are options.

    Its errors become a line for the user.
    """
    hints = get_type_hints(function, include_extras=True)
    groups: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in groups:
            parameters += _options_of(groups[parameter.name])
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            parameters.append(parameter.replace(annotation=hints[parameter.name], kind=kind))

    def gathering(**values: Any) -> _R:
        for name, kind in groups.items():
            values[name] = kind(**{f.name: values.pop(f.name) for f in fields(kind)})
        return function(**values)

    wrapped = wraps(function)(reporting_errors(gathering))
    # What Typer reads is the spread signature, not that of the function itself.
    del wrapped.__wrapped__
    order = sorted(parameters, key=lambda p: p.default is not inspect.Parameter.empty)
    wrapped.__signature__ = inspect.Signature(order)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {p.name: p.annotation for p in order} | {"return": None}
    return wrapped


def _options_of(group: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            f.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if f.default is MISSING else f.default,
            annotation=hints[f.name],
        )
        for f in fields(group)
    ]


def _option(panel: str, text: str, *names: str, **more: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


def target_names() -> list[str]:
    """What completes the name of a target."""
    from pareto_profiler.targets import targets

    known = targets()
    return list(dict.fromkeys([*known, *(t.kind for t in known.values() if t.kind)]))


def sampler_names() -> list[str]:
    """What completes the name of a sampler."""
    from pareto_profiler.samplers import SAMPLERS

    return list(SAMPLERS)


def id_words(ctx: typer.Context) -> list[str]:
    """What completes an id: words, and the handles of the run that was named before it."""
    from pareto_profiler.report.naming import WORDS, handle

    run = ctx.params.get("run") or ctx.params.get("a")
    return [*WORDS, *(handle(i) for i in range(_handles(Path(run)) if run else 0))]


def _handles(run: Path) -> int:
    """How many points a front has; 0 where that cannot be told quickly."""
    from pareto_profiler.core.estimate import Estimates
    from pareto_profiler.core.front import nondominated
    from pareto_profiler.core.measurement import objectives_of
    from pareto_profiler.errors import ParetoProfilerError
    from pareto_profiler.storage.opening import open_recording

    try:
        recording = open_recording(run)
        objectives = objectives_of(recording.header.objectives)
        # What the front is by probability takes too long to say while somebody types.
        return int(nondominated(Estimates.of(recording.trials, objectives).values()).sum())
    except (ParetoProfilerError, OSError):
        return 0


def run_names(incomplete: str) -> list[str]:
    """What completes a run: those in pareto-runs, and any other path."""
    from pareto_profiler.storage.journal import JOURNAL

    folder = Path("pareto-runs")
    runs = [*folder.glob(f"*/{JOURNAL}"), *folder.glob(f"*/*/{JOURNAL}")]
    names = {str(run.parent) for run in runs} | {str(run.parents[1]) for run in runs}
    others = {str(path) for path in Path().glob(f"{incomplete}*")} if incomplete else set()
    return sorted(name for name in (names - {str(folder)}) | others if name.startswith(incomplete))


def _listed(incomplete: str, names: Iterable[str]) -> list[str]:
    """What completes a list with commas: what is there already, and a name that is not."""
    before, comma, last = incomplete.rpartition(",")
    there = before.split(",")
    return [f"{before}{comma}{n}" for n in names if n.startswith(last) and n not in there]


def _room_of(ctx: typer.Context) -> Runtime:
    """The runtime that was named, or the usual one."""
    name = ctx.params.get("runtime") or ""
    return runtime(name if name in RUNTIMES else "")


def backend_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """What completes backends."""
    return _listed(incomplete, _room_of(ctx).backends)


def setting_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """What completes settings to vary."""
    return _listed(incomplete, _room_of(ctx).settings)


def objective_names(incomplete: str) -> list[str]:
    """What completes objectives."""
    from pareto_profiler.core.measurement import OBJECTIVES

    return _listed(incomplete, OBJECTIVES)


ModelArgument = Annotated[
    Path,
    typer.Argument(
        metavar="MODEL", help="A .tflite, .circle, .onnx or .param file, or an nnpackage directory."
    ),
]
RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="A run's folder, its journal, a packed table, a CSV table, or a result dump of ONE's "
        "tools.",
        autocompletion=run_names,
    ),
]
IdArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Which assignment: its letter or its id as show prints them, or fastest, smallest, "
        "knee, baseline, uniform; in a run of several runtimes also RUNTIME:ID.",
        autocompletion=id_words,
    ),
]
SamplerOption = Annotated[
    str,
    typer.Option(
        help="Who proposes assignments: structured, which learns what operations and "
        "hand-overs between backends cost; random, "
        "exhaustive, local, hlps, nsga2, spea2, tpe, qnehvi.",
        autocompletion=sampler_names,
    ),
]
TimeOption = Annotated[
    str, typer.Option("--time", help="Stop when trials have taken this long in all, e.g. 10m.")
]
SeedOption = Annotated[int, typer.Option(min=0, help="Seed of the sampler and of random inputs.")]
OutputOption = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        help="Folder of the run; running the same command again goes on there.",
        show_default="in pareto-runs, named after the search",
    ),
]
DumpfileOption = Annotated[
    Path | None,
    typer.Option(help="Write the result in the format of ONE's pareto_profiler there, too."),
]
ObjectivesOption = Annotated[
    str,
    _option(
        "Measuring",
        "Two or more of exec_time, max_rss, model_rss, anon_rss, vram, prepare_time, "
        "first_run_time, cpu_time, output_error, energy.",
        autocompletion=objective_names,
        show_default="exec_time,max_rss; of several runtimes exec_time,model_rss",
    ),
]
InsteadOption = Annotated[
    str,
    typer.Option(
        "--objectives",
        help="Objectives to judge by, instead of the recorded ones.",
        show_default=False,
        autocompletion=objective_names,
    ),
]
AnchorOption = Annotated[
    int,
    _option(
        "Trust",
        "Trials after which the baseline is measured again, to see drift; 0 for never.",
        "--anchor-every",
        min=0,
        max=100_000,
    ),
]
RepeatsOption = Annotated[
    int | None,
    _option(
        "Measuring",
        "Exactly that many timed runs per process.",
        min=1,
        max=100_000,
        show_default="as many as --precision takes",
    ),
]
ThreadsOption = Annotated[
    int | None,
    _option(
        "Measuring",
        "Threads each backend may use, where --vary does not vary them.",
        min=1,
        max=1024,
        show_default=f"{_PLAN.threads}, or as the target says",
    ),
]
CpusOption = Annotated[
    str,
    _option(
        "Measuring",
        "Processors that a measured process may run on, e.g. 4-7, or all.",
        show_default="all, or as the target says",
    ),
]


def _naming_some(ctx: typer.Context, param: typer.CallbackParam, value: str) -> str:
    """A list that is given and names nothing is a slip, such as an unset shell variable."""
    source = ctx.get_parameter_source(param.name or "")
    if source is not None and source.name == "COMMANDLINE" and not split(value):
        raise typer.BadParameter("names none; leave the option out for all")
    return value


BackendsOption = Annotated[
    str,
    _option(
        "Space",
        "Backends to choose from, comma-separated, the baseline's first.",
        autocompletion=backend_names,
        callback=_naming_some,
        show_default="all that the runtime has",
    ),
]
RuntimeOption = Annotated[
    str,
    _option(
        "Target",
        "What runs the model: " + ", ".join(RUNTIMES) + "; search takes several, comma-separated: "
        "then the first one's baseline is that of all.",
        "--runtime",
        show_default="the first that reads the model",
        autocompletion=lambda: list(RUNTIMES),
    ),
]
LibraryOption = Annotated[
    str,
    _option(
        "Target",
        "The runtime's library on the target, or the folder it is in.",
        show_default="the target's, here the runtime's wheel",
    ),
]
AddressOption = Annotated[
    str,
    _option(
        "Target",
        "Address of the target: user@host for ssh, a serial or host:port for sdb and adb. Several, "
        "joined by commas, are boards of a kind that measure side by side.",
        show_default="as targets.toml says",
    ),
]
TargetsOption = Annotated[
    Path | None,
    _option(
        "Target",
        "File with the targets.",
        show_default="targets.toml here, else in ~/.config/pareto-profiler",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@dataclass(frozen=True, slots=True)
class SpaceOptions:
    """What may be chosen."""

    granularity: Annotated[
        Granularity | None,
        _option(
            "Space",
            "What shares a backend: operations of one name, of one name and data size (index), "
            "or none (operation).",
            show_default=Granularity.NAME,
        ),
    ] = None
    backends: BackendsOption = ""
    adapt: Annotated[
        bool,
        _option(
            "Space",
            "Search what `adapt` makes of a model that the runtime refuses.",
            "--adapt",
        ),
    ] = False
    vary: Annotated[
        str,
        _option(
            "Space",
            "Runtime settings to search over as well, comma-separated: threads (1, 2, 4 … up to "
            "the cores), and of those that the runtime has executor, memory_planner, "
            "use_mmaped_data; weight_cache; external_data, arena, memory_pattern, "
            "mmap_threshold; winograd, packing, bf16, mmap_threshold.",
            autocompletion=setting_names,
            show_default="none",
        ),
    ] = ""
    only: Annotated[
        str,
        _option(
            "Space",
            "Decide only these operations, such as 3-8,10 (their numbers: inspect); all others "
            "stay on the baseline's backend.",
            show_default="all",
        ),
    ] = ""
    oplist: Annotated[
        Path | None,
        _option(
            "Space",
            "Take grouping and order from an oplist.json, so that ids can be compared with the "
            "original tool's; replaces --granularity.",
        ),
    ] = None
    allow: Annotated[
        list[str] | None,
        _option(
            "Space",
            "BACKEND:OPERATION to try whatever the support tables say, e.g. ruy:Softmax or ruy:*; "
            "may be repeated.",
        ),
    ] = None
    forbid: Annotated[
        list[str] | None,
        _option("Space", "BACKEND:OPERATION never to try; may be repeated."),
    ] = None


@dataclass(frozen=True, slots=True)
class MeasuringOptions:
    """How each assignment is measured."""

    repeats: RepeatsOption = None
    warmups: Annotated[
        int | None,
        _option(
            "Measuring",
            "Exactly this many warm-up runs, between the first run and the timed runs.",
            min=0,
            max=100_000,
            show_default="until they get no faster",
        ),
    ] = None
    precision: Annotated[
        str,
        _option(
            "Measuring",
            "Repeat the timed runs until the standard error of their median is below this fraction "
            "of it.",
            show_default=f"{100 * _PLAN.precision:g}%",
        ),
    ] = ""
    min_repeats: Annotated[
        int | None,
        _option(
            "Measuring",
            "At least this many timed runs per process, whatever the precision.",
            min=1,
            max=100_000,
            show_default=f"{_PLAN.min_repeats}",
        ),
    ] = None
    max_repeats: Annotated[
        int | None,
        _option(
            "Measuring",
            "At most this many timed runs per process.",
            min=1,
            max=100_000,
            show_default=f"{_PLAN.max_repeats}",
        ),
    ] = None
    run_time: Annotated[
        str,
        _option(
            "Measuring",
            "A process makes no further timed runs once they have taken this long and "
            "--min-repeats of them are made.",
            show_default=f"{_PLAN.run_time_s:g}s",
        ),
    ] = ""
    threads: ThreadsOption = None
    input_file: Annotated[
        Path | None,
        _option(
            "Measuring",
            "Input tensors: .npy, .npz or .h5. With several sets of them (a folder of files, or "
            "arrays with one more axis in front) outputs are compared on all, and time is measured "
            "on the first.",
            "--input",
            show_default="the nnpackage's own, else random",
        ),
    ] = None
    input_shape: Annotated[
        list[str] | None,
        _option(
            "Measuring",
            "Sizes that the model leaves free (inspect shows them), as NAME=1,224,224,3, or "
            "without NAME= where there is one input; may be repeated.",
            show_default="what stands in the file, or the --input's",
        ),
    ] = None
    tolerance: Annotated[
        str,
        _option(
            "Measuring",
            "Largest accepted difference from the baseline's output, as a fraction of its range; "
            "or l2:0.01, cosine:0.999, top1, kl:0.01.",
            show_default=f"{_PLAN.tolerance}, or as the target says",
        ),
    ] = ""
    time_limit: Annotated[
        str,
        _option(
            "Measuring",
            "Most time for one assignment, e.g. 30s.",
            show_default=f"{_PLAN.time_limit_s:.0f}s, or as the target says",
        ),
    ] = ""
    memory_limit: Annotated[
        str,
        _option(
            "Measuring",
            "Data memory a measured process may take, e.g. 300MB.",
            show_default="no limit",
        ),
    ] = ""
    cpus: CpusOption = ""
    pause: Annotated[
        str,
        _option(
            "Measuring",
            "Rest before each process, e.g. 0.5s, for a device that heats up.",
            show_default="none, or as the target says",
        ),
    ] = ""

    def plan(self) -> dict[str, Any]:
        """What the options say about the plan; what they leave out is the target's business.

        Raises:
            InputError: A duration, a size, the tolerance or the processors make no sense.
        """
        if self.repeats is not None and (self.precision or self.min_repeats or self.max_repeats):
            raise InputError(
                "repeats: give either an exact number, or a precision with least and most repeats"
            )
        least, most = self.min_repeats or _PLAN.min_repeats, self.max_repeats or _PLAN.max_repeats
        if least > most:
            raise InputError(f"repeats: at least {least} are more than at most {most}")
        kind, tolerance = tolerance_of(self.tolerance) if self.tolerance else (None, None)
        cpus = "" if self.cpus == "all" else self.cpus
        if cpus:
            cpus_of(cpus)
        pause_s = 0.0 if self.pause in {"", "0", "0s"} else seconds_of(self.pause)
        given = {
            "repeats": self.repeats,
            "warmups": self.warmups,
            "precision": fraction_of(self.precision) if self.precision else None,
            "min_repeats": self.min_repeats,
            "max_repeats": self.max_repeats,
            "run_time_s": seconds_of(self.run_time) if self.run_time else None,
            "threads": self.threads,
            "tolerance": tolerance,
            "tolerance_kind": kind,
            "time_limit_s": seconds_of(self.time_limit) if self.time_limit else None,
            "memory_limit_kib": kib_of(self.memory_limit) or None,
            "cpus": cpus if self.cpus else None,
            "pause_s": pause_s if self.pause else None,
        }
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, slots=True)
class TrustOptions:
    """How sure verdicts have to be."""

    anchor_every: AnchorOption = _RULES.anchor_every
    retries: Annotated[
        int,
        _option(
            "Trust",
            "How often to measure an assignment again if other work on the target disturbed it.",
            min=0,
            max=1000,
        ),
    ] = _RULES.retries
    margin: Annotated[
        str,
        _option(
            "Trust",
            "Ignore differences smaller than this, e.g. 1%; with 0 any difference counts.",
            show_default=f"{100 * MARGIN:g}%",
        ),
    ] = ""
    confidence: Annotated[
        str,
        _option(
            "Trust",
            "Confidence required of each verdict on what is on the front.",
            show_default=f"{100 * CONFIDENCE:g}%",
        ),
    ] = ""
    alike: Annotated[
        str,
        _option(
            "Trust",
            "With several boards: leave out one whose baseline differs from the others' by more "
            "than this.",
            show_default=f"{100 * ALIKE:g}%",
        ),
    ] = ""
    wait_until_quiet: Annotated[
        str,
        _option(
            "Trust",
            "Where other work on the target disturbs a measurement, wait until it is over and "
            "measure again; at most that long in all, e.g. 10m.",
            show_default="measure beside it, and say so",
        ),
    ] = ""

    def rules(self, seed: int, confirm_share: float) -> Rules:
        """How carefully to measure.

        Raises:
            InputError: A margin, a confidence or a time is none.
        """
        return Rules(
            anchor_every=self.anchor_every,
            retries=self.retries,
            confirm_share=confirm_share,
            margin=fraction_of(self.margin) if self.margin else MARGIN,
            confidence=confidence_of(self.confidence) if self.confidence else CONFIDENCE,
            seed=seed,
            alike=fraction_of(self.alike) if self.alike else ALIKE,
            wait_s=seconds_of(self.wait_until_quiet) if self.wait_until_quiet else 0.0,
        )


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """Where it is measured, and by what."""

    runtime: RuntimeOption = ""
    library: LibraryOption = ""
    target: Annotated[
        str,
        _option(
            "Target",
            "Where to measure: local, odroid, tizen, android, or a name of targets.toml.",
            autocompletion=target_names,
        ),
    ] = "local"
    address: AddressOption = ""
    targets: TargetsOption = None

    @property
    def chosen(self) -> dict[str, Any]:
        """As arguments of ``Choices``."""
        return {
            "runtime": self.runtime,
            "library": self.library,
            "target": self.target,
            "address": self.address,
            "targets_file": self.targets,
        }


@dataclass(frozen=True, slots=True)
class WhereNow:
    """Where things of a run are now, if they have moved."""

    model: Annotated[Path | None, typer.Option(help="Path of the model, if it has moved.")] = None
    address: Annotated[
        str,
        _option(
            "Target",
            "Address of the target, if it has moved. Several are joined by commas: confirm "
            "measures on all of them side by side, others use the first that answers.",
            show_default="the run's own, else as targets.toml says",
        ),
    ] = ""
    targets: TargetsOption = None


@dataclass(frozen=True, slots=True)
class TableOptions:
    """What a file leaves open that is read as a run."""

    backends: Annotated[
        str,
        typer.Option(
            "--backends",
            help="Backends, the baseline's (digit 0) first; only for a CSV table, or a dump that "
            "does not name them.",
            show_default="of a dump as its journal says, else cpu, acl_cl, acl_neon; of a table "
            "cpu, then by name",
        ),
    ] = ""
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline",
            help="Backend of the baseline; only for a CSV table.",
            show_default="cpu, else the first one by name",
        ),
    ] = ""

    @property
    def names(self) -> Sequence[str]:
        """The backends."""
        return split(self.backends)


@dataclass(frozen=True, slots=True)
class JudgingOptions:
    """How what was measured is judged, instead of how it was recorded."""

    margin: Annotated[
        str,
        typer.Option(
            help="Ignore differences smaller than this, e.g. 2%; with 0 any difference counts.",
            show_default="the recorded one",
        ),
    ] = ""
    confidence: Annotated[
        str,
        typer.Option(
            help="Confidence required of each verdict on what is on the front, e.g. 95%.",
            show_default="the recorded one",
        ),
    ] = ""

    @property
    def given(self) -> dict[str, Any]:
        """Margin and confidence as fractions; None where the recorded ones stand.

        Raises:
            InputError: One is none.
        """
        return {
            "margin": fraction_of(self.margin) if self.margin else None,
            "confidence": confidence_of(self.confidence) if self.confidence else None,
        }


EffortOption = Annotated[
    EffortName,
    typer.Option(
        help="How much to try and how exactly to measure, where --budget, --granularity and "
        "--precision do not say it: quick (a first look), normal, thorough (each operation by "
        "itself).",
    ),
]
LiveOption = Annotated[
    bool,
    typer.Option(
        "--live",
        help="Serve the page on loopback while measuring; it grows with the search.",
    ),
]
WithinOption = Annotated[
    list[str] | None,
    typer.Option(
        "--within",
        metavar="OBJECTIVE=VALUE",
        help="Look for one assignment instead of the front: of those whose OBJECTIVE is at most "
        "VALUE (e.g. max_rss=20MB), the one that is least in the first objective without a limit; "
        "may be repeated.",
        rich_help_panel="Trust",
    ),
]


@dataclass(frozen=True, slots=True)
class LimitOptions:
    """What may not be exceeded."""

    max_time: Annotated[
        str,
        typer.Option(
            help="exec_time of at most that: 12ms, or 0.5x baseline, 90% uniform.",
            show_default=False,
        ),
    ] = ""
    max_rss: Annotated[
        str,
        typer.Option(
            help="max_rss of at most that: 100MB, 96MiB, or 1.2x baseline.", show_default=False
        ),
    ] = ""
    limit: Annotated[
        list[str] | None,
        typer.Option(
            "--max",
            metavar="OBJECTIVE=VALUE",
            help="The same for any recorded objective, e.g. cpu_time=20ms; may be repeated.",
        ),
    ] = field(default=None)

    @property
    def asked(self) -> list[tuple[str, str]]:
        """Objective and value of each."""
        named = [("exec_time", self.max_time), ("max_rss", self.max_rss)]
        pairs = [text.partition("=") for text in self.limit or []]
        return [n for n in named if n[1]] + [(name, value) for name, _, value in pairs]

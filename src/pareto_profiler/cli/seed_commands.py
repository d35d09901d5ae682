"""The seed's own command lines: ``gen_oplist``, ``brute_force_profiler`` and ``random_sampler``."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import Annotated, Final

import typer
from typer.core import TyperCommand

from pareto_profiler.cli.exits import command_line, note
from pareto_profiler.cli.explore import explore
from pareto_profiler.cli.options import command
from pareto_profiler.cli.output import check_writable, write_file
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.space import Granularity
from pareto_profiler.core.trial import Failure
from pareto_profiler.errors import InputError
from pareto_profiler.exploration import opened, sampler_of
from pareto_profiler.jobs import Choices, load_measurable, prepare
from pareto_profiler.loop import Budget
from pareto_profiler.quantities import split
from pareto_profiler.report.records import seed_dump
from pareto_profiler.runtimes import runtime
from pareto_profiler.storage.seed_formats import Oplist, brute_force_dump
from pareto_profiler.targets import find

_OPLIST: Final = Path("oplist.json")
_LOCAL: Final = "local"
_DEVICE_OPLIST: Final = "/tmp/oplist.json"  # noqa: S108 - where the original's samplers look for it


class Mode(StrEnum):
    """The seed's two ways of grouping operations."""

    NAME = "name"
    INDEX = "index"


class SeedTarget(StrEnum):
    """Where the seed's tools run."""

    TIZEN = "tizen"
    ODROID = "odroid"
    LOCAL = "local"


ModeOption = Annotated[
    Mode,
    typer.Option(case_sensitive=False, help="Group by operation name, or by name and size."),
]
DumpOption = Annotated[Path, typer.Option(help="Where the result goes.")]
BackendsOption = Annotated[
    str,
    typer.Option(help="Backends, comma-separated, or how many of those the runtime has."),
]
PlaceArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="[TARGET] RUN_FOLDER",
        help="TARGET is tizen, odroid or local, which it is where none is named. RUN_FOLDER: "
        "folder on the target with onert_run or nnpackage_run, or with onert's library; `local` "
        "is the embedded onert.",
    ),
]
ModelArgument = Annotated[Path, typer.Argument(help="A model file or an nnpackage directory.")]
TargetOption = Annotated[
    SeedTarget | None,
    typer.Option(
        case_sensitive=False,
        help="The same as TARGET.",
        show_default="local",
    ),
]
AuthOption = Annotated[
    str,
    typer.Option(
        help="user@host of an odroid, or the serial of a Tizen device.",
        show_default="as targets.toml says",
    ),
]


@command
def gen_oplist(
    model: Annotated[Path, typer.Argument(metavar="TFLITE_MODEL", help="The model.")],
    target: Annotated[
        SeedTarget, typer.Argument(case_sensitive=False, help="Where the search will run.")
    ],
    mode: ModeOption = Mode.NAME,
    auth: AuthOption = "",
) -> None:
    """Write oplist.json, what the digits of an assignment's id decide, and copy it to the target.

    On the target it is /tmp/oplist.json.
    """
    device = find(target.value, address=auth)
    if device.shell == "ssh" and not device.address:
        raise InputError(f"target {target}: expected --auth user@host")
    oplist = Oplist.of(load_measurable(runtime(), model).graph, Granularity(mode))
    write_file(_OPLIST, json.dumps(oplist.to_json()) + "\n")
    print(f"{_OPLIST}: {len(oplist.names)} operation names", end="")
    print(f", {max(oplist.classes) + 1} classes" if oplist.classes else "")
    if device.shell == "local":
        print("for this machine: run the samplers in this folder")
        return
    shell = device.open_shell()
    try:
        shell.push(_OPLIST, PurePosixPath(_DEVICE_OPLIST))
    finally:
        shell.close()
    print(f"copied to {device.address or device.name}:{_DEVICE_OPLIST}")


@command
def brute_force_profiler(
    model: ModelArgument,
    place: PlaceArgument,
    dumpfile: DumpOption = Path("brute_force_profile.json"),
    mode: ModeOption = Mode.NAME,
    backends: BackendsOption = "",
    target: TargetOption = None,
    auth: AuthOption = "",
) -> None:
    """Measure all assignments and dump {"oplist", "solutions": [{"memory", "id", "time"}]}.

    This machine drives; the target needs its runtime only. On the device itself, TARGET is `local`
    or left out.
    """
    recording = _profile(
        model, _Place.of(place, target, auth), mode, backends, dumpfile, "exhaustive", Budget()
    )
    header = recording.header
    write_file(dumpfile, brute_force_dump(header.space, recording.trials, header.graph))
    print(f"{dumpfile}: {_counts(recording)}")


@command
def random_sampler(
    model: ModelArgument,
    place: PlaceArgument,
    mode: ModeOption = Mode.NAME,
    backends: BackendsOption = "",
    dumpfile: DumpOption = Path("random_sampler_profile.json"),
    iterations: Annotated[int, typer.Option(min=1, help="How many assignments to measure.")] = 100,
    target: TargetOption = None,
    auth: AuthOption = "",
) -> None:
    """Measure random assignments and dump the front with its configurations."""
    recording = _profile(
        model,
        _Place.of(place, target, auth),
        mode,
        backends,
        dumpfile,
        "random",
        Budget(iterations),
    )
    write_file(dumpfile, seed_dump(recording))
    print(f"{dumpfile}: the front; {_counts(recording)}")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where to measure: a target, and the folder of its runtime there."""

    target: SeedTarget
    run_folder: str
    auth: str

    @classmethod
    def of(cls, words: list[str], target: SeedTarget | None, auth: str) -> _Place:
        """Read the words behind the model: a run folder, with the target before it or without.

        Raises:
            InputError: There are more, or the target is none or named twice.
        """
        *before, run_folder = words
        named = [word.lower() for word in before] + ([target.value] if target else [])
        if len(before) > 1 or len(named) > 1:
            raise InputError(f"{' '.join(words)}: expected [TARGET] RUN_FOLDER, and one target")
        if named and named[0] not in set(SeedTarget):
            raise InputError(f"target {before[0]!r}: expected one of {', '.join(SeedTarget)}")
        return cls(SeedTarget(named[0]) if named else SeedTarget.LOCAL, run_folder, auth)

    def check(self) -> None:
        """See that the folder can be one of the target.

        Raises:
            InputError: It cannot.
        """
        if self.run_folder == _LOCAL and self.target is not SeedTarget.LOCAL:
            raise InputError(
                f"run folder {_LOCAL} is the onert embedded here: name the folder of the runtime "
                f"on {self.target}"
            )
        if self.target is not SeedTarget.LOCAL and not self.run_folder.startswith("/"):
            raise InputError(f"run folder {self.run_folder!r}: expected an absolute path")

    @property
    def path(self) -> str:
        """The folder on the target; empty for the embedded onert."""
        if self.run_folder == _LOCAL:
            return ""
        is_here = self.target is SeedTarget.LOCAL
        return str(Path(self.run_folder).resolve()) if is_here else self.run_folder


def _profile(
    model: Path,
    place: _Place,
    mode: Mode,
    backends: str,
    dumpfile: Path,
    sampler: str,
    budget: Budget,
) -> Recording:

    check_writable(dumpfile)
    place.check()
    choices = Choices(
        model=model,
        granularity=Granularity(mode),
        backends=split(backends),
        oplist=_oplist_here(mode, model),
        # As the original: every backend is loaded, used or not, and the dump says so.
        plan={"load_every_backend": True},
        sampler=sampler,
        target=place.target.value,
        address=place.auth,
        run_folder=place.path,
        command=command_line(),
    )
    folder = dumpfile.with_name(f"{dumpfile.name}.run")
    with prepare(choices) as job, opened(job, folder) as exploration:
        explore(exploration, sampler_of(sampler, job.header), budget)
        return exploration.recording


def _oplist_here(mode: Mode, model: Path) -> Path | None:
    """``oplist.json`` where ``gen_oplist`` leaves it, if it is of this mode; None without one.

    That is this folder, and /tmp, where the original writes it and copies it to. In /tmp others may
    have left one: of another model it is left alone.
    """
    for path in (_OPLIST, Path(_DEVICE_OPLIST)):
        if not path.is_file():
            continue
        try:
            oplist = Oplist.read(path)
            if oplist.mode != Granularity(mode):
                note(f"{path} is of the other mode and is left alone")
                continue
            if path != _OPLIST:
                oplist.groups(load_measurable(runtime(), model).graph)
        except InputError as error:
            if path == _OPLIST:
                raise
            note(f"{path} is left alone: {error}")
            continue
        note(f"digits in the order of {path}")
        return path
    return None


def _counts(recording: Recording) -> str:

    failed = sum(isinstance(t.outcome, Failure) for t in recording.trials)
    return f"{len(recording.trials) - failed} assignments measured, {failed} failed"


class _ArgparseLike(TyperCommand):
    """Takes the beginning of an option where only one begins so, as the original's parser does."""

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        options = [name for p in self.get_params(ctx) for name in p.opts if name.startswith("--")]
        end = args.index("--") if "--" in args else len(args)
        return super().parse_args(ctx, [*(_whole(a, options) for a in args[:end]), *args[end:]])


def _whole(word: str, options: list[str]) -> str:
    name, sign, value = word.partition("=")
    begun = [option for option in options if option.startswith(name)]
    if name.startswith("--") and name not in options and len(begun) > 1:
        raise typer.BadParameter(
            f"option {name} could be {' or '.join(sorted(begun))}: write it out"
        )
    is_beginning = len(name) > 2 and name.startswith("--") and len(begun) == 1
    return f"{begun[0]}{sign}{value}" if is_beginning else word


def _app(function: Callable[..., None]) -> typer.Typer:
    app = typer.Typer(
        pretty_exceptions_enable=False,
        add_completion=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command(cls=_ArgparseLike)(function)
    return app


gen_oplist_app = _app(gen_oplist)
brute_force_profiler_app = _app(brute_force_profiler)
random_sampler_app = _app(random_sampler)

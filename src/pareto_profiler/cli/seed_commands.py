"""The seed's own command lines: ``gen_oplist``, ``brute_force_profiler`` and ``random_sampler``."""

from __future__ import annotations

import json
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pareto_profiler.cli.exits import reporting_errors
from pareto_profiler.core.space import Granularity
from pareto_profiler.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pareto_profiler.core.recording import Recording
    from pareto_profiler.search import Budget

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


ModeOption = Annotated[Mode, typer.Option(help="Group by operation name, or by name and size.")]
DumpOption = Annotated[Path, typer.Option(help="Where the result goes.")]
BackendsOption = Annotated[
    str,
    typer.Option(help="Backends, comma-separated, or how many of those the runtime has."),
]
RunFolderArgument = Annotated[
    str, typer.Argument(help="Where the runtime is; `local` is the embedded onert.")
]


@reporting_errors
def gen_oplist(
    model: Annotated[Path, typer.Argument(metavar="TFLITE_MODEL", help="The model.")],
    target: Annotated[SeedTarget, typer.Argument(help="Where the search will run.")],
    mode: ModeOption = Mode.NAME,
    auth: Annotated[str, typer.Option(help="user@host of an odroid.")] = "",
) -> None:
    """Write oplist.json: what the digits of an assignment's id decide."""
    from pareto_profiler.cli.assembly import load_measurable
    from pareto_profiler.cli.output import write_file
    from pareto_profiler.seed_formats import Oplist

    if target is SeedTarget.ODROID and not auth:
        raise InputError("target odroid: expected --auth user@host")
    oplist = Oplist.of(load_measurable(model).graph, Granularity(mode))
    write_file(_OPLIST, json.dumps(oplist.to_json()) + "\n")
    print(f"{_OPLIST}: {len(oplist.names)} operation names", end="")
    print(f", {max(oplist.classes) + 1} classes" if oplist.classes else "")
    match target:
        case SeedTarget.ODROID:
            print(f"to the target: scp {_OPLIST} {shlex.quote(f'{auth}:{_DEVICE_OPLIST}')}")
        case SeedTarget.TIZEN:
            print(f"to the target: sdb push {_OPLIST} {_DEVICE_OPLIST}")
        case SeedTarget.LOCAL:
            print("for the embedded onert: run the sampler in this folder")


@reporting_errors
def brute_force_profiler(
    model: Annotated[Path, typer.Argument(help="A model file or an nnpackage directory.")],
    target: Annotated[SeedTarget, typer.Argument(help="What the target is.")],
    run_folder: RunFolderArgument,
    dumpfile: DumpOption = Path("brute_force_profile.json"),
    mode: ModeOption = Mode.NAME,
    backends: BackendsOption = "",
) -> None:
    """Measure all assignments and dump {"oplist", "solutions": [{"memory", "id", "time"}]}."""
    from pareto_profiler.cli.output import write_file
    from pareto_profiler.search import Budget
    from pareto_profiler.seed_formats import brute_force_dump

    del target
    recording = _profile(model, run_folder, mode, backends, dumpfile, "exhaustive", Budget())
    write_file(dumpfile, brute_force_dump(recording.header.space, recording.trials))
    print(f"{dumpfile}: {_counts(recording)}")


@reporting_errors
def random_sampler(
    model: Annotated[Path, typer.Argument(help="A model file or an nnpackage directory.")],
    run_folder: RunFolderArgument,
    mode: ModeOption = Mode.NAME,
    backends: BackendsOption = "",
    dumpfile: DumpOption = Path("random_sampler_profile.json"),
    iterations: Annotated[int, typer.Option(min=1, help="How many assignments to measure.")] = 100,
) -> None:
    """Measure random assignments and dump the front with its configurations."""
    from pareto_profiler.cli.output import write_file
    from pareto_profiler.cli.show import seed_dump
    from pareto_profiler.search import Budget

    budget = Budget(iterations)
    recording = _profile(model, run_folder, mode, backends, dumpfile, "random", budget)
    write_file(dumpfile, seed_dump(recording))
    print(f"{dumpfile}: the front; {_counts(recording)}")


def _profile(
    model: Path,
    run_folder: str,
    mode: Mode,
    backends: str,
    dumpfile: Path,
    sampler: str,
    budget: Budget,
) -> Recording:
    from pareto_profiler.cli.assembly import Choices, prepare
    from pareto_profiler.cli.measure import make_sampler, run_job
    from pareto_profiler.cli.output import check_writable
    from pareto_profiler.store import JOURNAL, Store

    check_writable(dumpfile)
    if run_folder != _LOCAL:
        raise InputError(
            f"run folder {run_folder!r}: this version measures with the embedded onert only, "
            f"run folder {_LOCAL}"
        )
    job = prepare(
        Choices(
            model=model,
            granularity=Granularity(mode),
            backends=backends,
            oplist=_oplist_here(mode),
            # As the original: every backend is loaded, used or not, and the dump says so.
            plan={"load_every_backend": True},
            sampler=sampler,
        )
    )
    folder = dumpfile.with_name(f"{dumpfile.name}.run")
    store = Store(folder / JOURNAL, job.header)
    try:
        run_job(
            job, make_sampler(sampler, job.header.space, job.header.seed), store, folder, budget
        )
        return store.recording
    finally:
        store.close()


def _oplist_here(mode: Mode) -> Path | None:
    """``oplist.json`` of this folder, where ``gen_oplist`` leaves it, if it is of this mode."""
    from pareto_profiler.cli.output import note
    from pareto_profiler.seed_formats import Oplist

    if not _OPLIST.is_file():
        return None
    if Oplist.read(_OPLIST).mode != Granularity(mode):
        note(f"{_OPLIST} is of the other mode and is left alone")
        return None
    note(f"digits in the order of {_OPLIST}")
    return _OPLIST


def _counts(recording: Recording) -> str:
    from pareto_profiler.core.trial import Failure

    failed = sum(isinstance(t.outcome, Failure) for t in recording.trials)
    return f"{len(recording.trials) - failed} assignments measured, {failed} failed"


def _app(command: Callable[..., None]) -> typer.Typer:
    app = typer.Typer(
        pretty_exceptions_enable=False,
        add_completion=False,
        rich_markup_mode="markdown",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.command()(command)
    return app


gen_oplist_app = _app(gen_oplist)
brute_force_profiler_app = _app(brute_force_profiler)
random_sampler_app = _app(random_sampler)

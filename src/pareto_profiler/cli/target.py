"""``pareto-profiler target``: which targets there are, whether they can measure, cleaning up."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pareto_profiler.cli.exits import reporting_errors
from pareto_profiler.cli.measure import (
    AddressOption,
    JsonOption,
    LibraryOption,
    RuntimeOption,
    TargetsOption,
)
from pareto_profiler.errors import RunError, TargetError
from pareto_profiler.shells.base import printable

if TYPE_CHECKING:
    from pareto_profiler.core.space import Variable
    from pareto_profiler.models import Model
    from pareto_profiler.runners.machine import Conditions, Machine
    from pareto_profiler.runtimes.base import Installation, Runtime
    from pareto_profiler.shells.base import Shell
    from pareto_profiler.targets import Target

app = typer.Typer(
    name="target",
    help="Devices: list them, see whether they can measure, clean up on them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

NameArgument = Annotated[
    str,
    typer.Argument(
        metavar="TARGET", help="local, odroid, tizen, android, or a name of targets.toml."
    ),
]

# Only what has the shape of this tool's own names.
_HEX: Final = "[0-9a-f]"
_OWN: Final = " ".join(
    (
        f"probe-{_HEX * 12}",
        f"driver-{_HEX * 12}",
        f"driver-{_HEX * 12}.part",
        f"library-{_HEX * 12}.so",
        f"library-{_HEX * 12}.so.part",
        f"run-{_HEX * 12}",
        f"pareto-profiler-{_HEX * 32}",
        f"pareto-profiler-{_HEX * 32}.d",
    )
)
_CLEAN: Final = f"""[ -e "$0" ] || exit 0
cd "$0" || exit
for f in {_OWN}; do [ ! -e "$f" ] || {{ rm -rf "./$f" && echo "$f"; }} || exit; done
cd / && rmdir "$0" 2>/dev/null; exit 0"""


@app.command("list")
@reporting_errors
def list_targets(targets: TargetsOption = None, as_json: JsonOption = False) -> None:
    """List the targets that can be named."""
    from rich.markup import escape
    from rich.table import Table

    from pareto_profiler.cli.output import console, print_json
    from pareto_profiler.targets import targets as all_targets

    known = all_targets(targets)
    if as_json:
        print_json({name: asdict(target) for name, target in known.items()})
        return
    table = Table("target", "reached by", "address", "runtime", "backends", box=None)
    for name, target in known.items():
        table.add_row(
            name,
            target.shell,
            escape(" ".join((target.address or "–", *target.options))),
            escape(target.library or target.tool or "looked for"),
            escape(", ".join(target.backends) or "all that load"),
        )
    console().print(table)


@app.command()
@reporting_errors
def clean(name: NameArgument, address: AddressOption = "", targets: TargetsOption = None) -> None:
    """Remove what this tool left on a target: drivers, and files of searches that were killed."""
    from pareto_profiler.targets import find

    target = find(name, targets, address)
    shell = target.open_shell()
    try:
        done = shell.run(["sh", "-c", _CLEAN, target.work], environment={}, time_limit_s=60.0)
    finally:
        shell.close()
    if done.status:
        raise TargetError(f"{target.work}: cannot be cleaned: {printable(done.stderr)}")
    removed = printable(done.stdout).split()
    print(f"{name}: {target.work}: removed {', '.join(removed) or 'nothing, it is clean'}")


@dataclass(slots=True)
class Findings:
    """What a check found."""

    target: str
    machine: Machine
    conditions: Conditions
    runtime: str = ""
    library: str = ""
    offered: tuple[str, ...] = ()
    loading: dict[str, bool] = field(default_factory=dict)
    refusals: dict[str, dict[str, str]] = field(default_factory=dict)
    supported: set[tuple[str, str]] = field(default_factory=set)
    remarks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def advice(self, model: Path | None) -> list[str]:
        """What to do about it, in plain words."""
        from pareto_profiler.runners.machine import complaints

        said = list(self.problems)
        said += complaints(self.machine, self.conditions)
        absent = [backend for backend, loads in self.loading.items() if not loads]
        if absent:
            said.append(
                f"{', '.join(absent)}: there, but not to be loaded (a missing driver or library, "
                f"such as OpenCL): searches leave it out"
            )
        said += self.remarks
        corrections = [
            f"{'--forbid' if words else '--allow'} {backend}:{operation}"
            for backend, refused in self.refusals.items()
            for operation, words in refused.items()
            if bool(words) == ((backend, operation) in self.supported)
        ]
        if corrections:
            said.append(
                f"search with {' '.join(corrections)}: here it is not as the support tables say"
            )
        if model is None and not self.problems:
            said.append("name a model, to see which backends load and what they can run of it")
        return said


@app.command()
@reporting_errors
def check(
    name: NameArgument,
    model: Annotated[
        Path | None,
        typer.Argument(
            metavar="[MODEL]",
            help="A model: tells which backends load and what of it each can prepare.",
        ),
    ] = None,
    address: AddressOption = "",
    runtime: RuntimeOption = "",
    library: LibraryOption = "",
    targets: TargetsOption = None,
    as_json: JsonOption = False,
) -> None:
    """See whether a target can measure: connection, runtime, backends, operations, conditions.

    Nothing is timed. What is found out about a model's operations is kept for the next check of the
    same model on the same runtime.
    """
    from pareto_profiler.cli.assembly import load_measurable
    from pareto_profiler.cli.output import print_json, show_warnings
    from pareto_profiler.runners.machine import conditions, describe
    from pareto_profiler.runtimes import runtime as runtime_named
    from pareto_profiler.targets import find

    target = find(name, targets, address)
    room = runtime_named(runtime)
    read = load_measurable(room, model) if model else None
    show_warnings()
    shell = target.open_shell()
    try:
        found = Findings(name, describe(shell), conditions(shell))
        _look_at_runtime(found, room, target, shell, read, library)
    finally:
        shell.close()
    advice = found.advice(model)
    if as_json:
        facts = asdict(found)
        del facts["supported"]
        print_json(facts | {"advice": advice})
    else:
        _print(found, advice)
    if found.problems:
        raise typer.Exit(3)


def _look_at_runtime(
    found: Findings, room: Runtime, target: Target, shell: Shell, model: Model | None, library: str
) -> None:
    from pareto_profiler.cli.assembly import Choices, install

    try:
        installation = install(room, target, shell, Choices(Path(), library=library))
    except TargetError as error:
        found.problems.append(str(error))
        return
    found.runtime, found.library = installation.name, installation.library
    there = installation.offered_backends()
    wanted = target.backends_of(room.name)
    for backend in wanted:
        if there and backend not in there:
            found.problems.append(
                f"backend {backend}, which {target.name} is to have, is not there: "
                f"there are {', '.join(there)}"
            )
    found.offered = tuple(b for b in wanted if b in there) or there
    if model and found.offered:
        _try_operations(found, room, target, installation, model)


def _try_operations(
    found: Findings, room: Runtime, target: Target, installation: Installation, model: Model
) -> None:
    from pareto_profiler.cli.assembly import folder_on
    from pareto_profiler.cli.known import Known
    from pareto_profiler.core.plan import Plan
    from pareto_profiler.core.space import DecisionSpace, Granularity
    from pareto_profiler.core.support import Support
    from pareto_profiler.runners.inputs import random_inputs

    graph = model.graph
    support = Support.of([f"{backend}:*" for backend in found.offered], (), room)
    space = DecisionSpace.of(graph, found.offered, Granularity.NAME, support=support)
    known = Known.of(found.machine, found.runtime, installation.digest(), graph.digest)
    folder = folder_on(target, f"check by {os.getpid()}")
    engine = installation.start(folder, space, Plan(), model, random_inputs(graph, 0))

    def refusal(backend: str, variable: Variable) -> str:
        question = f"{backend}:{variable.name}"
        if question not in known.answers:
            try:
                known.answers[question] = engine.refusal(
                    dict.fromkeys(variable.operations, backend)
                )
            except RunError as error:
                return f"{error.kind}: {error.message}"  # another time it may be otherwise
        return known.answers[question]

    try:
        if words := engine.refusal({}):
            found.problems.append(f"the model cannot be prepared at all: {words}")
            return
        found.remarks = engine.remarks()
        tables = DecisionSpace.of(graph, found.offered, Granularity.NAME, support=Support(room))
        found.supported = {(b, v.name) for v in tables.variables for b in v.feasible}
        for backend in found.offered:
            found.loading[backend] = engine.loads(backend)
            if found.loading[backend]:
                found.refusals[backend] = {v.name: refusal(backend, v) for v in space.variables}
    except RunError as error:
        found.problems.append(f"the model cannot be prepared at all: {error}")
    finally:
        engine.close()
        known.keep()


def _print(found: Findings, advice: list[str]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from pareto_profiler.cli.output import console

    out = console()
    machine, here = found.machine, found.conditions
    facts = Table(box=None, show_header=False)

    def add(what: str, text: str) -> None:
        facts.add_row(what, escape(text))

    add("target", found.target)
    add("machine", f"{machine.architecture} {machine.cpu}, {_cores(machine)}")
    add("kernel", machine.kernel)
    add("memory", f"{machine.memory_kib // 1024} MiB, {here.available_kib // 1024} MiB free")
    add("governor", ", ".join(here.governors) or "none to see")
    zones = ", ".join(f"{name} {celsius:.0f} °C" for name, celsius in here.thermal_zones)
    add("temperature", zones or "none to see")
    add("load", f"{here.load:.2f}")
    add("runtime", found.runtime or "none that can measure")
    if found.library:
        add("library", found.library)
    add("backends", ", ".join(found.offered) or "none to see")
    if found.loading:
        add("that load", ", ".join(b for b, loads in found.loading.items() if loads))
    out.print(facts)
    if found.refusals:
        names = list(next(iter(found.refusals.values())))
        table = Table("operation", *found.refusals, box=None)
        for name in names:
            table.add_row(
                name, *("–" if refused[name] else "✓" for refused in found.refusals.values())
            )
        out.print()
        out.print(table)
        out.print("  ✓ prepared · – refused", highlight=False)
        for backend, refused in found.refusals.items():
            for words in dict.fromkeys(w for w in refused.values() if w):
                out.print(f"  {backend}: {words}", highlight=False, markup=False)
    out.print()
    for line in advice:
        out.print(f"• {line}", highlight=False, markup=False, soft_wrap=True)
    if not found.problems:
        out.print(
            f"ready to measure; how much figures scatter there: "
            f"pareto-profiler doctor --target {found.target}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _cores(machine: Machine) -> str:
    return f"{machine.cores} core{'s' if machine.cores > 1 else ''}"

"""``pareto-profiler target``: which targets there are, whether they can measure, cleaning up."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from pareto_profiler.checking import Findings, look_at_runtime
from pareto_profiler.cli.exits import note
from pareto_profiler.cli.options import (
    AddressOption,
    JsonOption,
    LibraryOption,
    RuntimeOption,
    TargetsOption,
    command,
)
from pareto_profiler.cli.output import print_json, say, show, show_facts
from pareto_profiler.errors import TargetError
from pareto_profiler.jobs import load_measurable
from pareto_profiler.runners.machine import Machine, conditions, describe
from pareto_profiler.runtimes import runtime as runtime_named
from pareto_profiler.runtimes import runtime_for
from pareto_profiler.shells.base import printable
from pareto_profiler.targets import boards
from pareto_profiler.targets import targets as targets_in

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
        metavar="TARGET", help="local, odroid, tizen, android, or a name or kind of targets.toml."
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
@command
def list_targets(targets: TargetsOption = None, as_json: JsonOption = False) -> None:
    """List the targets that can be named."""
    known = targets_in(targets)
    if as_json:
        print_json({name: asdict(target) for name, target in known.items()})
        return
    kinds = any(target.kind for target in known.values())
    table = Table(
        "target", *(["kind"] if kinds else []), "by", "address", "runtime", "backends", box=None
    )
    for name, target in known.items():
        table.add_row(
            name,
            *([target.kind] if kinds else []),
            target.shell,
            " ".join((target.address or ",".join(target.addresses) or "–", *target.options)),
            target.library or target.tool or "looked for",
            ", ".join(target.backends) or "all that load",
        )
    show(table)


@app.command()
@command
def clean(name: NameArgument, address: AddressOption = "", targets: TargetsOption = None) -> None:
    """Remove what this tool left on a target: drivers, and files of searches that were killed."""
    for board, target in boards(name, targets, address).items():
        shell = target.open_shell()
        try:
            done = shell.run(["sh", "-c", _CLEAN, target.work], environment={}, time_limit_s=60.0)
        finally:
            shell.close()
        if done.status:
            raise TargetError(f"{target.work}: cannot be cleaned: {printable(done.stderr)}")
        removed = printable(done.stdout).split()
        print(f"{board}: {target.work}: removed {', '.join(removed) or 'nothing, it is clean'}")


@app.command()
@command
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

    Nothing is timed; of several boards each is looked at. What is found out about a model's
    operations is kept for the next check of the same model on the same runtime.
    """
    there = boards(name, targets, address)
    room = runtime_for(model, runtime) if model else runtime_named(runtime)
    read = load_measurable(room, model) if model else None
    facts, is_ready = {}, True
    for board, target in there.items():
        shell = target.open_shell()
        try:
            found = Findings(name, describe(shell), conditions(shell))
            look_at_runtime(found, room, target, shell, read, library)
        except TargetError as error:
            if len(there) == 1:
                raise
            note(f"error: {board}: {error}")
            is_ready = False
            continue
        finally:
            shell.close()
        advice = found.advice(model)
        is_ready = is_ready and not found.problems
        facts[board] = asdict(found) | {"advice": advice}
        del facts[board]["supported"]
        if not as_json:
            _print(found, board, advice)
    if as_json:
        print_json(facts if len(there) > 1 else next(iter(facts.values())))
    if not is_ready:
        raise typer.Exit(3)


def _print(found: Findings, board: str, advice: list[str]) -> None:
    machine, here = found.machine, found.conditions
    facts: list[tuple[str, str]] = []

    def add(what: str, text: str) -> None:
        facts.append((what, text))

    add("target", found.target if board == found.target else f"{found.target}: {board}")
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
    show_facts(*facts)
    if found.refusals:
        names = list(next(iter(found.refusals.values())))
        table = Table("operation", *found.refusals, box=None)
        for name in names:
            table.add_row(
                name, *("–" if refused[name] else "✓" for refused in found.refusals.values())
            )
        say("")
        show(table)
        say("  ✓ prepared · – refused")
        for backend, refused in found.refusals.items():
            say(
                *(
                    f"  {backend}: {words}"
                    for words in dict.fromkeys(w for w in refused.values() if w)
                )
            )
    say("", *(f"• {line}" for line in advice))
    if not found.problems:
        say(
            f"ready to measure; how much figures scatter there: "
            f"pareto-profiler doctor --target {found.target}"
        )


def _cores(machine: Machine) -> str:
    return f"{machine.cores} core{'s' if machine.cores > 1 else ''}"

"""The command ``pareto-profiler``: its help, and commands, imported when they are called."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup

from pareto_profiler.version import __version__


@dataclass(frozen=True, slots=True)
class Command:
    """What the help says of a command before it is imported.

    Attributes:
        panel: Where it stands.
        summary: Its first sentence.
        example: Its arguments in an example.
        module: Where it is.
    """

    panel: str
    summary: str
    example: str
    module: str


COMMANDS: Final = {
    "inspect": Command(
        "Measure",
        "Show a model's operations, which backend can run them, and the size of each decision "
        "space.",
        "model.tflite",
        "inspect",
    ),
    "adapt": Command(
        "Measure",
        "Write a model that a runtime takes and that computes the same.",
        "model.tflite --output adapted.tflite",
        "adapt",
    ),
    "search": Command(
        "Measure",
        "Search for the Pareto front of a model, here or on a target.",
        "model.tflite --granularity index --vary threads --budget 60",
        "search",
    ),
    "confirm": Command(
        "Measure",
        "Repeat measurements of a run until it is decided what is on its front.",
        "pareto-runs/RUN --budget 20",
        "confirm",
    ),
    "record": Command(
        "Measure",
        "Measure every feasible assignment: a table for `replay`; ONE's brute_force_profiler.",
        "model.tflite --backends cpu,ruy --output pareto-runs/table",
        "search",
    ),
    "trace": Command(
        "Measure",
        "Show how long each operation takes on each backend, as the runtime traces it.",
        "model.tflite --backends cpu,xnnpack",
        "trace",
    ),
    "doctor": Command(
        "Measure",
        "Find out what spoils measurements here or on a target, and what to do about it.",
        "--target odroid",
        "doctor",
    ),
    "show": Command(
        "Look and understand",
        "Show the front of a run: a table, a plot where there is room, how far to trust it, "
        "failures.",
        "pareto-runs/RUN",
        "show",
    ),
    "report": Command(
        "Look and understand",
        "Write a run as one HTML page that opens anywhere, without a network.",
        "pareto-runs/RUN --svg front.svg",
        "report",
    ),
    "explain": Command(
        "Look and understand",
        "Explain why an assignment is as good as it is: what each choice saves, and what it costs.",
        "pareto-runs/RUN knee --simplify",
        "explain",
    ),
    "learned": Command(
        "Look and understand",
        "Show the model that `structured` fits to a run, whichever sampler made it.",
        "pareto-runs/RUN",
        "learned",
    ),
    "compare": Command(
        "Look and understand",
        "Compare two runs of one space: exit status 1 if the front of B is worse beyond noise.",
        "pareto-runs/before pareto-runs/after",
        "compare",
    ),
    "select": Command(
        "Choose and ship",
        "Select one assignment from a run's front: the fastest within limits, or by another goal.",
        "pareto-runs/RUN --max-rss 100MB",
        "select",
    ),
    "deploy": Command(
        "Choose and ship",
        "Write an assignment in the form that ships, and run it to see that it does what was "
        "measured.",
        "pareto-runs/RUN knee --format nnpackage",
        "deploy",
    ),
    "export": Command(
        "Choose and ship",
        "Write a run as a table: every trial as csv or parquet, the summary as json, or a ONE "
        "dump.",
        "pareto-runs/RUN --format csv --output trials.csv",
        "export",
    ),
    "replay": Command(
        "Offline",
        "Search on a recorded table or a simulated device: offline mode.",
        "pareto-runs/table --sampler nsga2 --budget 50",
        "replay",
    ),
    "bench": Command(
        "Offline",
        "Compare samplers: how soon does what they report come close to the true front?",
        "simulated:tiny-8x2:1 pareto-runs/table --seeds 3",
        "bench",
    ),
    "target": Command(
        "Devices",
        "Devices: list them, see whether they can measure, clean up on them.",
        "",
        "target",
    ),
}

_MARKUP: Final = "markdown"


def load(name: str) -> Any:
    """The command of this name, with its options: imports what it needs."""
    told = COMMANDS[name]
    module = import_module(f"pareto_profiler.cli.{told.module}")
    if name == "target":
        return typer.main.get_command(module.app)
    alone = typer.Typer(rich_markup_mode=_MARKUP, add_completion=False)
    alone.command(
        name,
        rich_help_panel=told.panel,
        short_help=told.summary,
        epilog=f"Example: `pareto-profiler {name} {told.example}`",
    )(getattr(module, name))
    return typer.main.get_command(alone)


class _Commands(TyperGroup):
    """Knows the commands by name; one is imported when it is called or completed."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: typer.Context, name: str) -> Any:  # type: ignore[override]
        del ctx
        if name not in COMMANDS:
            return None
        told = COMMANDS[name]
        stub = typer.Typer(rich_markup_mode=_MARKUP, add_completion=False)
        stub.command(name, rich_help_panel=told.panel, help=told.summary)(_do_nothing)
        return typer.main.get_command(stub)

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:  # type: ignore[override]
        if args and args[0] not in COMMANDS and (near := get_close_matches(args[0], COMMANDS)):
            ctx.fail(f"No such command {args[0]!r}: did you mean {' or '.join(near)}?")
        name, stub, rest = super().resolve_command(ctx, args)
        return name, load(name) if name in COMMANDS else stub, rest


def _do_nothing() -> None:
    """What only has a name and a line."""


app = typer.Typer(
    name="pareto-profiler",
    cls=_Commands,
    help="Which backend should run which operation of my model? Measures assignments of backends "
    "to operations and keeps the Pareto front of latency against peak memory.\n\n"
    "Begin with `pareto-profiler search MODEL`, which says where its run is. Then `report` it, "
    "`select` from it, `explain` what you chose, and `deploy` that.",
    epilog="Exit status: 0 done; 1 results cannot be saved (disk full), compare: the front got "
    "worse, deploy: the files do not do what was measured; 2 bad input; 3 the target is unusable, "
    "compare and deploy: it was too busy to tell; 130 interrupted (run the same command again to "
    "go on).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=_MARKUP,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - Typer's callback
    if wanted:
        print(f"pareto-profiler {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    del version

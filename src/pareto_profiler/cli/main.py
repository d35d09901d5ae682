"""The command ``pareto-profiler``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from pareto_profiler import __version__
from pareto_profiler.cli import (
    bench,
    compare,
    deploy,
    doctor,
    explain,
    inspect,
    learned,
    measure,
    report,
    select,
    show,
    target,
    trace,
)

app = typer.Typer(
    name="pareto-profiler",
    help="Which backend should run which operation of my model? Measures assignments of backends "
    "to operations and keeps the Pareto front of latency against peak memory.\n\n"
    "Begin with `pareto-profiler search MODEL`, which says where its run is. Then `report` it, "
    "`select` from it, `explain` what you chose, and `deploy` that.",
    epilog="Exit status: 0 done, 1 results cannot be kept (disk full), of compare the front is "
    "worse, of deploy what was written does not do what was measured, 2 bad input, 3 the target is "
    "unusable or, of compare and deploy, was too busy to tell, 130 interrupted (run the same "
    "command again to go on).",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
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


def _panel(title: str, **commands: tuple[Callable[..., None], str]) -> None:
    """Commands in one panel of the help, each with an example."""
    for name, (command, example) in commands.items():
        epilog = f"Example: `pareto-profiler {name} {example}`"
        app.command(name, rich_help_panel=title, epilog=epilog)(command)


_panel(
    "Measure",
    inspect=(inspect.inspect, "model.tflite"),
    search=(measure.search, "model.tflite --granularity index --vary threads --budget 60"),
    confirm=(measure.confirm, "pareto-runs/RUN --budget 20"),
    record=(measure.record, "model.tflite --backends cpu,ruy --output pareto-runs/table"),
    trace=(trace.trace, "model.tflite --backends cpu,xnnpack"),
    doctor=(doctor.doctor, "--target odroid"),
)
_panel(
    "Look and understand",
    show=(show.show, "pareto-runs/RUN"),
    report=(report.report, "pareto-runs/RUN --svg front.svg"),
    explain=(explain.explain, "pareto-runs/RUN knee --simplify"),
    learned=(learned.learned, "pareto-runs/RUN"),
    compare=(compare.compare, "pareto-runs/before pareto-runs/after"),
)
_panel(
    "Choose and ship",
    select=(select.select, "pareto-runs/RUN --max-rss 100MB"),
    deploy=(deploy.deploy, "pareto-runs/RUN knee --to nnpackage"),
    export=(show.export, "pareto-runs/RUN --format csv --to trials.csv"),
)
_panel(
    "Offline",
    replay=(measure.replay, "pareto-runs/table --sampler nsga2 --budget 50"),
    bench=(bench.bench, "simulated:tiny-8x2:1 pareto-runs/table --seeds 3"),
)
app.add_typer(target.app, rich_help_panel="Devices")

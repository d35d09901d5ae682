"""The command ``pareto-profiler``."""

from __future__ import annotations

from typing import Annotated

import typer

from pareto_profiler import __version__
from pareto_profiler.cli import (
    bench,
    compare,
    doctor,
    inspect,
    learned,
    measure,
    select,
    show,
    target,
    trace,
)

app = typer.Typer(
    name="pareto-profiler",
    help="Which backend should run which operation of my model? Measures assignments of backends "
    "to operations and keeps the Pareto front of latency against peak memory.",
    epilog="Exit status: 0 done, 1 results cannot be kept (disk full) or, of compare, the front "
    "is worse, 2 bad input, 3 the target is unusable or, of compare, was too busy to tell, 130 "
    "interrupted (run the same command again to go on).",
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


app.command("inspect")(inspect.inspect)
app.command("search")(measure.search)
app.command("record")(measure.record)
app.command("confirm")(measure.confirm)
app.command("replay")(measure.replay)
app.command("bench")(bench.bench)
app.command("learned")(learned.learned)
app.command("compare")(compare.compare)
app.command("doctor")(doctor.doctor)
app.command("show")(show.show)
app.command("select")(select.select)
app.command("export")(show.export)
app.command("trace")(trace.trace)
app.add_typer(target.app)

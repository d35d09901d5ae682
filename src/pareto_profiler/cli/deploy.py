"""``pareto-profiler deploy``: an assignment as files that ship, run once to be sure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pareto_profiler.cli.exits import TARGET_UNUSABLE, note
from pareto_profiler.cli.options import JsonOption, WhereNow, command, id_words
from pareto_profiler.cli.output import print_json, say
from pareto_profiler.report.naming import named
from pareto_profiler.runtimes import RUNTIMES, runtime
from pareto_profiler.shipping import Shipment

UNLIKE = 1


def form_names() -> list[str]:
    """What completes a form."""
    return list(dict.fromkeys(form for name in RUNTIMES for form in runtime(name).forms))


@command
def deploy(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run, or its journal.")],
    now: WhereNow,
    number: Annotated[
        str,
        typer.Argument(
            metavar="[ID]",
            help="Which assignment: its letter or its id as show prints them, or fastest, "
            "smallest, knee, baseline, uniform; in a run of several runtimes also RUNTIME:ID. "
            "Leave it out where the form takes the whole front.",
            autocompletion=id_words,
            show_default=False,
        ),
    ] = "",
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="Which form, of those that the run's runtime has: env (a shell script), nnpackage "
            "(a package with the configuration inside), api (a C header for the runtime's calls), "
            "part (a part file for ONE's partitioner), json (data for a scheduler or an "
            "application), c (a file for an application), onnx and param (a folder with a model "
            "that says it all), python (a program or a module, or such a folder run by one).",
            show_default="the first that the run's runtime has",
            autocompletion=form_names,
        ),
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File or folder to write.",
            show_default="named after model and id, here",
        ),
    ] = None,
    verify: Annotated[
        bool,
        typer.Option(
            help="Run what was written on the run's target, and compare placement and exec_time."
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Write an assignment in the form that ships, and run it to see that it does what was measured.

    It is run on the target of the run, in turns with the same assignment under the search's driver:
    each operation has to run where it was measured, as far as runtime and form can tell, and both
    have to take the same time within noise. Exit status 1 if not, 3 if the target is too busy to
    tell.
    """
    shipment = Shipment.of(run, number, form, output, model=now.model, is_to_run=verify)
    if verify:
        shipment.check_target(now.address, now.targets)
    told = shipment.write()
    for words in (*(f"warning: {w}" for w in shipment.summary.warnings), *told):
        note(words)
    note(f"written: {shipment.to}")
    verified = shipment.verify(now.address, now.targets) if verify else []
    if as_json:
        print_json(
            {
                "written": str(shipment.to),
                "ids": [str(row.id) for row in shipment.rows],
                "verified": [v.to_json() for v in verified],
            }
        )
    else:
        # Not all were run where the target can run none of this form.
        for row, one in zip(shipment.rows, verified, strict=False):
            say(f"{named(shipment.summary, row.name)}: {one.words}")
    if any(v.is_good is False for v in verified):
        raise typer.Exit(UNLIKE)
    if any(v.is_good is None for v in verified):
        raise typer.Exit(TARGET_UNUSABLE)

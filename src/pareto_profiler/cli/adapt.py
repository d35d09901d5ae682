"""``pareto-profiler adapt``: a model that a runtime takes and that computes the same."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pareto_profiler.adapting import adapt as adapt_model
from pareto_profiler.cli.exits import note
from pareto_profiler.cli.options import JsonOption, ModelArgument, RuntimeOption, command
from pareto_profiler.cli.output import check_no_journal, print_json
from pareto_profiler.errors import InputError
from pareto_profiler.runtimes import runtime as runtime_named


@command
def adapt(
    model: ModelArgument,
    output: Annotated[
        Path | None,
        typer.Option(help="File to write.", show_default="beside the model, named after both"),
    ] = None,
    runtime: RuntimeOption = "",
    input_shape: Annotated[
        list[str] | None,
        typer.Option(help="Sizes that the model leaves free, as NAME=1,224,224,3; repeatable."),
    ] = None,
    input_file: Annotated[
        Path | None,
        typer.Option("--input", help="Inputs to compare outputs for.", show_default="random ones"),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a model that a runtime takes and that computes the same.

    Constants that are unpacked at run time (half precision, sparse) are folded, operators that the
    runtime has not are made of others, free sizes are fixed, and what nothing needs is left out.
    Outputs are compared with the original's, and nothing is written where they differ.
    """
    room = runtime_named(runtime)
    to = output or model.with_name(f"{model.stem}-{room.name}.tflite")
    if to.exists() and model.exists() and to.samefile(model):
        raise InputError(f"{to}: is the model itself; name another file with --output")
    check_no_journal(to)
    made = adapt_model(room, model, to, shapes=input_shape or (), input_file=input_file)
    if as_json:
        print_json(
            {
                "written": str(made.path),
                "error": made.error,
                "steps": [step.to_json() for step in made.steps],
                "refused": [[o.index, o.builtin, o.problem] for o in made.refused],
            }
        )
    else:
        for words in made.words or ["nothing had to be changed"]:
            print(words)
        print(f"outputs differ by {made.error:.2g} of their range at most")
    for o in made.refused:
        note(f"{room.name} still refuses @{o.index} {o.builtin}: {o.problem}")
    note(f"written: {made.path}")

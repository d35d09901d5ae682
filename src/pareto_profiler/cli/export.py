"""``pareto-profiler export``: a run in files that other tools read."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from pareto_profiler.cli.exits import note
from pareto_profiler.cli.options import RunArgument, TableOptions, command, id_words
from pareto_profiler.cli.output import write_file
from pareto_profiler.core.recording import Recording
from pareto_profiler.errors import InputError
from pareto_profiler.report.naming import id_of
from pareto_profiler.report.node_data import node_data_of
from pareto_profiler.report.records import csv_of, parquet_of, records_of, seed_dump
from pareto_profiler.report.study import study_of
from pareto_profiler.report.summary import Summary
from pareto_profiler.shipping import check_no_model
from pareto_profiler.storage.opening import open_recording
from pareto_profiler.storage.tables import pack


class ExportFormat(StrEnum):
    """What ``export`` can write."""

    SEED = "seed"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    PACKED = "packed"
    OPTUNA = "optuna"
    MODEL_EXPLORER = "model-explorer"


def _json_of(recording: Recording) -> str:
    return json.dumps(Summary.of(recording).to_json(), indent=2) + "\n"


_TEXTS: Final[Mapping[ExportFormat, Callable[[Recording], str]]] = {
    ExportFormat.SEED: seed_dump,
    ExportFormat.CSV: lambda recording: csv_of(records_of(recording)),
    ExportFormat.JSON: _json_of,
}
_FILES: Final[Mapping[ExportFormat, Callable[[Recording], bytes]]] = {
    ExportFormat.PARQUET: lambda recording: parquet_of(records_of(recording)),
    ExportFormat.PACKED: pack,
    ExportFormat.OPTUNA: study_of,
}


@command
def export(
    run: RunArgument,
    given: TableOptions,
    file_format: Annotated[ExportFormat, typer.Option("--format", help="What to write.")],
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="File to write, of model-explorer a folder; standard output without it.",
        ),
    ] = None,
    point: Annotated[
        str,
        typer.Option(
            help="Which point model-explorer shows: as deploy takes it.", autocompletion=id_words
        ),
    ] = "knee",
) -> None:
    """Write a run as a table: every trial as csv or parquet, the summary as json, or a ONE dump.

    `packed` is a Parquet file with everything, raw samples included, which all commands read like
    the run itself.

    `optuna` is a study that Optuna's dashboard opens. `model-explorer` is node data for Google's
    Model Explorer: a folder of files to load beside the model, which show where each operation of
    a point runs, how long it takes, and how much goes in and out.

    `seed` is the format of ONE's random_sampler: the front, milliseconds and KiB, with the
    configuration string of each id.
    """
    recording = open_recording(run, given.names, given.baseline)
    if to is not None:
        check_no_model(to, recording.header)
    if file_format in _TEXTS and to is None:
        sys.stdout.write(_TEXTS[file_format](recording))
        return
    if to is None:
        raise InputError(f"{file_format} is no text: name a file with --output")
    if file_format is ExportFormat.MODEL_EXPLORER:
        _write_node_data(recording, point, to)
    elif file_format in _TEXTS:
        write_file(to, _TEXTS[file_format](recording))
    else:
        write_file(to, _FILES[file_format](recording))
    note(f"written: {to}")


def _write_node_data(recording: Recording, point: str, folder: Path) -> None:
    summary = Summary.of(recording)
    wanted = id_of(summary, point)
    row = next((row for row in summary.measured if row.id == wanted), None)
    if row is None:
        raise InputError(f"point {point}: was not measured")
    for name, data in node_data_of(summary, row).items():
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{folder}: is no folder to write to: {error.strerror}") from error
        write_file(folder / f"{name}.json", json.dumps(data, indent=1) + "\n")

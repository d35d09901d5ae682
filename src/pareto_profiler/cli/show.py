"""``pareto-profiler show`` and ``export``: what a run found, on the screen and in files."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pareto_profiler.cli.exits import note
from pareto_profiler.cli.fronts import print_joint, print_summary
from pareto_profiler.cli.options import (
    InsteadOption,
    JsonOption,
    JudgingOptions,
    RunArgument,
    TableOptions,
    command,
)
from pareto_profiler.cli.output import write_file
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.recording import Recording
from pareto_profiler.errors import InputError
from pareto_profiler.quantities import split
from pareto_profiler.report.joint import Joint
from pareto_profiler.report.records import csv_of, parquet_of, records_of, seed_dump
from pareto_profiler.report.study import study_of
from pareto_profiler.report.summary import Summary
from pareto_profiler.shipping import check_no_model
from pareto_profiler.storage.opening import open_recording, open_runs, runs_in
from pareto_profiler.storage.tables import pack


class ExportFormat(StrEnum):
    """What ``export`` can write."""

    SEED = "seed"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    PACKED = "packed"
    OPTUNA = "optuna"


@command
def show(
    run: RunArgument,
    judging: JudgingOptions,
    given: TableOptions,
    objectives: InsteadOption = "",
    as_json: JsonOption = False,
) -> None:
    """Show the front of a run: a table, a scatter, the configurations, and what failed.

    Works while the search is still running, too.
    """
    wanted = objectives_of(split(objectives)) if objectives else ()
    if runs_in(run) and not given.backends and not given.baseline:
        print_joint(Joint.of(open_runs(run), wanted, **judging.given), run, as_json=as_json)
        return
    recording = open_recording(run, given.names, given.baseline)
    print_summary(Summary.of(recording, wanted, **judging.given), run, as_json=as_json)


@command
def export(
    run: RunArgument,
    given: TableOptions,
    file_format: Annotated[ExportFormat, typer.Option("--format", help="What to write.")],
    to: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="File to write; standard output without it."),
    ] = None,
) -> None:
    """Write a run as a table: every trial as csv or parquet, the summary as json, or a ONE dump.

    `packed` is a Parquet file with everything, raw samples included, which all commands read like
    the run itself.

    `optuna` is a study that Optuna's dashboard opens.

    `seed` is the format of ONE's random_sampler: the front, milliseconds and KiB, with the
    configuration string of each id.
    """
    recording = open_recording(run, given.names, given.baseline)
    if to is not None:
        check_no_model(to, recording.header)
    if to is None:
        if file_format in {ExportFormat.PACKED, ExportFormat.PARQUET, ExportFormat.OPTUNA}:
            raise InputError(f"{file_format} is no text: name a file with --output")
        sys.stdout.write(_text(recording, Summary.of(recording), file_format))
        return
    if file_format is ExportFormat.PACKED:
        write_file(to, pack(recording))
    elif file_format is ExportFormat.PARQUET:
        write_file(to, parquet_of(records_of(recording)))
    elif file_format is ExportFormat.OPTUNA:
        write_file(to, study_of(recording))
    else:
        write_file(to, _text(recording, Summary.of(recording), file_format))
    note(f"written: {to}")


def _text(recording: Recording, summary: Summary, file_format: ExportFormat) -> str:
    if file_format is ExportFormat.SEED:
        return seed_dump(recording)
    if file_format is ExportFormat.JSON:
        return json.dumps(summary.to_json(), indent=2) + "\n"
    return csv_of(records_of(recording))

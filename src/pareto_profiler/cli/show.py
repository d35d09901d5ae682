"""``pareto-profiler show`` and ``export``: what a run found, on the screen and in files."""

from __future__ import annotations

import contextlib
import csv
import io
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pareto_profiler.cli.exits import reporting_errors
from pareto_profiler.errors import InputError, StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pareto_profiler.core.recording import Recording
    from pareto_profiler.report.summary import Summary

RunArgument = Annotated[
    Path,
    typer.Argument(
        metavar="RUN",
        help="Folder of a run, its journal, or a result dump of ONE's tools.",
    ),
]
BackendsOfDumpOption = Annotated[
    str,
    typer.Option(
        "--backends",
        help="Of a result dump that does not name them, or of a CSV table: the backends, digit 0 "
        "and the baseline's first.",
        show_default="of a dump as its journal says, else cpu, acl_cl, acl_neon; of a table cpu, "
        "then by name",
    ),
]
BaselineOption = Annotated[
    str,
    typer.Option(
        "--baseline",
        help="Of a CSV table: the backend that its baseline is on.",
        show_default="cpu, else the first one by name",
    ),
]


def id_words() -> list[str]:
    """What completes an id."""
    from pareto_profiler.report.naming import WORDS

    return list(WORDS)


IdArgument = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="Which assignment: an id, also as show shortens it, or fastest, smallest, knee, "
        "baseline, uniform.",
        autocompletion=id_words,
    ),
]


MarginShownOption = Annotated[
    str,
    typer.Option(
        help="Differences below that are nothing, e.g. 2%, or 0 for strict dominance.",
        show_default="the recorded one",
    ),
]
ConfidenceShownOption = Annotated[
    str,
    typer.Option(
        help="Of each verdict on what is on the front, e.g. 95%.",
        show_default="the recorded one",
    ),
]

_MEMORY_METRICS = ("pss", "rss_anon", "rss_file")


class ExportFormat(StrEnum):
    """What ``export`` can write."""

    SEED = "seed"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"
    PACKED = "packed"


@reporting_errors
def show(
    run: RunArgument,
    objectives: Annotated[
        str, typer.Option(help="Show the front of these instead of the recorded ones.")
    ] = "",
    margin: MarginShownOption = "",
    confidence: ConfidenceShownOption = "",
    backends: BackendsOfDumpOption = "",
    baseline: BaselineOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the front of a run: a table, a scatter, the configurations, and what failed.

    Works while the search is still running, too.
    """
    from pareto_profiler.cli.assembly import confidence_of, fraction_of, split
    from pareto_profiler.cli.joint import open_runs, runs_in
    from pareto_profiler.cli.output import print_joint, print_summary
    from pareto_profiler.core.measurement import objectives_of
    from pareto_profiler.report.joint import Joint
    from pareto_profiler.report.summary import Summary

    wanted = objectives_of(split(objectives)) if objectives else ()
    least = fraction_of(margin) if margin else None
    sure = confidence_of(confidence) if confidence else None
    if runs_in(run) and not backends and not baseline:
        joint = Joint.of(open_runs(run), wanted, margin=least, confidence=sure)
        print_joint(joint, as_json=as_json)
        return
    recording = open_recording(run, backends, baseline)
    summary = Summary.of(recording, wanted, margin=least, confidence=sure)
    print_summary(summary, as_json=as_json)


@reporting_errors
def export(
    run: RunArgument,
    file_format: Annotated[ExportFormat, typer.Option("--format", help="What to write.")],
    to: Annotated[
        Path | None, typer.Option("--to", help="File to write; standard output without it.")
    ] = None,
    backends: BackendsOfDumpOption = "",
    baseline: BaselineOption = "",
) -> None:
    """Write a run as a table: every trial as csv or parquet, the summary as json, or a ONE dump.

    `packed` is a Parquet file with everything, raw samples included, which all commands read like
    the run itself.

    `seed` is the format of ONE's random_sampler: the front, milliseconds and KiB, with the
    configuration string of each id.
    """
    from pareto_profiler.cli.output import note, write_file
    from pareto_profiler.report.summary import Summary

    recording = open_recording(run, backends, baseline)
    if to is None:
        if file_format in {ExportFormat.PACKED, ExportFormat.PARQUET}:
            raise InputError(f"{file_format} is no text: name a file with --to")
        sys.stdout.write(_text(recording, Summary.of(recording), file_format))
        return
    if file_format is ExportFormat.PACKED:
        from pareto_profiler.tables import pack

        write_file(to, pack(recording))
    elif file_format is ExportFormat.PARQUET:
        write_file(to, parquet_of(_records(recording)))
    else:
        write_file(to, _text(recording, Summary.of(recording), file_format))
    note(f"written: {to}")


def open_recording(run: Path, backends: str = "", baseline: str = "") -> Recording:
    """Read a run folder, a journal, a table or a seed dump.

    A dump that does not name its backends is read with those of the journal that lies beside it
    where this tool wrote it, else with the original's.

    Raises:
        InputError, StoreError: It is none of them, damaged, holds no trial yet, or says itself
            what the backends and the baseline are, and other ones are named.
    """
    from pareto_profiler.cli.assembly import split

    recording = _read(run, split(backends), baseline)
    given = recording.header.space.backends
    if backends and split(backends) != given and not (baseline and {*split(backends)} == {*given}):
        raise InputError(f"--backends {backends}: {run} itself says {','.join(given)}")
    if baseline and baseline != given[0]:
        raise InputError(
            f"--baseline {baseline}: only CSV tables leave that open, of {run} it is on {given[0]}"
        )
    if not recording.trials:
        raise InputError(f"{run}: holds no trial yet")
    return recording


def _read(run: Path, backends: Sequence[str], baseline: str) -> Recording:
    from pareto_profiler.cli.joint import runs_in
    from pareto_profiler.cli.output import note
    from pareto_profiler.seed_formats import is_dump
    from pareto_profiler.store import is_journal, read
    from pareto_profiler.tables import is_csv, is_packed, read_csv, unpack

    if is_dump(run):
        return _read_dump(run, backends)
    if is_journal(run):
        return read(run)
    if is_packed(run):
        return unpack(run)
    if is_csv(run):
        table = read_csv(run, backends, baseline)
        if table.left_out:
            note(f"{run}: numbers are no backends, left out: {', '.join(table.left_out)}")
        return table.recording
    if runs := runs_in(run):
        named = ", ".join(map(str, runs.values()))
        raise InputError(f"{run}: holds runs of several runtimes: name one of {named}")
    raise InputError(
        f"{run}: neither the folder of a run, nor a journal, nor a result dump, nor a packed "
        f"table, nor a CSV file"
    )


def _read_dump(run: Path, backends: Sequence[str]) -> Recording:
    from pareto_profiler.cli.output import note
    from pareto_profiler.seed_formats import is_of, named_backends, read_dump
    from pareto_profiler.store import is_journal, read

    beside = run.with_name(f"{run.name}.run")
    names = named_backends(run) or backends
    if not names and is_journal(beside):
        with contextlib.suppress(StoreError):
            space = read(beside).header.space
            names = space.backends if is_of(run, space) else ()
    recording = read_dump(run, names)
    if not names:
        taken = ", ".join(recording.header.space.backends)
        note(f"{run} does not name its backends; taken as {taken} (else: --backends)")
    return recording


def seed_dump(recording: Recording) -> str:
    """The front of the seed's two objectives, whatever was searched for, in the seed's format.

    Raises:
        InputError: The format cannot express the space.
    """
    from pareto_profiler.core.measurement import objectives_of
    from pareto_profiler.report.summary import Summary
    from pareto_profiler.seed_formats import DUMP_OBJECTIVES, sampler_dump

    front = Summary.of(recording, objectives_of(DUMP_OBJECTIVES)).front
    plan = recording.header.plan
    # The seed's own commands measure as the original does and name no threads, as the original.
    threads = plan.threads if plan and not plan.load_every_backend else None
    return sampler_dump(recording.header.space, [row.estimate for row in front], threads=threads)


def _text(recording: Recording, summary: Summary, file_format: ExportFormat) -> str:
    import json

    if file_format is ExportFormat.SEED:
        return seed_dump(recording)
    if file_format is ExportFormat.JSON:
        return json.dumps(summary.to_json(), indent=2) + "\n"
    records = _records(recording)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(records[0]) if records else ["trial"])
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def _records(recording: Recording) -> list[dict[str, Any]]:
    """One flat record a trial; figures in the units of the column names, empty for failures."""
    from pareto_profiler.core.measurement import OBJECTIVES, Measurement
    from pareto_profiler.core.trial import Failure
    from pareto_profiler.report.summary import Summary

    space = recording.header.space
    on_front = {
        trial.number for row in Summary.of(recording).front for trial in row.estimate.trials
    }
    records = []
    for trial in recording.trials:
        outcome = trial.outcome
        failure = outcome if isinstance(outcome, Failure) else None
        record: dict[str, Any] = {
            "trial": trial.number,
            "id": str(space.id_of(trial.assignment)),
            "source": trial.source,
            "on_front": trial.number in on_front,
            "disturbed": isinstance(outcome, Measurement) and outcome.is_contended,
        }
        for name, objective in OBJECTIVES.items():
            measured = isinstance(outcome, Measurement) and outcome.has(objective)
            record[f"{name}_{objective.shown_unit.lower()}"] = (
                objective.shown(outcome.value(objective))
                if measured and isinstance(outcome, Measurement)
                else None
            )
        for name in _MEMORY_METRICS:
            samples = outcome.samples.get(name) if isinstance(outcome, Measurement) else None
            record[f"{name}_kib"] = samples[0] / 1024 if samples else None
        record |= {
            "failure": str(failure.kind) if failure else None,
            "message": failure.message if failure else None,
            "started_at": trial.started_at,
            "duration_s": trial.duration_s,
        }
        record |= {v.name: c for v, c in zip(space.variables, trial.assignment, strict=True)}
        records.append(record)
    return records


def parquet_of(records: list[dict[str, Any]]) -> bytes:
    """Flat records as a Parquet file.

    Raises:
        InputError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise InputError("parquet needs pyarrow: pip install 'pareto-profiler[parquet]'") from error
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(records), sink, compression="zstd")
    return sink.getvalue()

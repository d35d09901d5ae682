"""Records: a run as flat tables and in the original's format."""

from __future__ import annotations

import csv
import io
from typing import Any, Final

from pareto_profiler.core.measurement import OBJECTIVES, Measurement, objectives_of
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.trial import Failure
from pareto_profiler.errors import InputError
from pareto_profiler.report.summary import Summary
from pareto_profiler.storage.seed_formats import DUMP_OBJECTIVES, sampler_dump

_MEMORY_METRICS: Final = ("pss", "rss_anon", "rss_file")


def records_of(recording: Recording) -> list[dict[str, Any]]:
    """One flat record a trial; figures in the units of the column names, empty for failures."""
    space = recording.header.space
    on_front = {
        trial.number for row in Summary.of(recording).front for trial in row.estimate.trials
    }
    records = []
    has_boards = any(t.board for t in recording.trials)
    for trial in recording.trials:
        outcome = trial.outcome
        failure = outcome if isinstance(outcome, Failure) else None
        measured = outcome if isinstance(outcome, Measurement) else None
        record: dict[str, Any] = {
            "trial": trial.number,
            "id": str(space.id_of(trial.assignment)),
            "source": trial.source,
            "on_front": trial.number in on_front,
            "disturbed": measured is not None and measured.is_contended,
        }
        for name, o in OBJECTIVES.items():
            record[f"{name}_{o.shown_unit.lower()}"] = (
                o.shown(measured.value(o)) if measured and measured.has(o) else None
            )
        for name in _MEMORY_METRICS:
            samples = measured.samples.get(name) if measured else None
            record[f"{name}_kib"] = samples[0] / 1024 if samples else None
        record |= {
            "failure": str(failure.kind) if failure else None,
            "message": failure.message if failure else None,
            "started_at": trial.started_at,
            "duration_s": trial.duration_s,
        }
        if has_boards:
            record["board"] = trial.board
        record |= {v.name: c for v, c in zip(space.variables, trial.assignment, strict=True)}
        records.append(record)
    return records


def csv_of(records: list[dict[str, Any]]) -> str:
    """Flat records as CSV with a header."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, fieldnames=list(records[0]) if records else ["trial"])
    writer.writeheader()
    writer.writerows(records)
    return stream.getvalue()


def parquet_of(records: list[dict[str, Any]]) -> bytes:
    """Flat records as a Parquet file.

    Raises:
        InputError: pyarrow is not installed.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise InputError("parquet needs pyarrow: pip install pyarrow") from error
    sink = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(records), sink, compression="zstd")
    return sink.getvalue()


def seed_dump(recording: Recording) -> str:
    """The front of the seed's two objectives, whatever was searched for, in the seed's format.

    Raises:
        InputError: The format cannot express the space.
    """
    front = Summary.of(recording, objectives_of(DUMP_OBJECTIVES)).front
    plan = recording.header.plan
    # The seed's own commands measure as the original does and name no threads, as the original.
    threads = plan.threads if plan and not plan.load_every_backend else None
    return sampler_dump(recording.header.space, [row.estimate for row in front], threads=threads)

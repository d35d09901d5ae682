"""Tables: recordings as single files, packed (Parquet) or plain (CSV)."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from pareto_profiler.core.configuration import SETTING_VALUES
from pareto_profiler.core.measurement import METRIC_UNITS, OBJECTIVES, Measurement
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.space import DecisionSpace, Granularity, Variable
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind, InputError, SpaceError
from pareto_profiler.files import first_bytes, read_regular
from pareto_profiler.store import (
    DAMAGES,
    header_of,
    header_record,
    placement_of,
    placement_record,
    trial_of,
    trial_record,
)

PACKED_START: Final = b"PAR1"
_LARGEST_BYTES: Final = 1 << 32
_METADATA: Final = b"pareto_profiler"
_OTHER_COLUMNS: Final = frozenset(
    "trial id source on_front disturbed failure message started_at duration_s pss_kib rss_anon_kib "
    "rss_file_kib output_error_ppm model_rss_kib".split()
)


def pack(recording: Recording) -> bytes:
    """A whole recording as one Parquet file: nothing is lost, and columns stay columns.

    The header and the placements are in the file's metadata.

    Raises:
        InputError: pyarrow is not installed.
    """
    pa, parquet = _arrow()
    space = recording.header.space
    rows = []
    for trial in recording.trials:
        record = trial_record(trial, space)
        if "profile" in record:
            keys = ("index", "backend", "seconds")
            record["profile"] = [dict(zip(keys, r, strict=True)) for r in record["profile"]]
        if "failure" in record:
            kind, message = record.pop("failure")
            record |= {"failure_kind": kind, "failure_message": message}
        rows.append({k: v for k, v in record.items() if k != "record" and v not in ({}, [])})
    names = sorted({name for row in rows for name in row})
    table = pa.Table.from_pylist([{n: row.get(n) for n in names} for row in rows])
    about = {
        "header": header_record(recording.header),
        "placements": [placement_record(p, space) for p in recording.placements],
    }
    sink = io.BytesIO()
    # As metadata of the schema it would be stored twice.
    with parquet.ParquetWriter(
        sink, table.schema, compression="zstd", compression_level=15, write_statistics=False
    ) as writer:
        writer.write_table(table)
        writer.add_key_value_metadata({_METADATA.decode(): json.dumps(about)})
    return sink.getvalue()


def is_packed(path: Path) -> bool:
    """Whether a file begins as a Parquet file does."""
    return first_bytes(path, len(PACKED_START)) == PACKED_START


def unpack(path: Path) -> Recording:
    """Back from :func:`pack`.

    Raises:
        InputError: It is no such file, or pyarrow is not installed.
    """
    pa, parquet = _arrow()
    data = read_regular(path, InputError, limit_bytes=_LARGEST_BYTES)
    try:
        file = parquet.ParquetFile(pa.BufferReader(data), pre_buffer=False)
        table = file.read(use_threads=False)
        about = json.loads((file.metadata.metadata or {})[_METADATA])
        header = header_of(about["header"], path)
        trials = [trial_of(_record(row), header.space) for row in table.to_pylist()]
        placements = [placement_of(p, header.space) for p in about["placements"]]
    except (*DAMAGES, pa.ArrowException) as error:
        raise InputError(
            f"{path}: no packed recording: {type(error).__name__}: {_line(error)}"
        ) from error
    return Recording(header, tuple(trials), tuple(placements))


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the journal's record."""
    record = {k: v for k, v in row.items() if v is not None}
    if "failure_kind" in record:
        record["failure"] = [record["failure_kind"], record.get("failure_message", "")]
    elif "profile" in record or "samples" not in record:
        profile = record.get("profile", [])
        record["profile"] = [[o["index"], o["backend"], o["seconds"]] for o in profile]
    for kind in ("samples", "warmups"):
        found = record.get(kind) or {}
        record[kind] = {name: values for name, values in found.items() if values is not None}
    return {"output_error": None, "notes": [], **record}


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise InputError("parquet needs pyarrow: pip install 'pareto-profiler[parquet]'") from error
    return pa, parquet


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def is_csv(path: Path) -> bool:
    """Whether a file may be a table in CSV, by its name."""
    return path.suffix.lower() == ".csv" and path.is_file()


def read_csv(path: Path) -> Recording:
    """A table of any origin: a row for each measurement, a column for each variable.

    Figures are in columns named as ``export --format csv`` names them: ``exec_time_ms``,
    ``max_rss_kib`` and so on, two at the least; a ``failure`` column may name what failed instead,
    ``duration_s`` how long it took. Minimised are exec_time and max_rss, or else the first two.
    Every other column is a variable: a setting where it is named like one, else operations of that
    name. Choices are numbered as they come.

    Raises:
        InputError: It is no such table.
    """
    text = read_regular(path, InputError, limit_bytes=_LARGEST_BYTES).decode("utf-8", "replace")
    reader = csv.DictReader(io.StringIO(text, newline=""))
    try:
        rows = list(reader)
    except csv.Error as error:
        raise InputError(f"{path}: {error}") from error
    columns = [c for c in reader.fieldnames or () if c]
    figures = {
        f"{name}_{o.shown_unit.lower()}": o
        for name, o in OBJECTIVES.items()
        if name in METRIC_UNITS
    }
    measured = [c for c in columns if c in figures and any(row.get(c) for row in rows)]
    variables = [c for c in columns if c not in figures and c not in _OTHER_COLUMNS]
    if len(measured) < 2 or not variables:
        raise InputError(
            f"{path}: expected columns of variables, and two or more of {', '.join(figures)}"
        )
    space = _space_of(path, variables, rows)
    trials: list[Trial] = []
    for number, row in enumerate(rows):
        outcome: Measurement | Failure
        try:
            if row.get("source") == "profile":
                continue
            if kind := row.get("failure"):
                outcome = Failure(FailureKind(kind), row.get("message") or "")
            else:
                outcome = Measurement(
                    {
                        figures[c].name: (float(row[c]) / figures[c].shown_per_unit,)
                        for c in measured
                    }
                )
            duration_s = float(row.get("duration_s") or 0.0)
            if not 0 <= duration_s < math.inf:
                raise ValueError(f"duration_s {duration_s}")
        except ValueError as error:
            raise InputError(f"{path}: row {number + 1}: {_line(error)}") from error
        trials.append(
            Trial(
                len(trials),
                tuple(row[v] for v in variables),
                outcome,
                row.get("source") or "",
                row.get("started_at") or "",
                duration_s,
            )
        )
    names = tuple(figures[c].name for c in measured)
    usual = ("exec_time", "max_rss")
    objectives = usual if set(usual) <= set(names) else names[:2]
    return Recording(Header(path.stem, "", space, objectives), tuple(trials))


def _space_of(
    path: Path, variables: Iterable[str], rows: Iterable[Mapping[str, str]]
) -> DecisionSpace:
    rows = list(rows)
    found = []
    backends: dict[str, None] = {}
    for name in variables:
        values = tuple(dict.fromkeys(row.get(name) or "" for row in rows))
        if "" in values or not values:
            raise InputError(f"{path}: column {name}: expected a choice in every row")
        is_setting = name in SETTING_VALUES
        found.append((name, values, is_setting))
        if not is_setting:
            backends.update(dict.fromkeys(values))
    every = tuple(backends)
    if not every:
        raise InputError(f"{path}: expected a column of an operation's backends")
    kinds = {"@": Granularity.OPERATION, "/": Granularity.INDEX}
    granularity = next((g for mark, g in kinds.items() if mark in found[0][0]), Granularity.NAME)
    try:
        return DecisionSpace(
            every,
            tuple(
                Variable(name, values, values, is_setting=True)
                if is_setting
                else Variable(name, every, tuple(b for b in every if b in values))
                for name, values, is_setting in found
            ),
            granularity,
        )
    except SpaceError as error:
        raise InputError(f"{path}: {error}") from error

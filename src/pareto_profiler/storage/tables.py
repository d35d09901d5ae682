"""Tables: recordings as single files, packed (Parquet) or plain (CSV)."""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from pareto_profiler.core.measurement import (
    LARGEST,
    METRIC_UNITS,
    OBJECTIVES,
    Measurement,
    Objective,
)
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.space import Assignment, DecisionSpace, Granularity, Variable
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind, InputError, SpaceError
from pareto_profiler.files import first_bytes, read_regular
from pareto_profiler.runtimes import runtime, runtime_with, settings
from pareto_profiler.storage.journal import (
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
# A hundred thousand trials of a thousand runs each have fewer.
_MAX_VALUES: Final = 200_000_000
_OF_PROFILES: Final = frozenset({"profile", "transfers"})
_METADATA: Final = b"pareto_profiler"
_OTHER_COLUMNS: Final = frozenset(
    "trial id source on_front disturbed failure message started_at duration_s board pss_kib "
    "rss_anon_kib rss_file_kib output_error_ppm model_rss_kib anon_rss_kib vram_kib".split()
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
        keys = ("index", "backend", "seconds")
        for name in _OF_PROFILES & record.keys():
            record[name] = [dict(zip(keys, r, strict=True)) for r in record[name]]
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
        told = (file.metadata.metadata or {}).get(_METADATA)
        if told is None:
            raise InputError(
                f"{path}: no packed recording: it is a table for other tools; export the run with "
                f"--format packed"
            )
        about = json.loads(told)
        _check_size(path, file.metadata)
        table = file.read(use_threads=False)
        header = header_of(about["header"], path)
        trials = [trial_of(_record(row), header) for row in table.to_pylist()]
        placements = [placement_of(p, header.space) for p in about["placements"]]
    except InputError:
        raise  # in words already
    except (*DAMAGES, pa.ArrowException) as error:
        raise InputError(
            f"{path}: no packed recording: {type(error).__name__}: {_line(error)}"
        ) from error
    return Recording(header, tuple(trials), tuple(placements))


def _check_size(path: Path, metadata: Any) -> None:
    """See that a file does not unfold to more than a machine holds: a few bytes may.

    Raises:
        InputError: It does.
    """
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    columns = [g.column(i) for g in groups for i in range(g.num_columns)]
    values = sum(c.num_values for c in columns)
    size = sum(c.total_uncompressed_size for c in columns)
    if values > _MAX_VALUES or size > _LARGEST_BYTES:
        raise InputError(
            f"{path}: unfolds to {values:,} values of {size:,} bytes: expected a recording, of at "
            f"most {_MAX_VALUES:,} and {_LARGEST_BYTES:,}"
        )


def _record(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as the journal's record."""
    record = {k: v for k, v in row.items() if v is not None}
    if "failure_kind" in record:
        record["failure"] = [record["failure_kind"], record.get("failure_message", "")]
    elif "profile" in record or "samples" not in record:
        for name in _OF_PROFILES:
            rows = record.get(name, [])
            record[name] = [[o["index"], o["backend"], o["seconds"]] for o in rows]
    for kind in ("samples", "warmups"):
        found = record.get(kind) or {}
        record[kind] = {name: values for name, values in found.items() if values is not None}
    return {"output_error": None, "notes": [], **record}


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise InputError("parquet needs pyarrow: pip install pyarrow") from error
    return pa, parquet


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]


def is_csv(path: Path) -> bool:
    """Whether a file may be a table in CSV, by its name."""
    return path.suffix.lower() == ".csv" and path.is_file()


@dataclass(frozen=True, slots=True)
class CsvTable:
    """A table that was read from CSV.

    Attributes:
        recording: Its rows as trials.
        left_out: Columns that are no choices, such as a temperature.
    """

    recording: Recording
    left_out: tuple[str, ...]


def read_csv(path: Path, backends: Sequence[str] = (), baseline: str = "") -> CsvTable:
    """Read a table of any origin: a row for each measurement, a column for each variable.

    Figures are in columns named as ``export --format csv`` names them: ``exec_time_ms``,
    ``max_rss_kib`` and so on, two at the least; a ``failure`` column may name what failed instead,
    ``duration_s`` how long it took, ``board`` which one of several measured it. Minimised are
    exec_time and max_rss, or else the first two.
    A column of text is a variable: a setting where it is named like one, else operations of that
    name. A column of numbers is no choice between backends and is left out.

    The order of rows changes nothing: ``cpu`` is the first backend where it is one, the others
    follow by name, settings by value. The baseline is everything on the first backend, or on the
    next one if the table has no figures of that.

    Args:
        path: The file, in UTF-8.
        backends: Backends in another order, all that occur among them.
        baseline: The backend that the baseline is on, which becomes the first.

    Raises:
        InputError: It is no such table, or lacks the backends or the baseline that were named.
    """
    columns, rows = _rows_of(path)
    figures = {
        f"{name}_{o.shown_unit.lower()}": o
        for name, o in OBJECTIVES.items()
        if name in METRIC_UNITS
    }
    rows = [row for row in rows if row.get("source") != "profile"]
    measured = [c for c in columns if c in figures and any(row[c] for row in rows)]
    others = [c for c in columns if c not in figures and c not in _OTHER_COLUMNS]
    left_out = [c for c in others if c not in settings() and _is_of_numbers(c, rows)]
    variables = [c for c in others if c not in left_out]
    if len(measured) < 2 or not variables:
        raise InputError(
            f"{path}: expected columns of variables, and two or more of {', '.join(figures)}"
            + (f"; numbers are no backends: {', '.join(map(repr, left_out))}" if left_out else "")
        )
    trials = []
    for number, row in enumerate(rows):
        try:
            trials.append(_trial_of(number, row, variables, {c: figures[c] for c in measured}))
        except ValueError as error:
            raise InputError(f"{path}: row {number + 1}: {_line(error)}") from error
    space = _space_of(path, variables, trials, backends, baseline)
    names = tuple(figures[c].name for c in measured)
    usual = ("exec_time", "max_rss")
    objectives = usual if set(usual) <= set(names) else names[:2]
    known = runtime_with(space.backends)
    # Of tables that do not say, the default one's words are used.
    known = "" if known == runtime().name else known
    header = Header(path.stem, "", space, objectives, runtime=known)
    return CsvTable(
        Recording(header, tuple(trials)),
        tuple(c or "without a name" for c in left_out),
    )


def _rows_of(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    data = read_regular(path, InputError, limit_bytes=_LARGEST_BYTES)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: is text in UTF-16: expected UTF-8; save it as CSV UTF-8")
    reader = csv.reader(io.StringIO(data.decode("utf-8-sig", "replace"), newline=""))
    try:
        lines = [line for line in reader if line]
    except csv.Error as error:
        raise InputError(f"{path}: {error}") from error
    columns = [name.strip() for name in lines[0]] if lines else []
    if len(columns) == 1 and columns[0].count(";") > 1:
        raise InputError(f"{path}: has semicolons between columns: expected commas")
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        raise InputError(f"{path}: column {twice[0]!r} comes twice: expected each once")
    for number, line in enumerate(lines[1:]):
        if len(line) != len(columns):
            raise InputError(
                f"{path}: row {number + 1}: {len(line)} values, the first line names "
                f"{len(columns)} columns"
            )
    return columns, [dict(zip(columns, map(str.strip, line), strict=True)) for line in lines[1:]]


def _is_of_numbers(column: str, rows: Sequence[Mapping[str, str]]) -> bool:
    """Whether a column says nothing but numbers, or nothing at all."""
    return all(not row[column] or _number(row[column]) is not None for row in rows)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _trial_of(
    number: int,
    row: Mapping[str, str],
    variables: Sequence[str],
    measured: Mapping[str, Objective],
) -> Trial:
    """A row as a trial.

    Raises:
        ValueError: Something in it is not what its column holds.
    """
    for name in variables:
        if not row[name] or not row[name].isprintable():
            raise ValueError(f"column {name}: {row[name]!r}: expected a choice in every row")
        if name not in settings() and _number(row[name]) is not None:
            raise ValueError(f"column {name}: {row[name]!r} is a number: expected a backend")
    outcome: Measurement | Failure
    if kind := row.get("failure"):
        outcome = Failure(FailureKind(kind), row.get("message", ""))
    else:
        samples = {}
        for column, objective in measured.items():
            value = _number(row[column])
            if value is None:
                raise ValueError(
                    f"column {column}: {row[column]!r} is no number: expected one, or what failed "
                    f"in a column failure"
                )
            if objective.name == "exec_time" and value == 0:
                raise ValueError(f"column {column}: 0 is no time: the clock that told it is coarse")
            samples[objective.name] = (value / objective.shown_per_unit,)
        outcome = Measurement(samples)
    duration_s = float(row.get("duration_s") or 0.0)
    if not 0 <= duration_s < LARGEST["s"]:
        raise ValueError(f"duration_s {duration_s:g}: expected 0 to less than {LARGEST['s']:g}")
    return Trial(
        number,
        tuple(row[name] for name in variables),
        outcome,
        row.get("source", ""),
        row.get("started_at", ""),
        duration_s,
        board=row.get("board", ""),
    )


def _space_of(
    path: Path,
    variables: Sequence[str],
    trials: Sequence[Trial],
    backends: Sequence[str],
    baseline: str,
) -> DecisionSpace:
    """The space of all choices that occur, in an order that does not depend on that of rows."""
    columns = list(zip(*(t.assignment for t in trials), strict=True))
    of_settings = [name in settings() for name in variables]
    occurring = {
        b
        for column, is_setting in zip(columns, of_settings, strict=False)
        if not is_setting
        for b in column
    }
    if not occurring:
        raise InputError(f"{path}: expected a column of an operation's backends")
    if missing := sorted(occurring - set(backends)) if backends else []:
        raise InputError(
            f"{path}: backends {', '.join(backends)}: the table has {', '.join(missing)}, too"
        )
    first = [baseline] if baseline else []
    known = [*first, *(b for b in backends or sorted(occurring, key=_cpu_first) if b != baseline)]
    if baseline and baseline not in (backends or occurring):
        raise InputError(
            f"{path}: baseline {baseline!r}: expected one of {', '.join(sorted(occurring))}"
        )
    measured = {t.assignment for t in trials if isinstance(t.outcome, Measurement)}

    def space(order: Sequence[str]) -> DecisionSpace:
        found = []
        for name, column, is_setting in zip(variables, columns, of_settings, strict=True):
            values = sorted(set(column), key=partial(_by_value, name))
            choices = tuple(values if is_setting else order)
            feasible = tuple(c for c in choices if c in column)
            found.append(Variable(name, choices, feasible, is_setting=is_setting))
        kinds = {"@": Granularity.OPERATION, "/": Granularity.INDEX}
        granularity = next((g for m, g in kinds.items() if m in variables[0]), Granularity.NAME)
        return DecisionSpace(tuple(order), tuple(found), granularity)

    try:
        asked = space(known)
        if baseline or backends or asked.default in measured:
            return asked
        others = (space([b, *(o for o in known if o != b)]) for b in known)
        return next((s for s in others if s.default in measured), None) or _beginning_at(
            asked, measured
        )
    except SpaceError as error:
        raise InputError(f"{path}: {error}") from error


def _beginning_at(space: DecisionSpace, measured: Collection[Assignment]) -> DecisionSpace:
    """The space with its first measured assignment, by id, as its baseline."""
    if not measured:
        return space
    baseline = min(measured, key=space.id_of)
    variables = tuple(
        replace(v, feasible=(c, *(f for f in v.feasible if f != c)))
        for v, c in zip(space.variables, baseline, strict=True)
    )
    return replace(space, variables=variables)


def _cpu_first(backend: str) -> tuple[bool, str]:
    return backend != "cpu", backend


def _by_value(setting: str, value: str) -> tuple[int, float, str]:
    """The runtime's default first, then by size, then by name."""
    order = settings().get(setting, ())
    number = _number(value)
    position = order.index(value) if value in order else len(order)
    return position, math.inf if number is None else number, value

"""Store: the append-only journal of one search, JSON lines, one finished trial a line.

Format history (``schema`` in the header line):

1. First. ``header``, then ``trial`` and ``placement`` records; assignments as digits; seconds and
   bytes.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from pareto_profiler.core.graph import Graph
from pareto_profiler.core.measurement import LARGEST, Measurement, objectives_of
from pareto_profiler.core.plan import TOLERANCE_KINDS, Plan, cpus_of
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.rules import CONFIDENCE, MARGIN
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.core.traits import Traits
from pareto_profiler.core.trial import Failure, OperationTime, Placement, Profile, Trial
from pareto_profiler.errors import FailureKind, InputError, SpaceError, StoreError, StoreWriteError
from pareto_profiler.files import first_bytes, is_folder, read_regular

SCHEMA: Final = 1
JOURNAL: Final = "journal.jsonl"
# What was written must be readable again: the limit is for a device file in a journal's place.
_LARGEST_BYTES: Final = 1 << 40
MOST: Final = 1e18
"""No time in seconds, size in bytes or count that exists is larger."""
_QUOTED: Final = 40
_ENOUGH_TO_TELL: Final = 200
_HEADER_START: Final = b'{"record":"header"'
_BEGINS: Final = re.compile(rb'\s*\{\s*"record"\s*:\s*"header"')
DAMAGES: Final = (
    AttributeError,
    KeyError,
    TypeError,
    ValueError,
    ArithmeticError,
    IndexError,
    RecursionError,
    InputError,
    SpaceError,
)


class Store:
    """Appends to a journal and remembers what it holds.

    One process at a time: the file stays locked until :meth:`close`. Each append is written,
    flushed and synchronised to the disk before it returns; nothing is ever rewritten.

    Args:
        path: The journal; created with its header where it does not exist. A last line that was
            cut short is removed.
        header: Of the search that is to be continued or begun.

    Raises:
        StoreError: Another process has it open, it is damaged, or it is of another search.
        StoreWriteError: It cannot be created or written.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a+b", buffering=0)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise StoreError(f"{path}: cannot be a journal: {error.strerror}") from error
        except OSError as error:
            raise StoreWriteError(f"{path}: cannot be opened: {error.strerror}") from error
        try:
            self._open(header)
        except BaseException:
            self._file.close()
            raise

    def _open(self, header: Header) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(
                f"{self.path}: another process is searching here; wait for it, or choose another "
                f"place"
            ) from error
        except OSError as error:
            raise StoreWriteError(f"{self.path}: cannot be locked: {error.strerror}") from error
        data = read_regular(self.path, StoreError, limit_bytes=_LARGEST_BYTES)
        whole, tail = _split_tail(data)
        if whole:
            recording = _parse(whole, self.path)
            differences = recording.header.differences(header)
            if differences:
                raise StoreError(
                    f"{self.path}: belongs to another search ({'; '.join(differences)}); "
                    f"choose another place for this one"
                )
            self._mend(len(data) - len(tail), is_ended=data.endswith(b"\n") or bool(tail))
        elif _is_torn_header(tail):
            os.ftruncate(self._file.fileno(), 0)
            self._write([header_record(header)])
            self._sync_folder()
            recording = Recording(header, ())
        else:
            raise StoreError(f"{self.path}: no journal: expected a header line")
        self.header = recording.header
        self._trials = list(recording.trials)
        self._placements = list(recording.placements)

    @property
    def trials(self) -> tuple[Trial, ...]:
        """All trials, in the order they were made."""
        return tuple(self._trials)

    @property
    def placements(self) -> tuple[Placement, ...]:
        """All placements read back."""
        return tuple(self._placements)

    @property
    def recording(self) -> Recording:
        """All of it, as one value."""
        return Recording(self.header, self.trials, self.placements)

    def append(self, entry: Trial | Placement) -> None:
        """Add a finished trial, or a placement that was read back.

        Raises:
            StoreWriteError: The disk is full or the file cannot be written; what was there before
                is intact.
        """
        self.extend([entry])

    def extend(self, entries: Iterable[Trial | Placement]) -> None:
        """The same of several at once: for what was computed, since a kill before it loses them.

        Raises:
            StoreWriteError: The disk is full or the file cannot be written; what was there before
                is intact, and none of these is kept.
        """
        entries, space = list(entries), self.header.space
        self._write(
            trial_record(entry, space)
            if isinstance(entry, Trial)
            else placement_record(entry, space)
            for entry in entries
        )
        self._trials += [entry for entry in entries if isinstance(entry, Trial)]
        self._placements += [entry for entry in entries if isinstance(entry, Placement)]

    def close(self) -> None:
        """Give the journal free."""
        self._file.close()

    def _write(self, records: Iterable[Mapping[str, Any]]) -> None:
        dump = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode
        lines = b"".join(dump(record).encode() + b"\n" for record in records)
        status = os.fstat(self._file.fileno())
        if status.st_nlink == 0:
            raise StoreWriteError(f"{self.path}: was removed while the search was running")
        try:
            written = 0
            while written < len(lines):
                written += os.write(self._file.fileno(), lines[written:])
            os.fsync(self._file.fileno())
        except OSError as error:
            with contextlib.suppress(OSError):  # else the next run cuts the torn tail
                os.ftruncate(self._file.fileno(), status.st_size)
            raise StoreWriteError(
                f"{self.path}: cannot be written: {error.strerror}; "
                f"the {len(getattr(self, '_trials', ()))} trials before are intact"
            ) from error

    def _mend(self, whole_bytes: int, *, is_ended: bool) -> None:
        """Remove a torn tail; end a last line that is whole but for its newline."""
        os.ftruncate(self._file.fileno(), whole_bytes)
        if not is_ended:
            os.write(self._file.fileno(), b"\n")

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def is_journal(path: Path) -> bool:
    """Whether a file, or the one in the folder of a run, begins as a journal does."""
    path = path / JOURNAL if is_folder(path) else path
    return _BEGINS.match(first_bytes(path, _ENOUGH_TO_TELL)) is not None


def read(path: Path) -> Recording:
    """Read a journal without locking or changing it, also while a search appends to it.

    Args:
        path: The journal, or the folder of a run.

    Raises:
        StoreError: There is none, it is damaged (with the line), or of another schema.
    """
    path = path / JOURNAL if is_folder(path) else path
    whole, _ = _split_tail(read_regular(path, StoreError, limit_bytes=_LARGEST_BYTES))
    if not whole:
        raise StoreError(f"{path}: no journal: expected a header line")
    return _parse(whole, path)


def _is_torn_header(tail: bytes) -> bool:
    """Whether that is all that was written of a journal before a kill: part of one header."""
    return (
        _HEADER_START.startswith(tail[: len(_HEADER_START)])
        and tail.count(b'{"record"') <= 1
        and not {b"\r"[0], 0} & set(tail)
    )


def _split_tail(data: bytes) -> tuple[bytes, bytes]:
    """The whole lines, each ended, and a last line that was cut short."""
    end = data.rfind(b"\n") + 1
    tail = data[end:]
    try:
        is_whole = isinstance(json.loads(tail), dict)
    except (ValueError, RecursionError):
        is_whole = False
    return (data + b"\n", b"") if is_whole else (data[:end], tail)


def _parse(data: bytes, path: Path) -> Recording:
    lines = data.split(b"\n")[:-1]
    header = header_of(_object(lines[0], path, 1), path)
    trials: list[Trial] = []
    placements: list[Placement] = []
    for number, line in enumerate(lines[1:], start=2):
        record = _object(line, path, number)
        try:
            match record.get("record"):
                case "trial":
                    trial = trial_of(record, header)
                    if trial.number != len(trials):
                        raise ValueError(f"trial {trial.number}, expected {len(trials)}")
                    trials.append(trial)
                case "placement":
                    placements.append(placement_of(record, header.space))
                case other:
                    raise ValueError(f"record {other!r}")
        except DAMAGES as error:
            raise StoreError(
                f"{path}:{number}: damaged record: {type(error).__name__}: {error}"
            ) from error
    return Recording(header, tuple(trials), tuple(placements))


def _object(line: bytes, path: Path, number: int) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{path}:{number}: damaged line: {error}") from error
    if not isinstance(record, dict):
        raise StoreError(f"{path}:{number}: expected an object")
    return record


def header_record(header: Header) -> dict[str, Any]:
    """A header as the journal's first line has it."""
    return {
        "record": "header",
        "schema": SCHEMA,
        "tool_version": header.tool_version,
        "created_at": header.created_at,
        "model": {"name": header.model_name, "digest": header.model_digest},
        "objectives": list(header.objectives),
        "plan": header.plan.to_json() if header.plan else None,
        "target": header.target,
        "runtime": header.runtime,
        "machine": dict(header.machine),
        "sampler": header.sampler,
        "seed": header.seed,
        "margin": header.margin,
        "confidence": header.confidence,
        "origin": dict(header.origin),
        "graph": header.graph.to_json() if header.graph else None,
        "traits": header.traits.to_json() if header.traits else None,
        "space_fingerprint": header.space.fingerprint,
        "space": header.space.to_json(),
    }


def header_of(record: Mapping[str, Any], path: Path) -> Header:
    """Back from :func:`header_record`.

    Raises:
        StoreError: It is none, damaged, or of another schema.
    """
    if record.get("record") != "header":
        raise StoreError(f"{path}:1: expected the header of a journal")
    if record.get("schema") != SCHEMA:
        raise StoreError(
            f"{path}:1: schema {record.get('schema')}, this version reads schema {SCHEMA}"
        )
    try:
        space = DecisionSpace.from_json(record["space"])
        _check_names(space, _list(record["space"]["backends"]))
        if space.fingerprint != record["space_fingerprint"]:
            raise ValueError("the space does not have the recorded fingerprint")
        return Header(
            model_name=_text(record["model"]["name"]),
            model_digest=_text(record["model"]["digest"]),
            space=space,
            objectives=tuple(
                o.name for o in objectives_of(map(_text, _list(record["objectives"])))
            ),
            plan=plan_of(_object_of(record["plan"])) if record["plan"] is not None else None,
            target=_text(record["target"]),
            runtime=_text(record["runtime"]),
            machine=_machine(record["machine"]),
            sampler=_text(record["sampler"]),
            seed=_seed(record["seed"]),
            tool_version=_text(record["tool_version"]),
            created_at=_moment(record["created_at"]),
            margin=amount(record.get("margin", MARGIN)),
            confidence=_confidence(record.get("confidence", CONFIDENCE)),
            origin={k: _text(v) for k, v in _object_of(record.get("origin", {})).items()},
            graph=_graph(record.get("graph"), space),
            traits=None if record.get("traits") is None else Traits.from_json(record["traits"]),
        )
    except DAMAGES as error:
        raise StoreError(f"{path}:1: damaged header: {type(error).__name__}: {error}") from error


def _check_names(space: DecisionSpace, backends: list[Any]) -> None:
    """See that what is chosen has names, and that a digit means a backend."""
    names = [*map(_text, backends), *(n for v in space.variables for n in (v.name, *v.choices))]
    hidden = [name for name in names if not name.isprintable()]
    if hidden:
        raise ValueError(f"name {_shortened(hidden[0])}: expected no control characters")
    odd = [v.name for v in space.variables if not v.is_setting and v.choices != space.backends]
    if odd:
        raise ValueError(f"variable {_shortened(odd[0])}: its choices are not the backends")


def plan_of(record: Mapping[str, Any]) -> Plan:
    """A plan as :meth:`Plan.to_json` gives it; raises one of ``DAMAGES`` where it is damaged."""
    plan = Plan.from_json(record)
    for name, default in asdict(Plan()).items():
        value = getattr(plan, name)
        if isinstance(default, bool):
            if not isinstance(value, bool):
                raise TypeError(f"{name}: {_shortened(value)}: expected true or false")
        elif isinstance(default, str):
            _text(value)
        elif value is not None or default is not None:
            (amount if isinstance(default, float) else _whole)(value)
    if plan.tolerance_kind not in TOLERANCE_KINDS:
        raise ValueError(f"tolerance of kind {plan.tolerance_kind!r}")
    if plan.cpus:
        cpus_of(plan.cpus)
    return plan


def _objectives(value: Any) -> tuple[str, ...]:
    return tuple(o.name for o in objectives_of(map(_text, _list(value))))


def _machine(value: Any) -> dict[str, Any]:
    machine = _object_of(value)
    for name, known in machine.items():
        (_whole if name in {"cores", "memory_kib"} else _text)(known)
    return machine


def _seed(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"seed {_shortened(value)}: expected a whole number, 0 or more")
    return value


def _confidence(value: Any) -> float:
    confidence = amount(value)
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence {confidence:g}: expected 0.5 or more, and less than 1")
    return confidence


def _graph(value: Any, space: DecisionSpace) -> Graph | None:
    if value is None:
        return None
    graph = Graph.from_json(_object_of(value))
    if json.dumps(graph.to_json()) != json.dumps(value):
        raise ValueError("the graph is not as it was written")
    sizes = [(t.size_bytes, t.constant_bytes) for t in graph.tensors]
    sizes += [(o.data_bytes, o.weight_bytes) for o in graph.operations]
    for size in (x for pair in sizes for x in pair):
        _whole(size)
    last = max((o for v in space.variables for o in v.operations), default=-1)
    if last >= len(graph.operations):
        raise ValueError(f"operation @{last} is not in the graph")
    return graph


def trial_record(trial: Trial, space: DecisionSpace) -> dict[str, Any]:
    """A trial as a line of the journal has it."""
    record: dict[str, Any] = {
        "record": "trial",
        "number": trial.number,
        "assignment": list(space.encode(trial.assignment)),
        "source": trial.source,
        "started_at": trial.started_at,
        "duration_s": round(trial.duration_s, 6),
    }
    if trial.rested_s:
        record["rested_s"] = round(trial.rested_s, 6)
    if trial.board:
        record["board"] = trial.board
    if isinstance(trial.outcome, Failure):
        return record | {"failure": [str(trial.outcome.kind), trial.outcome.message]}
    if isinstance(trial.outcome, Profile):
        rows = {"profile": trial.outcome.operations, "transfers": trial.outcome.transfers}
        return record | {
            name: [[o.index, o.backend, o.seconds] for o in times] for name, times in rows.items()
        }
    return record | {
        "samples": {name: list(values) for name, values in trial.outcome.samples.items()},
        "warmups": {name: list(values) for name, values in trial.outcome.warmups.items()},
        "output_error": trial.outcome.output_error,
        "notes": list(trial.outcome.notes),
    }


def _times(rows: object) -> list[OperationTime]:
    return [OperationTime(_whole(i), _text(b), _seconds(s)) for i, b, s in _list(rows)]


def trial_of(record: Mapping[str, Any], header: Header) -> Trial:
    """Back from :func:`trial_record`; raises one of ``DAMAGES`` where it is damaged."""
    space = header.space
    outcome: Measurement | Failure | Profile
    if "profile" in record:
        times = _times(record["profile"])
        # Before copies had a list of their own, they were numbered behind the model's operations.
        own = len(header.graph.operations) if header.graph else None
        later = _times(record.get("transfers", []))
        outcome = Profile(
            tuple(t for t in times if own is None or t.index < own),
            (*(t for t in times if own is not None and t.index >= own), *later),
        )
    elif "failure" in record:
        kind, message = _list(record["failure"])
        outcome = Failure(FailureKind(kind), _text(message))
    else:
        error = record["output_error"]
        outcome = Measurement(
            samples=_samples(record["samples"]),
            warmups=_samples(record["warmups"]),
            output_error=None if error is None else amount(error),
            notes=tuple(map(_text, _list(record["notes"]))),
        )
    return Trial(
        number=_whole(record["number"]),
        assignment=space.decode([_whole(d) for d in _list(record["assignment"])]),
        outcome=outcome,
        source=_text(record["source"]),
        started_at=_moment(record["started_at"]),
        duration_s=_seconds(record["duration_s"]),
        rested_s=_seconds(record.get("rested_s", 0.0)),
        board=_text(record.get("board", "")),
    )


# JSON of another type reads as something else: "12" is twelve, and as samples one and two.


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{_shortened(value)}: expected text")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"{_shortened(value)}: expected a list")
    return value


def _object_of(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"{_shortened(value)}: expected an object")
    return value


def _whole(value: Any) -> int:
    """A count or an index: of the size of a file's, not of an id."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{_shortened(value)}: expected a whole number")
    if not 0 <= value < MOST:
        raise ValueError(f"{_shortened(value)}: expected 0 or more, and less than {MOST:.0e}")
    return value


def amount(value: Any) -> float:
    """Something measured: a number of JSON, not negative, and no larger than anything that exists.

    Raises:
        TypeError, ValueError: It is none.
    """
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise TypeError(f"{_shortened(value)}: expected a number")
    if not 0 <= value < MOST:
        raise ValueError(f"{_shortened(value)}: expected 0 or more, and less than {MOST:.0e}")
    return float(value)


def _seconds(value: Any) -> float:
    seconds = amount(value)
    if seconds >= LARGEST["s"]:
        raise ValueError(f"{seconds:g} s: expected less than {LARGEST['s']:g}")
    return seconds


def _samples(value: Any) -> dict[str, tuple[float, ...]]:
    return {name: tuple(map(amount, _list(v))) for name, v in _object_of(value).items()}


def _moment(value: Any) -> str:
    text = _text(value)
    if text:
        datetime.fromisoformat(text)
    return text


def _shortened(value: Any) -> str:
    try:
        text = json.dumps(value)
    except ValueError:  # of thousands of digits
        text = type(value).__name__
    return text if len(text) <= _QUOTED else f"{text[:_QUOTED]} …"


def placement_record(placement: Placement, space: DecisionSpace) -> dict[str, Any]:
    """A placement as a line of the journal has it."""
    return {
        "record": "placement",
        "assignment": list(space.encode(placement.assignment)),
        "backend_by_operation": [list(pair) for pair in placement.backend_by_operation],
        "mismatches": list(placement.mismatches),
    }


def placement_of(record: Mapping[str, Any], space: DecisionSpace) -> Placement:
    """Back from :func:`placement_record`; raises one of ``DAMAGES`` where it is damaged."""
    return Placement(
        assignment=space.decode([_whole(d) for d in _list(record["assignment"])]),
        backend_by_operation=tuple(
            (_whole(i), _text(b)) for i, b in _list(record["backend_by_operation"])
        ),
        mismatches=tuple(map(_text, _list(record["mismatches"]))),
    )

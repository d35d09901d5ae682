"""Cells: a bench's searches, done by processes of this machine or by a Dask cluster, and kept."""

from __future__ import annotations

import fcntl
import hashlib
import json
import multiprocessing
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from dataclasses import asdict, dataclass
from multiprocessing import connection
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from pareto_profiler.bench import Effort, Run, Subject, run_one, subject_of, table_subject
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.space import Assignment
from pareto_profiler.errors import InputError, StoreError, StoreWriteError
from pareto_profiler.files import read_regular
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.simulation.families import PREFIX
from pareto_profiler.storage.journal import JOURNAL
from pareto_profiler.storage.opening import open_recording
from pareto_profiler.version import __version__

if TYPE_CHECKING:
    from distributed import Future

TRIES: Final = 3
"""Workers that may die with a cell until it is given up."""

_FORMAT: Final = "pareto-profiler bench"
_LARGEST_BYTES: Final = 4 << 30
_WAIT_S: Final = 10.0
_ADDRESS: Final = r"((tcp|tls|ucx|ws|wss)://)?[^/\s]+:\d+"


@dataclass(frozen=True, slots=True)
class Cell:
    """One search of a bench.

    Attributes:
        table: As it was named.
        sampler: Who proposes.
        seed: Of chance.
        evaluations: The budget.
    """

    table: str
    sampler: str
    seed: int
    evaluations: int


@dataclass(frozen=True, slots=True)
class Died:
    """Why there is no result of a cell.

    Attributes:
        words: For people.
        is_by_worker: Whether a worker died with it, or with the result.
    """

    words: str
    is_by_worker: bool = False


Done = tuple[Cell, Run | Died]


class Pool(Protocol):
    """Does cells side by side."""

    def run(self, cells: Sequence[Cell]) -> Iterator[Done]:
        """Do cells of one table, which come back as they finish."""
        ...

    def close(self) -> None:
        """End what is under way."""
        ...


def cells_of(table: str, efforts: Mapping[str, Effort]) -> list[Cell]:
    """All searches on a table, one seed of each sampler after the other.

    Examples:
        >>> [(c.sampler, c.seed) for c in cells_of("t", {"a": Effort(9, 2), "b": Effort(9, 1)})]
        [('a', 0), ('b', 0), ('a', 1)]
    """
    cells = [Cell(table, n, s, e.evaluations) for n, e in efforts.items() for s in range(e.seeds)]
    return sorted(cells, key=lambda cell: cell.seed)


def digest_of(table: str) -> str:
    """What tells a table's contents from others.

    Raises:
        InputError: It cannot be read.
    """
    if table.startswith(PREFIX):
        return table
    path = Path(table) / JOURNAL if Path(table).is_dir() else Path(table)
    data = read_regular(path, InputError, limit_bytes=_LARGEST_BYTES)
    return hashlib.sha256(data).hexdigest()


# One subject in each worker: cells of a table come one after the other.
_last: Final[dict[str, Subject]] = {}


def compute(cell: Cell, digest: str, recording: Recording | None = None) -> Run:
    """Do a cell, wherever this runs.

    Args:
        cell: Which.
        digest: Of the table: what was made of it serves the next cell, too.
        recording: Of the table; None where it can be read here, or is a simulated device.
    """
    if digest not in _last:
        made = subject_of(cell.table) if recording is None else table_subject("", recording)
        _last.clear()
        _last[digest] = made
    return run_one(_last[digest], cell.sampler, SAMPLERS[cell.sampler], cell.seed, cell.evaluations)


Work = Callable[[Cell, str, Recording | None], Run]
"""What :func:`compute` is."""


class Workers:
    """A pool of processes of this machine.

    Args:
        count: How many.
        work: What each does with a cell.
    """

    def __init__(self, count: int, work: Work = compute) -> None:
        self._count = count
        self._work = work
        self._workers: list[_Worker] = []

    def run(self, cells: Sequence[Cell]) -> Iterator[Done]:
        digest = digest_of(cells[0].table) if cells else ""
        waiting = deque(cells)
        deaths: dict[Cell, int] = {}
        while waiting or any(worker.cell for worker in self._workers):
            while waiting and len(self._busy()) < self._count:
                self._free().give(waiting.popleft(), digest)
            for ready in connection.wait([worker.pipe for worker in self._busy()]):
                worker = next(w for w in self._workers if w.pipe is ready)
                cell, worker.cell = worker.cell, None
                assert cell is not None  # noqa: S101 - a busy one has a cell
                try:
                    yield cell, worker.pipe.recv()
                except (EOFError, OSError):
                    self._workers.remove(worker)
                    worker.close()
                    deaths[cell] = deaths.get(cell, 0) + 1
                    if deaths[cell] < TRIES:
                        waiting.appendleft(cell)
                    else:
                        status = worker.process.exitcode
                        yield (
                            cell,
                            Died(
                                f"its worker ended, {TRIES} times, with status {status}",
                                is_by_worker=True,
                            ),
                        )

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.close()
        self._workers.clear()

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.cell]

    def _free(self) -> _Worker:
        for worker in self._workers:
            if not worker.cell:
                return worker
        self._workers.append(_Worker(self._work))
        return self._workers[-1]


class _Worker:
    """A process, and the cell that it does."""

    def __init__(self, work: Work) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, work), daemon=True)
        # Each in one thread: several searches are run side by side.
        for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            os.environ.setdefault(name, "1")
        self.process.start()
        theirs.close()
        self.cell: Cell | None = None

    def give(self, cell: Cell, digest: str) -> None:
        self.cell = cell
        self.pipe.send((cell, digest))

    def close(self) -> None:
        self.pipe.close()
        self.process.join()


def _serve(pipe: connection.Connection, work: Work) -> None:
    """Do cells until nobody asks for more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who asks is interrupted, and ends this
    while True:
        try:
            cell, digest = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Run | Died = work(cell, digest, None)
        except Exception as error:  # noqa: BLE001 - told where it can be shown
            answer = Died(f"{type(error).__name__}: {error}")
        pipe.send(answer)


class Cluster:
    """A pool of workers of Dask distributed.

    Args:
        address: Of its scheduler; ``local`` for one that is started here.
        count: Workers of a local one.
        work: What each does with a cell.

    Raises:
        InputError: It cannot be reached, or Dask is not installed.
    """

    def __init__(self, address: str, count: int, work: Work = compute) -> None:
        self._work = work
        try:
            import dask
            from distributed import Client, LocalCluster
        except ImportError as error:
            raise InputError(
                "--dask: Dask is not installed: pip install distributed bokeh"
            ) from error
        expected = "expected something like tcp://HOST:8786, or local"
        if address != "local" and not re.fullmatch(_ADDRESS, address):
            raise InputError(f"--dask {address!r}: {expected}")
        # A cell is lost with its worker that many times, then it is given up.
        dask.config.set({"distributed.scheduler.allowed-failures": TRIES - 1})
        self._cluster = None
        if address == "local":
            self._cluster = LocalCluster(
                n_workers=count,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                silence_logs="CRITICAL",
            )
        try:
            self._client = Client(
                address if self._cluster is None else self._cluster,
                timeout=_WAIT_S,
                set_as_default=False,
            )
        except OSError as error:
            words = " ".join(str(error).split())
            raise InputError(
                f"--dask {address}: no scheduler answers there ({words}): {expected}"
            ) from error

    @property
    def dashboard(self) -> str:
        """Where its dashboard is."""
        return str(self._client.dashboard_link)

    def run(self, cells: Sequence[Cell]) -> Iterator[Done]:
        from distributed import as_completed

        if not cells:
            return
        table = cells[0].table
        digest = digest_of(table)
        data = None if table.startswith(PREFIX) else open_recording(Path(table))
        # Not scattered: what is scattered is gone with the workers that have it.
        shared = self._client.submit(_table, data, pure=False)

        def begin(cell: Cell) -> Future:
            words = (self._work, cell, digest, __version__, shared)
            return self._client.submit(_compute_there, *words, pure=False, retries=TRIES - 1)

        waiting = {begin(cell): cell for cell in cells}
        suspects = []
        for future in as_completed(waiting, loop=self._client.loop):
            cell = waiting.pop(future)
            answer = _answer(future)
            if isinstance(answer, Died) and answer.is_by_worker:
                suspects.append(cell)
            else:
                yield cell, answer
        # Dask blames all that a worker had before it when it died: alone, the one at fault is seen.
        for cell in suspects:
            yield cell, _answer(begin(cell))

    def close(self) -> None:
        self._client.close()
        if self._cluster is not None:
            self._cluster.close()


def _answer(future: Future) -> Run | Died:
    """What came of a cell."""
    from distributed import KilledWorker

    try:
        run: Run = future.result()
    except Exception as error:  # noqa: BLE001 - told where it can be shown
        words = f"{type(error).__name__}: {' '.join(str(error).split())}"
        # Cancelled is what was done, but lost with its worker.
        return Died(words, isinstance(error, KilledWorker | CancelledError))
    return run


def _table(recording: Recording | None) -> Recording | None:
    return recording


def _compute_there(
    work: Work, cell: Cell, digest: str, version: str, recording: Recording | None
) -> Run:
    if version != __version__:
        raise InputError(f"the worker has pareto-profiler {__version__}: expected {version}")
    return work(cell, digest, recording)


class Kept:
    """Finished cells in a file, a line each, so that a bench that was ended goes on.

    One process at a time. What another version of this tool or another table's contents gave is
    not taken for the same.

    Args:
        path: Made where it is not there. A last line that was cut short is done again.

    Raises:
        StoreError: It is no such file, or another process has it.
        StoreWriteError: It cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._file = path.open("a+b", buffering=0)
        except OSError as error:
            raise StoreWriteError(f"{path}: cannot be opened: {error.strerror}") from error
        try:
            self._open()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getitem__(self, cell: Cell) -> Run | None:
        """What is known of a cell."""
        found = self._found.get(self._key(cell))
        return None if found is None else _run_of(cell, found)

    def add(self, cell: Cell, run: Run) -> None:
        """Keep a cell.

        Raises:
            StoreWriteError: It cannot be kept.
        """
        record = {**self._key_members(cell), **_members_of(run)}
        line = json.dumps(record, separators=(",", ":")).encode() + b"\n"
        try:
            if self._file.write(line) != len(line):
                raise StoreWriteError(f"{self._path}: the disk is full")
            os.fsync(self._file.fileno())
        except OSError as error:
            raise StoreWriteError(f"{self._path}: cannot be written: {error.strerror}") from error

    def _open(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise StoreError(
                f"{self._path}: another bench writes there; wait for it, or name another file"
            ) from error
        data = read_regular(self._path, StoreError, limit_bytes=_LARGEST_BYTES)
        whole = data[: data.rfind(b"\n") + 1]
        head = json.dumps({"format": _FORMAT, "version": 1}).encode() + b"\n"
        if not whole and head.startswith(data):
            self._file.truncate(0)
            self._file.write(head)
            whole = head
        elif not whole.startswith(head):
            raise StoreError(f"{self._path}: expected a file that bench --keep wrote")
        elif len(whole) < len(data):
            self._file.truncate(len(whole))
        self._digests: dict[str, str] = {}
        self._found: dict[str, dict[str, Any]] = {}
        for number, line in enumerate(whole.splitlines()[1:], start=2):
            try:
                record = json.loads(line)
                key = {name: record[name] for name in _KEY}
                _run_of(Cell("", key["sampler"], key["seed"], 0), record)
            except (ValueError, KeyError, TypeError, IndexError) as error:
                raise StoreError(
                    f"{self._path}:{number}: damaged: expected a cell; remove the line, and it is "
                    f"done again"
                ) from error
            self._found[json.dumps(key)] = record

    def _key(self, cell: Cell) -> str:
        return json.dumps(self._key_members(cell))

    def _key_members(self, cell: Cell) -> dict[str, Any]:
        if cell.table not in self._digests:
            self._digests[cell.table] = digest_of(cell.table)
        told = asdict(cell) | {"table": self._digests[cell.table], "tool": __version__}
        return {name: told[name] for name in _KEY}


_KEY: Final = ("tool", "table", "sampler", "seed", "evaluations")


def _members_of(run: Run) -> dict[str, Any]:
    """A run as plain data: assignments once, of what is reported what came and what went."""
    place = {a: i for i, a in reversed(list(enumerate(run.assignments)))}
    changes, before = [], frozenset[Assignment]()
    for now in run.reported:
        changes.append([sorted(place[a] for a in s) for s in (now - before, before - now)])
        before = now
    return {"seconds": run.seconds, "assignments": run.assignments, "changes": changes}


def _run_of(cell: Cell, members: Mapping[str, Any]) -> Run:
    assignments = tuple(tuple(a) for a in members["assignments"])
    reported, now = [], frozenset[Assignment]()
    for came, went in members["changes"]:
        now = (now | {assignments[i] for i in came}) - {assignments[i] for i in went}
        reported.append(now)
    seconds = tuple(float(s) for s in members["seconds"])
    return Run(cell.sampler, cell.seed, seconds, assignments, tuple(reported))


def done(cells: Sequence[Cell], pool: Pool, kept: Kept | None = None) -> Iterator[Done]:
    """Do cells of one table; those that are kept come first, the others are kept as they finish.

    Raises:
        StoreWriteError: One cannot be kept.
    """
    left = []
    for cell in cells:
        run = kept[cell] if kept is not None else None
        if run is None:
            left.append(cell)
        else:
            yield cell, run
    for cell, answer in pool.run(left):
        if kept is not None and isinstance(answer, Run):
            kept.add(cell, answer)
        yield cell, answer

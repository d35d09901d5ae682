"""Opening: a recording from whatever holds one."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from pareto_profiler.core.recording import Recording
from pareto_profiler.errors import InputError, StoreError
from pareto_profiler.files import is_folder
from pareto_profiler.runtimes import RUNTIMES
from pareto_profiler.storage.journal import JOURNAL, is_journal, read
from pareto_profiler.storage.seed_formats import is_dump, is_of, named_backends, read_dump
from pareto_profiler.storage.tables import is_csv, is_packed, read_csv, unpack

_LOG: Final = logging.getLogger(__name__)


def open_recording(path: Path, backends: Sequence[str] = (), baseline: str = "") -> Recording:
    """Read a run folder, a journal, a table or a seed dump.

    A dump that does not name its backends is read with those of the journal that lies beside it
    where this tool wrote it, else with the original's.

    Args:
        path: File or folder.
        backends: Of a dump that does not name them, or of a CSV table.
        baseline: Of a CSV table: the backend that its baseline is on.

    Raises:
        InputError, StoreError: It is none of them, damaged, holds no trial yet, or says itself
            what the backends and the baseline are, and other ones are named.
    """
    recording = _read(path, backends, baseline)
    given = recording.header.space.backends
    if backends and tuple(backends) != given and not (baseline and {*backends} == {*given}):
        raise InputError(f"--backends {','.join(backends)}: {path} itself says {','.join(given)}")
    if baseline and baseline != given[0]:
        raise InputError(
            f"--baseline {baseline}: only CSV tables leave that open, of {path} it is on {given[0]}"
        )
    if not recording.trials:
        raise InputError(f"{path}: holds no trial yet")
    return recording


def runs_in(folder: Path) -> dict[str, Path]:
    """The runs of several runtimes in a folder, by their names; empty where it is none of these."""
    if (folder / JOURNAL).exists() or not is_folder(folder):
        return {}
    return {name: folder / name for name in RUNTIMES if (folder / name / JOURNAL).is_file()}


def newest_run(folder: Path) -> Path:
    """The run in a folder of runs that was added to last, those of several runtimes included.

    Raises:
        InputError: There is none.
    """
    journals = [*folder.glob(f"*/{JOURNAL}"), *folder.glob(f"*/*/{JOURNAL}")]
    if not journals:
        raise InputError(f"{folder}: holds no run: name one, or search first")
    run = max(journals, key=lambda journal: journal.stat().st_mtime).parent
    return run.parent if run.parent != folder else run


def open_runs(folder: Path) -> dict[str, Recording]:
    """The recordings of a folder of runs that have trials, in the order in which they began."""
    recordings = {name: read(path) for name, path in runs_in(folder).items()}
    begun = sorted(recordings.items(), key=lambda run: run[1].header.created_at)
    return {name: recording for name, recording in begun if recording.trials}


def open_measurable(path: Path) -> Recording:
    """Read a run that is to go on where it was measured.

    Raises:
        InputError: It cannot.
    """
    if runs := runs_in(path):
        named = ", ".join(map(str, runs.values()))
        raise InputError(f"{path}: holds runs of several runtimes: name one of {named}")
    if path.exists() and not is_journal(path):
        raise InputError(f"{path}: neither the folder of a run nor a journal: only these go on")
    recording = read(path)
    if recording.header.target == "table":
        raise InputError(f"{path}: was replayed from a table: there is nothing to measure again")
    return recording


def _read(path: Path, backends: Sequence[str], baseline: str) -> Recording:
    if is_dump(path):
        return _read_dump(path, backends)
    if is_journal(path):
        return read(path)
    if is_packed(path):
        return unpack(path)
    if is_csv(path):
        table = read_csv(path, backends, baseline)
        if table.left_out:
            left_out = ", ".join(table.left_out)
            _LOG.warning("%s: numbers are no backends, left out: %s", path, left_out)
        return table.recording
    if runs := runs_in(path):
        named = ", ".join(map(str, runs.values()))
        raise InputError(f"{path}: holds runs of several runtimes: name one of {named}")
    if not path.exists():
        raise InputError(f"{path}: there is no such file or folder")
    inside = sorted(p.parent.name for p in path.glob(f"*/{JOURNAL}")) if path.is_dir() else []
    if inside:
        raise InputError(f"{path}: holds runs: name one of {', '.join(inside[:5])}")
    raise InputError(
        f"{path}: neither the folder of a run, nor a journal, nor a result dump, nor a packed "
        f"table, nor a CSV file"
    )


def _read_dump(path: Path, backends: Sequence[str]) -> Recording:
    beside = path.with_name(f"{path.name}.run")
    names = named_backends(path) or backends
    if not names and is_journal(beside):
        with contextlib.suppress(StoreError):
            space = read(beside).header.space
            names = space.backends if is_of(path, space) else ()
    recording = read_dump(path, names)
    if not names:
        taken = ", ".join(recording.header.space.backends)
        _LOG.warning("%s does not name its backends; taken as %s (else: --backends)", path, taken)
    return recording

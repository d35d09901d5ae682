"""Shipping: assignments of a run as files, and running these to see what they do."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pareto_profiler.core.recording import Header
from pareto_profiler.errors import InputError
from pareto_profiler.jobs import (
    choices_of,
    load_measurable,
    measuring,
    model_of,
    shortened,
)
from pareto_profiler.models import Model
from pareto_profiler.report.naming import id_of, on_front, point_of, short_id
from pareto_profiler.report.summary import Row, Summary
from pareto_profiler.runtimes import FUNCTION, runtime_of
from pareto_profiler.runtimes.base import Artifact, Form, Measured, Runtime
from pareto_profiler.storage.journal import is_journal
from pareto_profiler.storage.opening import open_recording
from pareto_profiler.targets import find
from pareto_profiler.verification import Verification, verify_rows

_LOG: Final = logging.getLogger(__name__)


def check_no_model(path: Path, header: Header, *, is_folder: bool = False) -> None:
    """See that what is written is not the model of a run, or what that was adapted from.

    Args:
        path: What is written.
        header: Of the run.
        is_folder: Whether files are written into it, of names that the model may have.

    Raises:
        InputError: It is, or the model lies in the folder.
    """
    for name in ("model", "original"):
        model = Path(header.origin.get(name, ""))
        if not model.is_file():
            continue
        if path.is_file() and path.samefile(model):
            raise InputError(f"{path}: is the run's model, which nothing may overwrite")
        if is_folder and path.is_dir() and path.samefile(model.parent):
            raise InputError(
                f"{path}: the run's model lies there, and nothing may overwrite it: name another "
                f"folder"
            )


@dataclass(frozen=True, slots=True)
class Shipment:
    """Assignments of a run that were written in a form that ships.

    Attributes:
        summary: Of the run.
        rows: The assignments.
        artifacts: These as they are written.
        form: How.
        model: Of the run; None where it is not needed.
        to: File or folder.
    """

    summary: Summary
    rows: Sequence[Row]
    artifacts: Sequence[Artifact]
    form: Form
    model: Model | None
    to: Path

    @classmethod
    def of(
        cls,
        path: Path,
        name: str = "",
        form: str = "",
        to: Path | None = None,
        *,
        model: Path | None = None,
        is_to_run: bool = True,
    ) -> Shipment:
        """What is to be written; nothing is yet.

        Args:
            path: Of the run, or of the runs of several runtimes.
            name: Which assignment; empty for forms of the whole front.
            form: A form of the run's runtime, whose name may stand before it, with a hyphen; empty
                for its first.
            to: File or folder; None for one named after model and id, here.
            model: Where the model is now, if it is no longer where it was.
            is_to_run: Whether it is to be run, too.

        Raises:
            InputError, ModelError: There is no such assignment or form, the model is not there or
                another, or nothing can be written or run there.
        """
        given, (path, name) = path, point_of(path, name)
        recording = open_recording(path)
        summary, header = Summary.of(recording), recording.header
        room = runtime_of(header)
        chosen = form.removeprefix(f"{room.name}-") or next(iter(room.forms), "")
        if chosen not in room.forms:
            ways = ", ".join(room.forms) or "nothing"
            raise InputError(f"--format {chosen}: {room.name} ships as {ways}")
        way = room.forms[chosen]
        rows = _rows(path, summary, name, chosen, way)
        if path != given:
            rows = [replace(row, runtime=room.name) for row in rows]
        read = _model_of(header, room, model) if way.needs_model or is_to_run else None
        to = to or Path(f"{_name_of(summary, rows, way)}{way.suffix}")
        if is_to_run and way.suffix and to.exists() and not to.is_file():
            raise InputError(
                f"{to}: is no file, so that what is written cannot be run; --no-verify"
            )
        if to.is_file() and is_journal(to):
            raise InputError(f"{to}: is the journal of a run, which nothing may overwrite")
        check_no_model(to, header, is_folder=not way.suffix)
        return cls(summary, rows, [_artifact(row, summary) for row in rows], way, read, to)

    def write(self) -> Sequence[str]:
        """Write it; what the user should know of it."""
        told = self.form.write(self.artifacts, self.model, self.to)
        header = self.summary.header
        if header.graph and header.graph.original and not self.form.needs_model:
            model = header.origin.get("model", "the adapted model")
            told = [*told, f"it is for the adapted model, which has to ship with it: {model}"]
        return told

    @property
    def is_of_target(self) -> bool:
        """Whether the run is of a target that can be asked again."""
        header = self.summary.header
        return bool(header.runtime) and header.target != "table"

    def check_target(self, address: str, targets: Path | None) -> None:
        """Before anything is written: see that it can be run.

        Raises:
            InputError: The run's target is not known here.
        """
        header = self.summary.header
        file = targets or (Path(header.origin["targets"]) if header.origin.get("targets") else None)
        if self.model is None or not self.is_of_target:
            return
        try:
            find(header.target, file, address)
        except InputError as error:
            raise InputError(f"{error}; name its file with --targets, or --no-verify") from error

    def verify(self, address: str = "", targets: Path | None = None) -> list[Verification]:
        """Run what was written, one for each assignment; why it cannot be run is logged.

        Args:
            address: Of the target, if it is another one now.
            targets: File with the targets, the same.

        Raises:
            TargetError: It does not run, or the target is unusable.
        """
        header = self.summary.header
        if self.model is None and header.runtime == FUNCTION:
            _LOG.warning("not verified: a Python function measured this run")
            return []
        if self.model is None:
            _LOG.warning(
                "not verified: the run does not say where its model is; name it with --model"
            )
            return []
        if not self.is_of_target:
            _LOG.warning("not verified: the run is of no target that could be asked again")
            return []
        choices = choices_of(header, self.model.path, address, targets)
        with measuring(choices, header.space) as (job, engine):
            if self.form.runs_here and job.target.shell != "local":
                _LOG.warning(
                    "not verified: %s runs here only, not on %s",
                    self.form.meaning,
                    job.target.name,
                )
                return []
            launches = self.form.launches(self.artifacts, self.to)
            return verify_rows(engine, self.summary, self.rows, launches)


def _rows(path: Path, summary: Summary, name: str, form: str, way: Form) -> list[Row]:
    if way.is_of_front:
        if name:
            raise InputError(f"id {name}: {form} takes the whole front; leave the id out")
        if not summary.front:
            raise InputError(f"{path}: nothing was measured: there is no front")
        return list(summary.front)
    if not name:
        raise InputError(f"which one? name an id; {on_front(summary)}")
    wanted = id_of(summary, name)
    for row in summary.measured:
        if row.id == wanted:
            return [row]
    raise InputError(f"id {name}: was not measured in {path}; {on_front(summary)}")


def _model_of(header: Header, room: Runtime, named: Path | None) -> Model | None:
    """The model that a run was made with; None where it was not made from one."""
    path = model_of(header, named)
    if path is None:
        return None
    if not path.exists():
        raise InputError(f"{path}: the run's model is not there any more; name it with --model")
    model = load_measurable(room, path)
    if header.model_digest and model.graph.digest != header.model_digest:
        raise InputError(
            f"{path}: is not the model of the run: SHA-256 {model.graph.digest[:12]}, "
            f"expected {header.model_digest[:12]}"
        )
    return model


def _name_of(summary: Summary, rows: Sequence[Row], way: Form) -> str:
    name = shortened(re.sub(r"[^\w.-]+", "_", summary.header.model_name) or "model")
    if way.is_of_front:
        return f"{name}-switching"
    return f"{name}-{short_id(rows[0].id).replace('…', '_')}"


def _artifact(row: Row, summary: Summary) -> Artifact:
    busy = row.estimate.is_contended
    figures = [
        Measured(o, row.values[o.name], row.intervals.get(o.name), busy and o.name in row.untold)
        for o in summary.objectives
    ]
    return Artifact(summary.header, row.estimate.assignment, figures)

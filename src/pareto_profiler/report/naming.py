"""Naming: ids and choices as they are shown, and which assignment of a run somebody means."""

from __future__ import annotations

import logging
import re
from collections import Counter
from pathlib import Path
from string import ascii_uppercase
from typing import Final

from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.errors import InputError
from pareto_profiler.report.joint import Joint
from pareto_profiler.report.selection import Goal, Selection, knee_of
from pareto_profiler.report.summary import Judged, Row, Summary
from pareto_profiler.storage.opening import open_runs, runs_in

_MAX_DIGITS: Final = 20
_KEPT: Final = 8

_LOG: Final = logging.getLogger(__name__)
WORDS: Final = ("fastest", "smallest", "knee", "baseline", "uniform")
"""What may stand in place of an id."""


def short_id(number: int) -> str:
    """An id for people: of a long one its ends.

    Examples:
        >>> short_id(582), short_id(10**40 + 7)
        ('582', '10000000…00000007')
    """
    text = str(number)
    return text if len(text) <= _MAX_DIGITS else f"{text[:_KEPT]}…{text[-_KEPT:]}"


def handle(place: int) -> str:
    """A short name of a point of the front, by its place there.

    Examples:
        >>> handle(0), handle(25), handle(26)
        ('A', 'Z', 'AA')
    """
    text = ""
    place += 1
    while place:
        place, rest = divmod(place - 1, len(ascii_uppercase))
        text = ascii_uppercase[rest] + text
    return text


def counts_of(space: DecisionSpace, assignment: Assignment, *, has_names: bool = True) -> str:
    """How many operations run where, and the settings, with their names or without.

    Examples:
        >>> space = DecisionSpace.by_names(("cpu", "npu"), ["a", "b", "c"])
        >>> counts_of(space, ("npu", "cpu", "npu"))
        '2 npu, 1 cpu'
    """
    counts: Counter[str] = Counter()
    for variable, choice in zip(space.variables, assignment, strict=True):
        if not variable.is_setting:
            counts[choice] += max(1, len(variable.operations))
    parts = [f"{count} {backend}" for backend, count in counts.most_common()]
    settings = space.settings(assignment).items()
    return ", ".join([*parts, *(f"{name} {c}" if has_names else c for name, c in settings)])


def named(judged: Judged, name: str) -> str:
    """A point as people read it: its handle where it is on the front, and its id, in short.

    Args:
        judged: A run, or several together.
        name: Of a row.
    """
    runtime, _, number = name.rpartition(":")
    known = f"{runtime}:{short_id(int(number))}" if runtime else f"id {short_id(int(number))}"
    places = (i for i, row in enumerate(judged.front) if row.name == name)
    place = next(places, None)
    return known if place is None else f"{handle(place)} ({known})"


def point_of(path: Path, name: str) -> tuple[Path, str]:
    """The run and the id that a name means in a folder of the runs of several runtimes.

    In the folder of one run both are left alone.

    Args:
        path: Folder.
        name: ``RUNTIME:3``, or of the joint front a handle or one of :data:`WORDS`.

    Raises:
        InputError: There is no such run or point.
    """
    runs = runs_in(path)
    if not runs:
        return path, name
    runtime, colon, number = name.partition(":")
    if colon and runtime in runs:
        return runs[runtime], number
    joint = Joint.of(open_runs(path))
    row = _row_of(joint, name)
    if row is None:
        known = ", ".join(f"{n}:ID" for n in runs)
        raise InputError(
            f"{name or 'which one'}: {path} holds runs of several runtimes: name a point as "
            f"{known}, A to {handle(len(joint.front) - 1)} or one of {', '.join(WORDS)}"
        )
    return runs[row.runtime], str(row.id)


def id_of(summary: Summary, name: str) -> int:
    """The id that somebody means.

    Args:
        summary: Of the run.
        name: An id; or one of a measured assignment as it is shown, in short; or a handle of the
            front, ``A``, ``B`` …; or a word: ``fastest`` (least exec_time of the front),
            ``smallest`` (least memory), ``knee``, ``baseline``, ``uniform`` (the best uniform
            assignment).

    Raises:
        InputError: It is none, or names none.
    """
    if name.isdecimal() and name.isascii():
        limit = summary.header.space.id_limit
        if len(name) > len(str(limit)) or int(name) >= limit:
            raise InputError(f"id {name[:40]}: ids of this run are below {short_id(limit)}")
        return int(name)
    if row := _row_of(summary, name):
        return row.id
    ends = re.fullmatch(r"(\d+)(?:…|\.\.\.?)(\d+)", name)
    if ends is not None:
        fitting = [
            row.id
            for row in summary.measured
            if str(row.id).startswith(ends[1]) and str(row.id).endswith(ends[2])
        ]
        if len(fitting) == 1:
            return fitting[0]
        raise InputError(f"id {name}: {len(fitting) or 'no'} measured assignments have such ids")
    raise InputError(
        f"id {name[:40]!r}: expected a letter, a number or one of {', '.join(WORDS)}; "
        f"{on_front(summary)}"
    )


def on_front(summary: Judged) -> str:
    """What names the points of the front."""
    if not summary.front:
        return "nothing was measured"
    last = handle(len(summary.front) - 1)
    return f"on the front: {'A' if last == 'A' else f'A to {last}'}"


def _row_of(summary: Judged, word: str) -> Row | None:
    """What a word or a handle names; None where it is neither."""
    if word == "knee":
        knee = Selection.of(summary, Goal()).row
        if knee_of(summary) is None:
            _LOG.warning("no point of this front is a knee: %s, the fastest, is taken", knee.name)
        return knee
    if word in {"baseline", "uniform"}:
        row = summary.baseline if word == "baseline" else summary.best_uniform
        if row is None:
            raise InputError(f"{word}: was not measured; {on_front(summary)}")
        return row
    if word not in WORDS:
        handles = {handle(i): row for i, row in enumerate(summary.front)}
        return handles.get(word.upper())
    names = [o.name for o in summary.objectives]
    wanted = "exec_time" if word == "fastest" else "max_rss"
    if word == "smallest":
        wanted = next((o.name for o in summary.objectives if o.is_memory), wanted)
    if wanted not in names:
        raise InputError(f"{word}: {wanted} is no objective of this run; {on_front(summary)}")
    if not summary.front:
        raise InputError(f"{word}: nothing was measured")
    return min(summary.front, key=lambda row: row.values[wanted])

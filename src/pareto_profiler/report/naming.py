"""Naming: ids as they are shown, and which assignment of a run somebody means."""

from __future__ import annotations

import re
from typing import Final

from pareto_profiler.errors import InputError
from pareto_profiler.report.selection import Goal, Selection
from pareto_profiler.report.summary import Row, Summary

_MOST_DIGITS: Final = 20
_KEPT: Final = 8

WORDS: Final = ("fastest", "smallest", "knee", "baseline", "uniform")
"""What may stand in place of an id."""


def short_id(number: int) -> str:
    """An id for people: of a long one its ends.

    Examples:
        >>> short_id(582), short_id(10**40 + 7)
        ('582', '10000000…00000007')
    """
    text = str(number)
    return text if len(text) <= _MOST_DIGITS else f"{text[:_KEPT]}…{text[-_KEPT:]}"


def id_of(summary: Summary, name: str) -> int:
    """The id that somebody means.

    Args:
        summary: Of the run.
        name: An id; or one of a measured assignment as it is shown, in short; or a word:
            ``fastest`` (least exec_time of the front), ``smallest`` (least max_rss), ``knee``,
            ``baseline``, ``uniform`` (the best uniform assignment).

    Raises:
        InputError: It is none, or names none.
    """
    if name.isdecimal() and name.isascii():
        limit = summary.header.space.id_limit
        if len(name) > len(str(limit)) or int(name) >= limit:
            raise InputError(f"id {name[:40]}: ids of this run are below {short_id(limit)}")
        return int(name)
    if name in WORDS:
        return _row_of(summary, name).id
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
        f"id {name[:40]!r}: expected a number or one of {', '.join(WORDS)}; {on_front(summary)}"
    )


def on_front(summary: Summary) -> str:
    """A few ids of the front, in words."""
    ids = ", ".join(short_id(row.id) for row in summary.front[:5])
    return f"on the front: {ids}" if ids else "nothing was measured"


def _row_of(summary: Summary, word: str) -> Row:
    if word == "knee":
        return Selection.of(summary, Goal()).row
    if word in {"baseline", "uniform"}:
        row = summary.baseline if word == "baseline" else summary.best_uniform
        if row is None:
            raise InputError(f"{word}: was not measured; {on_front(summary)}")
        return row
    objective = {"fastest": "exec_time", "smallest": "max_rss"}[word]
    if objective not in {o.name for o in summary.objectives}:
        raise InputError(f"{word}: {objective} is no objective of this run; {on_front(summary)}")
    if not summary.front:
        raise InputError(f"{word}: nothing was measured")
    return min(summary.front, key=lambda row: row.values[objective])

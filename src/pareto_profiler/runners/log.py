"""What onert says: its refusals, and its verbose log with the place of each operation."""

from __future__ import annotations

import re
from typing import Final

from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Placement
from pareto_profiler.shells.base import Completed, printable

LOG_VARIABLES: Final = {"ONERT_LOG_ENABLE": "1", "ENABLE_LOG": "1"}
"""What switches it on, before 1.31 and since."""

WRONG_EXECUTOR: Final = {"EXECUTOR": "none"}
"""A setting that no onert accepts: one that prepares nevertheless does not read variables."""

# The C library's words, whole: onert itself has a "Cannot allocate memory for a tensor. It was
# already allocated." The last is what a thread that finds no room for its stack reports.
NO_MEMORY: Final = re.compile(
    r"\bbad_alloc\b|(?:Cannot allocate memory|Resource temporarily unavailable)(?! ?\w)"
)
"""What the runtime says when memory ran out."""

NOT_LOADED: Final = re.compile("Fail to find backend|No loaded backends")
"""What the runtime says when a backend that it was told to use is not there."""

# Lines of the log, and what the command-line tools print before anything happens.
_NO_WORDS: Final = ("[", "Package Filename", "Model Filename")
_MESSAGE_LIMIT: Final = 2000
_QUOTED_LIMIT: Final = 300

# Fits every onert since 2021: "backend for  @12: cpu".
_PLACEMENT: Final = re.compile(r"backend for\s+@(\d+): (\S+)")


def read_placement(text: str, space: DecisionSpace, assignment: Assignment) -> Placement | None:
    """The placement that a log tells of; None where it tells of none."""
    found: dict[int, set[str]] = {}
    for index, backend in _PLACEMENT.findall(text):
        found.setdefault(int(index), set()).add(backend)
    if not found:  # built without a log, or of another wording
        return None
    wanted = space.backend_by_operation(assignment)
    return Placement(
        assignment=assignment,
        backend_by_operation=tuple((i, "+".join(sorted(b))) for i, b in sorted(found.items())),
        mismatches=tuple(
            f"operation {i}: {backend} was asked for, "
            f"{'+'.join(sorted(found[i])) if i in found else 'nothing'} was reported"
            for i, backend in wanted.items()
            if backend not in found.get(i, ())
        ),
    )


def words_of_runtime(done: Completed) -> str:
    r"""What the runtime wrote on stderr, its end where it is long, without its log.

    Examples:
        >>> words_of_runtime(Completed(1, b"", b"[ Compiler ] x\nError: NYI\n"))
        'Error: NYI'
    """
    return _told(done.stderr)


def said_by_runtime(done: Completed) -> str:
    r"""The same for the end of a sentence: where it wrote nothing, what it wrote on stdout.

    Examples:
        >>> said_by_runtime(Completed(1, b"EXECUTE takes ? ms\n", b""))
        "it printed 'EXECUTE takes ? ms'"
        >>> said_by_runtime(Completed(1, b"", b""))
        'it said nothing'
    """
    if words := _told(done.stderr):
        return words
    printed = " | ".join(filter(None, map(str.strip, printable(done.stdout).splitlines())))
    return f"it printed {printed[-_QUOTED_LIMIT:]!r}" if printed else "it said nothing"


def _told(stream: bytes) -> str:
    lines = [line.strip() for line in printable(stream).splitlines()]
    said = [line for line in lines if line and not line.startswith(_NO_WORDS)]
    return " | ".join(said)[-_MESSAGE_LIMIT:]

"""What onert says: backends that are not there, and its log with the place of each operation."""

from __future__ import annotations

import re
from typing import Final

from pareto_profiler.core.space import Assignment, DecisionSpace
from pareto_profiler.core.trial import Placement

LOG_VARIABLES: Final = {"ONERT_LOG_ENABLE": "1", "ENABLE_LOG": "1"}
"""What switches it on, before 1.31 and since."""

WRONG_EXECUTOR: Final = {"EXECUTOR": "none"}
"""A setting that no onert accepts: one that prepares nevertheless does not read variables."""

NOT_LOADED: Final = re.compile("Fail to find backend|No loaded backends")
"""What the runtime says when a backend that it was told to use is not there."""

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

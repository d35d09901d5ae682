"""Switching set: the whole front with its configurations, for a scheduler at run time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pareto_profiler.errors import InputError
from pareto_profiler.runtimes.base import Artifact
from pareto_profiler.runtimes.onert.shipment import (
    calls_of,
    in_the_way_of,
    settings_of,
    variables_of,
)


def switching_of(artifacts: Sequence[Artifact]) -> str:
    """JSON: model, objectives, and for each assignment its figures and what the runtime is told.

    ``backends`` and ``operation_backends`` are for onert's calls, ``environment`` holds what no
    call sets. Where a model cannot be told by calls, ``operation_backends`` is null and
    ``environment`` says all. ``unset`` are variables that would change what runs, were they left
    from before.

    Raises:
        InputError: There is none.
    """
    if not artifacts:
        raise InputError("nothing was measured: there is no front")
    header = artifacts[0].header
    data = {
        "format": "pareto-profiler switching set 1",
        "model": header.model_name,
        "model_digest": header.model_digest,
        "runtime": header.runtime,
        "target": header.target,
        "granularity": str(header.space.granularity),
        "objectives": {
            f.objective.name: {"unit": f.objective.shown_unit, "meaning": f.objective.meaning}
            for f in artifacts[0].figures
        },
        "configurations": [_entry(artifact) for artifact in artifacts],
    }
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def _entry(artifact: Artifact) -> dict[str, Any]:
    how: dict[str, Any]
    try:
        backends, operations = calls_of(artifact)
        how = {
            "backends": backends,
            "operation_backends": operations,
            "environment": settings_of(artifact),
        }
    except InputError:
        how = {
            "backends": None,
            "operation_backends": None,
            "environment": variables_of(artifact),
        }
    figures = {
        f.objective.name: {"value": f.value, "interval": f.interval and list(f.interval)}
        for f in artifact.figures
    }
    return {
        "id": str(artifact.id),
        "figures": figures,
        **how,
        "unset": [n for n in in_the_way_of(artifact) if n not in how["environment"]],
    }

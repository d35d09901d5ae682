"""Switching set: the whole front with its configurations, for a scheduler at run time."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from pareto_profiler.deploy.shipment import Shipment
from pareto_profiler.errors import InputError


def switching_of(shipments: Sequence[Shipment]) -> str:
    """JSON: model, objectives, and for each assignment its figures and what the runtime is told.

    ``backends`` and ``operation_backends`` are for onert's calls, ``environment`` holds what no
    call sets. Where a model cannot be told by calls, ``operation_backends`` is null and
    ``environment`` says all. ``unset`` are variables that would change what runs, were they left
    from before.

    Raises:
        InputError: There is none.
    """
    if not shipments:
        raise InputError("nothing was measured: there is no front")
    header = shipments[0].header
    data = {
        "format": "pareto-profiler switching set 1",
        "model": header.model_name,
        "model_digest": header.model_digest,
        "runtime": header.runtime,
        "target": header.target,
        "granularity": str(header.space.granularity),
        "objectives": {
            f.objective.name: {"unit": f.objective.shown_unit, "meaning": f.objective.meaning}
            for f in shipments[0].figures
        },
        "configurations": [_entry(shipment) for shipment in shipments],
    }
    return json.dumps(data, indent=2, allow_nan=False) + "\n"


def _entry(shipment: Shipment) -> dict[str, Any]:
    how: dict[str, Any]
    try:
        backends, operations = shipment.calls()
        how = {
            "backends": backends,
            "operation_backends": operations,
            "environment": shipment.settings,
        }
    except InputError:
        how = {
            "backends": None,
            "operation_backends": None,
            "environment": shipment.variables,
        }
    figures = {
        f.objective.name: {"value": f.value, "interval": f.interval and list(f.interval)}
        for f in shipment.figures
    }
    return {
        "id": str(shipment.id),
        "figures": figures,
        **how,
        "unset": [n for n in shipment.in_the_way if n not in how["environment"]],
    }

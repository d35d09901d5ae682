"""What simulated devices are made of, against the definition in plain loops."""

from __future__ import annotations

from itertools import groupby

import numpy as np
import pytest

from pareto_profiler.errors import RunError
from pareto_profiler.simulation.families import FAMILIES, PREFIX, Device

MIB = 1024.0 * 1024.0


def copies_of(device: Device, chosen: list[int]) -> dict[tuple[int, int], float]:
    """Seconds of each copy: of a tensor, to a backend that takes it, the host being the last."""
    constant, per_byte = device._copies
    host, graph = device.recipe.backends, device.graph
    made = {t: chosen[o.index] for o in graph.operations for t in o.outputs}
    taken = [(t, chosen[o.index]) for o in graph.operations for t in o.inputs]
    taken += [(t, host) for t in graph.outputs]
    return {
        (t, q): constant[p, q] + per_byte[p, q] * graph.tensors[t].size_bytes
        for t, q in taken
        if (p := made.get(t, host)) != q
    }


def bytes_of(device: Device, chosen: list[int], waste: float) -> float:
    steps, weights, activations = device._memory
    graph = device.graph
    whole = 12 * MIB + sum(steps[b] for b in set(chosen))
    whole += sum(o.weight_bytes * weights[chosen[o.index]] for o in graph.operations)
    for backend, held in arenas_of(device, chosen):
        alive = np.zeros(len(chosen))
        for o in graph.operations:
            if o.index in held:
                last = max(
                    [o.index, *(t.index for t in graph.operations if o.outputs[0] in t.inputs)]
                )
                last = min(last, held[-1]) if device.recipe.session else last
                alive[o.index : last + 1] += graph.tensors[o.outputs[0]].size_bytes
        whole += waste * activations[backend] * alive.max()
    whole += sum(device._sessions[1][b] for b, _ in sessions_of(chosen)[1:])
    return float(whole + max(device._workspaces[i, b] for i, b in enumerate(chosen)))


def sessions_of(chosen: list[int]) -> list[tuple[int, list[int]]]:
    """Backend and operations of each run of consecutive operations of one backend."""
    runs = groupby(range(len(chosen)), key=chosen.__getitem__)
    return [(backend, list(held)) for backend, held in runs]


def arenas_of(device: Device, chosen: list[int]) -> list[tuple[int, list[int]]]:
    """Backend and operations of what shares memory for activations."""
    if device.recipe.session:
        return sessions_of(chosen)
    return [(b, [i for i, c in enumerate(chosen) if c == b]) for b in set(chosen)]


@pytest.mark.parametrize("family", FAMILIES)
def test_memory_and_copies_are_as_defined(family: str):
    device = Device.of(f"{PREFIX}{family}:1")
    count, space = device.recipe.operations, device.space
    seen = 0
    # Where single choices fail, few random assignments work.
    for assignment in space.draw(np.random.default_rng(2), 100 if device.recipe.refusals else 12):
        digits = space.encode(assignment)
        chosen, planner = list(digits[:count]), (*digits[count:], 0, 0)[1]
        try:
            true = device.truth(assignment)
        except RunError:
            continue
        seen += 1
        waste = (1.0, 1.15, 1.6)[planner]
        assert true["max_rss"] == pytest.approx(bytes_of(device, chosen, waste), rel=1e-12)
        copies = copies_of(device, chosen)
        found = device._handed_over(np.array(chosen))[2]
        assert sorted(found) == pytest.approx(sorted(copies.values()))
        if not device.recipe.is_parallel and not device.recipe.has_settings:
            alone = float(device._alone(np.array(chosen)).sum())
            alone += sum(device._sessions[0][b] for b, _ in sessions_of(chosen)[1:])
            assert true["exec_time"] == pytest.approx(alone + sum(copies.values()), rel=1e-12)
    assert seen

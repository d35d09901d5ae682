"""Climbing: from what promises most on to what promises more, by single choices and by blocks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Final

import numpy as np

from pareto_profiler.core.space import Assignment
from pareto_profiler.samplers.structured.gain import Improvement
from pareto_profiler.samplers.structured.posterior import Posterior
from pareto_profiler.samplers.structured.structure import Digits, Structure, Vector

_ROUNDS: Final = 3
_CLIMBERS: Final = 6
_MOVES: Final = 250
_KEPT: Final = 60
_BLOCKS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
_LONG: Final = 8


def local_search(
    structure: Structure,
    posterior: Posterior,
    improvement: Improvement,
    pool: Digits,
    values: Vector,
    told: Digits,
    random: np.random.Generator,
    is_wrong: Callable[[Assignment], bool],
) -> Digits:
    """What lies around the candidates that promise most, and around what promises more there.

    The solvers find the best of sums. What no sum says (activations that are alive at one time,
    backends that work side by side, the hollows of a front) is found from their solutions on.

    Args:
        structure: Of the problem.
        posterior: What is believed.
        improvement: What candidates may add.
        pool: Candidates, shape ``(candidates, variables)``.
        values: Theirs under each draw, shape ``(draws, candidates, objectives)``.
        told: What is not to be found again.
        random: Which moves are tried, where there are many.
        is_wrong: Whether an assignment is known to compute wrongly.

    Returns:
        More candidates, at most 180. O(rounds · 1 500 · terms · draws).
    """
    seen = {row.tobytes() for row in np.vstack([pool, told])}
    rows = pool
    worth = _worth(posterior, improvement, rows, values)
    found = [pool[:0]]
    for _ in range(_ROUNDS):
        top = np.argsort(-worth, kind="stable")[:_CLIMBERS]
        moved = np.vstack([_moved(structure, rows[i], _MOVES, random) for i in top])
        new = {row.tobytes(): n for n, row in enumerate(moved) if row.tobytes() not in seen}
        if not new:
            break
        seen |= new.keys()
        moved = moved[list(new.values())]
        height = _worth(posterior, improvement, moved, posterior.means(moved))
        best = np.argsort(-height, kind="stable")[:_KEPT]
        fine = [not is_wrong(a) for a in structure.decode(moved[best])]
        best = best[fine]
        found.append(moved[best])
        rows, worth = np.vstack([rows, moved[best]]), np.concatenate([worth, height[best]])
    return np.vstack(found)


def _worth(
    posterior: Posterior, improvement: Improvement, digits: Digits, values: Vector
) -> Vector:
    """What each is expected to add; whether it works is asked for the better ones alone."""
    found: Vector = improvement.gains(values).mean(axis=0)
    likely = np.argsort(-found, kind="stable")[:_KEPT]
    works = posterior.works(digits[likely]).mean(axis=0)
    rest = np.ones(len(found), dtype=bool)
    rest[likely] = False
    found[likely] *= works
    found[rest] *= 1e-3
    return found


def _moved(structure: Structure, digits: Digits, most: int, random: np.random.Generator) -> Digits:
    """With other settings, and with some blocks of operations on one backend.

    A block is a few operations in a row, or the same ones of every layer where a graph is one layer
    again and again; and a layer whole.
    """
    s = structure
    order = np.array(s.operation_variables, dtype=np.intp)
    changes = [
        (np.array([i]), choice)
        for i in s.setting_variables
        for choice in np.flatnonzero(s.is_feasible[i]).tolist()
    ]
    blocks = blocks_of(len(order), s.layers)
    for n in random.permutation(len(blocks) * len(s.backends))[:most].tolist():
        block, backend = divmod(n, len(s.backends))
        changes.append((order[blocks[block]], backend))
    found = np.repeat(digits[None], len(changes), axis=0)
    lengths = [len(positions) for positions, _ in changes]
    rows = np.repeat(np.arange(len(changes)), lengths)
    positions = np.concatenate([positions for positions, _ in changes])
    choices = np.repeat([choice for _, choice in changes], lengths)
    able = s.is_feasible[positions, choices]
    found[rows[able], positions[able]] = choices[able]
    return found


@cache
def blocks_of(count: int, layers: tuple[range, ...]) -> list[Digits]:
    """Positions among the operations' variables of what is moved together."""
    lengths = [n for n in _BLOCKS if n < _LONG or n <= count // 4]
    rows = [range(i, min(i + n, count)) for n in lengths for i in range(count)]
    found = [np.array(row, dtype=np.intp) for row in (*rows, *layers)]
    if layers:
        inside = len(layers[0])
        starts = np.array([layer.start for layer in layers])
        for n in (n for n in lengths if n < inside):
            found += [(starts[:, None] + i + np.arange(n)).ravel() for i in range(inside - n + 1)]
    return found

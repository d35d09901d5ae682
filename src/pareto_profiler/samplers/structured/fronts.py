"""Fronts of a drawn model: weighted sums by dynamic programming over a spanning forest.

Many at once, repaired by coordinate descent: a thousandth of a second each, at any size. They are
blind to what lies in the hollows of a front, to memory's maxima and to the price of a backend in
use: local search goes on from them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from pareto_profiler.samplers.structured.structure import HOST, Digits, Structure, Vector
from pareto_profiler.samplers.structured.terms import Terms

_NEVER: Final = 1e6
_SWEEPS: Final = 2


@dataclass(frozen=True, slots=True)
class Costs:
    """What of an objective under one drawn model is a sum over operations and edges.

    Attributes:
        unary: Shape ``(variables, backends)``; of settings zero.
        copies, copied_bytes: Of a tensor handed over, shape ``(backends + 1, backends + 1)``.
        pairs: Of two operations with an edge, in the order of ``Structure.pairs``: shape ``(pairs,
            backends, backends)``; no pairs where these do not count.
    """

    unary: Vector
    copies: Vector
    copied_bytes: Vector
    pairs: Vector


def costs_of(terms: Terms, weights: Vector, setting: Digits) -> Costs:
    """A drawn model as costs, the settings fixed.

    Left out are what does not depend on where operations run, backends in use, arenas, and what
    backends save that work side by side.

    Args:
        terms: Of the objective.
        weights: Drawn, shape ``(weights,)``.
        setting: Digits of all variables, of which only those of settings count.
    """
    s, layout = terms.structure, terms.layout
    count, backends = len(s.counts), len(s.backends)
    unary = weights[layout.unary : layout.unary + count * s.choices].reshape(count, s.choices)
    unary = unary[:, :backends].copy()
    per = {k: weights[at : at + backends] for k, at in layout.per_backend.items()}
    share = terms.expected[:, :backends]
    kinds = weights[layout.kinds : layout.kinds + len(s.kinds) * backends].reshape(-1, backends)
    unary += per["operations"] * s.counts[:, None] + (per["work"] + kinds[s.kind]) * share
    unary += per["weights"] * (s.weight_bytes / terms.byte_scale)[:, None]
    for (i, choice, backend), at in ({} if terms.is_memory else layout.setting_time).items():
        here = slice(None) if backend == backends else backend
        level = weights[at] * s.has_setting(setting, i, choice)
        unary[:, here] += level * share[:, here]
    apart = 0.0
    for (i, choice, backend), at in layout.setting_pools.items():
        if backend == backends:
            level = float(weights[at] * s.has_setting(setting, i, choice))
            apart += level / max(1, len(s.edge_tensor))
    unary[s.setting_variables] = 0.0
    hands = np.maximum(0.0, terms.copies(weights))
    if terms.is_memory:  # at most; which of it is alive at one time only the terms know
        hands[1][:backends, :backends] += np.maximum(0.0, per["kept"])[:, None]
    hands[0][:backends, :backends] += max(0.0, apart) * ~np.eye(backends, dtype=bool)
    beside = weights[layout.pairs :].reshape(-1, backends, backends)
    return Costs(unary, hands[0], hands[1], beside)


class Forest:
    """Weighted sums of many models at once, by dynamic programming.

    Args:
        structure: Of the problem.
        byte_scale: What bytes are counted in.
    """

    def __init__(self, structure: Structure, byte_scale: float) -> None:
        self._structure = structure
        self._edges: list[tuple[int, int]] = [(int(p), int(c)) for p, c in structure.pairs]
        numbers = {edge: e for e, edge in enumerate(self._edges)}
        self._tensors, self._sizes = np.zeros((2, len(self._edges)))
        self._hosts: list[tuple[int, int, float]] = []
        for hand_over in structure.hand_overs:
            size = hand_over.size_bytes / byte_scale
            for consumer in hand_over.consumers:
                if HOST in {hand_over.producer, consumer}:
                    self._hosts.append((hand_over.producer, consumer, size))
                else:
                    e = numbers[hand_over.producer, consumer]
                    self._tensors[e] += 1
                    self._sizes[e] += size
        self._around: dict[int, list[int]] = {}
        self._parent: dict[int, int] = {}
        for e, edge in enumerate(self._edges):
            for variable in edge:
                self._around.setdefault(variable, []).append(e)
            last = max(edge)
            if last not in self._parent or self._sizes[e] > self._sizes[self._parent[last]]:
                self._parent[last] = e

    def solve(self, unary: Vector, copies: Vector, copied_bytes: Vector, pairs: Vector) -> Digits:
        """Digits of the operations' variables, zeros for settings.

        Args:
            unary: Shape ``(problems, variables, backends)``; what is never to be chosen is huge.
            copies: Shape ``(problems, backends + 1, backends + 1)``.
            copied_bytes: The same.
            pairs: Shape ``(problems, pairs, backends, backends)``, or no pairs.

        Returns:
            Shape ``(problems, variables)``. O(problems · variables · backends²).
        """
        unary = self._with_host(unary, copies, copied_bytes)
        order = self._structure.operation_variables
        prices = (copies, copied_bytes, pairs)
        below = unary.copy()
        picks: dict[int, Digits] = {}
        for i in reversed(order):  # what the best of all below costs, for each choice above
            if i in self._parent:
                above = min(self._edges[self._parent[i]])
                sums = self._price(self._parent[i], above, *prices) + below[:, i][:, None, :]
                picks[i] = sums.argmin(axis=2)
                below[:, above] += sums.min(axis=2)
        digits = np.zeros(unary.shape[:2], dtype=np.intp)
        rows = np.arange(len(unary))
        for i in order:
            if i in picks:
                above = min(self._edges[self._parent[i]])
                digits[:, i] = picks[i][rows, digits[:, above]]
            else:
                digits[:, i] = below[:, i].argmin(axis=1)
        for _ in range(_SWEEPS):  # each moved to its best choice, all its neighbours seen
            for i in order:
                local = unary[:, i].copy()
                for e in self._around.get(i, ()):
                    other = sum(self._edges[e]) - i
                    local += self._price(e, other, *prices)[rows, digits[:, other]]
                digits[:, i] = local.argmin(axis=1)
        return digits

    def _with_host(self, unary: Vector, copies: Vector, copied_bytes: Vector) -> Vector:
        """With what is handed over from the host and to it."""
        host = unary.shape[2]
        found = unary.copy()
        for producer, consumer, size in self._hosts:
            whole = copies + size * copied_bytes
            if producer == HOST:
                found[:, consumer] += whole[:, host, :host]
            else:
                found[:, producer] += whole[:, :host, host]
        return found

    def _price(
        self, e: int, first: int, copies: Vector, copied_bytes: Vector, pairs: Vector
    ) -> Vector:
        """Of an edge, by the choice of its variable ``first`` and then of the other."""
        found = self._tensors[e] * copies + self._sizes[e] * copied_bytes
        found = found[:, :-1, :-1]
        if pairs.shape[1]:
            found = found + pairs[:, e]
        oriented: Vector = found if first == self._edges[e][0] else found.transpose(0, 2, 1)
        return oriented


def infeasible(structure: Structure) -> Vector:
    """What makes infeasible choices never chosen, shape ``(variables, backends)``."""
    backends = len(structure.backends)
    allowed = structure.is_feasible[:, :backends]
    found: Vector = np.where(allowed, 0.0, _NEVER)
    return found

"""Fronts of a drawn model: weighted sums by dynamic programming over a spanning forest.

Many at once, repaired by coordinate descent: a thousandth of a second each, at any size. They are
blind to what lies in the hollows of a front, to memory's maxima and to the price of a backend in
use: local search goes on from them.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Final

import numpy as np

from pareto_profiler.samplers.structured.structure import HOST, Digits, Structure, Vector

_NEVER: Final = 1e6
_SWEEPS: Final = 2


class Forest:
    """Weighted sums of many models at once, by dynamic programming.

    Where runs of consecutive operations are sessions, what follows each other in the file is an
    edge, too, and the tree is made of these: a chain, so that partitions are priced as they are.

    Args:
        structure: Of the problem.
    """

    def __init__(self, structure: Structure) -> None:
        self._structure = structure
        follows = Counter[tuple[int, int]]()
        if structure.problem.traits.is_partitioned:
            follows.update(pair for pair in pairwise(structure.order.tolist()) if len({*pair}) > 1)
        joined: list[tuple[int, int]] = [(int(p), int(c)) for p, c in structure.pairs]
        self._edges = list(dict.fromkeys([*joined, *follows]))
        self._joined = len(joined)
        numbers = {edge: e for e, edge in enumerate(self._edges)}
        self._tensors, self._sizes = np.zeros((2, len(self._edges)))
        self._follows = np.array([follows[edge] for edge in self._edges])
        self._hosts: list[tuple[int, int, float]] = []
        for hand_over in structure.hand_overs:
            size = hand_over.size_bytes / structure.byte_scale
            for consumer in hand_over.consumers:
                if HOST in {hand_over.producer, consumer}:
                    self._hosts.append((hand_over.producer, consumer, size))
                else:
                    e = numbers[hand_over.producer, consumer]
                    self._tensors[e] += 1
                    self._sizes[e] += size
        self._around: dict[int, list[int]] = {}
        self._parent: dict[int, int] = {}
        best: dict[int, tuple[float, float]] = {}
        for e, edge in enumerate(self._edges):
            for variable in edge:
                self._around.setdefault(variable, []).append(e)
            last = max(edge)
            worth = (self._follows[e], self._sizes[e])
            if last not in self._parent or worth > best[last]:
                self._parent[last], best[last] = e, worth
        others = set(range(len(self._edges))) - {*self._parent.values()}
        self._untreed = {variable for e in others for variable in self._edges[e]}

    def solve(
        self, unary: Vector, copies: Vector, copied_bytes: Vector, partitions: Vector, pairs: Vector
    ) -> Digits:
        """Digits of the operations' variables, zeros for settings.

        Args:
            unary: Shape ``(problems, variables, backends)``; what is never to be chosen is huge.
            copies: Shape ``(problems, backends + 1, backends + 1)``.
            copied_bytes: The same.
            partitions: Shape ``(problems, backends, backends)``.
            pairs: Shape ``(problems, pairs, backends, backends)``, or no pairs.

        Returns:
            Shape ``(problems, variables)``. O(problems · variables · backends²).
        """
        unary = self._with_host(unary, copies, copied_bytes)
        order = self._structure.operation_variables
        prices = (copies, copied_bytes, partitions, pairs)
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
        # The best of the trees is best for each of their variables: only what has another edge, or
        # beside it something that was moved, may gain by a move.
        restless = self._untreed.copy()
        for _ in range(_SWEEPS):
            for i in filter(restless.__contains__, order):
                restless.remove(i)
                local = unary[:, i].copy()
                for e in self._around[i]:
                    other = sum(self._edges[e]) - i
                    local += self._beside(e, other, digits[:, other], *prices)
                best = local.argmin(axis=1)
                if (best != digits[:, i]).any():
                    restless |= {sum(self._edges[e]) - i for e in self._around[i]}
                digits[:, i] = best
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
        self,
        e: int,
        first: int,
        copies: Vector,
        copied_bytes: Vector,
        partitions: Vector,
        pairs: Vector,
    ) -> Vector:
        """Of an edge, by the choice of its variable ``first`` and then of the other."""
        found = self._tensors[e] * copies + self._sizes[e] * copied_bytes
        found = found[:, :-1, :-1]
        if self._follows[e]:
            found = found + self._follows[e] * partitions
        if e < min(self._joined, pairs.shape[1]):
            found = found + pairs[:, e]
        oriented: Vector = found if first == self._edges[e][0] else found.transpose(0, 2, 1)
        return oriented

    def _beside(
        self,
        e: int,
        other: int,
        chosen: Digits,
        copies: Vector,
        copied_bytes: Vector,
        partitions: Vector,
        pairs: Vector,
    ) -> Vector:
        """Of an edge, by the choice of one variable beside what the other one chose."""
        rows, every = np.arange(len(chosen)), slice(0, partitions.shape[2])
        at = (rows, chosen, every) if other == self._edges[e][0] else (rows, every, chosen)
        found: Vector = self._tensors[e] * copies[at] + self._sizes[e] * copied_bytes[at]
        if self._follows[e]:
            found = found + self._follows[e] * partitions[at]
        if e < min(self._joined, pairs.shape[1]):
            found = found + pairs[:, e][at]
        return found


def infeasible(structure: Structure) -> Vector:
    """What makes infeasible choices never chosen, shape ``(variables, backends)``."""
    backends = len(structure.backends)
    allowed = structure.is_feasible[:, :backends]
    found: Vector = np.where(allowed, 0.0, _NEVER)
    return found

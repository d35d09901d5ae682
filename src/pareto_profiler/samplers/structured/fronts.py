"""Fronts of a drawn model: assignments that no other beats under it.

Two ways, since they find different things. Many weighted sums at once by dynamic programming over a
spanning forest of the graph, repaired by coordinate descent: a thousandth of a second each, at any
size, but blind to what lies in the hollows of a front and to memory's maxima. And ε-constraint
problems solved by HiGHS, exact within a gap: a hundredth to a second each, for up to some hundred
operations.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from pareto_profiler.samplers.structured.culprits import Conjunction
from pareto_profiler.samplers.structured.structure import HOST, Digits, Structure, Vector
from pareto_profiler.samplers.structured.terms import Terms

_NEVER: Final = 1e6
_SWEEPS: Final = 2
_TINY: Final = 1e-6
_TELLING: Final = 2e-3
_GAP: Final = 5e-3
_NODES: Final = 20
_LARGEST_PROGRAM: Final = 6000


@dataclass(frozen=True, slots=True)
class Costs:
    """One objective under one drawn model, the settings fixed.

    Attributes:
        constant: What does not depend on where operations run.
        unary: Shape ``(variables, backends)``; of settings zero.
        used: Of a backend in use, shape ``(backends,)``.
        arena: Per byte of a backend's largest sum of living activations, shape ``(backends,)``.
        copies, copied_bytes: Of a tensor handed over, shape ``(backends + 1, backends + 1)``.
        pairs: Of two operations with an edge, in the order of ``Structure.pairs``: shape ``(pairs,
            backends, backends)``; no pairs where these do not count.
    """

    constant: float
    unary: Vector
    used: Vector
    arena: Vector
    copies: Vector
    copied_bytes: Vector
    pairs: Vector


def costs_of(terms: Terms, weights: Vector, setting: Digits) -> Costs:
    """A drawn model as costs; what backends save that work side by side is left out.

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
    arena = per["arena"].copy() if terms.is_memory else np.zeros(backends)
    constant = float(weights[0])
    for (i, choice), at in layout.settings.items():
        constant += float(weights[at] * s.has_setting(setting, i, choice))
    for (i, choice, backend), at in layout.setting_time.items():
        here = slice(None) if backend == backends else backend
        level = weights[at] * s.has_setting(setting, i, choice)
        if terms.is_memory:
            arena[here] += level
        else:
            unary[:, here] += level * share[:, here]
    pools, apart = np.zeros(backends), 0.0
    for (i, choice, backend), at in layout.setting_pools.items():
        level = float(weights[at] * s.has_setting(setting, i, choice))
        if backend < backends:
            pools[backend] += level
        else:
            apart += level / max(1, len(s.edge_tensor))
    for (i, choice, j, other), at in layout.setting_pairs.items():
        both = s.has_setting(setting, i, choice) * s.has_setting(setting, j, other)
        constant += float(weights[at] * both)
    unary[s.setting_variables] = 0.0
    hands = np.maximum(0.0, terms.copies(weights))
    if terms.is_memory:  # at most; which of it is alive at one time only the terms know
        hands[1][:backends, :backends] += np.maximum(0.0, per["kept"])[:, None]
    hands[0][:backends, :backends] += max(0.0, apart) * ~np.eye(backends, dtype=bool)
    beside = weights[layout.pairs :].reshape(-1, backends, backends)
    used = per["used"] + pools
    return Costs(constant, unary, used, np.maximum(0.0, arena), hands[0], hands[1], beside)


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


class Program:
    """ε-constraint problems of a drawn model, by HiGHS.

    Args:
        structure: Of the problem.
        costs: One for each objective.
        byte_scale: What bytes are counted in.
        cuts: Conjunctions that no solution may have whole.
    """

    def __init__(
        self,
        structure: Structure,
        costs: Sequence[Costs],
        byte_scale: float,
        cuts: Sequence[Conjunction],
    ) -> None:
        self._structure = structure
        self._count = 0
        self._rows: list[tuple[list[int], list[float], float, float]] = []
        self._costs = [dict[int, float]() for _ in costs]
        self._constants = [c.constant for c in costs]
        backends = len(structure.backends)
        self._x = {
            (i, b): self._variable([float(c.unary[i, b]) for c in costs])
            for i in structure.operation_variables
            for b in range(backends)
            if structure.is_feasible[i, b]
        }
        self._integers = self._count
        used = [self._variable([float(c.used[b]) for c in costs]) for b in range(backends)]
        self._integers = self._count
        for i in structure.operation_variables:
            here = [self._x[i, b] for b in range(backends) if (i, b) in self._x]
            self._row(here, [1.0] * len(here), 1.0, 1.0)
        for b in range(backends):
            mine = [x for (_, c), x in self._x.items() if c == b]
            for x in mine:
                self._row([used[b], x], [1.0, -1.0], 0.0, np.inf)
            self._row([*mine, used[b]], [1.0] * len(mine) + [-1.0], 0.0, np.inf)
        for pairs in cuts:
            here = [self._x[pair] for pair in pairs if pair in self._x]
            if len(here) == len(pairs):
                self._row(here, [1.0] * len(here), -np.inf, len(here) - 1.0)
        self._add_hand_overs(costs, byte_scale)
        self._add_pairs(costs)
        self._add_arenas(costs, byte_scale)

    def _variable(self, costs: list[float]) -> int:
        for mine, cost in zip(self._costs, costs, strict=True):
            if cost:
                mine[self._count] = cost
        self._count += 1
        return self._count - 1

    def _row(self, columns: list[int], values: list[float], low: float, high: float) -> None:
        self._rows.append((columns, values, low, high))

    def _add_hand_overs(self, costs: Sequence[Costs], byte_scale: float) -> None:
        backends = len(self._structure.backends)
        for h in self._structure.hand_overs:
            prices = [c.copies + h.size_bytes / byte_scale * c.copied_bytes for c in costs]
            if max(float(p.max()) for p in prices) < _TINY:
                continue
            if HOST in h.consumers and h.producer != HOST:
                for b in range(backends):
                    self._charge(h.producer, b, [float(p[b, backends]) for p in prices])
            takers = [c for c in h.consumers if c != HOST]
            if h.producer == HOST and len(takers) == 1:
                for b in range(backends):
                    self._charge(takers[0], b, [float(p[backends, b]) for p in prices])
            elif takers:
                self._add_copies(h.producer, takers, prices)

    def _add_pairs(self, costs: Sequence[Costs]) -> None:
        """A variable for each two backends of a pair, where these do much to each other."""
        backends = range(len(self._structure.backends))
        for e, (maker, taker) in enumerate(self._structure.pairs.tolist()):
            prices = [c.pairs[e] if len(c.pairs) else np.zeros(c.pairs.shape[1:]) for c in costs]
            if max(float(np.abs(p).max()) for p in prices) < _TELLING:
                continue
            sources = [p for p in backends if (maker, p) in self._x]
            goals = [q for q in backends if (taker, q) in self._x]
            both = {
                (p, q): self._variable([float(price[p, q]) for price in prices])
                for p in sources
                for q in goals
            }
            ends = [(self._x[maker, p], [both[p, q] for q in goals]) for p in sources]
            ends += [(self._x[taker, q], [both[p, q] for p in sources]) for q in goals]
            for x, columns in ends:
                self._row([*columns, x], [1.0] * len(columns) + [-1.0], 0.0, 0.0)

    def _charge(self, variable: int, backend: int, prices: list[float]) -> None:
        x = self._x.get((variable, backend))
        if x is not None:
            for mine, price in zip(self._costs, prices, strict=True):
                mine[x] = mine.get(x, 0.0) + price

    def _add_copies(self, producer: int, takers: list[int], prices: list[Vector]) -> None:
        """A variable for each pair of backends: made on one, taken on the other by anyone."""
        backends = len(self._structure.backends)
        sources = [backends] if producer == HOST else list(range(backends))
        sources = [p for p in sources if p == backends or (producer, p) in self._x]
        goals = [q for q in range(backends) if any((c, q) in self._x for c in takers)]
        y = {
            (p, q): self._variable([float(price[p, q]) for price in prices])
            for p in sources
            for q in goals
        }
        for q in goals:
            for c in takers:
                if (c, q) in self._x:
                    columns = [y[p, q] for p in sources] + [self._x[c, q]]
                    self._row(columns, [1.0] * len(sources) + [-1.0], 0.0, np.inf)
        for p in sources:
            if p == backends:
                continue
            if len(takers) == 1:
                columns = [y[p, q] for q in goals] + [self._x[producer, p]]
                self._row(columns, [1.0] * len(goals) + [-1.0], 0.0, 0.0)
            else:
                for q in goals:
                    self._row([y[p, q], self._x[producer, p]], [-1.0, 1.0], 0.0, np.inf)

    def _add_arenas(self, costs: Sequence[Costs], byte_scale: float) -> None:
        makers, sizes = self._structure.arena
        for b in range(len(self._structure.backends)):
            prices = [float(c.arena[b]) for c in costs]
            if max(prices) < _TINY or not self._structure.alive:
                continue
            peak = self._variable(prices)
            for alive in self._structure.alive:
                load: dict[int, float] = {}
                for t in alive.tolist():
                    x = self._x.get((int(makers[t]), b))
                    if x is not None:
                        load[x] = load.get(x, 0.0) + float(sizes[t]) / byte_scale
                if load:
                    values = [-v for v in load.values()]
                    self._row([*load, peak], [*values, 1.0], 0.0, np.inf)

    @property
    def size(self) -> int:
        """Variables and rows together."""
        return self._count + len(self._rows)

    def solve(self, shares: Sequence[float], limits: dict[int, float]) -> Digits | None:
        """Digits of the operations' variables, zeros for settings; None where nothing fits.

        Args:
            shares: Of each objective in what is minimised.
            limits: Objective → the most it may be.
        """
        from scipy.optimize import Bounds, LinearConstraint, milp
        from scipy.sparse import coo_matrix

        rows = list(self._rows)
        for k, limit in limits.items():
            mine = self._costs[k]
            rows.append((list(mine), list(mine.values()), -np.inf, limit - self._constants[k]))
        numbers = [n for n, (columns, *_) in enumerate(rows) for _ in columns]
        matrix = coo_matrix(
            (
                [v for _, values, _, _ in rows for v in values],
                (numbers, [c for columns, *_ in rows for c in columns]),
            ),
            shape=(len(rows), self._count),
        )
        price = np.zeros(self._count)
        for share, mine in zip(shares, self._costs, strict=True):
            price[list(mine)] += share * np.array(list(mine.values()))
        kinds = np.zeros(self._count)
        kinds[: self._integers] = 1
        highs = np.where(kinds > 0, 1.0, np.inf)
        with _silence():
            found: Any = milp(
                price,
                integrality=kinds,
                bounds=Bounds(0.0, highs),
                constraints=LinearConstraint(
                    matrix.tocsr(), [low for *_, low, _ in rows], [high for *_, high in rows]
                ),
                options={"mip_rel_gap": _GAP, "node_limit": _NODES},
            )
        if found.x is None:
            return None
        digits = np.zeros(len(self._structure.counts), dtype=np.intp)
        best: dict[int, float] = {}
        for (i, b), x in self._x.items():
            if found.x[x] > best.get(i, -1.0):
                best[i] = float(found.x[x])
                digits[i] = b
        return digits


@contextmanager
def _silence() -> Iterator[None]:
    """Keep from standard output what HiGHS writes there past Python, whatever its options say."""
    try:
        sys.stdout.flush()
        kept = os.dup(1)
    except (OSError, ValueError):
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def is_programmable(structure: Structure) -> bool:
    """Whether HiGHS is asked at all: its problems must stay small enough to be quick."""
    backends = len(structure.backends)
    edges = sum(len(h.consumers) for h in structure.hand_overs)
    size = len(structure.operation_variables) * backends + edges * backends**2
    return size <= _LARGEST_PROGRAM


def infeasible(structure: Structure) -> Vector:
    """What makes infeasible choices never chosen, shape ``(variables, backends)``."""
    backends = len(structure.backends)
    allowed = structure.is_feasible[:, :backends]
    found: Vector = np.where(allowed, 0.0, _NEVER)
    return found

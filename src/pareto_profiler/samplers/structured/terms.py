"""Terms: what a value is a sum of, in families; each knows its prior, features, price and unit."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np

from pareto_profiler.core.traits import Role, SettingTrait
from pareto_profiler.samplers.structured.features import Features
from pareto_profiler.samplers.structured.structure import Chosen, Digits, Structure, Vector
from pareto_profiler.samplers.structured.warm_start import WarmStart

GROUPS: Final = (
    "fixed",
    "unary",
    "backend",
    "partition",
    "hand-over",
    "setting",
    "pair",
    "overlap",
    "kind",
    "planner",
    "workspace",
)
"""Terms whose prior spreads are scaled together."""

ITSELF, NEIGHBOURS, HAND_OVERS, OVERLAP, IN_USE, ACTIVATIONS = (
    "itself",
    "neighbours",
    "hand-overs",
    "side by side",
    "backend in use",
    "activations",
)
"""Through what a choice changes an objective."""

_OPEN: Final = 0.7
_FLOOR: Final = 0.2
# What a small backend takes that does nothing: it finds others loaded.
_SMALL_BYTES: Final = 2**18
# What a further partition takes, beforehand: of the baseline's time, and bytes.
_PARTITION: Final = 0.005
_PARTITION_BYTES: Final = 2**18
_PAIR: Final = 0.02
_MAX_PAIRS: Final = 5000
_OVERLAP: Final = 0.2
# What a trace may be off by: of each operation, in itself and in mean operations, and of a kind.
_SEEN: Final = 0.03
_SEEN_MEAN: Final = 0.01
_SEEN_KIND: Final = 0.03
_UNSEEN: Final = 0.7
_UNSEEN_MEAN: Final = 0.02
_UNSEEN_KIND: Final = 0.7
_PAIR_SWAY: Final = 0.02


@dataclass(frozen=True, slots=True)
class Unit:
    """How a weight is shown.

    Attributes:
        words: Behind the objective's unit, as ``per copy``; all of the unit where it is a share.
        per: Of how many of what the feature counts a weight is shown.
        is_share: Whether the weight is a share and has no unit of the objective's.
    """

    words: str
    per: float = 1.0
    is_share: bool = False


@dataclass(slots=True)
class Costs:
    """What of an objective under one drawn model is a sum over operations and edges.

    Attributes:
        unary: Shape ``(variables, backends)``; of settings zero.
        copies, copied_bytes: Of a tensor handed over, shape ``(backends + 1, backends + 1)``.
        partitions: Of two consecutive operations in the order of the file, shape ``(backends,
            backends)``.
        pairs: Of two operations with an edge, in the order of ``Structure.pairs``: shape ``(pairs,
            backends, backends)``; no pairs where these do not count.
        heights: Of each choice what counts only where no other is higher, shape of ``unary``.
        setting: Digits of all variables, of which only those of settings count.
    """

    unary: Vector
    copies: Vector
    copied_bytes: Vector
    partitions: Vector
    pairs: Vector
    heights: Vector
    setting: Digits

    @classmethod
    def none(cls, structure: Structure, setting: Digits) -> Costs:
        """Nothing costs anything."""
        variables, backends = len(structure.counts), len(structure.backends)
        return cls(
            np.zeros((variables, backends)),
            np.zeros((backends + 1, backends + 1)),
            np.zeros((backends + 1, backends + 1)),
            np.zeros((backends, backends)),
            np.zeros((0, backends, backends)),
            np.zeros((variables, backends)),
            setting,
        )


OF_WORK: Final = Unit("of its work", is_share=True)
"""Of the part of a backend's work that threads share, which is one at most."""


class Family(ABC):
    """Weights of one kind: normal distributions beforehand, and the features they are of.

    Attributes:
        group: Of ``GROUPS``.
        through: Of each weight, through what a choice changes the objective; one for all.
        means, spreads: Of the prior, shape ``(weights,)``.
    """

    group: ClassVar[str]
    through: str = ITSELF

    def __init__(self, start: WarmStart, means: Any, spreads: Any) -> None:
        self.start = start
        self.structure = start.structure
        self.spreads = np.array(spreads, dtype=float).reshape(-1)
        self.means: Vector = np.zeros(len(self.spreads))
        self.means[:] = means

    def __len__(self) -> int:
        return len(self.spreads)

    def names(self) -> Sequence[str]:
        """Of the weights; empty text for those that nobody is told of."""
        return [""] * len(self)

    @property
    def unit(self) -> Unit | None:
        """How weights are shown; None for a step, shown as large as it is where it is largest."""
        return None

    def units(self) -> Sequence[Unit | None]:
        """Of each weight how it is shown."""
        return [self.unit] * len(self)

    def groups(self) -> Digits:
        """Of each weight its position in ``GROUPS``."""
        return np.full(len(self), GROUPS.index(self.group))

    def ways(self) -> Sequence[str]:
        """Of each weight through what it acts."""
        return [self.through] * len(self)

    def uses(self) -> Digits:
        """Of each weight whose use it tells of, a backend; -1 where of none's."""
        return np.full(len(self), -1)

    def price(self, weights: Vector, costs: Costs) -> None:  # noqa: B027 - most sums have none
        """Add to costs what of these is a sum over operations and edges; by default nothing."""


class DenseFamily(Family):
    """A family of few weights."""

    @abstractmethod
    def features(self, chosen: Chosen) -> Vector:
        """Shape ``(assignments, weights)``."""


class SparseFamily(Family):
    """A family of many weights, few of which have a part in an assignment."""

    @abstractmethod
    def sparse(self, chosen: Chosen) -> tuple[Digits, Vector]:
        """Where features are not zero, and what they are: shape ``(assignments, any)`` each."""


class Fixed(DenseFamily):
    """What every assignment takes."""

    group = "fixed"

    def __init__(self, start: WarmStart) -> None:
        whole = float(start.expected[:, 0].sum())
        super().__init__(start, [1.0 - whole], [0.3 if start.is_memory else 0.05])

    def features(self, chosen: Chosen) -> Vector:
        return np.ones((len(chosen), 1))


class _PerBackend(DenseFamily):
    """One weight for each backend."""

    group = "backend"
    kind: ClassVar[str]

    def names(self) -> list[str]:
        return [f"{self.kind} of {backend}" for backend in self.structure.backends]


class InUse(_PerBackend):
    """A backend that runs something."""

    kind, through = "used", IN_USE

    def __init__(self, start: WarmStart) -> None:
        traits, backends = start.structure.problem.traits, start.structure.backends
        spreads = np.full(len(backends), 0.4 * start.known.extent if start.is_memory else 0.02)
        for b, backend in enumerate(backends if start.is_memory else ()):
            if b and backend in traits.small:
                spreads[b] = min(spreads[b], _SMALL_BYTES / start.known.base)
        super().__init__(start, 0.0, spreads)

    def names(self) -> list[str]:
        return [f"{backend} in use" for backend in self.structure.backends]

    @property
    def unit(self) -> Unit:
        return Unit("once")

    def uses(self) -> Digits:
        return np.arange(len(self))

    def features(self, chosen: Chosen) -> Vector:
        return chosen.used


class Operations(_PerBackend):
    """How many operations run there."""

    kind = "operations"

    def __init__(self, start: WarmStart) -> None:
        super().__init__(start, 0.0, np.full(len(start.structure.backends), 0.1 * start.share))

    @property
    def unit(self) -> Unit:
        return Unit("per operation")

    def features(self, chosen: Chosen) -> Vector:
        return chosen.sums(self.structure.counts)

    def price(self, weights: Vector, costs: Costs) -> None:
        costs.unary += weights * self.structure.counts[:, None]


class Work(_PerBackend):
    """What a profile or a share of the baseline's time says, more or less."""

    kind = "work"

    def __init__(self, start: WarmStart) -> None:
        backends = range(len(start.structure.backends))
        super().__init__(start, 0.0, [_OPEN if start.is_unseen(b) else 0.1 for b in backends])

    @property
    def unit(self) -> Unit:
        return Unit("of what its profile or share says, more or less", is_share=True)

    def features(self, chosen: Chosen) -> Vector:
        return chosen.sums(self.start.expected)

    def price(self, weights: Vector, costs: Costs) -> None:
        costs.unary += weights * self.start.expected[:, : len(weights)]


class Weights(_PerBackend):
    """The weights of operations that run there, packed or copied."""

    kind = "weights"

    def __init__(self, start: WarmStart) -> None:
        once = np.full(len(start.structure.backends), start.bytes_once)
        super().__init__(start, 0.5 * once, once)
        self._sizes = self.structure.weight_bytes / self.structure.byte_scale

    @property
    def unit(self) -> Unit:
        return Unit("per KiB of weights", 1024 / self.structure.byte_scale)

    def features(self, chosen: Chosen) -> Vector:
        return chosen.sums(self._sizes)

    def price(self, weights: Vector, costs: Costs) -> None:
        costs.unary += weights * self._sizes[:, None]


class Arena(_PerBackend):
    """Activations that are alive at one time; of partitions each by itself, all together."""

    kind, through = "arena", ACTIVATIONS

    def __init__(self, start: WarmStart) -> None:
        once = np.full(len(start.structure.backends), start.bytes_once)
        super().__init__(start, once, 0.7 * once)

    @property
    def unit(self) -> Unit:
        return Unit("per KiB of activations", 1024 / self.structure.byte_scale)

    def features(self, chosen: Chosen) -> Vector:
        return chosen.arenas / self.structure.byte_scale


class Kept(_PerBackend):
    """Activations that are kept to the end since other backends take them."""

    kind, through = "kept", ACTIVATIONS

    def __init__(self, start: WarmStart) -> None:
        s = start.structure
        once = np.full(len(s.backends), 0.5 * start.bytes_once)
        # Where it is not known that a backend keeps what others take, nothing is known.
        keeps = [backend in s.problem.traits.keeps_inputs for backend in s.backends]
        super().__init__(start, once * keeps, once)

    @property
    def unit(self) -> Unit:
        return Unit("per KiB kept for other backends", 1024 / self.structure.byte_scale)

    def features(self, chosen: Chosen) -> Vector:
        return chosen.kept / self.structure.byte_scale

    def price(self, weights: Vector, costs: Costs) -> None:
        # At most; which of it is alive at one time only the features know.
        costs.copied_bytes[:-1, :-1] += np.maximum(0.0, weights)[:, None]


class Partitions(_PerBackend):
    """Each run of consecutive operations of a backend, where the runtime makes it a session."""

    kind, group, through = "partitions", "partition", HAND_OVERS

    def __init__(self, start: WarmStart) -> None:
        loose = _PARTITION_BYTES / max(1.0, start.known.base) if start.is_memory else _PARTITION
        super().__init__(start, 0.0, np.full(len(start.structure.backends), loose))

    @property
    def unit(self) -> Unit:
        return Unit("per partition")

    def features(self, chosen: Chosen) -> Vector:
        return chosen.partitions

    def price(self, weights: Vector, costs: Costs) -> None:
        costs.partitions += np.maximum(0.0, weights) * ~np.eye(len(weights), dtype=bool)


class HandOvers(DenseFamily):
    """Tensors that go from one backend to another, once for each taker's backend; or their bytes.

    Args:
        start: What is known.
        is_bytes: Whether bytes are counted.
    """

    group, through = "hand-over", HAND_OVERS

    def __init__(self, start: WarmStart, *, is_bytes: bool) -> None:
        self._is_bytes = is_bytes
        s = start.structure
        traits, names = s.problem.traits, [*s.backends, "the host"]
        largest = max([1.0, *start.known.totals.values()])
        loose = 0.3 if is_bytes else 0.5 * largest / max(1, len(s.hand_overs))
        if start.is_memory:
            loose = 0.5 * start.bytes_once * is_bytes
        spreads = np.full((len(names), len(names)), loose)
        np.fill_diagonal(spreads, 0.0)
        for i, p in enumerate(names if not start.is_memory else ()):
            for j, q in enumerate(names):
                groups = [group | {"the host"} for group in traits.zero_copy]
                if traits.are_free(p, q) or any({p, q} <= group for group in groups):
                    spreads[i, j] *= 0.02
        super().__init__(start, 0.0, spreads)

    def names(self) -> list[str]:
        names = [*self.structure.backends, "the host"]
        kind = "copied bytes" if self._is_bytes else "copies"
        return [f"{kind} {p} → {q}" for p in names for q in names]

    @property
    def unit(self) -> Unit:
        per = 2**20 / self.structure.byte_scale
        return Unit("per MiB copied", per) if self._is_bytes else Unit("per copy")

    def features(self, chosen: Chosen) -> Vector:
        counts, sizes = chosen.handed
        return sizes if self._is_bytes else counts

    def price(self, weights: Vector, costs: Costs) -> None:
        prices = costs.copied_bytes if self._is_bytes else costs.copies
        prices += self.matrix(weights)

    def matrix(self, weights: Vector) -> Vector:
        """From which backend to which other, the host the last: shape ``(b + 1, b + 1)``."""
        sides = len(self.structure.backends) + 1
        found: Vector = np.maximum(0.0, weights).reshape(sides, sides)
        return found


class SideBySide(DenseFamily):
    """What backends save that work at the same time.

    Args:
        start: What is known.
        copies: What a copy takes, and each of its bytes, shape ``(2, backends, backends)``.
    """

    group, through = "overlap", OVERLAP

    def __init__(self, start: WarmStart, copies: Vector) -> None:
        super().__init__(start, 0.0, [_OVERLAP])
        self._copies = copies

    def names(self) -> list[str]:
        return ["side by side"]

    @property
    def unit(self) -> Unit:
        return Unit("of what backends would save that work at the same time", is_share=True)

    def features(self, chosen: Chosen) -> Vector:
        saved = self.structure.saved(chosen.digits, self.start.expected, self._copies)
        return -saved[:, None]


class Kinds(DenseFamily):
    """What one kernel is good at, it is in all: where nothing tells of single operations."""

    group = "kind"

    def __init__(self, start: WarmStart) -> None:
        s = start.structure
        backends = range(len(s.backends))
        loose = [_SEEN_KIND if start.is_trusted(b) else _UNSEEN_KIND for b in backends]
        super().__init__(start, 0.0, np.tile(loose, len(s.kinds)))
        order = s.operation_variables
        self._is_kind = (s.kind[order][:, None] == np.arange(len(s.kinds))).astype(float)

    def names(self) -> list[str]:
        s = self.structure
        return [f"work of {name} on {backend}" for name in s.kinds for backend in s.backends]

    @property
    def unit(self) -> Unit:
        return Unit("of what its profile or share says, more or less", is_share=True)

    def features(self, chosen: Chosen) -> Vector:
        order = self.structure.operation_variables
        found = np.zeros((len(chosen), self._is_kind.shape[1], len(self.structure.backends)))
        for b, here in enumerate(chosen.on):
            found[:, :, b] = here @ (self._is_kind * self.start.expected[order, b][:, None])
        return found.reshape(len(found), len(self))

    def price(self, weights: Vector, costs: Costs) -> None:
        backends = len(self.structure.backends)
        of_kind = weights.reshape(-1, backends)[self.structure.kind]
        costs.unary += of_kind * self.start.expected[:, :backends]


class Choices(SparseFamily):
    """Each operation on each backend."""

    group = "unary"

    def __init__(self, start: WarmStart) -> None:
        s, known = start.structure, start.known
        if start.is_memory:
            sizes = (0.3 * s.weight_bytes + 0.1 * s.data_bytes) / s.byte_scale * start.bytes_once
            spreads = np.repeat(sizes[:, None] + 0.05 * known.extent * start.share, s.choices, 1)
        else:
            spreads = _UNSEEN * start.expected + _UNSEEN_MEAN * start.share
            for b in filter(start.is_trusted, range(len(s.backends))):
                is_seen = ~np.isnan(known.profiles[b])
                spreads[is_seen, b] = (_SEEN * start.expected[:, b] + _SEEN_MEAN * start.share)[
                    is_seen
                ]
        spreads[s.setting_variables] = 0.0
        means = start.expected.copy()
        means[s.setting_variables] = 0.0
        super().__init__(start, means.reshape(-1), spreads)

    def sparse(self, chosen: Chosen) -> tuple[Digits, Vector]:
        columns = np.arange(len(self.structure.counts)) * self.structure.choices + chosen.digits
        return columns, np.ones(columns.shape)

    def price(self, weights: Vector, costs: Costs) -> None:
        own = weights.reshape(-1, self.structure.choices)[:, : len(self.structure.backends)].copy()
        own[self.structure.setting_variables] = 0.0
        costs.unary += own


class Pairs(SparseFamily):
    """What two operations' backends do to each other, where an edge joins them."""

    group, through = "pair", NEIGHBOURS

    def __init__(self, start: WarmStart) -> None:
        s = start.structure
        backends = len(s.backends)
        takers = start.expected[s.pairs[:, 1], :backends]
        super().__init__(start, 0.0, _PAIR * np.repeat(takers[:, None, :], backends, axis=1))

    def sparse(self, chosen: Chosen) -> tuple[Digits, Vector]:
        s, backends = self.structure, len(self.structure.backends)
        makers, takers = chosen.digits[:, s.pairs[:, 0]], chosen.digits[:, s.pairs[:, 1]]
        columns = np.arange(len(s.pairs)) * backends**2 + makers * backends + takers
        return columns, np.ones(columns.shape)

    def price(self, weights: Vector, costs: Costs) -> None:
        backends = len(self.structure.backends)
        costs.pairs = weights.reshape(-1, backends, backends)


class Workspaces(SparseFamily):
    """What the operation works in that works in most, once.

    Which one that is follows from what each was found to work in: beforehand the one that touches
    most. Workspaces count by their maximum, and are freed or used again by the next operation.

    Args:
        start: What is known.
        heights: What each choice works in, shape ``(variables, choices)``.
    """

    group, through = "workspace", ITSELF

    def __init__(self, start: WarmStart, heights: Vector) -> None:
        s = start.structure
        backends = len(s.backends)
        self._heights = heights
        self._touched = (s.data_bytes - s.weight_bytes) / s.byte_scale
        alike = np.full(len(s.kinds) * backends, start.bytes_once)
        own = np.repeat(self._touched[:, None] * 0.3 * start.bytes_once, s.choices, axis=1)
        own[s.setting_variables] = 0.0
        super().__init__(start, 0.0, np.concatenate([alike, own.reshape(-1)]))
        self._alike = len(alike)

    def names(self) -> list[str]:
        s = self.structure
        alike = [f"workspace of {name} on {backend}" for name in s.kinds for backend in s.backends]
        return [*alike, *[""] * (len(self) - len(alike))]

    @property
    def unit(self) -> Unit:
        return Unit("per KiB that the largest operation touches", 1024 / self.structure.byte_scale)

    def sparse(self, chosen: Chosen) -> tuple[Digits, Vector]:
        s, rows = self.structure, np.arange(len(chosen))
        order = np.array(s.operation_variables)
        highest = order[self._heights[order, chosen.digits[:, order]].argmax(axis=1)]
        backend = chosen.digits[rows, highest]
        alike = s.kind[highest] * len(s.backends) + backend
        own = self._alike + highest * s.choices + backend
        values = np.column_stack([self._touched[highest], np.ones(len(chosen))])
        return np.column_stack([alike, own]), values

    def price(self, weights: Vector, costs: Costs) -> None:
        costs.heights += np.maximum(0.0, self.found(weights))[:, : len(self.structure.backends)]

    def found(self, weights: Vector) -> Vector:
        """What each choice works in under some weights, shape ``(variables, choices)``."""
        s = self.structure
        backends = len(s.backends)
        own = weights[self._alike :].reshape(-1, s.choices).copy()
        own[:, :backends] += (
            weights[: self._alike].reshape(-1, backends)[s.kind] * self._touched[:, None]
        )
        own[s.setting_variables] = 0.0
        return own


@dataclass(frozen=True, slots=True)
class SettingPrior:
    """How much a setting may change, as standard deviations beforehand.

    Attributes:
        time: Of the baseline's time, whatever runs where.
        work: Of each backend's share of the work.
        shared: Of each backend's share of the work, as far as it follows Amdahl's law.
        pools: Of another backend in use, whose threads may get in the way.
        memory: Of the baseline's memory, whatever runs where.
        arenas: Of activations, alike on all backends; of values whose waste is known, see traits.
        arena: Of activations, on each backend.
        weights: Of weights, on each backend, and alike on all.
    """

    time: float
    work: float
    shared: float
    pools: float
    memory: float
    arenas: float
    arena: float
    weights: float


_SETTING_PRIORS: Final = {
    Role.THREADS: SettingPrior(
        time=0.05, work=0.15, shared=0.6, pools=0.1, memory=0.05, arenas=0.0, arena=0.1, weights=0.0
    ),
    # What is placed elsewhere is cached differently: up to 2 % were seen.
    Role.ARENA: SettingPrior(
        time=0.005,
        work=0.005,
        shared=0.0,
        pools=0.0,
        memory=0.01,
        arenas=0.7,
        arena=0.1,
        weights=0.0,
    ),
    Role.OTHER: SettingPrior(
        time=0.15, work=0.3, shared=0.0, pools=0.1, memory=0.1, arenas=0.5, arena=0.5, weights=1.0
    ),
}


class Setting(DenseFamily):
    """One setting: what each of its values changes, by itself and with what runs where.

    What one weight is of is a row of ``_columns``: a value (0 for the part that follows Amdahl's
    law) and what it is multiplied with: nothing, a share of the work or activations, the
    weights, a pool of threads in use, or the value of a setting before it.

    Args:
        start: What is known.
        variable: Position of the setting.
        before: Settings before it, and how much each may change at most.
    """

    group = "setting"

    def __init__(self, start: WarmStart, variable: int, before: Sequence[Setting]) -> None:
        s, memory = start.structure, start.is_memory
        self.structure = s
        self.variable = variable
        self.named = s.problem.space.variables[variable]
        trait = s.problem.traits.settings.get(self.named.name, SettingTrait())
        # How far threads are from what is expected says nothing of planners.
        is_planner = trait.role is Role.ARENA
        sway = _sway(trait.role, start)
        self.whole = sway.memory if memory else sway.time
        self._columns: list[tuple[str, int, str, tuple[str, Any], float, float]] = []
        each, every = (sway.arena, sway.arenas) if memory else (sway.work, 0.0)
        each, every = (x * (start.bytes_once if memory else 1.0) for x in (each, every))
        of_work = ACTIVATIONS if memory else ITSELF
        all_backends = len(s.backends)
        if sway.shared and start.is_time and len(s.numbers[variable]):
            for b, backend in enumerate(s.backends):
                name = f"shared among {self.named.name} on {backend}"
                self._columns.append((name, 0, of_work, ("work", b), 0.0, sway.shared))
        for choice in range(1, len(self.named.choices)):
            name = self.value_name(choice)
            self._columns.append((name, choice, ITSELF, ("alone", 0), 0.0, self.whole))
            for b, backend in enumerate((*s.backends, "all backends")):
                mean, loose = 0.0, each if b < all_backends else every
                if memory and b == all_backends:
                    mean, loose = _wasted(start, trait, self.named.choices, choice, loose)
                row = (f"{name} with {backend}", choice, of_work, ("work", b), mean, loose)
                self._columns.append(row)
            of_weights = start.bytes_once * sway.weights
            for b, backend in enumerate((*s.backends, "all backends") if of_weights else ()):
                words = f"{name} with weights on {backend}"
                self._columns.append((words, choice, ITSELF, ("weights", b), 0.0, of_weights))
            for b, pool in enumerate((*s.backends, "crossings") if not memory else ()):
                way = IN_USE if b < all_backends else HAND_OVERS
                loose = sway.pools if b else 0.0
                row = (f"{name} beside {pool}", choice, way, ("pools", b), 0.0, loose)
                self._columns.append(row)
            for other in before:
                # What alone changes little changes little of what the other does.
                loose = min(_PAIR_SWAY, self.whole, other.whole)
                for value in range(1, len(other.named.choices)):
                    both = f"{other.value_name(value)} and {name}"
                    beside = ("setting", (other.variable, value))
                    self._columns.append((both, choice, ITSELF, beside, 0.0, loose))
        super().__init__(start, [c[4] for c in self._columns], [c[5] for c in self._columns])
        planner = GROUPS.index("planner" if is_planner else "setting")
        self._groups = np.array(
            [GROUPS.index("setting") if c[3][0] == "setting" else planner for c in self._columns],
            dtype=np.intp,
        )

    def value_name(self, choice: int) -> str:
        """A value in words; of rising numbers, against the one before it."""
        name = f"{self.named.name}={self.named.choices[choice]}"
        if choice > 1 and self.structure.is_scale[self.variable]:
            name = f"{name} rather than {self.named.choices[choice - 1]}"
        return name

    def names(self) -> list[str]:
        return [name for name, *_ in self._columns]

    def units(self) -> list[Unit | None]:
        return [None if choice else OF_WORK for _, choice, *_ in self._columns]

    def groups(self) -> Digits:
        return self._groups

    def ways(self) -> list[str]:
        return [way for _, _, way, *_ in self._columns]

    def uses(self) -> Digits:
        backends = len(self.structure.backends)
        return np.array(
            [b if what == "pools" and b < backends else -1 for *_, (what, b), _, _ in self._columns]
        )

    def features(self, chosen: Chosen) -> Vector:
        s = self.structure
        share = (
            chosen.arenas / s.byte_scale
            if self.start.is_memory
            else chosen.sums(self.start.expected)
        )
        weights = chosen.sums(s.weight_bytes) / s.byte_scale
        along = {
            "weights": np.column_stack([weights, weights.sum(axis=1)]),
            "alone": np.ones((len(chosen), 1)),
            "work": np.column_stack([share, share.sum(axis=1)]),
            "pools": np.column_stack([chosen.used, chosen.crossings]),
        }
        has = {c: s.has_setting(chosen.digits, self.variable, c) for _, c, *_ in self._columns}
        columns = [
            has[choice]
            * (s.has_setting(chosen.digits, *at) if what == "setting" else along[what][:, at])
            for _, choice, _, (what, at), _, _ in self._columns
        ]
        return np.column_stack([np.zeros((len(chosen), 0)), *columns])

    def price(self, weights: Vector, costs: Costs) -> None:
        s, backends = self.structure, len(self.structure.backends)
        apart = 0.0
        for weight, (_, choice, _, (what, at), _, _) in zip(weights, self._columns, strict=True):
            level = float(weight * s.has_setting(costs.setting, self.variable, choice))
            if what == "work" and not self.start.is_memory:
                here = slice(backends) if at == backends else at
                costs.unary[:, here] += level * self.start.expected[:, :backends][:, here]
            if what == "weights":
                here = slice(backends) if at == backends else slice(at, at + 1)
                costs.unary[:, here] += level * s.weight_bytes[:, None] / s.byte_scale
            if what == "pools" and at == backends:
                apart += level / max(1, len(s.edge_tensor))
        costs.copies[:-1, :-1] += max(0.0, apart) * ~np.eye(backends, dtype=bool)


@dataclass(frozen=True, slots=True)
class Learned:
    """What an earlier fit found that features of the next are made of.

    Attributes:
        copies: What a copy takes, and each of its bytes, shape ``(2, backends, backends)``.
        workspaces: What each choice works in, shape ``(variables, choices)``; None where workspaces
            are left out.
    """

    copies: Vector
    workspaces: Vector | None = None


class Terms:
    """All families of one objective.

    Args:
        start: The objective, and what the warm start says of it.
        learned: What an earlier fit found; nothing before.

    Attributes:
        families: With the slice of the weights that is theirs.
        means, spreads: The prior's, shape ``(weights,)``.
        groups: Of each weight.
    """

    def __init__(self, start: WarmStart, learned: Learned | None = None) -> None:
        self.start = start
        self.structure = start.structure
        backends = len(self.structure.backends)
        self._learned = learned or Learned(np.zeros((2, backends, backends)))
        self.families: list[tuple[slice, DenseFamily | SparseFamily]] = []
        at = 0
        for family in _families(start, self._learned):
            self.families.append((slice(at, at + len(family)), family))
            at += len(family)
        self.means = np.concatenate([f.means for _, f in self.families])
        self.spreads = np.concatenate([f.spreads for _, f in self.families])
        self.groups = np.concatenate([f.groups() for _, f in self.families])

    def of(self, kind: type[Family]) -> Iterator[tuple[slice, Any]]:
        """The families of a class, and where their weights stand."""
        return ((where, f) for where, f in self.families if isinstance(f, kind))

    def features(self, chosen: Chosen) -> Features:
        """A row for each assignment, a column for each weight."""
        columns, values = [], []
        for where, family in self.families:
            if isinstance(family, SparseFamily):
                at, own = family.sparse(chosen)
                columns.append(where.start + at)
            else:
                is_open = family.spreads + np.abs(family.means) > 0
                own = family.features(chosen)[:, is_open]
                at = where.start + np.flatnonzero(is_open)
                columns.append(np.broadcast_to(at, own.shape))
            values.append(own)
        return Features(np.hstack(columns), np.hstack(values), len(self.means))

    def costs(self, weights: Vector, setting: Digits) -> Costs:
        """A drawn model as costs, the settings fixed.

        Left out are what does not depend on where operations run, backends in use, arenas, and what
        backends save that work side by side.

        Args:
            weights: Drawn, shape ``(weights,)``.
            setting: Digits of all variables, of which only those of settings count.
        """
        costs = Costs.none(self.structure, setting)
        for where, family in self.families:
            family.price(weights[where], costs)
        costs.unary[self.structure.setting_variables] = 0.0
        return costs

    def floor(self, digits: Digits) -> Vector:
        """What no assignment's value comes below: a fifth of what its operations should take."""
        if not self.start.is_time:
            return np.zeros(len(digits))
        operations = self.structure.operation_variables
        whole = self.start.expected[operations, digits[:, operations]].sum(axis=1)
        return np.asarray(_FLOOR * whole)

    def learned(self, weights: Vector, *, has_workspaces: bool) -> Learned:
        """What a fit found, for the next."""
        copies = np.stack([f.matrix(weights[where]) for where, f in self.of(HandOvers)])
        copies = copies[:, :-1, :-1] / np.array([1.0, self.structure.byte_scale])[:, None, None]
        if not has_workspaces:
            return Learned(copies)
        s = self.structure
        heights = np.repeat((s.data_bytes - s.weight_bytes)[:, None], s.choices, axis=1)
        for where, family in self.of(Workspaces):
            heights = family.found(weights[where])
        return Learned(copies, heights)


def _families(start: WarmStart, learned: Learned) -> Iterator[DenseFamily | SparseFamily]:
    s = start.structure
    yield Fixed(start)
    yield InUse(start)
    if start.is_memory:
        yield Weights(start)
        yield Arena(start)
        if s.is_in_detail:
            yield Kept(start)
    else:
        yield Operations(start)
        yield Work(start)
    if s.problem.traits.is_partitioned:
        yield Partitions(start)
    yield HandOvers(start, is_bytes=False)
    yield HandOvers(start, is_bytes=True)
    settings: list[Setting] = []
    for variable in s.setting_variables:
        settings.append(Setting(start, variable, tuple(settings)))
    yield from settings
    if start.is_wall_time and s.waits:
        yield SideBySide(start, learned.copies)
    if not start.is_memory and s.is_in_detail:
        yield Kinds(start)
    if learned.workspaces is not None:
        yield Workspaces(start, learned.workspaces)
    yield Choices(start)
    if start.is_time and len(s.pairs) * len(s.backends) ** 2 <= _MAX_PAIRS:
        yield Pairs(start)


def _wasted(
    start: WarmStart, trait: SettingTrait, values: Sequence[str], choice: int, loose: float
) -> tuple[float, float]:
    """What one value takes more than the first, of activations: mean and deviation."""
    if not {values[0], values[choice]} <= trait.waste.keys():
        return 0.0, loose
    (mean, spread), (first, first_spread) = trait.waste[values[choice]], trait.waste[values[0]]
    once = start.bytes_once
    return once * (mean - first), once * float(np.hypot(spread, first_spread))


def _sway(role: Role, start: WarmStart) -> SettingPrior:
    """How much a setting may change.

    An arena changes times by a share of theirs, and the fastest are what a front is made of.
    """
    sway, least = _SETTING_PRIORS[role], start.known.least
    if role is not Role.ARENA:
        return sway
    return replace(sway, time=sway.time * least, work=sway.work * least)

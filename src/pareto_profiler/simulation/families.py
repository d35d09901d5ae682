"""Simulated devices: seeded models of what operations, hand-overs and backends cost.

Each family is a recipe; a family and a seed give a device: a graph, a decision space, and for each
assignment its true latency and peak memory, computed when asked for. Nothing here is fitted to a
sampler; some families break what samplers like to assume.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.graph import Graph, Operation, Tensor
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import Assignment, DecisionSpace, Granularity
from pareto_profiler.core.support import Support
from pareto_profiler.core.traits import Role, SettingTrait, Traits
from pareto_profiler.core.trial import OperationTime, Profile
from pareto_profiler.errors import FailureKind, InputError, RunError
from pareto_profiler.simulation.runner import Noise, SimulatedRunner

Vector = NDArray[np.float64]

PREFIX: Final = "simulated:"

_BACKENDS: Final = ("cpu", "npu", "gpu", "dsp", "vpu", "isp", "tpu", "fpga")
_KINDS: Final = (
    ("Conv2D", 0.4),
    ("DepthwiseConv2D", 0.2),
    ("BinaryArithmetic", 0.2),
    ("Pool2D", 0.1),
    ("FullyConnected", 0.1),
)
# What of a device's chance is its model's and its runtime's.
_OF_GRAPHS: Final = frozenset({"graph", "holes", "crashes", "refusals"})
_BUILTINS: Final = {
    "Conv2D": "CONV_2D",
    "DepthwiseConv2D": "DEPTHWISE_CONV_2D",
    "BinaryArithmetic": "ADD",
    "Pool2D": "AVERAGE_POOL_2D",
    "FullyConnected": "FULLY_CONNECTED",
}
# Queries, keys and values; what they make of each other; twice the sum with what came in.
_LAYER: Final = (
    ("FullyConnected", (0,)),
    ("FullyConnected", (0,)),
    ("FullyConnected", (0,)),
    ("BinaryArithmetic", (1, 2)),
    ("Pool2D", (4,)),
    ("BinaryArithmetic", (5, 3)),
    ("FullyConnected", (6,)),
    ("BinaryArithmetic", (7, 0)),
    ("FullyConnected", (8,)),
    ("Pool2D", (9,)),
    ("FullyConnected", (10,)),
    ("BinaryArithmetic", (11, 8)),
)
_MIB: Final = 1024.0 * 1024.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a family of devices is like; times are fractions of the baseline's whole time.

    Attributes:
        meaning: In a line.
        operations: How many.
        backends: How many, the baseline's included.
        skips: Share of operations that also take an earlier result.
        branches: How many chains run side by side between two joints.
        holes: Probability that a backend lacks a kind of operation.
        hand_over: What the copies of a random assignment cost together.
        free_pairs: Probability that two backends share memory and hand over for nothing.
        step_mib: Memory of a backend in use, at most.
        crashes: How many conjunctions of neighbouring choices fail.
        refusals: How many single choices fail that no support table knows of.
        gaps: How many pairs of choices fail that lie three operations apart.
        wrong: Of the crashes, the share that computes wrongly instead.
        has_settings: Whether threads and a memory planner are varied.
        is_parallel: Whether backends work side by side, so that times do not add up.
        is_layered: Whether the graph is one layer of twelve operations, again and again.
        session: What each further row of consecutive operations of a backend takes of the
            baseline's time; each has its own activations, too, and up to two MiB.
        workspace: Bytes that an operation works in, of its tensors', at most; the largest counts.
        ruggedness: Spread of what neighbouring choices do to each other, with no rule to it.
        lawlessness: Spread of what three choices in a row do, which no pair of them tells.
        enqueues: Whether the last backend's traces show only when work was handed over.
        can_profile: Whether the device traces at all.
        noise: Of its measurements.
    """

    meaning: str
    operations: int
    backends: int
    skips: float = 0.15
    branches: int = 1
    holes: float = 0.12
    hand_over: float = 0.5
    free_pairs: float = 0.25
    step_mib: float = 20.0
    crashes: int = 0
    refusals: int = 0
    gaps: int = 0
    wrong: float = 0.5
    has_settings: bool = False
    is_parallel: bool = False
    is_layered: bool = False
    session: float = 0.0
    workspace: float = 0.0
    ruggedness: float = 0.01
    lawlessness: float = 0.0
    enqueues: bool = False
    can_profile: bool = True
    noise: Noise = field(default_factory=lambda: Noise(runs=0.01, processes=0.01, memory=0.002))


FAMILIES: Final[Mapping[str, Recipe]] = {
    "tiny-8x2": Recipe("small enough to be gone through", 8, 2),
    "chain-20x3": Recipe("a chain with some skips", 20, 3),
    "hand-over-20x3": Recipe("copies cost more than operations", 20, 3, hand_over=4.0),
    "mobile-53x3": Recipe("as large as a MobileNetV2", 53, 3),
    "branchy-60x4": Recipe("three branches between joints", 60, 4, branches=3),
    "wide-130x5": Recipe("five backends, many holes", 130, 5, holes=0.3),
    "large-500x5": Recipe("hundreds of operations", 500, 5),
    "crashes-40x3": Recipe("four blocks crash or compute wrongly", 40, 3, crashes=4),
    "settings-20x3": Recipe("threads and planner interact with backends", 20, 3, has_settings=True),
    "blind-30x3": Recipe("does not trace", 30, 3, can_profile=False),
    "enqueue-30x3": Recipe("traces of one backend show enqueue times", 30, 3, enqueues=True),
    "noisy-30x3": Recipe(
        "5 % noise, drift, a busy neighbour",
        30,
        3,
        noise=Noise(runs=0.05, processes=0.05, drift=0.02, busy_share=0.1, memory=0.02),
    ),
    "parallel-40x3": Recipe(
        "backends work side by side: times do not add up", 40, 3, branches=3, is_parallel=True
    ),
    "rugged-16x3": Recipe(
        "neighbours disturb each other without a rule", 16, 3, ruggedness=0.5, can_profile=False
    ),
    "sessions-40x3": Recipe("each row of a backend is a session of its own", 40, 3, session=0.02),
    "sessions-100x3": Recipe("the same of a larger graph", 100, 3, session=0.01),
    "layered-398x3": Recipe(
        "a layer again and again; copies cost more than operations gain",
        398,
        3,
        hand_over=12.0,
        is_layered=True,
    ),
    "workspaces-40x3": Recipe("the operation that works in most decides", 40, 3, workspace=12.0),
    "refusals-40x3": Recipe("five single choices fail", 40, 3, refusals=5),
    "gaps-40x3": Recipe("six pairs of choices fail, three operations apart", 40, 3, gaps=6),
    "lawless-16x3": Recipe(
        "three in a row disturb each other without a rule",
        16,
        3,
        lawlessness=0.5,
        can_profile=False,
    ),
}
"""Families by name: operations × backends."""

BREAKING: Final = ("parallel-40x3", "rugged-16x3", "lawless-16x3", "noisy-30x3")
"""Families that break what a sum of terms assumes."""


@dataclass(frozen=True)
class Device:
    """A simulated device: a family and a seed.

    Attributes:
        name: Of the family, with the seed.
        recipe: What it is like.
        seed: Of everything random about it.
        costs_of: Seed of another device, whose costs this one has; None for its own.

    Examples:
        >>> device = Device.of("simulated:chain-20x3:7")
        >>> device.space.size > 3**15, device.truth(device.space.default)["max_rss"] > 1e6
        (True, True)
    """

    name: str
    recipe: Recipe
    seed: int
    costs_of: int | None = None

    @classmethod
    def of(cls, name: str) -> Device:
        """The device ``simulated:FAMILY`` or ``simulated:FAMILY:SEED``.

        Raises:
            InputError: There is no such family, or the seed is no number.
        """
        family, _, seed = name.removeprefix(PREFIX).partition(":")
        if family not in FAMILIES or not (seed or "0").isdecimal():
            raise InputError(
                f"{name}: expected {PREFIX}FAMILY:SEED with a family of {', '.join(FAMILIES)}"
            )
        return cls(f"{PREFIX}{family}:{int(seed or 0)}", FAMILIES[family], int(seed or 0))

    def runner(
        self, plan: Plan | None = None, seed: int = 0, noise: Noise | None = None
    ) -> SimulatedRunner:
        """The device with its own noise or another; ``seed`` is the noise's."""
        return SimulatedRunner(
            self.space,
            self.truth,
            noise or self.recipe.noise,
            plan,
            seed,
            profile_of=self._profile if self.recipe.can_profile else None,
        )

    def truth(self, assignment: Assignment) -> Mapping[str, float]:
        """Latency in seconds and peak memory in bytes.

        Raises:
            RunError: The assignment crashes or computes wrongly.
            SpaceError: It is of another space.
        """
        digits = np.array(self.space.encode(assignment))
        chosen = digits[: self.recipe.operations]
        for kind, pairs in self._crashes:
            if all(chosen[i] == b for i, b in pairs):
                raise RunError(kind, f"operations {pairs[0][0]} to {pairs[-1][0]} together fail")
        for i, variable in enumerate(self.space.variables):
            if assignment[i] not in variable.feasible:
                raise RunError(FailureKind.REJECTED, f"{variable.name}: {assignment[i]} lacks it")
        threads, planner = (*digits[self.recipe.operations :], 0, 0)[:2]
        return {
            "exec_time": float(self._seconds(chosen, int(threads))),
            "max_rss": float(self._bytes(chosen, int(planner))),
        }

    @cached_property
    def graph(self) -> Graph:
        """Its model."""
        if self.recipe.is_layered:
            return self._layers()
        random = self._random("graph")
        recipe, count = self.recipe, self.recipe.operations
        names, shares = [n for n, _ in _KINDS], [share for _, share in _KINDS]
        kinds = random.choice(len(names), size=count, p=shares)
        elements = np.maximum(
            64, 2 ** (18 - 7 * np.arange(count) / count + random.normal(0, 0.5, count))
        )
        tensors = [Tensor(0, "input", (1, int(elements[0])), "float32", int(elements[0]) * 4, 0)]
        operations, last = [], [0] * recipe.branches
        for i in range(count):
            branch = i % recipe.branches
            inputs = [last[branch]]
            is_joint = recipe.branches > 1 and i % (4 * recipe.branches) == 0
            if is_joint:
                inputs = list(dict.fromkeys(last))
            elif i > 2 and random.random() < recipe.skips:
                inputs.append(int(random.integers(max(0, len(tensors) - 12), len(tensors))))
            output = len(tensors)
            size = int(elements[i]) * 4
            tensors.append(Tensor(output, f"t{i}", (1, size // 4), "float32", size, 0))
            name = names[kinds[i]]
            weights = {"Conv2D": 4.0, "DepthwiseConv2D": 0.2, "FullyConnected": 6.0}.get(name, 0.0)
            weight_bytes = int(weights * 2 ** (13 + 5 * i / count) * random.lognormal(0, 0.5))
            inputs = list(dict.fromkeys(inputs))
            data = sum(tensors[t].size_bytes for t in inputs) + size + weight_bytes
            operations.append(
                Operation(
                    i,
                    _BUILTINS[name],
                    1,
                    name,
                    "",
                    "float32",
                    tuple(inputs),
                    (output,),
                    data,
                    weight_bytes,
                )
            )
            last = [output] * recipe.branches if is_joint else last
            last[branch] = output
        return Graph("tflite", "", tuple(tensors), tuple(operations), (0,), tuple(set(last)))

    def _layers(self) -> Graph:
        """An encoder's layers: of each operation its kind, and what it takes of the layer."""
        width, taken = 2**16, self.recipe.operations
        tensors = [Tensor(0, "input", (1, width), "float32", 4 * width, 0)]
        operations: list[Operation] = []
        while len(operations) < taken:
            start = len(tensors) - 1
            for name, parts in _LAYER[: taken - len(operations)]:
                inputs = tuple(dict.fromkeys(start + part for part in parts))
                output = len(tensors)
                tensors.append(Tensor(output, f"t{output}", (1, width), "float32", 4 * width, 0))
                weights = 2**18 if name == "FullyConnected" else 0
                data = 4 * width * (len(inputs) + 1) + weights
                builtin, index = _BUILTINS[name], len(operations)
                operations.append(
                    Operation(
                        index, builtin, 1, name, "", "float32", inputs, (output,), data, weights
                    )
                )
        return Graph("tflite", "", tuple(tensors), tuple(operations), (0,), (len(tensors) - 1,))

    @cached_property
    def space(self) -> DecisionSpace:
        """Its decision space, by operation."""
        random = self._random("holes")
        backends = _BACKENDS[: self.recipe.backends]
        forbid = [
            f"{backend}:{name}"
            for backend in backends[1:]
            for name, _ in _KINDS
            if random.random() < self.recipe.holes
        ]
        settings = {"threads": ("1", "2", "4"), "memory_planner": ("WIC", "FirstFit", "Bump")}
        return DecisionSpace.of(
            self.graph,
            backends,
            Granularity.OPERATION,
            support=Support.of(allow=[f"{b}:*" for b in backends], forbid=forbid),
            settings=settings if self.recipe.has_settings else None,
        )

    @property
    def traits(self) -> Traits:
        """What is known of its costs: of the first backend that it is small, and where waste is."""
        first = frozenset({self.space.backends[0]})
        waste = {"WIC": (0.0, 0.02), "FirstFit": (0.1, 0.1), "Bump": (1.0, 0.5)}
        settings = {
            "threads": SettingTrait(Role.THREADS),
            "memory_planner": SettingTrait(Role.ARENA, waste),
        }
        return Traits(
            (first,), first, first, is_partitioned=bool(self.recipe.session), settings=settings
        )

    @cached_property
    def _times(self) -> Vector:
        """Seconds of each operation on each backend."""
        random, count = self._random("times"), self.recipe.operations
        shape = (len(_KINDS), self.recipe.backends)
        speed = random.lognormal(0.7, 0.7, shape)
        speed[:, 0] = 1.0
        position = {name: k for k, (name, _) in enumerate(_KINDS)}
        kinds = [position[o.name] for o in self.graph.operations]
        heavy = {"Conv2D": 30.0, "DepthwiseConv2D": 6.0, "FullyConnected": 4.0}
        base = np.array(
            [heavy.get(o.name, 1.0) * o.data_bytes**0.7 for o in self.graph.operations]
        ) * random.lognormal(0, 0.3, count)
        base *= 0.05 * (1 + count / 50) / base.sum()
        jitter = random.lognormal(0, 0.25, (count, self.recipe.backends))
        overhead = random.uniform(0, 0.3, self.recipe.backends) * base.mean()
        overhead[0] = 0.0
        found: Vector = base[:, None] / speed[kinds] * jitter + overhead
        return found

    @cached_property
    def _copies(self) -> tuple[Vector, Vector]:
        """Seconds of a copy, and of each of its bytes, from backend to backend, the host last."""
        random, recipe = self._random("copies"), self.recipe
        shape = (recipe.backends + 1, recipe.backends + 1)
        count = max(1, len(self.graph.edges))
        whole = recipe.hand_over * float(self._times[:, 0].sum())
        size = sum(e.size_bytes for e in self.graph.edges)
        constant = whole / count / 2 * random.lognormal(0, 0.5, shape)
        per_byte = whole / max(1, size) / 2 * random.lognormal(0, 0.5, shape)
        is_free = random.random(shape) < recipe.free_pairs
        is_free |= is_free.T
        np.fill_diagonal(is_free, val=True)
        is_free[0, -1] = is_free[-1, 0] = True
        return np.where(is_free, 0.0, constant), np.where(is_free, 0.0, per_byte)

    @cached_property
    def _neighbourly(self) -> Vector:
        """By what factor a choice and its neighbour's change a time: no rule, but repeatable."""
        shape = (self.recipe.operations, self.recipe.backends, self.recipe.backends)
        found: Vector = self._random("neighbours").lognormal(0, self.recipe.ruggedness, shape)
        return found

    @cached_property
    def _lawless(self) -> Vector:
        """The same of a choice and the two before it."""
        shape = (self.recipe.operations, *(self.recipe.backends,) * 3)
        found: Vector = self._random("lawless").lognormal(0, self.recipe.lawlessness, shape)
        return found

    def _alone(self, chosen: NDArray[np.intp]) -> Vector:
        """Seconds of each operation with one thread, copies left out."""
        index = np.arange(len(chosen))
        before, earlier = (chosen[np.maximum(index - n, 0)] for n in (1, 2))
        found: Vector = self._times[index, chosen] * self._neighbourly[index, chosen, before]
        return found * self._lawless[index, chosen, before, earlier]

    @cached_property
    def _crashes(self) -> list[tuple[FailureKind, list[tuple[int, int]]]]:
        random = self._random("crashes")
        found: list[tuple[FailureKind, list[tuple[int, int]]]] = []
        uniform = [
            [v.choices.index(b) if b in v.feasible else 0 for v in self.space.variables]
            for b in self.space.backends
        ]
        while len(found) < self.recipe.crashes:
            length = int(random.integers(2, 5))
            start = int(random.integers(self.recipe.operations - length))
            backend = int(random.integers(1, self.recipe.backends))
            span = range(start, start + length)
            pairs = [(i, uniform[backend][i]) for i in span if uniform[backend][i] == backend]
            is_wrong = random.random() < self.recipe.wrong
            kind = FailureKind.WRONG_OUTPUT if is_wrong else FailureKind.CRASHED
            if len(pairs) >= 2:
                found.append((kind, pairs))
        return [*found, *self._refused(uniform)]

    def _refused(
        self, uniform: list[list[int]]
    ) -> Iterator[tuple[FailureKind, list[tuple[int, int]]]]:
        """Single choices, and pairs three operations apart; of backends that take these."""
        random, recipe = self._random("refusals"), self.recipe
        for count, span in ((recipe.refusals, (0,)), (recipe.gaps, (0, 3))):
            seen: set[tuple[int, int]] = set()
            while len(seen) < count:
                start = int(random.integers(recipe.operations - span[-1]))
                backend = int(random.integers(1, recipe.backends))
                if all(uniform[backend][start + n] == backend for n in span):
                    seen.add((start, backend))
            for start, backend in sorted(seen):
                yield FailureKind.CRASHED, [(start + n, backend) for n in span]

    @cached_property
    def _memory(self) -> tuple[Vector, Vector, Vector]:
        """Of each backend: its step, how often it holds weights, and activations."""
        random, backends = self._random("memory"), self.recipe.backends
        steps = random.uniform(0.1, 1.0, backends) * self.recipe.step_mib * _MIB
        steps[0] *= 0.1
        weights = random.uniform(0.5, 2.5, backends)
        weights[0] = 0.0
        return steps, weights, random.uniform(1.0, 1.5, backends)

    def _random(self, what: str) -> np.random.Generator:
        is_own = self.costs_of is None or what in _OF_GRAPHS
        seed = self.seed if is_own else self.costs_of
        return np.random.default_rng([seed or 0, *what.encode(), self.recipe.operations])

    def _seconds(self, chosen: NDArray[np.intp], threads: int) -> float:
        own = self._alone(chosen)
        # More threads help some backends, and cost others.
        speedup = np.array([[1.0, 1.7, 2.4], [1.0, 1.2, 1.1], [1.0, 0.95, 0.9]])
        own = own / speedup[chosen % 3, threads]
        makers, takers, copied = self._handed_over(chosen)
        if not self.recipe.is_parallel:
            # Added up one after the other: how numpy sums depends on how many there are.
            sessions = float(self._sessions[0][self._session_backends(chosen)].sum())
            return float(own.sum() + np.cumsum(copied)[-1]) + sessions
        ready = np.zeros(len(chosen) + 1)
        free = np.zeros(self.recipe.backends)
        late: dict[int, dict[int, float]] = {}
        for maker, taker, seconds in zip(
            makers.tolist(), takers.tolist(), copied.tolist(), strict=True
        ):
            late.setdefault(taker, {})[maker] = seconds
        for o in self.graph.operations:
            paid_for = late.get(o.index, {})
            inputs = [self._makers[t] for t in o.inputs if t in self._makers]
            start = max([ready[m] + paid_for.get(m, 0.0) for m in inputs], default=0.0)
            backend = int(chosen[o.index])
            ready[o.index] = max(start, free[backend]) + own[o.index]
            free[backend] = ready[o.index]
        return float(ready.max())

    def _handed_over(
        self, chosen: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], Vector]:
        """Makers and takers of copies, and their seconds; one for each backend that takes a tensor.

        The host makes the model's inputs, as -1, and takes its outputs, behind the operations.
        """
        makers, takers, tensors, sizes = self._edges
        host = self.recipe.backends
        places = np.append(chosen, host)
        p, q = places[makers], places[takers]
        between = np.flatnonzero(p != q)
        _, first = np.unique(tensors[between] * (host + 1) + q[between], return_index=True)
        rows = between[np.sort(first)]
        constant, per_byte = self._copies
        p, q = p[rows], q[rows]
        return makers[rows], takers[rows], constant[p, q] + per_byte[p, q] * sizes[rows]

    def _bytes(self, chosen: NDArray[np.intp], planner: int) -> float:
        steps, weights, activations = self._memory
        held, sizes, lasts = self._sizes
        used = np.flatnonzero(np.bincount(chosen))
        whole = 12 * _MIB + float(steps[used].sum()) + float((held * weights[chosen]).sum())
        waste = [1.0, 1.15, 1.6][planner]
        arenas = self._arenas(chosen)
        count = int(arenas.max()) + 1
        if self.recipe.session:  # what left its session is somebody else's
            lasts = np.minimum(lasts, np.searchsorted(arenas, arenas, side="right") - 1)
        gained = np.zeros((count, len(chosen) + 1))
        gained[arenas, np.arange(len(chosen))] = sizes
        np.subtract.at(gained, (arenas, lasts + 1), sizes)
        fullest = np.cumsum(gained, axis=1).max(axis=1)
        for arena, backend in enumerate(chosen[np.unique(arenas, return_index=True)[1]].tolist()):
            whole += waste * activations[backend] * float(fullest[arena])
        whole += float(self._sessions[1][self._session_backends(chosen)].sum())
        return whole + float(self._workspaces[np.arange(len(chosen)), chosen].max())

    def _arenas(self, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
        """Of each operation the number of what holds its activations: by backend, or by session."""
        if not self.recipe.session:
            return np.asarray(np.searchsorted(np.unique(chosen), chosen))
        found: NDArray[np.intp] = np.cumsum(np.r_[0, np.diff(chosen) != 0])
        return found

    def _session_backends(self, chosen: NDArray[np.intp]) -> NDArray[np.intp]:
        """Of each session but the first, its backend."""
        found: NDArray[np.intp] = chosen[1:][np.diff(chosen) != 0]
        return found

    @cached_property
    def _sessions(self) -> tuple[Vector, Vector]:
        """Seconds and bytes of a session of each backend."""
        random, recipe = self._random("sessions"), self.recipe
        whole = recipe.session * float(self._times[:, 0].sum())
        held = random.uniform(0.1, 2.0, recipe.backends) * _MIB * bool(recipe.session)
        return whole * random.uniform(0.3, 1.0, recipe.backends), held

    @cached_property
    def _workspaces(self) -> Vector:
        """Bytes that each operation works in on each backend."""
        random, recipe = self._random("workspaces"), self.recipe
        held = np.array([o.data_bytes - o.weight_bytes for o in self.graph.operations], dtype=float)
        held *= [o.name == "Conv2D" for o in self.graph.operations]
        shares = random.uniform(0, recipe.workspace, recipe.backends)
        shares[0] *= 0.1
        found: Vector = held[:, None] * shares * random.lognormal(0, 0.4, (len(held), len(shares)))
        return found

    @cached_property
    def _makers(self) -> dict[int, int]:
        """Of each tensor the operation that makes it."""
        return {t: o.index for o in self.graph.operations for t in o.outputs}

    @cached_property
    def _edges(self) -> tuple[NDArray[np.intp], ...]:
        """Maker, taker, tensor and bytes of all that is taken, the model's outputs last."""
        graph = self.graph
        taken = [(o.index, t) for o in graph.operations for t in o.inputs]
        taken += [(len(graph.operations), t) for t in graph.outputs]
        rows = [
            (self._makers.get(t, -1), taker, t, graph.tensors[t].size_bytes) for taker, t in taken
        ]
        return tuple(np.array(rows, dtype=np.intp).T)

    @cached_property
    def _sizes(self) -> tuple[Vector, Vector, NDArray[np.intp]]:
        """Of each operation: bytes of its weights and of what it makes, and who takes that last."""
        operations, tensors = self.graph.operations, self.graph.tensors
        lasts = list(range(len(operations)))
        for o in operations:
            for maker in (self._makers[t] for t in o.inputs if t in self._makers):
                lasts[maker] = max(lasts[maker], o.index)
        return (
            np.array([o.weight_bytes for o in operations], dtype=float),
            np.array([tensors[o.outputs[0]].size_bytes for o in operations], dtype=float),
            np.array(lasts, dtype=np.intp),
        )

    def _profile(self, assignment: Assignment, random: np.random.Generator) -> Profile:
        """What a traced run shows: 2 % noise, a little overhead, copies apart."""
        chosen = np.array(self.space.encode(assignment))[: self.recipe.operations]
        names = self.space.backends
        found, copies = [], []
        for i, (b, own) in enumerate(zip(chosen.tolist(), self._alone(chosen), strict=True)):
            seconds = own * random.lognormal(0, 0.02) + 5e-6
            if self.recipe.enqueues and b == len(names) - 1:
                seconds = 2e-5
            found.append(OperationTime(i, names[b], float(seconds)))
        for n, seconds in enumerate(self._handed_over(chosen)[2].tolist()):
            if seconds:
                copies.append(OperationTime(len(chosen) + n, "builtin", seconds))
        return Profile(tuple(found), tuple(copies))

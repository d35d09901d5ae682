"""Structure: what a model's graph says about a decision space, as arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.space import Assignment
from pareto_profiler.samplers.history import History

Vector = NDArray[np.float64]
Digits = NDArray[np.intp]
Flags = NDArray[np.bool_]
# Numbers that stay in a processor's cache.
CACHED: Final = 200_000

HOST: Final = -1
"""In place of a variable: who gives the model its inputs and takes its outputs."""

_FLOAT_BYTES: Final = 4
_MAX_SIDE_BY_SIDE: Final = 1000
_MAX_IN_DETAIL: Final = 1500
_SHORTEST_LAYER: Final = 3
_FEWEST_LAYERS: Final = 3
_ALIKE: Final = 0.7


@dataclass(frozen=True, slots=True)
class HandOver:
    """A tensor that goes from one variable's operation to others'.

    Attributes:
        producer: Position of the variable; ``HOST`` for an input of the model.
        consumers: Positions of the variables, each once; ``HOST`` for an output of the model.
        size_bytes: Of the tensor.
    """

    producer: int
    consumers: tuple[int, ...]
    size_bytes: float


class Structure:
    """A problem's variables, choices, and what is handed from one to another.

    Operations that no variable decides are taken for the first backend's, as the runtime does.

    Args:
        problem: What is searched.

    Attributes:
        problem: See there.
        operation_variables: Positions of the variables that decide operations.
        setting_variables: Positions of those that are settings.
        names: Of each variable the name of its operations, or of the setting.
        kinds: The names of operations, each once.
        kind: Of each variable its name's position in ``kinds``; of settings the first.
        numbers: Of each variable the values of a setting, where all of them are positive numbers.
        is_scale: Of each variable, whether it is a setting of rising numbers.
        choices: Largest number of choices of a variable.
        is_feasible: Shape ``(variables, choices)``.
        hand_overs: Tensors between variables, those inside one left out.
        pairs: Who makes and who takes them, positions of variables, each pair once: shape
            ``(pairs, 2)``.
        waits: Of each variable the positions of the hand-overs it waits for; empty where all
            operations wait for each other anyway, or where a variable decides several.
        work: Of each variable: multiplications and values touched, a guess of how its time compares
            with the others'; shape ``(variables,)``, ones where only names are known.
        counts: Operations of each variable.
        weight_bytes, data_bytes: Of each variable's operations.
        events: Activations, by position in ``arena``, as they begin and end; and their bytes, taken
            off at the end.
        spans: Of each activation, by position in ``arena``, the first and the last operation while
            which it is alive, by position in ``order``.
        arena_edges: Activations, by position in ``arena``, and the variables that take them.
        arena: Activations: variable that makes each, and its bytes.
        order: Of each decided operation, in the order of the file, its variable.
    """

    def __init__(self, problem: Problem) -> None:
        space, graph = problem.space, problem.graph
        variables = space.variables
        self.problem = problem
        self.operation_variables = [i for i, v in enumerate(variables) if not v.is_setting]
        self.setting_variables = [i for i, v in enumerate(variables) if v.is_setting]
        self.choices = max(len(space.backends), *(len(v.choices) for v in variables))
        self.is_feasible = np.zeros((len(variables), self.choices), dtype=bool)
        for i, v in enumerate(variables):
            self.is_feasible[i, [v.choices.index(c) for c in v.feasible]] = True
        self.names = [v.name.split("@")[0].split("/")[0] for v in variables]
        self.kinds = sorted({self.names[i] for i in self.operation_variables})
        numbers = {name: n for n, name in enumerate(self.kinds)}
        self.kind = np.array([numbers.get(name, 0) for name in self.names], dtype=np.intp)
        self.numbers = [_numbers(v.choices) if v.is_setting else np.zeros(0) for v in variables]
        self.is_scale = [bool(len(n)) and bool((np.diff(n) > 0).all()) for n in self.numbers]
        self._digit = [{c: d for d, c in enumerate(v.choices)} for v in variables]
        owner = {o: i for i, v in enumerate(variables) for o in v.operations}
        if graph is not None and owner and max(owner) >= len(graph.operations):
            graph = None  # a table whose operations are numbered otherwise
        self.counts = np.array([max(1, len(v.operations)) for v in variables], dtype=float)
        self.hand_overs: tuple[HandOver, ...] = ()
        self.work = np.ones(len(variables))
        self.weight_bytes = np.zeros(len(variables))
        self.data_bytes = np.zeros(len(variables))
        self.arena: tuple[Digits, Vector] = (np.zeros(0, dtype=np.intp), np.zeros(0))
        self.events: tuple[Digits, Vector] = self.arena
        self.arena_edges = np.zeros((0, 2), dtype=np.intp)
        self.spans = np.zeros((0, 2), dtype=np.intp)
        self.owner = owner
        self.order = np.array([owner[o] for o in sorted(owner)], dtype=np.intp)
        if graph is not None:
            self._read(graph, owner)
        self._index_edges()

    def has_setting(self, digits: Digits, position: int, choice: int) -> Vector:
        """Whether assignments have a setting's value, 0 or 1; of rising numbers, that or more.

        What two threads gain is part of what four gain. The first choice is what others are
        compared with; of numbers it stands for what n of them change of the work that they share
        by Amdahl's law, first / n - 1.

        Args:
            digits: Shape ``(assignments, variables)``, or ``(variables,)`` of a single one.
            position: Of the setting.
            choice: Of its values.
        """
        column = digits[..., position]
        if not choice:
            numbers = self.numbers[position]
            return np.asarray(numbers[0] / numbers[column] - 1)
        found = column >= choice if self.is_scale[position] else column == choice
        return np.asarray(found, dtype=float)

    def encode(self, assignments: list[Assignment]) -> Digits:
        """Digits, shape ``(assignments, variables)``."""
        digit = self._digit
        rows = [[d[c] for d, c in zip(digit, a, strict=True)] for a in assignments]
        return np.array(rows, dtype=np.intp).reshape(len(rows), len(digit))

    def decode(self, digits: Digits) -> list[Assignment]:
        """Assignments of rows of digits."""
        columns = [
            np.array(v.choices, dtype=object)[column]
            for v, column in zip(self.problem.space.variables, digits.T, strict=True)
        ]
        return [*map(tuple, np.stack(columns, axis=1).tolist())]

    def new(self, digits: Digits, told: History) -> Digits:
        """The feasible ones that were not told."""
        rows = digits[self.is_feasible[np.arange(len(self.counts)), digits].all(axis=1)]
        is_new = np.array([a not in told for a in self.decode(rows)], dtype=bool)
        found: Digits = rows[is_new]
        return found

    def neighbours(self) -> list[list[int]]:
        """Of each operations' variable, by position among these, what it shares a tensor with."""
        place = {v: n for n, v in enumerate(self.operation_variables)}
        found: list[set[int]] = [set() for _ in place]
        for h in self.hand_overs:
            for one, other in combinations((h.producer, *h.consumers), 2):
                if one in place and other in place and one != other:
                    found[place[one]].add(place[other])
                    found[place[other]].add(place[one])
        return [sorted(others) for others in found]

    def takers(self) -> list[int]:
        """Of each variable, how many others take what it makes, at most."""
        found = [0] * len(self.counts)
        for h in self.hand_overs:
            if h.producer != HOST:
                found[h.producer] = max(found[h.producer], len(h.consumers))
        return found

    @cached_property
    def layers(self) -> tuple[range, ...]:
        """Layers that follow each other and are alike, by position among the operations' variables.

        The shortest that come three times at least, and where most operations have their like one
        layer on: branches may stand in another order. Nothing where none do. O(operations²).
        """
        order = self.operation_variables
        alike = np.array([self.kind[order], self.data_bytes[order], self.weight_bytes[order]])
        for length in range(_SHORTEST_LAYER, len(order) // _FEWEST_LAYERS + 1):
            same = (alike[:, :-length] == alike[:, length:]).all(axis=0)
            if same.mean() >= _ALIKE:
                starts = range(int(same.argmax()), len(order) - length + 1, length)
                return tuple(range(i, i + length) for i in starts)
        return ()

    @cached_property
    def alive_at(self) -> tuple[Digits, Digits, Digits]:
        """What is alive while which operation runs: positions in ``order`` and in ``arena``.

        By operation; the third says where each operation's begin.
        """
        lengths = self.spans[:, 1] - self.spans[:, 0] + 1
        tensors = np.repeat(np.arange(len(lengths)), lengths)
        first = np.cumsum(lengths) - lengths
        steps = np.repeat(self.spans[:, 0] - first, lengths) + np.arange(len(tensors))
        by_step = np.argsort(steps, kind="stable")
        steps, tensors = steps[by_step], tensors[by_step]
        return steps, tensors, np.flatnonzero(np.r_[True, np.diff(steps) > 0])

    def _read(self, graph: Graph, owner: dict[int, int]) -> None:
        count = len(self.counts)
        self.work = np.full(count, 1e-9)
        for operation in graph.operations:
            i = owner.get(operation.index)
            if i is not None:
                self.work[i] += _work(graph, operation)
                self.weight_bytes[i] += operation.weight_bytes
                self.data_bytes[i] += operation.data_bytes
        makers = {t: o.index for o in graph.operations for t in o.outputs}
        takers: dict[int, list[int]] = {}
        for o in graph.operations:
            for t in o.inputs:
                takers.setdefault(t, []).append(o.index)
        found: list[HandOver] = []
        tensors: list[tuple[int, float, int, int]] = []
        takings: list[tuple[int, int]] = []
        for t in (*graph.inputs, *makers):
            maker = makers.get(t)
            producer = HOST if maker is None else owner.get(maker)
            consumers = [owner.get(o) for o in takers.get(t, ())]
            if t in graph.outputs:
                consumers.append(HOST)
            known = tuple(dict.fromkeys(c for c in consumers if c is not None and c != producer))
            size = float(graph.tensors[t].size_bytes)
            if producer is not None and known:
                found.append(HandOver(producer, known, size))
            if maker is not None and producer is not None:
                last = max([maker, *takers.get(t, ())])
                last = len(graph.operations) if t in graph.outputs else last
                takings += [(len(tensors), c) for c in known if c != HOST]
                tensors.append((producer, size, maker, last))
        self.hand_overs = tuple(found)
        self.arena = (
            np.array([v for v, *_ in tensors], dtype=np.intp),
            np.array([size for _, size, *_ in tensors]),
        )
        self.arena_edges = np.array(takings, dtype=np.intp).reshape(-1, 2)
        decided = np.array(sorted(owner), dtype=np.intp)
        spans = np.array([span for _, _, *span in tensors], dtype=np.intp).reshape(-1, 2)
        self.spans = np.searchsorted(decided, spans).clip(0, len(decided) - 1)
        self.events = _events(spans, self.arena[1])

    def _index_edges(self) -> None:
        """Arrays over hand-overs (``tensor_``) and over their single takers (``edge_``)."""
        hand_overs = self.hand_overs
        linked = {(h.producer, c) for h in hand_overs for c in h.consumers}
        self.pairs = np.array(
            sorted(pair for pair in linked if HOST not in pair), dtype=np.intp
        ).reshape(-1, 2)
        self.waits = _waits(self.operation_variables, self.counts, hand_overs)
        self.tensor_producer = np.array([h.producer for h in hand_overs], dtype=np.intp)
        self.tensor_bytes = np.array([h.size_bytes for h in hand_overs])
        edges = [(t, c) for t, h in enumerate(hand_overs) for c in h.consumers]
        self.edge_tensor = np.array([t for t, _ in edges], dtype=np.intp)
        self.edge_consumer = np.array([c for _, c in edges], dtype=np.intp)

    def saved(self, digits: Digits, times: Vector, copies: Vector) -> Vector:
        """What backends save that work side by side, against one operation after another.

        Each backend works off its operations in their order, and waits for what they take and for
        its copies, which keep nobody else waiting.

        Args:
            digits: Shape ``(assignments, variables)``.
            times: Of each ⟨variable, choice⟩.
            copies: Of a copy and of each of its bytes, by the backends it is between: shape
                ``(2, backends, backends)``.

        Returns:
            Shape ``(assignments,)``. O(assignments · edges).
        """
        count = len(digits)
        if not self.waits:
            return np.zeros(count)
        rows = np.arange(count)
        ends = np.zeros((len(self.counts), count))
        free = np.zeros((count, self.choices))
        whole = np.zeros(count)
        copied: dict[int, Flags] = {}
        for i in self.operation_variables:
            here = digits[:, i]
            start = free[rows, here]
            for tensor in self.waits[i]:
                made = self.hand_overs[tensor]
                constant, per_byte = copies[:, digits[:, made.producer], here]
                taken = copied.setdefault(tensor, np.zeros((count, self.choices), dtype=bool))
                late = constant + per_byte * made.size_bytes
                whole += np.where(taken[rows, here], 0.0, late)
                taken[rows, here] = True
                start = np.maximum(start, ends[made.producer] + late)
            ends[i] = start + times[i, here]
            free[rows, here] = ends[i]
            whole += times[i, here]
        found: Vector = whole - ends.max(axis=0)
        return found

    @property
    def is_in_detail(self) -> bool:
        """Whether there is time for kinds, what is kept, and climbing: up to 1 500 variables."""
        return len(self.counts) <= _MAX_IN_DETAIL

    @property
    def backends(self) -> tuple[str, ...]:
        """The space's, in the order of their digits; the host counts as one more."""
        return self.problem.space.backends

    @property
    def byte_scale(self) -> float:
        """What bytes are counted in, so that weights are near one."""
        return max(1.0, float(self.weight_bytes.sum()), float(self.data_bytes.sum()))


class Chosen:
    """What assignments are made of: computed once, whatever asks for it.

    Args:
        structure: Of the problem.
        digits: Shape ``(assignments, variables)``.

    Attributes:
        digits: See there.
    """

    def __init__(self, structure: Structure, digits: Digits) -> None:
        self.structure = structure
        self.digits = digits

    def __len__(self) -> int:
        return len(self.digits)

    def sums(self, values: Vector) -> Vector:
        """Of a value for each variable, or each choice, the sum on each backend.

        Args:
            values: Shape ``(variables,)`` or ``(variables, choices)``.

        Returns:
            Shape ``(assignments, backends)``.
        """
        own = values[self.structure.operation_variables]
        columns = [here @ (own if own.ndim == 1 else own[:, b]) for b, here in enumerate(self.on)]
        found: Vector = np.stack(columns, axis=1)
        return found

    @cached_property
    def on(self) -> list[Flags]:
        """For each backend which operations' variables it has, shape ``(assignments, any)``."""
        chosen = self.digits[:, self.structure.operation_variables]
        return [chosen == backend for backend in range(len(self.structure.backends))]

    @cached_property
    def used(self) -> Vector:
        """Whether a backend runs anything, shape ``(assignments, backends)``."""
        return np.stack([here.any(axis=1) for here in self.on], axis=1).astype(float)

    @cached_property
    def handed(self) -> tuple[Vector, Vector]:
        """Tensors, and their bytes over ``byte_scale``, from each backend to each, the host last.

        Once for each taker's backend; shape ``(assignments, (backends + 1)²)`` each.
        """
        s, digits = self.structure, self.digits
        host = len(s.backends)
        pairs = (host + 1) ** 2
        counts, sizes = np.zeros((2, len(digits) * pairs))
        if not len(s.hand_overs):
            return counts.reshape(-1, pairs), sizes.reshape(-1, pairs)
        whole = np.column_stack([digits, np.full(len(digits), host)])
        producers = whole[:, s.tensor_producer]  # HOST is -1: the last column
        starts = np.flatnonzero(np.r_[True, np.diff(s.edge_tensor) > 0])
        scaled = s.tensor_bytes / s.byte_scale
        bits = np.left_shift(1, whole, dtype=np.int64)
        takers = np.bitwise_or.reduceat(bits[:, s.edge_consumer], starts, axis=1)
        # Nearly everything stays where it was made.
        rows, tensors = np.nonzero(takers & ~bits[:, s.tensor_producer])
        made, taken = producers[rows, tensors], takers[rows, tensors]
        for q in range(host + 1):
            here = np.flatnonzero((taken >> q & 1) & (made != q))
            at = rows[here] * pairs + made[here] * (host + 1) + q
            counts += np.bincount(at, minlength=len(counts))
            sizes += np.bincount(at, scaled[tensors[here]], minlength=len(sizes))
        return counts.reshape(-1, pairs), sizes.reshape(-1, pairs)

    @cached_property
    def crossings(self) -> Vector:
        """Of all tensors handed over the share that goes from one backend to another."""
        sides = len(self.structure.backends) + 1
        between = self.handed[0].reshape(-1, sides, sides)[:, :-1, :-1].sum(axis=(1, 2))
        return np.asarray(between / max(1, len(self.structure.edge_tensor)))

    @cached_property
    def _begins(self) -> Flags:
        """Whether an operation, in the order of the file, is on another backend than the last."""
        in_order = self.digits[:, self.structure.order]
        begins = np.ones(in_order.shape, dtype=bool)
        begins[:, 1:] = in_order[:, 1:] != in_order[:, :-1]
        return begins

    @cached_property
    def partitions(self) -> Vector:
        """Runs of each backend among the operations in the order of the file.

        Shape ``(assignments, backends)``; O(assignments · operations).
        """
        in_order = self.digits[:, self.structure.order]
        backends = range(len(self.structure.backends))
        counts = [((in_order == b) & self._begins).sum(axis=1) for b in backends]
        return np.stack(counts, axis=1).astype(float)

    @cached_property
    def arenas(self) -> Vector:
        """Bytes of each backend's activations at the fullest moment.

        Where each run of its operations is a session, the sum of all sessions' fullest moments.
        Shape ``(assignments, backends)``; O(assignments · backends · activations).
        """
        s = self.structure
        if not len(s.events[0]):
            return np.zeros(self.used.shape)
        if s.problem.traits.is_partitioned and s.is_in_detail:
            return self._session_arenas()
        return self._freed

    @cached_property
    def kept(self) -> Vector:
        """How many more bytes these may be, where a backend keeps to the end what others take.

        It frees what its own operations used last, and of others' it does not know.
        """
        s = self.structure
        if not s.is_in_detail or not len(s.arena_edges):
            return np.zeros(self.used.shape)
        makers, _ = s.arena
        tensors, takers = s.arena_edges.T
        starts = np.flatnonzero(np.r_[True, np.diff(tensors) > 0])
        taken = tensors[starts]
        makers = self.digits[:, makers[taken]]
        others = self.digits[:, takers] != np.repeat(
            makers, np.diff([*starts, len(takers)]), axis=1
        )
        is_taken = np.zeros((len(self), len(s.arena[0])), dtype=bool)
        is_taken[:, taken] = np.logical_or.reduceat(others, starts, axis=1)
        which, sizes = s.events
        return self._fullest((sizes > 0) | ~is_taken[:, which]) - self._freed

    @cached_property
    def _freed(self) -> Vector:
        """Bytes of each backend's activations at the fullest moment, all freed after their last."""
        return self._fullest(np.ones((len(self), len(self.structure.events[0])), dtype=bool))

    def _fullest(self, counts: Flags) -> Vector:
        """The same of what counts as beginning and ending, ``(assignments, events)``."""
        which, sizes = self.structure.events
        makers = self.digits[:, self.structure.arena[0][which]].astype(np.uint8)
        found = np.zeros(self.used.shape)
        for rows in chunks(len(self), len(which), CACHED):
            # Events of one backend side by side, in their order: one running sum for all.
            order = np.argsort(makers[rows], axis=1, kind="stable")
            own = np.take_along_axis(sizes * counts[rows], order, axis=1)
            backends = np.take_along_axis(makers[rows], order, axis=1)
            begins = np.ones(own.shape, dtype=bool)
            begins[:, 1:] = backends[:, 1:] != backends[:, :-1]
            levels = np.cumsum(own, axis=1)
            starts = np.flatnonzero(begins)
            before = levels.ravel()[starts] - own.ravel()[starts]
            fullest = np.maximum.reduceat(levels.ravel(), starts) - before
            found[rows][starts // own.shape[1], backends.ravel()[starts]] = fullest
        return found

    def _session_arenas(self) -> Vector:
        s, count = self.structure, len(self)
        steps, tensors, firsts = s.alive_at
        session = np.cumsum(self._begins, axis=1)
        _, sizes = s.arena
        makers = s.spans[tensors, 0]
        # What left its session is somebody else's.
        alive = (session[:, steps] == session[:, makers]) * sizes[tensors]
        levels = np.zeros(session.shape)
        levels[:, steps[firsts]] = np.add.reduceat(alive, firsts, axis=1)
        starts = np.flatnonzero(self._begins)
        fullest = np.maximum.reduceat(levels.ravel(), starts)
        backend = self.digits[:, s.order].ravel()[starts]
        rows = starts // session.shape[1]
        backends = len(s.backends)
        sums = np.bincount(rows * backends + backend, fullest, minlength=count * backends)
        return np.asarray(sums.reshape(count, backends), dtype=float)


_CONVOLUTIONS: Final = {"CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV"}


def _work(graph: Graph, operation: Operation) -> float:
    """Multiplications of the usual kernels, and values read and written."""
    touched = operation.data_bytes / _FLOAT_BYTES
    shapes = [graph.tensors[t].shape for t in operation.outputs if t >= 0]
    shape = shapes[0] if shapes else ()
    if operation.builtin in _CONVOLUTIONS and len(shape) == 4:
        return operation.weight_bytes / _FLOAT_BYTES * shape[1] * shape[2] + touched
    if operation.builtin == "FULLY_CONNECTED" and len(shape) > 1:
        return operation.weight_bytes / _FLOAT_BYTES * math.prod(shape[:-1]) + touched
    return touched


def chunks(rows: int, each: int, most: int) -> Iterator[slice]:
    """Rows in parts of as many numbers as may be held at once, where each has so many.

    Examples:
        >>> list(chunks(5, 10, 25))
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    step = max(1, most // max(1, each))
    return (slice(i, min(i + step, rows)) for i in range(0, rows, step))


def _events(spans: Digits, sizes: Vector) -> tuple[Digits, Vector]:
    """When activations begin and end: positions in their order, and bytes, negative at the end.

    What ends before an operation comes before what it begins: so sums are largest beside it.

    Examples:
        >>> which, sizes = _events(np.array([[0, 1], [1, 2], [2, 2]]), np.array([4.0, 2.0, 1.0]))
        >>> which.tolist(), np.cumsum(sizes).tolist()
        ([0, 1, 0, 2, 1, 2], [4.0, 6.0, 2.0, 3.0, 1.0, 0.0])
    """
    count = len(sizes)
    steps = np.concatenate([spans[:, 0], spans[:, 1] + 1])
    order = np.lexsort((np.arange(2 * count) < count, steps))
    return order % max(1, count), np.concatenate([sizes, -sizes])[order]


def _waits(
    variables: Sequence[int], counts: Vector, hand_overs: Sequence[HandOver]
) -> dict[int, list[int]]:
    """Which hand-overs each variable waits for; empty where nothing can run side by side."""
    if len(variables) > _MAX_SIDE_BY_SIDE or (counts[list(variables)] != 1).any():
        return {}
    found: dict[int, list[int]] = {i: [] for i in variables}
    for tensor, h in enumerate(hand_overs):
        takers = [c for c in h.consumers if c != HOST] if h.producer != HOST else []
        if any(taker < h.producer for taker in takers):
            return {}
        for taker in takers:
            found[taker].append(tensor)
    is_chain = all(
        any(hand_overs[tensor].producer == i for tensor in found[j]) for i, j in pairwise(variables)
    )
    return {} if is_chain else found


def _numbers(choices: Sequence[str]) -> Vector:
    """Choices as numbers; nothing where one is none, or not positive."""
    try:
        found = np.array([float(c) for c in choices])
    except ValueError:
        return np.zeros(0)
    return found if (found > 0).all() else found[:0]

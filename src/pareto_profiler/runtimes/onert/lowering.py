"""What onert makes of a graph on several backends: steps in their order, and who holds what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pareto_profiler.core.graph import Graph
from pareto_profiler.runtimes.onert.hash_order import HashOrder
from pareto_profiler.runtimes.onert.support import FIXED_NAMES

BUILTIN: Final = "builtin"
PORTABLE: Final = frozenset({"cpu", "ruy", "xnnpack", "ggml", BUILTIN})
"""Backends that read each other's tensors where they lie, and share onert's memory planners."""


@dataclass(frozen=True, slots=True)
class Step:
    """An operation or a copy between backends, as it is run.

    Attributes:
        operation: Index in the file; of a copy one behind the last operation's.
        backend: Where it runs.
        reads: Tensors, without constants. Those behind the last one of the file are copies'.
        writes: Tensors.
    """

    operation: int
    backend: str
    reads: Sequence[int]
    writes: Sequence[int]


@dataclass(frozen=True, slots=True)
class Constants:
    """Which constants the operations get.

    Attributes:
        holder: Constant, copies included → the backend that it is for.
        given: (operation, constant it names) → constant of which it is given a copy.
    """

    holder: Mapping[int, str]
    given: Mapping[tuple[int, int], int]


class Lowering:
    """Puts one graph on backends, assignment by assignment.

    Attributes:
        constants: Of each operation, the constants that it reads.
        reads: Of each operation, the other tensors that it reads.
        writes: Of each operation, the tensors that it writes.
        maker: Tensor → operation that writes it.
        inputs: Tensors of the model's inputs.
        outputs: Tensors of the model's outputs.
        operations: In the order in which onert's passes come by them.
        operands: Tensors in use, in the order of onert's table.
        handed: Those that are no constants.
        readers: Tensor → operations that read it.
        first_free: Number of the next tensor that onert makes.
    """

    def __init__(self, graph: Graph) -> None:
        count = len(graph.tensors)
        constants = {t.index for t in graph.tensors if t.constant_bytes}
        inputs = [[*dict.fromkeys(t for t in o.inputs if t >= 0)] for o in graph.operations]
        self.constants = [[t for t in ts if t in constants] for ts in inputs]
        self.reads = [[t for t in ts if t not in constants] for ts in inputs]
        self.writes = [[*dict.fromkeys(t for t in o.outputs if t >= 0)] for o in graph.operations]
        self.maker = {t: o for o, ts in enumerate(self.writes) for t in ts}
        self.inputs, self.outputs = frozenset(graph.inputs), frozenset(graph.outputs)
        self.first_free = count
        # The loader fills its tables in the order of the file; what is lowered is a copy of them.
        self.operations = HashOrder(HashOrder(range(len(inputs))))
        used = self.inputs.union(self.outputs, *inputs, *self.writes)
        loaded = HashOrder(range(count))
        for t in range(count):
            if t not in used:
                loaded.remove(t)
        self.operands = HashOrder(loaded)
        self.handed = [t for t in self.operands if t not in constants]
        self.readers: dict[int, HashOrder] = {t: HashOrder() for t in self.handed}
        for o, ts in enumerate(self.reads):
            for t in ts:
                self.readers[t].add(o)
        self._is_fixed = [o.name in FIXED_NAMES for o in graph.operations]

    def backends(self, backend_by_operation: Mapping[int, str]) -> list[str]:
        """Of each operation."""
        return [
            BUILTIN if is_fixed else backend_by_operation[o]
            for o, is_fixed in enumerate(self._is_fixed)
        ]

    def give(self, backends: Sequence[str], *, is_copy_by_backend: bool) -> Constants:
        """Which constants the operations get: each backend has its own copies of shared ones.

        Args:
            backends: Of each operation.
            is_copy_by_backend: A backend's copy of whichever constant it needed first is given to
                all its operations that need a copy.
        """
        left: dict[int, int] = {}
        for ts in self.constants:
            for t in ts:
                left[t] = left.get(t, 0) + 1
        holder: dict[int, str] = {}
        given: dict[tuple[int, int], int] = {}
        copies: dict[tuple[int, str], int] = {}
        free = self.first_free
        for o in self.operations:
            backend = backends[o]
            for t in self.constants[o]:
                if left[t] < 2 or (is_copy_by_backend and holder.setdefault(t, backend) == backend):
                    holder[t] = backend
                    continue
                key = (-1 if is_copy_by_backend else t, backend)
                if key not in copies:
                    copies[key] = t
                    holder[free] = backend
                    free += 1
                if copies[key] != t:
                    given[o, t] = copies[key]
                left[t] -= 1
        return Constants(holder, given)

    def lower(self, backends: Sequence[str], constants: Constants) -> Lowered:
        """Hand tensors from backend to backend, and find the order of all steps."""
        return Lowered(self, backends, constants)


class Lowered:
    """A graph on its backends. onert changes its tables pass by pass, and their order with them.

    Args:
        whole: The graph.
        backends: Of each operation.
        constants: Which ones the operations get.

    Attributes:
        steps: In the order in which they run.
        holder: Tensor → the backend in whose memory it is. Without inputs and outputs of the
            model, which are in the caller's.
        original: Tensor that a copy writes → the file's that it is a copy of.
    """

    def __init__(self, whole: Lowering, backends: Sequence[str], constants: Constants) -> None:
        self._whole = whole
        self._held_constants = constants.holder
        self._backends = [*backends]
        self._reads = [*whole.reads]
        self._writes = [*whole.writes]
        self._readers = whole.readers.copy()
        self._outputs = set(whole.outputs)
        self._operations = whole.operations.copy()
        self._made = [t for t in constants.holder if t >= whole.first_free]
        self.holder: dict[int, str] = {}
        self.original: dict[int, int] = {}
        for t in whole.handed:
            self._hand_over(t)
        self._left = self._without_needless_copies()
        for t in (*whole.inputs, *self._outputs):
            self.holder.pop(t, None)
        self.steps = self._in_order()

    def copies_in(self, backend: str) -> list[int]:
        """What copies write into a backend's memory, in the order in which that plans it."""
        written = [t for o in self._left if self._is_copy(o) for t in self._writes[o]]
        copies = [t for t in written if self.holder.get(t) == backend]
        if len(copies) < 2:
            return copies
        holder = {**self._held_constants, **self.holder}
        operands = self._whole.operands.copy()
        for t in self._made:
            operands.add(t)
        own = HashOrder(t for t in operands if holder.get(t) == backend)
        for o in self._left:
            if self._backends[o] == backend:
                for t in (*self._reads[o], *self._writes[o]):
                    own.add(t)
        planned = HashOrder(t for t in own if holder.get(t) == backend)
        return [t for t in planned if t in copies]

    def _is_copy(self, o: int) -> bool:
        return o >= len(self._whole.reads)

    def _hand_over(self, t: int) -> None:
        """Add a copy of a tensor for each other backend that reads it."""
        backends = self._backends
        maker = self._whole.maker.get(t)
        home = BUILTIN if maker is None else backends[maker]
        self.holder[t] = home
        readers = self._readers[t]
        others = dict.fromkeys(backends[o] for o in readers)
        if t in self._outputs:
            others[BUILTIN] = None
        others.pop(home, None)
        if not others:
            return
        elsewhere = [o for o in readers if backends[o] != home]
        readers = self._readers[t] = readers.copy()
        made = {}
        for backend in others:
            copy, out = len(self._reads), self._whole.first_free + len(self._made)
            self._operations.add(copy)
            self._made.append(out)
            self._reads.append([t])
            self._writes.append([out])
            backends.append(BUILTIN)
            readers.add(copy)
            self._readers[out] = HashOrder()
            self.holder[out] = backend
            self.original[out] = t
            made[backend] = out
            if backend == BUILTIN and t in self._outputs:
                self._outputs.remove(t)
                self._outputs.add(out)
        # Readers are walked with the copies among them, which may have changed their order.
        for o in [o for o in readers if o in elsewhere]:
            self._replace(o, t, made[backends[o]])
            self._readers[made[backends[o]]].add(o)
        for o in elsewhere:
            readers.remove(o)

    def _without_needless_copies(self) -> list[int]:
        """Operations and copies, without those between backends that need none."""
        walk = [*self._operations]
        place = {o: i for i, o in enumerate(walk)}
        needless = set()
        for o in walk:
            if not self._is_copy(o):
                continue
            (t,), (out,) = self._reads[o], self._writes[o]
            if not {self.holder[t], self.holder[out]} <= PORTABLE:
                continue
            is_output = out in self._outputs
            if is_output and (t in self._whole.inputs or t in self._outputs):
                continue
            needless.add(o)
            kept, gone = (out, t) if is_output else (t, out)
            if is_output:
                maker = self._whole.maker[t]
                self._writes[maker] = [kept if w == gone else w for w in self._writes[maker]]
            else:
                self._readers[t].remove(o)
            for reader in sorted(self._readers[gone], key=place.__getitem__):
                if reader != o:
                    self._replace(reader, gone, kept)
                    self._readers[kept].add(reader)
            del self.holder[gone]
        return [o for o in walk if o not in needless]

    def _replace(self, o: int, old: int, new: int) -> None:
        self._reads[o] = [new if t == old else t for t in self._reads[o]]

    def _in_order(self) -> list[Step]:
        """Sort the steps as onert does: the reverse of the order in which a search leaves them."""
        left: list[int] = []
        seen: set[int] = set()
        for root in self._left:
            if root in seen:
                continue
            seen.add(root)
            stack = [(root, self._behind(root))]
            while stack:
                o, behind = stack[-1]
                while behind and behind[-1] in seen:
                    behind.pop()
                if behind:
                    following = behind.pop()
                    seen.add(following)
                    stack.append((following, self._behind(following)))
                else:
                    left.append(o)
                    stack.pop()
        return [Step(o, self._backends[o], self._reads[o], self._writes[o]) for o in reversed(left)]

    def _behind(self, o: int) -> list[int]:
        """Steps that read what one writes, the first last."""
        return [r for t in self._writes[o] for r in self._readers[t]][::-1]

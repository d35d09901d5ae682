"""Graph: what a model file says, operation by operation in file order."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of a model.

    ``size_bytes`` follows from shape and dtype (0 where the dtype has no fixed size);
    ``constant_bytes`` is what the file holds for it, 0 for an activation. ``signature`` has -1 for
    each size that the model leaves free, and is empty where it leaves none: then ``shape`` has
    what stands in the file in their place. ``content`` tells constants apart that several
    operations take: ``zeros``, or a digest of what the file holds; empty for others and where it is
    not known.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    size_bytes: int
    constant_bytes: int
    signature: tuple[int, ...] = ()
    content: str = ""

    def to_json(self) -> list[Any]:
        """As a row."""
        row = [self.index, self.name, list(self.shape), self.dtype]
        row += [self.size_bytes, self.constant_bytes]
        if self.content:
            return [*row, list(self.signature), self.content]
        return [*row, list(self.signature)] if self.signature else row


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a model.

    Attributes:
        index: Position in the file.
        builtin: Name in the model's schema, e.g. ``DEPTHWISE_CONV_2D``; the custom code for a
            custom operation.
        version: Version of the builtin.
        name: The runtime's name, e.g. ``DepthwiseConv2D``; the builtin's where it has none.
        kind: The runtime's sub-kind, e.g. ``ADD`` of ``BinaryArithmetic``; empty where it has none.
        dtype: Type of the first input, which decides which kernels apply.
        inputs: Tensor indices; -1 stands for an optional input left out.
        outputs: Tensor indices.
        data_bytes: Bytes of all inputs and outputs together: the seed's *data size*.
        weight_bytes: Bytes of the constant inputs, as stored in the file.
        problem: Why the runtime refuses it; empty when nothing says that it does.
        subgraph: Which one it is of: 0 for the main one, else the body of a loop or a branch.
    """

    index: int
    builtin: str
    version: int
    name: str
    kind: str
    dtype: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    data_bytes: int
    weight_bytes: int
    problem: str = ""
    subgraph: int = 0


@dataclass(frozen=True, slots=True)
class Edge:
    """A tensor handed from the operation that makes it to one that takes it."""

    producer: int
    consumer: int
    tensor: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Body:
    """A subgraph behind the main one, whose tensors and operations have indices of their own.

    Attributes:
        tensors: In file order.
        operations: In file order.
        is_run: Whether a loop or a branch of the main subgraph runs it.
    """

    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    is_run: bool


@dataclass(frozen=True, slots=True)
class Graph:
    """The main subgraph of a model file, with those of loops and branches where it has them.

    Attributes:
        format: ``tflite`` or ``circle``.
        digest: SHA-256 of the file, in hex.
        tensors: In file order.
        operations: In file order.
        inputs: Tensor indices of the model's inputs.
        outputs: Tensor indices of the model's outputs.
        subgraph_count: Subgraphs in the file.
        bodies: The subgraphs behind the main one.
        starts: Of each body the index of its first operation, where :meth:`with_bodies` gave
            these operations indices behind the main subgraph's.
        original: SHA-256 of the file that it was adapted from; empty where it was not.
        origins: For each operation of an adapted model its number in the original.
    """

    format: str
    digest: str
    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    subgraph_count: int = 1
    bodies: tuple[Body, ...] = ()
    original: str = ""
    origins: tuple[int, ...] = ()
    starts: tuple[int, ...] = ()

    @property
    def all_operations(self) -> tuple[Operation, ...]:
        """Those of the main subgraph, then those of the others."""
        return (*self.operations, *(o for body in self.bodies for o in body.operations))

    @property
    def own_count(self) -> int:
        """Operations of the main subgraph alone."""
        return self.starts[0] if self.starts else len(self.operations)

    def with_bodies(self) -> Graph:
        """The same graph with the operations of loops and branches among its own, behind them."""
        if not any(body.is_run for body in self.bodies):
            return self
        tensors, operations, starts = list(self.tensors), list(self.operations), []
        for body in self.bodies:
            starts.append(len(operations))
            shift, first = len(tensors), len(operations)
            if not body.is_run:
                continue
            tensors += [replace(t, index=t.index + shift) for t in body.tensors]
            operations += [
                replace(
                    o,
                    index=o.index + first,
                    inputs=tuple(t + shift if t >= 0 else t for t in o.inputs),
                    outputs=tuple(t + shift for t in o.outputs),
                    subgraph=0,
                )
                for o in body.operations
            ]
        return replace(
            self,
            tensors=tuple(tensors),
            operations=tuple(operations),
            bodies=(),
            starts=tuple(starts),
            origins=self.origins and (*self.origins, *range(len(self.operations), len(operations))),
        )

    def place_of(self, operation: int) -> tuple[int, int]:
        """Which subgraph an operation is of, and its index there."""
        subgraph = bisect_right(self.starts, operation)
        return subgraph, operation - (self.starts[subgraph - 1] if subgraph else 0)

    def operation_at(self, subgraph: int, index: int) -> int | None:
        """The other way round; None where the subgraph's operations are not among the graph's."""
        found = self.starts[subgraph - 1] + index if 0 < subgraph <= len(self.starts) else index
        return found if self.place_of(found) == (subgraph, index) else None

    @property
    def free_inputs(self) -> tuple[Tensor, ...]:
        """Inputs that have a size that the model leaves free."""
        return tuple(self.tensors[t] for t in self.inputs if self.tensors[t].signature)

    def with_input_shapes(self, shapes: Mapping[int, Sequence[int]]) -> Graph:
        """The same graph with inputs of given shapes, whose sizes are free no more.

        Args:
            shapes: Index of an input's tensor → its shape.
        """
        tensors = list(self.tensors)
        for t, shape in shapes.items():
            old = tensors[t]
            elements = max(1, math.prod(map(abs, old.shape)))
            size = old.size_bytes * math.prod(shape) // elements
            tensors[t] = replace(old, shape=tuple(shape), size_bytes=size, signature=())
        return replace(self, tensors=tuple(tensors))

    @property
    def output_types(self) -> tuple[str, ...]:
        """Of the model's outputs, in order."""
        return tuple(self.tensors[t].dtype for t in self.outputs)

    @property
    def edges(self) -> tuple[Edge, ...]:
        """Hand-overs between operations, by consumer, then by input position. O(operations)."""
        maker = {t: operation.index for operation in self.operations for t in operation.outputs}
        return tuple(
            Edge(maker[t], operation.index, t, self.tensors[t].size_bytes)
            for operation in self.operations
            for t in operation.inputs
            if t in maker
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data, see :meth:`from_json`; tensors and operations as rows, to be short."""
        return {
            "format": self.format,
            "digest": self.digest,
            "tensors": [t.to_json() for t in self.tensors],
            "operations": [list(asdict(o).values())[:-1] for o in self.operations],
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "subgraph_count": self.subgraph_count,
            **({"original": self.original, "origins": list(self.origins)} if self.original else {}),
            **({"starts": list(self.starts)} if self.starts else {}),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Graph:
        """Back from :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError, IndexError: The data is not what that gives.
        """
        tensors = tuple(
            Tensor(
                int(i),
                str(name),
                tuple(map(int, shape)),
                str(dtype),
                int(size),
                int(constant),
                tuple(map(int, more[0])) if more else (),
                str(more[1]) if more[1:] else "",
            )
            for i, name, shape, dtype, size, constant, *more in data["tensors"]
        )
        operations = []
        for index, builtin, version, name, kind, dtype, ins, outs, *rest in data["operations"]:
            data_bytes, weight_bytes, problem = rest
            operations.append(
                Operation(
                    int(index),
                    str(builtin),
                    int(version),
                    str(name),
                    str(kind),
                    str(dtype),
                    tuple(map(int, ins)),
                    tuple(map(int, outs)),
                    int(data_bytes),
                    int(weight_bytes),
                    str(problem),
                )
            )
        numbers = [t for o in operations for t in (*o.inputs, *o.outputs)]
        inputs, outputs = (tuple(map(int, data[key])) for key in ("inputs", "outputs"))
        if any(not -1 <= t < len(tensors) for t in (*numbers, *inputs, *outputs)):
            raise ValueError("a tensor index out of range")
        if len(data.get("origins", ())) not in {0, len(operations)}:
            raise ValueError("origins of other operations")
        if any(o.index != i for i, o in enumerate(operations)):
            raise ValueError("operations out of order")
        return cls(
            str(data["format"]),
            str(data["digest"]),
            tensors,
            tuple(operations),
            inputs,
            outputs,
            int(data["subgraph_count"]),
            original=str(data.get("original", "")),
            origins=tuple(map(int, data.get("origins", ()))),
            starts=tuple(map(int, data.get("starts", ()))),
        )

    @property
    def unloadable(self) -> tuple[Operation, ...]:
        """Operations that the runtime refuses, each with its ``problem``."""
        return tuple(operation for operation in self.operations if operation.problem)

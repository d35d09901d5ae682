"""TFLite and circle files → Graph; the two formats share their tables and differ in a few codes."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from pareto_profiler.core.graph import Body, Graph, Operation, Tensor
from pareto_profiler.models import schema
from pareto_profiler.models.flatbuffer import FlatBuffer, Table
from pareto_profiler.models.recognising import what_it_is

CUSTOM: Final = "custom"
"""Kind of an operation whose name is a custom code."""

METADATA: Final = "pareto_profiler.adapted"
"""Entry of an adapted model's metadata that says what was done, as JSON."""

IDENTIFIERS: Final = {b"TFL3": "tflite", b"CIR0": "circle"}

# TFLite stops at 8; multiplying thousands of sizes would take hours.
_RANK_LIMIT: Final = 64
# Their first two options are numbers of subgraphs: of two branches; of condition and body.
_CALLERS: Final = {"IF", "WHILE"}
_CONTENT_DIGITS: Final = 16


def read_graph(data: bytes, path: str) -> Graph:
    """Read the main subgraph of a TFLite or circle file.

    Operations have the names of the file's format; a runtime's reading gives them its own. Takes
    time linear in the size of the file, whatever is in it.

    Args:
        data: The whole file.
        path: Its name, for messages.

    Raises:
        ModelError: The file is empty, truncated, of another format or damaged; the text names the
            file, the part and what was expected.
    """
    if data[4:8] not in IDENTIFIERS and (words := what_it_is(data)):
        raise FlatBuffer(data, path).error(words)
    if len(data) < 8:
        raise FlatBuffer(data, path).error(
            f"{len(data)} bytes are no model: expected a .tflite or .circle FlatBuffer"
        )
    model_format = IDENTIFIERS.get(data[4:8])
    if model_format is None:
        raise FlatBuffer(data, path).error(
            f"is no .tflite or .circle model: its identifier is {data[4:8]!r}, not TFL3 or CIR0"
        )
    return _Reader(FlatBuffer(data, path), model_format).graph()


class _Reader:
    def __init__(self, buffer: FlatBuffer, model_format: str) -> None:
        self._buffer = buffer
        self._format = model_format
        self._is_circle = model_format == "circle"

    def graph(self) -> Graph:
        model = self._buffer.root()
        subgraphs = model.tables(schema.Model.SUBGRAPHS, "subgraph")
        if not subgraphs:
            raise self._buffer.error("the file has no subgraph")
        codes = [self._code(t) for t in model.tables(schema.Model.OPERATOR_CODES, "operator code")]
        constants = [self._constant_bytes(t) for t in model.tables(schema.Model.BUFFERS, "buffer")]
        main = subgraphs[0]
        tensors, operations = self._contents(main, codes, constants)
        if not operations:
            raise self._buffer.error("the main subgraph has no operation")
        inputs = main.integers(schema.SubGraph.INPUTS, "the inputs")
        outputs = main.integers(schema.SubGraph.OUTPUTS, "the outputs")
        for t in (*inputs, *outputs):
            self._check_tensor(t, len(tensors), "an input or output of the model", least=0)
        original, origins = self._provenance(model, len(operations))
        graph = Graph(
            format=self._format,
            digest=hashlib.sha256(self._buffer.data).hexdigest(),
            tensors=tuple(self._with_contents(model, main, tensors, operations)),
            operations=operations,
            inputs=inputs,
            outputs=outputs,
            subgraph_count=len(subgraphs),
            original=original,
            origins=origins,
            bodies=tuple(self._bodies(subgraphs, codes, constants)) if subgraphs[1:] else (),
        )
        self._check_order(graph.with_bodies())
        return graph

    def _bodies(
        self,
        subgraphs: Sequence[Table],
        codes: Sequence[tuple[str, bool, int]],
        constants: Sequence[int],
    ) -> Iterator[Body]:
        """The subgraphs behind the main one."""
        contents = [self._contents(subgraph, codes, constants) for subgraph in subgraphs]
        run, waiting = {0}, [0]
        while waiting:
            i = waiting.pop()
            called = self._called(subgraphs[i], contents[i][1]) & {*range(len(subgraphs))}
            waiting += called - run
            run |= called
        for i, (tensors, operations) in enumerate(contents[1:], 1):
            yield Body(tensors, tuple(replace(o, subgraph=i) for o in operations), i in run)

    def _called(self, subgraph: Table, operations: Sequence[Operation]) -> set[int]:
        """The subgraphs that loops and branches of one run."""
        found: set[int] = set()
        tables = subgraph.tables(schema.SubGraph.OPERATORS, "operation")
        for operation, table in zip(operations, tables, strict=True):
            if operation.builtin in _CALLERS:
                options = table.table(schema.Operator.OPTIONS, "the options")
                found |= {options.number(slot, "<i") for slot in (0, 1)} if options else set()
        return found

    def _provenance(self, model: Table, count: int) -> tuple[str, tuple[int, ...]]:
        """Of an adapted model: the original's digest, and the number of each operation there."""
        buffers = model.tables(schema.Model.BUFFERS, "buffer")
        for entry in model.tables(schema.Model.METADATA, "metadata entry"):
            place = entry.number(schema.Metadata.BUFFER, "<I")
            is_ours = entry.text(schema.Metadata.NAME, "the name") == METADATA
            if not is_ours or place >= len(buffers):
                continue
            try:
                told = json.loads(buffers[place].content(schema.Buffer.DATA, "the data"))
                original, origins = str(told["original"]), tuple(map(int, told["origins"]))
            except (ValueError, TypeError, KeyError, RecursionError):
                continue
            if len(origins) == count and re.fullmatch("[0-9a-f]{64}", original):
                return original, origins
        return "", ()

    def _contents(
        self, subgraph: Table, codes: Sequence[tuple[str, bool, int]], constants: Sequence[int]
    ) -> tuple[tuple[Tensor, ...], tuple[Operation, ...]]:
        """Tensors and operations of a subgraph."""
        tensors = tuple(
            self._tensor(i, table, constants)
            for i, table in enumerate(subgraph.tables(schema.SubGraph.TENSORS, "tensor"))
        )
        operations = tuple(
            self._operation(i, table, codes, tensors)
            for i, table in enumerate(subgraph.tables(schema.SubGraph.OPERATORS, "operation"))
        )
        return tensors, operations

    def _code(self, table: Table) -> tuple[str, bool, int]:
        """Name, whether it is a custom code, and version of an operator code."""
        slots = schema.OperatorCode
        # As the format's interpreter does: writers fill the new field, the old 8-bit one, or both.
        code = table.number(slots.BUILTIN_CODE, "<i")
        old = table.number(slots.DEPRECATED_BUILTIN_CODE, "<b")
        code = old if code == 0 and self._is_circle else max(code, old)
        version = table.number(slots.VERSION, "<i", 1)
        if code == schema.CUSTOM:
            return table.text(slots.CUSTOM_CODE, "the custom code") or "CUSTOM", True, version
        names = schema.BUILTIN_NAMES
        if self._is_circle:
            names = names | schema.CIRCLE_BUILTIN_NAMES
        return names.get(code, f"operator code {code}"), False, version

    def _constant_bytes(self, table: Table) -> int:
        """Bytes a buffer holds, inside the FlatBuffer or behind it."""
        outside = table.number(schema.Buffer.SIZE, "<Q")
        if outside > 1:
            start = table.number(schema.Buffer.OFFSET, "<Q")
            if start + outside > len(self._buffer.data):
                raise self._buffer.error(
                    f"{table.what} names bytes {start} to {start + outside}, "
                    f"outside the file of {len(self._buffer.data)} bytes"
                )
            return outside
        return table.byte_count(schema.Buffer.DATA, "the data")

    def _with_contents(
        self, model: Table, main: Table, tensors: Sequence[Tensor], operations: Sequence[Operation]
    ) -> Iterator[Tensor]:
        """The tensors, of constants that several operations take with what tells them apart."""
        takers = Counter(t for o in operations for t in {*o.inputs})
        buffers = model.tables(schema.Model.BUFFERS, "buffer")
        tables = main.tables(schema.SubGraph.TENSORS, "tensor")
        contents: dict[int, str] = {}
        for tensor, table in zip(tensors, tables, strict=True):
            if tensor.constant_bytes and takers[tensor.index] > 1:
                buffer = table.number(schema.Tensor.BUFFER, "<I")
                if buffer not in contents:
                    contents[buffer] = self._content(buffers[buffer])
                yield replace(tensor, content=contents[buffer])
            else:
                yield tensor

    def _content(self, buffer: Table) -> str:
        """What tells apart what buffers hold."""
        held = self._held(buffer)
        is_zeros = held.count(0) == len(held)
        return "zeros" if is_zeros else hashlib.sha256(held).hexdigest()[:_CONTENT_DIGITS]

    def _held(self, buffer: Table) -> bytes:
        """What a buffer holds, inside the FlatBuffer or behind it."""
        outside = buffer.number(schema.Buffer.SIZE, "<Q")
        if outside > 1:
            start = buffer.number(schema.Buffer.OFFSET, "<Q")
            return self._buffer.data[start : start + outside]
        return buffer.content(schema.Buffer.DATA, "the data")

    def _tensor(self, index: int, table: Table, constants: Sequence[int]) -> Tensor:
        slots = schema.Tensor
        shape = table.integers(slots.SHAPE, "the shape")
        if len(shape) > _RANK_LIMIT:
            raise self._buffer.error(f"tensor {index} has {len(shape)} dimensions")
        if any(size < -1 for size in shape):
            raise self._buffer.error(f"tensor {index} has a negative size in its shape {shape}")
        code = table.number(slots.TYPE, "<b")
        # Schemas grow: what a type is that is not known here is for the runtime to say.
        is_known = code in schema.TYPE_NAMES and (code >= 0 or self._is_circle)
        dtype = schema.TYPE_NAMES[code] if is_known else f"type {code}"
        buffer = table.number(slots.BUFFER, "<I")
        if buffer >= max(1, len(constants)):
            raise self._buffer.error(
                f"tensor {index} names buffer {buffer}, the file has {len(constants)}"
            )
        elements, block_bytes = schema.BLOCKS.get(dtype, (1, 0))
        count = math.prod(abs(size) for size in shape)
        return Tensor(
            index=index,
            name=table.text(slots.NAME, "the name"),
            shape=shape,
            dtype=dtype,
            size_bytes=-(-count // elements) * block_bytes,
            constant_bytes=constants[buffer] if constants else 0,
            signature=self._signature(index, table, shape),
        )

    def _signature(self, index: int, table: Table, shape: Sequence[int]) -> tuple[int, ...]:
        """Sizes with -1 for those that are free; empty where none is."""
        told = table.integers(schema.Tensor.SHAPE_SIGNATURE, "the shape signature")
        if len(told) > _RANK_LIMIT or any(size < -1 for size in told):
            raise self._buffer.error(f"tensor {index} has the shape signature {told[:9]}")
        signature = told if len(told) == len(shape) else tuple(shape)
        return signature if -1 in signature else ()

    def _operation(
        self,
        index: int,
        table: Table,
        codes: Sequence[tuple[str, bool, int]],
        tensors: Sequence[Tensor],
    ) -> Operation:
        code = table.number(schema.Operator.OPCODE_INDEX, "<I")
        if code >= len(codes):
            raise self._buffer.error(
                f"operation {index} names operator code {code}, the file has {len(codes)}"
            )
        builtin, is_custom, version = codes[code]
        inputs = table.integers(schema.Operator.INPUTS, "the inputs")
        outputs = table.integers(schema.Operator.OUTPUTS, "the outputs")
        for t in inputs:
            self._check_tensor(t, len(tensors), f"an input of operation {index}", least=-1)
        for t in outputs:
            self._check_tensor(t, len(tensors), f"an output of operation {index}", least=0)
        touched = [tensors[t] for t in (*inputs, *outputs) if t >= 0]
        return Operation(
            index=index,
            builtin=builtin,
            version=version,
            name=builtin,
            kind=CUSTOM if is_custom else "",
            dtype=touched[0].dtype if touched else "",
            inputs=inputs,
            outputs=outputs,
            data_bytes=sum(t.size_bytes for t in touched),
            weight_bytes=sum(tensors[t].constant_bytes for t in inputs if t >= 0),
        )

    def _check_tensor(self, index: int, count: int, what: str, *, least: int) -> None:
        if not least <= index < count:
            raise self._buffer.error(f"{what} is tensor {index}, the file has {count}")

    def _check_order(self, graph: Graph) -> None:
        """Refuse a tensor made twice and operations that wait for each other (Kahn's algorithm)."""
        made: set[int] = set()
        for operation in graph.operations:
            for t in operation.outputs:
                if t in made:
                    raise self._buffer.error(f"tensor {t} is made by two operations")
                made.add(t)
        edges = graph.edges
        waiting = [0] * len(graph.operations)
        consumers: list[list[int]] = [[] for _ in graph.operations]
        for edge in edges:
            waiting[edge.consumer] += 1
            consumers[edge.producer].append(edge.consumer)
        ready = [i for i, count in enumerate(waiting) if count == 0]
        done = 0
        while ready:
            done += 1
            for consumer in consumers[ready.pop()]:
                waiting[consumer] -= 1
                if waiting[consumer] == 0:
                    ready.append(consumer)
        if done < len(graph.operations):
            stuck = next(i for i, count in enumerate(waiting) if count)
            raise self._buffer.error(f"operation {stuck} waits for its own output: a cycle")

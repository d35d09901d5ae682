"""Rewriting: an assignment as an .onnx file, and back from what the runtime made of it.

The runtime lays out convolutions anew, and packs matrices, whose weights are constants. A weight
that is also an input of the graph is none: its operation is left as it is in the file. So an
assignment is a list of inputs behind those that the model has; the weights themselves lie in a file
of their own, once for all assignments. What is rewritten is the model as the runtime has it once it
has folded what is constant: with weights that are none it folds nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

from pareto_profiler.core.graph import Graph
from pareto_profiler.errors import ModelError
from pareto_profiler.runtimes.onnxruntime.providers import LAYER, ON_CPU

PACKED: Final = "packed"
PLAIN: Final = "plain"
LEAST_IR_VERSION: Final = 4
"""Of the format, from which on constants need not be inputs."""

WEIGHTS: Final = "weights.bin"
"""Name of the file with the weights, beside the model."""

SAVED_WEIGHTS: Final = {
    "session.optimized_model_external_initializers_file_name": WEIGHTS,
    "session.optimized_model_external_initializers_min_size_in_bytes": "1024",
}
"""Options of a session that saves its graph: weights of a page or so stay inside."""

# Operators whose weights the runtime packs, and at which input these are.
_WEIGHTS_AT: Final = {"Conv": 1, "Gemm": 1, "MatMul": 1}
_PACKS_UNSEEN: Final = {"Gemm", "MatMul"}
_LAID_OUT: Final = "com.microsoft.nchwc"
_LAID_OUT_SUFFIX: Final = "_nchwc"
_FUSED_PREFIX: Final = "fused "
_PROFILE_SUFFIX: Final = "_kernel_time"
_MOST_FOLDED: Final = 4


def is_decided(builtin: str) -> bool:
    """Whether an operator is one whose weights may be packed."""
    return builtin in _WEIGHTS_AT


def without_overriding(model: Any) -> bool:
    """Take constants out of a model's inputs, in place; whether there were any.

    As inputs they are none for the runtime, which then folds and packs nothing.
    """
    constants = {t.name for t in model.graph.initializer}
    kept = [i for i in model.graph.input if i.name not in constants]
    if len(kept) == len(model.graph.input):
        return False
    del model.graph.input[:]
    model.graph.input.extend(kept)
    return True


@dataclass(frozen=True, slots=True)
class Rewritten:
    """An assignment as a file.

    Attributes:
        content: Of the file; the weights are in :data:`WEIGHTS` beside it.
        overridable: Names of the weights that the runtime has to find overridable.
    """

    content: bytes
    overridable: frozenset[str]


@dataclass(frozen=True, slots=True)
class Base:
    """A model with all that is constant folded, and how its nodes are related to the original's.

    Attributes:
        model: The root object; its weights are elsewhere.
        folder: With the file of the weights.
        node_of: Operation of the original → number of the node that computes it and whose weights
            are constants.
        maker_of: Name of a node or of a tensor that one makes → the operation of the original.
        operation_at: Number of a node → the operation of the original that it computes.
    """

    model: Any
    folder: Path
    node_of: Mapping[int, int]
    maker_of: Mapping[str, int]
    operation_at: Mapping[int, int] = field(default_factory=dict)
    _fused: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, model: Any, folder: Path, graph: Graph) -> Base:
        """Relate the nodes of a folded model to the operations of the original.

        A node has its operation's name, output or weights; or its output is what the next
        operations make of the operation's, where those were folded into it. O(operations).
        """
        model.ir_version = max(model.ir_version, LEAST_IR_VERSION)
        nodes = model.graph.node
        _name_all(nodes)
        constants = {t.name for t in model.graph.initializer}
        operation_at = _related(nodes, graph, constants)
        node_of = {
            operation: at
            for at, operation in operation_at.items()
            if is_decided(graph.operations[operation].builtin)
            and is_decided(nodes[at].op_type)
            and _weight_of(nodes[at]) in constants
        }
        maker_of = {
            name: operation
            for at, operation in operation_at.items()
            for name in (*nodes[at].output, nodes[at].name)
            if name
        }
        following: dict[str, list[Any]] = {}
        for node in nodes:
            for name in node.input:
                following.setdefault(name, []).append(node)
        fused = {
            name: operation
            for operation, at in node_of.items()
            for name in _activated(nodes[at].output[0], following, constants)
        }
        return cls(model, folder, node_of, maker_of, operation_at, fused)

    def rewritten(
        self, plain: Collection[int], layers: Mapping[int, str] | None = None
    ) -> Rewritten:
        """The model with the weights of some operations left as they are.

        A weight that others share, which are packed, gets a second name for those that are not.

        Args:
            plain: Operations of the original; those without constant weights change nothing.
            layers: Operation → the backend of a provider that is to run it, where there are such.
        """
        import onnx

        model = onnx.ModelProto()
        model.CopyFrom(self.model)
        graph = model.graph
        weights = {t.name: t for t in graph.initializer}
        taken = {*weights, *(i.name for i in graph.input)}
        taken |= {name for node in graph.node for name in node.output}
        chosen = [self.node_of[i] for i in sorted(plain) if i in self.node_of]
        users = Counter(name for node in graph.node for name in node.input)
        wanted = Counter(_weight_of(graph.node[at]) for at in chosen)
        names: dict[str, str] = {}
        for name, times in wanted.items():
            names[name] = name
            if times < users[name]:
                names[name] = next(made for k in count(2) if (made := f"{name}_{k}") not in taken)
                taken.add(names[name])
                graph.initializer.add().CopyFrom(weights[name])
                graph.initializer[-1].name = names[name]
            weight = weights[name]
            made = onnx.helper.make_tensor_value_info(
                names[name], weight.data_type, list(weight.dims)
            )
            graph.input.append(made)
        for at in chosen:
            node = graph.node[at]
            place = _WEIGHTS_AT[node.op_type]
            node.input[place] = names[node.input[place]]
        if layers:
            for at, node in enumerate(graph.node):
                layer = layers.get(self.operation_at.get(at, -1), ON_CPU)
                node.metadata_props.add(key=LAYER, value=layer)
        return Rewritten(model.SerializeToString(), frozenset(names.values()))

    def whole(self, made: Rewritten) -> bytes:
        """The same file with the weights inside.

        Raises:
            ModelError: It is too large for the format.
        """
        import onnx
        from google.protobuf.message import EncodeError

        model = onnx.ModelProto.FromString(made.content)
        onnx.load_external_data_for_model(model, str(self.folder))
        try:
            return bytes(model.SerializeToString())
        except (EncodeError, ValueError) as error:
            words = "weights do not fit into one .onnx file: leave external_data on"
            raise ModelError(words) from error

    def read_back(self, optimised: Any, overridable: Collection[str]) -> dict[int, str]:
        """Operation of the original → how the runtime runs it, from the graph that it saved.

        Args:
            optimised: The root object of the saved file.
            overridable: Names of weights that the session took for overridable.

        Returns:
            Of those operations that can be chosen for and are there.
        """
        users: dict[str, list[int]] = {}
        for i, at in self.node_of.items():
            users.setdefault(_weight_of(self.model.graph.node[at]), []).append(i)
        by_weight = {name: them[0] for name, them in users.items() if len(them) == 1}
        ways: dict[int, str] = {}
        for node in optimised.graph.node:
            operation = self.operation_of(node.name, node.op_type, node.domain, node.output)
            if operation not in self.node_of:  # fused with another, whose name or output it has
                operation = next((by_weight[n] for n in node.input if n in by_weight), None)
            if operation is None:
                continue
            kind = self.model.graph.node[self.node_of[operation]].op_type
            if node.domain == _LAID_OUT and node.op_type == "Conv":
                ways[operation] = PACKED
            elif kind in _PACKS_UNSEEN:
                is_plain = any(name in overridable for name in node.input)
                ways[operation] = PLAIN if is_plain else PACKED
            elif node.op_type.endswith("Conv"):
                ways[operation] = PLAIN
        return ways

    def operation_of(
        self, name: str, builtin: str, domain: str = "", outputs: Sequence[str] = ()
    ) -> int | None:
        """The operation that a node of the optimised graph computes; None where none is known."""
        is_laid_out = domain == _LAID_OUT or name.endswith(_LAID_OUT_SUFFIX)
        tensor = name.removesuffix(_LAID_OUT_SUFFIX) if is_laid_out else name
        if is_laid_out and builtin == "Conv":
            found = self._fused.get(tensor)
            return self.maker_of.get(tensor) if found is None else found
        names = (tensor, tensor.removeprefix(_FUSED_PREFIX), *outputs)
        return next((self.maker_of[n] for n in names if n in self.maker_of), None)

    def operation_of_event(self, name: str, builtin: str) -> int | None:
        """The operation that an event of the runtime's profile is of."""
        return self.operation_of(name.removesuffix(_PROFILE_SUFFIX), builtin)


def _name_all(nodes: Sequence[Any]) -> None:
    """Give each node a name that no other has, and no tensor that another makes.

    The runtime's profile tells nodes apart by that, and calls some by what they make.
    """
    taken = Counter(n.name for n in nodes)
    makers = {output: i for i, node in enumerate(nodes) for output in node.output}
    for i, node in enumerate(nodes):
        if not node.name or taken[node.name] > 1 or makers.get(node.name, i) != i:
            taken[node.name] -= 1
            names = (f"n{k}" for k in count(i))
            node.name = next(name for name in names if name not in taken and name not in makers)
            taken[node.name] = 1


def _related(nodes: Sequence[Any], graph: Graph, constants: Collection[str]) -> dict[int, int]:
    """Number of a node → the operation of the original that it computes."""
    by_output = {output: i for i, n in enumerate(nodes) for output in n.output if output}
    operation_at: dict[int, int] = {}
    for operation in graph.operations:
        for name in _outputs_of(graph, operation.index):
            if name in by_output:
                operation_at.setdefault(by_output[name], operation.index)
    # What was folded into another has its output made by that, which has its weights.
    takers = _takers_in(graph)
    for operation in graph.operations:
        if is_decided(operation.builtin):
            made = (by_output.get(n) for n in _followed(graph, operation.index, takers))
            at = next((place for place in made if place is not None), None)
            if at is not None and is_decided(nodes[at].op_type):
                operation_at[at] = operation.index
    _relate_by_weights(operation_at, nodes, graph, constants)
    return operation_at


def _relate_by_weights(
    operation_at: dict[int, int], nodes: Sequence[Any], graph: Graph, constants: Collection[str]
) -> None:
    """Add nodes that another operator was made of: they have the weights still."""
    takers: dict[str, list[int]] = {}
    for operation in graph.operations:
        if is_decided(operation.builtin):
            for t in operation.inputs:
                if t >= 0:
                    takers.setdefault(graph.tensors[t].name, []).append(operation.index)
    related = set(operation_at.values())
    for at, node in enumerate(nodes):
        if at in operation_at or not is_decided(node.op_type):
            continue
        weight = _weight_of(node)
        mine = takers.get(weight, ()) if weight in constants else ()
        free = [index for index in mine if index not in related]
        if free:
            operation_at[at] = free[0]
            related.add(free[0])


def _weight_of(node: Any) -> str:
    place = _WEIGHTS_AT[node.op_type]
    return str(node.input[place]) if place < len(node.input) else ""


def _outputs_of(graph: Graph, operation: int) -> list[str]:
    return [graph.tensors[t].name for t in graph.operations[operation].outputs]


def _takers_in(graph: Graph) -> dict[int, list[int]]:
    """Tensor → operations that take it."""
    takers: dict[int, list[int]] = {}
    for operation in graph.operations:
        for t in operation.inputs:
            takers.setdefault(t, []).append(operation.index)
    return takers


def _followed(graph: Graph, operation: int, takers: Mapping[int, Sequence[int]]) -> Iterator[str]:
    """Names of an operation's output, and of what the only ones that take it make of it."""
    for _ in range(_MOST_FOLDED):
        outputs = graph.operations[operation].outputs
        if not outputs:
            return
        yield graph.tensors[outputs[0]].name
        following = takers.get(outputs[0], ())
        if len(following) != 1 or outputs[0] in graph.outputs:
            return
        operation = following[0]
        if is_decided(graph.operations[operation].builtin):
            return


def _activated(
    tensor: str, following: Mapping[str, Sequence[Any]], constants: Collection[str]
) -> Iterator[str]:
    """A tensor, and what the only operations that take it make of it and constants alone."""
    for _ in range(_MOST_FOLDED):
        yield tensor
        nodes = following.get(tensor, ())
        if len(nodes) != 1 or is_decided(nodes[0].op_type):
            return
        if len([n for n in nodes[0].input if n and n not in constants]) != 1:
            return
        tensor = nodes[0].output[0]

"""Reference: runs a .tflite file with the format's own interpreter, and rewrites it.

A process of its own, since that interpreter follows whatever a file says:
``python -m pareto_profiler.models.reference REQUEST`` answers with one JSON object on stdout.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pareto_profiler.models.rewriting import Array, Rewriter, rewrite, with_provenance

_IDENTIFIER = b"TFL3"
# What is no function of its inputs, or has none.
_STATEFUL = (
    "VAR_HANDLE READ_VARIABLE ASSIGN_VARIABLE CALL_ONCE HASHTABLE HASHTABLE_FIND HASHTABLE_IMPORT"
).split()
_IMPURE = (
    "HASHTABLE_SIZE RANDOM_UNIFORM RANDOM_STANDARD_NORMAL MULTINOMIAL CUSTOM IF WHILE "
    "STABLEHLO_COMPOSITE STABLEHLO_WHILE STABLEHLO_RNG_BIT_GENERATOR"
).split()


class RefusedError(Exception):
    """It cannot be done, with the reason."""


class _Constants(Mapping[int, Array]):
    """Values of tensors that do not depend on the inputs, asked for one by one."""

    def __init__(self, interpreter: Any, tensors: set[int]) -> None:
        self._interpreter, self._tensors = interpreter, tensors

    def __getitem__(self, t: int) -> Array:
        if t not in self._tensors:
            raise KeyError(t)
        return np.asarray(self._interpreter.get_tensor(t))

    def __iter__(self) -> Iterator[int]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def _interpreter(content: bytes, inputs: Mapping[int, Array]) -> Any:
    """An interpreter that ran once; every tensor can be read."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    made = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
        num_threads=1,
    )
    shapes = {d["index"]: tuple(d["shape"]) for d in made.get_input_details()}
    for t, array in inputs.items():
        if shapes.get(t) != array.shape:
            made.resize_tensor_input(t, array.shape)
    made.allocate_tensors()
    for t, array in inputs.items():
        made.set_tensor(t, array)
    made.invoke()
    return made


def _run(content: bytes, inputs: Mapping[int, Array], what: str) -> Any:
    try:
        return _interpreter(content, inputs)
    except (RuntimeError, ValueError, TypeError) as error:
        words = " ".join(str(error).split())[:300]
        raise RefusedError(f"{what} does not run in the reference interpreter: {words}") from error


def _independent(rewriter: Rewriter) -> set[int]:
    """Tensors that do not depend on the model's inputs."""
    graph, buffers = rewriter.graph, rewriter.model.buffers
    data = [buffer.data is not None and len(buffer.data) > 0 for buffer in buffers]
    found = {t for t, tensor in enumerate(graph.tensors) if data[tensor.buffer]}
    for operation in graph.operators:
        inputs = [int(t) for t in operation.inputs if t >= 0]
        builtin = rewriter.builtin_of(operation)
        # All sizes are fixed now.
        is_of_sizes = builtin in {"SHAPE", "RANK"}
        is_pure = bool(inputs) and builtin not in _IMPURE and found.issuperset(inputs)
        if is_of_sizes or is_pure:
            found.update(map(int, operation.outputs))
    return found


def _difference(original: Any, other: Any) -> float:
    """Largest difference of any output, as a fraction of its range in the original."""
    worst = 0.0
    pairs = zip(original.get_output_details(), other.get_output_details(), strict=True)
    for ours, theirs in pairs:
        a = np.asarray(original.get_tensor(ours["index"]), np.float64)
        b = np.asarray(other.get_tensor(theirs["index"]), np.float64)
        if a.shape != b.shape:
            raise RefusedError(f"an output has the shape {b.shape} after it, {a.shape} before")
        if not a.size:
            continue
        if (np.isfinite(a) != np.isfinite(b)).any():
            raise RefusedError("an output is not finite where it was, or the other way round")
        finite = np.isfinite(a)
        if not finite.any():
            continue
        extent = float(np.ptp(a[finite])) or float(np.abs(a[finite]).max()) or 1.0
        worst = max(worst, float(np.abs(a - b)[finite].max()) / extent)
    return worst


def adapt(request: Mapping[str, Any]) -> dict[str, Any]:
    """Rewrite a file, and compare outputs.

    Args:
        request: ``model``, ``output``, ``inputs`` (an .npz of arrays in order), ``operators``,
            ``digest``.

    Raises:
        RefusedError: The original or what was made of it does not run, or is of a kind that cannot
            be rewritten.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    content = Path(request["model"]).read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    if any(buffer.offset > 1 for buffer in model.buffers):
        raise RefusedError("its weights lie behind the FlatBuffer")
    graph = model.subgraphs[0]
    with np.load(request["inputs"], allow_pickle=False) as archive:
        arrays = [archive[name] for name in archive.files]
    inputs = dict(zip(map(int, graph.inputs), arrays, strict=True))
    rewriter = Rewriter(schema, model, {}, {})
    stateful = sorted({rewriter.builtin_of(o) for o in graph.operators} & set(_STATEFUL))
    if stateful:
        raise RefusedError(f"it keeps state between runs ({', '.join(stateful)})")
    original = _run(content, inputs, "the model")
    details = {d["index"]: d for d in original.get_tensor_details()}
    count = len(graph.tensors)
    rewriter.shapes = {t: tuple(map(int, d["shape"])) for t, d in details.items() if t < count}
    rewriter.values = _Constants(original, _independent(rewriter))
    rewrite(rewriter, request["operators"])
    with_provenance(rewriter, request["digest"])
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    made = bytes(builder.Output())
    error = _difference(original, _run(made, inputs, "what was made of it"))
    Path(request["output"]).write_bytes(made)
    steps = [step.to_json() for step in rewriter.steps]
    return {"steps": steps, "origins": rewriter.origins, "error": error}


def cut(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write the beginning of a file: its first operations, with what others take as its outputs.

    Args:
        request: ``model``, ``output``, ``operations`` (how many).
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    content = Path(request["model"]).read_bytes()
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    count = int(request["operations"])
    kept, rest = graph.operators[:count], graph.operators[count:]
    taken = {int(t) for o in rest for t in o.inputs} | set(map(int, graph.outputs))
    made = [int(t) for o in kept for t in o.outputs]
    graph.operators = kept
    graph.outputs = np.array([t for t in made if t in taken] or made[-1:], np.int32)
    model.signatureDefs = None
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    Path(request["output"]).write_bytes(bytes(builder.Output()))
    return {}


def main() -> None:
    """Answer one request."""
    request = json.loads(sys.argv[1])
    try:
        answer = (cut if "operations" in request else adapt)(request)
    except RefusedError as error:
        answer = {"refused": str(error)}
    except Exception as error:  # noqa: BLE001 - the library's code meets any file
        answer = {"refused": f"it cannot be rewritten: {type(error).__name__}: {error}"[:400]}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()

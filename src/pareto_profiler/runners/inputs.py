"""Input tensors: recorded ones from a file, or seeded random ones of the right type and range."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pareto_profiler.core.graph import Graph, Tensor
from pareto_profiler.errors import InputError

Array = NDArray[np.generic]

_NUMPY_TYPES: Final = set(
    "float32 float64 float16 int32 uint32 uint8 int64 bool int16 int8".split()
)
_LARGEST_BYTES: Final = 4 << 30
# Operators, in each format's words: the input with the table, and the one with the index.
_LOOKUPS: Final = {"GATHER": (0, 1), "EMBEDDING_LOOKUP": (1, 0), "Gather": (0, 1)}
# What hands numbers on as they are, from its first input or from all of them.
_PASSING: Final = (
    "RESHAPE CAST SQUEEZE EXPAND_DIMS SLICE STRIDED_SLICE TRANSPOSE TILE SPLIT UNPACK PAD "
    "BROADCAST_TO REVERSE_V2 "
    "Reshape Cast Squeeze Unsqueeze Slice Transpose Tile Split Pad Expand Identity Flatten"
).split()
_JOINING: Final = {"CONCATENATION", "PACK", "Concat"}
_LARGEST_INTEGER: Final = 100
_SUFFIXES: Final = (".npy", ".npz", ".h5", ".hdf5")
_LOG: Final = logging.getLogger(__name__)


def load_input_sets(graph: Graph, path: Path) -> list[list[Array]]:
    """Read recorded inputs, one set or several.

    Args:
        graph: The model they are for.
        path: As for :func:`load_inputs`; several are a folder of such files, in the order of their
            names, or a file whose arrays have one axis more than the inputs, the first.

    Returns:
        The sets, one array per model input each; the first one is measured.

    Raises:
        InputError: As :func:`load_inputs`; or the folder is empty, or the arrays have different
            numbers of sets.
    """
    if not path.exists():
        raise InputError(f"{path}: there is no such file")
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix in _SUFFIXES)
        if not files:
            raise InputError(f"{path}: has no {', '.join(_SUFFIXES)} file")
        return [load_inputs(graph, file) for file in files]
    wanted = [graph.tensors[t] for t in graph.inputs]
    arrays = _loaded(path)
    is_several = len(arrays) == len(wanted) and all(
        array.ndim == len(tensor.shape) + 1
        and _is_same_shape(array.shape[1:], tensor.signature or tensor.shape)
        for (_, array), tensor in zip(_in_order(arrays, wanted, path), wanted, strict=True)
    )
    if not is_several or not wanted:
        return [load_inputs(graph, path)]
    counts = {len(array) for array in arrays.values()}
    if counts == {0}:
        raise InputError(f"{path}: holds no set of inputs")
    if len(counts) > 1:
        raise InputError(f"{path}: arrays of {sorted(counts)} sets; expected as many of each input")
    return [
        _fitted({name: array[i] for name, array in arrays.items()}, wanted, path)
        for i in range(counts.pop())
    ]


def load_inputs(graph: Graph, path: Path) -> list[Array]:
    """Read recorded inputs.

    Args:
        graph: The model they are for.
        path: ``.npy`` for a model of one input; ``.npz`` or ``.h5`` for any: arrays in the order of
            their names where those are numbers (``0``, ``arr_0``, ``value/0``), else by the names
            of the input tensors.

    Returns:
        One array per model input, in order.

    Raises:
        InputError: The file cannot be read, or an array is missing or of another type or shape.
    """
    return _fitted(_loaded(path), [graph.tensors[t] for t in graph.inputs], path)


def _loaded(path: Path) -> dict[str, Array]:
    try:
        return _read(path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: cannot be read as inputs: {error}") from error


def _fitted(arrays: dict[str, Array], wanted: Sequence[Tensor], path: Path) -> list[Array]:
    if len(arrays) != len(wanted):
        raise InputError(f"{path}: {len(arrays)} arrays, the model has {len(wanted)} inputs")
    return [
        _fitting(array, tensor, f"{path}: array {name}")
        for (name, array), tensor in zip(_in_order(arrays, wanted, path), wanted, strict=True)
    ]


def random_inputs(graph: Graph, seed: int) -> list[Array]:
    """Draw inputs of the right type and range.

    Floats come from [0, 1), bytes from their whole range, other integers from 0 … 99 or, where
    they are looked up in a table, from inside it. Where a model looks something up and it cannot
    be told whether an integer input is that, it is zero, which is logged.

    Raises:
        InputError: An input has a type that has no random values, such as a string.
    """
    generator = np.random.default_rng(seed)
    limits, has_lookups = _index_limits(graph), _has_lookups(graph)
    arrays: list[Array] = []
    for t in graph.inputs:
        tensor = graph.tensors[t]
        shape = tuple(abs(size) for size in tensor.shape)  # a free size (-1) is taken as 1
        if tensor.dtype not in _NUMPY_TYPES:
            raise InputError(
                f"input {tensor.name!r} is of type {tensor.dtype}: models that take other things "
                f"than numbers cannot be measured"
            )
        if tensor.size_bytes > _LARGEST_BYTES:
            raise InputError(f"input {tensor.name!r} of {tensor.size_bytes:,} bytes is too large")
        dtype = np.dtype(tensor.dtype)
        if dtype.kind == "f":
            arrays.append(generator.random(shape).astype(dtype))
        elif dtype.kind == "b":
            arrays.append(generator.integers(0, 2, shape).astype(dtype))
        elif dtype.itemsize == 1:
            info = np.iinfo(dtype)
            arrays.append(generator.integers(info.min, int(info.max) + 1, shape).astype(dtype))
        else:
            limit = limits.get(t, 1 if has_lookups else _LARGEST_INTEGER)
            if limit == 1 and t not in limits:
                _LOG.warning(
                    "input %r is measured as zeros: it may be an index; give --input", tensor.name
                )
            arrays.append(generator.integers(0, limit, shape).astype(dtype))
    return arrays


def other_inputs(arrays: Sequence[Array]) -> list[Array]:
    """Inputs that are not these and that a model takes where it takes these.

    Floats are turned round and halved; other numbers are turned round, since they may be looked up
    in a table.

    Examples:
        >>> other_inputs([np.float32([1, 2]), np.int32([3, 4])])
        [array([1. , 0.5], dtype=float32), array([4, 3], dtype=int32)]
    """
    found: list[Array] = []
    for array in arrays:
        turned = array.ravel()[::-1].reshape(array.shape)
        is_float = array.dtype.kind == "f"
        found.append(np.multiply(turned, 0.5, dtype=array.dtype) if is_float else turned)
    return found


def shapes_of(graph: Graph, texts: Sequence[str]) -> dict[int, tuple[int, ...]]:
    """The shapes of inputs that texts such as ``image=1,224,224,3`` name.

    Args:
        graph: The model they are for.
        texts: One each; the name may be left out where there is one input.

    Returns:
        Index of an input's tensor → its shape.

    Raises:
        InputError: There is no such input, it is named twice, or what is given is no shape of it.
    """
    names = {graph.tensors[t].name: t for t in graph.inputs}
    shapes: dict[int, tuple[int, ...]] = {}
    for text in texts:
        name, _, sizes = text.rpartition("=")
        if not name and len(names) == 1:
            name = next(iter(names))
        if name not in names:
            raise InputError(f"--input-shape {text}: the inputs are {', '.join(names)}")
        tensor = graph.tensors[names[name]]
        if not re.fullmatch(r"[1-9]\d{0,8}(,[1-9]\d{0,8})*", sizes, re.ASCII):
            raise InputError(f"--input-shape {text}: expected sizes such as 1,224,224,3")
        shape = tuple(map(int, sizes.split(",")))
        wanted = tensor.signature or tensor.shape
        if len(shape) != len(wanted) or not _is_same_shape(shape, wanted):
            free = ",".join("?" if size < 0 else str(size) for size in wanted)
            raise InputError(f"--input-shape {text}: {name!r} has the shape {free}")
        if names[name] in shapes:
            raise InputError(f"--input-shape {text}: {name!r} is named twice")
        shapes[names[name]] = shape
    return shapes


def digest_of(arrays: Sequence[Array]) -> str:
    """SHA-256 over types, shapes and bytes, in hex."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape};".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def _has_lookups(graph: Graph) -> bool:
    """Whether something is looked up at places that the model computes or is given."""
    return any(
        graph.tensors[t].constant_bytes == 0
        for operation in graph.operations
        if operation.builtin in _LOOKUPS
        for t in operation.inputs[_LOOKUPS[operation.builtin][1] :][:1]
        if t >= 0
    )


def _index_limits(graph: Graph) -> dict[int, int]:
    """Tensor → how many entries a table has that it is an index into, from the end backwards."""
    limits: dict[int, int] = {}
    for operation in reversed(graph.operations):
        told = [limits[t] for t in operation.outputs if t in limits]
        if told and operation.builtin in (*_PASSING, *_JOINING):
            handed = operation.inputs if operation.builtin in _JOINING else operation.inputs[:1]
            if operation.builtin == "SPLIT":
                handed = operation.inputs[1:2]
            for t in handed:
                limits[t] = min([limits.get(t, _LARGEST_INTEGER), *told])
        table, index = _LOOKUPS.get(operation.builtin, (0, len(operation.inputs)))
        if index < len(operation.inputs) and operation.inputs[table] >= 0:
            shape = graph.tensors[operation.inputs[table]].shape
            t = operation.inputs[index]
            # Whatever axis it looks up along, which the graph does not tell.
            limits[t] = max(1, min([limits.get(t, _LARGEST_INTEGER), *shape]))
    return limits


def _read(path: Path) -> dict[str, Array]:
    match path.suffix:
        case ".npy":
            return {"0": np.load(path, allow_pickle=False)}
        case ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        case ".h5" | ".hdf5":
            # Heavy, and only for users of nnpackages with recorded inputs.
            import h5py

            with h5py.File(path, "r") as file:
                group = file.get("value", file)
                return {name: np.asarray(group[name]) for name in group}
        case _:
            raise InputError(f"{path}: expected a .npy, .npz or .h5 file")


def _in_order(
    arrays: dict[str, Array], wanted: Sequence[Tensor], path: Path
) -> list[tuple[str, Array]]:
    if all(tensor.name in arrays for tensor in wanted):
        return [(tensor.name, arrays[tensor.name]) for tensor in wanted]
    numbers = {name: re.fullmatch(r"(?:arr_)?(\d+)", name) for name in arrays}
    if not all(numbers.values()):
        raise InputError(
            f"{path}: arrays {', '.join(arrays)}; expected 0, 1, … or the inputs' names "
            f"{', '.join(tensor.name for tensor in wanted)}"
        )
    return sorted(arrays.items(), key=lambda item: int(numbers[item[0]].group(1)))  # type: ignore[union-attr]  # checked above


def _fitting(array: Array, tensor: Tensor, what: str) -> Array:
    if str(array.dtype) != tensor.dtype:
        raise InputError(f"{what} is {array.dtype}, input {tensor.name!r} is {tensor.dtype}")
    wanted = tensor.signature or tensor.shape
    if not _is_same_shape(array.shape, wanted):
        raise InputError(f"{what} has shape {array.shape}, input {tensor.name!r} has {wanted}")
    free = list(tensor.signature or tensor.shape)
    return array.reshape(free if free.count(-1) <= 1 else array.shape)


def _is_same_shape(given: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Whether they are the same but for sizes of 1; a free size (-1) takes any."""
    if len(given) == len(wanted):
        return all(w in (g, -1) for g, w in zip(given, wanted, strict=True))
    return [g for g in given if g != 1] == [w for w in wanted if w != 1]

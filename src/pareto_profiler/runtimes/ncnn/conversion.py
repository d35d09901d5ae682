"""Conversion: an .onnx model as ncnn's files, by pnnx, kept in the user's cache."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Final

from pareto_profiler.core.graph import Graph
from pareto_profiler.drivers.answer import ending, said_by_runtime
from pareto_profiler.errors import ModelError
from pareto_profiler.models import Model, load
from pareto_profiler.models.onnx_reader import external_files, parsed
from pareto_profiler.models.param_reader import INPUT
from pareto_profiler.shells.base import Completed
from pareto_profiler.shells.local import LocalShell

_LOG: Final = logging.getLogger(__name__)
_PACKAGE: Final = "pnnx"
_LIMIT_S: Final = 300.0
_HOW: Final = f"pip install --no-deps {_PACKAGE}"
# Of an Input layer: width, height, channels, depth, from the innermost size on.
_SIZES: Final = (0, 1, 2, 11)
# What pnnx writes where ncnn has nothing for it.
_LEFT: Final = re.compile(r"^(?:pnnx|aten|prim|Tensor|torch)\.\S+", re.MULTILINE)
_CONTROL_FLOW: Final = {"If", "Loop", "Scan"}
_MOST_WORDS: Final = 120
_TYPES: Final = {"float32": "f32", "float16": "f16", "int32": "i32", "int64": "i64"}


def converted(model: Model) -> Model:
    """The same model in ncnn's format; made once, and kept.

    Args:
        model: An .onnx file.

    Raises:
        ModelError: pnnx is not installed, does not take the model, or the cache cannot be written.
    """
    if free := model.graph.free_inputs:
        raise ModelError(
            f"{model.path}: input {free[0].name!r} has free sizes, and pnnx converts what has "
            f"none: fix them in the file first"
        )
    if bodies := sorted({o.builtin for o in model.graph.operations if o.builtin in _CONTROL_FLOW}):
        raise ModelError(
            f"{model.path}: pnnx converts no control flow, and it has {', '.join(bodies)}"
        )
    program = _program()
    if program is None:
        raise ModelError(f"{model.path}: ncnn takes it converted by pnnx: {_HOW}")
    version = importlib.metadata.version(_PACKAGE)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(f"{model.graph.digest} {version} in one file".encode()).hexdigest()[:12]
    folder = home / "pareto-profiler" / "ncnn" / digest
    made = folder / f"{model.path.stem}.param"
    if not made.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _convert(program, model, made)
        except OSError as error:
            raise ModelError(f"{folder}: cannot be written: {error.strerror}") from error
        _LOG.warning("converted by pnnx %s, kept as %s", version, made)
    return Model(model.path, made, None, _with_outputs_of(load(made).graph, model.graph))


def _with_outputs_of(graph: Graph, original: Graph) -> Graph:
    """A converted graph whose outputs are as large as the original's, where both have as many.

    Which layer computes which operation, pnnx does not say.
    """
    tensors = list(graph.tensors)
    if len(graph.outputs) == len(original.outputs):
        for t, o in zip(graph.outputs, original.outputs, strict=True):
            of = original.tensors[o]
            tensors[t] = replace(
                tensors[t], shape=_without_batch(of.shape), size_bytes=of.size_bytes
            )
    return replace(graph, tensors=tuple(tensors), original=original.digest)


def _without_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape


def _program() -> Path | None:
    spec = importlib.util.find_spec(_PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        program = Path(folder) / _PACKAGE
        if os.access(program, os.X_OK):
            return program
    return None


def _convert(program: Path, model: Model, to: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as folder:
        here = Path(folder)
        copy = here / "model.onnx"
        _copy(model, copy)
        shapes = ",".join(_shape_of(model.graph, t) for t in model.graph.inputs)
        # Weights as they are: fp16 would be other numbers.
        command = [str(program), str(copy), f"inputshape={shapes}", "fp16=0"]
        done = LocalShell().run(command, environment={}, time_limit_s=_LIMIT_S)
        param, weights = here / "model.ncnn.param", here / "model.ncnn.bin"
        if done.status or not param.is_file() or not weights.is_file():
            raise ModelError(f"{model.path}: {_why_not(done)}")
        text = param.read_text(encoding="utf-8")
        if left := sorted(set(_LEFT.findall(text))):
            raise ModelError(
                f"{model.path}: pnnx leaves what ncnn has no layer for: {', '.join(left)}"
            )
        shutil.copyfile(weights, to.with_suffix(".bin"))
        text = with_sizes(text, model.graph)
        draft = to.with_suffix(f".{os.getpid()}")
        draft.write_text(text, encoding="utf-8")
        draft.replace(to)


def _why_not(done: Completed) -> str:
    """In a line why pnnx made nothing of a model; its own words are pages."""
    said = [line for line in said_by_runtime(done).split(" | ") if "pnnx" not in line]
    reason = f": {said[-1][:_MOST_WORDS]}" if said else ""
    return f"pnnx does not convert it ({ending(done)}){reason}"


def _copy(model: Model, to: Path) -> None:
    """The model in one file: what lies beside it, pnnx reads as it likes."""
    import onnx
    from google.protobuf.message import EncodeError

    read = parsed(model.file.read_bytes(), model.file)
    if not external_files(read, model.file):
        shutil.copyfile(model.file, to)
        return
    onnx.load_external_data_for_model(read, str(model.file.parent))
    try:
        to.write_bytes(read.SerializeToString())
    except (EncodeError, ValueError) as error:
        raise ModelError(f"{model.path}: with its weights it is too large for pnnx") from error


def _shape_of(graph: Graph, tensor: int) -> str:
    of = graph.tensors[tensor]
    return f"[{','.join(map(str, of.shape))}]{_TYPES.get(of.dtype, of.dtype)}"


def with_sizes(text: str, graph: Graph) -> str:
    """A .param file's text whose inputs say how large they are: ncnn knows no batch.

    Args:
        text: As pnnx wrote it: inputs are called ``in0``, ``in1``, … in the model's order.
        graph: Of the .onnx model.
    """
    lines = text.splitlines()
    for i, line in enumerate(lines):
        words = line.split()
        if len(words) < 5 or words[0] != INPUT or not words[4].removeprefix("in").isdigit():
            continue
        number = int(words[4].removeprefix("in"))
        if number >= len(graph.inputs):
            continue
        sizes = _without_batch(graph.tensors[graph.inputs[number]].shape)
        told = zip(_SIZES, reversed(sizes), strict=False)
        lines[i] = " ".join([*words[:5], *(f"{key}={size}" for key, size in told)])
    return "\n".join(lines) + "\n"

"""Model file or nnpackage directory → Graph."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from pareto_profiler.core.graph import Graph
from pareto_profiler.errors import ModelError, tame
from pareto_profiler.files import (
    LARGEST_MODEL_BYTES,
    LARGEST_TEXT_BYTES,
    first_bytes,
    is_folder,
    read_regular,
)
from pareto_profiler.models.onnx_reader import FORMAT as ONNX
from pareto_profiler.models.onnx_reader import is_onnx, read_onnx
from pareto_profiler.models.param_reader import FORMAT as PARAM
from pareto_profiler.models.param_reader import MAGIC, read_param
from pareto_profiler.models.reader import IDENTIFIERS, read_graph
from pareto_profiler.models.recognising import what_it_is

__all__ = ["Model", "format_of", "load", "load_of", "read_manifest"]

_MANIFEST: Final = Path("metadata", "MANIFEST")
_HEAD_BYTES: Final = 8
_HEAD_SHOWN: Final = 16
_TYPES: Final = ("tflite", "circle")
# What does not end reaches to the end: a search for it from each beginning would take hours.
_STRING: Final = r'"(?:\\.|[^"\\])*(?:"|\Z)'
_COMMENT: Final = re.compile(rf"({_STRING})|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_TRAILING_COMMA: Final = re.compile(rf"({_STRING})|(?<=[^\s\[{{,:])\s*,(?=\s*[\]}}])")


@dataclass(frozen=True, slots=True)
class Model:
    """A model that was read.

    Attributes:
        path: What the user named: a file or an nnpackage directory.
        file: The model file itself.
        input_file: Recorded inputs that the nnpackage carries, None where there are none.
        graph: What the file says.
    """

    path: Path
    file: Path
    input_file: Path | None
    graph: Graph

    @property
    def name(self) -> str:
        """Name for folders and titles: the file or package name without its suffix."""
        name = self.path.resolve().name if is_folder(self.path) else self.path.stem
        return tame(name)


def load(path: Path) -> Model:
    """Read a .tflite, .circle, .onnx or .param file, or an nnpackage directory.

    The content of a file decides what it is, not its suffix.

    Raises:
        ModelError: It is missing, unreadable, of another format or damaged.
    """
    if not is_folder(path):
        return Model(path, path, None, _graph_of(path))
    file, model_type = _open_package(path)
    graph = _graph_of(file)
    if model_type not in {"", graph.format}:
        raise ModelError(
            f'{path / _MANIFEST}: "model-types" says {model_type}, {file.name} is a '
            f"{graph.format} file; correct one of them"
        )
    recorded = path / "metadata" / "tc" / "input.h5"
    return Model(path, file, recorded if recorded.is_file() else None, graph)


def sized(model: Model, shapes: Mapping[int, Sequence[int]]) -> Model:
    """A model whose inputs have given shapes; of an ONNX file what follows from them, too.

    Args:
        model: As it was read.
        shapes: Index of an input's tensor → its shape.

    Raises:
        ModelError: The file is not there any more.
    """
    graph = model.graph.with_input_shapes(shapes)
    if shapes and graph.format == ONNX:
        data = read_regular(model.file, ModelError, limit_bytes=LARGEST_MODEL_BYTES)
        names = {graph.tensors[t].name: graph.tensors[t].shape for t in graph.inputs}
        told = read_onnx(data, model.file, names)
        own = {*graph.inputs}
        tensors = tuple(graph.tensors[t.index] if t.index in own else t for t in told.tensors)
        operations = tuple(
            replace(
                o, data_bytes=sum(tensors[t].size_bytes for t in (*o.inputs, *o.outputs) if t >= 0)
            )
            for o in graph.operations
        )
        graph = replace(graph, tensors=tensors, operations=operations)
    return replace(model, graph=graph)


def load_of(path: Path, formats: Collection[str], reader: str) -> Model:
    """A model that has one of some formats.

    Args:
        path: As for :func:`load`.
        formats: Which, such as ``tflite``.
        reader: Who reads no others, for the message.

    Raises:
        ModelError: As :func:`load`; or it is of another format.
    """
    model = load(path)
    if model.graph.format not in formats:
        suffixes = " and ".join(f".{name}" for name in sorted(formats, reverse=True))
        raise ModelError(
            f"{path}: is of the format {model.graph.format}, which {reader} does not read: it "
            f"takes {suffixes} files; try --runtime with another"
        )
    return model


def read_manifest(package: Path) -> dict[str, Any]:
    """The MANIFEST of an nnpackage, read as JsonCpp reads it.

    A byte order mark, comments, a comma behind the last entry and text behind the closing brace
    are passed over.

    Raises:
        ModelError: It is missing, unreadable or not such a JSON object.
    """
    path = package / _MANIFEST
    if not path.exists():
        raise ModelError(
            f"{package}: is a folder without metadata/MANIFEST, so no nnpackage; expected one, or "
            f"a .tflite, .circle, .onnx or .param file"
        )
    data = read_regular(path, ModelError, limit_bytes=LARGEST_TEXT_BYTES)
    try:
        text = data.decode("utf-8-sig")
        for passed_over in (_COMMENT, _TRAILING_COMMA):
            text = passed_over.sub(lambda match: match[1] or " ", text)
        content, _ = json.JSONDecoder().raw_decode(text.lstrip())
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict):
        raise ModelError(f"{path}: expected a JSON object")
    return content


def format_of(path: Path) -> str:
    """The format of a file by its first bytes; empty where they do not tell."""
    head = first_bytes(path, _HEAD_BYTES)
    if head.startswith(MAGIC):
        return PARAM
    return ONNX if is_onnx(head) else IDENTIFIERS.get(head[4:8], "")


def _graph_of(file: Path) -> Graph:
    data = read_regular(file, ModelError, limit_bytes=LARGEST_MODEL_BYTES)
    if data.startswith(MAGIC):
        return read_param(data, file)
    if is_onnx(data[:_HEAD_BYTES]):
        return read_onnx(data, file)
    is_other = file.suffix in {f".{ONNX}", f".{PARAM}"} and data[4:8] not in IDENTIFIERS
    if is_other and not what_it_is(data):
        raise ModelError(
            f"{file}: is no {file.suffix} file: it has {len(data)} bytes and begins with "
            f"{data[:_HEAD_SHOWN]!r}"
        )
    return read_graph(data, str(file))


def _open_package(folder: Path) -> tuple[Path, str]:
    """The model's file in a package, and its type; empty where the package leaves that open."""
    manifest = folder / _MANIFEST
    content = read_manifest(folder)
    names = content.get("models")
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise ModelError(f'{manifest}: expected a list of file names under "models"')
    if len(names) > 1:
        raise ModelError(f"{manifest}: {len(names)} models; operations of several cannot be placed")
    file = folder / names[0]
    try:
        is_inside = file.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{manifest}: {names[0]!r} is no file name: {error}") from error
    if not is_inside:
        raise ModelError(f"{manifest}: {names[0]!r} lies outside the package")
    types = content.get("model-types") or [""]
    if not isinstance(types, list) or types[0] not in ("", *_TYPES):
        raise ModelError(
            f'{manifest}: "model-types" is {str(types)[:60]}: expected a list of one of '
            f"{', '.join(_TYPES)}"
        )
    return file, types[0]

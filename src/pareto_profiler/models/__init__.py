"""Model file or nnpackage directory → Graph."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pareto_profiler.core.graph import Graph
from pareto_profiler.errors import ModelError
from pareto_profiler.files import (
    LARGEST_MODEL_BYTES,
    LARGEST_TEXT_BYTES,
    is_folder,
    read_regular,
)
from pareto_profiler.models.reader import read_graph

__all__ = ["Model", "load"]

_SUFFIXES: Final = (".tflite", ".circle")


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
        return self.path.resolve().name if is_folder(self.path) else self.path.stem


def load(path: Path) -> Model:
    """Read a ``.tflite`` or ``.circle`` file, or an nnpackage directory.

    Raises:
        ModelError: It is missing, unreadable, of another format or damaged.
    """
    file, input_file = _open_package(path) if is_folder(path) else (path, None)
    data = read_regular(file, ModelError, limit_bytes=LARGEST_MODEL_BYTES)
    return Model(path, file, input_file, read_graph(data, str(file)))


def _open_package(folder: Path) -> tuple[Path, Path | None]:
    manifest = folder / "metadata" / "MANIFEST"
    if not manifest.exists():
        raise ModelError(
            f"{folder}: is a folder without metadata/MANIFEST, so no nnpackage; expected one, or a "
            f".tflite or .circle file"
        )
    text = read_regular(manifest, ModelError, limit_bytes=LARGEST_TEXT_BYTES)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{manifest}: not JSON: {error}") from error
    names = content.get("models") if isinstance(content, dict) else None
    if not isinstance(names, list) or not names or not isinstance(names[0], str):
        raise ModelError(f'{manifest}: expected a list of file names under "models"')
    if len(names) > 1:
        raise ModelError(
            f"{manifest}: {len(names)} models; onert takes no operation map for several"
        )
    file = folder / names[0]
    try:
        is_inside = file.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError) as error:
        raise ModelError(f"{manifest}: {names[0]!r} is no file name: {error}") from error
    if not is_inside:
        raise ModelError(f"{manifest}: {names[0]!r} lies outside the package")
    if file.suffix not in _SUFFIXES:
        raise ModelError(f"{manifest}: {names[0]!r} is neither a .tflite nor a .circle file")
    recorded = folder / "metadata" / "tc" / "input.h5"
    return file, recorded if recorded.is_file() else None

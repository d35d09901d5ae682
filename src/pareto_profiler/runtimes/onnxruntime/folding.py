"""Folding: a model with all that is constant computed once, by the runtime itself, here."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path, PurePosixPath
from typing import Final

from pareto_profiler.drivers.answer import ending, said_by_runtime
from pareto_profiler.drivers.engine import Driver
from pareto_profiler.errors import ModelError
from pareto_profiler.models import Model
from pareto_profiler.models.onnx_reader import external_files, parsed
from pareto_profiler.runtimes.base import Where
from pareto_profiler.runtimes.onnxruntime.configuration import options_text
from pareto_profiler.runtimes.onnxruntime.rewriting import (
    LEAST_IR_VERSION,
    SAVED_WEIGHTS,
    WEIGHTS,
    Base,
    without_overriding,
)
from pareto_profiler.runtimes.wheel import Wheel
from pareto_profiler.shells.local import LocalShell

NAME: Final = "onnxruntime"
WHEEL: Final = Wheel(NAME, NAME, f"{NAME}/capi", "libonnxruntime.so.*", "1.20")
_LIMIT_S: Final = 300.0
# What is constant is folded, and nothing is laid out anew yet.
_LEVEL: Final = "1"
_FILE: Final = "base.onnx"


def folded(model: Model) -> Base:
    """The model as the runtime has it before it packs anything; kept in the user's cache.

    Raises:
        ModelError: The runtime cannot load it, or the cache cannot be written.
        TargetError: The runtime is not installed here.
    """
    here = Where("local", is_local=True, work=PurePosixPath())
    driver, version = WHEEL.driver(LocalShell(), here)
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    digest = hashlib.sha256(f"{model.graph.digest} {version}".encode()).hexdigest()[:12]
    folder = home / "pareto-profiler" / NAME / digest
    base = folder / _FILE
    # What a power failure cut short is made again.
    for is_made in (base.is_file() and (folder / WEIGHTS).is_file(), False):
        if not is_made:
            try:
                folder.parent.mkdir(parents=True, exist_ok=True)
                with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".") as made:
                    _fold(driver, model, Path(made))
                    _move(Path(made), folder)
            except OSError as error:
                raise ModelError(f"{folder}: cannot be written: {error.strerror}") from error
        try:
            return Base.of(parsed(base.read_bytes(), base), folder, model.graph)
        except ModelError as error:
            reason = error
    raise ModelError(
        f"{model.path}: {NAME} leaves no operation of it to run: all of it is constant"
    ) from reason


def _fold(driver: Driver, model: Model, folder: Path) -> None:
    file = model.file
    read = parsed(file.read_bytes(), file)
    if without_overriding(read):
        import onnx

        if external_files(read, file):
            onnx.load_external_data_for_model(read, str(file.parent))
        # Before it, constants had to be inputs.
        read.ir_version = max(read.ir_version, LEAST_IR_VERSION)
        file = folder / "model.onnx"
        file.write_bytes(read.SerializeToString())
    made = folder / _FILE
    save = {"level": _LEVEL, "save": str(made), **SAVED_WEIGHTS}
    request = {
        "model": str(file.resolve()),
        "backends": {"session": {"options": options_text(save)}},
        "threads": 1,
        "prepare_only": True,
    }
    done = driver.start(request, {}, _LIMIT_S)
    if done.status or not made.is_file():
        words = said_by_runtime(done)
        how = "" if done.status == 1 else f"{ending(done)}: "
        raise ModelError(f"{model.path}: {NAME} cannot load it: {how}{words}")
    if not (folder / WEIGHTS).is_file():
        (folder / WEIGHTS).write_bytes(b"")  # all of them are small, and in the model


def _move(made: Path, folder: Path) -> None:
    """The weights first: what has a model is whole, whoever else makes the same."""
    folder.mkdir(exist_ok=True)
    for name in (WEIGHTS, _FILE):
        (made / name).replace(folder / name)

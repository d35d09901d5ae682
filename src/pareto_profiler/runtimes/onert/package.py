"""Package: a configuration inside an nnpackage."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from pareto_profiler.core.graph import Graph
from pareto_profiler.errors import InputError
from pareto_profiler.files import is_folder
from pareto_profiler.models import read_manifest
from pareto_profiler.runtimes.base import Artifact
from pareto_profiler.runtimes.onert.code import header_of
from pareto_profiler.runtimes.onert.nnpackage import CFG
from pareto_profiler.runtimes.onert.shipment import variables_of

CALLS: Final = "pareto_profiler.h"
# Read by a C library of the host's, not by onert's configuration.
_NO_KEYS: Final = {"OMP_NUM_THREADS"}
_CONFIGS_SINCE: Final = (1, 1, 0)
_MAX_DIGITS: Final = 9


def write_package(artifact: Artifact, model: Path, graph: Graph, to: Path) -> list[str]:
    """Write an nnpackage: a copy of one, or one made from a model file.

    Beside the ``cfg`` file that ``configs`` names, which onert reads at once up to 1.27, lies a C
    header with the strings for the calls that every version reads. It is there as a whole or not at
    all; one that was written before is replaced.

    Args:
        artifact: What is shipped.
        model: A model file or an nnpackage directory.
        graph: What it holds.
        to: The new directory.

    Returns:
        What the package's own configuration set, and what was measured did not: it is left out.

    Raises:
        InputError: Something else is there already, or it cannot be written.
    """
    if to.exists() and not (to / "metadata" / CFG).is_file():
        raise InputError(f"{to}: is there already; name a new folder with --output")
    place = to.resolve()
    if is_folder(model) and place.is_relative_to(model.resolve()):
        raise InputError(f"{to}: lies inside the package that is to be copied")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent, prefix=".pareto-profiler-") as drafts:
            draft = Path(drafts) / "package"
            left_out = _write(artifact, model, graph, draft)
            if to.exists():
                place.rename(Path(drafts) / "before")
            draft.rename(place)
    except OSError as error:
        raise InputError(f"{to}: cannot be written: {error.strerror or error}") from error
    return left_out


def configured(artifact: Artifact) -> dict[str, str]:
    """What the package's configuration says."""
    return {key: value for key, value in variables_of(artifact).items() if key not in _NO_KEYS}


def read_configuration(package: Path) -> dict[str, str]:
    """What a package's configuration says, as onert reads it."""
    text = (package / "metadata" / CFG).read_text(encoding="utf-8")
    lines = (line.split("#")[0].partition("=") for line in text.splitlines())
    return {key.strip(): value.strip() for key, sign, value in lines if sign}


def _write(artifact: Artifact, model: Path, graph: Graph, to: Path) -> list[str]:
    metadata = to / "metadata"
    manifest: dict[str, object]
    if is_folder(model):
        _copy(model, to)
        # A suffix alone may not tell the type to every version.
        manifest = {"model-types": [graph.format], **read_manifest(model)}
    else:
        metadata.mkdir(parents=True)
        name = f"model.{graph.format}"
        shutil.copyfile(model, to / name)
        manifest = {"models": [name], "model-types": [graph.format]}
    ours = variables_of(artifact)
    left_out = [key for key in _own_keys(metadata, manifest) if key not in ours]
    lines = [f"# {fact}" for fact in artifact.facts]
    lines += [f"{key}={value}" for key, value in configured(artifact).items()]
    # Lines end with LF alone: a CR would become part of a backend's name.
    (metadata / CFG).write_bytes(("\n".join(lines) + "\n").encode())
    (metadata / "MANIFEST").write_text(
        json.dumps(_with_configs(manifest), indent=2) + "\n", encoding="utf-8"
    )
    try:
        (metadata / CALLS).write_text(header_of(artifact), encoding="utf-8")
    except InputError:  # no calls can tell this model: the configuration alone remains
        (metadata / CALLS).unlink(missing_ok=True)
    return left_out


def _copy(folder: Path, to: Path) -> None:
    """A folder's files, without their modes: a copy of what is read-only can be written."""
    for directory, _, names in os.walk(folder):
        there = to / Path(directory).relative_to(folder)
        there.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copyfile(Path(directory) / name, there / name)


def _own_keys(metadata: Path, manifest: dict[str, object]) -> list[str]:
    """What the package's own configuration sets, but for where operations run."""
    configs = manifest.get("configs")
    if not isinstance(configs, list) or not configs or not isinstance(configs[0], str):
        return []
    if not configs[0] or "\0" in configs[0]:
        return []
    file = metadata / configs[0]
    if not file.resolve().is_relative_to(metadata.resolve()) or not file.is_file():
        return []
    found = []
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        key, sign, _ = line.split("#")[0].partition("=")
        if sign and not key.strip().startswith(("BACKENDS", "OP_BACKEND_")):
            found.append(key.strip())
    return found


def _with_configs(manifest: dict[str, object]) -> dict[str, object]:
    """With our configuration, under a version that has configurations."""
    keys = ("major-version", "minor-version", "patch-version")
    numbers = [str(manifest.get(key, "")) for key in keys]
    version = tuple(int(n) if _is_number(n) else 0 for n in numbers)
    version = max(version, _CONFIGS_SINCE)
    told = dict(zip(keys, map(str, version), strict=True))
    return {**told, **{k: v for k, v in manifest.items() if k not in told}, "configs": [CFG]}


def _is_number(text: str) -> bool:
    return text.isdecimal() and text.isascii() and len(text) <= _MAX_DIGITS

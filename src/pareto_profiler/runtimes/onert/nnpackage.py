"""A model on a target as an nnpackage, which every onert loads; with settings where needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Final

from pareto_profiler.models import Model
from pareto_profiler.runners.workspace import Workspace

CFG: Final = "pareto_profiler.cfg"


def package_of(folder: PurePosixPath) -> PurePosixPath:
    """Where the package lies in a workspace's folder."""
    return folder / "package"


def files_of(folder: PurePosixPath, model: Model) -> dict[PurePosixPath, Path | bytes]:
    """What a workspace needs for a package of a model."""
    package = package_of(folder)
    # onert goes by the suffix, whatever the file was called.
    return {
        package / f"model.{model.graph.format}": model.file,
        package / "metadata" / "MANIFEST": _manifest(model, ()),
    }


def tell(workspace: Workspace, model: Model, settings: Mapping[str, str]) -> None:
    """Write the package's configuration file, for builds that read no variables."""
    metadata = package_of(workspace.folder) / "metadata"
    text = "".join(f"{key}={value}\n" for key, value in settings.items())
    workspace.keep(text.encode(), metadata / CFG)
    workspace.keep(_manifest(model, (CFG,)), metadata / "MANIFEST")


def _manifest(model: Model, configs: tuple[str, ...]) -> bytes:
    return json.dumps(
        {
            "major-version": "1",
            "minor-version": "2",
            "patch-version": "0",
            "configs": list(configs),
            "models": [f"model.{model.graph.format}"],
            "model-types": [model.graph.format],
        }
    ).encode()

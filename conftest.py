"""Doctests of a model run in a folder that has one."""

from __future__ import annotations

from pathlib import Path

import pytest
from _pytest.doctest import DoctestItem
from build_model import build, dense


@pytest.fixture(autouse=True)
def _beside_a_model(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if isinstance(request.node, DoctestItem) and request.node.name == "pareto_profiler.api.search":
        (tmp_path / "model.tflite").write_bytes(build(dense()))
        monkeypatch.chdir(tmp_path)

"""The contract of runtimes, on all that there are and on one of a single file."""

from __future__ import annotations

from pathlib import Path

import pytest
import toy_runtime
from build_model import build, chain, dense
from build_onnx import small
from build_param import small as small_param

from pareto_profiler.runtimes import RUNTIMES, runtime
from pareto_profiler.testing import Case, RuntimeContract

ROOMS = {**{name: runtime(name) for name in RUNTIMES}, "toy": toy_runtime.RUNTIME}
MODELS = {"litert": build(chain(4)), "onnxruntime": small().SerializeToString()}


class TestEveryRuntime(RuntimeContract):
    """Of each the same."""

    @pytest.fixture(params=sorted(ROOMS))
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Case:
        if request.param == "ncnn":
            model = small_param(tmp_path)
        else:
            suffix = "onnx" if request.param == "onnxruntime" else "tflite"
            model = tmp_path / f"model.{suffix}"
            model.write_bytes(MODELS.get(request.param) or build(dense()))
        work = tmp_path / "work"
        work.mkdir()
        return Case(ROOMS[request.param], model, work)

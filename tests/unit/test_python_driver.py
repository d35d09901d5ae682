"""A driver in Python answers as one in C does, line by line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from build_onnx import model_of, node
from conftest import ROOT

from pareto_profiler import drivers
from pareto_profiler.drivers.python_driver import PythonDriver
from pareto_profiler.runtimes.onnxruntime.folding import WHEEL

STUB = """
import sys
sys.path.insert(0, {folder!r})
from python_driver import PythonDriver, Refused, measure

class Doubling(PythonDriver):
    made = None
    def open(self): return "1.0"
    def load(self):
        if self.request["model"] == "missing": raise Refused("there is no such model")
        if self.request["model"] == "large": raise MemoryError
        if self.request["model"] == "wrong": raise KeyError("an error of its own")
    def placed(self): return {{"layers": 1}}
    def input(self, i): return ("float32", 16) if i == 0 else None
    def set_input(self, i, content): self.taken = content.cast("f")
    def output(self, i): return ("float32", self.made) if i == 0 else None
    def run(self):
        if self.request["model"] == "stops": raise Refused("it stopped")
        import array
        self.made = memoryview(bytearray(array.array("f", [2 * x for x in self.taken]).tobytes()))
    def profile(self, runs): return {{"operations": [{{"at": 0, "ns": [1] * runs}}]}}

measure(Doubling)
"""


def answer(command: list[str], request: dict[str, Any]) -> tuple[int, list[dict[str, Any]], str]:
    text = json.dumps({"protocol": 6, "library": "", **request})
    done = subprocess.run(
        [*command, "--request", text], capture_output=True, text=True, timeout=60, check=False
    )
    return (
        done.returncode,
        [json.loads(line) for line in done.stdout.split("\n") if line],
        done.stderr,
    )


@pytest.fixture
def stub(tmp_path: Path) -> list[str]:
    file = tmp_path / "driver.py"
    folder = str(ROOT / "src" / "pareto_profiler" / "drivers")
    file.write_text(STUB.format(folder=folder))
    return [sys.executable, "-I", str(file)]


def inputs(tmp_path: Path, count: int) -> dict[str, Any]:
    np.arange(count, dtype=np.float32).tofile(tmp_path / "in")
    return {"inputs": [{"file": str(tmp_path / "in"), "shape": [1, count]}]}


def test_it_says_what_a_driver_in_c_says(stub: list[str], tmp_path: Path):
    model = tmp_path / "m.onnx"
    doubling = [node("Add", ["x", "x"], "y")]
    model.write_bytes(model_of(doubling, [], taken=(1, 4), made=(1, 4)).SerializeToString())
    asked = {
        "runs": [3, 3],
        "warmups": 1,
        "profile_runs": 2,
        "write_outputs": str(tmp_path / "out"),
    }
    own = answer(stub, {"model": "m", **asked, **inputs(tmp_path, 4)})
    library = {"library": str(WHEEL.here()), "model": str(model)}
    other = answer(
        [str(drivers.binary("onnxruntime"))], {**asked, **library, **inputs(tmp_path, 4)}
    )
    assert (own[0], other[0]) == (0, 0), (own[2], other[2])
    assert [e["event"] for e in own[1]] == [e["event"] for e in other[1]]
    for mine, theirs in zip(own[1], other[1], strict=True):
        if mine["event"] not in {"opened", "prepared", "profiled"}:  # to which each runtime adds
            assert mine.keys() == theirs.keys()
    assert own[1][0]["runtime_version"] == "1.0"
    assert own[1][2]["layers"] == 1
    assert own[1][4]["outputs"][0]["max"] == 6.0
    assert np.fromfile(tmp_path / "out.0", np.float32).tolist() == [0, 2, 4, 6]
    assert len(own[1][4]["run_wall_ns"]) == 3


def test_addresses_are_fixed_or_random_as_asked(stub: list[str], tmp_path: Path):
    asked = {"model": "m", "runs": [1, 1], **inputs(tmp_path, 4)}
    fixed = answer(stub, asked)[1][0]["addresses"]
    assert answer([*stub, "--random-addresses"], asked)[1][0]["addresses"] == "random"
    assert fixed in {"fixed", "random"}  # where it cannot be switched off


@pytest.mark.parametrize(
    ("model", "stage", "status", "words"),
    [
        ("missing", "load", 0, "there is no such model"),
        ("large", "load", -1, "memory ran out"),
        ("wrong", "load", 0, "KeyError: 'an error of its own'"),
        ("stops", "first_run", 1, "it stopped"),
    ],
)
def test_what_fails_names_stage_and_reason(
    stub: list[str], tmp_path: Path, model: str, stage: str, status: int, words: str
):
    code, events, said = answer(stub, {"model": model, "runs": [1, 1], **inputs(tmp_path, 4)})
    assert code == 1
    assert events[-1] == {"event": "refused", "stage": stage, "status": status}
    assert words in said
    assert "Traceback" not in said


def test_a_request_of_another_protocol_is_refused(stub: list[str]):
    code, events, said = answer(stub, {"model": "m", "protocol": 5})
    assert (code, events) == (2, [])
    assert "protocol 5" in said


def test_a_driver_that_lacks_a_step_is_none():
    class WithoutRun(PythonDriver):
        def open(self) -> str:
            return "1.0"

    with pytest.raises(TypeError, match="abstract methods .*run"):
        WithoutRun({})

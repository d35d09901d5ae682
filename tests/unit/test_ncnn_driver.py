"""The driver for a libncnn.so, with a library that stands in: what it gives, takes and refuses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pareto_profiler.drivers import PROTOCOL, binary

STUB = Path(__file__).parent.parent / "stand_ins" / "stub_ncnn.c"


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ncnn") / "libncnn.so"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", "-Wall", "-Werror"]
    subprocess.run([*compiler, "-o", str(path), str(STUB)], check=True)
    return path


def ask(
    library: Path, folder: Path, *told: str, param: str = "", shape: tuple[int, ...] = (3, 5, 5)
) -> tuple[dict[str, Any], str]:
    """The answer by stages, and what it says on stderr."""
    values = np.arange(np.prod(shape), dtype=np.float32)
    (folder / "input").write_bytes(values.tobytes())
    (folder / "m.param").write_text(param)
    (folder / "m.bin").write_bytes(b"")
    lines = [f"weights = {folder / 'm.bin'}", "input = in0", *told]
    request = {
        "protocol": PROTOCOL,
        "library": str(library),
        "model": str(folder / "m.param"),
        "threads": 2,
        "backends": {"net": {"options": "".join(f"{line}\n" for line in lines)}},
        "inputs": [{"file": str(folder / "input"), "shape": list(shape)}],
        "runs": [2, 2],
        "warmups": 1,
        "write_outputs": str(folder / "made"),
        "profile_runs": 3 * any(line.startswith("layer") for line in told),
    }
    command = [str(binary("ncnn")), "--request", json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    answers = [json.loads(line) for line in done.stdout.split("\n") if line]
    return {answer["event"]: answer for answer in answers}, done.stderr


@pytest.mark.parametrize("shape", [(7,), (5, 7), (3, 5, 5), (2, 3, 3, 5)])
def test_tensors_of_any_rank_go_in_and_come_out_whole(
    library: Path, tmp_path: Path, shape: tuple[int, ...]
):
    count = int(np.prod(shape))
    answer, _ = ask(library, tmp_path, f"output = {4 * count} same", shape=shape)
    assert answer["opened"]["runtime_version"] == "1.0.20260526"
    assert len(answer["measured"]["run_wall_ns"]) == 2
    made = np.fromfile(tmp_path / "made.0", np.float32)
    assert made.tolist() == [2.0 * i for i in range(count)]


def test_layers_are_timed_one_after_the_other(library: Path, tmp_path: Path):
    answer, _ = ask(library, tmp_path, "output = 40 out0", "layer = a", "layer = out0")
    times = answer["profiled"]["layer_ns"]
    assert [len(of_layer) for of_layer in times] == [3, 3]


@pytest.mark.parametrize(
    ("told", "param", "stage", "words"),
    [
        (("output = 44 out0",), "", "first_run", "the model's has 44"),
        (("output = 0 wide",), "", "first_run", "elements of 2 bytes"),
        (("output = 40 out0", "use_winograd63_convolution = 0"), "", "load", "no option use_win"),
        (("output = 40 out0",), "broken", "load_param", "status -1"),
        (("output = 40 out0",), "none", "first_run", "status -100"),
    ],
)
def test_what_cannot_be_is_refused_with_its_stage(
    library: Path, tmp_path: Path, told: tuple[str, ...], param: str, stage: str, words: str
):
    answer, said = ask(library, tmp_path, *told, param=param)
    assert answer["refused"]["stage"] == stage
    assert words in said
    assert answer["refused"]["status"] == (
        -1 if param in {"none", "broken"} else answer["refused"]["status"]
    )


def test_options_of_the_net_are_set(library: Path, tmp_path: Path):
    answer, said = ask(library, tmp_path, "output = 40 out0", "use_packing_layout = 0")
    assert "measured" in answer, said


def test_a_library_without_the_c_api_is_told_from_one_with_it(tmp_path: Path):
    empty = tmp_path / "empty.c"
    empty.write_text("int nothing;\n")
    other = tmp_path / "libncnn.so"
    compiler = [sys.executable, "-m", "ziglang", "cc", "-shared", "-fPIC", "-o"]
    subprocess.run([*compiler, str(other), str(empty)], check=True)
    answer, said = ask(other, tmp_path, "output = 40 out0")
    assert answer["refused"]["stage"] == "open_library"
    assert "no ncnn with its C API" in said

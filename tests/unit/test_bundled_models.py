"""The bundled models are what their page says they are."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MODELS
from rooms import ONERT

from pareto_profiler.models import load
from pareto_profiler.models.signatures import named_outputs, stray

ROWS = re.findall(
    r"^\| `([\w.]+)` \|.*\| ([\d×]+) \| (\d+) \| `(\w{64})` \|$",
    (MODELS / "README.md").read_text(encoding="utf-8"),
    re.MULTILINE,
)


def test_every_model_has_its_provenance():
    assert {name for name, *_ in ROWS} == {file.name for file in MODELS.glob("*.tflite")}


@pytest.mark.parametrize(("name", "shape", "operations", "digest"), ROWS)
def test_the_page_tells_the_truth(
    name: str, shape: str, operations: str, digest: str, tmp_path: Path
):
    file = MODELS / name
    graph = ONERT.read(file).graph
    assert hashlib.sha256(file.read_bytes()).hexdigest() == digest == graph.digest
    assert len(graph.operations) == int(operations)
    assert "×".join(map(str, graph.tensors[graph.inputs[0]].shape)) == shape
    drawn = tmp_path / name
    script = MODELS / "draw_weights.py"
    subprocess.run([sys.executable, script, file, drawn], check=True)
    assert drawn.read_bytes() == file.read_bytes()


def test_the_logits_are_cut_out_of_the_model_beside_them(tmp_path: Path):
    whole, cut = MODELS / "mobilenet_v2_035_96.tflite", tmp_path / "cut.tflite"
    subprocess.run([sys.executable, MODELS / "cut_softmax.py", whole, cut], check=True)
    assert cut.read_bytes() == (MODELS / "mobilenet_v2_035_96_logits.tflite").read_bytes()


@pytest.mark.parametrize("name", sorted(path.name for path in MODELS.glob("*.tflite")))
def test_signatures_name_what_the_models_output(name: str):
    model = load(MODELS / name)
    named = named_outputs(MODELS / name)
    assert named
    assert stray(named, model.graph.outputs) == ""


def test_a_name_for_what_is_no_output_is_told():
    said = stray([("key", "scores", 8), ("key", "more", 9)], outputs=(9, 7))
    assert said.startswith("signature 'key' calls tensor 8 its output 'scores'")

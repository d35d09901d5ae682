"""An assignment as an .onnx file, as the runtime itself understands it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from build_onnx import constant, model_of, node, small

from pareto_profiler import runtimes
from pareto_profiler.errors import ModelError, RunError
from pareto_profiler.models import load
from pareto_profiler.runtimes.onnxruntime.engine import times_of
from pareto_profiler.runtimes.onnxruntime.folding import folded
from pareto_profiler.runtimes.onnxruntime.rewriting import PACKED, PLAIN, WEIGHTS, Base
from pareto_profiler.testing import Case


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def base_of(model: onnx.ModelProto, folder: Path) -> Base:
    file = folder / "m.onnx"
    file.write_bytes(model.SerializeToString())
    return folded(load(file))


def decided_in(model: onnx.ModelProto) -> list[int]:
    kinds = [n.op_type for n in model.graph.node if n.op_type != "Constant"]
    return [i for i, kind in enumerate(kinds) if kind in {"Conv", "Gemm", "MatMul"}]


@pytest.mark.parametrize("has_names", [True, False])
def test_each_operation_has_the_node_that_has_its_weights(tmp_path: Path, *, has_names: bool):
    """The second convolution has its batch normalisation folded into it, and the sum's name."""
    base = base_of(small(has_names=has_names), tmp_path)
    assert sorted(base.node_of) == [0, 2, 5, 10] == decided_in(small())
    names = [n.name for n in base.model.graph.node]
    assert len(set(names)) == len(names)
    assert all(names)
    folded_away = base.model.graph.node[base.node_of[2]]
    assert list(folded_away.output) == ["d"]


def test_plain_operations_have_weights_that_are_inputs(tmp_path: Path):
    base = base_of(small(), tmp_path)
    before = onnx.ModelProto.FromString(base.rewritten(()).content)
    assert [i.name for i in before.graph.input] == ["x"]
    made = base.rewritten({0, 10})
    after = onnx.ModelProto.FromString(made.content)
    assert {i.name for i in after.graph.input} == {"x"} | made.overridable
    assert made.overridable == {"w0", "dense"}
    assert after.graph.node == before.graph.node
    # What nobody can choose for changes nothing.
    assert base.rewritten({1, 3}).content == base.rewritten(()).content


def test_a_weight_that_others_share_gets_a_name_of_its_own(tmp_path: Path):
    nodes = [
        node("MatMul", ["x", "w"], "a"),
        node("MatMul", ["a", "w"], "b"),
        node("MatMul", ["b", "w"], "y"),
    ]
    shared = model_of(nodes, [constant("w", (64, 64))], taken=(4, 64), made=(4, 64))
    base = base_of(shared, tmp_path)
    made = base.rewritten({1})
    after = onnx.ModelProto.FromString(made.content).graph
    (name,) = made.overridable
    assert name != "w"
    assert [n.input[1] for n in after.node] == ["w", name, "w"]
    places = {t.name: [(e.key, e.value) for e in t.external_data] for t in after.initializer}
    assert places[name] == places["w"] != []
    assert base.rewritten({0, 1, 2}).overridable == {"w"}


def test_names_that_are_made_collide_with_none(tmp_path: Path):
    """A tensor has the name that a shared weight would get, and nodes those of others' tensors."""
    nodes = [
        node("MatMul", ["x", "w"], "w_2", name="y"),
        node("Relu", ["w_2"], "a", name="w_2"),
        node("MatMul", ["a", "w"], "y", name="a"),
    ]
    base = base_of(model_of(nodes, [constant("w", (8, 8))], taken=(1, 8), made=(1, 8)), tmp_path)
    made = onnx.ModelProto.FromString(base.rewritten({2}).content)
    names = [name for n in made.graph.node for name in (*n.output, n.name)]
    names += [t.name for t in made.graph.initializer]
    assert len(names) == len(set(names))
    assert {base.operation_of(n.name, n.op_type) for n in made.graph.node} == {0, 1, 2}


def test_what_was_cut_short_in_the_cache_is_made_again(tmp_path: Path, cache: Path):
    first = base_of(small(), tmp_path)
    (kept,) = cache.glob("pareto-profiler/onnxruntime/*/base.onnx")
    kept.write_bytes(kept.read_bytes()[:40])
    assert base_of(small(), tmp_path).rewritten({0}).content == first.rewritten({0}).content


def test_a_model_that_is_all_constant_is_named(tmp_path: Path):
    ones = constant("w", (4, 4))
    with pytest.raises(ModelError, match=r"m\.onnx: .* all of it is constant"):
        base_of(model_of([node("Relu", ["w"], "y")], [ones], made=(4, 4)), tmp_path)


@pytest.mark.parametrize("ir_version", [3, 8])
def test_constants_that_are_inputs_are_constants_again(tmp_path: Path, ir_version: int):
    """Exporters of old wrote all of them so; the runtime would pack none."""
    model = small(overridable=["w0", "w1", "w2", "dense"])
    model.ir_version = ir_version
    base = base_of(model, tmp_path)
    assert [i.name for i in base.model.graph.input] == ["x"]
    assert base.model.ir_version >= 4
    assert sorted(base.node_of) == [0, 2, 5, 10]


def test_weights_lie_in_a_file_or_inside(tmp_path: Path):
    base = base_of(small(), tmp_path)
    made = base.rewritten({5})
    whole = onnx.ModelProto.FromString(base.whole(made))
    assert not any(t.data_location for t in whole.graph.initializer)
    assert len(base.whole(made)) > (base.folder / WEIGHTS).stat().st_size
    onnx.checker.check_model(whole)


def test_it_is_folded_once(tmp_path: Path, cache: Path):
    base_of(small(), tmp_path)
    (folder,) = (cache / "pareto-profiler" / "onnxruntime").iterdir()
    before = {f.name: f.stat().st_mtime_ns for f in folder.iterdir()}
    base_of(small(), tmp_path)
    assert before == {f.name: f.stat().st_mtime_ns for f in folder.iterdir()}
    assert len(list((cache / "pareto-profiler" / "onnxruntime").iterdir())) == 1


def test_what_the_runtime_cannot_load_is_said(tmp_path: Path):
    unknown = model_of([node("Relu", ["x"], "a"), node("Nonsense", ["a"], "y")], [])
    with pytest.raises(ModelError, match=r"m\.onnx: onnxruntime cannot load it: .*Nonsense"):
        base_of(unknown, tmp_path)


def test_the_saved_graph_says_how_each_is_run(tmp_path: Path):
    base = base_of(small(), tmp_path)
    laid_out = {"domain": "com.microsoft.nchwc"}
    saved = onnx.helper.make_model(
        onnx.helper.make_graph(
            [
                # With its activation; with a sum, under its own output's name; left as it is.
                node("Conv", ["x", "r0"], "t0", name="b_nchwc", **laid_out),
                node("FusedConv", ["t1", "w1"], "e", name="Conv2", domain="com.microsoft"),
                node("Conv", ["t2", "r2"], "t3", name="f_nchwc", **laid_out),
                node("ReorderOutput", ["t3"], "h", name="reorder", **laid_out),
                node("Gemm", ["j", "dense"], "y", name="Gemm10"),
            ],
            "g",
            [],
            [],
        )
    )
    assert base.read_back(saved, {"w1"}) == {0: PACKED, 2: PLAIN, 5: PACKED, 10: PACKED}
    assert base.read_back(saved, {"w1", "dense"})[10] == PLAIN


def test_what_is_fused_or_made_another_operator_has_a_choice_still(tmp_path: Path):
    """Matrices with an activation are one operator, and those of three dimensions get reshapes."""
    nodes = [
        node("Gemm", ["x", "a", "bias"], "p", name="g0"),
        node("Relu", ["p"], "q", name="r0"),
        node("Reshape", ["q", "sizes"], "r", name="s"),
        node("MatMul", ["r", "b"], "t", name="m0"),
        node("Add", ["t", "bias"], "u", name="a0"),
        node("Sigmoid", ["u"], "y", name="s0"),
    ]
    sizes = onnx.numpy_helper.from_array(np.array([1, 4, 8], np.int64), "sizes")
    constants = [constant("a", (8, 8)), constant("b", (8, 8), 1), constant("bias", (8,)), sizes]
    file = tmp_path / "m.onnx"
    made = model_of(nodes, constants, taken=(4, 8), made=(1, 4, 8))
    file.write_bytes(made.SerializeToString())
    with Case(runtimes.runtime("onnxruntime"), file, tmp_path).engine() as (_, space, engine):
        assert [v.operations for v in space.variables] == [(0,), (3,)]
        for one in (("packed", "plain"), ("plain", "packed"), ("plain", "plain")):
            assert engine.run(one).output_error < 1e-3
            placement = engine.placement(one)
            assert placement is not None
            assert not placement.mismatches


def event(name: str, kind: str, microseconds: float) -> dict[str, object]:
    return {"cat": "Node", "name": name, "dur": microseconds, "args": {"op_name": kind}}


def test_a_profile_tells_times_of_operations(tmp_path: Path):
    base = base_of(small(), tmp_path)
    events = [
        {"cat": "Session", "name": "model_run", "dur": 999},
        *(event("b_nchwc_kernel_time", "Conv", d) for d in (30, 10, 20)),
        event("Gemm10_kernel_time", "Gemm", 7),
        event("GlobalAveragePool8_kernel_time", "GlobalAveragePool", 3),
        event("reorder_kernel_time", "ReorderOutput", 5),
        event("Gemm10_fence_before", "Gemm", 100),
    ]
    found = times_of(json.dumps(events).encode(), base)
    assert found == pytest.approx({0: 20e-6, 8: 3e-6, 10: 7e-6})
    with pytest.raises(RunError, match="the profile cannot be read"):
        times_of(b"[{", base)

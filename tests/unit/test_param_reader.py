"""Reading .param files: what they say, and what they lack."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_param import CHANNELS, small
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_profiler.core.graph import Graph
from pareto_profiler.errors import ModelError
from pareto_profiler.models import format_of, load
from pareto_profiler.models.param_reader import read_param


def test_layers_and_blobs_are_as_the_file_has_them(tmp_path: Path):
    file = small(tmp_path)
    graph = load(file).graph
    assert (graph.format, format_of(file)) == ("param", "param")
    assert [o.name for o in graph.operations] == [
        *("Convolution", "Convolution", "Convolution", "ReLU", "Pooling", "InnerProduct")
    ]
    assert [o.kind for o in graph.operations[:3]] == ["3x3s1", "3x3s1", "1x1s1"]
    (taken,), (made,) = graph.inputs, graph.outputs
    assert (graph.tensors[taken].name, graph.tensors[taken].shape) == ("in0", (3, 16, 16))
    assert graph.tensors[made].name == "out0"
    assert graph.operations[1].weight_bytes == 4 * CHANNELS * CHANNELS * 9
    assert (graph.edges[0].producer, graph.edges[0].consumer) == (0, 1)
    assert Graph.from_json(graph.to_json()) == graph


def test_the_weights_are_part_of_it(tmp_path: Path):
    file = small(tmp_path)
    before = load(file).graph
    weights = file.with_suffix(".bin")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + b"\1")
    assert load(file).graph.digest != before.digest
    # Half as many bytes: of two each.
    weights.write_bytes(content[: len(content) // 2])
    assert load(file).graph.operations[1].weight_bytes == 2 * CHANNELS * CHANNELS * 9
    weights.unlink()
    with pytest.raises(ModelError, match=r"its weights are not beside it: expected m\.bin there"):
        load(file)


def test_sizes_that_are_not_told_are_free(tmp_path: Path):
    file = small(tmp_path)
    file.write_text(file.read_text().replace(" 0=16 1=16 2=3\n", "\n", 1))
    (free,) = load(file).graph.free_inputs
    assert free.signature == (-1, -1, -1)


def test_inputs_and_outputs_stand_in_the_order_of_their_numbers(tmp_path: Path):
    names = [f"in{i}" for i in (10, 2, 0)]
    lines = ["7767517", "6 9", *(f"Input {n} 0 1 {n} 0=4" for n in names)]
    lines += [f"ReLU r{i} 1 1 in{i} out{i}" for i in (10, 2, 0)]
    file = tmp_path / "m.param"
    file.write_text("\n".join(lines))
    file.with_suffix(".bin").write_bytes(b"")
    graph = load(file).graph
    told = [graph.tensors[t].name for t in (*graph.inputs, *graph.outputs)]
    assert told == ["in0", "in2", "in10", "out0", "out2", "out10"]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("7 7\n", "8 7\n", "line 2: says 8 layers, the file has 7"),
        ("7 7\n", "seven\n", "line 2: expected the numbers of layers and blobs"),
        ("Convolution a 1 1 in0 1 ", "Convolution a 1 1 in9 1 ", "takes the blob 'in9'"),
        ("Convolution b 1 1 1 2 ", "Convolution b 1 1 1 1 ", "two layers make the blob '1'"),
        ("ReLU d 1 1 3 4", "ReLU d 5 1 3 4", r"line 7: expected 5 \+ 1 blobs, found 2"),
        ("ReLU d 1 1 3 4", "ReLU d x 1 3 4", "line 7: expected a type, a name"),
        ("0=1 4=1\n", "0=1 4:1\n", "expected NUMBER=VALUE, found '4:1'"),
    ],
)
def test_what_is_damaged_is_named(tmp_path: Path, old: str, new: str, words: str):
    file = small(tmp_path)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    with pytest.raises(ModelError, match=words) as raised:
        load(file)
    assert str(file) in str(raised.value)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_any_damage_ends_in_a_graph_or_an_error(tmp_path_factory, data: st.DataObject):
    folder = tmp_path_factory.mktemp("param")
    whole = small(folder).read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    instead = data.draw(st.binary(min_size=1, max_size=8))
    try:
        read_param(whole[:at] + instead + whole[at + len(instead) :], folder / "m.param")
    except ModelError as error:
        assert "\n" not in str(error)

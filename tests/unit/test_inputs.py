"""Input tensors: recorded ones are taken as they are, random ones fit the model."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from build_model import ADD, GATHER, RELU, RESHAPE, ModelSpec, OperationSpec, TensorSpec, build
from rooms import onert_graph

from pareto_profiler.core.graph import Graph
from pareto_profiler.errors import InputError
from pareto_profiler.runners.inputs import digest_of, load_input_sets, load_inputs, random_inputs

CONCATENATION, CAST, EXPAND_DIMS, SQUEEZE = 2, 53, 70, 43


def two_inputs() -> Graph:
    tensors = [
        TensorSpec((2, 3), name="left"),
        TensorSpec((4,), dtype=2, name="right"),
        TensorSpec((2, 3)),
        TensorSpec((4,)),
    ]
    operations = [OperationSpec(RELU, (0,), (2,)), OperationSpec(RELU, (1,), (3,))]
    return onert_graph(build(ModelSpec(tensors, operations, (0, 1), (2, 3))), "x")


LEFT = np.arange(6, dtype=np.float32).reshape(2, 3)
RIGHT = np.arange(4, dtype=np.int32)


def _files(folder: Path) -> list[Path]:
    by_position, by_name, positional = (folder / n for n in ("p.npz", "n.npz", "a.npz"))
    np.savez(by_position, **{"1": RIGHT, "0": LEFT})
    np.savez(by_name, right=RIGHT, left=LEFT)
    np.savez(positional, LEFT, RIGHT)
    h5 = folder / "input.h5"
    with h5py.File(h5, "w") as file:
        group = file.create_group("value")
        group["1"], group["0"] = RIGHT, LEFT
    return [by_position, by_name, positional, h5]


@pytest.mark.parametrize("index", range(4))
def test_recorded_inputs_are_taken_in_the_models_order(tmp_path: Path, index: int):
    left, right = load_inputs(two_inputs(), _files(tmp_path)[index])
    assert left.tolist() == LEFT.tolist()
    assert right.tolist() == RIGHT.tolist()


def test_an_npy_file_serves_a_model_of_one_input(tmp_path: Path, mobilenet):
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((96, 96, 3), np.float32))
    assert load_inputs(mobilenet.graph, path)[0].size == 96 * 96 * 3


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({"0": LEFT}, "1 arrays, the model has 2 inputs"),
        ({"0": LEFT, "1": RIGHT.astype(np.int64)}, "is int64, input 'right' is int32"),
        ({"0": LEFT, "1": RIGHT[:2]}, r"has shape \(2,\), input 'right' has \(4,\)"),
        ({"0": LEFT.T, "1": RIGHT}, r"has shape \(3, 2\), input 'left' has \(2, 3\)"),
        ({"0": LEFT.ravel(), "1": RIGHT}, r"has shape \(6,\)"),
        ({"0": LEFT, "up": RIGHT}, "expected 0, 1, … or the inputs' names left, right"),
    ],
)
def test_inputs_that_do_not_fit_are_named(tmp_path: Path, arrays: dict, found: str):
    path = tmp_path / "x.npz"
    np.savez(path, **arrays)
    with pytest.raises(InputError, match=found):
        load_inputs(two_inputs(), path)


@pytest.mark.parametrize("name", ["x.npy", "x.npz", "x.h5"])
def test_broken_files_are_named(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match="cannot be read as inputs"):
        load_inputs(two_inputs(), path)


def test_pickles_are_not_opened(tmp_path: Path):
    path = tmp_path / "x.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="cannot be read"):
        load_inputs(two_inputs(), path)


def test_other_suffixes_are_refused(tmp_path: Path):
    with pytest.raises(InputError, match=r"expected a \.npy, \.npz or \.h5 file"):
        load_inputs(two_inputs(), tmp_path / "x.csv")


def _one(dtype: int, shape: tuple[int, ...] = (1000,)) -> Graph:
    spec = ModelSpec([TensorSpec(shape, dtype)] * 2, [OperationSpec(RELU, (0,), (1,))], (0,), (1,))
    return onert_graph(build(spec), "x")


@pytest.mark.parametrize(
    ("code", "dtype", "least", "most"),
    [
        (0, "float32", 0.0, 1.0),
        (2, "int32", 0, 99),
        (4, "int64", 0, 99),
        (9, "int8", -128, 127),
        (3, "uint8", 0, 255),
        (6, "bool", 0, 1),
    ],
)
def test_random_inputs_have_the_right_type_and_range(code, dtype, least, most):
    (array,) = random_inputs(_one(code), 0)
    assert (str(array.dtype), array.shape) == (dtype, (1000,))
    assert least <= array.min() <= array.max() <= most
    # The whole range is used: a thousand draws reach its lowest and highest tenth.
    values = array.astype(np.float64)
    assert values.min() <= least + (most - least) / 10
    assert values.max() >= most - (most - least) / 10


def test_random_inputs_follow_the_seed():
    first, again, other = (random_inputs(_one(0), seed) for seed in (1, 1, 2))
    assert digest_of(first) == digest_of(again) != digest_of(other)


def test_random_indices_stay_inside_the_table_they_look_up_in():
    tensors = [TensorSpec((8, 5)), TensorSpec((200,), dtype=2), TensorSpec((200, 8))]
    spec = ModelSpec(tensors, [OperationSpec(GATHER, (0, 1), (2,))], (1,), (2,))
    (indices,) = random_inputs(onert_graph(build(spec), "x"), 0)
    assert (indices.min(), indices.max()) == (0, 4)


def test_sizes_that_the_model_leaves_free_are_taken_from_the_data(tmp_path: Path):
    graph = _one(0, (-1, 4))
    assert random_inputs(graph, 0)[0].shape == (1, 4)
    path = tmp_path / "x.npy"
    np.save(path, np.zeros((3, 4), np.float32))
    assert load_inputs(graph, path)[0].shape == (3, 4)
    np.save(path, np.zeros((3, 5), np.float32))
    with pytest.raises(InputError, match=r"has shape \(3, 5\), input 't' has \(-1, 4\)"):
        load_inputs(graph, path)


def test_an_input_too_large_to_make_is_refused():
    with pytest.raises(InputError, match="too large"):
        random_inputs(_one(0, (100_000, 1_000_000)), 0)


@pytest.mark.parametrize("way", [[RESHAPE], [CAST, EXPAND_DIMS], [CONCATENATION, SQUEEZE]])
def test_indices_are_followed_on_their_way_to_the_table(way: list[int]):
    tensors = [TensorSpec((3, 5), data=np.zeros((3, 5), "f4"))]
    tensors += [TensorSpec((200,), dtype=2) for _ in range(len(way) + 1)]
    tensors += [TensorSpec((200, 5))]
    operations = [OperationSpec(code, (i,), (i + 1,)) for i, code in enumerate(way, 1)]
    last = len(way) + 1
    operations.append(OperationSpec(GATHER, (0, last), (last + 1,)))
    graph = onert_graph(build(ModelSpec(tensors, operations, (1,), (last + 1,))), "x")
    (indices,) = random_inputs(graph, 0)
    assert (indices.min(), indices.max()) == (0, 2)


def test_what_may_be_an_index_is_zero_and_told(caplog: pytest.LogCaptureFixture):
    tensors = [TensorSpec((3, 5), data=np.zeros((3, 5), "f4"))]
    tensors += [TensorSpec((200,), dtype=2, name=name) for name in ("ids", "sum")]
    tensors += [TensorSpec((200, 5))]
    operations = [OperationSpec(ADD, (1, 1), (2,)), OperationSpec(GATHER, (0, 2), (3,))]
    graph = onert_graph(build(ModelSpec(tensors, operations, (1,), (3,))), "x")
    (indices,) = random_inputs(graph, 0)
    assert not indices.any()
    assert "input 'ids' is measured as zeros" in caplog.text


def test_a_type_without_random_values_says_that_it_cannot_be_measured():
    with pytest.raises(InputError, match="other things than numbers cannot be measured"):
        random_inputs(_one(5), 0)


def test_several_sets_are_a_folder_or_have_an_axis_of_their_own(tmp_path: Path):
    graph = _one(0, (2, 3))
    values = np.arange(24, dtype=np.float32).reshape(4, 2, 3)
    np.save(tmp_path / "all.npy", values)
    sets = load_input_sets(graph, tmp_path / "all.npy")
    assert [one[0].tolist() for one in sets] == values.tolist()
    folder = tmp_path / "folder"
    folder.mkdir()
    with pytest.raises(InputError, match="has no .npy"):
        load_input_sets(graph, folder)
    for i in (1, 0):
        np.save(folder / f"{i}.npy", values[i])
    assert [one[0].tolist() for one in load_input_sets(graph, folder)] == values[:2].tolist()
    np.save(tmp_path / "one.npy", values[0])
    assert len(load_input_sets(graph, tmp_path / "one.npy")) == 1
    left, right = np.zeros((2, 2, 3), "f4"), np.zeros((3, 4), "i4")
    np.savez(tmp_path / "uneven.npz", left=left, right=right)
    with pytest.raises(InputError, match=r"arrays of \[2, 3\] sets"):
        load_input_sets(two_inputs(), tmp_path / "uneven.npz")

"""Wrong mixes of backends are predicted from the graph, the assignment and the planner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from build_model import ADD, CONV_2D, ModelSpec, OperationSpec, TensorSpec, build
from conftest import ROOT

from pareto_profiler.core.graph import Graph
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.ports import no_faults
from pareto_profiler.core.trial import Failure
from pareto_profiler.errors import FailureKind
from pareto_profiler.models.reader import read_graph
from pareto_profiler.runtimes.onert import named
from pareto_profiler.runtimes.onert.arena import PLANNERS, Life
from pareto_profiler.runtimes.onert.faults import MIXED_UP, Faults, faults_of
from pareto_profiler.runtimes.onert.hash_order import HashOrder
from pareto_profiler.storage.tables import unpack

TABLES = ROOT / "examples" / "tables"
WHEEL = (1, 30, 0)
BEFORE_COPIES_WERE_MIXED_UP = (1, 28, 0)
BEFORE_BACKENDS_PLANNED_ALONE = (1, 12, 0)


def _read(spec: ModelSpec) -> Graph:
    return named(read_graph(build(spec), "model"))


def _convolutions(
    order: Sequence[int], *, last: Sequence[OperationSpec] = (), biases: Sequence[int] = ()
) -> ModelSpec:
    """Convolutions in a row, with one of several weights each; tensor 0 is the input.

    Weights stand behind it, zero biases behind them; the activations come last.
    """
    generator = np.random.default_rng(1)
    kinds = max(order) + 1

    def tensor(*shape: int) -> TensorSpec:
        return TensorSpec(shape, data=generator.normal(size=shape).astype(np.float32))

    tensors = [TensorSpec((1, 8, 8, 4)), *(tensor(4, 3, 3, 4) for _ in range(kinds))]
    tensors += [TensorSpec((n,), data=np.zeros(n, np.float32)) for n in biases]
    operations = []
    made = len(tensors)
    for i, k in enumerate(order):
        bias = [1 + kinds + i % len(biases)] if biases else []
        inputs = [made + i - 1 if i else 0, 1 + k, *bias]
        operations.append(OperationSpec(CONV_2D, inputs, [made + i], option_type=1))
    operations += last
    tensors += [TensorSpec((1, 8, 8, 4)) for _ in operations]
    return ModelSpec(tensors, operations, [0], [len(tensors) - 1])


def _block(inner: int = 3) -> ModelSpec:
    """Convolutions with weights of their own, and the first one's output added to the last's."""
    first, last = 1 + inner, 2 * inner
    return _convolutions(
        range(inner), last=[OperationSpec(ADD, [first, last], [last + 1], option_type=11)]
    )


def _on(backends: Sequence[str]) -> dict[int, str]:
    return dict(enumerate(backends))


@pytest.mark.parametrize("planner", ["WIC", "FirstFit", "what it does not know"])
def test_a_tensor_is_overwritten_when_its_last_reader_is_elsewhere(planner: str):
    faults = Faults(_read(_block()), WHEEL)
    (fault,) = faults.of(_on(["ruy", "ruy", "ruy", "cpu"]), planner)
    assert fault.words == (
        "BinaryArithmetic @3 on cpu reads t (tensor 4) after ruy has put t (tensor 6) in its place"
    )


def test_nothing_is_overwritten_where_nothing_is_used_again():
    graph = _read(_block())
    faults = Faults(graph, WHEEL)
    mixed = _on(["ruy", "ruy", "ruy", "cpu"])
    assert faults.of(mixed, "Bump") == ()
    assert faults.of(mixed, "WIC", "Dataflow") == ()
    assert faults.of(_on(["cpu"] * 4), "WIC") == ()
    # Read on another backend alone, a tensor is kept to the end.
    assert faults.of(_on(["ruy", "cpu", "ruy", "cpu"]), "WIC") == ()
    assert Faults(graph, BEFORE_BACKENDS_PLANNED_ALONE).of(mixed, "WIC") == ()


def test_a_tensor_read_late_is_right_while_nothing_takes_its_place():
    faults = Faults(_read(_block(inner=2)), WHEEL)
    for planner in PLANNERS:
        assert faults.of(_on(["ruy", "ruy", "cpu"]), planner) == ()


def test_a_copy_for_a_backend_that_needs_one_reads_late_as_well():
    faults = Faults(_read(_block()), BEFORE_COPIES_WERE_MIXED_UP)
    (fault,) = faults.of(_on(["cpu", "cpu", "cpu", "acl_neon"]), "WIC")
    assert fault.words.startswith("BinaryArithmetic @3 on acl_neon reads t (tensor 4) after cpu")


@pytest.mark.parametrize("planner", PLANNERS)
def test_the_second_shared_constant_is_the_first(planner: str):
    graph = _read(_convolutions([0, 0, 1, 1]))
    faults = Faults(graph, WHEEL)
    assert faults.of(_on(["cpu", "ruy", "cpu", "cpu"]), planner) == ()
    assert faults.of(_on(["cpu", "cpu", "cpu", "ruy"]), planner) == ()
    mixed = _on(["cpu", "ruy", "cpu", "ruy"])
    (fault,) = faults.of(mixed, planner)
    assert fault.words == (
        "Conv2D @3 on ruy gets constant t (tensor 1) in place of t (tensor 2): of the constants "
        "copied to ruy, onert keeps one"
    )
    assert Faults(graph, BEFORE_COPIES_WERE_MIXED_UP).of(mixed, planner) == ()


def test_mixed_up_constants_that_are_alike_do_no_harm():
    graph = _read(_convolutions([0, 1, 2, 3], biases=[4, 4]))
    mixed = _on(["cpu", "cpu", "ruy", "ruy"])
    assert Faults(graph, WHEEL).of(mixed, "WIC") == ()
    ones = [replace(t, content="1" * 16) if t.index == 5 else t for t in graph.tensors]
    told = Faults(replace(graph, tensors=tuple(ones)), WHEEL)
    assert [fault.cause for fault in told.of(mixed, "WIC")] == [MIXED_UP]
    # Of tables from before contents were kept nothing is said of constants.
    unknown = tuple(replace(t, content="") for t in graph.tensors)
    assert Faults(replace(graph, tensors=unknown), WHEEL).of(mixed, "WIC") == ()


def test_planners_place_as_onert_does():
    lives = [Life(40, 0, 1), Life(80, 1, 3), Life(40, 2, 4), Life(60, 4, 9)]
    assert PLANNERS["Bump"](lives) == [0, 40, 120, 160]
    assert PLANNERS["FirstFit"](lives) == [0, 40, 0, 40]
    assert PLANNERS["WIC"](lives) == [80, 0, 80, 0]


def test_hash_tables_are_walked_newest_first_and_turned_round_when_they_grow():
    assert [*HashOrder(range(5))] == [4, 3, 2, 1, 0]
    assert [*HashOrder(range(15))] == [14, 13, *range(13)]
    # 16 goes to the place of 3, before it.
    assert [*HashOrder([3, 5, 16, 16])] == [5, 16, 3]
    shrunk = HashOrder([3, 5, 16])
    shrunk.remove(16)
    assert [*shrunk] == [5, 3]


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("branchy_64-by_name", 48),
        ("mobilenet_v1_025_128-by_name", 0),
        ("mobilenet_v2_035_96_logits-by_name", 18),
        ("mobilenet_v2_035_96_logits-operations_3_8_10", 198),
    ],
)
def test_what_was_wrong_on_the_board_is_predicted_and_nothing_else(name: str, wrong: int):
    table = unpack(TABLES / f"{name}-emulated_board.parquet")
    faults, seen = faults_of(table.header), Counter[bool]()
    for trial in table.trials:
        is_wrong = (
            isinstance(trial.outcome, Failure) and trial.outcome.kind is FailureKind.WRONG_OUTPUT
        )
        if is_wrong or isinstance(trial.outcome, Measurement):
            seen[is_wrong] += 1
            assert bool(faults(trial.assignment)) == is_wrong, trial.assignment
    assert seen[True] == wrong


def test_of_a_run_without_a_graph_nothing_is_said_and_without_a_version_what_the_newest_has():
    table = unpack(TABLES / "branchy_64-by_name-emulated_board.parquet")
    mixed = next(t.assignment for t in table.trials if faults_of(table.header)(t.assignment))
    assert faults_of(replace(table.header, graph=None))(mixed) == ()
    newest = faults_of(replace(table.header, runtime="onert 1.30.0"))
    assert faults_of(replace(table.header, runtime="onert"))(mixed) == newest(mixed) != ()


def test_of_thousands_of_operations_nothing_is_said():
    table = unpack(TABLES / "branchy_64-by_name-emulated_board.parquet")
    graph = table.header.graph
    assert graph is not None
    many = tuple(replace(graph.operations[0], index=i) for i in range(2001))
    header = replace(table.header, graph=replace(graph, operations=many))
    assert faults_of(header) is no_faults

"""Decision spaces: ids, sizes, feasibility, draws."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import reference
from build_model import ADD, CONV_2D, IF, RELU, ModelSpec, OperationSpec, TensorSpec, build, chain
from hypothesis import given
from hypothesis import strategies as st
from rooms import ONERT, onert_graph, onert_space

from pareto_profiler.core.configuration import settings_to_vary
from pareto_profiler.core.graph import Graph
from pareto_profiler.core.space import DecisionSpace, Granularity, Variable
from pareto_profiler.core.support import Support
from pareto_profiler.errors import InputError, SpaceError
from pareto_profiler.runtimes.onert.configuration import OnertConfiguration


@st.composite
def spaces(draw: st.DrawFn) -> DecisionSpace:
    """Any space: feasible subsets, settings with other numbers of values."""
    backends = tuple(f"b{i}" for i in range(draw(st.integers(1, 4))))
    count = draw(st.integers(1, 8))
    variables = []
    for i in range(count):
        is_setting = draw(st.booleans()) and i > 0
        choices = tuple(f"v{j}" for j in range(draw(st.integers(1, 5)))) if is_setting else backends
        feasible = draw(st.sets(st.sampled_from(choices), min_size=1))
        ordered = tuple(c for c in choices if c in feasible)
        variables.append(Variable(f"x{i}", choices, ordered, (i,), is_setting=is_setting))
    variables.sort(key=lambda v: v.is_setting)
    return DecisionSpace(backends, tuple(variables), Granularity.OPERATION)


@given(spaces(), st.data())
def test_ids_are_the_mixed_radix_numbers_of_the_digits(space: DecisionSpace, data: st.DataObject):
    digits = [data.draw(st.integers(0, len(v.choices) - 1)) for v in space.variables]
    assignment = space.decode(digits)
    number = space.id_of(assignment)
    assert number == reference.id_of(digits, [len(v.choices) for v in space.variables])
    assert space.assignment_of(number) == assignment
    assert space.encode(assignment) == tuple(digits)
    assert assignment in space


@given(spaces())
def test_iteration_gives_every_feasible_assignment_once_by_id(space: DecisionSpace):
    everything = list(space)
    ids = [space.id_of(a) for a in everything]
    assert ids == sorted(set(ids))
    assert len(everything) == space.size
    naive = [n for n in range(space.id_limit) if space.is_feasible(space.assignment_of(n))]
    assert ids == naive


@given(spaces())
def test_json_round_trip_keeps_the_fingerprint(space: DecisionSpace):
    again = DecisionSpace.from_json(space.to_json())
    assert again == space
    assert again.fingerprint == space.fingerprint


@given(spaces())
def test_the_warm_start_is_of_the_space_and_without_repeats(space: DecisionSpace):
    uniforms = space.uniforms()
    assert space.is_feasible(space.default)
    assert space.default not in uniforms
    assert len(set(uniforms)) == len(uniforms)
    assert all(a in space for a in uniforms)


def test_the_seeds_encoding():
    names = ["Pool2D", "BinaryArithmetic", "DepthwiseConv2D", "Conv2D", "Reshape"]
    space = DecisionSpace.by_names(("cpu", "acl_cl"), names)
    assert space.assignment_of(8) == ("cpu", "cpu", "cpu", "acl_cl", "cpu")
    assert space.id_of(("acl_cl",) * 5) == 31


def test_spaces_beyond_10_to_the_1000_are_exact():
    space = DecisionSpace.by_names(("cpu", "ruy", "acl_cl"), [f"op{i}" for i in range(2500)])
    assert space.size == 3**2500
    assert space.size > 10**1000
    generator = np.random.default_rng(0)
    for assignment in space.draw(generator, 5):
        number = space.id_of(assignment)
        assert space.assignment_of(number) == assignment
    assert space.id_of(("acl_cl",) * 2500) == 3**2500 - 1
    assert space.id_of((*("cpu",) * 2499, "ruy")) == 3**2499


def test_draws_are_uniform():
    space = DecisionSpace.by_names(("a", "b", "c"), ["x", "y"])
    counts = Counter(space.draw(np.random.default_rng(1), 9000))
    assert len(counts) == 9
    # Chi-squared with 8 degrees of freedom: 26.1 is its 99.9 % point.
    assert sum((n - 1000) ** 2 / 1000 for n in counts.values()) < 26.1


def test_draws_reach_every_digit_of_a_huge_space():
    space = DecisionSpace.by_names(("a", "b"), [f"op{i}" for i in range(3000)])
    draws = space.draw(np.random.default_rng(2), 200)
    ones = [sum(a[i] == "b" for a in draws) for i in range(3000)]
    assert min(ones) > 50
    assert max(ones) < 150


def _graph() -> Graph:
    """CONV, ADD, ADD of another size, RELU."""
    tensors = [TensorSpec((1, 4, 4, 2)), *[TensorSpec((1, 4, 4, 2))] * 3, TensorSpec((1, 8))]
    operations = [
        OperationSpec(CONV_2D, (0, 0, 0), (1,)),
        OperationSpec(ADD, (1, 1), (2,)),
        OperationSpec(RELU, (2,), (3,)),
        OperationSpec(ADD, (3, 3), (4,)),
    ]
    return onert_graph(build(ModelSpec(tensors, operations, (0,), (4,))), "x")


def test_granularities():
    graph = _graph()

    def names(granularity: Granularity) -> list[str]:
        return [v.name for v in onert_space(graph, ("cpu", "acl_cl"), granularity).variables]

    assert names(Granularity.NAME) == ["Conv2D", "BinaryArithmetic", "ElementwiseActivation"]
    assert names(Granularity.INDEX) == [
        "Conv2D/512",
        "BinaryArithmetic/384",
        "ElementwiseActivation/256",
        "BinaryArithmetic/288",
    ]
    assert names(Granularity.OPERATION) == [
        "Conv2D@0",
        "BinaryArithmetic@1",
        "ElementwiseActivation@2",
        "BinaryArithmetic@3",
    ]


def test_backends_are_told_to_every_operation_of_a_variable():
    space = onert_space(_graph(), ("cpu", "acl_cl"), Granularity.NAME)
    assert space.backend_by_operation(space.assignment_of(2)) == {
        0: "cpu",
        1: "acl_cl",
        2: "cpu",
        3: "acl_cl",
    }


def test_support_tables_decide_what_is_feasible():
    space = onert_space(_graph(), ("cpu", "ruy"), Granularity.NAME)
    assert [v.feasible for v in space.variables] == [("cpu", "ruy"), ("cpu",), ("cpu",)]
    assert (space.size, space.id_limit) == (2, 8)
    # All on ruy is tried once all the same; then all that ruy can run, where that is another.
    assert space.uniforms() == (("ruy",) * 3, ("ruy", "cpu", "cpu"))


def test_support_can_be_corrected_both_ways():
    graph = _graph()
    space = onert_space(
        graph,
        ("cpu", "ruy"),
        Granularity.NAME,
        support=Support.of(table=ONERT, allow=["ruy:*"], forbid=["ruy:Conv2D"]),
    )
    assert [v.feasible for v in space.variables] == [("cpu",), ("cpu", "ruy"), ("cpu", "ruy")]


@pytest.mark.parametrize("text", ["ruy", ":Conv2D", "ruy:", ""])
def test_a_senseless_correction_is_named(text: str):
    with pytest.raises(InputError, match="expected BACKEND:OPERATION"):
        Support.of(table=ONERT, allow=[text])


def test_kinds_and_types_limit_support():
    spec = ModelSpec(
        [TensorSpec((1, 4), 9)] * 2,
        [OperationSpec(CONV_2D, (0,), (1,)), OperationSpec(108, (1,), (1,))],
        (0,),
        (1,),
    )
    spec.tensors = [TensorSpec((1, 4), 9)] * 3
    spec.operations = [OperationSpec(CONV_2D, (0,), (1,)), OperationSpec(108, (1,), (2,))]
    conv, cos = onert_graph(build(spec), "x").operations
    assert "int8" in Support(ONERT).why_not("ruy", conv)
    assert "COS" in Support(ONERT).why_not("acl_cl", cos)
    assert Support(ONERT).why_not("cpu", cos) == ""
    assert Support(ONERT).why_not("a_backend_of_mine", cos) == ""


def test_without_a_feasible_backend_the_operation_is_named():
    with pytest.raises(SpaceError, match=r"BinaryArithmetic.*ruy has no BinaryArithmetic"):
        onert_space(_graph(), ("ruy",), Granularity.NAME)


def test_operations_that_the_runtime_places_are_not_decided():
    spec = chain(1)
    spec.tensors = [*spec.tensors, TensorSpec((1, 4))]
    spec.operations = [*spec.operations, OperationSpec(IF, (1,), (2,))]
    graph = onert_graph(build(spec), "x")
    space = onert_space(graph, ("cpu",), Granularity.OPERATION)
    assert [v.name for v in space.variables] == ["ElementwiseActivation@0"]
    spec.operations = [OperationSpec(IF, (0,), (1,))]
    with pytest.raises(SpaceError, match="nothing to decide"):
        onert_space(onert_graph(build(spec), "x"), ("cpu",), Granularity.NAME)


def test_several_subgraphs_can_be_assigned_by_name_only():
    spec = chain(2)
    spec.subgraphs = 2
    graph = onert_graph(build(spec), "x")
    assert onert_space(graph, ("cpu",), Granularity.NAME).size == 1
    with pytest.raises(SpaceError, match="2 subgraphs"):
        onert_space(graph, ("cpu",), Granularity.INDEX)


def test_settings_stand_behind_the_operations_and_leave_ids_alone():
    settings = settings_to_vary(ONERT.settings, ["executor", "threads"], cores=2, threads=1)
    graph = _graph()
    plain = onert_space(graph, ("cpu", "acl_cl"), Granularity.NAME)
    varied = onert_space(graph, ("cpu", "acl_cl"), Granularity.NAME, settings=settings)
    assert varied.size == plain.size * 3 * 2
    assert varied.id_of((*plain.assignment_of(5), "Linear", "1")) == 5
    assert varied.id_of((*plain.assignment_of(5), "Dataflow", "1")) == 5 + 8
    assert varied.settings(varied.assignment_of(5 + 8)) == {"executor": "Dataflow", "threads": "1"}


def test_thread_counts_follow_the_cores():
    assert settings_to_vary(ONERT.settings, ["threads"], cores=6, threads=1)["threads"] == (
        "1",
        "2",
        "4",
        "6",
    )
    assert settings_to_vary(ONERT.settings, ["threads"], cores=1, threads=1)["threads"] == ("1",)
    with pytest.raises(InputError, match="expected one of threads"):
        settings_to_vary(ONERT.settings, ["turbo"], cores=1, threads=1)


@pytest.mark.parametrize("digits", [(), (0, 0, 0), (2, 0), (-1, 0)])
def test_digits_that_do_not_fit_are_refused(digits: tuple[int, ...]):
    space = DecisionSpace.by_names(("cpu", "ruy"), ["a", "b"])
    with pytest.raises(SpaceError):
        space.decode(digits)


def test_ids_out_of_range_are_refused():
    space = DecisionSpace.by_names(("cpu", "ruy"), ["a", "b"])
    for number in (-1, 4, 10**50):
        with pytest.raises(SpaceError, match="is not in 0"):
            space.assignment_of(number)
    with pytest.raises(SpaceError, match="not in this space"):
        space.id_of(("cpu", "acl_cl"))


def test_backends_are_named_once():
    with pytest.raises(SpaceError, match="each once"):
        DecisionSpace.by_names(("cpu", "cpu"), ["a"])


def test_configuration_loads_only_what_is_used_unless_told():
    space = onert_space(_graph(), ("cpu", "acl_cl", "ruy"), Granularity.NAME)
    default = OnertConfiguration.of(space, space.default)
    assert default.backends == ("cpu",)
    assert OnertConfiguration.of(space, space.default, load_every_backend=True).backends == (
        "acl_cl",
        "ruy",
        "cpu",
    )


def test_configuration_by_index_names_every_operation():
    space = onert_space(_graph(), ("cpu", "acl_cl"), Granularity.OPERATION)
    configuration = OnertConfiguration.of(space, space.assignment_of(0b1010), threads=2)
    assert configuration.text == (
        'BACKENDS="acl_cl;cpu" NUM_THREADS=2 OP_BACKEND_MAP="0=cpu;1=acl_cl;2=cpu;3=acl_cl"'
    )
    assert configuration.environment == {
        "NUM_THREADS": "2",
        "RUY_THREADS": "2",
        "XNNPACK_THREADS": "2",
        "OMP_NUM_THREADS": "2",
    }

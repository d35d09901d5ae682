"""The seed's formats: its own documented examples come in and go out unchanged."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from build_model import IF, OperationSpec, TensorSpec, build, chain
from conftest import DATA, MOBILENET_NAMES
from rooms import onert_graph, onert_space

from pareto_profiler.core.estimate import Estimate, Estimates
from pareto_profiler.core.front import Front
from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.core.trial import Trial
from pareto_profiler.errors import InputError, SpaceError
from pareto_profiler.models import Model
from pareto_profiler.report.summary import Summary
from pareto_profiler.runtimes.onert.configuration import OnertConfiguration
from pareto_profiler.runtimes.onert.loader import BUILTINS
from pareto_profiler.storage.seed_formats import (
    Oplist,
    brute_force_dump,
    is_dump,
    is_of,
    read_dump,
    sampler_dump,
)

BRUTE_FORCE = DATA / "seed_brute_force.json"
RANDOM_SAMPLER = DATA / "seed_random_sampler.json"


def items(trials) -> tuple[Estimate, ...]:
    return Estimates.of(trials, objectives_of(["exec_time", "max_rss"])).items


def test_the_documents_18_points_read_back():
    recording = read_dump(BRUTE_FORCE)
    assert recording.header.space.backends == ("cpu", "acl_cl")
    assert [v.name for v in recording.header.space.variables] == [
        "Pool2D",
        "BinaryArithmetic",
        "DepthwiseConv2D",
        "Conv2D",
        "Reshape",
    ]
    figures = {recording.header.space.id_of(t.assignment): t.outcome for t in recording.trials}
    assert list(figures) == [*range(16), 30, 31]
    assert figures[15].value(objectives_of(["exec_time", "max_rss"])[0]) == pytest.approx(0.007801)
    assert figures[0].value(objectives_of(["exec_time", "max_rss"])[1]) == 56388 * 1024


def test_the_front_of_the_documents_18_points():
    recording = read_dump(BRUTE_FORCE)
    front = Front.of(recording.trials, objectives_of(["exec_time", "max_rss"]))
    # By hand: by increasing time, each that is smaller than all before it.
    ids = [recording.header.space.id_of(t.assignment) for t in front.trials]
    assert ids == [15, 31, 13, 12, 5, 2, 0]


def test_the_documents_front_is_a_front_with_its_configuration_strings():
    recording = read_dump(RANDOM_SAMPLER)
    space = recording.header.space
    document = json.loads(RANDOM_SAMPLER.read_text())
    assert len(recording.trials) == 7
    front = Front.of(recording.trials, objectives_of(["exec_time", "max_rss"]))
    assert {t.number for t in front.trials} == set(range(7))
    for number, text in document["configs"].items():
        assignment = space.assignment_of(int(number))
        assert OnertConfiguration.of(space, assignment, load_every_backend=True).text == text


def test_dumps_are_written_as_the_document_shows_them():
    recording = read_dump(BRUTE_FORCE)
    assert brute_force_dump(recording.header.space, recording.trials) == BRUTE_FORCE.read_text()
    recording = read_dump(RANDOM_SAMPLER)
    written = sampler_dump(recording.header.space, items(recording.trials))
    assert written == RANDOM_SAMPLER.read_text()


def test_a_dump_is_summarised_against_its_uniform_assignments():
    summary = Summary.of(read_dump(BRUTE_FORCE))
    assert summary.baseline is not None
    assert summary.best_uniform is not None
    assert (summary.baseline.id, summary.best_uniform.id) == (0, 31)
    assert summary.best_uniform.against_baseline["exec_time"] == pytest.approx(8.034 / 72.525)


def test_index_mode_dump_round_trip(mobilenet: Model, tmp_path: Path):
    space = onert_space(mobilenet.graph, ("cpu", "ruy"), Granularity.INDEX)
    recording = read_dump(BRUTE_FORCE)
    trials = [type(t)(t.number, space.assignment_of(t.number), t.outcome) for t in recording.trials]
    path = tmp_path / "index.json"
    path.write_text(sampler_dump(space, items(trials)))
    content = json.loads(path.read_text())
    assert list(content) == ["configs", "oplist", "solutions", "mode"]
    assert content["mode"] == "index"
    assert content["oplist"] == list(Oplist.of(mobilenet.graph, Granularity.INDEX).classes)
    assert 'OP_BACKEND_MAP="0=cpu;1=cpu' in content["configs"]["0"]
    again = read_dump(path)
    assert again.header.space.backends == ("cpu", "ruy")
    assert [again.header.space.id_of(t.assignment) for t in again.trials] == list(range(18))


def test_a_brute_force_dump_by_index_is_laid_out_as_the_originals(mobilenet: Model, tmp_path: Path):
    space = onert_space(mobilenet.graph, ("cpu", "acl_cl"), Granularity.INDEX)
    listed = Oplist.of(mobilenet.graph, Granularity.INDEX)
    trials = [
        Trial(i, space.assignment_of(n), Measurement({"exec_time": (0.001,), "max_rss": (2048.0,)}))
        for i, n in enumerate((0, 1, 2**36))
    ]
    path = tmp_path / "all.json"
    for graph in (mobilenet.graph, None):
        path.write_text(brute_force_dump(space, trials, graph))
        content = json.loads(path.read_text())
        assert list(content) == ["oplist", "opmap", "opname_by_indx", "solutions"]
        assert content["oplist"] == list(listed.names)
        assert content["opmap"] == list(listed.classes)
        assert content["opname_by_indx"] == list(listed.operation_names)
        assert is_of(path, space)
    again = read_dump(path).header.space
    assert again.granularity is Granularity.INDEX
    assert again.backends == ("cpu", "acl_cl")
    assert [v.operations for v in again.variables] == [v.operations for v in space.variables]
    assert [v.name.split("#")[0] for v in again.variables] == [
        v.name.split("/")[0] for v in space.variables
    ]
    assert [read_dump(path).header.space.id_of(t.assignment) for t in read_dump(path).trials] == [
        *(0, 1, 2**36)
    ]
    # A dump written from what was read says the same.
    assert brute_force_dump(again, trials) == path.read_text()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"opmap": [0, 2], "opname_by_indx": ["A", "A"]}, "number its classes"),
        ({"opmap": [0, 1], "opname_by_indx": ["A"]}, "opmap has 2 entries, opname_by_indx 1"),
        ({"opmap": [0, 1]}, "no 'opname_by_indx'"),
        ({"opmap": "01", "opname_by_indx": ["A"]}, "whole number"),
        ({"opmap": [10**15], "opname_by_indx": ["A"]}, "number its classes"),
    ],
)
def test_a_broken_class_map_of_a_dump_is_named(tmp_path: Path, content: object, found: str):
    path = tmp_path / "broken.json"
    path.write_text(json.dumps({"oplist": ["A"], "solutions": [], **content}))
    with pytest.raises(InputError, match=found):
        read_dump(path)


def test_a_name_mode_dump_with_an_empty_class_map_is_one_by_name(tmp_path: Path):
    path = tmp_path / "d.json"
    path.write_text('{"opmap": null, "oplist": ["A"], "solutions": []}')
    assert read_dump(path).header.space.granularity is Granularity.NAME


def scheduler_map(configuration: str) -> str:
    """What ONE's pareto_scheduler hands to onert: up to the last character but one."""
    pattern = 'OP_BACKEND_MAP="'
    return configuration[configuration.index(pattern) + len(pattern) : len(configuration) - 1]


@pytest.mark.parametrize("threads", [None, 2])
@pytest.mark.parametrize("settings", [{}, {"executor": ("Linear", "Parallel")}])
def test_what_ones_scheduler_takes_of_a_configuration_is_the_map(mobilenet, threads, settings):
    space = onert_space(mobilenet.graph, ("cpu", "acl_cl"), Granularity.INDEX, settings=settings)
    configuration = OnertConfiguration.of(space, space.assignment_of(5), threads=threads)
    taken = dict(entry.split("=") for entry in scheduler_map(configuration.text).split(";"))
    assert taken == {str(i): b for i, b in configuration.backend_by_operation.items()}
    # For a shell all of it is in that line, too.
    words = dict(word.split("=", 1) for word in shlex.split(configuration.text))
    assert words["OP_BACKEND_MAP"] == configuration.operation_map
    assert ("NUM_THREADS" in words) == (threads is not None)
    assert ("EXECUTOR" in words) == bool(settings)


def test_ids_beyond_64_bits_are_text_since_jsoncpp_has_no_such_numbers(tmp_path: Path):
    space = DecisionSpace.by_names(("cpu", "acl_cl"), [f"N{i}" for i in range(70)])
    numbers = [3, 2**64 - 1, 2**64, 2**69]
    trials = [
        Trial(
            i,
            space.assignment_of(n),
            Measurement({"exec_time": (i + 1,), "max_rss": (9e6 / (i + 1),)}),
        )
        for i, n in enumerate(numbers, 1)
    ]
    path = tmp_path / "big.json"
    path.write_text(sampler_dump(space, items(trials)))
    content = json.loads(path.read_text())
    ids = [solution["id"] for solution in content["solutions"]]
    assert ids == [3, 2**64 - 1, str(2**64), str(2**69)]
    assert {str(i) for i in ids} == set(content["configs"])
    again = read_dump(path)
    assert [again.header.space.id_of(t.assignment) for t in again.trials] == numbers


ORIGINALS_NAMES = """
    SUM Reduce|ADD BinaryArithmetic|SUB BinaryArithmetic|DIV BinaryArithmetic|MUL BinaryArithmetic|
    REDUCE_MAX Reduce|CONV_2D Conv2D|PACK Pack|SOFTMAX Softmax|CONCATENATION Concat|
    EXP ElementwiseUnary|RESHAPE Reshape|SPLIT_V SplitV|ARG_MAX ArgMax|
    BATCH_TO_SPACE_ND BatchToSpaceND|DEPTHWISE_CONV_2D DepthwiseConv2D|
    LOGISTIC ElementwiseActivation|MEAN Reduce|RELU6 ElementwiseActivation|
    RELU ElementwiseActivation|RESIZE_BILINEAR ResizeBilinear|REVERSE_V2 Reverse|
    SPACE_TO_BATCH_ND SpaceToBatchND|AVERAGE_POOL_2D Pool2D|MAX_POOL_2D Pool2D|GATHER Gather|
    CAST ElementwiseUnary|FULLY_CONNECTED FullyConnected|PAD Pad|SLICE Slice|
    STRIDED_SLICE StridedSlice|TRANSPOSE Transpose|UNPACK Unpack
"""


def test_every_name_that_the_original_gives_an_operation_is_ours(tmp_path: Path):
    path = tmp_path / "oplist.json"
    for pair in ORIGINALS_NAMES.split("|"):
        builtin, name = pair.split()
        path.write_text(json.dumps({"oplist": [name]}))
        ours = BUILTINS[builtin].name
        assert Oplist.read(path).names == (ours,), builtin
        path.write_text(
            json.dumps({"oplist": [name], "opmap": [0], "opname_by_indx": [name], "solutions": []})
        )
        assert read_dump(path).header.space.variables[0].name == f"{ours}#0"
        path.write_text(json.dumps({"oplist": [name], "solutions": []}))
        assert read_dump(path).header.space.variables[0].name == ours


def test_three_backends_are_recognised_by_an_id_that_needs_them(tmp_path: Path):
    path = tmp_path / "three.json"
    path.write_text('{"oplist": ["A", "B"], "solutions": [{"memory": 1, "id": 8, "time": 2.0}]}')
    assert read_dump(path).header.space.backends == ("cpu", "acl_cl", "acl_neon")
    assert read_dump(path).trials[0].assignment == ("acl_neon", "acl_neon")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", "expected a JSON object"),
        ("{", "not JSON"),
        ('{"solutions": []}', "no 'oplist'"),
        ('{"oplist": [], "solutions": []}', "expected a list"),
        ('{"oplist": ["A"], "solutions": [{"id": 1}]}', "no 'exec_time'"),
        ('{"oplist": ["A"], "solutions": [{"id": 9, "time": 1, "memory": 1}]}', "id 9"),
        (
            '{"oplist": ["A"], "solutions": [{"id": 0, "time": -1, "memory": 1}]}',
            "number from 0 to",
        ),
        ('{"oplist": ["A"], "solutions": [{"id": 0, "time": "1", "memory": 1}]}', "number from 0"),
        ('{"oplist": ["A"], "solutions": [{"id": 0, "time": 1, "memory": true}]}', "got True"),
        ('{"oplist": ["A"], "solutions": [{"id": 0, "time": 1e300, "memory": 1}]}', "less than"),
        ('{"oplist": ["A"], "solutions": [{"id": 0, "time": 0.0, "memory": 1}]}', "0 is none"),
        ('{"oplist": ["A", 3], "solutions": []}', "list of names"),
        ('{"oplist": [1000000000000], "solutions": []}', "number its classes"),
        ('{"oplist": ["A"], "solutions": [{"id": 1e999, "time": 1, "memory": 1}]}', "whole"),
        ('{"oplist": ["A"], "solutions": [{"id": 1.9, "time": 1, "memory": 1}]}', "whole"),
        (
            '{"oplist": ["A"], "solutions": [{"id": 0, "memory": 1, "time": 1' + "0" * 400 + "}]}",
            "no result dump",
        ),
    ],
)
def test_a_broken_dump_is_named(tmp_path: Path, text: str, found: str):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(InputError, match=found) as caught:
        read_dump(path)
    assert str(path) in str(caught.value)


def test_dumps_and_journals_are_told_apart(tmp_path: Path):
    journal = tmp_path / "journal.jsonl"
    journal.write_text('{"record":"header"}\n')
    assert is_dump(BRUTE_FORCE)
    assert not is_dump(journal)
    assert not is_dump(tmp_path)


@pytest.mark.parametrize("mode", [Granularity.NAME, Granularity.INDEX])
def test_oplist_gives_the_same_ids_as_the_models_own_order(
    mobilenet: Model, tmp_path: Path, mode: Granularity
):
    path = tmp_path / "oplist.json"
    oplist = Oplist.of(mobilenet.graph, mode)
    path.write_text(json.dumps(oplist.to_json()))
    read = Oplist.read(path)
    assert read == oplist
    ours = onert_space(mobilenet.graph, ("cpu", "ruy"), mode)
    theirs = read.space(mobilenet.graph, ("cpu", "ruy"))
    assert [v.operations for v in theirs.variables] == [v.operations for v in ours.variables]
    for number in (0, 1, 5, ours.id_limit - 1):
        assert theirs.backend_by_operation(theirs.assignment_of(number)) == (
            ours.backend_by_operation(ours.assignment_of(number))
        )


def test_oplist_order_rules_the_digits(mobilenet: Model, tmp_path: Path):
    names = ["Softmax", "Reduce", "FullyConnected", "DepthwiseConv2D", "BinaryArithmetic", "Conv2D"]
    path = tmp_path / "oplist.json"
    path.write_text(json.dumps({"oplist": names}))
    space = Oplist.read(path).space(mobilenet.graph, ("cpu", "ruy"))
    assert [v.name for v in space.variables] == names
    assert space.backend_by_operation(space.assignment_of(32))[0] == "ruy"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"oplist": ["Conv2D"]}, "has no DepthwiseConv2D"),
        (
            {"oplist": [*MOBILENET_NAMES, "Pad"]},
            "has Pad, which the model has not",
        ),
        ({"oplist": ["A"], "opmap": [0], "opname_by_indx": ["A"]}, "another model"),
        ({"oplist": ["A"], "opmap": [0, 2], "opname_by_indx": ["A", "A"]}, "number its classes"),
        ({"oplist": ["A"], "opmap": [0], "opname_by_indx": []}, "1 entries"),
        ({"oplist": ["A"], "opmap": [], "opname_by_indx": []}, "number its classes"),
        ({"oplist": ["A"], "opmap": [10**12], "opname_by_indx": ["A"]}, "number its classes"),
        ({"oplist": ["A"], "opmap": [0.5], "opname_by_indx": ["A"]}, "whole number"),
        ({"oplist": "A"}, "no operation list"),
    ],
)
def test_an_oplist_of_another_model_is_refused(
    mobilenet: Model, tmp_path: Path, content: dict, found: str
):
    path = tmp_path / "oplist.json"
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=found):
        Oplist.read(path).space(mobilenet.graph, ("cpu", "ruy"))


def test_operations_that_the_runtime_places_have_no_class():
    spec = chain(2)
    spec.tensors = [*spec.tensors, TensorSpec((1, 4))]
    spec.operations = [*spec.operations, OperationSpec(IF, (2,), (3,))]
    graph = onert_graph(build(spec), "if.tflite")
    assert Oplist.of(graph, Granularity.INDEX).classes == (0, 0, -1)
    assert Oplist.of(graph, Granularity.NAME).names == ("ElementwiseActivation",)


def test_index_mode_cannot_be_told_for_several_subgraphs():
    spec = chain(2)
    spec.subgraphs = 2
    graph = onert_graph(build(spec), "two")
    with pytest.raises(SpaceError, match="2 subgraphs"):
        Oplist.of(graph, Granularity.INDEX).space(graph, ("cpu",))


def test_what_the_format_cannot_say_is_not_dumped(mobilenet: Model):
    by_operation = onert_space(mobilenet.graph, ("cpu",), Granularity.OPERATION)
    with pytest.raises(InputError, match="modes name and index, not operation"):
        sampler_dump(by_operation, [])


def test_oplist_knows_the_seeds_two_modes_only(mobilenet: Model):
    with pytest.raises(SpaceError, match="modes name and index"):
        Oplist.of(mobilenet.graph, Granularity.OPERATION)

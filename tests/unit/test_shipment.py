"""What ships, read back as those read it for whom it is written."""

from __future__ import annotations

import ast
import json
import math
import platform
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from build_model import build, chain
from hypothesis import given
from hypothesis import strategies as st
from rooms import ONERT, onert_space

from pareto_profiler.core.estimate import Figure
from pareto_profiler.core.measurement import OBJECTIVES, Measurement
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.recording import Header
from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.errors import InputError
from pareto_profiler.models import Model
from pareto_profiler.runtimes.base import Artifact, Launch, Measured
from pareto_profiler.runtimes.onert.code import header_of, python_of, read_header
from pareto_profiler.runtimes.onert.package import (
    CALLS,
    CFG,
    configured,
    read_configuration,
    write_package,
)
from pareto_profiler.runtimes.onert.part import part_of, placed_by
from pareto_profiler.runtimes.onert.script import script_of
from pareto_profiler.runtimes.onert.shipment import (
    calls_of,
    configuration_of,
)
from pareto_profiler.runtimes.onert.switching import switching_of
from pareto_profiler.verification import Verification, expected_range, verify

PLAN = Plan(threads=2)


def shipment_of(
    mobilenet: Model,
    granularity: Granularity = Granularity.OPERATION,
    backends: tuple[str, ...] = ("cpu", "ruy"),
    name: str = "net",
    number: int = 5,
) -> Artifact:
    space = onert_space(mobilenet.graph, backends, granularity)
    header = Header(
        name,
        "ab",
        space,
        ("exec_time", "max_rss"),
        PLAN,
        "local",
        "onert 1.30.0",
        graph=mobilenet.graph,
    )
    figures = [
        Measured(OBJECTIVES["exec_time"], 2.5, (2.4, 2.6)),
        Measured(OBJECTIVES["max_rss"], 13000.0, None),
    ]
    return Artifact(header, space.assignment_of(number), figures)


@pytest.mark.parametrize("granularity", [Granularity.NAME, Granularity.OPERATION])
def test_a_shell_that_sources_the_script_has_the_configuration(mobilenet, tmp_path, granularity):
    shipment = shipment_of(mobilenet, granularity, name="evil'; touch /tmp/evil; '\n$(touch x)")
    file = tmp_path / "it's.sh"
    file.write_text(script_of(shipment), encoding="utf-8")
    done = subprocess.run(
        ["sh", "-euc", '. "$0"; exec env -0', str(file)],
        env={"PATH": "/usr/bin:/bin", "OP_BACKEND_Softmax": "left", "EXECUTOR": "Parallel"},
        capture_output=True,
        check=True,
        cwd=tmp_path,
    )
    found = dict(pair.split("=", 1) for pair in done.stdout.decode().split("\0") if pair)
    wanted = configuration_of(shipment).variables
    assert {k: v for k, v in found.items() if k in wanted} == wanted
    assert "EXECUTOR" not in found
    assert (found.get("OP_BACKEND_Softmax") != "left") or granularity is Granularity.NAME
    assert not (tmp_path / "x").exists()


def test_the_header_compiles_to_what_the_calls_take(mobilenet, tmp_path):
    shipment = shipment_of(mobilenet, name="a */ b")
    file = tmp_path / "it.h"
    file.write_text(header_of(shipment), encoding="utf-8")
    assert read_header(file.read_text(encoding="utf-8")) == calls_of(shipment)
    assert max(map(len, file.read_text(encoding="utf-8").splitlines())) < 100
    program = tmp_path / "main.c"
    program.write_text(
        '#include <stdio.h>\n#include "it.h"\n'
        "int main(void) { puts(PARETO_BACKENDS); puts(PARETO_OPERATION_BACKENDS); return 0; }\n"
    )
    # As the probe is compiled: what that takes is in the compiler's cache.
    flags = ["-target", f"{platform.machine()}-linux-gnu.2.17", "-O2", "-s", "-Wall", "-Werror"]
    compiler = [sys.executable, "-m", "ziglang", "cc", *flags]
    subprocess.run([*compiler, str(program), "-o", tmp_path / "main"], check=True)
    said = subprocess.run([tmp_path / "main"], check=True, capture_output=True, text=True).stdout
    assert tuple(said.splitlines()) == calls_of(shipment)


def test_calls_have_their_limits(mobilenet):
    backends = ("cpu", "fourteen_chars", "thirteen_char")
    shipment = shipment_of(mobilenet, Granularity.NAME, backends)
    rest = ("cpu",) * (len(shipment.assignment) - 3)
    two = replace(shipment, assignment=("cpu", "fourteen_chars", "fourteen_chars", *rest))
    assert calls_of(two)[0] == "fourteen_chars;cpu"
    with pytest.raises(InputError, match="32 characters, the call for them takes 31"):
        calls_of(replace(shipment, assignment=("cpu", "fourteen_chars", "thirteen_char", *rest)))


def test_the_program_is_python_whatever_the_model_is_called(mobilenet, tmp_path):
    shipment = shipment_of(mobilenet, name='@MODEL@""" + evil() + "\\\nevil()')
    text = python_of(shipment, tmp_path / '@BACKENDS@ a "quoted" \\ 模型.tflite')
    tree = ast.parse(text)
    calls = {
        n.func.id
        for n in ast.walk(tree)
        if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)
    }
    assert "evil" not in calls
    values = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    assert values["MODEL"] == str((tmp_path / '@BACKENDS@ a "quoted" \\ 模型.tflite').resolve())
    assert values["BACKENDS"] == calls_of(shipment)[0]


def test_a_package_from_a_model_file(mobilenet, mobilenet_file, tmp_path):
    shipment = shipment_of(mobilenet, Granularity.INDEX)
    write_package(shipment, mobilenet_file, mobilenet.graph, tmp_path / "package")
    again = ONERT.read(tmp_path / "package")
    assert again.graph.digest == mobilenet.graph.digest
    lines = (tmp_path / "package" / "metadata" / CFG).read_bytes()
    assert b"\r" not in lines
    found = dict(line.split("=", 1) for line in lines.decode().splitlines() if line[0] != "#")
    wanted = configuration_of(shipment).variables
    assert found == {k: v for k, v in wanted.items() if k != "OMP_NUM_THREADS"}
    calls = (tmp_path / "package" / "metadata" / CALLS).read_text(encoding="utf-8")
    assert read_header(calls) == calls_of(shipment)


def test_a_package_that_was_one_keeps_all_but_its_configuration(
    mobilenet, mobilenet_file, tmp_path
):
    before = tmp_path / "before"
    (before / "metadata" / "tc").mkdir(parents=True)
    (before / "metadata" / "tc" / "input.h5").write_bytes(b"h5")
    (before / "net.tflite").write_bytes(mobilenet_file.read_bytes())
    manifest = {"major-version": "1", "minor-version": "3", "patch-version": "1", "own": [1]}
    manifest |= {"models": ["net.tflite"], "configs": ["mine.cfg"]}
    (before / "metadata" / "MANIFEST").write_text(json.dumps(manifest)[:-1] + ",}")
    (before / "metadata" / "mine.cfg").write_text(
        "FP16_ENABLE=1 # not measured\nBACKENDS=acl_cl\nOP_BACKEND_ALLOPS=acl_cl\nNUM_THREADS=9\n"
    )
    (before / "net.tflite").chmod(0o444)
    shipment = shipment_of(mobilenet)
    left_out = write_package(shipment, before, mobilenet.graph, tmp_path / "after")
    assert left_out == ["FP16_ENABLE"]
    after = json.loads((tmp_path / "after" / "metadata" / "MANIFEST").read_text())
    # The type that older versions ask for is added; a trailing comma is read as onert reads it.
    assert after == {**manifest, "model-types": ["tflite"], "configs": [CFG]}
    assert (tmp_path / "after" / "metadata" / "tc" / "input.h5").read_bytes() == b"h5"
    assert read_configuration(tmp_path / "after") == configured(shipment)
    assert write_package(shipment, before, mobilenet.graph, tmp_path / "after") == left_out
    with pytest.raises(InputError, match="lies inside the package"):
        write_package(shipment, before, mobilenet.graph, before / "metadata" / "new")
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="is there already"):
        write_package(shipment, before, mobilenet.graph, tmp_path / "other")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["after", "before", "other"]


@pytest.mark.parametrize(
    "odd", [{"configs": ["a\0b"]}, {"major-version": "9" * 100_001}, {"configs": [3]}]
)
def test_an_odd_manifest_is_no_obstacle(mobilenet, mobilenet_file, tmp_path, odd):
    before = tmp_path / "before"
    (before / "metadata").mkdir(parents=True)
    (before / "net.tflite").write_bytes(mobilenet_file.read_bytes())
    (before / "metadata" / "MANIFEST").write_text(json.dumps({"models": ["net.tflite"], **odd}))
    write_package(shipment_of(mobilenet), before, mobilenet.graph, tmp_path / "after")
    after = json.loads((tmp_path / "after" / "metadata" / "MANIFEST").read_text())
    assert after["configs"] == [CFG]


def test_a_recording_without_operation_numbers_has_no_calls():
    space = DecisionSpace.by_names(("cpu", "ruy"), ["Conv2D"])
    shipment = Artifact(Header("table", "", space, ("exec_time", "max_rss")), ("ruy",), [])
    with pytest.raises(InputError, match="ship it as env"):
        header_of(shipment)
    (entry,) = json.loads(switching_of([shipment]))["configurations"]
    assert entry["operation_backends"] is None
    assert entry["environment"]["OP_BACKEND_Conv2D"] == "ruy"
    assert "OP_BACKEND_Conv2D=ruy" in script_of(shipment)


@pytest.mark.parametrize("name", ["x; touch PWN #", "a b", "", "1x", "é"])
def test_names_that_a_shell_would_run_are_refused(name):
    space = DecisionSpace.by_names(("cpu", "ruy"), [name])
    shipment = Artifact(Header("table", "", space, ("exec_time", "max_rss")), ("ruy",), [])
    if f"OP_BACKEND_{name}".isidentifier() and name.isascii():
        assert f"OP_BACKEND_{name}=ruy" in script_of(shipment)
        return
    with pytest.raises(InputError, match="is no name of a variable"):
        script_of(shipment)


def test_backends_that_would_end_a_string_are_refused(mobilenet):
    header = replace(shipment_of(mobilenet, backends=("cpu", "ruy")).header)
    space = DecisionSpace.by_names(("cpu", 'ru"y'), ["Conv2D"])
    with pytest.raises(InputError, match="expected letters, digits"):
        header_of(Artifact(replace(header, space=space), ('ru"y',), []))


def test_the_switching_set_tells_all_configurations(mobilenet):
    shipments = [shipment_of(mobilenet, number=n) for n in (5, 0)]
    data = json.loads(switching_of(shipments))
    assert [c["id"] for c in data["configurations"]] == ["5", "0"]
    first = data["configurations"][0]
    assert first["figures"]["exec_time"] == {"value": 2.5, "interval": [2.4, 2.6]}
    assert first["figures"]["max_rss"] == {"value": 13000.0, "interval": None}
    assert (first["backends"], first["operation_backends"]) == calls_of(shipments[0])
    assert first["environment"]["NUM_THREADS"] == "2"
    assert data["objectives"]["max_rss"]["unit"] == "KiB"
    with pytest.raises(InputError, match="no front"):
        switching_of([])


def test_a_model_with_subgraphs_has_no_calls(tmp_path):
    file = tmp_path / "m.tflite"
    file.write_bytes(build(chain(3)))
    model = ONERT.read(file)
    graph = type(model.graph)(
        **{**{n: getattr(model.graph, n) for n in model.graph.__slots__}, "subgraph_count": 2}
    )
    space = onert_space(model.graph, ("cpu", "ruy"), Granularity.NAME)
    header = Header("m", "", space, ("exec_time", "max_rss"), graph=graph)
    shipment = Artifact(header, space.default, [])
    with pytest.raises(InputError, match="2 subgraphs"):
        header_of(shipment)
    entry = json.loads(switching_of([shipment]))["configurations"][0]
    assert entry["backends"] is None
    # Without a plan as the seed: every backend is loaded.
    assert entry["environment"]["BACKENDS"] == "ruy;cpu"


@given(st.floats(1e-4, 10), st.floats(0, 0.1), st.floats(1e-6, 0.1), st.floats(0, 0.1))
def test_what_one_more_process_may_take_widens_with_all_that_is_unknown(
    value, deviation, noise, margin
):
    low, high = expected_range(Figure(value, deviation, 8.0), noise, margin)
    assert low < value < high
    assert expected_range(Figure(value, 2 * deviation, 8.0), noise, margin)[1] >= high
    assert expected_range(Figure(value, deviation, 8.0), noise, margin + 0.1)[1] > high


def test_what_ships_is_judged_beside_the_search_s_own_way():
    def verified(seconds, beside, mismatches=(), noise=0.01) -> Verification:
        return Verification(seconds, (2.0, 2.2), mismatches, beside, noise)

    slow_day = verified((3.0, 3.02), (2.99, 3.01))
    assert slow_day.is_good
    assert not slow_day.is_in_range
    assert "not as fast as it was then (2000 to 2200 ms), within noise as under" in slow_day.words
    fast_day = verified((1.0,), (1.0,))
    assert "faster than it was then" in fast_day.words
    noisy = Verification((2.0,), (1.0, 4.0), None, (2.2,), 0.3)
    assert noisy.is_good is None
    assert "no verdict" in noisy.words
    assert "1000" not in noisy.words
    # Placement is told all the same, and what differs by more than any noise is.
    assert replace(noisy, mismatches=("operation 3",)).is_good is False
    assert replace(noisy, beside=(20.0,)).is_good is False
    slower = verified((2.15,), (2.02,))
    assert slower.is_in_range
    assert not slower.is_good
    assert "DIFFERENT beyond noise" in slower.words
    assert not verified((2.9, 2.9, 2.9), (2.5, 2.5, 2.5), noise=0.0).is_good
    busy_now = verified((3.5, 5.2, 3.6, 5.3), (5.4, 3.6, 5.1, 5.2))
    assert busy_now.is_good is None
    assert not verified((5.2, 5.3, 5.1, 5.2), (3.6, 3.5, 3.6, 3.5)).is_good
    slower_in_company = replace(slower, is_disturbed=True)
    assert slower_in_company.is_good is None
    assert "no verdict" in slower_in_company.words
    assert replace(slow_day, is_disturbed=True).is_good
    assert replace(slower_in_company, mismatches=("operation 3",)).is_good is False
    elsewhere = verified((2.1,), (2.1,), ("operation 3: ruy was asked for", "operation 4: …"))
    assert not elsewhere.is_good
    assert "operation 3: ruy was asked for and 1 more" in elsewhere.words
    assert "this form cannot tell" in verified((2.1,), (2.1,), None).words


class Scattering:
    """An engine where processes scatter, and what is written takes so many times as long."""

    def __init__(self, factor: float, scatter: float, seed: int) -> None:
        self._factor, self._scatter = factor, scatter
        self._random = np.random.default_rng(seed)

    def _taken(self, seconds: float) -> Measurement:
        noise = math.exp(abs(self._random.normal(0, self._scatter)))
        return Measurement({"exec_time": (seconds * noise,)})

    def run_artifact(self, *_: object) -> tuple[Measurement, None]:
        return self._taken(self._factor), None

    def run(self, *_: object, is_repeat: bool) -> Measurement:
        assert is_repeat
        return self._taken(1.0)


@pytest.mark.parametrize(("noise", "scatter"), [(0.2, 0.2), (0.2, 0.4), (0.04, 0.3)])
def test_a_form_that_is_slower_does_not_pass_on_a_noisy_machine(noise: float, scatter: float):
    def share(factor: float, *verdicts: bool | None) -> float:
        found = [
            verify(
                Scattering(factor, scatter, seed),
                Launch(),
                ("x",),
                Figure(1.0),
                noise=noise,
                margin=0.01,
            ).is_good
            for seed in range(100)
        ]
        return sum(map(found.count, verdicts)) / len(found)

    assert share(1.5, True) <= 0.05
    assert share(1.0, False) <= 0.03
    # What cannot be told is said, and a quiet machine tells.
    assert share(1.5, None, False) >= 0.95
    assert verify(
        Scattering(1.0, 0.01, 0), Launch(), ("x",), Figure(1.0), noise=0.01, margin=0.01
    ).is_good


@given(number=st.integers(0, 2**30))
def test_a_part_file_says_where_each_operation_goes(mobilenet: Model, number: int):
    shipped = shipment_of(mobilenet, number=number)
    _, operations = calls_of(shipped)
    chosen = dict(pair.split("=") for pair in operations.split(";"))
    placed = placed_by(part_of(shipped), mobilenet.graph)
    assert {str(index): backend for index, backend in placed.items()} == chosen


def test_a_part_file_names_kinds_where_these_suffice(mobilenet: Model):
    text = part_of(shipment_of(mobilenet, Granularity.NAME))
    assert "comply=opcode" in text
    assert "\nbackends=cpu,ruy\ndefault=cpu\n" in text or "\nbackends=ruy,cpu\n" in text
    names = [line.split("=")[0] for line in text.split("[OPCODE]\n")[1].splitlines()]
    assert set(names) <= {o.builtin for o in mobilenet.graph.operations}


def test_operations_that_have_no_name_of_their_own_cannot_be_told(mobilenet: Model):
    shipped = shipment_of(mobilenet)
    graph = mobilenet.graph
    same = replace(graph, tensors=tuple(replace(t, name="same") for t in graph.tensors))
    for tensors, words in (
        (same.tensors, "'same' is there twice"),
        (tuple(replace(t, name=f"a={t.index}") for t in graph.tensors), "cannot stand in it"),
    ):
        header = replace(shipped.header, graph=replace(graph, tensors=tensors))
        with pytest.raises(InputError, match=words):
            part_of(replace(shipped, header=header))

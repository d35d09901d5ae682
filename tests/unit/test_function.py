"""Any function of an assignment under the samplers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pareto_profiler as pp
from pareto_profiler.errors import InputError, StoreError

BOTH = ["cpu", "npu"]
NAMES = [f"conv@{i}" for i in range(12)]
EDGES = [(a, b, 40_000) for a, b in pairwise(NAMES)]
SAVED = {name: 0.3 + 0.1 * (i % 4) for i, name in enumerate(NAMES)}


def cost(chosen: dict[str, str]) -> dict[str, float]:
    """Milliseconds that an accelerator saves, copies, and its memory."""
    fast = [name for name in NAMES if chosen[name] == "npu"]
    copies = sum(chosen[a] != chosen[b] for a, b, _ in EDGES)
    seconds = 1e-3 * (len(NAMES) - sum(SAVED[name] for name in fast) + 0.2 * copies)
    return {"exec_time": seconds, "max_rss": 1e6 + 3e6 * bool(fast) + 1e5 * len(fast)}


def space(**more: object) -> pp.FunctionSpace:
    return pp.FunctionSpace.of(dict.fromkeys(NAMES, BOTH), edges=EDGES, **more)


def test_the_front_of_a_function_comes_in_few_calls():
    calls = []

    def measure(chosen: dict[str, str]) -> Mapping[str, Any]:
        calls.append(chosen)
        return cost(chosen)

    run = pp.search(space(), measure=measure, budget=40)
    assert len(calls) == len([t for t in run.trials if t.source != "profile"]) <= 40
    best = min(cost(dict(zip(NAMES, a, strict=True)))["exec_time"] for a in run_space())
    assert run.front[0].values["exec_time"] == pytest.approx(1e3 * best)
    assert run.front[-1].choices == dict.fromkeys(NAMES, "cpu")
    assert run.best().configuration == "npu: all"
    assert run.front[-1].configuration == "cpu: all"
    assert run.best().explain().to_json()
    assert run.path is None
    assert "npu: all" in run._repr_html_()


def run_space() -> pp.DecisionSpace:
    return space().space


def test_a_run_of_a_function_goes_on_and_ships(tmp_path: Path):
    calls = []

    def measure(chosen: dict[str, str]) -> Mapping[str, Any]:
        calls.append(chosen)
        return cost(chosen)

    pp.search(space(), measure=measure, budget=8, output=tmp_path / "run")
    before = len(calls)
    run = pp.search(space(), measure=measure, budget=12, output=tmp_path / "run")
    assert len(run.trials) == 12
    assert len(calls) == before + 4
    point = pp.open(run.path).best()
    written = point.deploy(tmp_path / "a.json")
    assert json.loads(written.path.read_text()) == point.choices
    assert not written.verified
    command = [Path(sys.executable).parent / "pareto-profiler"]
    shown = subprocess.run([*command, "show", run.path], capture_output=True, text=True, check=True)
    assert "function on python" in shown.stdout
    assert "12 npu" in shown.stdout
    done = subprocess.run(
        [*command, "confirm", run.path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "a Python function measured this run: measure from Python" in done.stderr
    shipped = [*command, "deploy", run.path, "A", "--output", tmp_path / "b.json"]
    done = subprocess.run(shipped, capture_output=True, text=True, check=True)
    assert "not verified: a Python function measured this run" in done.stderr
    other = pp.FunctionSpace.of({"a": BOTH})
    with pytest.raises(StoreError):
        pp.search(other, measure=cost, output=tmp_path / "run")


def test_what_fails_is_a_failure_and_what_is_broken_ends_the_search():
    def measure(chosen: dict[str, str]) -> Mapping[str, Any]:
        if chosen["conv@3"] == "npu":
            raise pp.RunError(pp.FailureKind.REJECTED, "no such kernel")
        if chosen["conv@5"] == "npu":
            raise OSError("the board\nis gone")
        return cost(chosen)

    run = pp.search(space(), measure=measure, budget=30, catch=(OSError,))
    messages = {row["message"] for row in run.rows() if "failure" in row}
    assert messages == {"no such kernel", "OSError: the board is gone"} or len(messages) == 1
    assert {p.choices["conv@3"] for p in run.front} == {"cpu"}
    with pytest.raises(OSError, match="is gone"):
        pp.search(space(), measure=measure, budget=30)


def test_profiles_and_settings_are_used():
    profiled = []

    def measure(chosen: dict[str, str]) -> Mapping[str, Any]:
        figures = cost(chosen)
        return figures | {
            "exec_time": figures["exec_time"] / (1.5 if chosen["fast"] == "on" else 1)
        }

    def profile(chosen: dict[str, str]) -> Mapping[str, float]:
        profiled.append(chosen)
        return {n: 1e-3 * (1 - SAVED[n] * (chosen[n] == "npu")) for n in NAMES}

    told = space(settings={"fast": ["off", "on"]}, weight_bytes={"conv@0": 1000})
    run = pp.search(told, measure=measure, profile=profile, budget=24)
    assert profiled
    assert run.front[0].choices["fast"] == "on"
    assert told.graph.operations[0].weight_bytes == 1000


def test_several_runs_are_the_samples_of_a_measurement():
    def measure(_: dict[str, str]) -> Mapping[str, Any]:
        return {"exec_time": np.array([0.2, 0.1, 0.3]), "max_rss": np.int64(5e6)}

    run = pp.search({"a": BOTH}, measure=measure, budget=1)
    assert run.trials[0].outcome.samples["exec_time"] == (0.2, 0.1, 0.3)
    assert run.front[0].values == {"exec_time": 200.0, "max_rss": pytest.approx(5e6 / 1024)}


def test_settings_alone_are_searched_too():
    def measure(chosen: dict[str, str]) -> Mapping[str, Any]:
        threads = int(chosen["threads"])
        return {"exec_time": 1 / threads, "max_rss": 1e6 * threads}

    told = pp.FunctionSpace.of({}, settings={"threads": ["1", "2", "4"]})
    run = pp.search(told, measure=measure, budget=12, runtimes=[])
    assert [point.choices for point in run.front] == [{"threads": n} for n in ("4", "2", "1")]
    assert run.front[0].configuration == "threads=4"


@pytest.mark.parametrize(
    ("operations", "more", "words"),
    [
        ({"a": "cpu"}, {}, "a: 'cpu': expected a list of choices"),
        ({"a": []}, {}, "a: []"),
        ({"a": ["x", "x"]}, {}, "each once"),
        ({"a": ["x", "y"], "b": ["y", "x"]}, {}, "one order of backends"),
        ({"a": BOTH}, {"settings": {"a": BOTH}}, "the same name"),
        ({"a": BOTH}, {"edges": [("a", "b", 1)]}, "'b': is none of the operations a"),
        ({"a": BOTH}, {"weight_bytes": {"c": 1}}, "'c': is none of the operations a"),
    ],
)
def test_spaces_that_make_no_sense(operations, more, words):
    with pytest.raises(InputError) as caught:
        pp.FunctionSpace.of(operations, **more)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (None, "measure returned None: expected exec_time as a number"),
        ({"exec_time": 1.0}, "expected max_rss as a number, or several, in B"),
        ({"exec_time": "fast", "max_rss": 1.0}, "measure returned 'fast'"),
        ({"exec_time": float("nan"), "max_rss": 1.0}, "expected 0 to less than"),
        ({"exec_time": -1.0, "max_rss": 1.0}, "expected 0 to less than"),
        ({"exec_time": [], "max_rss": 1.0}, "no sample"),
    ],
)
def test_answers_that_are_no_figures(answer, words):
    with pytest.raises(InputError) as caught:
        pp.search({"a": BOTH}, measure=lambda _: answer)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"runtimes": ["onert"]}, "runtimes=['onert']: has no effect with measure"),
        ({"adapt": True}, "adapt=True: has no effect"),
        ({"target": "odroid"}, "target='odroid': has no effect"),
        ({"objectives": ["exec_time", "output_error"]}, "no function can tell it"),
    ],
)
def test_options_without_effect_are_refused(given, words):
    with pytest.raises(InputError) as caught:
        pp.search({"a": BOTH}, measure=cost, **given)
    assert words in str(caught.value)


def test_a_model_needs_no_function_and_a_function_no_model():
    with pytest.raises(InputError, match="measure=… beside it"):
        pp.search({"a": BOTH})
    with pytest.raises(InputError, match="operation → its backends"):
        pp.search("model.tflite", measure=cost)


def test_what_is_kept_in_memory_cannot_ship(tmp_path: Path):
    run = pp.search(dict.fromkeys(NAMES, BOTH), measure=cost, budget=2)
    for call in (run.front[0].deploy, lambda to: pp.deploy(run, "fastest", to)):
        with pytest.raises(InputError, match="output="):
            call(tmp_path / "x.json")

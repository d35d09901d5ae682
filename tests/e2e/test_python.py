"""The front door for Python, as a script uses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_model import build, dense, half_precision

import pareto_profiler as pp
from pareto_profiler.errors import InputError, ParetoProfilerError

PLAN = {"repeats": 3, "warmups": 1}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> pp.Run:
    """A search of a few trials."""
    folder = tmp_path_factory.mktemp("python")
    (folder / "m.tflite").write_bytes(build(dense()))
    trials = []
    made = pp.search(
        folder / "m.tflite",
        runtime="litert",
        granularity="operation",
        budget=12,
        plan=PLAN,
        output=folder / "run",
        progress=trials.append,
    )
    assert trials == list(made.trials)
    return made


def test_a_run_is_searched_opened_selected_compared_and_deployed(run: pp.Run, tmp_path: Path):
    again = pp.open(run.path)
    assert [row.id for row in again.front] == [row.id for row in run.front]
    chosen = pp.select(run, max_rss="9GB").row
    assert chosen.id == pp.select(run.path, max_rss=9e6).row.id
    assert pp.select(run, is_knee=True).row
    assert pp.compare(run, run.path).change in ("same", "no verdict")
    shipped = pp.deploy(run, chosen.id, tmp_path / "a.json")
    assert shipped.path.is_file()
    assert not shipped.verified[0].mismatches
    assert not pp.deploy(run.path, "fastest", tmp_path / "b.json", is_to_run=False).verified


def test_a_model_that_is_refused_is_adapted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "m.tflite").write_bytes(build(half_precision()))
    options = {"budget": 2, "plan": PLAN, "tolerance": "cosine:0.99", "output": tmp_path / "run"}
    run = pp.search(tmp_path / "m.tflite", adapt=True, **options)
    assert run.recording.header.plan.tolerance_kind == "cosine"
    assert run.recording.header.graph.original


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"budget": "3"}, "budget='3'"),
        ({"budget": 0}, "budget=0"),
        ({"seconds": -1}, "seconds=-1"),
        ({"seed": "x"}, "seed='x'"),
        ({"granularity": "x"}, "granularity='x': expected one of name, index, operation"),
        ({"backends": "xnnpack"}, "expected a list of names"),
        ({"plan": {"repeats": 0}}, "repeats=0"),
        ({"plan": {"speed": 1}}, "plan: "),
        ({"plan": {"tolerance": "top1"}}, "plan: "),
        ({"tolerance": "l3:1"}, "tolerance 'l3:1'"),
        ({"input_shapes": {"input": (1, 2)}}, "--input-shape input=1,2"),
    ],
)
def test_what_makes_no_sense_is_an_error_of_the_package(wrong, words, tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(build(dense()))
    with pytest.raises(InputError) as caught:
        pp.search(tmp_path / "m.tflite", output=tmp_path / "run", **wrong)
    assert words in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_a_run_that_is_not_there_is_an_error_of_the_package(tmp_path: Path):
    for call in (pp.open, pp.select, lambda p: pp.compare(p, p), lambda p: pp.deploy(p, 1, "x")):
        with pytest.raises(ParetoProfilerError):
            call(tmp_path / "none")

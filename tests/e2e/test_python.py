"""The front door for Python, as a script uses it."""

from __future__ import annotations

from pathlib import Path

import pytest
from build_model import build, dense, half_precision
from conftest import ROOT

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
        runtimes=["litert"],
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
    assert pp.select(run, minimise="exec_time").row.id == run.front[0].id
    for wrong in ({"minimise": "speed"}, {"weights": {"speed": 1.0}}):
        with pytest.raises(InputError, match="objective 'speed'"):
            pp.select(run, **wrong)
    assert pp.compare(run, run.path).change in ("same", "no verdict")
    point = run.best(max_rss="9 GB")
    assert point.id == chosen.id
    assert set(point.choices.values()) <= set(run.recording.header.space.backends)
    shipped = point.deploy(tmp_path / "a.json", format="json")
    assert shipped.path.is_file()
    assert not shipped.verified[0].mismatches
    assert run.compare(run.path).change in ("same", "no verdict")
    assert point.explain().to_json()
    # What an interpreter shows of them.
    for shown in (run, point, run.recording, chosen, pp.select(run, is_knee=True)):
        assert len(repr(shown)) < 3000
    assert repr(point).startswith(f"<Point {point.row.name}: exec_time ")
    assert repr(run).endswith(f"{len(run.trials)} trials in {run.path}>")
    assert run.warnings == run.summary.warnings
    assert {"search", "open", "Run"} <= set(dir(pp))
    assert len(repr(run.trials[0])) < 1000
    assert run.report(tmp_path / "page.html").read_text().startswith("<!")
    assert [row["number"] for row in run.rows()] == [trial.number for trial in run.trials]
    assert {row.get("exec_time") for row in run.rows()} - {None}
    assert "<table>" in run._repr_html_()
    assert not pp.deploy(run.path, "fastest", tmp_path / "b.json", is_to_run=False).verified


def test_several_runtimes_are_searched_together(tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(build(dense()))
    run = pp.search(
        tmp_path / "m.tflite",
        runtimes=["litert", "onert"],
        budget=16,
        plan=PLAN,
        output=tmp_path / "run",
    )
    assert isinstance(run, pp.JointRun)
    assert list(run.runs) == ["litert", "onert"]
    point = run.front[0]
    assert point.row.runtime in run.runs
    assert run.best(minimise="exec_time").id == point.id
    assert point.explain().to_json()
    assert point.deploy(tmp_path / "shipped", is_to_run=False).path.exists()
    assert point.row.runtime in run._repr_html_()
    with pytest.raises(InputError, match="several runtimes"):
        pp.compare(run.path, run.path)
    with pytest.raises(InputError, match="one runtime"):
        pp.search(tmp_path / "m.tflite", runtimes=["litert", "onert"], within={"model_rss": "1MB"})


def test_within_a_limit_one_point_is_looked_for(tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(build(dense()))
    options = {"plan": PLAN, "budget": 6, "output": tmp_path / "run"}
    run = pp.search(tmp_path / "m.tflite", within={"max_rss": "1GB"}, **options)
    assert run.best(max_rss="1GB")
    with pytest.raises(InputError, match="1 what"):
        pp.search(tmp_path / "m.tflite", within={"max_rss": "1"}, **options)


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
        ({"addresses": "a,b"}, "addresses='a,b': expected a list"),
        ({"plan": {"repeats": 0}}, "repeats=0"),
        ({"plan": {"speed": 1}}, "plan: "),
        ({"plan": {"tolerance": "top1"}}, "plan: "),
        ({"tolerance": "l3:1"}, "tolerance 'l3:1'"),
        ({"input_shapes": {"input": (1, 2)}}, "input_shapes='input=1,2': 'input' has"),
        ({"backends": ["builtin"]}, "; runtimes=… litert has builtin"),
        ({"runtimes": "litert"}, "expected a list of names"),
        ({"catch": (OSError,)}, "has no effect without measure"),
    ],
)
def test_what_makes_no_sense_is_an_error_of_the_package(wrong, words, tmp_path: Path):
    (tmp_path / "m.tflite").write_bytes(build(dense()))
    with pytest.raises(InputError) as caught:
        pp.search(tmp_path / "m.tflite", output=tmp_path / "run", **wrong)
    assert words in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_an_error_of_a_limit_names_the_parameter():
    run = pp.open(ROOT / "examples" / "runs" / "emulated_board")
    with pytest.raises(InputError, match=r"the run's are .* \(exec_time=… or max_rss=…\)"):
        pp.select(run, model_rss="1MB")


def test_a_run_that_is_not_there_is_an_error_of_the_package(tmp_path: Path):
    for call in (pp.open, pp.select, lambda p: pp.compare(p, p), lambda p: pp.deploy(p, 1, "x")):
        with pytest.raises(ParetoProfilerError):
            call(tmp_path / "none")

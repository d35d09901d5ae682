"""A runtime is one folder and one line: nothing outside names one, and one more is enough."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from build_model import build, dense
from conftest import ROOT
from typer.testing import CliRunner

from pareto_profiler.cli.main import app
from pareto_profiler.errors import InputError
from pareto_profiler.runtimes import RUNTIMES, runtime, settings

PACKAGE = ROOT / "src" / "pareto_profiler"
# The original's formats and commands; an option and two values as they were called before.
# Formats of files are called by their names. The interpreter that is the format's reference comes
# with a runtime's wheel.
MAY_NAME_ONE = {
    "models/recognising.py",
    # An example of its docstring.
    "api.py",
    "models/reference.py",
    "storage/seed_formats.py",
    "cli/seed_commands.py",
    "cli/__init__.py",
    "targets.py",
}


def test_nothing_outside_names_a_runtime():
    names = re.compile("|".join(["nnfw", "ncnn", "onnxruntime", *RUNTIMES]), re.IGNORECASE)
    files = [p for p in PACKAGE.rglob("*") if p.suffix in {".py", ".c", ".h", ".html", ".css"}]
    naming = {
        str(path.relative_to(PACKAGE))
        for path in files
        if not path.is_relative_to(PACKAGE / "runtimes")
        and names.search(path.read_text(encoding="utf-8"))
    }
    assert naming == MAY_NAME_ONE
    lines = (PACKAGE / "cli" / "__init__.py").read_text(encoding="utf-8").splitlines()
    naming = [line.strip() for line in lines if names.search(line)]
    assert naming == ['"--onert-library": "--library",']


def test_contracts_of_imports_name_every_runtime():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    named = {c["name"]: c for c in contracts["contracts"]}
    every = {f"pareto_profiler.runtimes.{name}" for name in RUNTIMES}
    assert set(named["a runtime is known by its name only"]["forbidden_modules"]) == every
    assert set(named["runtimes do not know each other"]["modules"]) == every


@pytest.mark.parametrize("name", list(RUNTIMES))
def test_each_runtime_is_told_without_being_there(name: str):
    room = runtime(name)
    assert room.name == name
    assert room.on_request < set(room.backends)
    assert set(room.traits.settings) <= set(room.settings)
    assert set(room.settings) <= set(settings())
    assert room.forms
    for form in room.forms.values():
        assert form.meaning


def test_a_runtime_that_nobody_knows_is_named():
    with pytest.raises(InputError, match="runtime 'tvm': expected one of onert, litert"):
        runtime("tvm")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A search over a runtime of one file and one line."""
    monkeypatch.setitem(RUNTIMES, "toy", "toy_runtime")
    model = tmp_path / "m.tflite"
    model.write_bytes(build(dense()))
    options = ["--runtime", "toy", "--granularity", "operation", "--output", str(tmp_path / "run")]
    done = CliRunner().invoke(app, ["search", str(model), *options, "--budget", "20", "--json"])
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["front"]
    return tmp_path / "run"


def told(*words: object) -> dict:
    done = CliRunner().invoke(app, [*map(str, words), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_one_more_runtime_is_searched_shown_explained_and_inspected(run: Path):
    shown = told("show", run)
    assert all(row["configuration"].startswith("toy 0:") for row in shown["front"])
    # The dense layers run on both, what is between them on one.
    fastest = min(shown["front"], key=lambda row: row["values"]["exec_time"])
    assert (
        fastest["configuration"] == "toy 0:fast 1:fast 2:fast" or "1:" in fastest["configuration"]
    )
    assert told("explain", run, "fastest")
    assert told("learned", run)
    inspected = told("inspect", run.parent / "m.tflite", "--runtime", "toy")
    assert inspected["spaces"]["operation"]["variables"] > 1
    checked = told("target", "check", "local", run.parent / "m.tflite", "--runtime", "toy")
    assert checked["runtime"] == "toy 1"


def test_what_it_refuses_is_a_failure(run: Path):
    lines = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    assert lines[0]["runtime"] == "toy 1"
    assert lines[0]["traits"]["zero_copy"] == [["fast", "slow"]]
    failures = [line["failure"] for line in lines if "failure" in line]
    assert all(kind == "rejected" and "not th" in words for kind, words in failures)


def test_what_it_does_not_ship_is_one_line(run: Path):
    done = CliRunner().invoke(app, ["deploy", str(run), "fastest", "--format", "env"])
    assert done.exit_code == 2

"""``deploy`` as a user runs it: what is written does what was measured."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import MODELS, ROOT
from e2e.command import command, pp, pp_error, pp_json
from typer.testing import CliRunner

from pareto_profiler.cli.main import app
from pareto_profiler.jobs import choices_of, prepare
from pareto_profiler.runtimes.onert import forms
from pareto_profiler.runtimes.onert.engine import OnertEngine, OnertLaunch
from pareto_profiler.storage.journal import read

MODEL = MODELS / "mobilenet_v2_035_96.tflite"
BOARD_RUN = ROOT / "examples" / "runs" / "emulated_board"
TABLE = ROOT / "examples" / "tables" / "mobilenet_v2_035_96_logits-emulated_board"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search with mixes of two backends and settings that differ."""
    folder = tmp_path_factory.mktemp("deploy") / "run"
    pp(
        *(
            "search",
            MODEL,
            "--granularity",
            "operation",
            "--only",
            "61-64",
            "--vary",
            "memory_planner",
        ),
        *("--budget", 24, "--sampler", "random", "--retries", 0, "--output", folder),
        *("--repeats", 10, "--warmups", 3),
        cwd=folder.parent,
    )
    return folder


def a_mix(run: Path) -> str:
    """Something measured that uses both backends and not the default planner."""
    recording = read(run)
    measured = {t.assignment for t in recording.trials if hasattr(t.outcome, "samples")}
    mixes = [a for a in measured if {"cpu", "ruy"} <= set(a) and "WIC" not in a]
    return str(recording.header.space.id_of(min(mixes)))


def deployed(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Deploy, and see that the exit status is that of what is said of the time."""
    done = subprocess.run(
        command("pareto-profiler", "deploy", *words),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in {0, 1, 3}, done.stderr
    return done


@pytest.mark.parametrize("form", ["env", "nnpackage", "api", "python", "part"])
def test_what_ships_runs_where_it_was_measured(run, tmp_path, form):
    number = a_mix(run)
    words = (run, number, "--format", form, "--output", tmp_path / "it", "--json")
    done = deployed(*words, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found["ids"] == [number]
    assert (tmp_path / "it").exists()
    (verified,) = found["verified"]
    assert verified["mismatches"] == []
    assert {True: 0, False: 1, None: 3}[verified["is_good"]] == done.returncode


def test_the_whole_front_ships_as_a_switching_set(run, tmp_path):
    done = deployed(run, "--format", "json", cwd=tmp_path)
    front = pp_json("show", run, cwd=tmp_path)["front"]
    data = json.loads((tmp_path / "mobilenet_v2_035_96-switching.json").read_text())
    assert [c["id"] for c in data["configurations"]] == [row["id"] for row in front]
    told = " ".join(done.stdout.split())
    assert told.count("every operation runs where it was measured") == len(front)


def test_a_package_on_this_onert_needs_the_calls_and_says_so(run, tmp_path):
    done = subprocess.run(
        command(
            "pareto-profiler", "deploy", run, a_mix(run), "--format", "nnpackage", "--output", "p"
        ),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "this onert ignores backends that a package's configuration names" in done.stderr
    assert "every operation runs where it was measured" in " ".join(done.stdout.split())
    cfg = (tmp_path / "p" / "metadata" / "pareto_profiler.cfg").read_text()
    assert ";61=" in cfg
    again = pp("inspect", tmp_path / "p", cwd=tmp_path).stdout
    assert "65 operations" in again


def test_what_does_not_do_what_was_measured_is_found_out(run, tmp_path):
    """The same way as deploy goes, with files that say something else."""
    header = read(run).header
    space = header.space
    assignment = space.assignment_of(int(a_mix(run)))
    job = prepare(choices_of(header), space)
    runner = job.engine(tmp_path)
    assert isinstance(runner, OnertEngine)
    script = tmp_path / "other.sh"
    script.write_text("export BACKENDS=cpu OP_BACKEND_MAP='61=cpu;62=cpu;63=cpu;64=cpu'\n")
    try:
        _, placement = runner.run_artifact(OnertLaunch(script=script), assignment)
    finally:
        runner.close()
        job.shell.close()
    assert placement is not None
    assert placement.mismatches


def test_what_cannot_be_deployed_says_what_to_do(run, tmp_path):
    assert "name an id; on the front: " in pp_error("deploy", run, cwd=tmp_path)
    assert "was not measured" in pp_error("deploy", run, "12345", cwd=tmp_path)
    assert "leave the id out" in pp_error("deploy", run, "0", "--format", "json", cwd=tmp_path)
    other = MODELS / "mobilenet_v1_025_128.tflite"
    assert "is not the model of the run" in pp_error(
        "deploy", run, "0", "--model", other, cwd=tmp_path
    )
    (tmp_path / "there").mkdir()
    assert "is there already" in pp_error(
        *("deploy", run, "0", "--format", "nnpackage", "--output", tmp_path / "there"), cwd=tmp_path
    )
    assert "cannot be written" in pp_error(
        "deploy", run, "0", "--output", "/nowhere/x.sh", cwd=tmp_path
    )
    assert "is no file" in pp_error("deploy", run, "0", "--output", "/dev/null", cwd=tmp_path)
    shown = pp("deploy", run, "0", "--no-verify", "--output", "/dev/stdout", cwd=tmp_path).stdout
    assert "export BACKENDS=cpu" in shown


def test_another_setting_is_found_out(run, tmp_path, monkeypatch):
    """A script that says one thing less than was measured."""
    number = a_mix(run)
    written = forms.script_of

    def tampering(artifact) -> str:
        return re.sub(r"CPU_MEMORY_PLANNER=\w+", "CPU_MEMORY_PLANNER=WIC", written(artifact))

    monkeypatch.setattr(forms, "script_of", tampering)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["deploy", str(run), number, "--output", "x.sh"])
    assert done.exit_code == 1
    told = " ".join(done.stdout.split())
    assert "NOT what was measured: CPU_MEMORY_PLANNER is WIC, expected" in told


def test_without_verification_nothing_is_run(run, tmp_path):
    done = pp("deploy", run, "0", "--no-verify", "--output", "x.sh", cwd=tmp_path)
    assert done.stdout == ""
    assert (tmp_path / "x.sh").exists()
    moved = tmp_path / "elsewhere.tflite"
    shutil.copyfile(MODEL, moved)
    pp(
        *(
            "deploy",
            run,
            "0",
            "--format",
            "python",
            "--model",
            moved,
            "--output",
            "x.py",
            "--no-verify",
        ),
        cwd=tmp_path,
    )
    said = subprocess.run(
        [sys.executable, "x.py", "3"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.startswith("exec_time ")


def test_where_the_target_is_not_known_nothing_is_written(tmp_path):
    name = MODELS / "mobilenet_v2_035_96_logits.tflite"
    asked = ("deploy", BOARD_RUN, "knee", "--format", "nnpackage", "--model", name, "--output", "p")
    assert "name its file with --targets, or --no-verify" in pp_error(*asked, cwd=tmp_path)
    assert list(tmp_path.iterdir()) == []
    pp(*asked, "--no-verify", cwd=tmp_path)
    assert (tmp_path / "p" / "metadata" / "MANIFEST").exists()


def test_a_recorded_table_ships_unverified(tmp_path):
    row = pp_json("show", TABLE, cwd=tmp_path)["front"][0]
    done = pp("deploy", TABLE, row["id"], "--output", "x.sh", cwd=tmp_path)
    assert "OP_BACKEND_Conv2D" in (tmp_path / "x.sh").read_text()
    assert done.stdout == ""
    assert "not verified" in done.stderr

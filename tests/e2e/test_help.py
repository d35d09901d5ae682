"""Help texts and completion."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import MODELS
from e2e.command import command, pp, pp_error, run

from pareto_profiler import runtimes

BUNDLED = MODELS.parent / "runs" / "emulated_board"
COMMANDS = (
    *("inspect", "adapt", "search", "confirm", "record", "trace", "doctor", "show", "report"),
    *("explain", "learned", "compare", "select", "deploy", "export", "replay", "bench", "target"),
)


def test_the_help_lists_every_command_and_where_to_begin(tmp_path: Path):
    text = pp("--help", cwd=tmp_path).stdout
    assert "Begin with pareto-profiler search MODEL" in text
    listed = re.findall(r"^│ (\w+)  +\w", text, re.MULTILINE)
    assert sorted(listed) == sorted(COMMANDS)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("search", "Missing argument 'MODEL'; see: pareto-profiler search --help"),
        ("search x.tflite --budget -3", "'--budget': -3 is not in the range"),
        ("serach x.tflite", "No such command 'serach'"),
        ("show r --jsno", "No such option: --jsno"),
    ],
)
def test_a_command_line_that_is_none_gets_one_line(line: str, expected: str, tmp_path: Path):
    assert expected in pp_error(*line.split(), cwd=tmp_path)


def test_no_arguments_get_the_help(tmp_path: Path):
    done = run("pareto-profiler", cwd=tmp_path, status=2)
    assert "Begin with pareto-profiler search MODEL" in done.stdout + done.stderr


@pytest.mark.parametrize("name", [c for c in COMMANDS if c != "target"])
def test_each_command_shows_an_example_of_itself(name: str, tmp_path: Path):
    text = " ".join(pp(name, "--help", cwd=tmp_path).stdout.split())
    assert f"Example: pareto-profiler {name} " in text
    options = re.search(rf"Example: pareto-profiler {name} (.*)$", text)
    assert options
    for option in re.findall(r"--[a-z-]+", options[1]):
        assert text.count(option) >= 2, f"{option} is no option of {name}"
    assert max(map(ord, text)) < 0x1F000, "a word between colons became a picture"


def test_every_setting_of_every_runtime_is_named(tmp_path: Path):
    text = pp("search", "--help", cwd=tmp_path).stdout
    assert all(name in text for name in runtimes.settings())


def completed(words: str, cwd: Path) -> set[str]:
    environment = {
        **os.environ,
        "_PARETO_PROFILER_COMPLETE": "complete_bash",
        "COMP_WORDS": f"pareto-profiler {words}",
        "COMP_CWORD": str(words.count(" ") + 1),
    }
    done = subprocess.run(
        command("pareto-profiler"),
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_the_shell_completes_what_is_known(tmp_path: Path):
    assert completed("ex", tmp_path) == {"explain", "export"}
    assert {"structured", "nsga2"} <= completed("search m --sampler ", tmp_path)
    assert completed("search m --target od", tmp_path) == {"odroid"}
    assert completed("explain run k", tmp_path) == {"knee"}
    assert completed("deploy run knee --format n", tmp_path) == {"nnpackage"}
    assert completed("search m --vary th", tmp_path) == {"threads"}
    assert completed("search m --vary threads,mem", tmp_path) == {"threads,memory_planner"}
    assert completed("search m --runtime litert --backends xnnpack,b", tmp_path) == {
        "xnnpack,builtin"
    }
    assert completed("search m --objectives exec_time,mo", tmp_path) == {"exec_time,model_rss"}


def test_runs_and_their_points_complete(tmp_path: Path):
    for name in ("first", "second"):
        shutil.copytree(BUNDLED, tmp_path / "pareto-runs" / name)
    assert completed("show ", tmp_path) >= {"pareto-runs/first", "pareto-runs/second"}
    assert completed("show pareto-runs/f", tmp_path) == {"pareto-runs/first"}
    points = completed("deploy pareto-runs/first ", tmp_path)
    assert {"knee", "fastest", "A", "B"} <= points


def test_the_shell_is_told_how_to_complete(tmp_path: Path):
    """Which shell that is comes from the parent process; `true` keeps it there."""
    (name,) = command("pareto-profiler")
    done = subprocess.run(
        ["bash", "-c", f"{shlex.quote(name)} --show-completion; true"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_pareto_profiler_completion" in done.stdout


def test_options_by_their_former_names_still_work(dense_file: Path, tmp_path: Path):
    options = ("--least-repeats", 2, "--budget", 1, "--output", "run")
    pp("search", dense_file, *options, cwd=tmp_path)
    pp("report", "run", "--to", "page.html", cwd=tmp_path)
    pp("export", "run", "--format", "csv", "--to=run.csv", cwd=tmp_path)
    pp("deploy", "run", "0", "--to", "env", "--no-verify", "--output", "run.sh", cwd=tmp_path)
    written = {"page.html", "run.csv", "run.sh"}
    assert written <= {path.name for path in tmp_path.iterdir()}

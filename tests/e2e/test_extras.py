"""What the package installs by itself is enough, and what is more is asked for by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

RUN = ROOT / "examples" / "runs" / "emulated_board"
WITHOUT = (
    "import sys\n"
    "for name in sys.argv.pop(1).split(','): sys.modules[name] = None\n"
    "from pareto_profiler.cli import main\n"
    "main()"
)


def run(without: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", WITHOUT, without, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("without", "words", "said"),
    [
        ("pymoo", ("replay", RUN, "--sampler", "nsga2"), "nsga2 needs pymoo: pip install pymoo"),
        ("pymoo", ("replay", RUN, "--sampler", "spea2"), "spea2 needs pymoo: pip install pymoo"),
        ("optuna", ("replay", RUN, "--sampler", "tpe"), "tpe needs Optuna: pip install optuna"),
        ("optuna", ("export", RUN, "--format", "optuna", "-o", "x"), "a study needs Optuna: pip"),
        ("matplotlib", ("report", RUN, "--svg", "x.svg"), "pictures need Matplotlib: pip install"),
        (
            "pyarrow",
            ("export", RUN, "--format", "parquet", "--output", "x"),
            "parquet needs pyarrow",
        ),
    ],
)
def test_what_is_not_installed_is_named(
    without: str, words: tuple, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    done = run(without, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def test_everything_else_works_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for words in (
        ("show", RUN),
        ("report", RUN, "--output", "page.html"),
        ("explain", RUN, "A"),
        ("replay", "simulated:tiny-8x2:0", "--budget", "6"),
        ("bench", "simulated:tiny-8x2:0", "--seeds", "1", "--budget", "6"),
    ):
        done = run("pymoo,optuna,matplotlib,pyarrow", *words)
        assert done.returncode == 0, done.stderr
        assert "nsga2" not in done.stdout

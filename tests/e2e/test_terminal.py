"""What commands print fits a terminal of 80 columns, with no word broken."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from conftest import DATA, MODELS
from e2e.command import pp

ROOT = MODELS.parents[1]
RUNS = sorted((ROOT / "examples" / "runs").glob("*/"))
TABLES = sorted((ROOT / "examples" / "tables").glob("*.parquet"))
BUSY = sorted((DATA / "busy").glob("*/"))
MODEL_FILES = sorted(MODELS.glob("*.tflite"))
LARGE_BYTES = 90_000
MEASURED = [run for run in (*RUNS, *TABLES, *BUSY) if run.name != "README.md"]


def fits(done: CompletedProcess[str], *whole: str) -> None:
    """No line is wider than 80 columns but for a path that stands alone, nothing is cut."""
    output = done.stdout
    for line in output.splitlines():
        text = line.strip()
        assert len(line) <= 80 or len(text.split()) <= 2 or any(w in line for w in whole), line
        assert line == line.rstrip(), f"blanks at the end: {line!r}"
    assert "…" not in re.sub(r"\d…\d|(?<= )…", "", output)


@pytest.mark.parametrize("run", MEASURED, ids=lambda path: path.name)
def test_runs_are_told_in_80_columns(run: Path, tmp_path: Path):
    front = pp("show", run, cwd=tmp_path)
    fits(front, "pareto-profiler ")
    fits(pp("select", run, "--knee", cwd=tmp_path), "BACKENDS=")
    assert len(front.stdout.splitlines()) <= 50
    if run.is_file() and run.stat().st_size > LARGE_BYTES:
        return  # half a minute, and others show the same
    fits(pp("compare", run, run, cwd=tmp_path, status=(0, 2, 3)))
    fits(pp("learned", run, cwd=tmp_path))
    for point in ("A", "baseline"):
        fits(pp("explain", run, point, cwd=tmp_path), "pareto-profiler ")


@pytest.mark.parametrize("runtime", ["onert", "litert"])
@pytest.mark.parametrize("model", MODEL_FILES, ids=lambda path: path.stem)
def test_models_are_told_in_80_columns(model: Path, runtime: str, tmp_path: Path):
    shutil.copy(model, tmp_path / "model.tflite")
    options = ("--runtime", runtime, "--operations")
    fits(pp("inspect", "model.tflite", *options, cwd=tmp_path))


def test_machines_and_samplers_are_told_in_80_columns(tmp_path: Path):
    fits(pp("doctor", "--processes", 6, cwd=tmp_path))
    fits(pp("target", "list", cwd=tmp_path))
    fits(pp("target", "check", "local", cwd=tmp_path))
    told = pp(
        *("bench", TABLES[0], "--samplers", "random,local", "--budget", 5, "--seeds", 1),
        cwd=tmp_path,
    )
    fits(told)
    shutil.copy(MODEL_FILES[0], tmp_path / "model.tflite")
    fits(pp("trace", "model.tflite", "--runtime", "litert", cwd=tmp_path))

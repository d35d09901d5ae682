"""The wheel, in an environment with what it requires and nothing else: no checkout, no extras."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest
from conftest import MODELS, ROOT
from packaging.requirements import Requirement


def required(name: str, extras: frozenset[str], seen: dict[str, Distribution]) -> None:
    """Add a distribution and all that it requires here."""
    found = distribution(name)
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen and not extras:
        return
    seen[key] = found
    for text in found.requires or ():
        wanted = Requirement(text)
        marker = wanted.marker
        if marker is None or any(marker.evaluate({"extra": e}) for e in ("", *extras)):
            required(wanted.name, frozenset(wanted.extras), seen)


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of an environment with the wheel installed."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,) = folder.glob("*.whl")
    venv.create(folder / "fresh", with_pip=False)
    (packages,) = (folder / "fresh").glob("lib/python*/site-packages")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
        for entry in archive.infolist():  # as installers do
            (packages / entry.filename).chmod((entry.external_attr >> 16) | 0o200)
    (metadata,) = packages.glob("pareto_profiler-*.dist-info/METADATA")
    lines = re.findall(r"^Requires-Dist: (.*)$", metadata.read_text(), re.MULTILINE)
    seen: dict[str, Distribution] = {}
    for wanted in map(Requirement, lines):
        if wanted.marker is None or wanted.marker.evaluate({"extra": ""}):
            required(wanted.name, frozenset(wanted.extras), seen)
    for dist in seen.values():
        tops = {Path(str(f)).parts[0] for f in dist.files or () if not str(f).startswith("..")}
        for top in tops - {"__pycache__"}:
            place = packages / top
            if not place.exists():
                place.symlink_to(Path(str(dist.locate_file(top))))
    return folder / "fresh" / "bin" / "python"


def ran(python: Path, *words: object, cwd: Path) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    done = subprocess.run(
        [str(python), *map(str, words)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_searches_and_ships_without_a_checkout(python: Path, tmp_path: Path):
    where = "import pareto_profiler; print(pareto_profiler.__file__)"
    assert "fresh" in ran(python, "-c", where, cwd=tmp_path)
    shutil.copy(MODELS / "mobilenet_v1_025_128.tflite", tmp_path / "model.tflite")
    pp = (python, "-m", "pareto_profiler")
    assert "31 operations" in ran(*pp, "inspect", "model.tflite", cwd=tmp_path)
    for runtime in ("litert", "onert"):
        options = ("--runtime", runtime, "--budget", 6, "--repeats", 2, "--output", runtime)
        ran(*pp, "search", "model.tflite", *options, cwd=tmp_path)
        assert (tmp_path / runtime / "report.html").is_file()
        ran(*pp, "deploy", runtime, "fastest", "--no-verify", "--output", "out", cwd=tmp_path)
    ran(*pp, "explain", "litert", "fastest", cwd=tmp_path)
    ran(*pp, "replay", "simulated:tiny-8x2:1", "--budget", 8, cwd=tmp_path)


def test_what_the_wheel_lacks_is_asked_for_by_name(python: Path, tmp_path: Path):
    words = [str(python), "-m", "pareto_profiler", "replay", "simulated:tiny-8x2:1"]
    done = subprocess.run(
        [*words, "--sampler", "tpe"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "tpe needs Optuna: pip install optuna" in done.stderr


def test_what_is_installed_takes_less_than_200_mb(python: Path):
    (packages,) = python.parent.parent.glob("lib/python*/site-packages")
    sizes = [
        (Path(folder) / name).stat().st_size
        for folder, _, names in os.walk(packages, followlinks=True)
        for name in names
        if not name.endswith(".pyc")
    ]
    assert 50e6 < sum(sizes) < 200e6

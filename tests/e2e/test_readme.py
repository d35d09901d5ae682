"""Every command of the README works as it stands, in the order it stands there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

# Nothing may disturb what it measures: whether the front has points is asked of real figures.
pytestmark = pytest.mark.alone

BIN = Path(sys.executable).parent


def _blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def _check_front(text: str) -> None:
    """Two points or more, unless they are ties: memory is told apart to a page of 4 KiB only."""
    table = text.split("Front")[1].split("baseline: id", maxsplit=1)[0]
    points = table.count("verified")
    assert points >= 2 or (points == 1 and "baseline, verified" not in table), text


def test_the_commands_of_the_readme(tmp_path: Path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    lines = [
        line.removeprefix("$ ")
        for block in _blocks("console")
        for line in block.splitlines()
        if line.startswith("$ ")
    ]
    assert len(lines) > 10
    assert lines[0] == "make demo"
    recipe = re.search(r"^demo:.*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    variables = {"$(BIN)/": "", "$(DEMO_MODEL)": "examples/models/mobilenet_v2_035_96.tflite"}
    demo = recipe.group(1)
    for name, value in variables.items():
        demo = demo.replace(name, value)
    for line in [demo, *lines[1:]]:
        done = _run(shlex.split(line), tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
        if line == demo:
            assert "best uniform by exec_time: id" in done.stdout
            assert "results: pareto-runs/" in done.stderr
            _check_front(done.stdout)
    for code in _blocks("python"):
        done = _run([sys.executable, "-c", code], tmp_path)
        assert done.returncode == 0, done.stderr
        assert "BACKENDS=" in done.stdout


def test_links_of_the_documentation_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"

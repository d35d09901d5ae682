"""Every command of the documentation works as it stands, in the order it stands there."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT
from e2e.command import ENTRIES, run

BIN = Path(sys.executable).parent
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))


def _blocks(page: Path, language: str) -> list[str]:
    text = page.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def _lines(page: Path) -> list[str]:
    lines = [line for block in _blocks(page, "console") for line in block.splitlines()]
    assert all(line.startswith("$ ") for line in lines), f"{page}: output belongs to a text block"
    return [line.removeprefix("$ ") for line in lines]


def _run(command: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}"}
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


def _demo() -> str:
    """What `make demo` runs once the environment is there."""
    recipe = re.search(r"^demo:.*\n\t(.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    variables = {"$(BIN)/": "", "$(DEMO_MODEL)": "examples/models/mobilenet_v2_035_96.tflite"}
    demo = recipe[1]
    for name, value in variables.items():
        demo = demo.replace(name, value)
    return demo


def _frugal(line: str) -> str:
    """The same command with a small budget."""
    return re.sub(r"--budget (\d+)", lambda m: f"--budget {min(int(m[1]), 20)}", line)


# Where the machine is too busy to tell, or a time is unlike what was measured a minute ago, these
# say so with a status of their own.
_JUDGING = {"compare": {1, 3}, "deploy": {1, 3}}


@pytest.mark.parametrize("page", [pytest.param(p, id=p.name) for p in PAGES if _lines(p)])
def test_the_commands_of(page: Path, tmp_path: Path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    for line in _lines(page):
        # How good fronts are, nobody asks here.
        words = shlex.split(_frugal(_demo() if line == "make demo" else line))
        told = {0, *_JUDGING.get(words[1], ())} if len(words) > 1 else {0}
        if words[0] in ENTRIES:
            done = run(*words, cwd=tmp_path, status=told)
        else:
            done = _run(words, tmp_path)
            assert done.returncode in told, f"{line}\n{done.stdout}\n{done.stderr}"
        assert not re.search(r"\b(inf|nan)\b|e\+1\d", done.stdout), f"{line}\n{done.stdout}"
        if line == "make demo":
            assert "ship one:" in done.stdout
            assert len(done.stdout.splitlines()) <= 40
            assert max(map(len, done.stdout.splitlines())) <= 80
            assert "results: pareto-runs/demo" in done.stderr
    for code in _blocks(page, "python"):
        done = _run([sys.executable, "-c", code], tmp_path)
        assert done.returncode == 0, done.stderr
        assert "exec_time" in done.stdout


def test_what_has_to_be_there_is_there():
    assert _lines(ROOT / "README.md")[0] == "make demo"
    commands = {line.split()[1] for page in PAGES for line in _lines(page) if " " in line}
    shown = {"search", "confirm", "report", "select", "explain", "deploy", "compare", "replay"}
    assert shown <= commands


def test_links_of_the_documentation_lead_somewhere():
    for page in (*PAGES, ROOT / "CHANGELOG.md", *(ROOT / "examples").glob("*/README.md")):
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_notebook_runs_and_its_results_show_themselves(tmp_path: Path):
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    cells = json.loads((ROOT / "docs" / "notebook.ipynb").read_text(encoding="utf-8"))["cells"]
    codes = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    assert len(codes) >= 5
    # As a kernel does: one namespace, and the last expression of each cell is shown.
    program = tmp_path / "cells.py"
    program.write_text(
        "import ast, json, sys\n"
        "names = {}\n"
        "for code in json.load(open(sys.argv[1])):\n"
        "    *head, last = ast.parse(code).body\n"
        "    exec(compile(ast.Module(head, []), 'cell', 'exec'), names)\n"
        "    if isinstance(last, ast.Expr):\n"
        "        value = eval(compile(ast.Expression(last.value), 'cell', 'eval'), names)\n"
        "        print(getattr(value, '_repr_html_', lambda: repr(value))())\n"
        "    else:\n"
        "        exec(compile(ast.Module([last], []), 'cell', 'exec'), names)\n"
    )
    (tmp_path / "codes.json").write_text(json.dumps(codes))
    done = _run([sys.executable, str(program), "codes.json"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("<table") >= 2
    assert (tmp_path / "page.html").is_file()

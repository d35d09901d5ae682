"""The public names are there, documented, and cheap to import; every module says what it is for."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

import pareto_profiler

SOURCES = sorted((ROOT / "src" / "pareto_profiler").rglob("*.py"))


def test_all_public_names_resolve_and_no_other():
    for name in pareto_profiler.__all__:
        assert getattr(pareto_profiler, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'oracle'"):
        _ = pareto_profiler.oracle


@pytest.mark.parametrize("name", sorted(set(pareto_profiler.__all__) - {"__version__"}))
def test_public_classes_and_functions_are_documented(name: str):
    item = getattr(pareto_profiler, name)
    if not inspect.isclass(item) and not inspect.isfunction(item):
        return
    assert item.__doc__
    for member, value in vars(item).items() if inspect.isclass(item) else ():
        is_public = not member.startswith("_") and inspect.isfunction(value)
        implements_port = item.__name__.endswith(("Runner", "Sampler")) and member in {
            "run",
            "placement",
            "can_profile",
            "profile",
            "close",
            "ask",
            "tell",
        }
        assert not is_public or implements_port or value.__doc__, f"{name}.{member}"


@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)
def test_each_module_tells_what_it_is_for_in_its_first_line(source: Path):
    text = ast.get_docstring(ast.parse(source.read_text(encoding="utf-8")))
    assert text
    assert len(text.splitlines()[0]) > 10


@pytest.mark.parametrize(
    "code",
    [
        "import pareto_profiler",
        "from pareto_profiler.cli.main import app",
        "from pareto_profiler import load, DecisionSpace, Granularity",
    ],
)
def test_what_starts_every_command_loads_nothing_heavy(code: str):
    check = (
        "import sys; print(sorted({'numpy', 'moocore', 'h5py', 'rich.console'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\n{check}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"

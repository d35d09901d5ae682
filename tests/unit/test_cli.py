"""Commands are imported when they are called; options of groups are options of the command."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from pareto_profiler.cli import options
from pareto_profiler.cli.main import COMMANDS, app, load


@pytest.mark.parametrize("name", [n for n in COMMANDS if n != "target"])
def test_the_list_of_commands_says_what_each_says_of_itself(name: str):
    command = load(name)
    first = " ".join(command.help.partition("\n\n")[0].split())
    assert first.partition("\b")[0].startswith(COMMANDS[name].summary)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_is_there(name: str):
    done = CliRunner().invoke(app, [name, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output


def test_help_and_completion_import_no_command():
    code = (
        "import sys; from pareto_profiler.cli.main import app\n"
        "try: app(['--help'])\nexcept SystemExit: pass\n"
        "print(sorted(m for m in sys.modules if m.startswith('pareto_profiler.')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == str(
        ["pareto_profiler.cli", "pareto_profiler.cli.main", "pareto_profiler.version"]
    )


@pytest.mark.parametrize(("given", "used"), [({}, "1"), ({"OPENBLAS_NUM_THREADS": "3"}, "3")])
def test_commands_compute_in_one_thread_unless_told_otherwise(given: dict[str, str], used: str):
    code = (
        "import os, sys; from pareto_profiler import cli\n"
        "sys.argv[1:] = ['--version']\n"
        "try: cli.main()\nexcept SystemExit: pass\n"
        "print('numpy' in sys.modules, os.environ['OPENBLAS_NUM_THREADS'])"
    )
    others = {n: v for n, v in os.environ.items() if n != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=others | given
    )
    assert done.stdout.splitlines()[-1] == f"False {used}"


def test_an_unknown_command_is_told():
    done = CliRunner().invoke(app, ["serach"])
    assert done.exit_code == 2
    assert "serach" in done.output


@dataclass(frozen=True, slots=True)
class Size:
    width: Annotated[int, typer.Option(min=1)] = 2
    height: Annotated[int | None, typer.Option()] = None


def test_fields_of_a_group_are_options_of_the_command():
    seen = []

    def draw(name: Annotated[str, typer.Argument()], size: Size, deep: int = 3) -> None:
        """Draw."""
        seen.append((name, size, deep))

    # As in a module whose annotations are evaluated later.
    draw.__annotations__ = {"name": Annotated[str, typer.Argument()], "size": Size, "deep": int}
    command = options.command(draw)
    assert list(inspect.signature(command).parameters) == ["name", "width", "height", "deep"]
    drawing = typer.Typer()
    drawing.command()(command)
    assert CliRunner().invoke(drawing, ["box", "--height", "5"]).exit_code == 0
    assert CliRunner().invoke(drawing, ["box", "--width", "0"]).exit_code == 2
    assert seen == [("box", Size(2, 5), 3)]

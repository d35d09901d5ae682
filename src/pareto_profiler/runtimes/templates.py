"""Templates: programs that ship, filled in and read back."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pareto_profiler.runtimes.base import Artifact


def filled(template: Path, parts: Mapping[str, str]) -> str:
    """A template's text in which each ``@NAME@`` is what it stands for."""
    text = template.read_text(encoding="utf-8")
    return re.sub(r"@([A-Z]+)@", lambda found: parts[found[1]], text)


def facts_of(artifact: Artifact) -> dict[str, str]:
    """What is known of an assignment, as comments of a Python and of a C file."""
    facts = artifact.facts
    return {
        "PYFACTS": "\n".join(f"# {fact}" for fact in facts),
        "CFACTS": "\n".join(f" * {fact.replace('*/', '* /')}" for fact in facts),
    }


def constants_of(program: Path) -> dict[str, Any]:
    """Names in capitals that a Python program gives a literal, and these.

    Nothing is run.
    """
    found: dict[str, Any] = {}
    for line in ast.parse(program.read_text(encoding="utf-8")).body:
        if not isinstance(line, ast.Assign) or not isinstance(line.targets[0], ast.Name):
            continue
        name = line.targets[0].id
        if name.isupper() and isinstance(line.value, ast.Constant | ast.Dict | ast.List):
            found[name] = ast.literal_eval(line.value)
    return found

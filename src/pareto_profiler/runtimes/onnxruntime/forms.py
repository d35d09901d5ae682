"""Forms: ways to ship for ONNX Runtime; the model says all but the session's options."""

from __future__ import annotations

import ast
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pareto_profiler.errors import InputError
from pareto_profiler.files import write_whole
from pareto_profiler.models import Model
from pareto_profiler.runtimes import allocator
from pareto_profiler.runtimes.base import Artifact, Form, Launch
from pareto_profiler.runtimes.onnxruntime.configuration import OnnxRuntimeConfiguration
from pareto_profiler.runtimes.onnxruntime.engine import OnnxRuntimeLaunch
from pareto_profiler.runtimes.onnxruntime.folding import folded
from pareto_profiler.runtimes.onnxruntime.rewriting import PLAIN, WEIGHTS

_TEMPLATES: Final = Path(__file__).parent
_MODEL: Final = "model.onnx"
_PROGRAM: Final = "session.py"
_HEADER: Final = "session.h"
_VERSION_NOTE: Final = (
    "what is packed follows from the library's version and the processor: measure again when one "
    "of them changes"
)


def _told(artifact: Artifact) -> OnnxRuntimeConfiguration:
    header = artifact.header
    told = OnnxRuntimeConfiguration.of(header.space, artifact.assignment, header.plan)
    if not told.backend_by_operation and any(not v.is_setting for v in header.space.variables):
        raise InputError(f"{header.model_name}: the recording does not number its operations")
    return told


def _plain(artifact: Artifact, told: OnnxRuntimeConfiguration) -> set[int]:
    """Operations whose weights are left as they are: those that the search had a choice for."""
    variables = artifact.header.space.variables
    chosen = {i for v in variables if len(v.feasible) > 1 for i in v.operations}
    return {i for i, b in told.backend_by_operation.items() if b == PLAIN and i in chosen}


def _write(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    artifact = artifacts[0]
    if model is None:
        raise InputError("the model is part of what ships: name it with --model")
    told = _told(artifact)
    base = folded(model)
    made = base.rewritten(_plain(artifact, told))
    try:
        to.mkdir(parents=True, exist_ok=True)
        for name in (_MODEL, WEIGHTS):
            (to / name).unlink(missing_ok=True)
        if told.external_data:
            shutil.copyfile(base.folder / WEIGHTS, to / WEIGHTS)
        content = made.content if told.external_data else base.whole(made)
        write_whole(to / _MODEL, content)
        _write_code(artifact, told, to)
    except OSError as error:
        raise InputError(f"{to}: cannot be written: {error.strerror}") from error
    return [_VERSION_NOTE]


def _write_code(artifact: Artifact, told: OnnxRuntimeConfiguration, to: Path) -> None:
    calls = {
        "arena": ("enable_cpu_mem_arena = False", "DisableCpuMemArena()"),
        "memory_pattern": ("enable_mem_pattern = False", "DisableMemPattern()"),
    }
    off = [calls[name] for name in told.options]
    version = artifact.header.runtime.partition(" ")[2]
    parts = {
        "PYFACTS": "\n".join(f"# {fact}" for fact in artifact.facts),
        "CFACTS": "\n".join(f" * {f.replace('*/', '* /')}" for f in artifact.facts),
        "VERSION": json.dumps(version),
        "OPTIONS": ascii(dict(told.options)),
        "THREADS": str(told.threads),
        "PYOFF": "".join(f"    options.{call}\n" for call, _ in off),
        "COFF": "".join(f"  options.{call};\n" for _, call in off),
        "ENVIRONMENT": ascii(told.environment),
        "PYMALLOC": f"    {allocator.PYTHON_CALL}\n" if told.environment else "",
        "CMALLOC": f"  {allocator.CALL};\n" if told.environment else "",
    }
    for name in (_PROGRAM, _HEADER):
        text = (_TEMPLATES / f"{name}.txt").read_text(encoding="utf-8")
        filled = re.sub(r"@([A-Z]+)@\n?", lambda m: _part(m, parts), text)
        write_whole(to / name, filled)


def _part(match: re.Match[str], parts: Mapping[str, str]) -> str:
    text = parts[match[1]]
    is_line = match[0].endswith("\n")
    return text + "\n" if is_line and text and not text.endswith("\n") else text


def _options_in(program: Path) -> tuple[dict[str, str], int]:
    text = program.read_text(encoding="utf-8")
    options = re.search(r"^OPTIONS = (.*)$", text, re.MULTILINE)
    threads = re.search(r"^THREADS = (\d+)$", text, re.MULTILINE)
    return ast.literal_eval(options[1]) if options else {}, int(threads[1]) if threads else 1


def _environment_in(program: Path) -> dict[str, str]:
    found = re.search(r"^ENVIRONMENT = (.*)$", program.read_text(encoding="utf-8"), re.MULTILINE)
    return dict(ast.literal_eval(found[1])) if found else {}


def _run_model(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    del artifacts
    options, threads = _options_in(to / _PROGRAM)
    environment = _environment_in(to / _PROGRAM)
    return [OnnxRuntimeLaunch((), to / _MODEL, options, threads, environment)]


def _run_program(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    del artifacts
    return [OnnxRuntimeLaunch((), to / _MODEL, program=(to / _PROGRAM).resolve())]


FORMS: Final[Mapping[str, Form]] = {
    "onnx": Form(
        "a folder: the model, its weights, and the session's options as C++ and Python",
        "",
        _write,
        _run_model,
        needs_model=True,
    ),
    "python": Form(
        "the same, run by its Python program",
        "",
        _write,
        _run_program,
        needs_model=True,
        runs_here=True,
    ),
}

"""Forms: ways to ship for ONNX Runtime; the model says all but the session's options."""

from __future__ import annotations

import json
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
from pareto_profiler.runtimes.onnxruntime.providers import CPU, PROVIDERS, session_entries
from pareto_profiler.runtimes.onnxruntime.rewriting import PLAIN, WEIGHTS
from pareto_profiler.runtimes.templates import constants_of, facts_of, filled

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
    told.check(header.space, header.model_name)
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
    layers = {i: b for i, b in told.backend_by_operation.items() if b in PROVIDERS}
    made = base.rewritten(_plain(artifact, told), layers)
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
    entries = session_entries(told.providers)
    version = artifact.header.runtime.partition(" ")[2]
    of = artifact.header.graph
    shapes = {of.tensors[t].name: of.tensors[t].shape for t in of.inputs} if of else {}
    parts = {
        **facts_of(artifact),
        "VERSION": json.dumps(version),
        "OPTIONS": ascii(dict(told.options)),
        "THREADS": str(told.threads),
        "BACKENDS": ascii([p.backend for p in told.providers]),
        "PROVIDERS": ascii([*(p.name for p in told.providers), CPU]),
        "SHAPES": ascii(shapes),
        "PYOFF": "".join(f"    options.{call}\n" for call, _ in off)
        + "".join(f"    options.add_session_config_entry{entry!a}\n" for entry in entries.items()),
        "COFF": "".join(f"  options.{call};\n" for _, call in off)
        + "".join(f"  options.{p.cpp};\n" for p in told.providers)
        + "".join(
            f"  options.AddConfigEntry({json.dumps(key)}, {json.dumps(value)});\n"
            for key, value in entries.items()
        ),
        "ENVIRONMENT": ascii(told.environment),
        "PYMALLOC": f"    {allocator.PYTHON_CALL}\n" if told.environment else "",
        "CMALLOC": f"  {allocator.CALL};\n" if told.environment else "",
    }
    for name in (_PROGRAM, _HEADER):
        write_whole(to / name, filled(_TEMPLATES / f"{name}.txt", parts))


def _run_model(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    del artifacts
    told = constants_of(to / _PROGRAM)
    return [
        OnnxRuntimeLaunch(
            (),
            to / _MODEL,
            told["OPTIONS"],
            told["THREADS"],
            told["BACKENDS"],
            told["ENVIRONMENT"],
        )
    ]


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

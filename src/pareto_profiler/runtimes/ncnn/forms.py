"""Forms: ways to ship for ncnn; the model says all but the net's options."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pareto_profiler.errors import InputError
from pareto_profiler.files import write_whole
from pareto_profiler.models import Model
from pareto_profiler.models.param_reader import weights_file
from pareto_profiler.runtimes import allocator
from pareto_profiler.runtimes.base import Artifact, Form, Launch
from pareto_profiler.runtimes.ncnn.engine import NcnnLaunch
from pareto_profiler.runtimes.ncnn.masks import NcnnConfiguration, masked
from pareto_profiler.runtimes.templates import constants_of, facts_of, filled

_TEMPLATES: Final = Path(__file__).parent
_MODEL: Final = "model.param"
_WEIGHTS: Final = "model.bin"
_PROGRAM: Final = "net.py"
_HEADER: Final = "net.h"


def _told(artifact: Artifact) -> NcnnConfiguration:
    header = artifact.header
    told = NcnnConfiguration.of(header.space, artifact.assignment, header.plan)
    told.check(header.space, header.model_name)
    return told


def _write(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    artifact = artifacts[0]
    if model is None:
        raise InputError("the model is part of what ships: name it with --model")
    told = _told(artifact)
    text = model.file.read_text(encoding="utf-8")
    try:
        to.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(weights_file(model.file), to / _WEIGHTS)
        write_whole(to / _MODEL, masked(text, told.backend_by_operation))
        _write_code(artifact, told, model, to)
    except OSError as error:
        raise InputError(f"{to}: cannot be written: {error.strerror}") from error
    return []


def _write_code(artifact: Artifact, told: NcnnConfiguration, model: Model, to: Path) -> None:
    graph = model.graph
    inputs = {graph.tensors[t].name: graph.tensors[t].shape for t in graph.inputs}
    if artifact.header.graph:
        of = artifact.header.graph
        inputs = {of.tensors[t].name: of.tensors[t].shape for t in of.inputs}
    is_fixed = allocator.is_fixed(told.settings)
    parts = {
        **facts_of(artifact),
        "OPTIONS": ascii(dict(told.options)),
        "THREADS": str(told.threads),
        "INPUTS": ascii(inputs),
        "OUTPUTS": ascii([graph.tensors[t].name for t in graph.outputs]),
        "COPTIONS": "".join(
            f"  net.opt.{name} = {'true' if value else 'false'};\n"
            for name, value in told.options.items()
        ),
        "ENVIRONMENT": ascii(allocator.environment(told.settings)),
        "PYMALLOC": f"    {allocator.PYTHON_CALL}\n" if is_fixed else "",
        "CMALLOC": f"  {allocator.CALL};\n" if is_fixed else "",
    }
    for name in (_PROGRAM, _HEADER):
        write_whole(to / name, filled(_TEMPLATES / f"{name}.txt", parts))


def _run_model(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    del artifacts
    told = constants_of(to / _PROGRAM)
    return [NcnnLaunch((), to / _MODEL, told["OPTIONS"], told["THREADS"], told["ENVIRONMENT"])]


def _run_program(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    del artifacts
    return [NcnnLaunch((), to / _MODEL, program=(to / _PROGRAM).resolve())]


FORMS: Final[Mapping[str, Form]] = {
    "param": Form(
        "a folder: the model, its weights, and the net's options as C++ and Python",
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

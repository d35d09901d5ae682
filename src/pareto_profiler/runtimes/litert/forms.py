"""Forms: the ways to ship an assignment for LiteRT; the model file stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pareto_profiler.errors import InputError
from pareto_profiler.files import write_whole
from pareto_profiler.models import Model
from pareto_profiler.runtimes.base import Artifact, Form, Launch
from pareto_profiler.runtimes.litert.engine import LiteRTLaunch
from pareto_profiler.runtimes.litert.placing import (
    WEBGPU,
    LiteRTConfiguration,
    options_of,
    places_of,
)
from pareto_profiler.runtimes.templates import constants_of, facts_of, filled

_TEMPLATES: Final = Path(__file__).parent
_SET: Final = re.compile(r'^  \{("(?:[^"\\]|\\.)*"), ("(?:[^"\\]|\\.)*")\},$', re.MULTILINE)
# What an application does itself, without and with a GPU.
_CALLS: Final = (
    {
        "REGISTERS": "no accelerator by itself (option 24 = 0)",
        "HARDWARE": "the CPU (LiteRtSetOptionsHardwareAccelerators(options, 1))",
    },
    {
        "REGISTERS": (
            "the GPU's accelerator alone (option 24 = 2;\n"
            " * option 22: the folder of libLiteRtWebGpuAccelerator.so)"
        ),
        "HARDWARE": "CPU and GPU (LiteRtSetOptionsHardwareAccelerators(options, 3))",
    },
)


def sets_of(artifact: Artifact) -> list[dict[str, str]]:
    """Backend, options and operations of each set that a delegate takes.

    Raises:
        InputError: The recording does not say which operations have which name.
    """
    header = artifact.header
    told = LiteRTConfiguration.of(header.space, artifact.assignment, header.plan)
    told.check(header.space, header.model_name)
    sets: dict[str, list[str]] = {}
    for ranges, backend in places_of(header.graph, told.backend_by_operation):
        sets.setdefault(backend, []).append(ranges)
    # The GPU's delegate comes first, as it was measured.
    return [
        {
            "backend": backend,
            "options": options_of(backend, told.threads)["options"],
            "operations": ",".join(ranges),
        }
        for backend, ranges in sorted(sets.items(), key=lambda item: item[0] != WEBGPU)
    ]


def _threads_of(artifact: Artifact) -> int:
    header = artifact.header
    return LiteRTConfiguration.of(header.space, artifact.assignment, header.plan).threads


def _facts_of(artifact: Artifact) -> dict[str, Any]:
    header = artifact.header
    told = LiteRTConfiguration.of(header.space, artifact.assignment, header.plan)
    return {
        "id": str(artifact.id),
        "threads": told.threads,
        "weight_cache": told.weight_cache,
        "sets": sets_of(artifact),
        "figures": {
            f.objective.name: {"value": f.value, "interval": f.interval and list(f.interval)}
            for f in artifact.figures
        },
    }


def _write_json(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    del model
    header = artifacts[0].header
    data = {
        "format": "pareto-profiler litert assignment 1",
        "model": header.model_name,
        "model_digest": header.model_digest,
        "runtime": header.runtime,
        "target": header.target,
        **_facts_of(artifacts[0]),
    }
    write_whole(to, json.dumps(data, indent=2, allow_nan=False) + "\n")
    return []


def _run_json(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    del artifacts
    data = json.loads(to.read_text(encoding="utf-8"))
    sets = [(s["options"], s["operations"]) for s in data["sets"]]
    return [LiteRTLaunch((), sets, data["threads"])]


def _write_code(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    del model
    sets = sets_of(artifacts[0])
    rows = [f'  {{{json.dumps(s["options"])}, "{s["operations"]}"}},' for s in sets]
    parts = {
        **facts_of(artifacts[0]),
        **_CALLS[any(s["backend"] == WEBGPU for s in sets)],
        "SETS": "\n".join(rows),
        "COUNT": str(len(rows)),
        "THREADS": str(_threads_of(artifacts[0])),
    }
    write_whole(to, filled(_TEMPLATES / "place.c.txt", parts))
    return []


def _run_code(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    text = to.read_text(encoding="utf-8")
    sets = [(json.loads(a), json.loads(b)) for a, b in _SET.findall(text)]
    return [LiteRTLaunch((), sets, _threads_of(artifacts[0]))]


def _write_module(artifacts: Sequence[Artifact], model: Model | None, to: Path) -> list[str]:
    if model is None:
        raise InputError("the program opens the model: name it with --model")
    sets = [(s["options"], s["operations"]) for s in sets_of(artifacts[0])]
    parts = {
        **facts_of(artifacts[0]),
        "MODEL": ascii(str(model.file.resolve())),
        "SETS": ascii(sets),
        "DIGEST": ascii(artifacts[0].header.model_digest),
        "THREADS": str(_threads_of(artifacts[0])),
    }
    write_whole(to, filled(_TEMPLATES / "place.py.txt", parts))
    return []


def _run_module(artifacts: Sequence[Artifact], to: Path) -> list[Launch]:
    del artifacts
    return [LiteRTLaunch((), constants_of(to)["SETS"], program=to.resolve())]


FORMS: Final[Mapping[str, Form]] = {
    "json": Form("sets of operations and their options", ".json", _write_json, _run_json),
    "c": Form("a C file for an application", ".c", _write_code, _run_code),
    "python": Form(
        "a Python module for the wheel",
        ".py",
        _write_module,
        _run_module,
        needs_model=True,
        runs_here=True,
    ),
}

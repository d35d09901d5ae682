"""Code: a configuration for an application that calls onert itself, in C and in Python."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from pareto_profiler.runtimes.base import Artifact
from pareto_profiler.runtimes.onert.shipment import (
    calls_of,
    in_the_way_of,
    settings_of,
    variables_of,
)

_LINE: Final = 72
_PLACEHOLDER: Final = re.compile(r"@([A-Z_]+)@")
_PYTHON: Final = '''"""Runs a model with onert as it was measured."""

@FACTS@

import os
import sys
from statistics import median

# onert reads these when a session begins; what may be left from before is taken away.
for name in @IN_THE_WAY@:
    os.environ.pop(name, None)
os.environ.update(
@ENVIRONMENT@
)

import numpy as np  # noqa: E402
from onert import infer  # noqa: E402

MODEL = @MODEL@
BACKENDS = @BACKENDS@


def main() -> None:
    """Infer from random inputs, as often as the argument says; print the median run's time."""
    session = infer.session(MODEL, backends=BACKENDS)
    random = np.random.default_rng(0)
    inputs = []
    for info in session.get_inputs_tensorinfo():
        shape = [max(1, n) for n in info.dims[: info.rank]]
        inputs.append(random.uniform(0, 1, shape).astype(info.dtype))
    runs_ms = []
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 50):
        _, times = session.infer(inputs, measure=True)
        runs_ms.append(times["run_time_ms"])
    print(f"exec_time {median(runs_ms):.4f} ms")


if __name__ == "__main__":
    main()
'''


def header_of(artifact: Artifact) -> str:
    """A C header with the strings that onert's calls take, and in which order to call.

    Raises:
        InputError: The calls cannot take them.
    """
    backends, operations = calls_of(artifact)
    entries = operations.split(";") if operations else []
    lines, line = [], ""
    for entry in entries:
        if line and len(line) + len(entry) >= _LINE:
            lines.append(line)
            line = ""
        line += f"{entry};"
    lines.append(line.removesuffix(";"))
    settings = [f"  {name}={value}" for name, value in settings_of(artifact).items()]
    text = [
        "/*",
        *_comment(artifact.facts),
        " *",
        " * After nnfw_load_model_from_file, before nnfw_prepare:",
        " *   nnfw_set_available_backends(session, PARETO_BACKENDS);",
        " *   nnfw_set_backends_per_operation(session, PARETO_OPERATION_BACKENDS);",
        *([" *", " * No call sets these; variables of the environment do:"] if settings else []),
        *_comment(settings),
        " */",
        "#ifndef PARETO_BACKENDS",
        f'#define PARETO_BACKENDS "{backends}"',
        "#define PARETO_OPERATION_BACKENDS \\",
        " \\\n".join(f'  "{part}"' for part in lines),
        "#endif",
    ]
    return "\n".join(text) + "\n"


def _comment(lines: list[str]) -> list[str]:
    return [f" * {line.replace('*/', '* /')}" for line in lines]


def read_header(text: str) -> tuple[str, str]:
    """Backends and operations of :func:`header_of`, as a compiler joins them."""
    found = {}
    for name in ("PARETO_BACKENDS", "PARETO_OPERATION_BACKENDS"):
        rest = re.split(rf"^#define {name} ", text, maxsplit=1, flags=re.MULTILINE)[1]
        joined = ""
        for line in rest.splitlines():
            joined += line.split('"')[1] if '"' in line else ""
            if not line.endswith("\\"):
                break
        found[name] = joined
    return found["PARETO_BACKENDS"], found["PARETO_OPERATION_BACKENDS"]


def python_of(artifact: Artifact, model: Path) -> str:
    """A Python program that runs the model with the onert wheel.

    The wheel's session takes backends but no operations: they go by the environment.

    Raises:
        InputError: The calls cannot take the backends.
    """
    backends, _ = calls_of(artifact)
    environment = ["    {"]
    environment += [
        f"        {name!a}: {value!a}," for name, value in variables_of(artifact).items()
    ]
    environment += ["    }"]
    parts = {
        "FACTS": "\n".join(f"# {fact}" for fact in artifact.facts),
        "IN_THE_WAY": ascii(tuple(in_the_way_of(artifact))),
        "ENVIRONMENT": "\n".join(environment),
        "MODEL": ascii(str(model.resolve())),
        "BACKENDS": ascii(backends),
    }
    return _PLACEHOLDER.sub(lambda found: parts[found[1]], _PYTHON)

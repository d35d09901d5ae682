"""Adapting: a model that a runtime refuses, as one that it takes and that computes the same."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from pareto_profiler.core.graph import Graph, Operation
from pareto_profiler.drivers.answer import ending
from pareto_profiler.errors import ModelError
from pareto_profiler.files import write_whole
from pareto_profiler.models import Model, load
from pareto_profiler.models.rewriting import RULES, Step
from pareto_profiler.runners import inputs
from pareto_profiler.runtimes.base import Runtime
from pareto_profiler.shells.local import LocalShell

TOLERANCE: Final = 1e-3
"""Largest difference of outputs that is taken, as a fraction of their range."""

_LOG: Final = logging.getLogger(__name__)
_LIMIT_S: Final = 300.0
_NAMED: Final = 5
_INDICES: Final = {"int32", "int64"}


@dataclass(frozen=True, slots=True)
class Adapted:
    """A model that was rewritten.

    Attributes:
        path: The new file.
        steps: What was done, by operation of the original.
        error: Largest difference from the original's outputs, as a fraction of their range.
        refused: What the runtime still refuses.
    """

    path: Path
    steps: Sequence[Step]
    error: float
    refused: Sequence[Operation]

    @property
    def words(self) -> list[str]:
        """What was done, a line for each rule."""
        counts = Counter((step.rule, step.builtin) for step in self.steps)
        return [f"{rule}: {count} × {builtin}" for (rule, builtin), count in counts.items()]


def can_adapt(graph: Graph) -> bool:
    """Whether a model is of the format that can be adapted."""
    return graph.format == "tflite"


def adapt(
    room: Runtime,
    path: Path,
    output: Path,
    *,
    shapes: Sequence[str] = (),
    input_file: Path | None = None,
    seed: int = 0,
) -> Adapted:
    """Write a model that computes the same and that a runtime is more likely to take.

    Constants are folded, operators that the runtime has not are made of others, free sizes are
    fixed, and what nothing needs is left out. Outputs are compared with the original's in the
    format's reference interpreter.

    Args:
        room: The runtime.
        path: Of the original.
        output: File to write.
        shapes: ``NAME=1,224,224,3`` for free sizes.
        input_file: Inputs to compare outputs for; random ones by default.
        seed: Of these.

    Raises:
        InputError: The shapes or inputs are not the model's.
        ModelError: The model cannot be read or run, or the outputs differ.
    """
    model = load(path)
    graph = model.graph
    if not can_adapt(graph):
        raise ModelError(f"{path}: only .tflite files can be adapted, not {graph.format}")
    graph = graph.with_input_shapes(inputs.shapes_of(graph, shapes))
    arrays = (
        inputs.load_input_sets(graph, input_file)[0]
        if input_file
        else inputs.random_inputs(graph, seed)
    )
    with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as folder:
        answer = _asked(
            model, room, arrays, Path(folder) / "inputs.npz", made := Path(folder) / "m.tflite"
        )
        if "refused" in answer:
            hint = "" if input_file else _about_inputs(graph)
            raise ModelError(f"{path}: cannot be adapted: {answer['refused']}{hint}")
        if not answer["error"] <= TOLERANCE:
            raise ModelError(
                f"{path}: cannot be adapted: outputs would differ by {answer['error']:.2g} of "
                f"their range, {TOLERANCE:g} is allowed"
            )
        write_whole(output, made.read_bytes())
    refused = [o for o in room.read(output).graph.operations if o.problem]
    steps = [Step(str(rule), int(n), str(builtin)) for rule, n, builtin in answer["steps"]]
    return Adapted(output, steps, float(answer["error"]), refused)


def _about_inputs(graph: Graph) -> str:
    """What to add where random integers may be why a model does not run."""
    if graph.free_inputs:
        name = graph.free_inputs[0].name
        return f"; {name!r} has free sizes, taken as the file has them: give --input-shape"
    integers = [t.name for t in map(graph.tensors.__getitem__, graph.inputs) if t.dtype in _INDICES]
    if not integers:
        return ""
    return f"; {integers[0]!r} was drawn at random: if that is why, give --input"


def adapted_file(
    room: Runtime, path: Path, shapes: Sequence[str], input_file: Path | None
) -> Adapted | None:
    """The adapted model in the user's cache; None where there is nothing to adapt.

    Args:
        room: The runtime.
        path: Of the original.
        shapes: ``NAME=1,224,224,3`` for free sizes.
        input_file: Inputs to compare outputs for.

    Raises:
        InputError, ModelError: As :func:`adapt`.
    """
    graph = room.read(path).graph
    is_refused = any(o.problem or o.builtin in room.rewrites for o in graph.operations)
    if not graph.free_inputs and not is_refused:
        return None
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    text = f"{graph.digest} {room.name} {' '.join(shapes)} {sorted(RULES)} {input_file or ''}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    folder = home / "pareto-profiler" / "adapted" / digest
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"{folder}: cannot be written: {error.strerror}") from error
    file = folder / f"{path.stem}.tflite"
    try:
        made = adapt(room, path, file, shapes=shapes, input_file=input_file)
    except ModelError as error:
        # What no rule is for stays refused, whatever the interpreter says of the rest.
        refused = [o for o in graph.operations if o.problem and room.is_fixed(o)]
        if hopeless := [o for o in refused if o.builtin not in room.rewrites]:
            words = way_forward(room, path, hopeless, is_adapted=True)
            raise ModelError(f"{path}: {words}") from error
        if graph.free_inputs or any(o.problem for o in graph.operations):
            raise
        _LOG.warning("searched as it is: %s", error)
        return None
    return made if made.steps or graph.free_inputs else None


def way_forward(
    room: Runtime, path: Path, refused: Sequence[Operation], *, is_adapted: bool
) -> str:
    """What to do about operations that a runtime refuses.

    Args:
        room: The runtime.
        path: Of the model.
        refused: The operations, each with its problem.
        is_adapted: Whether it was adapted already.
    """
    named = ", ".join(f"@{o.index} {o.builtin}" for o in refused[:_NAMED])
    more = f" and {len(refused) - _NAMED} more" if len(refused) > _NAMED else ""
    words = f"{room.name} cannot load {named}{more} ({refused[0].problem})"
    ways = ["--runtime tries another"]
    if not is_adapted:
        ways.insert(0, "--adapt rewrites what it can")
    return f"{words}; {', '.join(ways)}; see: inspect {path}"


def _asked(
    model: Model, room: Runtime, arrays: Sequence[inputs.Array], file: Path, made: Path
) -> dict[str, Any]:
    np.savez(file, *arrays)
    request = {
        "model": str(model.file.resolve()),
        "output": str(made),
        "inputs": str(file),
        "operators": sorted(room.rewrites),
        "digest": model.graph.digest,
    }
    return asked(model.path, request)


def asked(path: Path, request: Mapping[str, Any]) -> dict[str, Any]:
    """What a process that follows whatever a file says makes of it.

    Args:
        path: Of the model, for messages.
        request: See ``models.reference``.

    Raises:
        ModelError: It crashed or took too long.
    """
    command = [sys.executable, "-m", "pareto_profiler.models.reference", json.dumps(request)]
    done = LocalShell().run(command, environment={}, time_limit_s=_LIMIT_S)
    lines = done.stdout.decode("utf-8", "replace").splitlines()
    try:
        answer = json.loads(lines[-1]) if lines else None
    except ValueError:
        answer = None
    if isinstance(answer, dict):
        return answer
    how = f"took more than {_LIMIT_S:.0f} s" if done.timed_out else ending(done)
    raise ModelError(
        f"{path}: cannot be adapted: the reference interpreter {how} on it; the file may be damaged"
    )

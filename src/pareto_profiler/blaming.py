"""Blaming: which operation makes a runtime refuse a model that it does not name one of."""

from __future__ import annotations

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pareto_profiler.adapting import asked
from pareto_profiler.core.graph import Operation
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.space import DecisionSpace, Granularity
from pareto_profiler.errors import RunError
from pareto_profiler.jobs import Job
from pareto_profiler.models import load


def first_refused(job: Job, folder: PurePosixPath, words: str) -> Operation | None:
    """The operation with which a model becomes one that a runtime refuses.

    By bisection over the beginnings of the model, each of which is loaded and run once on the first
    backend: O(log operations) processes.

    Args:
        job: Whose baseline is refused.
        folder: Of the target, for the beginnings.
        words: What the runtime says of the whole model: a beginning that fails otherwise, such as
            for an output in its middle, says nothing.

    Returns:
        None where that cannot be told: only .tflite files are cut, and some fail as a whole only.

    Raises:
        ModelError: The file cannot be cut.
        TargetError: The target is unusable.
    """
    graph = job.model.graph
    if graph.format != "tflite" or graph.own_count < 2:
        return None
    works, refused = 0, graph.own_count
    with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as here:
        while refused - works > 1:
            middle = (works + refused) // 2
            if not _is_refused(job, folder, middle, Path(here) / "beginning.tflite", words):
                works = middle
            else:
                refused = middle
    return graph.operations[refused - 1]


def _is_refused(job: Job, folder: PurePosixPath, count: int, file: Path, words: str) -> bool:
    source = job.model.file.resolve()
    request = {"model": str(source), "output": str(file), "operations": count}
    asked(job.model.path, request)
    model = load(file)
    shapes = {t: job.model.graph.tensors[t].shape for t in model.graph.inputs}
    model = replace(model, graph=model.graph.with_input_shapes(shapes))
    first = job.header.space.backends[:1]
    space = DecisionSpace.of(model.graph, first, Granularity.NAME)
    plan = job.header.plan or Plan()
    plan = replace(plan, repeats=1, warmups=0, pause_s=0.0)
    started = job.installation.start(folder, space, plan, model, job.inputs[0])
    with closing(started) as engine:
        try:
            engine.run(space.default)
        except RunError as error:
            return error.message in words
    return False

"""The public API as a type checker sees it; run by mypy, never executed."""

from __future__ import annotations

from pathlib import Path
from typing import assert_type

import numpy as np
from numpy.typing import NDArray

from pareto_profiler import (
    OBJECTIVES,
    SAMPLERS,
    Budget,
    Configuration,
    DecisionSpace,
    Failure,
    Front,
    Granularity,
    Graph,
    JointRun,
    Measurement,
    Point,
    Recording,
    Run,
    Runner,
    Sampler,
    Store,
    Summary,
    TableRunner,
    Trial,
    hypervolume,
    load,
    nondominated,
    read,
    runtime,
    search,
    select,
)
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.trial import Profile
from pareto_profiler.loop import search as search_by

graph = load(Path("model.tflite")).graph
assert_type(graph, Graph)
space = DecisionSpace.of(graph, ("cpu", "ruy"), Granularity.INDEX)
assert_type(space, DecisionSpace)
assert_type(space.default, tuple[str, ...])
assert_type(space.id_of(space.default), int)
configuration: Configuration = runtime().configuration(space, space.default, None)
assert_type(configuration.text, str)

recording = read(Path("run"))
assert_type(recording, Recording)
sampler = SAMPLERS["random"](Problem(space, seed=0))
assert_type(sampler, Sampler)
assert_type(sampler.ask(), list[tuple[str, ...]])
runner: Runner = TableRunner(space, recording.trials)
store = Store(Path("journal.jsonl"), recording.header)
for trial in search_by(space, sampler, runner, store, Budget(trials=10), source="random"):
    assert_type(trial, Trial)
    assert_type(trial.outcome, Measurement | Failure | Profile)

front = Front.of(recording.trials, [OBJECTIVES["exec_time"], OBJECTIVES["max_rss"]])
assert_type(front.values(), NDArray[np.float64])
assert_type(nondominated([[1.0, 2.0]]), NDArray[np.bool_])
assert_type(hypervolume([[1.0, 2.0]], [3.0, 3.0]), float)
assert_type(Summary.of(recording).front[0].configuration, str)

run = search("model.tflite", runtimes=["litert"], budget=60)
assert_type(run, Run | JointRun)
assert_type(run.best(max_rss="20 MB"), Point)
assert_type(run.front[0].choices, dict[str, str])
assert_type(select(run, max_rss="20 MB").row.id, int)

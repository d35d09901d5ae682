"""Reading the traces that onert writes, of two versions."""

from __future__ import annotations

import json

import pytest
from conftest import DATA

from pareto_profiler.runtimes.onert.trace import operation_times

FILES = DATA / "onert"


@pytest.mark.parametrize(
    ("name", "first", "copies"),
    [("trace-1.26.0-armv7l", "acl_neon", 2), ("trace-1.30.0-x86_64", "ruy", 0)],
)
def test_a_trace_tells_time_and_backend_of_each_operation(name: str, first: str, copies: int):
    times = operation_times((FILES / f"{name}.chrome.json").read_text(), warmups=0)
    own = {time.index: time for time in times if time.index < 5}
    assert sorted(own) == [0, 1, 2, 3, 4]
    assert [own[i].name for i in range(3)] == ["FullyConnected", "Tanh", "FullyConnected"]
    assert [own[i].backend for i in range(5)] == [first, "cpu", "cpu", "cpu", "cpu"]
    # One warm-up that the probe always makes, and one run.
    assert all(len(time.seconds) == 2 and min(time.seconds) >= 0 for time in times)
    inserted = [time for time in times if time.index >= 5]
    assert len([time for time in inserted if time.name == "Permute"]) == copies
    assert all(time.backend == "builtin" for time in inserted if time.name == "Permute")


def test_warmups_are_left_out():
    text = (FILES / "trace-1.30.0-x86_64.chrome.json").read_text()
    whole, later = (operation_times(text, warmups=n) for n in (0, 1))
    assert [t.seconds[1:] for t in whole] == [t.seconds for t in later]


def test_the_layout_with_models_is_read_too():
    begin = {"name": "@3 Add", "tid": "$0 sess, #0 model $1 subg, cpu", "ph": "B", "ts": "10"}
    text = json.dumps({"traceEvents": [begin, begin | {"ph": "E", "ts": "14"}, {}]})
    (time,) = operation_times(text, warmups=0)
    assert (time.index, time.subgraph, time.backend, time.seconds) == (3, 1, "cpu", (4e-06,))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", '{"traceEvents": 3}', '{"traceEvents": [3, {"name": "@1 x"}]}']
    + ['{"traceEvents": [{"name": "@1 x", "tid": "$0 subg, cpu", "ph": "E", "ts": "x"}]}'],
)
def test_what_is_no_trace_tells_nothing(text: str):
    assert operation_times(text, warmups=0) == ()

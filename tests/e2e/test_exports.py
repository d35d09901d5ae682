"""What other tools open: Model Explorer's node data, and Perfetto's events."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from conftest import MODELS
from e2e.command import pp, pp_error, pp_json

BUNDLED = MODELS.parent / "runs" / "emulated_board"


def test_node_data_shows_a_point_on_the_models_graph(tmp_path: Path):
    pp(
        *("export", BUNDLED, "--format", "model-explorer", "--point", "A", "--output", "nodes"),
        cwd=tmp_path,
    )
    data = {f.stem: json.loads(f.read_text()) for f in (tmp_path / "nodes").glob("*.json")}
    assert sorted(data) == ["backend", "bytes", "front", "time"]
    chosen = pp_json("show", BUNDLED, cwd=tmp_path)["front"][0]["assignment"]
    nodes = data["backend"]["results"]
    assert [nodes[str(i)]["value"] for i in range(64)] == chosen
    # As its own classes name what they take: results by a node's id, with a value and colours.
    for each in data.values():
        assert set(each) <= {"name", "results", "gradient"}
        assert set(each["results"]) == set(nodes)
        for result in each["results"].values():
            assert set(result) <= {"value", "bgColor"}
    assert {stop["stop"] for stop in data["time"]["gradient"]} == {0, 1}
    assert all(0 < result["value"] <= 100 for result in data["front"]["results"].values())


def test_node_data_needs_a_folder_and_a_measured_point(tmp_path: Path):
    words = ("export", BUNDLED, "--format", "model-explorer")
    assert "name a file with --output" in pp_error(*words, cwd=tmp_path)
    assert "was not measured" in pp_error(*words, "--point", "12345", "--output", "n", cwd=tmp_path)
    (tmp_path / "n").write_text("a file")
    assert "n: is no folder" in pp_error(*words, "--output", "n", cwd=tmp_path)


def test_a_trace_is_a_timeline_for_each_backend(tmp_path: Path):
    shutil.copy(MODELS / "mobilenet_v1_025_128.tflite", tmp_path / "model.tflite")
    words = ("trace", "model.tflite", "--runtime", "litert")
    pp(*words, "--format", "perfetto", "--output", "trace.json", cwd=tmp_path)
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    tracks = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M"}
    assert sorted(tracks.values()) == ["builtin", "xnnpack"]
    for track, backend in tracks.items():
        mine = [e for e in events if e["ph"] == "X" and e["tid"] == track]
        assert len(mine) == 31
        assert {e["cat"] for e in mine} <= {backend, "xnnpack", "builtin"}
        ends = [e["ts"] + e["dur"] for e in mine]
        assert all(e["ts"] >= end - 0.01 for e, end in zip(mine[1:], ends, strict=False))
    printed = json.loads(pp(*words, "--format", "perfetto", cwd=tmp_path).stdout)
    assert len(printed["traceEvents"]) == len(events)
    assert "--format perfetto" in pp_error(*words, "--output", "x", cwd=tmp_path)

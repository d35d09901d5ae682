"""Recordings as single files."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT

from pareto_profiler.core.measurement import OBJECTIVES, Measurement
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.trial import Failure, OperationTime, Placement, Profile, Trial
from pareto_profiler.errors import FailureKind, InputError
from pareto_profiler.models import load
from pareto_profiler.runners.devices import Device
from pareto_profiler.store import Store, read
from pareto_profiler.tables import is_packed, pack, read_csv, unpack

DEVICE = Device.of("simulated:settings-20x3:0")
SPACE = DEVICE.space
OTHER = (*["npu" if "npu" in v.feasible else "cpu" for v in SPACE.variables[:20]], "2", "Bump")


def recording() -> Recording:
    measured = Measurement(
        {"exec_time": (0.01, 0.011), "max_rss": (4096.0,)}, {"exec_time": (0.02,)}, 0.0, ("so",)
    )
    trials = (
        Trial(0, SPACE.default, measured, "baseline", "2026-01-01T00:00:00.000+00:00", 0.5),
        Trial(1, OTHER, Failure(FailureKind.CRASHED, "signal 11"), "uniform", "", 0.25, 0.125),
        Trial(2, SPACE.default, Profile((OperationTime(0, "cpu", 0.001),)), "profile", "", 0.5),
        Trial(3, OTHER, Profile(()), "profile"),
    )
    header = Header("m", "d", SPACE, ("exec_time", "max_rss"), graph=DEVICE.graph)
    return Recording(header, trials, (Placement(SPACE.default, ((0, "cpu"),)),))


def everything(found: Recording) -> list[object]:
    return [
        found.header,
        list(found.placements),
        [
            (t, t.started_at, t.duration_s, t.rested_s, getattr(t.outcome, "warmups", None))
            for t in found.trials
        ],
    ]


def test_packing_loses_nothing(tmp_path: Path):
    file = tmp_path / "table.parquet"
    file.write_bytes(pack(recording()))
    assert is_packed(file)
    assert everything(unpack(file)) == everything(recording())


def test_a_journal_keeps_profiles_and_the_graph(tmp_path: Path):
    store = Store(tmp_path / "journal.jsonl", recording().header)
    for trial in recording().trials:
        store.append(trial)
    store.close()
    found = read(tmp_path)
    assert [t.outcome for t in found.trials] == [t.outcome for t in recording().trials]
    assert found.header.graph == DEVICE.graph


@pytest.mark.parametrize("model", sorted((ROOT / "examples" / "models").glob("*.tflite")))
def test_a_models_graph_survives_being_written(model: Path):
    graph = load(model).graph
    assert type(graph).from_json(graph.to_json()) == graph


@pytest.mark.parametrize("cut", [4, 100, -9])
def test_a_damaged_packed_table_is_an_error_in_one_line(tmp_path: Path, cut: int):
    file = tmp_path / "table.parquet"
    file.write_bytes(pack(recording())[:cut])
    with pytest.raises(InputError, match=r"table\.parquet: no packed recording") as raised:
        unpack(file)
    assert "\n" not in str(raised.value)


def test_another_parquet_file_is_no_table(tmp_path: Path):
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"a": [1]}), tmp_path / "other.parquet")
    with pytest.raises(InputError, match="no packed recording"):
        unpack(tmp_path / "other.parquet")


CSV = """\
Conv2D,Add,threads,exec_time_ms,max_rss_kib,failure,duration_s
cpu,cpu,1,10.5,100,,0.5
npu,cpu,2,5,200,,0.25
npu,npu,1,,,crashed,0.1
"""


def test_csv_of_any_origin_is_a_table(tmp_path: Path):
    file = tmp_path / "mine.csv"
    file.write_text(CSV)
    found = read_csv(file)
    space = found.header.space
    assert space.backends == ("cpu", "npu")
    assert [v.is_setting for v in space.variables] == [False, False, True]
    first = found.trials[0].outcome
    assert isinstance(first, Measurement)
    assert first.value(OBJECTIVES["exec_time"]) == pytest.approx(0.0105)
    assert first.value(OBJECTIVES["max_rss"]) == 102400
    assert found.trials[2].outcome == Failure(FailureKind.CRASHED, "")
    assert [t.duration_s for t in found.trials] == [0.5, 0.25, 0.1]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected columns"),
        ("Conv2D,exec_time_ms\ncpu,1\n", "two or more of exec_time_ms"),
        ("exec_time_ms,max_rss_kib\n1,2\n", "expected columns of variables"),
        ("Conv2D,exec_time_ms,max_rss_kib\ncpu,fast,2\n", "row 1"),
        ("Conv2D,exec_time_ms,max_rss_kib\n,1,2\n", "column Conv2D"),
        ("Conv2D,exec_time_ms,max_rss_kib\ncpu,-1,2\n", "row 1"),
        ("Conv2D,exec_time_ms,max_rss_kib,failure\ncpu,1,2,sad\n", "row 1"),
        ("threads,exec_time_ms,max_rss_kib\n1,1,2\n", "an operation's backends"),
    ],
)
def test_what_is_no_table_is_said_in_one_line(tmp_path: Path, text: str, words: str):
    file = tmp_path / "bad.csv"
    file.write_text(text)
    with pytest.raises(InputError, match=words) as raised:
        read_csv(file)
    assert "\n" not in str(raised.value)

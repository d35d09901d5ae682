"""Recordings as single files."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from rooms import ONERT

from pareto_profiler.core.measurement import OBJECTIVES, Measurement
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.trial import Failure, OperationTime, Placement, Profile, Trial
from pareto_profiler.errors import FailureKind, InputError
from pareto_profiler.report.summary import Summary
from pareto_profiler.simulation.families import Device
from pareto_profiler.storage import tables
from pareto_profiler.storage.journal import Store, read
from pareto_profiler.storage.tables import is_packed, pack, read_csv, unpack

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
    graph = ONERT.read(model).graph
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
    words = r"^\S+other\.parquet: no packed recording: it is a table for other tools; export"
    with pytest.raises(InputError, match=words):
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
    table = read_csv(file)
    assert table.left_out == ()
    found = table.recording
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
        ("Conv2D,exec_time_ms,max_rss_kib\ncpu,1,2\n,1,2\n", "row 2: column Conv2D"),
        ("Conv2D,exec_time_ms,max_rss_kib\ncpu,1,2\n3,1,2\n", "'3' is a number: expected a back"),
        ("Conv2D,exec_time_ms,max_rss_kib\n0,1,2\n1,1,2\n", "no backends: 'Conv2D'"),
        ("Conv2D,Conv2D,exec_time_ms,max_rss_kib\ncpu,cpu,1,2\n", "'Conv2D' comes twice"),
        ("A,exec_time_ms,exec_time_ms,max_rss_kib\ncpu,1,1,2\n", "'exec_time_ms' comes twice"),
        ("Conv2D,exec_time_ms,max_rss_kib\ncpu,1\n", "row 1: 2 values, .* 3 columns"),
        ("Conv2D,exec_time_ms,max_rss_kib\ncpu,1,2,3\n", "row 1: 4 values, .* 3 columns"),
        ("Conv2D,exec_time_ms,max_rss_kib\ncpu,1,2\ncpu,,2\n", "row 2: .* '' is no number"),
        ("Conv2D,exec_time_ms,max_rss_kib\ncpu,inf,2\n", "row 1"),
        ("Conv2D,exec_time_ms,max_rss_kib\ncpu,nan,2\n", "row 1"),
        ("Conv2D,exec_time_ms,max_rss_kib\ncpu,1e308,2\n", "row 1: .* less than 1e"),
        ("Conv2D,exec_time_ms,max_rss_kib\ncpu,0.000,2\n", "row 1: .* 0 is no time"),
        ("Conv2D;exec_time_ms;max_rss_kib\ncpu;1;2\n", "expected commas"),
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


TABLE = """\
Conv2D,Add,threads,temperature_c,exec_time_ms,max_rss_kib,failure
gpu,gpu,1,41.5,,,crashed
gpu,cpu,2,45,20,300,
cpu,cpu,2,47,10,100,
cpu,npu,1,nan,12,120,
cpu,cpu,1,,11,90,
"""


def read_text(tmp_path: Path, text: str | bytes, *options: object):
    file = tmp_path / "t.csv"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_csv(file, *options)


def test_columns_of_numbers_are_left_out_by_name(tmp_path: Path):
    table = read_text(tmp_path, TABLE)
    assert table.left_out == ("temperature_c",)
    assert [v.name for v in table.recording.header.space.variables] == ["Conv2D", "Add", "threads"]
    lines = TABLE.splitlines()
    numbered = [f",{lines[0]}", *(f"{i},{line}" for i, line in enumerate(lines[1:]))]
    table = read_text(tmp_path, "\n".join(numbered))
    assert table.left_out == ("without a name", "temperature_c")


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n"])
@pytest.mark.parametrize("blank", ["", " "])
def test_how_a_spreadsheet_saves_changes_nothing(tmp_path: Path, mark: str, end: str, blank: str):
    text = mark + TABLE.replace("\n", end).replace(",", f"{blank},{blank}")
    assert everything(read_text(tmp_path, text).recording) == everything(
        read_text(tmp_path, TABLE).recording
    )
    with pytest.raises(InputError, match="UTF-16"):
        read_text(tmp_path, TABLE.encode("utf-16"))


@given(st.permutations(TABLE.splitlines()[1:]))
def test_the_order_of_rows_means_nothing(tmp_path_factory: pytest.TempPathFactory, rows: list[str]):
    folder = tmp_path_factory.mktemp("order")
    text = "\n".join([TABLE.splitlines()[0], *rows])
    found, wanted = (read_text(folder, t).recording for t in (text, TABLE))
    space = found.header.space
    assert space == wanted.header.space
    assert space.backends == ("cpu", "gpu", "npu")
    assert space.default == ("cpu", "cpu", "1")
    summaries = [Summary.of(r) for r in (found, wanted)]
    assert [[row.id for row in s.front] for s in summaries] == [[9, 0]] * 2
    assert summaries[0].hypervolume == summaries[1].hypervolume


def test_the_baseline_is_measured_or_as_it_was_asked_for(tmp_path: Path):
    def of(text: str, *options: object) -> tuple[object, object]:
        space = read_text(tmp_path, text, *options).recording.header.space
        return space.backends, space.default

    header = "Conv2D,Add,exec_time_ms,max_rss_kib,failure\n"
    failing = f"{header}cpu,cpu,,,crashed\ngpu,gpu,2,3,\ncpu,gpu,1,9,\n"
    assert of(failing) == (("gpu", "cpu"), ("gpu", "gpu"))
    assert of(failing, ("cpu", "gpu", "npu")) == (("cpu", "gpu", "npu"), ("cpu", "cpu"))
    assert of(failing, (), "cpu") == (("cpu", "gpu"), ("cpu", "cpu"))
    mixed = f"{header}cpu,cpu,,,crashed\ngpu,cpu,2,3,\ncpu,gpu,1,9,\n"
    assert of(mixed) == (("cpu", "gpu"), ("gpu", "cpu"))
    for options, words in (
        ((("cpu",), ""), "the table has gpu, too"),
        (((), "npu"), "baseline 'npu': expected one of cpu, gpu"),
        ((("cpu", "gpu", "gpu"), ""), "each once"),
    ):
        with pytest.raises(InputError, match=words):
            read_text(tmp_path, failing, *options)


def test_a_file_that_unfolds_to_more_than_fits_is_refused_before_it_is_read(tmp_path: Path):
    """A harmless one: a bound that is lower here stands for the real one."""
    file = tmp_path / "table.parquet"
    file.write_bytes(pack(recording()))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "_MAX_VALUES", 5)
        with pytest.raises(InputError, match=r"unfolds to \d+ values"):
            unpack(file)
        patch.setattr(tables, "_MAX_VALUES", 10**6)
        patch.setattr(tables, "_LARGEST_BYTES", len(file.read_bytes()))
        with pytest.raises(InputError, match="unfolds to"):
            tables._check_size(file, Unfolding())


class Unfolding:
    """What a Parquet file says of itself that holds a gigabyte in a few bytes."""

    num_row_groups = 1
    num_columns = 1
    num_values = 10
    total_uncompressed_size = 1 << 30

    def row_group(self, number: int) -> Unfolding:
        assert number == 0
        return self

    column = row_group


def test_a_table_with_settings_of_another_runtime_is_told_in_its_words(tmp_path: Path):
    rows = ["default,on,1.0,200", "default,off,2.0,100", "no-sgemm,on,3.0,300"]
    text = "\n".join(["Convolution@0,packing,exec_time_ms,max_rss_kib", *rows]) + "\n"
    (tmp_path / "t.csv").write_text(text)
    recording = read_csv(tmp_path / "t.csv").recording
    assert recording.header.runtime == "ncnn"
    assert "packing" in Summary.of(recording).front[0].configuration
    # What several runtimes have is the default one's, whatever settings there are.
    (tmp_path / "u.csv").write_text(text.replace("no-sgemm", "gpu").replace("default", "cpu"))
    assert read_csv(tmp_path / "u.csv").recording.header.runtime == ""
    assert "packing=on" in Summary.of(read_csv(tmp_path / "u.csv").recording).front[0].configuration

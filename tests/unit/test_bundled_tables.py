"""The recorded table is what its page and the docs say it is."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from comparison import Slowed, searched
from conftest import MODELS, ROOT
from rooms import ONERT

from pareto_profiler.bench import run_one, scale_of, table_subject
from pareto_profiler.core.measurement import Measurement
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.trial import Failure
from pareto_profiler.errors import FailureKind
from pareto_profiler.report.compare import Change, Comparison
from pareto_profiler.report.summary import Summary
from pareto_profiler.runners.table import TableRunner
from pareto_profiler.samplers.structured import StructuredSampler
from pareto_profiler.storage.journal import JOURNAL, read
from pareto_profiler.storage.tables import unpack

TABLES = ROOT / "examples" / "tables"
TABLE = TABLES / "mobilenet_v2_035_96_logits-emulated_board"


@pytest.fixture(scope="module")
def table() -> Recording:
    return read(TABLE / JOURNAL)


def test_it_holds_every_feasible_assignment_of_the_bundled_model(table: Recording):
    assert (
        table.header.model_digest
        == ONERT.read(MODELS / f"{table.header.model_name}.tflite").graph.digest
    )
    space = table.header.space
    assert space.backends == ("cpu", "acl_neon", "xnnpack", "ruy")
    feasible = [t.assignment for t in table.trials if space.is_feasible(t.assignment)]
    assert len(feasible) == len(set(feasible)) == 192
    measured = [t for t in table.trials if isinstance(t.outcome, Measurement)]
    assert (len(table.trials), len(measured)) == (194, 168)


def test_wrong_outputs_are_where_the_docs_say(table: Recording):
    names = [variable.name for variable in table.header.space.variables]
    wrong = 0
    for trial in table.trials:
        on = dict(zip(names, trial.assignment, strict=True))
        convolutions = (on["Conv2D"], on["DepthwiseConv2D"])
        is_expected = table.header.space.is_feasible(trial.assignment) and (
            convolutions == ("xnnpack", "xnnpack")
            or (convolutions == ("cpu", "cpu") and on["BinaryArithmetic"] == "acl_neon")
        )
        outcome = trial.outcome
        is_wrong = isinstance(outcome, Failure) and outcome.kind is FailureKind.WRONG_OUTPUT
        assert is_wrong is is_expected
        wrong += is_wrong
    assert wrong == 24


def test_its_front_is_the_one_of_the_docs(table: Recording):
    rows = Summary.of(table).front
    shown = {(round(row.values["exec_time"], 2), round(row.values["max_rss"])) for row in rows}
    assert {(96.05, 15688), (11.13, 18744), (8.62, 46028)} <= shown
    assert len(rows) == 14


def test_the_table_with_repeats_says_how_much_it_scatters():
    recording = read(TABLES / "mobilenet_v2_035_96-x86_64" / JOURNAL)
    assert not recording.header.origin
    summary = Summary.of(recording)
    assert summary.is_noise_known
    assert 0.005 < summary.noise["exec_time"] < 0.06
    assert len(summary.measured) == 20
    assert {64, 192} & {row.id for row in summary.front}


@pytest.mark.thorough
def test_compare_is_quiet_about_noise_and_loud_about_a_slower_backend():
    """Three tries of each; benchmarks/quality/comparison.py makes twenty."""
    table = read(TABLES / "mobilenet_v2_035_96-x86_64" / JOURNAL)
    space = table.header.space
    for seed in range(3):
        runners = [TableRunner(space, table.trials, seed=3 * seed + i) for i in range(2)]
        before, again = (searched(table, runner, seed) for runner in runners)
        assert Comparison.of(before, again).change is not Change.WORSE
        slower = Slowed(space, table.trials, seed=3 * seed + 2)
        slower.backend = "cpu"
        slower.slower = 0.2
        change = Comparison.of(before, searched(table, slower, seed))
        assert change.change is Change.WORSE
        assert change.hypervolume_change[0] < 0


def test_the_bundled_run_is_what_the_docs_show():
    summary = Summary.of(read(ROOT / "examples" / "runs" / "emulated_board"))
    model = ONERT.read(MODELS / f"{summary.header.model_name}.tflite")
    assert summary.header.model_digest == model.graph.digest
    assert summary.header.origin.keys() == {"command"}
    counts = (summary.trials, len(summary.measured), len(summary.failures), len(summary.front))
    assert counts == (90, 52, 9, 15)
    # Memory of neighbours differs by less than where things lie in it.
    assert [check.about for check in summary.checks if not check.is_good] == ["trust"]


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.thorough)])
def test_where_noise_is_small_the_search_goes_on_below_the_margin(seed: int):
    """The front is one point, and others lie within the margin of it."""
    name = "mobilenet_v2_035_96_logits-operations_3_8_10-emulated_board.parquet"
    table = table_subject(name, unpack(TABLES / name))
    found = run_one(table, "structured", StructuredSampler, seed, 40)
    scale = scale_of(table, [])
    points = [v for a in found.reported[-1] if (v := table.truth(a))]
    assert len(scale.front) == 1
    assert scale.share(points) > 0.95


@pytest.mark.parametrize("kind", ["json", "parquet"])
def test_published_results_name_tables_as_the_project_has_them(kind: str):
    files = sorted((ROOT / "benchmarks" / "results" / "search").glob(f"*.{kind}"))
    assert files
    for file in files:
        if kind == "json":
            named = {json.loads(file.read_text(encoding="utf-8"))["table"]}
        else:
            named = set(pq.read_table(file, columns=["table"])["table"].to_pylist())
        (table,) = named
        assert table.startswith("simulated:") or (ROOT / table).is_file()
        assert not Path(table).is_absolute()

"""``export --format optuna``: a run where Optuna's tools open it."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from conftest import ROOT
from e2e.command import pp, pp_error, pp_json
from optuna.trial import TrialState

from pareto_profiler.core.trial import Failure
from pareto_profiler.storage.opening import open_recording

TABLES = ROOT / "examples" / "tables"
RUN = TABLES / "mobilenet_v2_035_96_logits-by_name-emulated_board.parquet"


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_optuna_opens_the_study_of_a_run(tmp_path: Path):
    pp("export", RUN, "--format", "optuna", "-o", "study.db", cwd=tmp_path)
    study = optuna.load_study(study_name=None, storage=f"sqlite:///{tmp_path}/study.db")
    shown = pp_json("show", RUN, cwd=tmp_path)
    recording = open_recording(RUN)
    failures = [t.outcome for t in recording.trials if isinstance(t.outcome, Failure)]
    done = study.get_trials(states=[TrialState.COMPLETE])
    failed = study.get_trials(states=[TrialState.FAIL])
    assert len(failed) == len(failures)
    assert failures
    assert {t.user_attrs["message"] for t in failed} == {f.message for f in failures}
    assert study.metric_names == ["exec_time (ms)", "max_rss (KiB)"]
    names = [v.name for v in recording.header.space.variables]
    by_id = {t.user_attrs["id"]: t for t in done}
    assert set(by_id) >= {row["id"] for row in shown["front"]}
    for row in shown["front"]:
        trial = by_id[row["id"]]
        assert [trial.params[name] for name in names] == row["assignment"]
        assert trial.values[0] == pytest.approx(row["values"]["exec_time"], rel=0.05)
    best = {t.user_attrs["id"] for t in study.best_trials}
    assert shown["front"][0]["id"] in best


def test_a_study_needs_a_file(tmp_path: Path):
    told = pp_error("export", RUN, "--format", "optuna", cwd=tmp_path)
    assert "optuna is no text: name a file with --output" in told

"""Study: a run as an Optuna study, for its dashboard and its plots."""

from __future__ import annotations

import tempfile
import warnings
from pathlib import Path

from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.trial import Failure
from pareto_profiler.errors import InputError


def study_of(recording: Recording) -> bytes:
    """A run as an SQLite file that Optuna and its dashboard open.

    Each measurement is a finished trial, each failure a failed one with the runtime's words;
    profiles are left out. Variables and settings are categorical parameters; figures are in the
    units that they are shown in.

    Args:
        recording: The run; the study has the name of its model.

    Raises:
        InputError: Optuna is not installed.
    """
    try:
        import optuna
        from optuna.distributions import BaseDistribution, CategoricalDistribution
        from optuna.trial import TrialState, create_trial
    except ImportError as error:
        raise InputError("a study needs Optuna: pip install optuna") from error
    header, space = recording.header, recording.header.space
    objectives = objectives_of(header.objectives)
    choices: dict[str, BaseDistribution] = {
        v.name: CategoricalDistribution(v.choices) for v in space.variables
    }
    trials = []
    for trial in recording.trials:
        params = dict(zip(choices, trial.assignment, strict=True))
        told = {"id": str(space.id_of(trial.assignment)), "source": trial.source}
        outcome = trial.outcome
        if isinstance(outcome, Measurement) and all(map(outcome.has, objectives)):
            values = [o.shown(outcome.value(o)) for o in objectives]
            made = create_trial(
                params=params, distributions=choices, values=values, user_attrs=told
            )
        elif isinstance(outcome, Failure):
            told |= {"failure": str(outcome.kind), "message": outcome.message}
            made = create_trial(
                state=TrialState.FAIL, params=params, distributions=choices, user_attrs=told
            )
        else:
            continue
        trials.append(made)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # names of metrics are experimental there
        file = Path(folder) / "study.db"
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        try:
            study = optuna.create_study(
                storage=f"sqlite:///{file}",
                study_name=header.model_name,
                directions=["minimize"] * len(objectives),
            )
            study.set_metric_names([f"{o.name} ({o.shown_unit})" for o in objectives])
            study.add_trials(trials)
        finally:
            optuna.logging.set_verbosity(verbosity)
        return file.read_bytes()

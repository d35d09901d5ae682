"""The front door for Python: search, open, select, compare and deploy, as the commands do it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.plan import Plan, tolerance_of
from pareto_profiler.core.recording import Recording
from pareto_profiler.core.rules import Rules
from pareto_profiler.core.space import Granularity
from pareto_profiler.core.trial import Trial
from pareto_profiler.errors import InputError
from pareto_profiler.exploration import opened, sampler_of
from pareto_profiler.jobs import Choices, default_folder, prepare
from pareto_profiler.loop import Budget
from pareto_profiler.report.compare import Comparison
from pareto_profiler.report.selection import Goal, Limit, Selection
from pareto_profiler.report.summary import Row, Summary
from pareto_profiler.shipping import Shipment
from pareto_profiler.storage.journal import plan_of
from pareto_profiler.storage.opening import open_recording
from pareto_profiler.verification import Verification


@dataclass(frozen=True)
class Run:
    """A run: what was searched, every trial, and what they say.

    Attributes:
        path: Folder or file that it was read from.
        recording: Header, trials and placements.
    """

    path: Path
    recording: Recording

    @cached_property
    def summary(self) -> Summary:
        """Everything that is said of the run."""
        return Summary.of(self.recording)

    @property
    def trials(self) -> Sequence[Trial]:
        """All trials, in order."""
        return self.recording.trials

    @property
    def front(self) -> Sequence[Row]:
        """The assignments on the front, by increasing first objective."""
        return self.summary.front


@dataclass(frozen=True, slots=True)
class Deployed:
    """What was written of a run.

    Attributes:
        path: File or folder.
        verified: What came of running it, for each assignment; empty where it was not run.
    """

    path: Path
    verified: Sequence[Verification]


def search(
    model: str | Path,
    *,
    runtime: str = "",
    backends: Sequence[str] = (),
    granularity: str = "name",
    vary: Sequence[str] = (),
    adapt: bool = False,
    objectives: Sequence[str] = ("exec_time", "max_rss"),
    budget: int | None = 100,
    seconds: float | None = None,
    sampler: str = "structured",
    seed: int = 0,
    inputs: str | Path | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    tolerance: float | str = "",
    plan: Mapping[str, Any] | None = None,
    target: str = "local",
    output: str | Path | None = None,
    progress: Callable[[Trial], None] | None = None,
) -> Run:
    """Search for the Pareto front of a model; what an earlier call began goes on.

    Args:
        model: File or package.
        runtime: What runs it, one; empty for the default.
        backends: To choose from, the baseline's first; empty for all.
        granularity: ``name``, ``index`` or ``operation``: what shares a backend.
        vary: Settings to search over, too.
        adapt: Whether a model that the runtime refuses is adapted to it first.
        objectives: What is minimised.
        budget: Most trials, repeats included; None for no limit.
        seconds: Most time for all trials together.
        sampler: Who proposes.
        seed: Of chance.
        inputs: File or folder of input tensors; None for random ones.
        input_shapes: Name of an input → its shape, where the model leaves sizes free.
        tolerance: As ``--tolerance`` takes it, such as ``0.01`` or ``"cosine:0.999"``.
        plan: How each assignment is measured, where it is not as the target says; see ``Plan``.
        target: Where it is measured.
        output: Folder of the run; None for one in ``pareto-runs``, named after the search.
        progress: History of each new trial.

    Raises:
        InputError, ModelError, SpaceError: Something that was asked for cannot be.
        TargetError: The target cannot measure; what was measured is kept.

    Examples:
        >>> from pareto_profiler import search, select
        >>> from pareto_profiler.drivers import model
        >>> run = search(model(), backends=["cpu"], budget=1, output="runs/first")  # doctest: +SKIP
        >>> select(run, max_rss="100MB").row.id  # doctest: +SKIP
        4
    """
    _check_numbers(budget=budget, seconds=seconds, seed=seed)
    lists = {"backends": backends, "vary": vary, "objectives": objectives}
    for name, value in lists.items():
        if isinstance(value, str):
            raise InputError(f"{name}={value!r}: expected a list of names, such as [{value!r}]")
    if granularity not in set(Granularity):
        raise InputError(f"granularity={granularity!r}: expected one of {', '.join(Granularity)}")
    told = dict(plan or {})
    if tolerance != "":
        told["tolerance_kind"], told["tolerance"] = tolerance_of(str(tolerance))
    _check_plan(told)
    rules = Rules(seed=seed)
    shapes = [f"{name}={','.join(map(str, s))}" for name, s in (input_shapes or {}).items()]
    choices = Choices(
        model=Path(model),
        granularity=Granularity(granularity),
        backends=tuple(backends),
        vary=tuple(vary),
        adapt=adapt,
        objectives=tuple(objectives),
        plan=told,
        input_file=None if inputs is None else Path(inputs),
        input_shapes=shapes,
        runtime=runtime,
        target=target,
        sampler=sampler,
        seed=seed,
        command="pareto_profiler.search",
    )
    with prepare(choices) as job:
        folder = Path(output) if output else default_folder(job.header)
        proposer = sampler_of(sampler, job.header)
        with opened(job, folder) as exploration:
            for trial in exploration.trials(proposer, Budget(budget, seconds), rules):
                if progress is not None:
                    progress(trial)
            return Run(folder, exploration.recording)


def open(path: str | Path) -> Run:  # noqa: A001 - called as pareto_profiler.open
    """Open a run: its folder, its journal, a packed or CSV table, or a dump of ONE's tools.

    Raises:
        InputError, StoreError: It is none of these, damaged, or empty.
    """
    return Run(Path(path), open_recording(Path(path)))


def _check_numbers(**numbers: float | None) -> None:
    """See that what has to be a number is one that makes sense.

    Raises:
        InputError: One does not.
    """
    for name, value in numbers.items():
        least = 0 if name == "seed" else 1e-9
        kinds = (int, float) if name == "seconds" else (int,)
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, kinds) or not value >= least
        ):
            what = "a positive number" if least else "a whole number, 0 or more"
            raise InputError(f"{name}={value!r}: expected {what}")


def _check_plan(told: Mapping[str, Any]) -> None:
    """See that a plan can be made of some members.

    Raises:
        InputError: It cannot.
    """
    try:
        plan_of({**Plan().to_json(), **told})
    except (TypeError, ValueError) as error:
        names = ", ".join(Plan.__slots__)
        raise InputError(f"plan: {error}; its members are {names}") from error
    if told.get("repeats") == 0:
        raise InputError("plan: repeats=0: expected 1 or more")


def _run_of(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else open(run)


def select(
    run: Run | str | Path,
    *,
    minimise: str = "",
    is_knee: bool = False,
    weights: Mapping[str, float] | None = None,
    **limits: str | float,
) -> Selection:
    """Select one assignment of a run.

    Args:
        run: Which, or where it is.
        minimise: The smallest of this objective; empty for the first that has no limit.
        is_knee: Where the front bends most, instead.
        weights: Objective → how much it counts, instead.
        limits: Objective → what it may be at most, such as ``max_rss="100MB"``; a number is in the
            unit that the objective is shown in.

    Raises:
        InputError: An objective is not the run's, a limit is none, or nothing keeps the limits.

    Examples:
        >>> import pareto_profiler as pp
        >>> run = pp.open("examples/tables/mobilenet_v1_025_128-by_name-emulated_board.parquet")
        >>> pp.select(run, max_rss="1.2x baseline").row.id
        4
    """
    run = _run_of(run)
    bounds = Limit.several([(name, str(value)) for name, value in limits.items()], run.summary)
    if is_knee:
        return Selection.of(run.summary, Goal(bounds))
    if minimise:
        objectives_of([minimise])
        weights = {minimise: 1.0}
    if weights:
        return Selection.of(run.summary, Goal(bounds, weights))
    return Selection.of(run.summary, Goal.smallest(run.summary.objectives, bounds))


def compare(
    before: Run | str | Path, after: Run | str | Path, *, is_relative: bool = False
) -> Comparison:
    """Compare two runs of one space: did the front move?

    Args:
        before: The one, or where it is.
        after: The other, the same.
        is_relative: Whether figures are divided by each run's own baseline.

    Raises:
        InputError: They cannot be compared.
    """
    recordings = (_run_of(before).recording, _run_of(after).recording)
    return Comparison.of(*recordings, is_relative=is_relative)


def deploy(
    run: Run | str | Path,
    name: str | int,
    to: str | Path,
    *,
    form: str = "",
    is_to_run: bool = True,
) -> Deployed:
    """Write an assignment of a run in a form that ships, and run it on the run's target.

    Args:
        run: Which, or where it is; also a folder of the runs of several runtimes.
        name: An id of it, or ``fastest``, ``smallest``, ``knee``, ``baseline``, ``uniform``.
        to: File or folder.
        form: One of the runtime's; empty for its first.
        is_to_run: Whether it is run, in turns with the search's own way.

    Raises:
        InputError, ModelError: There is no such assignment or form, or the model is not there.
        TargetError: It does not run, or the target is unusable.
    """
    path = run.path if isinstance(run, Run) else Path(run)
    shipment = Shipment.of(path, str(name), form, Path(to), is_to_run=is_to_run)
    shipment.write()
    return Deployed(shipment.to, shipment.verify() if is_to_run else ())

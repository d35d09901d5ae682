"""search: the front door for Python, on models as the command does it, and on any function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pareto_profiler import loop
from pareto_profiler.core.measurement import objectives_of
from pareto_profiler.core.plan import Plan, tolerance_of
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.rules import Rules
from pareto_profiler.core.space import Granularity
from pareto_profiler.core.traits import Traits
from pareto_profiler.core.trial import Trial
from pareto_profiler.errors import InputError, said_in_python
from pareto_profiler.exploration import Exploration, opened, sampler_of
from pareto_profiler.jobs import Choices, default_folder, prepare
from pareto_profiler.jointly import OBJECTIVES as JOINT_OBJECTIVES
from pareto_profiler.jointly import search_jointly
from pareto_profiler.loop import Budget, Journal, MemoryJournal
from pareto_profiler.report.selection import Limit
from pareto_profiler.runners.function import FunctionRunner, FunctionSpace, Measure, Profiled
from pareto_profiler.runs import JointRun, Run
from pareto_profiler.runs import open as open_run
from pareto_profiler.runtimes import FUNCTION
from pareto_profiler.storage.journal import JOURNAL, Store, plan_of
from pareto_profiler.version import __version__

Progress = Callable[[Trial], None]


@said_in_python
def search(
    model: str | Path | Mapping[str, Sequence[str]] | FunctionSpace,
    *,
    measure: Measure | None = None,
    profile: Profiled | None = None,
    catch: tuple[type[Exception], ...] = (),
    runtimes: Sequence[str] = (),
    backends: Sequence[str] = (),
    granularity: str = "",
    vary: Sequence[str] = (),
    adapt: bool = False,
    objectives: Sequence[str] = (),
    within: Mapping[str, str] | None = None,
    budget: int | None = 100,
    seconds: float | None = None,
    sampler: str = "structured",
    seed: int = 0,
    inputs: str | Path | None = None,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    tolerance: float | str = "",
    plan: Mapping[str, Any] | None = None,
    target: str = "",
    addresses: Sequence[str] = (),
    output: str | Path | None = None,
    progress: Progress | None = None,
) -> Run | JointRun:
    """Search for the Pareto front of a model or of a function; what an earlier call began goes on.

    Args:
        model: File or package. With ``measure``: operation → the backends that it can run on, or a
            :class:`FunctionSpace`, which has settings and tensors, too.
        measure: A function that is told what was chosen for each operation and setting, and answers
            with the figure of each objective, in seconds and bytes, or with those of several runs.
            It raises ``RunError`` where an assignment fails.
        profile: Another function, which answers with the seconds of each operation.
        catch: Exceptions of these that are failures of the assignment, too. Others end the search.
        runtimes: What runs the model; several are searched together. Empty for the default.
        backends: To choose from, the baseline's first; empty for all.
        granularity: ``name``, ``index`` or ``operation``: what shares a backend; empty for name.
        vary: Settings to search over, too.
        adapt: Whether a model that the runtime refuses is adapted to it first.
        objectives: What is minimised; empty for latency and peak memory.
        within: Objective → what it may be at most, such as ``{"max_rss": "20MB"}``: all
            measurements go to the one assignment that will ship.
        budget: Most trials, repeats included; None for no limit.
        seconds: Most time for all trials together.
        sampler: Who proposes.
        seed: Of chance.
        inputs: File or folder of input tensors; None for random ones.
        input_shapes: Name of an input → its shape, where the model leaves sizes free.
        tolerance: As ``--tolerance`` takes it, such as ``0.01`` or ``"cosine:0.999"``.
        plan: How each assignment is measured, where it is not as the target says; see ``Plan``.
        target: Where it is measured; empty for here.
        addresses: Of the target's boards, which measure side by side; empty for its own.
        output: Folder of the run; None for one in ``pareto-runs``, named after the search. Of a
            function for none: its run is kept in memory.
        progress: Called with each new trial.

    Returns:
        A :class:`JointRun` of several runtimes, else a :class:`Run`.

    Raises:
        InputError, ModelError, SpaceError: Something that was asked for cannot be.
        TargetError: The target cannot measure; what was measured is kept.

    Examples:
        A function of two operations, between which a copy costs 2 ms:

        >>> import pareto_profiler as pp
        >>> def measure(chosen):
        ...     seconds = sum(0.001 if b == "npu" else 0.004 for b in chosen.values())
        ...     seconds += 0.002 * (chosen["conv"] != chosen["dense"])
        ...     return {"exec_time": seconds, "max_rss": 1e6 + 5e5 * ("npu" in chosen.values())}
        >>> both = ["cpu", "npu"]
        >>> run = pp.search({"conv": both, "dense": both}, measure=measure, budget=12)
        >>> [point.choices["conv"] for point in run.front]
        ['npu', 'cpu']
        >>> round(run.best(max_rss="1.2MB").values["exec_time"], 3)
        8.0

        A model, in four lines:

        >>> run = pp.search("model.tflite", runtimes=["litert"], budget=60)
        >>> point = run.best(max_rss="20 MB")
        >>> point.deploy("shipped/", format="litert-python").path
        PosixPath('shipped')
    """
    _check_numbers(budget=budget, seconds=seconds, seed=seed)
    lists = {"runtimes": runtimes, "backends": backends, "vary": vary, "objectives": objectives}
    lists["addresses"] = addresses
    for name, value in lists.items():
        if isinstance(value, str):
            raise InputError(f"{name}={value!r}: expected a list of names, such as [{value!r}]")
    usual = JOINT_OBJECTIVES if len(runtimes) > 1 else Choices(Path()).objectives
    names = tuple(o.name for o in objectives_of(objectives or usual))
    if within and len(runtimes) > 1:
        raise InputError("within: is for the search of one runtime, name a single one")
    asked = [f"{name}={value}" for name, value in (within or {}).items()]
    limits = {x.objective.name: x.most for x in Limit.beforehand(asked, objectives_of(names))}
    rules, limit = Rules(seed=seed, within=limits), Budget(budget, seconds)
    if measure is not None:
        _check_unused(
            "with measure=…",
            runtimes=runtimes,
            backends=backends,
            granularity=granularity,
            vary=vary,
            adapt=adapt,
            inputs=inputs,
            input_shapes=input_shapes,
            tolerance=tolerance,
            plan=plan,
            target=target,
            addresses=addresses,
        )
        told = model if isinstance(model, FunctionSpace) else _space_of(model)
        header = _header_of(told, measure, names, sampler, seed)
        runner = FunctionRunner(told.space, objectives_of(names), measure, profile, catch)
        return _searched(header, runner, limit, rules, output, progress)
    _check_unused("without measure=…", profile=profile, catch=catch)
    if not isinstance(model, str | Path):
        raise InputError(f"model={model!r}: expected a file, or measure=… beside it")
    choices = _choices(
        Path(model),
        granularity=granularity or Granularity.NAME,
        tolerance=tolerance,
        plan=plan or {},
        input_shapes=input_shapes or {},
        backends=tuple(backends),
        vary=tuple(vary),
        adapt=adapt,
        objectives=names,
        input_file=None if inputs is None else Path(inputs),
        runtime=runtimes[0] if len(runtimes) == 1 else "",
        target=target or "local",
        address=",".join(addresses),
        sampler=sampler,
        seed=seed,
    )

    def explore(exploration: Exploration, limit: Budget, share: float) -> None:
        proposer = sampler_of(sampler, exploration.job.header, limits)
        for trial in exploration.trials(proposer, limit, replace(rules, confirm_share=share)):
            if progress is not None:
                progress(trial)

    folder = None if output is None else Path(output)
    if len(runtimes) > 1:
        share = rules.confirm_share
        _, folder = search_jointly(runtimes, choices, limit, explore, folder, confirm_share=share)
        return open_run(folder)
    with prepare(choices) as job:
        folder = folder or default_folder(job.header)
        with opened(job, folder) as exploration:
            explore(exploration, limit, rules.confirm_share)
            return Run(folder, exploration.recording)


def _choices(
    model: Path,
    *,
    granularity: str,
    tolerance: float | str,
    plan: Mapping[str, Any],
    input_shapes: Mapping[str, Sequence[int]],
    **given: Any,
) -> Choices:
    """As the command makes them of its options.

    Raises:
        InputError: Something makes no sense.
    """
    if granularity not in set(Granularity):
        raise InputError(f"granularity={granularity!r}: expected one of {', '.join(Granularity)}")
    planned = dict(plan)
    if tolerance != "":
        planned["tolerance_kind"], planned["tolerance"] = tolerance_of(str(tolerance))
    _check_plan(planned)
    return Choices(
        model=model,
        granularity=Granularity(granularity),
        plan=planned,
        input_shapes=[f"{n}={','.join(map(str, shape))}" for n, shape in input_shapes.items()],
        command="pareto_profiler.search",
        **given,
    )


def _space_of(operations: object) -> FunctionSpace:
    if not isinstance(operations, Mapping):
        raise InputError(
            f"model={operations!r}: with measure=…, expected operation → its backends, or a "
            f"FunctionSpace"
        )
    return FunctionSpace.of(operations)


def _header_of(
    told: FunctionSpace, measure: Measure, objectives: Sequence[str], sampler: str, seed: int
) -> Header:
    """Under which circumstances a function is searched."""
    name = getattr(measure, "__name__", type(measure).__name__)
    return Header(
        model_name="function" if name == "<lambda>" else name,
        model_digest="",
        space=told.space,
        objectives=tuple(objectives),
        target="python",
        runtime=FUNCTION,
        sampler=sampler,
        seed=seed,
        tool_version=__version__,
        created_at=datetime.now(UTC).isoformat(timespec="seconds"),
        graph=told.graph,
        traits=Traits(),
    )


def _searched(
    header: Header,
    runner: FunctionRunner,
    budget: Budget,
    rules: Rules,
    output: str | Path | None,
    progress: Progress | None,
) -> Run:
    """Search a function, in a folder or in memory."""
    folder = None if output is None else Path(output)
    store = None if folder is None else Store(folder / JOURNAL, header)
    journal: Journal = store or MemoryJournal()
    try:
        for trial in loop.search(
            header.space,
            sampler_of(header.sampler, header, rules.within),
            runner,
            journal,
            budget,
            source=header.sampler,
            objectives=objectives_of(header.objectives),
            rules=rules,
        ):
            if progress is not None:
                progress(trial)
        return Run(folder, store.recording if store else Recording(header, tuple(journal.trials)))
    finally:
        if store is not None:
            store.close()


def _check_unused(where: str, **told: object) -> None:
    """See that nothing was given that has no effect.

    Raises:
        InputError: Something was.
    """
    for name, value in told.items():
        if value:
            raise InputError(f"{name}={value!r}: has no effect {where}")


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

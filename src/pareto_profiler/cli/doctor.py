"""``pareto-profiler doctor``: what spoils measurements on a machine, and how much they scatter."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from pareto_profiler import drivers
from pareto_profiler.cli.options import (
    CpusOption,
    JsonOption,
    MeasuringOptions,
    TargetOptions,
    ThreadsOption,
    command,
)
from pareto_profiler.cli.output import print_json, say, show_facts
from pareto_profiler.core.plan import cpus_of
from pareto_profiler.core.space import Assignment
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import TargetError
from pareto_profiler.jobs import Choices, measuring
from pareto_profiler.loop import run_trial
from pareto_profiler.report.noise import NoiseFloor, diagnosis
from pareto_profiler.runners.machine import (
    Conditions,
    Machine,
    conditions,
    describe,
    diagnostics,
    oversubscription,
)
from pareto_profiler.runtimes.base import Engine

_BUNDLED: Final = "the bundled MobileNetV1 0.25-128"
_PROCESSES: Final = (1, 5, 20)


@command
def doctor(
    where: TargetOptions,
    processes: Annotated[
        int, typer.Option(min=6, max=1000, help="How often the same thing is measured.")
    ] = 12,
    model: Annotated[
        Path | None, typer.Option(help="Measure this model.", show_default="a small bundled one")
    ] = None,
    threads: ThreadsOption = None,
    cpus: CpusOption = "",
    as_json: JsonOption = False,
) -> None:
    """Find out what spoils measurements here or on a target, and what to do about it.

    Looks at the machine, then measures one model again and again (an A/A test): the noise floor
    says which differences can be seen at all.
    """
    plan = MeasuringOptions(threads=threads, cpus=cpus).plan()
    choices = Choices(model=model or drivers.model(), plan=plan, **where.chosen)
    with measuring(choices) as (job, engine):
        machine, here = describe(job.shell), conditions(job.shell)
        trials = [_measured(engine, job.header.space.default, n) for n in range(processes)]
    floor = NoiseFloor.of(trials)
    planned = job.header.plan
    threads_now = planned.threads if planned else 1
    processors = len(cpus_of(planned.cpus)) if planned and planned.cpus else machine.cores
    advice = [
        *diagnostics(machine, here, is_pinned=bool(planned and planned.cpus)),
        *oversubscription(threads_now, processors),
        *diagnosis(floor, machine, cpus),
    ]
    if as_json:
        facts = {"machine": machine.to_json(), "noise_floor": floor.to_json(), "advice": advice}
        print_json(facts)
        return
    _print(floor, machine, here, advice, f"{model or _BUNDLED}, {job.header.runtime}")


def _measured(engine: Engine, baseline: Assignment, number: int) -> Trial:
    trial = run_trial(engine, baseline, number, "doctor", is_repeat=True)
    if isinstance(trial.outcome, Failure):
        raise TargetError(f"the model fails: {trial.outcome.kind}: {trial.outcome.message}")
    return trial


def _print(
    floor: NoiseFloor, machine: Machine, here: Conditions, advice: list[str], what: str
) -> None:
    difference, low, high = floor.difference
    zones = ", ".join(f"{name} {celsius:.0f} °C" for name, celsius in here.thermal_zones)
    seen = ", ".join(f"{floor.smallest_difference(n):.1%} with {n}" for n in _PROCESSES)
    busy = ", while something else was running" if floor.is_busy else ""
    show_facts(
        ("machine", f"{machine.architecture} {machine.cpu}, {machine.cores} cores"),
        ("governor", ", ".join(here.governors) or "not visible here"),
        ("turbo", machine.turbo or "not visible here"),
        ("temperature", zones or "not visible here"),
        ("load", f"{here.load:.2f}; others used {floor.other_cpus:.2f} processors meanwhile"),
        ("measured", f"{what}: {1e3 * floor.exec_time_s:.3f} ms, {floor.processes} processes"),
        ("noise floor", f"{floor.spread:.2%} from process to process{busy}"),
        ("of memory", f"{floor.memory_spread:.3%}"),
        ("drift", f"{floor.drift:.2%}" if floor.drift else "none found"),
        ("A/A test", f"B is {difference:+.2%} against A (95 % interval {low:+.2%} to {high:+.2%})"),
        (
            "can be seen",
            "not known: other work disturbed most runs"
            if floor.is_busy
            else f"in four of five tries differences of {seen} processes each",
        ),
    )
    say("", *(f"• {line}" for line in advice or ["nothing here spoils measurements"]))

"""``pareto-profiler doctor``: what spoils measurements on a machine, and how much they scatter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from pareto_profiler.cli.exits import reporting_errors
from pareto_profiler.cli.measure import (
    AddressOption,
    CpusOption,
    JsonOption,
    LibraryOption,
    RuntimeOption,
    TargetOption,
    TargetsOption,
    ThreadsOption,
    plan_of,
)
from pareto_profiler.core.plan import cpus_of
from pareto_profiler.errors import TargetError

if TYPE_CHECKING:
    from pareto_profiler.report.noise import NoiseFloor
    from pareto_profiler.runners.machine import Conditions, Machine

_MUCH_SPREAD: Final = 0.02
_MUCH_DISTURBED: Final = 0.1
_BUNDLED: Final = "the bundled MobileNetV1 0.25-128"
_PROCESSES: Final = (1, 5, 20)


@reporting_errors
def doctor(
    processes: Annotated[
        int, typer.Option(min=6, max=1000, help="How often the same thing is measured.")
    ] = 12,
    model: Annotated[
        Path | None, typer.Option(help="Measure this model.", show_default="a small bundled one")
    ] = None,
    threads: ThreadsOption = None,
    cpus: CpusOption = "",
    runtime: RuntimeOption = "",
    library: LibraryOption = "",
    target: TargetOption = "local",
    address: AddressOption = "",
    targets: TargetsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Find out what spoils measurements here or on a target, and what to do about it.

    Looks at the machine, then measures one model again and again (an A/A test): the noise floor
    says which differences can be seen at all.
    """
    import tempfile

    from pareto_profiler import drivers
    from pareto_profiler.cli.assembly import Choices, prepare
    from pareto_profiler.cli.output import print_json
    from pareto_profiler.core.trial import Failure, Trial
    from pareto_profiler.report.noise import NoiseFloor
    from pareto_profiler.runners.machine import complaints, conditions, crowded, describe
    from pareto_profiler.search import attempt

    choices = Choices(
        model=model or drivers.model(),
        plan=plan_of(threads=threads, cpus=cpus),
        runtime=runtime,
        library=library,
        target=target,
        address=address,
        targets_file=targets,
    )
    job = prepare(choices)
    try:
        # Before anything of ours runs there.
        machine, here = describe(job.shell), conditions(job.shell)
        trials: list[Trial] = []
        with tempfile.TemporaryDirectory(prefix="pareto-profiler-") as folder:
            runner = job.engine(Path(folder))
            try:
                for number in range(processes):
                    baseline = job.header.space.default
                    trial = attempt(runner, baseline, number, "doctor", is_repeat=True)
                    if isinstance(trial.outcome, Failure):
                        failure = trial.outcome
                        raise TargetError(f"the model fails: {failure.kind}: {failure.message}")
                    trials.append(trial)
            finally:
                runner.close()
    finally:
        job.shell.close()
    floor = NoiseFloor.of(trials)
    plan = job.header.plan
    threads_now = plan.threads if plan else 1
    processors = len(cpus_of(plan.cpus)) if plan and plan.cpus else machine.cores
    advice = [
        *complaints(machine, here, is_pinned=bool(plan and plan.cpus)),
        *crowded(threads_now, processors),
        *_diagnosis(floor, machine, cpus),
    ]
    if as_json:
        facts = {"machine": machine.to_json(), "noise_floor": floor.to_json(), "advice": advice}
        print_json(facts)
        return
    _print(floor, machine, here, advice, f"{model or _BUNDLED}, {job.header.runtime}")


def _diagnosis(floor: NoiseFloor, machine: Machine, cpus: str) -> list[str]:
    said = list(floor.notes)
    if floor.disturbed > _MUCH_DISTURBED:
        pinning = "" if cpus or machine.cores < 2 else ", or pin measurements with --cpus"
        said.append(
            f"other work used {floor.other_cpus:.1f} processors and disturbed "
            f"{floor.disturbed:.0%} of the runs: end it{pinning}"
        )
    if floor.spread > _MUCH_SPREAD and not floor.is_busy:
        said.append(
            f"processes differ by {floor.spread:.1%}: differences of some percent take many "
            f"repeats to see; a quieter machine would save them"
        )
    low, high = floor.difference[1:]
    if low > 0 or high < 0:
        said.append(
            "the A/A test failed: the same thing was seen to differ from itself; it happens once "
            "in twenty times, run it again"
        )
    return said


def _print(
    floor: NoiseFloor, machine: Machine, here: Conditions, advice: list[str], what: str
) -> None:
    from rich.markup import escape
    from rich.table import Table

    from pareto_profiler.cli.output import console

    out = console()
    facts = Table(box=None, show_header=False)
    difference, low, high = floor.difference
    zones = ", ".join(f"{name} {celsius:.0f} °C" for name, celsius in here.thermal_zones)
    seen = ", ".join(f"{floor.smallest_difference(n):.1%} with {n}" for n in _PROCESSES)
    busy = ", while something else was running" if floor.is_busy else ""
    for name, text in (
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
    ):
        facts.add_row(name, escape(text))
    out.print(facts)
    out.print()
    for line in advice:
        out.print(f"• {line}", highlight=False, markup=False, soft_wrap=True)
    if not advice:
        out.print("nothing here spoils measurements")

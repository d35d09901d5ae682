"""Health: what makes a run's front less trustworthy than it looks, in plain words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pareto_profiler.core.estimate import Estimates
from pareto_profiler.core.measurement import Measurement, Objective
from pareto_profiler.core.membership import Membership, Verdict, shown_front
from pareto_profiler.core.plan import cpus_of
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.trial import Failure, Trial
from pareto_profiler.errors import FailureKind
from pareto_profiler.report.history import Step
from pareto_profiler.report.places import is_finished
from pareto_profiler.runners.machine import advice, oversubscription

_CONTENDED_SHARE: Final = 0.1
_TELLING_DRIFT: Final = 0.005
_TELLING_NOISE: Final = 0.05
_FULL_CLOCK: Final = 0.95
_TELLING_REST_S: Final = 1.0
_LAST: Final = 0.25
_TELLING_GAIN: Final = 0.002
_MIN_STEPS: Final = 8
_REASON_WIDTH: Final = 160
_WHOLE: Final = 1000


@dataclass(frozen=True, slots=True)
class Check:
    """One question that decides whether to build on a front.

    Attributes:
        about: ``trust``, ``convergence`` or ``backends``.
        is_good: Whether nothing is to be done.
        words: The answer, and what to do.
    """

    about: str
    is_good: bool
    words: str


def checks_of(
    recording: Recording,
    estimates: Estimates,
    places: Sequence[Membership],
    steps: Sequence[Step],
) -> tuple[Check, ...]:
    """Whether the front can be trusted, whether the search is done, which backends worked.

    Args:
        recording: The run.
        estimates: Of what was measured in place.
        places: Of the same.
        steps: How the hypervolume grew.
    """
    if not estimates.items:
        return (Check("trust", is_good=False, words="nothing was measured"),)
    shown = shown_front(estimates, places, recording.header.margin)
    sure = sum(places[i].verdict is Verdict.ON for i in shown)
    is_decided = not estimates.is_noise_known or 2 * sure >= max(2, len(shown))
    return (
        _trust(recording.header, estimates, places),
        _convergence(recording, estimates.objectives, steps, is_decided=is_decided),
        *_backends(recording, estimates, places),
    )


def _trust(header: Header, estimates: Estimates, places: Sequence[Membership]) -> Check:
    shown = shown_front(estimates, places, header.margin)
    if not estimates.is_noise_known:
        return Check("trust", is_good=False, words=_unrepeated(header))
    busy = sum(estimates.items[i].is_contended for i in shown)
    if busy:
        words = (
            f"other work disturbed all measurements of {busy} of the front's {len(shown)} points"
            f"{_told_all_the_same(estimates)}"
        )
        return Check("trust", is_good=False, words=words)
    untold = sum(not estimates.items[i].is_told for i in shown)
    if untold:
        words = (
            f"no verdict on {untold} of the front's {len(shown)} points: repeats of them differ by "
            f"more than can be told from"
        )
        return Check("trust", is_good=False, words=words)
    sure = sum(places[i].verdict is Verdict.ON for i in shown)
    near = sum(p.verdict is Verdict.INCONCLUSIVE for i, p in enumerate(places) if i not in shown)
    confidence = f"{100 * header.confidence:g} %"
    if sure == len(shown) and not near:
        words = f"every place is decided with {confidence}: {_points(sure)} on the front"
        return Check("trust", is_good=True, words=words)
    open_ones = len(shown) - sure
    rest = f"undecided, on it or just off it: {open_ones + near} (confirm decides)"
    if len(shown) > 1:
        count = f"{sure} of the {len(shown)} points" if open_ones else f"all {sure} points"
        words = f"{count} on the front are decided with {confidence}; {rest}"
    elif open_ones:
        words = f"the one point on the front is not decided with {confidence}; {rest}"
    else:
        words = f"the one point on the front is decided with {confidence}; {rest}"
    return Check("trust", is_good=sure > 0 and near + open_ones <= sure, words=words)


def _told_all_the_same(estimates: Estimates) -> str:
    """Objectives that other work does not disturb, with the least figure of each."""
    least = []
    for k, objective in enumerate(estimates.objectives):
        figure = min((item.figures[k] for item in estimates.items), key=lambda f: f.value)
        if ends := figure.interval():
            low, high = map(objective.shown, ends)
            told = (f"{end:,.0f}" if end >= _WHOLE else f"{end:.4g}" for end in (low, high))
            least.append(f"{objective.name} {' to '.join(told)} {objective.shown_unit}")
    return f"; what can be told, at its least: {', '.join(least)}" if least else ""


def _points(count: int) -> str:
    return f"{count} point{'' if count == 1 else 's'}"


def _convergence(
    recording: Recording,
    objectives: Sequence[Objective],
    steps: Sequence[Step],
    *,
    is_decided: bool,
) -> Check:
    space = recording.header.space
    tried = {t.assignment for t in recording.trials if _is_tried(t)}
    # A uniform assignment that is not feasible may be among them.
    if len(tried) >= space.size and sum(map(space.is_feasible, tried)) >= space.size:
        words = f"all {space.size} feasible assignments were tried"
        return Check("convergence", is_good=True, words=words)
    last = steps[-1].hypervolume
    lately = max(1, round(_LAST * len(steps)))
    before = steps[-lately - 1].hypervolume if len(steps) > lately else 0.0
    gain = (last - before) / last if last else 0.0
    if len(steps) < _MIN_STEPS:
        if is_finished(recording, objectives):
            words = (
                f"the sampler asks for no more: after {len(steps)} measured assignments nothing "
                f"else promises to move the front"
            )
            return Check("convergence", is_good=True, words=words)
        words = (
            f"only {len(steps)} assignments were measured: too few to tell whether more would help"
        )
        return Check("convergence", is_good=False, words=words)
    if gain > _TELLING_GAIN:
        words = (
            f"the front still grew: the last {lately} of {len(steps)} measured assignments added "
            f"{100 * gain:.1f} % of the hypervolume; a larger --budget may find more"
        )
        return Check("convergence", is_good=False, words=words)
    if not is_decided:
        words = (
            f"whether the front still moves cannot be told: the last {lately} of {len(steps)} "
            f"measured assignments added little, but few points on it are decided"
        )
        return Check("convergence", is_good=False, words=words)
    at = next(s for s in steps if s.hypervolume >= (1 - _TELLING_GAIN) * last)
    words = (
        f"the front is unchanged since trial {at.trials} ({at.seconds:.0f} s); "
        f"{len(steps) - at.assignments} more assignments added less than "
        f"{100 * _TELLING_GAIN:g} %"
    )
    return Check("convergence", is_good=True, words=words)


def _is_tried(trial: Trial) -> bool:
    """Whether a trial says something of its assignment's figures."""
    outcome = trial.outcome
    if isinstance(outcome, Failure):
        return outcome.kind is not FailureKind.NOT_RECORDED
    return isinstance(outcome, Measurement)


def _backends(
    recording: Recording, estimates: Estimates, places: Sequence[Membership]
) -> list[Check]:
    space = recording.header.space
    worked = Counter(b for item in estimates.items for b in _used(recording, item.assignment))
    on_front = {
        b
        for i in shown_front(estimates, places, recording.header.margin)
        for b in _used(recording, estimates.items[i].assignment)
    }
    checks = []
    for backend in space.backends:
        if worked[backend]:
            continue
        failed = [
            t.outcome
            for t in recording.trials
            if isinstance(t.outcome, Failure) and backend in _used(recording, t.assignment)
        ]
        if not failed:
            words = f"{backend} was never tried: nothing in the space runs there"
            checks.append(Check("backends", is_good=False, words=words))
            continue
        (kind, message), count = Counter((f.kind, f.message) for f in failed).most_common(1)[0]
        reason = message if len(message) <= _REASON_WIDTH else f"{message[:_REASON_WIDTH]} …"
        words = f"{backend} never worked: {count} of {len(failed)} trials {kind}: {reason}"
        checks.append(Check("backends", is_good=False, words=words))
    working = [b for b in space.backends if worked[b]]
    if working:
        words = f"{', '.join(working)} can run at least some of the operations"
        idle = [b for b in working if b not in on_front]
        words += f"; no point of the front uses {', '.join(idle)}" if idle else ""
        checks.append(Check("backends", is_good=True, words=words))
    return checks


def _used(recording: Recording, assignment: Sequence[str]) -> set[str]:
    variables = recording.header.space.variables
    return {c for v, c in zip(variables, assignment, strict=True) if not v.is_setting}


def warnings_of(recording: Recording, estimates: Estimates) -> tuple[str, ...]:
    """What makes figures less trustworthy than they look, in plain words, the gravest first."""
    warnings = _placeholders(recording.header)
    trials = recording.trials
    measured = [t.outcome for t in trials if isinstance(t.outcome, Measurement)]
    contended = sum(m.is_contended for m in measured)
    left = sum(item.is_contended for item in estimates.items)
    if left:
        mark = " (±?)" if estimates.is_noise_known else ""
        warnings.append(
            f"other work was running on the target whenever {left} of the {len(estimates.items)} "
            f"assignments {'was' if left == 1 else 'were'} measured: their times{mark} are not to "
            f"be trusted; end it, or keep out of its way with --cpus or "
            f"--wait-until-quiet (pareto-profiler doctor)"
        )
    elif contended > _CONTENDED_SHARE * len(measured):
        warnings.append(
            f"other work disturbed {contended} of the {len(measured)} measurements: these "
            f"were repeated, and are left out"
        )
    if estimates.items and not estimates.is_noise_known:
        warnings.append(_unrepeated(recording.header))
    for objective, noise in zip(estimates.objectives, estimates.noise, strict=False):
        if objective.unit == "s" and noise > _TELLING_NOISE:
            warnings.append(
                f"repeats of the same assignment differ by {noise:.0%} in {objective.name}, so "
                f"that little can be decided: pin with --cpus, end other work, and ask "
                f"pareto-profiler doctor"
            )
    for objective, size in zip(estimates.objectives, estimates.drifts, strict=False):
        if size > _TELLING_DRIFT:
            warnings.append(
                f"{objective.name} drifted by {math.expm1(size):.1%} during the search, seen by "
                f"the baseline, measured again and again; corrected"
            )
    warnings += _throttling(measured)
    rested_s = sum(t.rested_s for t in trials)
    if rested_s >= _TELLING_REST_S:
        warnings.append(f"the target needs rests to cool down: {rested_s:.0f} s in all")
    flaky = {t.assignment for t in trials if isinstance(t.outcome, Failure)} & {
        item.assignment for item in estimates.items
    }
    if flaky:
        warnings.append(f"{len(flaky)} assignments failed in some trials and not in others")
    return (*warnings, *_advice(recording.header))


def _placeholders(header: Header) -> list[str]:
    """Inputs whose sizes the model leaves free and nobody fixed."""
    free = header.graph.free_inputs if header.graph else ()
    return [
        f"input {tensor.name!r} has free sizes and was measured at "
        f"{'×'.join(map(str, tensor.shape))}: fix it with --input-shape or --input"
        for tensor in free
    ]


def _unrepeated(header: Header) -> str:
    advice_on_it = (
        "; pareto-profiler confirm repeats what matters" if "model" in header.origin else ""
    )
    return (
        f"nothing was measured twice without other work: figures count as exact, though they are "
        f"not{advice_on_it}"
    )


def _throttling(measured: Sequence[Measurement]) -> list[str]:
    """What clocks and temperatures right after the runs say."""
    clocks = [m.samples["clock_frequency"][0] for m in measured if "clock_frequency" in m.samples]
    top = max(clocks, default=0.0)
    slow = sum(clock < _FULL_CLOCK * top for clock in clocks)
    if not slow:
        return []
    celsius = [m.samples["temperature"][0] for m in measured if "temperature" in m.samples]
    hot = f", at up to {max(celsius):.0f} °C" if celsius else ""
    words = (
        f"the target's clock was below {top / 1e9:.2f} GHz after {slow} of {len(clocks)} "
        f"measurements (down to {min(clocks) / 1e9:.2f}{hot}): it throttles, or its governor "
        f"follows the load"
    )
    return [words]


def _advice(header: Header) -> tuple[str, ...]:
    """What about machine and plan makes figures unsteady."""
    said = advice(header.machine)
    plan, cores = header.plan, int(header.machine.get("cores", 0))
    if plan and cores:
        varied = [v.choices for v in header.space.variables if v.name == "threads"]
        threads = max([plan.threads, *(int(n) for numbers in varied for n in numbers)])
        said += oversubscription(threads, len(cpus_of(plan.cpus)) if plan.cpus else cores)
    return said

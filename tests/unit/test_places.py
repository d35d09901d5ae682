"""Whose place on the front is decided by measurements alone, and whose by what was learned, too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rooms import onert_problem

from pareto_profiler.core.front import unbeaten
from pareto_profiler.core.membership import LIKELY, Membership, Verdict, memberships
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.core.rules import MARGIN, Rules
from pareto_profiler.core.trial import Placement
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.report.places import estimates_of, front_of, places_of
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.simulation.families import Device

NAMES = ("exec_time", "max_rss")


def searched(device: Device, sampler: str, seed: int) -> Recording:
    problem = onert_problem(device.space, graph=device.graph, seed=seed)
    runner, journal = device.runner(Plan(repeats=5, warmups=0), seed), MemoryJournal()
    for _ in search(
        problem.space,
        SAMPLERS[sampler](problem),
        runner,
        journal,
        Budget(50),
        source=sampler,
        objectives=problem.objectives,
        rules=Rules(seed=seed),
        clock=runner,
    ):
        pass
    header = Header("m", "", device.space, NAMES, sampler=sampler, seed=seed, graph=device.graph)
    return Recording(header, journal.trials)


@pytest.fixture(scope="module")
def recordings() -> list[tuple[Device, Recording]]:
    devices = [Device.of(f"simulated:chain-20x3:{seed}") for seed in range(3)]
    return [(d, searched(d, "structured", seed)) for seed, d in enumerate(devices)]


def places(recording: Recording) -> tuple[Membership, ...]:
    return places_of(
        recording, estimates_of(recording, onert_problem(recording.header.space).objectives)
    )


def test_what_the_sampler_learned_makes_places_right(recordings):
    """Against the truth: fewer are likelier elsewhere, and no more are called wrongly."""
    likelier, verdicts = np.zeros(2), np.zeros(2)
    for device, recording in recordings:
        alone = estimates_of(recording, onert_problem(device.space).objectives)
        truth = np.array([[device.truth(i.assignment)[n] for n in NAMES] for i in alone.items])
        is_on = unbeaten(truth, MARGIN, 1 + MARGIN / 2).tolist()
        for k, found in enumerate((places(recording), memberships(alone))):
            pairs = list(zip(found, is_on, strict=True))
            likelier[k] += sum((p.probability >= LIKELY) != on for p, on in pairs)
            wrong = {True: Verdict.OFF, False: Verdict.ON}
            verdicts[k] += sum(p.verdict is wrong[on] for p, on in pairs)
    assert likelier[0] < 0.7 * likelier[1]
    assert verdicts[0] <= verdicts[1] + 1


def test_what_ran_elsewhere_is_on_no_front_and_teaches_nothing(recordings):
    _, recording = recordings[0]
    front = front_of(recording)
    apart = replace(
        recording, placements=(Placement(front[0], ((0, "cpu"),), ("operation 0 ran elsewhere",)),)
    )
    without = replace(recording, trials=[t for t in recording.trials if t.assignment != front[0]])
    assert front[0] not in front_of(apart)
    assert front_of(apart) == front_of(without)


def test_where_no_sampler_learned_or_nothing_was_repeated_measurements_decide(recordings):
    _, recording = recordings[0]
    estimates = estimates_of(recording, onert_problem(recording.header.space).objectives)
    by_chance = [replace(t, source="random") for t in recording.trials]
    assert places_of(replace(recording, trials=by_chance), estimates) == memberships(estimates)
    assert places_of(recording, estimates) != memberships(estimates)
    first = {t.assignment: t for t in reversed(recording.trials)}
    once = replace(recording, trials=sorted(first.values(), key=lambda t: t.number))
    estimates = estimates_of(once, onert_problem(recording.header.space).objectives)
    assert places_of(once, estimates) == memberships(estimates)


def test_of_a_handful_of_assignments_measurements_decide_alone(recordings):
    """A model of seven makes of each what the six others say, and seems sure of it."""
    _, recording = recordings[0]
    few = list(dict.fromkeys(t.assignment for t in recording.trials))[:7]
    kept = [t for t in recording.trials if t.assignment in few]
    trials = [replace(t, number=n) for n, t in enumerate([*kept, *kept])]
    tiny = replace(recording, trials=trials)
    estimates = estimates_of(tiny, onert_problem(recording.header.space).objectives)
    assert estimates.is_noise_known
    assert places_of(tiny, estimates) == memberships(estimates)


def test_a_recording_without_its_baseline_is_judged(recordings):
    _, recording = recordings[0]
    default = recording.header.space.default
    rest = [t for t in recording.trials if t.assignment != default]
    repeated = [replace(t, number=100 + t.number) for t in rest[-3:]]
    assert front_of(replace(recording, trials=[*rest, *repeated]))

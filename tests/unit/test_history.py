"""What samplers make of trials that were repeated and disturbed."""

from __future__ import annotations

from pareto_profiler.core.measurement import Measurement, objectives_of
from pareto_profiler.core.trial import Trial
from pareto_profiler.samplers.history import History


def told(*rows: tuple[float, float]) -> History:
    found = History(objectives_of(["exec_time", "max_rss"]))
    for number, (seconds, others) in enumerate(rows):
        samples = {"exec_time": (seconds,) * 5, "max_rss": (1.0,), "other_cpus": (others,) * 5}
        found.add(Trial(number, ("a",), Measurement(samples)))
    return found


def test_a_quiet_measurement_counts_alone_however_many_were_disturbed():
    found = told((2.0, 3.0), (1.9, 3.0), (1.0, 0.0))
    assert found.values["a",] == (1.0, 1.0)
    assert found.repeats(("a",)) == 1
    assert not found.is_disturbed(("a",))


def test_where_all_were_disturbed_all_count():
    found = told((2.0, 3.0), (2.0, 3.0))
    assert found.repeats(("a",)) == 2
    assert found.is_disturbed(("a",))


def test_quiet_ones_are_averaged():
    assert told((1.0, 0.0), (4.0, 0.0)).values["a",] == (2.0, 1.0)


def test_of_memory_the_first_has_no_part_where_there_are_repeats():
    def sizes(*rows: tuple[float, float]) -> float:
        found = History(objectives_of(["exec_time", "max_rss"]))
        for number, (size, others) in enumerate(rows):
            samples = {"exec_time": (1.0,) * 5, "max_rss": (size,), "other_cpus": (others,) * 5}
            source = "again" if number else "random"
            found.add(Trial(number, ("a",), Measurement(samples), source))
        return found.values["a",][1]

    assert sizes((1.0, 0.0)) == 1.0
    assert sizes((1.0, 0.0), (4.0, 0.0)) == 4.0
    assert sizes((1.0, 0.0), (4.0, 0.0), (9.0, 0.0)) == 6.0
    # The first was disturbed, and has no part anyway.
    assert sizes((1.0, 3.0), (4.0, 0.0), (9.0, 0.0)) == 6.0
    # All were: the first is the first again.
    assert sizes((1.0, 3.0), (4.0, 3.0)) == 4.0


def test_the_spread_of_repeats_is_in_units_of_their_mean_without_what_others_disturbed():
    squares, freedom = told((0.9, 0.0), (1.1, 0.0), (5.0, 3.0)).spread(0)
    assert abs(squares - 0.02) < 1e-12
    assert freedom == 1
    assert told((1.0, 0.0), (1.0, 0.0)).spread(0) == (0.0, 1)
    assert told((1.0, 0.0)).spread(0) == (0.0, 0)

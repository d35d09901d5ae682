"""Names of assignments."""

from __future__ import annotations

from dataclasses import replace

import pytest
from unit.test_summary import recording

from pareto_profiler.errors import InputError
from pareto_profiler.report.naming import id_of, short_id
from pareto_profiler.report.summary import Summary


@pytest.fixture(scope="module")
def summary() -> Summary:
    return Summary.of(recording())


def test_words_name_what_they_say(summary: Summary):
    assert id_of(summary, "fastest") == summary.front[0].id
    assert id_of(summary, "smallest") == summary.front[-1].id
    assert summary.baseline
    assert id_of(summary, "baseline") == summary.baseline.id == 0
    assert summary.best_uniform
    assert id_of(summary, "uniform") == summary.best_uniform.id
    assert id_of(summary, "knee") in {row.id for row in summary.front}


def test_an_id_names_itself_measured_or_not(summary: Summary):
    limit = summary.header.space.id_limit
    assert [id_of(summary, str(i)) for i in range(limit)] == list(range(limit))


def test_a_shown_id_is_understood(summary: Summary):
    number = summary.front[0].id
    assert short_id(number) == str(number)
    assert short_id(10**30 + 5) == "10000000…00000005"
    first, last = str(number)[0], str(number)[-1]
    alike = [r for r in summary.measured if str(r.id)[0] == first and str(r.id)[-1] == last]
    for dots in ("…", "..", "..."):
        if len(alike) == 1:
            assert id_of(summary, f"{first}{dots}{last}") == number
    with pytest.raises(InputError, match="no measured assignments have such ids"):
        id_of(summary, "777…777")


@pytest.mark.parametrize("name", ["", "fast", "-1", "9" * 5000, "٣", "1…", "0x1"])
def test_what_names_nothing_is_told(summary: Summary, name: str):
    with pytest.raises(InputError) as error:
        id_of(summary, name)
    assert len(str(error.value)) < 300


def test_a_word_without_its_objective_is_told(summary: Summary):
    lacking = replace(summary, objectives=summary.objectives[:1])
    with pytest.raises(InputError, match="max_rss is no objective of this run"):
        id_of(lacking, "smallest")

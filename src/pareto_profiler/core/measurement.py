"""Measurement: all raw samples of one run; what is said of it is computed, never stored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median
from types import MappingProxyType
from typing import Final

from pareto_profiler.errors import InputError

METRIC_UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "exec_time": "s",
        "cpu_time": "s",
        "load_time": "s",
        "prepare_time": "s",
        "first_run_time": "s",
        "max_rss": "B",
        "rss_before_load": "B",
        "rss_after_prepare": "B",
        "run_delay": "s",
        "involuntary_switches": "1",
    }
)
"""Metrics that are measured, and the unit of their samples.

``exec_time``, ``cpu_time`` and the two last have one sample per timed run, the others one per
process.
``max_rss`` is the peak resident set of the measuring process (VmHWM) after the runs; the two other
``rss_`` metrics are the same peak before the model was loaded and after it was prepared.
``run_delay`` is time that the process's threads waited for a processor, ``involuntary_switches``
how often one was taken from them: signs of other work on the target; absent where its kernel does
not count them.
"""


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric being minimised, with the units it is shown in."""

    name: str
    unit: str
    shown_unit: str
    shown_per_unit: float
    meaning: str

    def shown(self, value: float) -> float:
        """A value in the unit users read."""
        return value * self.shown_per_unit


def _time(name: str, meaning: str) -> Objective:
    return Objective(name, "s", "ms", 1e3, meaning)


def _memory(name: str, meaning: str) -> Objective:
    return Objective(name, "B", "KiB", 1 / 1024, meaning)


OBJECTIVES: Final[Mapping[str, Objective]] = MappingProxyType(
    {
        o.name: o
        for o in (
            _time("exec_time", "wall time of one inference, median over the timed runs"),
            _memory("max_rss", "peak resident set of the measuring process (VmHWM)"),
            _memory("model_rss", "max_rss less the same peak before the model was loaded"),
            _time("prepare_time", "time the runtime takes to compile the model"),
            _time("first_run_time", "wall time of the first inference"),
            _time("cpu_time", "CPU time of one inference over all threads, median"),
        )
    }
)
"""Everything that can be minimised, by name."""


def objectives_of(names: Iterable[str]) -> tuple[Objective, ...]:
    """The objectives of these names, in order.

    Raises:
        InputError: A name is unknown or given twice, or there are fewer than two.

    Examples:
        >>> [o.shown_unit for o in objectives_of(["exec_time", "max_rss"])]
        ['ms', 'KiB']
    """
    names = tuple(names)
    for name in names:
        if name not in OBJECTIVES:
            raise InputError(f"objective {name!r}: expected one of {', '.join(OBJECTIVES)}")
    if len(names) < 2 or len(set(names)) < len(names):
        raise InputError(f"objectives {','.join(names)}: expected two or more, each once")
    return tuple(OBJECTIVES[name] for name in names)


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run yielded.

    Args:
        samples: Metric → raw values in run order, seconds or bytes, warm-ups apart.
        warmups: The same for the warm-up runs.
        output_error: Largest difference of an output from the baseline's, as a fraction of the
            range of the baseline's output; None where it was not compared.
        notes: What a reader of the figures should know, in words.

    Raises:
        ValueError: A metric is unknown, has no sample, or a sample is negative or not finite.

    Examples:
        >>> m = Measurement({"exec_time": (0.012, 0.010, 0.011), "max_rss": (2048.0,)})
        >>> m.value(OBJECTIVES["exec_time"]), m.value(OBJECTIVES["max_rss"])
        (0.011, 2048.0)
    """

    samples: Mapping[str, tuple[float, ...]]
    warmups: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    output_error: float | None = None
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for kind in ("samples", "warmups"):
            frozen = {name: tuple(values) for name, values in getattr(self, kind).items()}
            for name, values in frozen.items():
                if name not in METRIC_UNITS:
                    raise ValueError(f"metric {name!r}: expected one of {', '.join(METRIC_UNITS)}")
                if kind == "samples" and not values:
                    raise ValueError(f"metric {name!r} has no sample")
                for value in values:
                    if not 0 <= value < math.inf:
                        raise ValueError(f"metric {name!r}: sample {value} is not finite and ≥ 0")
            object.__setattr__(self, kind, MappingProxyType(frozen))

    def value(self, objective: Objective) -> float:
        """The figure of an objective, in its unit: the median of the samples.

        The median is not moved by a minority of runs that something else disturbed.

        Raises:
            KeyError: The metric was not measured.
        """
        if objective.name == "model_rss":
            return max(0.0, self._median("max_rss") - self._median("rss_before_load"))
        return self._median(objective.name)

    def has(self, objective: Objective) -> bool:
        """Whether the metrics behind an objective were measured."""
        needed = (
            ("max_rss", "rss_before_load") if objective.name == "model_rss" else (objective.name,)
        )
        return all(name in self.samples for name in needed)

    def _median(self, name: str) -> float:
        values = self.samples[name]
        return values[0] if len(values) == 1 else median(values)

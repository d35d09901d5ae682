"""Measurement: all raw samples of one run; what is said of it is computed, never stored."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
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
        "rss_after_load": "B",
        "rss_after_prepare": "B",
        "pss": "B",
        "rss_anon": "B",
        "rss_file": "B",
        "vram": "B",
        "energy": "J",
        "run_delay": "s",
        "involuntary_switches": "1",
        "other_cpus": "1",
        "steal_time": "s",
        "clock_resolution": "s",
        "clock_frequency": "Hz",
        "temperature": "°C",
    }
)
"""Metrics that are measured, and the unit of their samples; absent where a target does not tell.

``exec_time``, ``cpu_time``, ``run_delay``, ``involuntary_switches`` and ``other_cpus`` have one
sample per timed run, the others one per process.
``max_rss`` is the peak resident set of the measuring process until after the runs; the three
``rss_`` metrics below it are the same peak before the model was loaded, after it was loaded, and
after it was prepared.
``pss``, ``rss_anon`` and ``rss_file`` are what is resident after the runs: with shared pages
divided among those that share them, without a file behind, with one; ``vram`` is what the process
holds of GPUs' memory then. ``energy`` is a run's mean.
``run_delay`` is time that the process's threads waited for a processor, ``involuntary_switches``
how often one was taken from them, ``other_cpus`` how many processors others kept busy meanwhile,
``steal_time`` what a hypervisor took. ``clock_resolution`` is the smallest difference in time that
what measured it can tell, where that is coarse. ``clock_frequency`` and ``temperature`` are the
highest of the target right after the runs.
"""

LARGEST: Final[Mapping[str, float]] = MappingProxyType(
    {"s": 1e9, "B": 1e16, "J": 1e9, "1": 1e9, "Hz": 1e13, "°C": 1e5}
)
"""Unit → a figure that nothing reaches: what is as large is a damaged one."""

QUIET_CPUS: Final = 0.2
"""Others may use that much of a processor before runs count as disturbed."""

_BEFORE, _LOADED = "rss_before_load", "rss_after_load"
_PEAKS: Final = frozenset({"max_rss", "model_rss"})
_LONG_WAIT: Final = 0.05
_FEW_RUNS: Final = 5


@dataclass(frozen=True, slots=True)
class Objective:
    """A metric being minimised, with the units it is shown in.

    Attributes:
        name: As users name it.
        unit: Of values.
        shown_unit: What users read.
        shown_per_unit: How many of those one unit is.
        meaning: In words.
        source: What has to tell it, where not every target does.
    """

    name: str
    unit: str
    shown_unit: str
    shown_per_unit: float
    meaning: str
    source: str = ""

    @property
    def is_memory(self) -> bool:
        """Whether it is a size, which depends on where things lie in memory, and on no clock."""
        return self.unit == "B"

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
            _time("exec_time", "wall time of one inference, median over the undisturbed runs"),
            _memory("max_rss", "peak resident set of the measuring process"),
            _memory("model_rss", "max_rss less the same peak before the model was loaded"),
            _memory("anon_rss", "resident after the runs that no file backs: cannot be dropped"),
            replace(
                _memory("vram", "memory of GPUs that the process holds after the runs"),
                source="a GPU whose driver tells: memory of a DRM client in /proc/self/fdinfo, or "
                "of the process in NVIDIA's libnvidia-ml.so.1",
            ),
            _time("prepare_time", "time the runtime takes to compile the model"),
            _time("first_run_time", "wall time of the first inference"),
            _time("cpu_time", "CPU time of one inference over all threads, median"),
            Objective(
                "output_error",
                "1",
                "ppm",
                1e6,
                "largest difference from the baseline's output, relative to its range",
            ),
            Objective("energy", "J", "mJ", 1e3, "energy the target's counters saw per inference"),
        )
    }
)
"""Everything that can be minimised, by name."""


ALIASES: Final[Mapping[str, str]] = MappingProxyType({"latency": "exec_time", "memory": "max_rss"})
"""Other words for objectives, as people say them."""


def objectives_of(names: Iterable[str]) -> tuple[Objective, ...]:
    """The objectives of these names or aliases, in order.

    Raises:
        InputError: A name is unknown or given twice, or there are fewer than two.

    Examples:
        >>> [o.shown_unit for o in objectives_of(["exec_time", "max_rss"])]
        ['ms', 'KiB']
        >>> [o.name for o in objectives_of(["latency", "memory"])]
        ['exec_time', 'max_rss']
    """
    names = tuple(ALIASES.get(name, name) for name in names)
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
        ValueError: A metric is unknown, has no sample, or a sample is negative or beyond anything.

    Examples:
        >>> m = Measurement({"exec_time": (0.012, 0.010, 0.011), "max_rss": (2048.0,)})
        >>> m.value(OBJECTIVES["exec_time"]), m.value(OBJECTIVES["max_rss"])
        (0.011, 2048.0)
    """

    samples: Mapping[str, tuple[float, ...]]
    warmups: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    output_error: float | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        told = [o for o in OBJECTIVES.values() if self.has(o)]
        figures = [f"{o.name} {o.shown(self.value(o)):.5g} {o.shown_unit}" for o in told]
        return f"<Measurement: {', '.join(figures)}>"

    def __post_init__(self) -> None:
        for kind in ("samples", "warmups"):
            try:
                frozen = {n: tuple(map(float, values)) for n, values in getattr(self, kind).items()}
            except (TypeError, OverflowError) as error:
                raise ValueError(f"a sample is no number: {error}") from error
            for name, values in frozen.items():
                if name not in METRIC_UNITS:
                    raise ValueError(f"metric {name!r}: expected one of {', '.join(METRIC_UNITS)}")
                if kind == "samples" and not values:
                    raise ValueError(f"metric {name!r} has no sample")
                for value in values:
                    if not 0 <= value < LARGEST[METRIC_UNITS[name]]:
                        raise ValueError(
                            f"metric {name!r}: sample {value:g}: expected 0 to less than "
                            f"{LARGEST[METRIC_UNITS[name]]:g}"
                        )
            object.__setattr__(self, kind, MappingProxyType(frozen))
        if self.output_error is not None and not 0 <= self.output_error < LARGEST["1"]:
            raise ValueError(f"output error {self.output_error:g}: expected 0 or more")

    def value(self, objective: Objective) -> float:
        """The figure of an objective, in its unit: the median of the :meth:`usual` samples.

        The median, since a minority of runs that something disturbed a little does not move it
        much. Where most runs were disturbed it says little, see :attr:`is_contended`.

        Raises:
            KeyError: The metric was not measured.
        """
        if objective.name == "model_rss":
            return max(0.0, self._median("max_rss") - self._median(_BEFORE))
        if objective.name == "anon_rss":
            return self._median("rss_anon")
        if objective.name == "output_error":
            if self.output_error is None:
                raise KeyError("output_error")
            return self.output_error
        return self._median(objective.name)

    def scaled(self, factors: Mapping[str, float]) -> Measurement:
        """The same with the samples of some metrics multiplied.

        Examples:
            >>> twice = Measurement({"exec_time": (0.5, 0.25)}).scaled({"exec_time": 2.0})
            >>> twice.samples["exec_time"]
            (1.0, 0.5)
        """
        samples = {
            name: tuple(v * factors[name] for v in values) if name in factors else values
            for name, values in self.samples.items()
        }
        return replace(self, samples=samples)

    def beneath(self, objective: Objective) -> float:
        """The value, but for the peak of loading the model, which hides a memory that is less.

        Where that peak was not passed, what was resident after the runs; else the value.

        Raises:
            KeyError: The metric was not measured.

        Examples:
            >>> samples = {"max_rss": (9e6,), "rss_anon": (4e6,), "rss_file": (3e6,)}
            >>> m = Measurement({**samples, "rss_after_load": (9e6,)})
            >>> m.beneath(OBJECTIVES["max_rss"])
            7000000.0
        """
        value = self.value(objective)
        needed = ("max_rss", _LOADED, "rss_anon", "rss_file")
        if objective.name not in _PEAKS or not all(name in self.samples for name in needed):
            return value
        peak, loaded, anonymous, of_files = map(self._median, needed)
        return value if peak > loaded else max(0.0, value - peak + anonymous + of_files)

    def has(self, objective: Objective) -> bool:
        """Whether the metrics behind an objective were measured."""
        if objective.name == "output_error":
            return self.output_error is not None
        needed = {"model_rss": ("max_rss", _BEFORE), "anon_rss": ("rss_anon",)}
        return all(n in self.samples for n in needed.get(objective.name, (objective.name,)))

    @property
    def disturbed(self) -> tuple[bool, ...]:
        """For each timed run: whether other work on the target disturbed it.

        It did where others used more than ``QUIET_CPUS`` processors meanwhile. Where the target
        does not tell that: where the process's threads waited for a processor longer than in its
        other runs, by 5 % of the run (how long they usually wait for each other does not count).
        All false where it tells neither.

        Examples:
            >>> Measurement({"exec_time": (2.0, 2.1, 9.0), "other_cpus": (0.0, 0.0, 1.0)}).disturbed
            (False, False, True)
        """
        runs = self.samples.get("exec_time", ())
        others = self.samples.get("other_cpus", ())
        waits = self.samples.get("run_delay", ())
        if len(others) == len(runs):
            return tuple(other > QUIET_CPUS for other in others)
        if len(waits) != len(runs):
            return (False,) * len(runs)
        usual = median(waits) if waits else 0.0
        return tuple(w - usual > _LONG_WAIT * run for w, run in zip(waits, runs, strict=True))

    @property
    def is_contended(self) -> bool:
        """Whether other work disturbed most runs, so that the times say little."""
        marks = self.disturbed
        return 2 * sum(marks) > len(marks)

    def undisturbed(self, name: str) -> tuple[float, ...]:
        """The samples of a metric without those of disturbed runs; all where most were.

        Raises:
            KeyError: The metric was not measured.
        """
        values = self.samples[name]
        marks = self.disturbed
        if len(values) != len(marks) or not any(marks) or 2 * sum(marks) > len(marks):
            return values
        return tuple(v for v, is_disturbed in zip(values, marks, strict=True) if not is_disturbed)

    def usual(self, name: str) -> tuple[float, ...]:
        """The undisturbed samples of a metric, without those that are far slower than the others.

        What disturbs a run unseen makes it slower. So the scatter is read from the faster side, the
        distance from the median to the 16th percentile, and what lies more than four such distances
        above the median is left out, twice, since the median moves.

        Raises:
            KeyError: The metric was not measured.

        Examples:
            >>> Measurement({"exec_time": (1.0, 1.01, 1.02, 1.03, 1.04, 2.0)}).usual("exec_time")
            (1.0, 1.01, 1.02, 1.03, 1.04)
        """
        values = self.undisturbed(name)
        for _ in range(2):
            if len(values) < _FEW_RUNS:
                return values
            ordered = sorted(values)
            middle, low = median(ordered), ordered[round(0.16 * (len(ordered) - 1))]
            limit = middle * (middle / low) ** 4 if low else math.inf
            values = tuple(v for v in values if v <= limit)
        return values

    def _median(self, name: str) -> float:
        values = self.samples[name]
        return values[0] if len(values) == 1 else median(self.usual(name))

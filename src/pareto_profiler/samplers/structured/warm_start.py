"""WarmStart: what the first measurements and profiles say of an objective, before any fit."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np

from pareto_profiler.core.measurement import Objective
from pareto_profiler.samplers.structured.structure import Flags, Structure, Vector

_DISTRUST: Final = 0.4


@dataclass(frozen=True, slots=True)
class PriorData:
    """What the warm start says, for priors; values are over the baseline's.

    Attributes:
        base: The baseline's value, in the objective's unit.
        totals: Backend → value of the assignment that has all it can on it.
        profiles: Backend → time of each variable on it as a traced run showed, over the baseline's
            total time; NaN where it did not run there.
        copies: Time of the copies that the runtime made in each of these.
        extent: How far values are from the baseline's, roughly.
        least: The least value, over the baseline's.
    """

    base: float
    totals: dict[int, float]
    profiles: dict[int, Vector]
    copies: dict[int, float]
    extent: float
    least: float


class WarmStart:
    """An objective, and what is expected of it before anything is fitted.

    Args:
        structure: Of the problem.
        objective: Which.
        known: What was measured and traced first.
    """

    def __init__(self, structure: Structure, objective: Objective, known: PriorData) -> None:
        self.structure = structure
        self.known = known
        self.is_memory = objective.is_memory
        self.is_wall_time = objective.name in {"exec_time", "first_run_time"}
        self.is_time = self.is_wall_time or objective.name in {"cpu_time", "energy"}

    @property
    def bytes_once(self) -> float:
        """The whole model's bytes once, over the baseline's memory; 0 for other objectives."""
        return self.structure.byte_scale / max(1.0, self.known.base) if self.is_memory else 0.0

    @property
    def share(self) -> float:
        """Of one operation among all."""
        return 1 / max(1, len(self.structure.operation_variables))

    @cached_property
    def expected(self) -> Vector:
        """How much of the baseline's value each (variable, choice) takes, before measuring."""
        s, known = self.structure, self.known
        expected = np.zeros((len(s.counts), s.choices))
        if self.is_memory:
            return expected
        mask = np.zeros(len(expected))
        mask[s.operation_variables] = 1.0
        share = mask * s.work / max(1e-12, float((mask * s.work).sum()))
        base = known.profiles.get(0)
        if self.is_time and base is not None and not np.isnan(base).any():
            share = base / max(1e-12, float(base.sum()))
        unknown = self._unseen(share)
        for backend in range(len(s.backends)):
            guess = share * max(known.totals.get(backend, unknown), 1e-3)
            if self.is_trusted(backend):
                seen = known.profiles[backend]
                if backend not in known.totals:
                    guess = share * self._ratios(share, seen)
                guess = np.where(np.isnan(seen), guess, seen)
            expected[:, backend] = guess
        return expected

    def is_unseen(self, backend: int) -> bool:
        """Whether neither a uniform assignment nor a profile says what a backend takes."""
        known = self.known
        return backend not in known.totals and not (self.is_time and backend in known.profiles)

    def is_trusted(self, backend: int) -> bool:
        """Whether a profile's times add up to what the whole took.

        Where a backend only enqueues its work (acl_cl), they do not, and are to be learned.
        """
        known = self.known
        seen = known.profiles.get(backend)
        if seen is None or not self.is_time:
            return False
        if backend not in known.totals:
            return True
        whole = float(np.nansum(seen)) + known.copies.get(backend, 0.0)
        base = known.profiles.get(0)
        if base is not None and np.isnan(seen).any():
            whole += float(base[np.isnan(seen)].sum())
        return abs(whole - known.totals[backend]) < _DISTRUST * known.totals[backend]

    def _unseen(self, share: Vector) -> float:
        """What all on a backend of which nothing was seen may take: half way to the fastest one."""
        totals = dict(self.known.totals)
        for backend, seen in self.known.profiles.items() if self.is_time else ():
            if backend not in totals:
                totals[backend] = _pace(seen, share, ~np.isnan(seen))
        return float(np.sqrt(np.clip(min(totals.values()), 1e-3, 1.0)))

    def _ratios(self, share: Vector, seen: Vector) -> Vector:
        """For each variable how the backend compares with the baseline's where both were seen.

        With operations of the same name, or with all where none of that name was seen.
        """
        names = np.array(self.structure.names)
        is_seen = ~np.isnan(seen)
        found = np.full(len(share), _pace(seen, share, is_seen))
        for name in set(names[is_seen].tolist()):
            mine = is_seen & (names == name)
            found[names == name] = _pace(seen, share, mine)
        return found


def _pace(seen: Vector, share: Vector, where: Flags) -> float:
    """How some variables' times compare with the baseline's."""
    return float(seen[where].sum()) / max(1e-12, float(share[where].sum()))

"""Terms: the linear features of assignments, and what physics says of their weights beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from pareto_profiler.core.measurement import Objective
from pareto_profiler.core.traits import Role, SettingTrait
from pareto_profiler.samplers.structured.structure import Digits, Flags, Structure, Vector

GROUPS: Final = (
    "fixed",
    "unary",
    "backend",
    "hand-over",
    "setting",
    "pair",
    "overlap",
    "kind",
    "planner",
)
"""Terms whose prior spreads are scaled together."""

_DISTRUST: Final = 0.4
_OPEN: Final = 0.7
_FLOOR: Final = 0.2
# What a small backend takes that does nothing: it finds others loaded.
_SMALL_BYTES: Final = 2**18
# What a further partition takes, beforehand: of the baseline's time, and bytes.
_PARTITION: Final = 0.005
_PARTITION_BYTES: Final = 2**16
_PAIR: Final = 0.02
_MAX_PAIRS: Final = 5000
_OVERLAP: Final = 0.2
# What a trace may be off by: of each operation, in itself and in mean operations, and of a kind.
_SEEN: Final = 0.03
_SEEN_MEAN: Final = 0.01
_SEEN_KIND: Final = 0.03
_UNSEEN: Final = 0.7
_UNSEEN_MEAN: Final = 0.02
_UNSEEN_KIND: Final = 0.7


@dataclass(frozen=True, slots=True)
class SettingPrior:
    """How much a setting may change, as standard deviations beforehand.

    Attributes:
        time: Of the baseline's time, whatever runs where.
        work: Of each backend's share of the work.
        shared: Of each backend's share of the work, as far as it follows Amdahl's law.
        pools: Of another backend in use, whose threads may get in the way.
        memory: Of the baseline's memory, whatever runs where.
        arenas: Of activations, alike on all backends; of values whose waste is known, see traits.
        arena: Of activations, on each backend.
    """

    time: float
    work: float
    shared: float
    pools: float
    memory: float
    arenas: float
    arena: float


_SETTING_PRIORS: Final = {
    Role.THREADS: SettingPrior(
        time=0.05, work=0.15, shared=0.6, pools=0.1, memory=0.05, arenas=0.0, arena=0.1
    ),
    # What is placed elsewhere is cached differently: up to 2 % were seen.
    Role.ARENA: SettingPrior(
        time=0.005, work=0.005, shared=0.0, pools=0.0, memory=0.01, arenas=0.7, arena=0.1
    ),
    Role.OTHER: SettingPrior(
        time=0.15, work=0.3, shared=0.0, pools=0.1, memory=0.1, arenas=0.5, arena=0.5
    ),
}
_PAIR_SWAY: Final = 0.02


@dataclass(slots=True)
class Prior:
    """Normal distributions of weights; names for those that users are told."""

    means: list[float] = field(default_factory=list)
    spreads: list[float] = field(default_factory=list)
    groups: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def add(self, group: str, name: str, mean: float, spread: float) -> int:
        """One more weight; its position."""
        self.means.append(mean)
        self.spreads.append(spread)
        self.groups.append(GROUPS.index(group))
        self.names.append(name)
        return len(self.means) - 1


@dataclass(frozen=True, slots=True)
class Layout:
    """Where which weight stands.

    Attributes:
        unary: First position of the (variable, choice) weights, ``choices`` for each variable.
        pairs: First position of the (maker, its backend, taker's backend) weights, the last ones.
        overlap: Position of what backends save that work side by side.
        kinds: First position of the (kind of operation, backend) weights, on their expected work.
        per_backend: Kind of feature → position of the first backend's.
        hand_counts, hand_bytes: Position of each ordered pair of backends, the host last.
        settings: (setting variable, choice) → position.
        setting_time: (setting variable, choice, backend) → position, on the backend's share; the
            last backend stands for all of them, choice 0 for Amdahl's law.
        setting_pools: (setting variable, choice, backend) → position, on a backend's use; the last
            backend stands for the number of tensors that go from one backend to another.
        setting_pairs: Two (setting variable, choice) → position.
    """

    unary: int
    pairs: int
    overlap: int
    kinds: int
    per_backend: dict[str, int]
    hand_counts: int
    hand_bytes: int
    settings: dict[tuple[int, int], int]
    setting_time: dict[tuple[int, int, int], int]
    setting_pools: dict[tuple[int, int, int], int]
    setting_pairs: dict[tuple[int, int, int, int], int]


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
        learned: Weights that an earlier fit found, which tell what copies take where backends work
            side by side; None before.
    """

    base: float
    totals: dict[int, float]
    profiles: dict[int, Vector]
    copies: dict[int, float]
    extent: float
    least: float
    learned: Vector | None = None


class Terms:
    """Features of one objective.

    A value is modelled as a constant, a weight for each (variable, choice), for each backend its
    use, number of operations, share of expected work, weights, arena, what it keeps for others, and
    partitions where the runtime makes some,
    for each kind of operation and backend the share of expected work, for each ordered pair of
    backends the number and bytes of tensors handed over (once for each taker's backend), for each
    two operations with an edge what their backends do to each other, what backends save that work
    side by side, and for each setting its value, alone, with each backend, and with each other
    setting's.

    Args:
        structure: Of the problem.
        objective: Which.
        known: What the warm start says.
    """

    def __init__(self, structure: Structure, objective: Objective, known: PriorData) -> None:
        self.structure = structure
        self.is_memory = objective.is_memory
        self.is_wall_time = objective.name in {"exec_time", "first_run_time"}
        self.is_time = self.is_wall_time or objective.name in {"cpu_time", "energy"}
        # The whole model's bytes once, in units of the baseline's memory.
        self.bytes_once = self.byte_scale / max(1.0, known.base) if self.is_memory else 0.0
        self._has_kinds = not self.is_memory and structure.is_in_detail
        self.expected = self._expected(known)
        self.prior = Prior()
        self.layout = self._lay_out(known)
        self.means = np.array(self.prior.means)
        self.spreads = np.array(self.prior.spreads)
        self.groups = np.array(self.prior.groups)
        self._copies = self._learned_copies(known)

    @property
    def is_shared(self) -> bool:
        """Whether backends may work side by side."""
        return bool(self.spreads[self.layout.overlap])

    def features(self, digits: Digits) -> Any:
        """Shape ``(assignments, weights)``, sparse: of a variable's choices one is not zero."""
        from scipy.sparse import csr_array

        layout, choices = self.layout, self.structure.choices
        count, variables = digits.shape
        rows = self._dense(digits)
        first = slice(None, layout.unary)
        others = np.flatnonzero(self.spreads[first] + np.abs(self.means[first]))
        chosen = layout.unary + np.arange(variables) * choices + digits
        paired = self._paired(digits)
        columns = np.hstack([chosen, paired, np.broadcast_to(others, (count, len(others)))])
        single = np.ones((count, variables + paired.shape[1]))
        values = np.hstack([single, rows[:, others]])
        starts = np.arange(count + 1) * columns.shape[1]
        shape = (count, len(self.means))
        return csr_array((values.ravel(), columns.ravel(), starts), shape=shape)

    def _dense(self, digits: Digits) -> Vector:
        """All features but single choices."""
        s, layout = self.structure, self.layout
        backends = len(s.backends)
        rows = np.zeros((len(digits), layout.unary))
        rows[:, 0] = 1.0
        if self.is_shared:
            rows[:, layout.overlap] = -s.saved(digits, self.expected, self._copies)
        if self._has_kinds:
            kinds = self._kind_features(digits)
            rows[:, layout.kinds : layout.kinds + kinds.shape[1]] = kinds
        shares = self.backend_features(digits)
        for kind, values in shares.items():
            first = layout.per_backend[kind]
            rows[:, first : first + backends] = values
        if len(s.hand_overs):
            self._add_hand_overs(rows, digits)
        for (i, choice), at in layout.settings.items():
            rows[:, at] = s.has_setting(digits, i, choice)
        share = shares["arena" if self.is_memory else "work"]
        share = np.column_stack([share, share.sum(axis=1)])
        for (i, choice, backend), at in layout.setting_time.items():
            rows[:, at] = s.has_setting(digits, i, choice) * share[:, backend]
        pairs = (backends + 1) ** 2
        handed = rows[:, layout.hand_counts : layout.hand_counts + pairs]
        between = handed.reshape(-1, backends + 1, backends + 1)[:, :-1, :-1].sum(axis=(1, 2))
        pools = np.column_stack([shares["used"], between / max(1, len(s.edge_tensor))])
        for (i, choice, backend), at in layout.setting_pools.items():
            rows[:, at] = s.has_setting(digits, i, choice) * pools[:, backend]
        for (i, choice, j, other), at in layout.setting_pairs.items():
            rows[:, at] = s.has_setting(digits, i, choice) * s.has_setting(digits, j, other)
        return rows

    def _paired(self, digits: Digits) -> Digits:
        """Which weights of pairs count, shape ``(assignments, pairs)``."""
        s, backends = self.structure, len(self.structure.backends)
        if len(self.means) == self.layout.pairs:
            return np.zeros((len(digits), 0), dtype=np.intp)
        makers, takers = digits[:, s.pairs[:, 0]], digits[:, s.pairs[:, 1]]
        first = self.layout.pairs + np.arange(len(s.pairs)) * backends**2
        found: Digits = first + makers * backends + takers
        return found

    def floor(self, digits: Digits) -> Vector:
        """What no assignment's value comes below: a fifth of what its operations should take."""
        if not self.is_time:
            return np.zeros(len(digits))
        operations = self.structure.operation_variables
        whole = self.expected[operations, digits[:, operations]].sum(axis=1)
        return np.asarray(_FLOOR * whole)

    def backend_features(self, digits: Digits) -> dict[str, Vector]:
        """Kind → shape ``(assignments, backends)``."""
        s = self.structure
        chosen = digits[:, s.operation_variables]
        expected = self.expected[s.operation_variables]
        found = {k: np.zeros((len(digits), len(s.backends))) for k in self.layout.per_backend}
        for backend in range(len(s.backends)):
            here = chosen == backend
            found["used"][:, backend] = here.any(axis=1)
            found["operations"][:, backend] = here @ s.counts[s.operation_variables]
            found["work"][:, backend] = here @ expected[:, backend]
            found["weights"][:, backend] = here @ self._weights()
            if "partitions" in found:
                found["partitions"][:, backend] = s.partitions(digits, backend)
            if self.is_memory:
                both = s.living(digits, backend)
                for kind, living in zip(("arena", "kept"), both, strict=True):
                    found[kind][:, backend] = living / self.byte_scale
        return found

    def _kind_features(self, digits: Digits) -> Vector:
        """Expected work of each (kind, backend): shape ``(assignments, kinds · backends)``."""
        s = self.structure
        order = s.operation_variables
        found = np.zeros((len(digits), len(s.kinds), len(s.backends)))
        is_kind = s.kind[order][:, None] == np.arange(len(s.kinds))
        for b in range(len(s.backends)):
            found[:, :, b] = (digits[:, order] == b) @ (is_kind * self.expected[order, b][:, None])
        return found.reshape(len(digits), found.shape[1] * found.shape[2])

    def hand_over_columns(self, producer: int, taker: int) -> list[int]:
        """Which weights are of what one backend hands to another; the host's number is the last."""
        at = producer * (len(self.structure.backends) + 1) + taker
        return [self.layout.hand_counts + at, self.layout.hand_bytes + at]

    def copies(self, weights: Vector) -> Vector:
        """Of a tensor handed over and of its bytes, shape ``(2, backends + 1, backends + 1)``."""
        layout, sides = self.layout, len(self.structure.backends) + 1
        own = [weights[at : at + sides**2] for at in (layout.hand_counts, layout.hand_bytes)]
        found: Vector = np.stack(own).reshape(2, sides, sides)
        return found

    def _learned_copies(self, known: PriorData) -> Vector:
        """What a copy takes, and each of its bytes, shape ``(2, backends, backends)``."""
        backends = len(self.structure.backends)
        if known.learned is None:
            return np.zeros((2, backends, backends))
        constant, per_byte = self.copies(known.learned)[:, :-1, :-1]
        found: Vector = np.maximum(np.stack([constant, per_byte / self.byte_scale]), 0.0)
        return found

    def _weights(self) -> Vector:
        s = self.structure
        return s.weight_bytes[s.operation_variables] / self.byte_scale

    @property
    def byte_scale(self) -> float:
        """What bytes are counted in, so that weights are near one."""
        s = self.structure
        return max(1.0, float(s.weight_bytes.sum()), float(s.data_bytes.sum()))

    def _add_hand_overs(self, rows: Vector, digits: Digits) -> None:
        s, layout = self.structure, self.layout
        host = len(s.backends)
        whole = np.column_stack([digits, np.full(len(digits), host)])
        producers = whole[:, s.tensor_producer]  # HOST is -1: the last column
        takers = whole[:, s.edge_consumer]
        starts = np.flatnonzero(np.r_[True, np.diff(s.edge_tensor) > 0])
        pairs = (host + 1) ** 2
        counts, sizes = np.zeros((2, len(digits) * pairs))
        scaled = s.tensor_bytes / self.byte_scale
        for q in range(host + 1):
            taken = np.logical_or.reduceat(takers == q, starts, axis=1) & (producers != q)
            row, tensor = np.nonzero(taken)
            at = row * pairs + producers[row, tensor] * (host + 1) + q
            counts += np.bincount(at, minlength=len(counts))
            sizes += np.bincount(at, scaled[tensor], minlength=len(sizes))
        rows[:, layout.hand_counts : layout.hand_counts + pairs] = counts.reshape(-1, pairs)
        rows[:, layout.hand_bytes : layout.hand_bytes + pairs] = sizes.reshape(-1, pairs)

    def _expected(self, known: PriorData) -> Vector:
        """How much of the baseline's value each (variable, choice) takes, before measuring."""
        s = self.structure
        shape = (len(s.counts), s.choices)
        expected = np.zeros(shape)
        if self.is_memory:
            return expected
        mask = np.zeros(shape[0])
        mask[s.operation_variables] = 1.0
        share = mask * s.work / max(1e-12, float((mask * s.work).sum()))
        base = known.profiles.get(0)
        if self.is_time and base is not None and not np.isnan(base).any():
            share = base / max(1e-12, float(base.sum()))
        unknown = self._hope(known, share)
        for backend in range(len(s.backends)):
            guess = share * max(known.totals.get(backend, unknown), 1e-3)
            seen = known.profiles.get(backend) if self.is_time else None
            if seen is not None and self.is_trusted(known, backend):
                if backend not in known.totals:
                    guess = share * self._ratios(share, seen)
                guess = np.where(np.isnan(seen), guess, seen)
            expected[:, backend] = guess
        return expected

    def _hope(self, known: PriorData, share: Vector) -> float:
        """What all on a backend of which nothing was seen may take: half way to the fastest one."""
        totals = dict(known.totals)
        for backend, seen in known.profiles.items() if self.is_time else ():
            if backend not in totals:
                totals[backend] = _pace(seen, share, ~np.isnan(seen))
        return float(np.sqrt(np.clip(min(totals.values()), 1e-3, 1.0)))

    def is_unseen(self, known: PriorData, backend: int) -> bool:
        """Whether neither a uniform assignment nor a profile says what a backend takes."""
        return backend not in known.totals and not (self.is_time and backend in known.profiles)

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

    def is_trusted(self, known: PriorData, backend: int) -> bool:
        """Whether a profile's times add up to what the whole took.

        Where a backend only enqueues its work (acl_cl), they do not, and are to be learned.
        """
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

    def _lay_out(self, known: PriorData) -> Layout:
        s, prior = self.structure, self.prior
        backends, memory = s.backends, self.is_memory
        largest = max([1.0, *known.totals.values()])
        spread = known.extent
        expected_total = float(self.expected[:, 0].sum())
        prior.add("fixed", "everything else", 1.0 - expected_total, 0.3 if memory else 0.05)
        share = 1 / max(1, len(s.operation_variables))
        per_backend: dict[str, int] = {}
        kept = self.bytes_once if s.is_in_detail else 0.0
        kinds = {
            "used": (0.0, 0.4 * spread if memory else 0.02),
            "operations": (0.0, 0.0 if memory else 0.1 * share),
            "work": (0.0, 0.0 if memory else 0.1),
            "weights": (0.5 * self.bytes_once, self.bytes_once),
            "arena": (self.bytes_once, 0.7 * self.bytes_once),
            "kept": (0.5 * kept, 0.5 * kept),
        }
        traits = s.problem.traits
        if traits.is_partitioned:
            loose = _PARTITION_BYTES / max(1.0, known.base) if memory else _PARTITION
            kinds["partitions"] = (0.0, loose)
        for kind, (mean, loose) in kinds.items():
            per_backend[kind] = len(prior.means)
            for b, backend in enumerate(backends):
                is_open = kind == "work" and self.is_unseen(known, b) and not memory
                # Where it is not known that a backend keeps what others take, nothing is known.
                own = 0.0 if kind == "kept" and backend not in traits.keeps_inputs else mean
                width = _OPEN if is_open else loose
                if kind == "used" and memory and b and backend in traits.small:
                    width = min(width, _SMALL_BYTES / known.base)
                prior.add("backend", f"{kind} of {backend}", own, width)
        hand_counts = self._hand_overs("copies", largest)
        hand_bytes = self._hand_overs("copied bytes", largest)
        settings, with_backend, pools, pairs = self._lay_out_settings(known)
        is_shared = self.is_wall_time and bool(s.waits)
        overlap = prior.add("overlap", "side by side", 0.0, _OVERLAP if is_shared else 0.0)
        of_kinds = self._lay_out_kinds(known)
        unary = self._lay_out_choices(known)
        of_pairs = self._lay_out_pairs()
        return Layout(
            unary,
            of_pairs,
            overlap,
            of_kinds,
            per_backend,
            hand_counts,
            hand_bytes,
            settings,
            with_backend,
            pools,
            pairs,
        )

    def _lay_out_kinds(self, known: PriorData) -> int:
        """Where nothing tells of single operations: what one kernel is good at, it is in all.

        In graphs of thousands of operations this would take a tenth of the time to think.
        """
        s, prior = self.structure, self.prior
        first = len(prior.means)
        for name in s.kinds:
            for b, backend in enumerate(s.backends):
                loose = _SEEN_KIND if self.is_trusted(known, b) else _UNSEEN_KIND
                loose = loose if self._has_kinds else 0.0
                prior.add("kind", f"work of {name} on {backend}", 0.0, loose)
        return first

    def _lay_out_choices(self, known: PriorData) -> int:
        s, prior = self.structure, self.prior
        share = 1 / max(1, len(s.operation_variables))
        first = len(prior.means)
        for i, v in enumerate(s.problem.space.variables):
            for choice in range(s.choices):
                name = f"{v.name} on {v.choices[choice]}" if choice < len(v.choices) else ""
                if v.is_setting:
                    prior.add("unary", name, 0.0, 0.0)
                elif self.is_memory:
                    bytes_here = 0.3 * s.weight_bytes[i] + 0.1 * s.data_bytes[i]
                    relative = bytes_here / self.byte_scale * self.bytes_once
                    prior.add("unary", name, 0.0, relative + 0.05 * known.extent * share)
                else:
                    mean = float(self.expected[i, choice])
                    seen = self.is_trusted(known, choice) and not np.isnan(
                        known.profiles[choice][i]
                    )
                    own, alike = (_SEEN, _SEEN_MEAN) if seen else (_UNSEEN, _UNSEEN_MEAN)
                    loose = own * mean + alike * share
                    prior.add("unary", name, mean, loose)
        return first

    def _lay_out_pairs(self) -> int:
        s, prior = self.structure, self.prior
        first = len(prior.means)
        backends = range(len(s.backends))
        if self.is_time and len(s.pairs) * len(backends) ** 2 <= _MAX_PAIRS:
            for _, taker in s.pairs.tolist():
                for _ in backends:
                    for b in backends:
                        prior.add("pair", "", 0.0, _PAIR * float(self.expected[taker, b]))
        return first

    def _lay_out_settings(
        self, known: PriorData
    ) -> tuple[
        dict[tuple[int, int], int],
        dict[tuple[int, int, int], int],
        dict[tuple[int, int, int], int],
        dict[tuple[int, int, int, int], int],
    ]:
        s, prior, memory = self.structure, self.prior, self.is_memory
        variables, backends = s.problem.space.variables, s.backends
        settings: dict[tuple[int, int], int] = {}
        with_backend: dict[tuple[int, int, int], int] = {}
        pools: dict[tuple[int, int, int], int] = {}
        pairs: dict[tuple[int, int, int, int], int] = {}
        wholes: dict[int, float] = {}
        for i in s.setting_variables:
            trait = s.problem.traits.settings.get(variables[i].name, SettingTrait())
            sway = _sway(trait.role, known)
            whole = wholes[i] = sway.memory if memory else sway.time
            # How far threads are from what is expected says nothing of planners.
            is_planner = trait.role is Role.ARENA
            group = "planner" if is_planner else "setting"
            along = (sway.arenas, sway.arena) if memory else (0.0, sway.work)
            along_all, along_each = (self.bytes_once * x if memory else x for x in along)
            is_lawful = sway.shared and self.is_time and len(s.numbers[i])
            for b, backend in enumerate(backends) if is_lawful else ():
                name = f"shared among {variables[i].name} on {backend}"
                with_backend[i, 0, b] = prior.add(group, name, 0.0, sway.shared)
            for choice in range(1, len(variables[i].choices)):
                name = f"{variables[i].name}={variables[i].choices[choice]}"
                if choice > 1 and s.is_scale[i]:
                    name = f"{name} rather than {variables[i].choices[choice - 1]}"
                settings[i, choice] = prior.add(group, name, 0.0, whole)
                for b, backend_name in enumerate((*backends, "all backends")):
                    mean, loose = 0.0, along_each if b < len(backends) else along_all
                    if memory and is_planner and b == len(backends):
                        mean, loose = self._wasted(trait, variables[i].choices, choice, loose)
                    with_backend[i, choice, b] = prior.add(
                        group, f"{name} with {backend_name}", mean, loose
                    )
                for b, pool in enumerate((*backends, "crossings")) if not memory else ():
                    loose = sway.pools if b else 0.0
                    pools[i, choice, b] = prior.add(group, f"{name} beside {pool}", 0.0, loose)
                for j, other in list(settings):
                    if j < i:
                        # What alone changes little changes little of what the other does.
                        pairs[j, other, i, choice] = prior.add(
                            "setting",
                            f"{variables[j].name}={variables[j].choices[other]} and {name}",
                            0.0,
                            min(_PAIR_SWAY, whole, wholes[j]),
                        )
        return settings, with_backend, pools, pairs

    def _wasted(
        self, trait: SettingTrait, values: Sequence[str], choice: int, loose: float
    ) -> tuple[float, float]:
        """What one value takes more than the first, of activations: mean and deviation."""
        if not {values[0], values[choice]} <= trait.waste.keys():
            return 0.0, loose
        (mean, spread), (first, first_spread) = trait.waste[values[choice]], trait.waste[values[0]]
        return self.bytes_once * (mean - first), self.bytes_once * np.hypot(spread, first_spread)

    def _hand_overs(self, name: str, largest: float) -> int:
        s, prior = self.structure, self.prior
        names = [*s.backends, "the host"]
        first = len(prior.means)
        crossings = max(1, len(s.hand_overs))
        traits = s.problem.traits
        for p in names:
            for q in names:
                is_free = traits.are_free(p, q) or any(
                    {p, q} <= group | {"the host"} for group in traits.zero_copy
                )
                if self.is_memory:
                    loose = 0.0 if name == "copies" else 0.5 * self.bytes_once
                else:
                    loose = 0.5 * largest / crossings if name == "copies" else 0.3
                    loose *= 0.02 if is_free else 1.0
                prior.add("hand-over", f"{name} {p} → {q}", 0.0, 0.0 if p == q else loose)
        return first


def _sway(role: Role, known: PriorData) -> SettingPrior:
    """How much a setting may change.

    An arena changes times by a share of theirs, and the fastest are what a front is made of.
    """
    sway = _SETTING_PRIORS[role]
    if role is not Role.ARENA:
        return sway
    return replace(sway, time=sway.time * known.least, work=sway.work * known.least)


def _pace(seen: Vector, share: Vector, where: Flags) -> float:
    """How some variables' times compare with the baseline's."""
    return float(seen[where].sum()) / max(1e-12, float(share[where].sum()))

"""Recording: what a search left, with everything needed to read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pareto_profiler.core.graph import Graph
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.rules import CONFIDENCE, MARGIN
from pareto_profiler.core.space import DecisionSpace
from pareto_profiler.core.traits import Traits
from pareto_profiler.core.trial import Placement, Trial


@dataclass(frozen=True, slots=True)
class Header:
    """Under which circumstances trials were made.

    Attributes:
        model_name: For titles.
        model_digest: SHA-256 of the model file; empty where it is not known.
        space: What the assignments mean.
        objectives: Names, in order.
        plan: How each assignment was measured.
        target: Name of the target, such as ``local``.
        runtime: Name and version of the runtime, and its version.
        machine: What the target is, see ``runners.machine``.
        sampler: Name of the sampler that the search began with.
        seed: Its seed.
        tool_version: Version of this package.
        created_at: UTC, ISO 8601.
        margin: A difference in an objective that nobody would notice, as a fraction.
        confidence: Of each verdict on what is on the front.
        origin: Where model, inputs and target were, to measure more, and the command that began it.
        graph: The model's operations and how they are joined; None where only names are known.
        traits: What is known of the runtime's costs; None where it was not recorded.
    """

    model_name: str
    model_digest: str
    space: DecisionSpace
    objectives: tuple[str, ...]
    plan: Plan | None = None
    target: str = ""
    runtime: str = ""
    machine: Mapping[str, Any] = field(default_factory=dict)
    sampler: str = ""
    seed: int = 0
    tool_version: str = ""
    created_at: str = ""
    margin: float = MARGIN
    confidence: float = CONFIDENCE
    origin: Mapping[str, str] = field(default_factory=dict)
    graph: Graph | None = None
    traits: Traits | None = None

    @property
    def original_digest(self) -> str:
        """Of the model file, before it was adapted to the runtime."""
        return (self.graph.original if self.graph else "") or self.model_digest

    def differences(self, other: Header) -> list[str]:
        """What makes trials under another header no trials of this search, in words."""
        pairs = {
            "model": (self.model_digest[:12], other.model_digest[:12]),
            **_space_pairs(self.space, other.space),
            "target": (self.target, other.target),
            "runtime": (self.runtime, other.runtime),
            "processor": (_processor(self), _processor(other)),
        }
        if self.plan and other.plan:
            mine, others = self.plan.to_json(), other.plan.to_json()
            inputs = (mine.pop("input_digest")[:12], others.pop("input_digest")[:12])
            pairs |= {"inputs": inputs}
            names = dict.fromkeys((*mine, *others))
            pairs |= {f"plan: {name}": (mine.get(name, ""), others.get(name, "")) for name in names}
        return [
            f"{what} {a or '(none)'} → {b or '(none)'}" for what, (a, b) in pairs.items() if a != b
        ]


def _space_pairs(mine: DecisionSpace, other: DecisionSpace) -> dict[str, tuple[str, str]]:
    """What of two decision spaces may differ; their fingerprints where nothing else does."""

    def settings(space: DecisionSpace) -> str:
        return ", ".join(
            f"{v.name} {'/'.join(v.feasible)}" for v in space.variables if v.is_setting
        )

    def decided(space: DecisionSpace) -> str:
        free = [v.name for v in space.variables if not (v.is_setting or v.is_fixed)]
        return str(len(free))

    if mine.fingerprint == other.fingerprint:
        return {}
    pairs = {
        "granularity": (str(mine.granularity), str(other.granularity)),
        "backends": (",".join(mine.backends), ",".join(other.backends)),
        "varied settings": (settings(mine), settings(other)),
        "backend choices": (decided(mine), decided(other)),
    }
    if any(a != b for a, b in pairs.values()):
        return pairs
    return {"decision space": (mine.fingerprint[:12], other.fingerprint[:12])}


def _processor(header: Header) -> str:
    return f"{header.machine.get('architecture', '')} {header.machine.get('cpu', '')}".strip()


@dataclass(frozen=True, slots=True)
class Recording:
    """A header and all that was recorded under it.

    Attributes:
        header: The circumstances.
        trials: In the order they were made.
        placements: What was read back from the runtime, the latest of an assignment last.
    """

    header: Header = field(repr=False)
    trials: Sequence[Trial] = field(repr=False)
    placements: Sequence[Placement] = field(default=(), repr=False)

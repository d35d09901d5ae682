"""Traits: what the cost model may assume of a runtime before anything is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Role(StrEnum):
    """What kind of setting one is."""

    THREADS = "threads"
    ARENA = "arena"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class SettingTrait:
    """What is known of a setting.

    Attributes:
        role: ``threads``: how many work at once; ``arena``: how activations share memory; else
            ``other``.
        waste: Of an arena's values: what each takes beyond the activations' fullest moment, as a
            share of it: mean and standard deviation.
    """

    role: Role = Role.OTHER
    waste: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Traits:
    """What is known of a runtime's costs, in neutral words; by default nothing.

    Attributes:
        zero_copy: Groups of backends that hand tensors to each other without a copy.
        small: Backends that take little memory where they do nothing.
        keeps_inputs: Backends that keep to the end what other backends take from them.
        is_partitioned: Whether consecutive operations of a backend make a partition, each of which
            costs time and memory.
        is_sure: Whether what backends are said not to run changes nothing where it is asked of
            them: there is nothing to find out by trying.
        settings: Of settings by name.
    """

    zero_copy: tuple[frozenset[str], ...] = ()
    small: frozenset[str] = frozenset()
    keeps_inputs: frozenset[str] = frozenset()
    is_partitioned: bool = False
    is_sure: bool = False
    settings: Mapping[str, SettingTrait] = field(default_factory=dict)

    def are_free(self, one: str, other: str) -> bool:
        """Whether a tensor goes from one backend to another without a copy.

        Examples:
            >>> Traits(zero_copy=(frozenset({"cpu", "ruy"}),)).are_free("cpu", "ruy")
            True
        """
        return one == other or any({one, other} <= group for group in self.zero_copy)

    def to_json(self) -> dict[str, Any]:
        """As plain data, see :meth:`from_json`."""
        return {
            "zero_copy": [sorted(group) for group in self.zero_copy],
            "small": sorted(self.small),
            "keeps_inputs": sorted(self.keeps_inputs),
            "is_partitioned": self.is_partitioned,
            **({"is_sure": True} if self.is_sure else {}),
            "settings": {
                name: {"role": str(s.role), "waste": {k: list(v) for k, v in s.waste.items()}}
                for name, s in self.settings.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Traits:
        """Back from :meth:`to_json`.

        Raises:
            KeyError, TypeError, ValueError: The data is not what that gives.
        """
        made = cls(
            tuple(frozenset(map(str, group)) for group in data["zero_copy"]),
            frozenset(map(str, data["small"])),
            frozenset(map(str, data["keeps_inputs"])),
            bool(data["is_partitioned"]),
            bool(data.get("is_sure")),
            {
                str(name): SettingTrait(
                    Role(s["role"]),
                    {str(k): (float(mean), float(sd)) for k, (mean, sd) in s["waste"].items()},
                )
                for name, s in data["settings"].items()
            },
        )
        if made.to_json() != data:
            raise ValueError("traits: not as they are written")
        return made

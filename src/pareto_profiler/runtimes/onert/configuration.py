"""What onert is told to realise an assignment: backends, names or numbers, settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pareto_profiler.core.space import Assignment, DecisionSpace, Granularity

SETTING_VALUES: Final[Mapping[str, tuple[str, ...]]] = {
    "threads": (),
    "executor": ("Linear", "Dataflow", "Parallel"),
    "memory_planner": ("WIC", "FirstFit", "Bump"),
    "use_mmaped_data": ("0", "1"),
}
"""Runtime settings that can be varied, onert's default first; threads depend on the machine."""

_SETTING_KEYS: Final = {
    # One key since 1.30, one per backend before: all are set, an unknown key is ignored.
    "threads": ("NUM_THREADS", "RUY_THREADS", "XNNPACK_THREADS", "OMP_NUM_THREADS"),
    "executor": ("EXECUTOR",),
    "memory_planner": ("CPU_MEMORY_PLANNER",),
    "use_mmaped_data": ("USE_MMAPED_DATA",),
}


@dataclass(frozen=True, slots=True)
class OnertConfiguration:
    """One assignment in the runtime's words.

    Attributes:
        backends: To load, in the seed's order: the baseline's backend last.
        backend_by_name: onert name → backend, where the space is grouped by name; else empty.
        backend_by_operation: Operation index → backend.
        settings: Setting → value, the fixed number of threads included.
    """

    backends: tuple[str, ...]
    backend_by_name: Mapping[str, str]
    backend_by_operation: Mapping[int, str]
    settings: Mapping[str, str]

    @classmethod
    def of(
        cls,
        space: DecisionSpace,
        assignment: Assignment,
        *,
        load_every_backend: bool = False,
        threads: int | None = None,
    ) -> OnertConfiguration:
        """The configuration of an assignment.

        Args:
            space: Where the assignment is from.
            assignment: What to realise.
            load_every_backend: Load all backends of the space, as the seed does, and not only
                those in use (a loaded backend costs memory, used or not).
            threads: Threads to set where the space does not vary them; None to leave them alone.

        Raises:
            SpaceError: The assignment is of another space.

        Examples:
            >>> space = DecisionSpace.by_names(("cpu", "acl_cl"), ["Pool2D", "Conv2D"])
            >>> OnertConfiguration.of(space, ("cpu", "acl_cl")).text
            'BACKENDS="acl_cl;cpu" OP_BACKEND_Pool2D=cpu OP_BACKEND_Conv2D=acl_cl '
        """
        settings = space.settings(assignment)
        used = {c for c, v in zip(assignment, space.variables, strict=True) if not v.is_setting}
        first, *others = space.backends
        by_name: dict[str, str] = {}
        if space.granularity is Granularity.NAME:
            by_name = {
                v.name: c
                for c, v in zip(assignment, space.variables, strict=True)
                if not v.is_setting
            }
        if threads is not None:
            settings = {"threads": str(threads)} | settings
        return cls(
            backends=tuple(b for b in (*others, first) if load_every_backend or b in used),
            backend_by_name=by_name,
            backend_by_operation=space.backend_by_operation(assignment),
            settings=settings,
        )

    @property
    def operation_map(self) -> str:
        """``OP_BACKEND_MAP``'s value: index and backend of every decided operation."""
        return ";".join(f"{i}={b}" for i, b in self.backend_by_operation.items())

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables of the settings, without the placement."""
        # A table of any origin may have settings of another runtime.
        return {
            key: value
            for name, value in self.settings.items()
            for key in _SETTING_KEYS.get(name, (name,))
        }

    @property
    def variables(self) -> dict[str, str]:
        """All of it as environment variables, which are the keys of a package's cfg file, too.

        Examples:
            >>> space = DecisionSpace.by_names(("cpu", "acl_cl"), ["Pool2D", "Conv2D"])
            >>> OnertConfiguration.of(space, ("cpu", "cpu")).variables
            {'BACKENDS': 'cpu', 'OP_BACKEND_Pool2D': 'cpu', 'OP_BACKEND_Conv2D': 'cpu'}
        """
        found = {"BACKENDS": ";".join(self.backends)}
        if self.backend_by_name:
            found |= {f"OP_BACKEND_{name}": b for name, b in self.backend_by_name.items()}
        elif self.backend_by_operation:
            found["OP_BACKEND_MAP"] = self.operation_map
        return found | self.environment

    @property
    def text(self) -> str:
        """As one line for a shell, in the form that ONE's tools write.

        By name each entry ends in a blank. With a map the line ends in the map's closing quote, and
        settings stand before it: ONE's ``pareto_scheduler`` takes what lies between
        ``OP_BACKEND_MAP="`` and the last character.
        """
        backends = f'BACKENDS="{";".join(self.backends)}"'
        keys = {name: _SETTING_KEYS.get(name, (name,))[0] for name in self.settings}
        settings = [f"{keys[name]}={value}" for name, value in self.settings.items()]
        if self.backend_by_name or not self.backend_by_operation:
            names = [f"OP_BACKEND_{name}={b}" for name, b in self.backend_by_name.items()]
            return "".join(f"{entry} " for entry in (backends, *names, *settings))
        return " ".join((backends, *settings, f'OP_BACKEND_MAP="{self.operation_map}"'))

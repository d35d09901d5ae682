"""DriverInstallation: a runtime that was found as one library, which a driver opens."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import ClassVar, Final

from pareto_profiler.drivers.engine import Driver

_LIMIT_S: Final = 30.0


@dataclass(frozen=True, slots=True)
class DriverInstallation:
    """What rooms derive from whose runtime is one library.

    Attributes:
        driver: On the target, with the library.
        version: Of the runtime, as far as it is known.
        energy: Files of counters of energy or sensors of power.
    """

    runtime: ClassVar[str]

    driver: Driver
    version: str
    energy: tuple[str, ...] = ()

    @property
    def tells_energy(self) -> bool:
        """Whether it measures energy: the harness reads what sensors there are."""
        return True

    @property
    def name(self) -> str:
        """Of the runtime with its version, as headers have it."""
        return f"{self.runtime} {self.version}"

    @property
    def library(self) -> str:
        """Where it lies."""
        return str(self.driver.library)

    def digest(self) -> str:
        """What tells builds of one version apart."""
        command = ["cksum", self.library]
        done = self.driver.shell.run(command, environment={}, time_limit_s=_LIMIT_S)
        return hashlib.sha256(done.stdout).hexdigest()

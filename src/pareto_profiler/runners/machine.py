"""What a target is: processor, cores, kernel, governor; asked through its shell."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any, Final

from pareto_profiler.errors import TargetError
from pareto_profiler.shells.base import Shell

# One round trip, POSIX sh alone, no text from outside in it.
_QUESTIONS: Final = """
echo "architecture=$(uname -m)"
echo "kernel=$(uname -sr)"
echo "cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c ^processor /proc/cpuinfo)"
echo "cpu=$(sed -nE 's/^(model name|Hardware|Model)[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
echo "governor=$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null)"
echo "memory_kib=$(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)"
"""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that measures.

    Attributes:
        architecture: As ``uname -m`` says.
        kernel: Name and release.
        cores: On line now.
        cpu: Name of the processor; empty where it tells none.
        governor: Frequency governor of core 0; empty where there is none to see.
        memory_kib: Total memory, in KiB.
    """

    architecture: str
    kernel: str
    cores: int
    cpu: str
    governor: str
    memory_kib: int

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def describe(shell: Shell) -> Machine:
    """Ask a target what it is.

    Raises:
        TargetError: It cannot be reached, or does not answer as a Linux would.
    """
    done = shell.run(["sh", "-c", _QUESTIONS], environment={}, time_limit_s=30.0)
    text = done.stdout.decode("utf-8", "replace")
    found = dict(re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE))
    try:
        return Machine(
            architecture=found["architecture"],
            kernel=found["kernel"],
            cores=max(1, int(found["cores"])),
            cpu=found["cpu"].strip(),
            governor=found["governor"].strip(),
            memory_kib=int(found["memory_kib"] or 0),
        )
    except (KeyError, ValueError) as error:
        raise TargetError(f"the target does not answer as a Linux would: {text!r}") from error


@dataclass(frozen=True, slots=True)
class Conditions:
    """What may spoil measurements on a machine, as it is now.

    Attributes:
        governors: Frequency governors of all cores, each once; empty where there are none to see.
        thermal_zones: Name and temperature in °C.
        load: Mean number of running processes over the last minute.
        available_kib: Memory that can be had, in KiB.
    """

    governors: tuple[str, ...]
    thermal_zones: tuple[tuple[str, float], ...]
    load: float
    available_kib: int


_CONDITIONS: Final = """
for f in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do
[ -r "$f" ] && echo "governor=$(cat "$f")"; done
for z in /sys/class/thermal/thermal_zone*; do
[ -r "$z/temp" ] && echo "zone=$(cat "$z/temp") $(cat "$z/type")"; done
echo "load=$(cut -d' ' -f1 /proc/loadavg)"
echo "available_kib=$(sed -n 's/^MemAvailable: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)"
"""


def conditions(shell: Shell) -> Conditions:
    """Ask a target how it is.

    Raises:
        TargetError: It cannot be reached.
    """
    done = shell.run(["sh", "-c", _CONDITIONS], environment={}, time_limit_s=30.0)
    found = re.findall(r"^(\w+)=(.*)$", done.stdout.decode("utf-8", "replace"), re.MULTILINE)
    zones = [value.partition(" ") for key, value in found if key == "zone"]
    values = dict(found)
    return Conditions(
        governors=tuple(dict.fromkeys(value for key, value in found if key == "governor")),
        thermal_zones=tuple(
            (name, int(milli) / 1000) for milli, _, name in zones if milli.lstrip("-").isdigit()
        ),
        load=float(values.get("load") or 0),
        available_kib=int(values.get("available_kib") or 0),
    )

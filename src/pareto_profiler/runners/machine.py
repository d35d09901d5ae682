"""What a target is: processor, cores, kernel, governor; asked through its shell."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from pareto_profiler.core.plan import cpus_of
from pareto_profiler.errors import InputError, TargetError
from pareto_profiler.shells.base import Shell

# One round trip, POSIX sh alone, no text from outside in it.
_QUESTIONS: Final = """
echo "architecture=$(uname -m)"
echo "kernel=$(uname -sr)"
echo "cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c ^processor /proc/cpuinfo)"
echo "allowed=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' /proc/self/status)"
echo "cpu=$(sed -nE 's/^(model name|Hardware|Model)[[:space:]]*: //p' /proc/cpuinfo | head -n 1)"
echo "governor=$(cat /sys/devices/system/cpu/cpu0/cpufreq/scaling_governor 2>/dev/null)"
echo "turbo=$(if [ -r /sys/devices/system/cpu/intel_pstate/no_turbo ]; then
[ "$(cat /sys/devices/system/cpu/intel_pstate/no_turbo)" = 0 ] && echo on || echo off
elif [ -r /sys/devices/system/cpu/cpufreq/boost ]; then
[ "$(cat /sys/devices/system/cpu/cpufreq/boost)" = 1 ] && echo on || echo off; fi)"
echo "memory_kib=$(sed -n 's/^MemTotal: *\\([0-9]*\\) kB/\\1/p' /proc/meminfo)"
"""


_HOT_CELSIUS: Final = 70.0
_LITTLE_MEMORY_KIB: Final = 200 * 1024


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that measures.

    Attributes:
        architecture: As ``uname -m`` says.
        kernel: Name and release.
        cores: On line now, of those that a process there may use (its affinity).
        cpu: Name of the processor; empty where it tells none.
        governor: Frequency governor of core 0; empty where there is none to see.
        turbo: ``on`` or ``off``; empty where that cannot be seen.
        memory_kib: Total memory, in KiB.
    """

    architecture: str
    kernel: str
    cores: int
    cpu: str
    governor: str
    turbo: str
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
            cores=max(1, min(int(found["cores"]), _count(found.get("allowed", "")))),
            cpu=found["cpu"].strip(),
            governor=found["governor"].strip(),
            turbo=found.get("turbo", "").strip(),
            memory_kib=int(found["memory_kib"] or 0),
        )
    except (KeyError, ValueError) as error:
        raise TargetError(f"the target does not answer as a Linux would: {text!r}") from error


def _count(processors: str) -> int:
    """How many a list such as ``0,4-7`` names; as many as there may be where there is no list."""
    try:
        return len(cpus_of(processors))
    except InputError:
        return sys.maxsize


def advice(machine: Mapping[str, Any]) -> tuple[str, ...]:
    """What about a machine makes its clock change, a line each, and what to do about it.

    Examples:
        >>> advice({"governor": "schedutil", "turbo": "off"})[0].split(";")[0]
        'the frequency governor is schedutil'
    """
    lines = []
    governor, turbo = machine.get("governor"), machine.get("turbo")
    if governor and governor != "performance":
        lines.append(
            f"the frequency governor is {governor}; for steadier figures write performance to "
            f"/sys/devices/system/cpu/cpu*/cpufreq/scaling_governor, as root"
        )
    if turbo == "on":
        lines.append(
            "turbo is on: the clock follows the temperature; for steadier figures switch it off "
            "(intel_pstate/no_turbo or cpufreq/boost in /sys/devices/system/cpu, as root)"
        )
    return tuple(lines)


def oversubscription(threads: int, processors: int) -> tuple[str, ...]:
    """A line if threads have to wait for each other.

    Examples:
        >>> oversubscription(2, 1)[0]
        '2 threads on 1 processor wait for each other: fewer threads, or more processors'
    """
    if threads <= processors:
        return ()
    plural = "s" * (processors > 1)
    line = f"{threads} threads on {processors} processor{plural} wait for each other: "
    return (f"{line}fewer threads, or more processors",)


_ENERGY: Final = """
for f in /sys/class/powercap/*/energy_uj; do
case "$f" in *-rapl:*:*) ;; *) [ -r "$f" ] && echo "file=$f" ;; esac; done
[ "$(ls /sys/class/powercap/*/energy_uj 2>/dev/null)" ] ||
for f in /sys/class/hwmon/hwmon*/energy*_input /sys/class/hwmon/hwmon*/power*_input; do
[ -r "$f" ] && echo "file=$f"; done; true
"""


def energy_sources(shell: Shell) -> tuple[str, ...]:
    """Files that tell what a target consumes: the processors' own counters, else its sensors.

    Raises:
        InputError: There are none.
        TargetError: It cannot be reached.
    """
    done = shell.run(["sh", "-c", _ENERGY], environment={}, time_limit_s=30.0)
    found = re.findall(r"^file=(.*)$", done.stdout.decode("utf-8", "replace"), re.MULTILINE)
    if not found:
        raise InputError(
            "objective energy: no counter that can be read: looked for "
            "/sys/class/powercap/*/energy_uj (RAPL; may need root), "
            "/sys/class/hwmon/hwmon*/energy*_input and power*_input (INA sensors); "
            "energy = [...] in targets.toml names others"
        )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What may spoil measurements on a machine, as it is now.

    Attributes:
        governors: Frequency governors of all cores, each once; empty where there are none to see.
        thermal_zones: Name and temperature in °C.
        load: Mean number of running processes over the last minute.
        available_kib: Memory that can be had, in KiB.
        top_khz: Highest frequency of each core; empty where that cannot be seen.
    """

    governors: tuple[str, ...]
    thermal_zones: tuple[tuple[str, float], ...]
    load: float
    available_kib: int
    top_khz: tuple[int, ...] = ()


_CONDITIONS: Final = """
for f in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor; do
[ -r "$f" ] && echo "governor=$(cat "$f")"; done
for z in /sys/class/thermal/thermal_zone*; do
[ -r "$z/temp" ] && echo "zone=$(cat "$z/temp") $(cat "$z/type")"; done
for f in /sys/devices/system/cpu/cpu[0-9]*/cpufreq/cpuinfo_max_freq; do
[ -r "$f" ] && echo "top=$(cat "$f")"; done
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
        top_khz=tuple(int(value) for key, value in found if key == "top" and value.isdigit()),
    )


def diagnostics(machine: Machine, here: Conditions, *, is_pinned: bool = False) -> tuple[str, ...]:
    """What spoils measurements on a machine as it is now, and what to do about it.

    Args:
        machine: Which.
        here: How it is.
        is_pinned: Whether measurements are pinned already.

    Examples:
        >>> busy = Conditions(("performance",), (), load=3.2, available_kib=2**20)
        >>> diagnostics(Machine("armv7l", "Linux", 8, "", "performance", "", 2**21), busy)
        ()
    """
    said = list(advice(machine.to_json()))
    for zone, celsius in here.thermal_zones:
        if celsius >= _HOT_CELSIUS:
            said.append(f"{zone} is at {celsius:.0f} °C: let it cool down, or give --pause 2s")
    if here.load > 0.5 * machine.cores and not is_pinned:
        said.append(
            f"load {here.load:.2f} on {machine.cores} cores: something else is running; "
            f"end it, or pin measurements to quiet cores with --cpus"
        )
    if 0 < here.available_kib < _LITTLE_MEMORY_KIB:
        said.append(f"only {here.available_kib // 1024} MiB of memory are free")
    if len(set(here.top_khz)) > 1:
        fastest = [str(i) for i, khz in enumerate(here.top_khz) if khz == max(here.top_khz)]
        said.append(
            f"its cores are of different speed: without --cpus {','.join(fastest)} (the fastest) "
            f"figures depend on which one a run happens to get"
        )
    return tuple(said)

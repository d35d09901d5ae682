"""A driver's answer: JSON lines → a measurement, or why there is none."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.errors import FailureKind, RunError, TargetError
from pareto_profiler.shells.base import Completed, printable

Event = Mapping[str, Any]

_ONE_ELEMENT_BYTES: Final = 8
_OUT_OF_MEMORY: Final = -1

# The C library's words, whole: a runtime may have a "Cannot allocate memory for a tensor. It was
# already allocated." The last is what a thread that finds no room for its stack reports.
NO_MEMORY: Final = re.compile(
    r"\bbad_alloc\b|(?:Cannot allocate memory|Resource temporarily unavailable)(?! ?\w)"
)
"""What the runtime says when memory ran out."""

# Lines of logs, and what command-line tools print before anything happens.
_NO_WORDS: Final = ("[", "INFO: ", "VERBOSE: ", "Package Filename", "Model Filename")
_AGAIN: Final = "driver: runs again"
_MESSAGE_LIMIT: Final = 1000
_QUOTED_LIMIT: Final = 300


def words_of_runtime(done: Completed) -> str:
    r"""What the runtime wrote on stderr, its end where it is long, without its log.

    Examples:
        >>> words_of_runtime(Completed(1, b"", b"[ Compiler ] x\nError: NYI\n"))
        'Error: NYI'
        >>> words_of_runtime(Completed(1, b"", b"too small\ndriver: runs again\nno kernel\n"))
        'no kernel'
        >>> words_of_runtime(Completed(1, b"", b"bad node\nbad node\n"))
        'bad node'
    """
    return _told(done.stderr)


def said_by_runtime(done: Completed) -> str:
    r"""The same for the end of a sentence: where it wrote nothing, what it wrote on stdout.

    Examples:
        >>> said_by_runtime(Completed(1, b"EXECUTE takes ? ms\n", b""))
        "it printed 'EXECUTE takes ? ms'"
        >>> said_by_runtime(Completed(1, b"", b""))
        'it said nothing'
    """
    if words := _told(done.stderr):
        return words
    printed = " | ".join(filter(None, map(str.strip, printable(done.stdout).splitlines())))
    return f"it printed {printed[-_QUOTED_LIMIT:]!r}" if printed else "it said nothing"


def _told(stream: bytes) -> str:
    lines = [line.strip() for line in printable(stream).splitlines()]
    if _AGAIN in lines:  # what a try before said is no failure
        lines = lines[len(lines) - lines[::-1].index(_AGAIN) :]
    said = [line for line in lines if line and not line.startswith(_NO_WORDS)]
    # What is repeated for every node is said once.
    return " | ".join(dict.fromkeys(said))[-_MESSAGE_LIMIT:]


def measurement_of(
    events: Mapping[str, Event], output_error: float, notes: tuple[str, ...] = ()
) -> Measurement:
    """What the driver measured."""
    measured = events["measured"]
    told = {
        "run_delay": _seconds(measured["run_delay_ns"]),
        "involuntary_switches": tuple(map(float, measured["run_involuntary_switches"])),
        "other_cpus": tuple(n / 1000 for n in measured["run_milli_cpus_of_others"]),
        "steal_time": _seconds([measured["steal_ns"]]),
        "clock_frequency": (measured["clock_khz"] * 1e3,),
        "temperature": (measured["milli_degrees"] / 1e3,),
        "pss": _bytes(measured["pss_kib"]),
        "rss_anon": _bytes(measured["rss_anon_kib"]),
        "rss_file": _bytes(measured["rss_file_kib"]),
        "energy": (measured.get("energy_j", -1.0),),
        "vram": _bytes(measured.get("vram_kib", -1)),
    }
    return Measurement(
        samples={
            # Where the kernel does not count, it says -1.
            name: values
            for name, values in told.items()
            if all(value >= 0 for value in values)
        }
        | {
            "exec_time": _seconds(measured["run_wall_ns"]),
            "cpu_time": _seconds(measured["run_cpu_ns"]),
            "load_time": _seconds([events["loaded"]["load_ns"]]),
            "prepare_time": _seconds([events["prepared"]["prepare_ns"]]),
            "first_run_time": _seconds([events["first_run"]["first_run_ns"]]),
            "max_rss": _bytes(measured["peak_after_runs_kib"]),
            "rss_before_load": _bytes(events["opened"]["peak_before_load_kib"]),
            "rss_after_load": _bytes(events["loaded"]["peak_after_load_kib"]),
            "rss_after_prepare": _bytes(events["prepared"]["peak_after_prepare_kib"]),
        },
        warmups={
            "exec_time": _seconds(measured["warmup_wall_ns"]),
            "cpu_time": _seconds(measured["warmup_cpu_ns"]),
        },
        output_error=output_error,
        notes=notes,
    )


def notes_of(events: Mapping[str, Event], *, is_repeat: bool) -> tuple[str, ...]:
    """What makes the figures or the checks weaker than they look."""
    notes = []
    for i, output in enumerate(events["measured"]["outputs"]):
        if output["nonfinite"]:
            notes.append(
                f"output {i} of the baseline has {output['nonfinite']} NaN or infinities: perhaps "
                f"the inputs are not what the model takes, give --input"
            )
        elif output["bytes"] > _ONE_ELEMENT_BYTES and output["min"] == output["max"]:
            notes.append(
                f"output {i} of the baseline is the same everywhere: comparing outputs finds "
                f"gross errors only; measure with a telling --input"
            )
    if events["opened"]["addresses"] != "fixed" and not is_repeat:
        notes.append(
            "address randomisation cannot be switched off here: peak memory scatters by some "
            "100 KiB from process to process"
        )
    if events["opened"]["addresses"] == "fixed" and is_repeat:
        notes.append(
            "address randomisation is off here: that repeats agree on peak memory says little of "
            "what it is elsewhere"
        )
    if events["measured"]["pss_kib"] < 0:
        notes.append(
            "the kernel does not show page tables here (/proc/self/smaps): its own count of peak "
            "memory may lack what threads have not reported yet, up to 1 MB"
        )
    return tuple(notes)


def _seconds(nanoseconds: Sequence[int]) -> tuple[float, ...]:
    return tuple(n / 1e9 for n in nanoseconds)


def _bytes(kib: int) -> tuple[float, ...]:
    return (float(kib * 1024),)


def events_of(done: Completed) -> list[Event]:
    """The answer's lines; one that a killed process left half written is dropped."""
    events: list[Event] = []
    for line in done.stdout.splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            events.append(event)
    return events


def checked(done: Completed, last: str) -> dict[str, Event]:
    """The events by name, where the driver came to ``last``.

    Raises:
        RunError: The assignment failed.
        TargetError: The driver or the library is unusable.
    """
    events = {str(event.get("event")): event for event in events_of(done)}
    if done.status == 0 and not done.timed_out and last in events:
        return events
    words = words_of_runtime(done)
    said = words or "it said nothing"
    stage = "opening the runtime"
    for name, following in (
        ("opened", "load"),
        ("loaded", "prepare"),
        ("prepared", "the first run"),
        ("first_run", "the runs"),
    ):
        stage = following if name in events else stage
    if done.timed_out or done.status == -signal.SIGALRM:
        raise RunError(FailureKind.TIMED_OUT, f"the time limit passed during {stage}")
    if "refused" in events:
        refused = events["refused"]
        if refused["stage"] == "open_library":
            raise TargetError(f"the runtime cannot be opened: {said}")
        if refused["status"] == _OUT_OF_MEMORY or NO_MEMORY.search(words):
            raise RunError(FailureKind.OUT_OF_MEMORY, f"{refused['stage']}: {said}")
        raise RunError(FailureKind.REJECTED, words or f"{refused['stage']} was refused")
    if done.status == 2:
        raise TargetError(f"the driver cannot do what it was asked: {said}")
    if done.status == -signal.SIGKILL or NO_MEMORY.search(words):
        raise RunError(
            FailureKind.OUT_OF_MEMORY, f"{ending(done)} during {stage}, memory ran out: {said}"
        )
    raise RunError(FailureKind.CRASHED, f"{ending(done)} during {stage}: {said}")


def ending(done: Completed) -> str:
    """How a process ended, in words."""
    if done.status >= 0:
        return f"exit status {done.status}"
    try:
        return f"ended by {signal.Signals(-done.status).name}"
    except ValueError:
        return f"ended by signal {-done.status}"

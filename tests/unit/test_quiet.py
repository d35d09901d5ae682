"""QuietRunner: what other work disturbed is measured again once it is over."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_profiler.core.measurement import Measurement
from pareto_profiler.errors import TargetError
from pareto_profiler.runners.quiet import QuietRunner, busy_cpus
from pareto_profiler.shells.base import Completed
from pareto_profiler.shells.local import LocalShell

CALM, BUSY = 0.0, 1.5


class Device:
    """A runner on a device that others use until a moment, and how much they do."""

    can_profile = False

    def __init__(self, busy_until_s: float) -> None:
        self.now_s, self.busy_until_s = 0.0, busy_until_s
        self.processes = 0

    @property
    def is_busy(self) -> bool:
        return self.now_s < self.busy_until_s

    def run(self, assignment: tuple[str, ...], *, is_repeat: bool = False) -> Measurement:
        del assignment, is_repeat
        self.processes += 1
        others = (1.0,) if self.is_busy else (0.0,)
        self.now_s += 1
        return Measurement({"exec_time": (1.0,), "max_rss": (1e6,), "other_cpus": others})

    def busy_cpus(self) -> float:
        self.now_s += 1
        return BUSY if self.is_busy else CALM

    def rest(self, seconds: float) -> None:
        self.now_s += seconds


def quiet(device: Device, limit_s: float) -> QuietRunner:
    return QuietRunner(device, device.busy_cpus, limit_s, device.rest)  # type: ignore[arg-type]


def test_on_a_quiet_target_nothing_is_waited_for():
    device = Device(0.0)
    assert not quiet(device, 60.0).run(("cpu",)).is_contended
    assert (device.processes, device.now_s) == (1, 1.0)


def test_what_was_disturbed_is_measured_again_when_it_is_quiet():
    device = Device(20.0)
    assert not quiet(device, 60.0).run(("cpu",)).is_contended
    assert device.processes == 2
    assert device.now_s < 30


def test_after_the_time_it_is_measured_beside_other_work_and_never_waited_for_again(
    caplog: pytest.LogCaptureFixture,
):
    device = Device(1e9)
    runner = quiet(device, 30.0)
    with caplog.at_level(logging.WARNING):
        assert runner.run(("cpu",)).is_contended
        waited_s = device.now_s
        assert 20 < waited_s < 60
        assert runner.run(("cpu",)).is_contended
    assert device.now_s == waited_s + 1
    assert [r.message.split(":")[0] for r in caplog.records] == [
        "other work runs on the target",
        "other work goes on",
    ]


@given(busy_until_s=st.floats(0, 100), limit_s=st.floats(0, 100))
def test_it_never_waits_much_longer_than_it_may(busy_until_s: float, limit_s: float):
    device = Device(busy_until_s)
    runner = quiet(device, limit_s)
    for _ in range(3):
        runner.run(("cpu",))
    assert device.now_s <= 2 * limit_s + 20


def test_this_machine_says_how_busy_it_is():
    assert busy_cpus(LocalShell()) >= 0


class Strange(LocalShell):
    def __init__(self, text: bytes) -> None:
        super().__init__()
        self.text = text

    def run(self, *_: object, **__: object) -> Completed:
        return Completed(0, self.text, b"")


def lines() -> Iterator[tuple[bytes, float]]:
    before, after = b"100 0 50 850 0 0 0 0 0 0", b"200 0 100 1700 0 0 0 0 0 0"
    yield b"\n".join([before, after, b"4\n"]), 4 * 150 / 1000


@pytest.mark.parametrize(("text", "expected"), list(lines()))
def test_busy_is_what_is_not_idle(text: bytes, expected: float):
    assert busy_cpus(Strange(text)) == pytest.approx(expected)


@pytest.mark.parametrize("text", [b"", b"nonsense\n", b"1 2 3\n1 2 3\n4\n"])
def test_a_target_that_does_not_say_is_an_error(text: bytes):
    with pytest.raises(TargetError, match="how busy it is"):
        busy_cpus(Strange(text))

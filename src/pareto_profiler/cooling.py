"""Cooling: rests for a device that gets slower as it heats up, as long as it shows to need."""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median
from typing import Final

_HOT: Final = math.log(1.05)
_NOTICEABLE: Final = 4.0
_FEW_STEPS: Final = 3
_FIRST_REST: Final = 0.25
_MAX_REST: Final = 3.0
_AT_ONCE: Final = 1e-3
_CONVINCED: Final = 2
_CONTROL_EVERY: Final = 4


class Cooling:
    """Learns from the anchor whether rests make the device faster again, and how long they must be.

    An anchor that is slower than the fastest so far by 5 %, and by four times what anchors usually
    differ by from one to the next, is measured again at once, and if it is still slow, when the
    next one is due: heat stays while work goes on. If that one is slow, too, after a rest of a
    quarter of the time since the last one that was cool, after twice that, and so on. When that
    has made it fast twice more often than it became so by itself, so much rest is taken before
    every block from then on. Every fourth block goes without, as a control: if the anchor is cool
    all the same, half the rest is enough.
    If three times the working time does not help, heat is not the reason and there are no further
    rests: drift is corrected. In all there is no more rest than work.

    Examples:
        >>> cooling = Cooling()
        >>> [cooling.rest_after(level, now) for level, now in [(0.01, 2), (0.0, 6), (0.01, 10)]]
        [0.0, 0.0, 0.0]
        >>> cooling.rest_after(0.0, 12), 0 < cooling.rest_after(0.2, 20) < 0.01
        (0.0, True)
        >>> cooling.rest_after(0.2, 20), cooling.rest_after(0.2, 28), cooling.rest_after(0.2, 28)
        (0.0, 0.001, 4.0)
    """

    def __init__(self) -> None:
        self._coolest = math.inf
        self._levels: list[float] = []
        self._began: float | None = None
        self._cool_since = 0.0
        self._worked = 0.0
        self._rest = 0.0
        self._rested = 0.0
        self._rested_in_all = 0.0
        self._helped = 0
        self._healed = 0
        self._was_hot = False
        self._learned = 0.0
        self._blocks = 0
        self._is_control = False
        self._is_useless = False

    def rest_after(self, level: float, now: float) -> float:
        """Seconds to rest before the anchor is measured again; 0 to go on.

        Args:
            level: Logarithm of the anchor's time, of an undisturbed measurement.
            now: In seconds.
        """
        self._began = now if self._began is None else self._began
        self._coolest = min(self._coolest, level)
        self._levels.append(level)
        is_cool = level - self._coolest <= max(_HOT, _NOTICEABLE * self._usual_step())
        if is_cool or self._is_useless:
            self._learn()
            self._rest = self._rested = 0.0
            self._was_hot = False
            self._cool_since = now
            return 0.0
        self._is_control = False
        if not self._rest:
            # First of all: was it a moment's disturbance?
            self._worked = now - self._cool_since
            self._rest = _AT_ONCE
            return _AT_ONCE
        if not self._was_hot:
            # Heat stays while work goes on; what else made it slow may pass by itself.
            self._was_hot = True
            self._rest = 0.0
            return 0.0
        self._rest = 2 * self._rested or _FIRST_REST * self._worked
        if self._rested + self._rest > min(_MAX_REST * self._worked, self._allowed(now)):
            self._is_useless = True
            self._learned = self._rest = self._rested = 0.0
            return 0.0
        self._rested += self._rest
        self._rested_in_all += self._rest
        return self._rest

    def rest_before_block(self, now: float) -> float:
        """Seconds to rest before each block, as was learned."""
        self._blocks += 1
        self._is_control = self._learned > 0 and self._blocks % _CONTROL_EVERY == 0
        if self._is_control or self._learned > self._allowed(now):
            return 0.0
        self._rested_in_all += self._learned
        return self._learned

    def _learn(self) -> None:
        """What the anchor's being cool again says of the rest before it."""
        if self._rested:
            self._helped += 1
            if self._helped >= _CONVINCED + self._healed:
                self._learned = self._rested
        elif self._was_hot:
            self._healed += 1
        elif self._is_control:
            self._learned /= 2
            self._is_control = False

    def _allowed(self, now: float) -> float:
        """No more rest than work in all."""
        began = now if self._began is None else self._began
        return max(0.0, now - began - 2 * self._rested_in_all)

    def _usual_step(self) -> float:
        """By how much anchors differ from one to the next; no limit before there are four."""
        steps = [abs(b - a) for a, b in pairwise(self._levels)]
        return median(steps) if len(steps) >= _FEW_STEPS else math.inf

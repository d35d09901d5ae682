"""The C library's allocator as a setting: from which size on it maps memory and gives it back.

glibc raises that size by itself, to what was freed last: so what a process keeps depends on the
order in which it freed large blocks. Fixed, it gives each of them back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SETTING: Final = "mmap_threshold"
VALUES: Final = ("dynamic", "fixed")
"""Of the setting, the default first."""

BYTES: Final = 131_072
"""Where it begins, and stays where it is fixed."""

CALL: Final = f"mallopt(M_MMAP_THRESHOLD, {BYTES})"
"""What a C program calls first."""

PYTHON_CALL: Final = f"ctypes.CDLL(None).mallopt(-3, {BYTES})"
"""What a Python program calls first; -3 is ``M_MMAP_THRESHOLD``."""


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Variables of a process that is measured.

    Examples:
        >>> environment({"mmap_threshold": "fixed"}), environment({})
        ({'MALLOC_MMAP_THRESHOLD_': '131072'}, {})
    """
    return {"MALLOC_MMAP_THRESHOLD_": str(BYTES)} if is_fixed(settings) else {}


def is_fixed(settings: Mapping[str, str]) -> bool:
    """Whether an assignment fixes it."""
    return settings.get(SETTING) == "fixed"

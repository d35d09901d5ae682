"""What ONNX Runtime is told of an assignment beside the model's file: options of the session."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pareto_profiler.runtimes import allocator
from pareto_profiler.runtimes.configured import Configured
from pareto_profiler.runtimes.onnxruntime.providers import Provider, used

SETTINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "threads": (),
    # Weights in a file beside the model, which the runtime maps, or inside it, as most have them.
    # Where it is not varied they are beside it: that costs no time.
    "external_data": ("off", "on"),
    "arena": ("on", "off"),
    "memory_pattern": ("on", "off"),
    allocator.SETTING: allocator.VALUES,
}
"""Settings that can be varied, each with its values, the baseline's first."""

_OF_SESSION: Final = ("arena", "memory_pattern")


class OnnxRuntimeConfiguration(Configured):
    """One assignment in ONNX Runtime's words; backends are ``packed``, ``plain`` and providers."""

    __slots__ = ()

    @property
    def external_data(self) -> bool:
        """Whether weights lie in a file beside the model."""
        return self.settings.get("external_data") != "off"

    @property
    def providers(self) -> tuple[Provider, ...]:
        """Beside the CPU's."""
        return used(self.backend_by_operation.values())

    @property
    def environment(self) -> dict[str, str]:
        """Variables of the process."""
        return allocator.environment(self.settings)

    @property
    def options(self) -> dict[str, str]:
        """Options of the session that differ from the default."""
        return {name: "off" for name in _OF_SESSION if self.settings.get(name) == "off"}


def options_text(options: Mapping[str, str]) -> str:
    r"""Options of a session as the driver reads them.

    Examples:
        >>> options_text({"arena": "off"})
        'arena = off\n'
    """
    return "".join(f"{key} = {value}\n" for key, value in options.items())

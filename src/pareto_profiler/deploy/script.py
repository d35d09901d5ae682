"""Script: a configuration as a file to source in a shell."""

from __future__ import annotations

import shlex

from pareto_profiler.deploy.shipment import Shipment


def script_of(shipment: Shipment) -> str:
    """Lines for ``sh``: what is set, and what may be left from before taken away.

    Builds for Tizen ignore the environment: they need the calls or a package.

    Raises:
        InputError: A name or a value cannot be one of a variable of the environment.
    """
    lines = ["# Source this before what runs the model: . ./FILE"]
    lines += [f"# {fact}" for fact in shipment.facts]
    lines += [f"unset {' '.join(shipment.in_the_way)}"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in shipment.variables.items()]
    return "\n".join(lines) + "\n"

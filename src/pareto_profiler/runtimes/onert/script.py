"""Script: a configuration as a file to source in a shell."""

from __future__ import annotations

import shlex

from pareto_profiler.runtimes.base import Artifact
from pareto_profiler.runtimes.onert.shipment import in_the_way_of, variables_of


def script_of(artifact: Artifact) -> str:
    """Lines for ``sh``: what is set, and what may be left from before taken away.

    Builds for Tizen ignore the environment: they need the calls or a package.

    Raises:
        InputError: A name or a value cannot be one of a variable of the environment.
    """
    lines = ["# Source this before what runs the model: . ./FILE"]
    lines += [f"# {fact}" for fact in artifact.facts]
    lines += [f"unset {' '.join(in_the_way_of(artifact))}"]
    lines += [
        f"export {name}={shlex.quote(value)}" for name, value in variables_of(artifact).items()
    ]
    return "\n".join(lines) + "\n"

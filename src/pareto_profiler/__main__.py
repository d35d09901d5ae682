"""``python -m pareto_profiler``."""

from __future__ import annotations

from pareto_profiler.cli import main

main()

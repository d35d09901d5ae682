"""The page of a large run: how large its file is, and when a browser can use it.

    python benchmarks/speed/bench_page.py [TRIALS…]

Runs of a simulated model of a thousand operations. Milliseconds are Chromium's own, from the begin
of the navigation to the end of the page's script; the middle one of five.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from pareto_profiler.core.plan import Plan
from pareto_profiler.core.ports import Problem
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.report.page import page_of
from pareto_profiler.report.summary import Summary
from pareto_profiler.samplers import RandomSampler
from pareto_profiler.simulation.families import Device, Recipe


def page(trials: int) -> str:
    """Of a random search of so many trials."""
    made = Device("large", Recipe("", 1000, 3, skips=0.3), 0)
    journal, runner = MemoryJournal(), made.runner(Plan(repeats=1, warmups=0))
    sampler = RandomSampler(Problem(made.space, graph=made.graph))
    budget = Budget(trials)
    for _ in search(made.space, sampler, runner, journal, budget, source="random", clock=runner):
        pass
    header = Header("large", "", made.space, ("exec_time", "max_rss"), graph=made.graph)
    return page_of(Summary.of(Recording(header, journal.trials)))


def main() -> None:
    """Print a row for each size."""
    chromium = shutil.which("chromium") or sys.exit("chromium is not installed")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for trials in map(int, sys.argv[1:] or ["1000", "10000"]):
            file = Path(folder) / f"{trials}.html"
            began = time.process_time()
            file.write_text(page(trials), encoding="utf-8")
            made_s = time.process_time() - began
            times = []
            for _ in range(5):
                tab = browser.new_page(viewport={"width": 1400, "height": 1000})
                tab.goto(file.as_uri())
                tab.wait_for_selector("body[data-ready]")
                times.append(float(tab.get_attribute("body", "data-ready") or "nan"))
                tab.close()
            size = file.stat().st_size / 1e6
            print(
                f"{trials} trials: {size:.2f} MB, usable after {statistics.median(times):.0f} ms "
                f"(simulated, summarised and written in {made_s:.1f} s)",
                flush=True,
            )
        browser.close()


if __name__ == "__main__":
    main()

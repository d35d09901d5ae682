"""The report of a real run, opened in a browser."""

from __future__ import annotations

import math
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from conftest import DATA, MODELS
from devices import missing
from e2e.command import pp, pp_error, pp_json
from rooms import onert_problem

import pareto_profiler
from pareto_profiler.core.plan import Plan
from pareto_profiler.core.recording import Header, Recording
from pareto_profiler.loop import Budget, MemoryJournal, search
from pareto_profiler.report.page import page_of
from pareto_profiler.report.summary import Summary
from pareto_profiler.samplers import SAMPLERS
from pareto_profiler.simulation.families import Device, Recipe

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

MODEL = MODELS / "mobilenet_v2_035_96.tflite"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        missing("chromium", "apt-get install chromium")
    with sync_playwright() as driver:
        # Chromium's sandbox does not run as root, and the page is our own.
        started = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A search on this machine's onert, by data size, with something that fails."""
    folder = tmp_path_factory.mktemp("report")
    pp(
        *("search", MODEL, "--granularity", "index", "--vary", "threads,memory_planner"),
        *(
            "--budget",
            24,
            "--repeats",
            5,
            "--warmups",
            2,
            "--retries",
            0,
            "--output",
            folder / "run",
        ),
        cwd=folder,
    )
    return folder / "run"


class Opened:
    """A page, with all that it complained of or asked for."""

    def __init__(
        self, browser: Browser, file: Path, width: int = 1280, scheme: str = "light"
    ) -> None:
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, offline=True
        )
        self.page: Page = context.new_page()
        self.diagnostics: list[str] = []
        self.requests: list[str] = []
        self.page.on("console", lambda message: self.diagnostics.append(message.text))
        self.page.on("pageerror", lambda error: self.diagnostics.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(file.as_uri())
        self.page.wait_for_selector("#front svg")


def test_hover_tells_and_a_click_draws_the_assignment(browser, run):
    opened = Opened(browser, run / "report.html")
    page = opened.page
    shown = pp_json("show", run, cwd=run)
    ids = [row["id"] for row in shown["front"]]
    assert [p.get_attribute("data-id") for p in page.query_selector_all("#front .point.front")]
    point = page.locator(f'#front .point[data-id="{ids[-1]}"]')
    point.hover(force=True)
    tip = page.locator("#tip.on")
    assert ids[-1][:8] in tip.inner_text()
    assert "exec_time" in tip.inner_text()
    point.click(force=True)
    page.locator("#configuration summary").click()
    configuration = page.locator("#configuration details pre").inner_text()
    assert configuration.split() == shown["front"][-1]["configuration"].split()
    assert page.locator("#graph .node").count() == 65
    assert page.locator("#graph .edge").count() == 74
    handed = len(
        re.findall(r"1 tensor is|(\d+) tensors", page.locator("#graph-words").inner_text())
    )
    assert (page.locator(".edge.crossing").count() > 0) == (handed > 0)
    page.locator("#graph .node").nth(1).hover()
    assert "DEPTHWISE_CONV_2D (DepthwiseConv2D)" in page.locator("#tip.on").inner_text()
    page.locator("tr[data-point]:visible").last.click()
    last = page.locator("tr[data-point]:visible").last.get_attribute("data-point") or ""
    assert last[:8] in page.locator("#selected-title").inner_text()
    page.get_by_role("button", name="All points").click()
    assert page.locator("#front .point").count() >= len({row["id"] for row in shown["front"]})
    page.locator("#configuration button").first.click()
    page.locator("#configuration button", has_text="Copied").wait_for()
    assert opened.diagnostics == []
    assert [url for url in opened.requests if not url.startswith(("file:", "data:"))] == []


def shift_of(page: Page) -> tuple[float, float, float]:
    """By how much the graph is moved and magnified."""
    text = page.locator("#view svg > g").get_attribute("transform") or ""
    x, y, k = re.findall(r"-?[\d.]+(?:e-?\d+)?", text)
    return float(x), float(y), float(k)


def test_points_are_reached_by_keyboard(browser, run):
    page = Opened(browser, run / "report.html").page
    point = page.locator("#front .point.front").last
    identity = point.get_attribute("data-id") or ""
    point.focus()
    assert page.locator("#tip.on").count() == 1
    page.keyboard.press("Enter")
    assert identity[:8] in page.locator("#selected-title").inner_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_on_a_phone_and_in_the_dark(browser, run, scheme):
    opened = Opened(browser, run / "report.html", width=390, scheme=scheme)
    page = opened.page
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    texts = page.evaluate(
        """() => {
          const rgb = (c) => c.match(/[\\d.]+/g).map(Number);
          const light = ([r, g, b]) => {
            const f = (v) => (v /= 255) <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
            return 0.2126 * f(r) + 0.7152 * f(g) + 0.0722 * f(b);
          };
          const paper = (e) => {
            for (; e; e = e.parentElement) {
              const c = rgb(getComputedStyle(e).backgroundColor);
              if (c.length < 4 || c[3] > 0.5) return c;
            }
            return [255, 255, 255];
          };
          const found = [];
          for (const e of document.querySelectorAll("main *")) {
            const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
            if (!own || !e.getClientRects().length) continue;
            const style = getComputedStyle(e);
            const ink = e instanceof SVGElement ? style.fill : style.color;
            const [a, b] = [light(rgb(ink)), light(paper(e))].sort((x, y) => y - x);
            const size = parseFloat(style.fontSize), contrast = (a + 0.05) / (b + 0.05);
            found.push([e.textContent.trim().slice(0, 40), size, contrast]);
          }
          return found;
        }"""
    )
    assert len(texts) > 60
    assert [t for t in texts if t[1] < 12] == []
    assert [t for t in texts if t[2] < 4.5] == []
    darkness = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (darkness == "rgb(20, 23, 26)") == (scheme == "dark")
    assert opened.diagnostics == []


def test_a_graph_of_a_thousand_operations_is_drawn(browser, tmp_path):
    made = Device("large", Recipe("", 1000, 4, skips=0.3), 0)
    journal, runner = MemoryJournal(), made.runner(Plan(repeats=1, warmups=0))
    proposer = SAMPLERS["random"](onert_problem(made.space, graph=made.graph))
    for _ in search(
        made.space, proposer, runner, journal, Budget(8), source="random", clock=runner
    ):
        pass
    header = Header("large", "", made.space, ("exec_time", "max_rss"), graph=made.graph)
    file = tmp_path / "report.html"
    file.write_text(page_of(Summary.of(Recording(header, journal.trials))), encoding="utf-8")
    opened = Opened(browser, file)
    assert opened.page.locator("#graph .node").count() == 1000
    opened.page.locator("#strip").scroll_into_view_if_needed()
    box = opened.page.locator("#strip").bounding_box()
    assert box
    opened.page.mouse.click(box["x"] + 5, box["y"] + box["height"] - 3)
    assert shift_of(opened.page)[1] < -10_000
    assert opened.diagnostics == []


def test_report_makes_the_page_again_with_limits_and_pictures(browser, run, tmp_path):
    pp(
        *("report", run, "--output", tmp_path / "r.html", "--max-rss", "1.02x baseline"),
        *("--png", tmp_path / "f.png", "--svg", tmp_path / "f.svg", "--max", "exec_time=2.5ms"),
        cwd=tmp_path,
    )
    assert (tmp_path / "f.png").read_bytes().startswith(b"\x89PNG")
    assert "≤ 2.5 ms" in (tmp_path / "f.svg").read_text(encoding="utf-8")
    page = Opened(browser, tmp_path / "r.html").page
    assert page.locator(".limit-line:not(.unset)").count() == 2
    assert "≤ 2.5 ms" in (page.locator("#front svg").text_content() or "")
    said = page.locator("#provenance pre").inner_text()
    assert said.startswith("pareto-profiler search ")
    assert "--vary threads,memory_planner" in said
    assert "what the model learned" in page.locator("#learned").inner_text().lower()


def test_a_report_that_cannot_be_made_says_why(run, tmp_path):
    assert "the run's are exec_time, max_rss" in pp_error(
        "report", run, "--max", "energy=1mJ", cwd=tmp_path
    )
    assert "cannot be written" in pp_error(
        "report", run, "--output", "/nowhere/r.html", cwd=tmp_path
    )
    assert "is the journal of a run" in pp_error(
        "report", run, "--output", run / "journal.jsonl", cwd=tmp_path
    )


def test_settings_of_many_values_are_shown(browser, tmp_path):
    rows = [f"cpu,{i + 1},{3 + i},{100 - i}" for i in range(40)]
    text = "\n".join(["a,threads,exec_time_ms,max_rss_kib", *rows]) + "\n"
    (tmp_path / "many.csv").write_text(text)
    pp("report", "many.csv", "--output", "many.html", cwd=tmp_path)
    opened = Opened(browser, tmp_path / "many.html")
    last = opened.page.locator("#front .point.front").last
    last.hover(force=True)
    tip = opened.page.locator("#tip.on").inner_text()
    identity = last.get_attribute("data-id") or ""
    assert f"threads {int(identity) + 1}" in tip
    assert int(identity) > 36
    assert opened.diagnostics == []


def test_tags_of_points_that_lie_on_each_other_can_be_read(browser, tmp_path):
    """The baseline, and the best uniform assignment that is hardly better."""
    rows = ["x,x,23.35,214156", "y,y,22.90,214160", "x,y,24.4,118936", "y,x,70.8,89880"]
    text = "\n".join(["a,b,exec_time_ms,max_rss_kib", *rows]) + "\n"
    (tmp_path / "alike.csv").write_text(text)
    pp("report", "alike.csv", "--backends", "x,y", "--output", "alike.html", cwd=tmp_path)
    page = Opened(browser, tmp_path / "alike.html").page
    tags = page.locator("#front .tag").all()
    assert {"B · baseline", "A · best uniform"} <= {tag.inner_html() for tag in tags}
    boxes = [tag.bounding_box() for tag in tags]
    for i, one in enumerate(boxes):
        for other in boxes[:i]:
            apart_x = (
                one["x"] >= other["x"] + other["width"] or other["x"] >= one["x"] + one["width"]
            )
            # A line's box is higher than its letters.
            apart_y = abs(one["y"] - other["y"]) >= 0.7 * one["height"]
            assert apart_x or apart_y


def test_a_model_whose_name_is_no_text(tmp_path: Path):
    model = tmp_path / os.fsdecode(b"\xff.tflite")
    shutil.copyfile(MODELS / "mobilenet_v1_025_128.tflite", model)
    pp("search", model, "--budget", 1, "--repeats", 1, "--output", "run", cwd=tmp_path)
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000


def test_what_cannot_be_told_is_no_verdict(browser, tmp_path: Path):
    """Of a run whose times other work always disturbed."""
    shutil.copytree(DATA / "busy" / "one_core", tmp_path / "run")
    pp("report", "run", cwd=tmp_path)
    opened = Opened(browser, tmp_path / "run" / "report.html")
    page = opened.page
    tiles = page.locator("#selected").inner_text()
    assert "no verdict" in tiles
    assert "not decided" not in tiles
    point = page.locator("#front .point.front").first
    point.hover(force=True)
    assert "no verdict" in page.locator("#tip.on").inner_text()
    # Memory has its interval; the times have none.
    lines = page.locator("#front line.whisker").all()
    assert lines
    assert all(line.get_attribute("x1") == line.get_attribute("x2") for line in lines)
    assert opened.diagnostics == []


def test_without_a_name_the_newest_run_is_reported(dense_file: Path, tmp_path: Path):
    assert "holds no run" in pp_error("report", cwd=tmp_path)
    for name in ("older", "newer"):
        options = ("--budget", 1, "--output", f"pareto-runs/{name}")
        pp("search", dense_file, *options, cwd=tmp_path)
        (tmp_path / "pareto-runs" / name / "report.html").unlink()
    opened = tmp_path / "browser"
    opened.write_text(f"#!/bin/sh\necho $1 >{tmp_path}/opened\n")
    opened.chmod(0o755)
    pp("report", "--open", cwd=tmp_path, BROWSER=f"{opened} %s")
    page = tmp_path / "pareto-runs" / "newer" / "report.html"
    assert page.is_file()
    assert (tmp_path / "opened").read_text().strip() == page.as_uri()


BUNDLED = MODELS.parent / "runs" / "emulated_board"


@pytest.fixture(scope="module")
def board_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the bundled run, with a limit."""
    folder = tmp_path_factory.mktemp("board")
    pp("report", BUNDLED, "-o", folder / "board.html", "--max-rss", "17.5MB", cwd=folder)
    return folder / "board.html"


def titles_of(page: Page) -> list[str]:
    titles = page.locator("article.ship .eyebrow").all_inner_texts()
    return [" ".join(title.split()) for title in titles]


def test_the_page_begins_with_what_to_ship(browser, board_page: Path):
    opened = Opened(browser, board_page)
    page, shown = opened.page, pp_json("show", BUNDLED, cwd=board_page.parent)
    cards = {card.split("\n")[0]: card for card in page.locator("article.ship").all_inner_texts()}
    titles = [title.split(" · ")[0] for title in cards]
    assert [t.split(" ", 1)[1] for t in titles] == [
        "within the limits",
        "fastest",
        "knee",
        "smallest",
    ]
    best = pp_json("select", BUNDLED, "--max-rss", "17.5MB", cwd=board_page.parent)["selected"]
    first = page.locator("article.ship").first
    assert first.get_attribute("data-point") == best["id"]
    name = titles[0].split()[0]
    likely = math.floor(100 * shown["front"][0]["probability_on_front"])
    assert f"on the front: {likely} %" in titles_of(page)[1]
    assert f"deploy {BUNDLED} {name}" in "".join(first.locator("pre").inner_text().split("\n"))
    # What keeps the limits is selected, and without any the knee.
    assert "selected" in (first.get_attribute("class") or "")
    assert page.locator("#front-table tbody tr").first.inner_text().startswith("A")
    assert (
        page.locator("article.ship").nth(1).get_attribute("data-point") == shown["front"][0]["id"]
    )
    assert opened.diagnostics == []


def test_two_points_are_compared_operation_by_operation(browser, board_page: Path):
    opened = Opened(browser, board_page)
    page, front = opened.page, pp_json("show", BUNDLED, cwd=board_page.parent)["front"]
    knee = page.locator("article.ship.selected").get_attribute("data-point")
    chosen = next(row for row in front if row["id"] == knee)
    assert not page.locator("#compared").is_visible()
    page.locator("#compare").click()
    page.locator("#front-table tbody tr").first.click()
    differing = sum(
        a != b for a, b in zip(chosen["assignment"], front[0]["assignment"], strict=True)
    )
    assert f"{differing} of 64 operations run elsewhere" in page.locator("#compared").inner_text()
    assert page.locator("#compared-table tbody tr").count() == differing
    place = front.index(chosen)
    assert page.url.split("&")[0].endswith(f"#{'ABCDEFGHIJKLMNO'[place]},A")
    # The address brings both back, and the same click ends it.
    page.reload()
    assert page.locator("#compared-table tbody tr").count() == differing
    page.locator("#compare").click()
    assert not page.locator("#compared").is_visible()
    page.locator("#front-table tbody tr").nth(1).click(modifiers=["Shift"])
    assert page.locator("#compared-title").inner_text().endswith("against B")
    assert opened.diagnostics == []


def test_wide_fronts_are_drawn_by_logarithms_and_details_stand_beside_them(
    browser, board_page: Path
):
    opened = Opened(browser, board_page, width=1400)
    page = opened.page
    assert page.locator("#log").get_attribute("aria-pressed") == "true"
    ticks = page.locator("#front .axis").first.text_content()
    page.locator("#log").click()
    assert page.locator("#log").get_attribute("aria-pressed") == "false"
    assert page.locator("#front .axis").first.text_content() != ticks
    front, details = (page.locator(name).bounding_box() for name in ("#front", "#selected"))
    assert details["x"] > front["x"] + front["width"]
    assert opened.diagnostics == []


def test_a_box_zooms_and_a_double_click_shows_everything_again(browser, board_page: Path):
    opened = Opened(browser, board_page, width=1400)
    page = opened.page
    page.get_by_role("button", name="All points").click()
    every = page.locator("#front .point").count()
    page.locator("#front").scroll_into_view_if_needed()
    box = page.locator("#front .brush .overlay").bounding_box()
    assert box
    page.mouse.move(box["x"] + 2, box["y"] + box["height"] * 0.6)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + box["height"] - 2)
    page.mouse.up()
    within = page.locator("#front .point").count()
    assert 1 < within < every
    page.locator("#zoom-in").click()
    assert page.locator("#front .point").count() < within
    page.locator("#unzoom").click()
    assert page.locator("#front .point").count() == every
    assert not page.locator("#unzoom").is_visible()
    page.locator("#zoom-in").click()
    page.locator("#front .brush .overlay").dblclick(position={"x": 5, "y": 5})
    assert page.locator("#front .point").count() == every
    assert opened.diagnostics == []


def test_limits_are_typed_and_dragged_and_stand_in_the_address(browser, board_page: Path):
    opened = Opened(browser, board_page, width=1400)
    page = opened.page
    asked = ("select", BUNDLED, "--max-rss", "17.5MiB", "--json")
    best = pp_json(*asked[:-1], cwd=board_page.parent)["selected"]
    field = page.locator('#limits input[data-objective="1"]')
    for text in ("17920 KiB", "17.5 MiB", "17,5", "17.5"):
        field.fill("")
        field.fill(text)
        assert field.get_attribute("aria-invalid") == "false"
        assert page.locator("#front .point.best").get_attribute("data-id") == best["id"], text
    for text in ("17.5ms", "much", "-1"):
        field.fill(text)
        assert field.get_attribute("aria-invalid") == "true"
    field.fill("17.5")
    assert page.locator("#front .point.best").get_attribute("data-id") == best["id"]
    assert "max_rss=17.5" in page.url
    assert page.locator("#front .point.beyond").count() > 0
    page.locator("#within button").click()
    assert best["id"][:8] in page.locator("#selected-title").inner_text()
    page.reload()
    assert page.locator("#front .point.best").get_attribute("data-id") == best["id"]
    # Dragged down until nothing keeps it, and away.
    grip = page.locator('.limit-line[data-axis="y"] .grip')
    overlay = page.locator("#front .brush .overlay").bounding_box()
    place = grip.bounding_box()
    assert overlay
    assert place

    def drag(to: float) -> None:
        place = grip.bounding_box()
        assert place
        page.mouse.move(place["x"] + place["width"] / 2, place["y"] + place["height"] / 2)
        page.mouse.down()
        page.mouse.move(place["x"], to, steps=4)
        page.mouse.up()

    drag(overlay["y"] + overlay["height"] - 1)
    assert "Nothing on the front" in page.locator("#within").inner_text()
    drag(overlay["y"] - 20)
    assert page.locator("#within").inner_text() == ""
    assert "max_rss" not in page.url
    assert opened.diagnostics == []


def test_the_slider_goes_back_to_what_was_known_then(browser, board_page: Path):
    opened = Opened(browser, board_page, width=1400)
    page, shown = opened.page, pp_json("show", BUNDLED, cwd=board_page.parent)
    page.get_by_role("button", name="All points").click()
    at_the_end = page.locator("#front .point").count()
    assert f"all {shown['trials']} trials" in page.locator("#growth-words").inner_text()
    page.locator("#until").fill("10")
    rows = pareto_profiler.open(BUNDLED).rows()[:10]
    known = {row["id"] for row in rows if row.get("exec_time")}
    assert page.locator("#front .point").count() == len(known) < at_the_end
    assert "after 10 of" in page.locator("#growth-words").inner_text()
    page.locator("#play").click()
    page.locator("#growth-words", has_text=f"all {shown['trials']} trials").wait_for()
    assert page.locator("#front .point").count() == at_the_end
    page.locator("#growth svg").click(position={"x": 60, "y": 30})
    assert "after " in page.locator("#growth-words").inner_text()
    assert opened.diagnostics == []


def test_colours_tell_how_points_came_about(browser, board_page: Path):
    page = Opened(browser, board_page, width=1400).page
    assert "proposed by structured" not in page.locator("#front-legend").inner_text()
    page.locator("#colour").select_option("origin")
    legend = page.locator("#front-legend").inner_text()
    assert "proposed by structured" in legend
    assert "baseline and uniform assignments" in legend


def test_tables_are_sorted_and_what_is_undecided_is_folded(browser, board_page: Path):
    opened = Opened(browser, board_page, width=1400)
    page, shown = opened.page, pp_json("show", BUNDLED, cwd=board_page.parent)
    rows = page.locator("#front-table tbody tr:visible")
    folded = rows.count()
    page.locator("#more").click()
    assert rows.count() == folded + len(shown["undecided"])
    page.locator("#front-table th", has_text="max_rss").get_by_role("button").click()
    smallest = min(shown["front"] + shown["undecided"], key=lambda r: r["values"]["max_rss"])
    assert rows.first.get_attribute("data-point") == smallest["id"]
    page.locator("#front-table th", has_text="max_rss").get_by_role("button").click()
    assert rows.first.get_attribute("data-point") != smallest["id"]
    page.locator("#more").click()
    assert rows.count() == folded
    assert opened.diagnostics == []


def test_the_graph_is_moved_zoomed_and_fitted_and_shows_what_moved(browser, board_page: Path):
    opened = Opened(browser, board_page, width=1400)
    page = opened.page
    began = shift_of(page)
    page.locator("#view").scroll_into_view_if_needed()
    page.locator("#view").hover()
    page.mouse.wheel(0, 300)
    page.wait_for_timeout(50)
    assert shift_of(page)[1] < began[1] - 200
    page.locator("#graph-in").click()
    assert shift_of(page)[2] > began[2]
    page.locator("#fit").click()
    page.wait_for_timeout(400)
    box, whole = (page.locator(q).bounding_box() for q in ("#view", "#view svg > g"))
    assert box
    assert whole
    # A long chain is as wide as its box, where the whole would be too small to read.
    assert whole["width"] <= box["width"] + 2
    assert shift_of(page)[1] == 0
    assert "1×48×48×16" in (page.locator("#view .node").first.text_content() or "")
    page.locator("#front-table tbody tr").first.click(modifiers=["Shift"])
    moved = page.locator("#compared-table tbody tr").count()
    assert page.locator("#view .node.moved").count() == moved > 0
    assert opened.diagnostics == []


def test_the_page_prints_on_white_without_buttons(browser, board_page: Path, tmp_path: Path):
    opened = Opened(browser, board_page, scheme="dark")
    page = opened.page
    page.emulate_media(media="print", color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("button:not(.sort):visible").count()
    assert "exec_time" in page.locator("#front-table thead").inner_text()
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    assert page.locator("#operations-table tbody tr:visible").count() == 64
    page.pdf(path=str(tmp_path / "page.pdf"))
    assert (tmp_path / "page.pdf").stat().st_size > 10_000
    assert opened.diagnostics == []


def test_runs_of_several_devices_share_a_page(browser, tmp_path: Path):
    table = MODELS.parent / "tables" / "mobilenet_v2_035_96_logits-by_name-emulated_board.parquet"
    for name, seed in (("left", 1), ("right", 2)):
        pp("replay", table, "--budget", 12, "--seed", seed, "--output", name, cwd=tmp_path)
    pp("report", "left", "right", "--output", "both.html", cwd=tmp_path)
    opened = Opened(browser, tmp_path / "both.html", width=1400)
    page = opened.page
    assert {"left", "right"} <= set(page.locator("#front-legend").inner_text().split())
    handles = page.locator("#front-table tbody tr td:first-child").all_inner_texts()
    assert handles[0] == "A"
    row = page.locator("#front-table tbody tr").first
    owner, _, identity = (row.get_attribute("data-point") or "").partition(":")
    row.click()
    assert f"deploy {owner} {identity}" in page.locator("#configuration pre").first.inner_text()
    assert page.locator("#view .node").count() == 64
    other = page.locator(f'#front-table tbody tr:not([data-point^="{owner}:"])').first
    page.locator("#more").click()
    other.click(modifiers=["Shift"])
    assert "operations run elsewhere" in page.locator("#compared").inner_text()
    assert "trials" in page.locator("#growth-words").inner_text()
    assert page.locator("#provenance h3").all_inner_texts()[:2] == ["left", "right"]
    assert opened.diagnostics == []
    assert "name a single one" in pp_error(
        "report", "left", "right", "--svg", "f.svg", cwd=tmp_path
    )


def test_the_page_of_a_thousand_trials_is_small_and_quick(browser, tmp_path: Path):
    """On a model of a thousand operations; the time is only said, see bench_page.py."""
    made = Device("large", Recipe("", 1000, 3, skips=0.3), 0)
    journal, runner = MemoryJournal(), made.runner(Plan(repeats=1, warmups=0))
    proposer = SAMPLERS["random"](onert_problem(made.space, graph=made.graph))
    for _ in search(
        made.space, proposer, runner, journal, Budget(1000), source="random", clock=runner
    ):
        pass
    header = Header("large", "", made.space, ("exec_time", "max_rss"), graph=made.graph)
    file = tmp_path / "report.html"
    file.write_text(page_of(Summary.of(Recording(header, journal.trials))), encoding="utf-8")
    assert file.stat().st_size < 3e6
    opened = Opened(browser, file)
    assert opened.page.locator("#graph .node").count() == 1000
    assert opened.diagnostics == []

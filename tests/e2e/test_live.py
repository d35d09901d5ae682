"""The page that grows while a search goes on: what it serves, to whom, and when."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from pareto_profiler.cli.live import LivePage


def read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=120) as answer:  # noqa: S310 - our own
        return str(answer.read().decode())


def test_nobody_looks_and_no_page_is_made():
    made = []
    with LivePage() as live:
        live.offer(lambda: (1, made.append(1) or "page"))
    assert made == []


def test_who_looks_gets_the_newest_page(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pareto_profiler.cli.live._LAST_S", 0.0)
    with LivePage() as live:
        assert read(f"{live.url}trials") == "0"
        pages: list[str] = []
        reader = threading.Thread(target=lambda: pages.append(read(live.url)))
        reader.start()
        live.offer(lambda: (3, "three"))
        reader.join()
        assert pages == ["three"]
        assert read(f"{live.url}trials") == "3"
        live.offer(lambda: (4, "four"), is_last=True)
        assert read(live.url) == "four"


def test_only_this_machine_with_the_token_is_answered(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("pareto_profiler.cli.live._LAST_S", 0.0)
    with LivePage() as live:
        address = urlsplit(live.url)
        assert address.hostname == "127.0.0.1"

        def status(path: str, host: str) -> int:
            connection = HTTPConnection("127.0.0.1", address.port or 0, timeout=10)
            connection.request("GET", path, headers={"Host": host})
            return connection.getresponse().status

        ours = f"127.0.0.1:{address.port}"
        assert status(f"{address.path}trials", ours) == 200
        assert status("/", ours) == 404
        assert status("/another/trials", ours) == 404
        assert status(f"{address.path}other", ours) == 404
        assert status(f"{address.path}trials", f"elsewhere.example:{address.port}") == 403


def test_a_search_shows_itself_and_leaves_the_same_page(dense_file: Path, tmp_path: Path):
    words = [sys.executable, "-m", "pareto_profiler", "search", str(dense_file), "--live"]
    words += ["--budget", "40", "--output", "run"]
    with subprocess.Popen(words, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        url = next(m[1] for line in process.stderr if (m := re.match(r"live page: (\S+)", line)))
        rest = threading.Thread(target=process.stderr.read)
        rest.start()
        page = read(url)
        assert '<meta name="live" content="trials">' in page
        assert int(read(f"{url}trials")) >= 1
        rest.join()
    assert process.returncode == 0
    assert "meta name" in page
    kept = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert 'name="live"' not in kept
    with pytest.raises(urllib.error.URLError):
        read(url)

"""Hooks of the documentation site: pages that are made of what lies elsewhere in the project."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parent.parent

PAGES = {
    "changelog.md": "CHANGELOG.md",
    "models.md": "examples/models/README.md",
    "runs.md": "examples/runs/README.md",
    "tables.md": "examples/tables/README.md",
}
"""Page → the file that it is, from the project's root."""

_LINK = re.compile(r"\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages, and that of the commands, which is their help."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "commands.md", content=_commands()))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links between files of the project as links between pages; of code the words alone."""
    source = PAGES.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    folder = PurePosixPath(source).parent

    def mended(found: re.Match[str]) -> str:
        words, target, anchor = found[1], found[2], found[3] or ""
        path = normpath(str(folder / target))
        if path.startswith("docs/"):
            return f"[{words}]({path.removeprefix('docs/')}{anchor})"
        for name, other in PAGES.items():
            if path == other:
                return f"[{words}]({name}{anchor})"
        if not (ROOT / path).exists() and path not in {"docs/commands.md", *PAGES}:
            return found[0]  # MkDocs tells
        return words

    return _LINK.sub(mended, markdown)


def _commands() -> str:
    arguments = ["pareto_profiler.cli.main", "utils", "docs", "--name", "pareto-profiler"]
    done = subprocess.run(
        [sys.executable, "-m", "typer", *arguments], capture_output=True, text=True, check=True
    )
    text = done.stdout.replace("# `pareto-profiler`", "# Commands", 1)
    seed = "the commands of ONE's pareto_profiler are on [a page of their own](from_one.md)"
    return text.replace("**Usage**", f"As `--help` shows them; {seed}.\n\n**Usage**", 1)

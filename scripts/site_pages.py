"""Hooks of the documentation site: pages that are made of what lies elsewhere in the project."""

from __future__ import annotations

import json
import re
from pathlib import Path, PurePosixPath
from posixpath import normpath
from typing import Any

import typer
from mkdocs.structure.files import File, Files
from typer.cli import get_docs_for_click
from typer.core import TyperGroup

from pareto_profiler.cli.main import COMMANDS, app, load

ROOT = Path(__file__).parent.parent

PAGES = {
    "changelog.md": "CHANGELOG.md",
    "models.md": "examples/models/README.md",
    "runs.md": "examples/runs/README.md",
    "tables.md": "examples/tables/README.md",
}
"""Page → the file that it is, from the project's root."""

_SHIM = "https://unpkg.com/iframe-worker/shim"
_CONSOLE = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[([^\]]*)\]\(([^)#:\s]+)(#[^)]*)?\)")


def on_files(files: Files, config: Any) -> Files:
    """Add the pages, and that of the commands, which is their help."""
    for page, source in PAGES.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        files.append(File.generated(config, page, content=text))
    files.append(File.generated(config, "commands.md", content=_commands()))
    files.append(File.generated(config, "notebook.md", content=_notebook()))
    for file in [file for file in files if file.src_uri.endswith(".ipynb")]:
        files.remove(file)
    shim = (ROOT / "scripts" / "site_assets" / "iframe-worker.js").read_text(encoding="utf-8")
    files.append(File.generated(config, "assets/iframe-worker.js", content=shim))
    return files


def on_post_page(output: str, **_: Any) -> str:
    """What search needs where pages are opened from the disk comes with them."""
    return output.replace(_SHIM, "assets/iframe-worker.js")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Links between files of the project as links between pages; of code the words alone.

    Commands lose their prompts: the button beside them copies what can be pasted.
    """
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

    def unprompted(found: re.Match[str]) -> str:
        commands = re.sub(r"^\$ ", "", found[1], flags=re.MULTILINE)
        return f"```sh\n{commands}```"

    return _LINK.sub(mended, _CONSOLE.sub(unprompted, markdown))


def _notebook() -> str:
    """The cells of the notebook as a page."""
    file = ROOT / "docs" / "notebook.ipynb"
    parts = []
    for cell in json.loads(file.read_text(encoding="utf-8"))["cells"]:
        text = "".join(cell["source"])
        parts.append(text if cell["cell_type"] == "markdown" else f"```python\n{text}\n```")
    return "\n\n".join(parts) + "\n"


def _commands() -> str:
    group = typer.main.get_command(app)
    whole = TyperGroup(
        name="pareto-profiler",
        commands={name: load(name) for name in COMMANDS},
        params=group.params,
        help=group.help,
        epilog=group.epilog,
    )
    context = typer.Context(whole, info_name="pareto-profiler")
    text = get_docs_for_click(obj=whole, ctx=context, name="pareto-profiler")
    text = text.replace("# `pareto-profiler`", "# Commands", 1)
    seed = "the commands of ONE's pareto_profiler are on [a page of their own](from_one.md)"
    return text.replace("**Usage**", f"As `--help` shows them; {seed}.\n\n**Usage**", 1)

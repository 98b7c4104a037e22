"""Pages of the repository that lie outside docs/, and links to them, in the site."""

import os
import re
from pathlib import Path
from typing import Any

from generated_pages import write

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
PAGES = {
    "CHANGELOG.md": "changes",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "security",
    "experiments/README.md": "experiments",
    "benchmarks/README.md": "peers",
    "data/README.md": "data",
}
"""File of the repository -> page of the site in ``docs/generated``."""

LINK = re.compile(r"\[([^\[\]]*)\]\(([^()#\s:]+)(#[^()\s]*)?\)")


def led(text: str, folder: Path, page: Path) -> str:
    """Text whose links are relative to a folder of the repository, as it stands in a page of the site.

    Links to files that are no part of the site become plain text.
    """

    def lead(found: re.Match[str]) -> str:
        title, name, place = found.groups(default="")
        inside = Path(os.path.relpath(folder / name, ROOT)).as_posix()
        if inside == "README.md":
            inside, place = "docs/index.md", ""
        target = DOCS / "generated" / f"{PAGES[inside]}.md" if inside in PAGES else ROOT / inside
        if DOCS not in target.parents:
            return title
        return f"[{title}]({Path(os.path.relpath(target, page.parent)).as_posix()}{place})"

    return LINK.sub(lead, text)


def lead_links(app: Any, name: str, content: list[str]) -> None:
    page = DOCS / f"{name}.md"
    if page.exists() and page.parent.name != "generated":
        content[0] = led(content[0], page.parent, page)


def copy_pages(app: Any, config: Any) -> None:
    for name, title in PAGES.items():
        page = DOCS / "generated" / f"{title}.md"
        write(page, led((ROOT / name).read_text(encoding="utf-8"), (ROOT / name).parent, page))


def setup(app: Any) -> dict[str, bool]:
    app.connect("config-inited", copy_pages)
    app.connect("source-read", lead_links)
    return {"parallel_read_safe": True}

"""Crawl a built site: dead links and anchors, missing images, public names without a docstring, a page or a word on their source.

Command:  python docs/check_site.py docs/_build/html

Links that leave the site are not followed; what a page fetches must lie in it, so that it works without a network.
The exit status is 1 where something is wrong, and every fault is one line.
"""

import importlib
import inspect
import os
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

WITHOUT_PAPER = Path(__file__).resolve().parent / "names_without_paper.txt"
"""Public names that follow no publication, such as containers, one a line."""

ADDRESSES = {"a": "href", "link": "href", "img": "src", "script": "src", "source": "src"}
"""Tag -> attribute that leads somewhere."""


class Page(HTMLParser):
    """What a page can be asked for, and where it leads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.addresses: list[str] = []
        self.fetched: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.anchors |= {found.get("id") or "", (found.get("name") or "") if tag == "a" else ""}
        address = found.get(ADDRESSES.get(tag, ""))
        if address:
            self.addresses.append(address)
            self.fetched |= set() if tag == "a" else {address}


def dead(root: Path) -> list[str]:
    """Faults of all links, anchors and images between the pages of a folder, in the order of the pages.

    What lies in ``_static`` are the theme's templates, no pages.
    """
    found = sorted(path for path in root.rglob("*.html") if "_static" not in path.relative_to(root).parts)
    pages = {path: Page(path) for path in found}
    faults = []
    for path, page in pages.items():
        for address in dict.fromkeys(page.addresses):
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if parts.netloc and address in page.fetched:
                    faults.append(f"{path.relative_to(root)}: {address} is fetched from elsewhere")
                continue
            target = Path(os.path.normpath(path.parent / unquote(parts.path))) if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            where, anchor = path.relative_to(root), unquote(parts.fragment)
            if not target.is_relative_to(root):
                faults.append(f"{where}: {address} leads out of the site")
            elif not target.is_file():
                faults.append(f"{where}: {address} does not exist")
            elif anchor and target in pages and anchor not in pages[target].anchors:
                faults.append(f"{where}: {address} has no such place on its page")
    return faults


def undocumented(root: Path, names: list[str]) -> list[str]:
    """Faults of public names, ``package.name``: no docstring of its own, or no page that shows it."""
    faults = []
    for name in names:
        package, _, each = name.rpartition(".")
        said = inspect.getdoc(getattr(importlib.import_module(package), each)) or ""
        if not said or said.startswith(f"{each}("):  # what a dataclass says of itself is its signature
            faults.append(f"{name} has no docstring")
        page = root / "generated" / "api" / f"{name}.html"
        if not page.is_file() or name not in Page(page).anchors:
            faults.append(f"{name} has no page")
    return faults


def unsourced(names: list[str], listed: list[str]) -> list[str]:
    """Faults of public names: each has a *Source* in its docstring, or stands on the sorted list of those without a paper."""
    links = importlib.import_module("bibliography_links")
    faults = [f"{name} in {WITHOUT_PAPER.name} is no public name" for name in listed if name not in names]
    if listed != sorted(listed):
        faults.append(f"{WITHOUT_PAPER.name} is not sorted")
    for name in names:
        package, _, each = name.rpartition(".")
        said = inspect.getdoc(getattr(importlib.import_module(package), each)) or ""
        sourced = links.source_of(said.splitlines()) is not None
        if sourced and name in listed:
            faults.append(f"{name} names a source and stands in {WITHOUT_PAPER.name}")
        elif not sourced and name not in listed:
            faults.append(f"{name} names no source and does not stand in {WITHOUT_PAPER.name}")
    return faults


def public_names() -> list[str]:
    """Every public name, at the top where it stands there as well."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    pages = importlib.import_module("generated_pages")
    top = set(pages.public(importlib.import_module("mpijax")))
    found = {package: pages.public(importlib.import_module(package)) for package in pages.PACKAGES}
    return [
        f"{package}.{each}"
        for package, names in found.items()
        for each in names
        if package == "mpijax" or each not in top
    ]


def main() -> int:
    sys.path.insert(0, str(Path(__file__).resolve().parent / "_extensions"))
    if len(sys.argv) != 2 or not Path(sys.argv[1], "index.html").is_file():
        print("give the folder of a built site: python docs/check_site.py docs/_build/html", file=sys.stderr)
        return 2
    root, names = Path(sys.argv[1]).resolve(), public_names()
    listed = WITHOUT_PAPER.read_text(encoding="utf-8").split()
    faults = [*dead(root), *undocumented(root, names), *unsourced(names, listed)]
    print(*faults, sep="\n")
    pages = len(list(root.rglob("*.html")))
    print(f"{pages} pages, {len(names)} public names, {len(faults)} faults", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

"""The *Source* of a docstring, linked to the entries of the bibliography that it names.

An entry of ``docs/bibliography.md`` is a definition whose term is a list of names. A name with a year, "Boyd 2011", is found where
the surname stands before the year in one citation ("Boyd et al., ..., 3 (2011) 1"); any other name where it stands itself.
"""

import functools
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from plain_docstrings import KEPT

BIBLIOGRAPHY = Path(__file__).resolve().parent.parent / "bibliography.md"
TERM = re.compile(r"^(\S.*)\n(?=: )", re.MULTILINE)
YEAR = re.compile(r"(?<![\w.:/-])(?:18|19|20)\d\d(?![\w./-]?\d)")
HEAD = re.compile(r"^(\s*)Source: ?(.*)$")


def plain(name: str) -> str:
    """A name in ASCII, as docstrings write it."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()


def label(term: str) -> str:
    """Of an entry: where it is linked to."""
    return "ref-" + re.sub(r"\W+", "-", plain(term.split(",")[0]).lower())


def terms() -> list[str]:
    """Terms of the bibliography, each a list of names."""
    return TERM.findall(BIBLIOGRAPHY.read_text(encoding="utf-8"))


@functools.cache
def entries() -> dict[str, str]:
    """Every name of the bibliography and the label of its entry."""
    return {plain(name): label(term) for term in terms() for name in term.split(", ")}


def named(text: str) -> list[tuple[int, int, str]]:
    """Begin and end of what names an entry in a text, and the entry's label, in order."""
    kept = [found.span() for found in KEPT.finditer(text)]
    spans: list[tuple[int, int, str]] = []
    for begin, end, where in sorted(_found(text)):
        free = not spans or begin >= spans[-1][1]
        if free and not any(low < end and begin < high for low, high in kept):
            spans.append((begin, end, where))
    return spans


def _found(text: str) -> Iterator[tuple[int, int, str]]:
    for name, where in entries().items():
        surname, _, year = name.rpartition(" ")
        if not YEAR.fullmatch(year):
            for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", text):
                yield *found.span(), where
            continue
        for found in YEAR.finditer(text):
            citation = text[: found.start()].rpartition(";")[2]
            if found[0] == year and re.search(rf"\b{re.escape(surname)}\b", citation):
                yield *found.span(), where


def linked(text: str) -> str:
    """The text with a link in place of every name of an entry, in reStructuredText."""
    parts, last = [], 0
    for begin, end, where in named(text):
        parts += [text[last:begin], f":ref:`{text[begin:end]} <{where}>`"]
        last = end
    return "".join([*parts, text[last:]])


def source_of(lines: list[str]) -> tuple[int, int, str] | None:
    """First and last line (exclusive) of the source in a docstring, and its text in one line."""
    for first, line in enumerate(lines):
        if HEAD.match(line):
            last = next((k for k in range(first, len(lines)) if not lines[k].strip()), len(lines))
            return first, last, " ".join(" ".join(lines[first:last]).split()).removeprefix("Source:").strip()
    return None


def link_source(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    found = source_of(lines)
    if found is not None:
        first, last, text = found
        indent = HEAD.sub(r"\1", lines[first])
        lines[first:last] = [f"{indent}**Source:** {linked(text)}"]


def add_labels(app: Any, name: str, content: list[str]) -> None:
    if name == "bibliography":
        content[0] = TERM.sub(lambda found: f"({label(found[1])})=\n{found[0]}", content[0])


def setup(app: Any) -> dict[str, bool]:
    app.connect(
        "autodoc-process-docstring", link_source, priority=200
    )  # after stars are escaped, before sections are read
    app.connect("source-read", add_labels)
    return {"parallel_read_safe": True}

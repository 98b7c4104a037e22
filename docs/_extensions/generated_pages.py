"""Pages that are made of the code: the command line from its parser, the reference from what each package makes public."""

import contextlib
import importlib
import io
import os
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from constants import section

from mpijax.cli import COMMANDS, main

GENERATED = Path(__file__).resolve().parent.parent / "generated"
PARTS = GENERATED / "parts"
"""Tables that pages include; no pages themselves."""

PACKAGES = {
    "mpijax": "Containers, simulation, restoration and identification: what stands at the top",
    "mpijax.physics": "Physics of MPI as functions of arrays",
    "mpijax.system": "Particles, scanners, sequences, grids, system matrices",
    "mpijax.io": "Files",
    "mpijax.reconstruction": "Images from measurements",
    "mpijax.restoration": "Restored system matrices",
    "mpijax.identification": "Particles and scanners fitted to what was measured",
    "mpijax.rows": "Rows: tasks, filters, splines",
    "mpijax.models": "Networks",
    "mpijax.datasets": "Training data, presets, public sets",
    "mpijax.datasets.phantoms": "Phantoms",
    "mpijax.training": "Training",
    "mpijax.metrics": "Metrics",
    "mpijax.plans": "Plans",
    "mpijax.viz": "Figures",
}
"""Public packages and what they are for, by task."""


def public(module: Any) -> list[str]:
    """Public names of a package that are no packages themselves."""
    names = getattr(module, "__all__", None) or [name for name in dir(module) if not name.startswith("_")]
    found = {name: getattr(module, name) for name in names if not name.startswith("_")}
    kept = [name for name, value in found.items() if not isinstance(value, type(sys)) and _ours(value)]
    return sorted(kept, key=str.lower)


def _ours(value: Any) -> bool:
    """Whether it is a function or class of mpijax, and not the helper that old names forward with."""
    module = getattr(value, "__module__", "mpijax")
    return callable(value) and module.partition(".")[0] == "mpijax" and module != "mpijax.core.moved"


def write(path: Path, text: str) -> None:
    """Write a file unless it holds the text: what did not change is not read again by the next build."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown."""
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (head, ["---"] * len(head), *rows))


def write_reference(app: Any, config: Any) -> None:
    top = set(public(importlib.import_module("mpijax")))
    for name, title in PACKAGES.items():
        names = public(importlib.import_module(name))
        shared = [] if name == "mpijax" else [each for each in names if each in top]
        text = f"# {name}\n{title}.\n\n" + _table(
            [f"{name}.{each}" for each in names if each not in shared], "   :toctree: api\n"
        )
        if shared:
            text += "\nAlso at the top level:\n\n" + _table([f"mpijax.{each}" for each in shared])
        write(GENERATED / f"{_page(name)}.md", text + section(importlib.import_module(name)))
    pages = "\n".join(map(_page, PACKAGES))
    write(GENERATED / "api.md", f"# Python, by task\n\n```{{toctree}}\n:maxdepth: 1\n\n{pages}\n```\n")


def _page(package: str) -> str:
    return package.replace(".", "_")


def _table(names: list[str], option: str = "") -> str:
    listed = "".join(f"   ~{name}\n" for name in names)
    return f"```{{eval-rst}}\n.. autosummary::\n{option}   :nosignatures:\n\n{listed}```\n"


def write_commands(app: Any, config: Any) -> None:
    parts = ["# The command line\nWhat `mpijax COMMAND --help` says, of every command.\n"]
    parts += [f"## mpijax {name}\n{says}\n\n```text\n{_help(name)}\n```\n" for name, (_, says) in COMMANDS.items()]
    write(GENERATED / "commands.md", "\n".join(parts))


def _help(name: str) -> str:
    """What a command's --help prints."""
    plain = mock.patch.dict(os.environ, COLUMNS="110", NO_COLOR="1", TERM="dumb")
    words = mock.patch.object(sys, "argv", ["mpijax", name, "--help"])
    with plain, words, contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
        main()
    return said.getvalue().rstrip()


def setup(app: Any) -> dict[str, bool]:
    app.connect("config-inited", write_reference)
    app.connect("config-inited", write_commands)
    return {"parallel_read_safe": True}

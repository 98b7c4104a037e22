"""Run directories: resolved configuration, commit and versions of everything that made the numbers."""

import dataclasses
import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import jax
import tyro

from mpijax.core.files import write_text

C = TypeVar("C")
_ROOT = Path(__file__).resolve().parent.parent.parent


def parse(presets: Mapping[str, C], arguments: list[str] | None, description: str) -> C:
    """A configuration from the command line: ``--preset NAME`` chooses the defaults, every other flag overrides one field.

    Unknown flags are errors.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name = next(iter(presets))
    for i, argument in enumerate(arguments):
        if argument == "--preset" and i + 1 < len(arguments):
            name = arguments[i + 1]
            del arguments[i : i + 2]
            break
        if argument.startswith("--preset="):
            name = argument.split("=", 1)[1]
            del arguments[i]
            break
    if name not in presets:
        raise SystemExit(f"--preset {name}: unknown; choose one of {', '.join(presets)}.")
    header = (
        f"{description}\n\npresets (--preset NAME): {', '.join(presets)}; the defaults below are those of '{name}'."
    )
    return tyro.cli(type(presets[name]), default=presets[name], args=arguments, description=header)


def environment() -> dict[str, Any]:
    """Versions, device and commit."""
    names = ("mpijax", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "scipy", "h5py")
    versions = {name: importlib.metadata.version(name) for name in names}
    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        "versions": versions,
        "device": f"{device.platform} {device.device_kind}",
        "commit": _commit(),
    }


def write_record(run_dir: Path, name: str, config: Any) -> None:
    """Write the resolved configuration and the environment as ``experiment.json``."""
    record = {"experiment": name, "config": dataclasses.asdict(config), **environment()}
    write_text(run_dir / "experiment.json", json.dumps(record, indent=2, default=str) + "\n")


def markdown_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of one set of columns as a Markdown table; numbers with four significant digits."""
    columns = list(rows[0])

    def cell(value: Any) -> str:
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell(row[c]) for c in columns) + " |" for row in rows]
    return "\n".join(lines)


def _commit() -> str | None:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=_ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()

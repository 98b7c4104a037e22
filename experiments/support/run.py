"""Run directories: resolved configuration, commit and versions of everything that made the numbers."""

import argparse
import csv
import dataclasses
import importlib.metadata
import io
import json
import platform
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
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
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--preset", choices=list(presets), default=next(iter(presets)))
    chosen, rest = parser.parse_known_args(arguments)
    default = presets[chosen.preset]
    header = f"{description}\n\n--preset NAME: {', '.join(presets)}; the defaults below are those of {chosen.preset}."
    return tyro.cli(type(default), default=default, args=rest, description=header)


def run_main(main: Callable[[C], Any], config: C, run_dir: Path) -> None:
    """Run an experiment from the command line: every expected failure is one line and exit status 2, Ctrl-C is 130."""
    try:
        main(config)
    except KeyboardInterrupt:
        print(f"interrupted; the same command continues in {run_dir}", file=sys.stderr)
        sys.exit(130)
    except (ValueError, OSError, FloatingPointError, ImportError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    print(f"report: {run_dir / 'report.md'}")


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


def csv_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of one set of columns as comma-separated text in full precision; None is an empty cell."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _commit() -> str | None:
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"], cwd=_ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()

"""Measure the page of costs again: ``python -m benchmarks.cost [--rounds 5] [--page docs/cost.md] [--note TEXT]``.

Runs ``benchmarks.scaling``, ``benchmarks.reconstruction_scaling`` and ``benchmarks.devices``, draws the page's figures beside it
and replaces its tables, which stand between comments of these names. ``--note`` is said above the tables ("beside other work").
"""

import argparse
import os
from pathlib import Path

from benchmarks import devices, reconstruction_scaling, scaling
from benchmarks.common import machine
from benchmarks.scaling_figure import plot_scaling, replaced, tables
from mpijax.viz import save

DRAWN = {"scaling": scaling.measure, "reconstruction_scaling": reconstruction_scaling.measure}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--page", type=Path, default=Path("docs/cost.md"))
    parser.add_argument("--note", default="")
    arguments = parser.parse_args()
    page = arguments.page.read_text()
    note = f", {arguments.note}" if arguments.note else ""
    facts = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} before{note}; JAX {machine()['jax']}, float32"
    page = replaced(page, "machine", f"{facts}, least time of {arguments.rounds} rounds.\n")
    for name, measure in (DRAWN | {"devices": devices.measure}).items():
        panels = measure(arguments.rounds)
        print(tables(panels), flush=True)
        page = replaced(page, name, tables(panels))
        if name in DRAWN:
            save(plot_scaling(panels), arguments.page.parent / "figures" / f"{name}.png")
    arguments.page.write_text(page)
    print(f"wrote {arguments.page}")


if __name__ == "__main__":
    main()

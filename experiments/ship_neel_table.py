"""Build the table of Neel rotation that ships, data/dynamics/neel.npz: damping 0.1, alpha 0 to 12, |xi| <= 40.

``python -m experiments.ship_neel_table``: 3 minutes on two cores.
"""

from pathlib import Path

from rich.progress import Progress

from mpijax.physics.dynamics.stored import SHIPPED, shipped_axes, write_table
from mpijax.physics.dynamics.table import build_table


def main() -> None:
    """Build and write it."""
    dampings, alphas, *fields = shipped_axes()
    with Progress() as bar:
        job = bar.add_task("anisotropies", total=1.0)
        table = build_table(
            dampings, alphas, (fields[0], fields[1]), progress=lambda share: bar.update(job, completed=share)
        )
    write_table(Path("data") / SHIPPED, table)


if __name__ == "__main__":
    main()

"""Build the table of Neel rotation that ships, data/dynamics/neel.npz: damping 0.1, alpha 0 to 12, |xi| <= 40.

``python -m experiments.ship_neel_table``: 3 minutes on two cores.
"""

from pathlib import Path

from mpijax.physics.dynamics.stored import SHIPPED, new_table, shipped_axes, write_table

if __name__ == "__main__":
    write_table(Path("data") / SHIPPED, new_table(shipped_axes()))

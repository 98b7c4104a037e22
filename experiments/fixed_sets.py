"""Write or check one of the fixed test sets: rows of simulated matrices that are defined by a seed.

Paper: deep learning for restoring system matrices from simulated training data, section 3.4 (300 matrices to test on in 2-D, 15
in 3-D).

Command:  python -m experiments.fixed_sets [--name restoration_2d] [--output FILE.npz]

Writes FILE.npz with its card FILE.json, minutes for restoration_2d on two cores. Where the file exists it is checked instead:
that it is undamaged, that its draws are those of the seed, and that the rows of its first matrix are what is simulated now.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from mpijax.core.checks import check_choice
from mpijax.datasets import FIXED_SETS, read_set, write_set
from mpijax.training.logging import show_progress


@dataclass(frozen=True)
class Config:
    """Which set, and where.

    Attributes:
        name: restoration_2d or restoration_3d.
        output: the .npz file; None = runs/NAME.npz.
        progress: whether to show a progress bar.
    """

    name: str = "restoration_2d"
    output: Path | None = None
    progress: bool = True


def main(config: Config) -> str:
    """Write the set, or check the one that is there; returns what is known of it."""
    check_choice("name", config.name, tuple(FIXED_SETS))
    spec = FIXED_SETS[config.name]
    path = (Path("runs") / f"{config.name}.npz" if config.output is None else config.output).with_suffix(".npz")
    if not path.exists():
        with show_progress(0, spec.count, config.progress) as report:
            rows = spec.simulate(lambda done: report(done, None))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_set(path, spec, rows)
    spec, rows = read_set(path, spec)
    deviation = spec.check_values(rows)
    return f"{path}: {len(rows)} rows of {spec.count} matrices, draws {rows.draws_sha256()[:16]}, values within {deviation:.1e}"


if __name__ == "__main__":
    try:
        print(main(tyro.cli(Config, description=__doc__)))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)

"""All phantoms on one page: the largest mean concentration along the axis normal to the plane shown.

Command:  python -m experiments.phantom_gallery [--path docs/figures/phantoms.png]

Expected time: about 10 seconds.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
import numpy as np
import tyro

import mpijax as mj
from mpijax.datasets import phantoms
from mpijax.viz import plot_gallery, save

SHOWN: dict[str, tuple[Callable[..., np.ndarray], float, str]] = {
    "shape": (partial(phantoms.shape_phantom, oversample=4), 29, "xy"),
    "resolution": (partial(phantoms.resolution_phantom, oversample=4), 29, "xy"),
    "concentration": (phantoms.concentration_phantom, 29, "xy"),
    "dots": (partial(phantoms.dots_phantom, oversample=4), 29, "xy"),
    "spiral": (partial(phantoms.spiral_phantom, oversample=4), 29, "xy"),
    "snake": (phantoms.snake_phantom, 29, "xy"),
    "nested rectangles": (phantoms.rectangles_phantom, 44, "xz"),
    "tubes with stenosis": (partial(phantoms.stenosis_phantom, oversample=4), 29, "xy"),
    "characters": (partial(phantoms.text_phantom, text="MPI", oversample=4), 29, "xy"),
    "digits": (partial(phantoms.text_phantom, text="42", height=13e-3, stroke_width=2e-3, oversample=4), 29, "xy"),
}
"""Phantom, edge of the cube shown [mm], and its plane."""


@dataclass(frozen=True)
class Config:
    """What is drawn.

    Attributes:
        path: the figure.
        voxels: per axis.
        trees: vessel trees, half of them in the plane.
        seed: of the trees.
    """

    path: Path = Path("docs/figures/phantoms.png")
    voxels: int = 96
    trees: int = 5
    seed: int = 0


def main(config: Config) -> None:
    """Draw the phantoms and write the figure."""
    shown = dict(SHOWN)
    for i in range(config.trees):
        dimensions = 2 if i <= config.trees // 2 else 3
        key = jax.random.fold_in(jax.random.key(config.seed), i)
        tree = partial(phantoms.vessel_phantom, key=key, dimensions=dimensions, oversample=4)
        shown[f"vessels {i}, {dimensions}-D"] = (tree, 29, "xy")
    images = {}
    for name, (phantom, edge, plane) in shown.items():
        grid = mj.Grid.create(3 * (config.voxels,), 3 * (edge * 1e-3,))
        volume = grid.to_image(phantom(grid))
        half = edge / 2
        images[name] = volume.max(axis=0 if plane == "xy" else 1), (-half, half, -half, half), plane
    save(plot_gallery(images), config.path)


if __name__ == "__main__":
    try:
        main(tyro.cli(Config, description=__doc__))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)

"""X-space images of one phantom: the scan along x, the scan along z, their mean, and what the known kernel makes of the first.

Command:  python -m experiments.xspace_gallery [--path docs/figures/xspace.png]

Expected time: about 10 seconds.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import jax
import numpy as np
import tyro

import mpijax as mj
from mpijax.datasets.phantoms import PlanarPhantoms
from mpijax.reconstruction import wiener_deconvolution
from mpijax.system import sampled_kernel, x_space_image
from mpijax.viz import plot_gallery, save


@dataclass(frozen=True)
class Config:
    """What is drawn.

    Attributes:
        path: the figure.
        size: pixels per side.
        fov: side of the plane [m].
        gradient: G [T/m] of a field-free line, diag(G, 0, -G).
        core_diameter: [m].
        regularization: of the deconvolution; there is no noise.
        seed: of the phantom, a tree of vessels.
    """

    path: Path = Path("docs/figures/xspace.png")
    size: int = 120
    fov: float = 30e-3
    gradient: float = 2.0
    core_diameter: float = 22e-9
    regularization: float = 1e-4
    seed: int = 1


def main(config: Config) -> None:
    """Draw the images, each over its own maximum, and write the figure."""
    n, fov = config.size, config.fov
    scanner = mj.Scanner.create((config.gradient, 0.0, -config.gradient))
    particle = mj.Particle.create(config.core_diameter)
    grid = mj.Grid.create((n, 1, n), (fov, 1e-3, fov))
    phantom = np.asarray(PlanarPhantoms.create(("vessels",), n)(jax.random.key(config.seed)))
    scans = {"x scan": (0,), "z scan": (2,), "mean of both": (0, 2)}
    made = {name: x_space_image(scanner, particle, grid, phantom.reshape(-1), axes) for name, axes in scans.items()}
    images = {"phantom": phantom} | {name: np.asarray(image)[:, 0] for name, image in made.items()}
    pixel_xi = particle.beta * config.gradient * fov / n * np.ones(2)
    kernel = sampled_kernel((n, n), pixel_xi.astype(np.float32), 1)  # axes of the array: rows z, columns x
    images["x scan, deconvolved"] = np.maximum(
        wiener_deconvolution(images["x scan"] / images["x scan"].max(), kernel, config.regularization), 0
    )
    half = 500 * fov
    shown = {name: (image / image.max(), (-half, half, -half, half), "xz") for name, image in images.items()}
    save(plot_gallery(shown, unit="part of the maximum"), config.path)


if __name__ == "__main__":
    try:
        main(tyro.cli(Config, description=__doc__))
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)

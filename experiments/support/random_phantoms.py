"""Random phantoms of several kinds, drawn on the fly: every one is a pure function of its kind, grid and key."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

import mpijax as mj
from mpijax.core.checks import check_choice
from mpijax.datasets import phantoms

KINDS = ("vessels", "dots", "characters", "tubes", "spiral")

OVERSAMPLE = 4
FLAT = 3e-3
"""Thickness of the flat phantoms along z [m]; thinner slices lie wholly inside."""


def random_phantom(kind: str, grid: mj.Grid, key: jax.Array) -> np.ndarray:
    """One phantom of 20 to 100 mmol(Fe)/L within about 11 mm of the origin, turned by a multiple of 90 degrees or mirrored.

    Args:
        kind: one of :data:`KINDS`.
        grid: one slice of as many voxels along x as along y, 25 mm or more wide.
        key: random key.

    Returns:
        Mean concentration in each voxel (n,) [mmol(Fe)/L].

    Raises:
        ValueError: an unknown kind, or a grid that is not square.
    """
    check_choice("kind", kind, KINDS)
    nx, ny, nz = grid.shape
    if nx != ny or nz != 1:
        raise ValueError(f"grid.shape = {grid.shape}; expected one slice of as many voxels along x as along y.")
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    options: dict[str, Any] = {
        "center": (*rng.uniform(-2e-3, 2e-3, 2), 0.0),
        "concentration": 20 * 5 ** rng.uniform(),
        "oversample": OVERSAMPLE,
    }
    image = grid.to_image(_DRAW[kind](grid, key, rng, options))[0]
    image = np.rot90(image, int(rng.integers(4)))
    return (image.T if rng.integers(2) else image).reshape(-1)


def random_phantoms(kinds: Sequence[str], count: int, grid: mj.Grid, key: jax.Array) -> np.ndarray:
    """``count`` phantoms (count, n), the kinds in turn; phantom i depends on the key and i alone."""
    drawn = [random_phantom(kinds[i % len(kinds)], grid, jax.random.fold_in(key, i)) for i in range(count)]
    return np.asarray(drawn, np.float32)


def _vessels(grid: mj.Grid, key: jax.Array, rng: np.random.Generator, options: dict[str, Any]) -> np.ndarray:
    extent, diameter = rng.uniform(14e-3, 20e-3), rng.uniform(2e-3, 4e-3)
    generations = int(rng.integers(3, 6))
    return phantoms.vessel_phantom(grid, key=key, extent=extent, diameter=diameter, generations=generations, **options)


def _dots(grid: mj.Grid, key: jax.Array, rng: np.random.Generator, options: dict[str, Any]) -> np.ndarray:
    count = int(rng.integers(3, 9))
    options = {**options, "concentration": 20 * 5 ** rng.uniform(size=count)}
    positions, diameter = rng.uniform(-8e-3, 8e-3, (count, 2)), rng.uniform(1.5e-3, 5e-3, count)
    return phantoms.dots_phantom(grid, positions=positions, diameter=diameter, thickness=FLAT, **options)


def _characters(grid: mj.Grid, key: jax.Array, rng: np.random.Generator, options: dict[str, Any]) -> np.ndarray:
    count = int(rng.integers(1, 3))
    text = "".join(rng.choice(sorted(phantoms.GLYPHS), count))
    height, width = rng.uniform(8e-3, 15e-3) / (1, 1.3)[count - 1], rng.uniform(1.5e-3, 3e-3)
    return phantoms.text_phantom(grid, text, height=height, stroke_width=width, thickness=FLAT, **options)


def _tubes(grid: mj.Grid, key: jax.Array, rng: np.random.Generator, options: dict[str, Any]) -> np.ndarray:
    options = {**options, "center": (0.0, options["center"][1], 0.0)}
    return phantoms.stenosis_phantom(grid, spacing=rng.uniform(1e-3, 7e-3), **options)


def _spiral(grid: mj.Grid, key: jax.Array, rng: np.random.Generator, options: dict[str, Any]) -> np.ndarray:
    return phantoms.spiral_phantom(
        grid,
        windings=rng.uniform(1, 2.5),
        inner_diameter=rng.uniform(3e-3, 8e-3),
        outer_diameter=rng.uniform(14e-3, 20e-3),
        tube_width=rng.uniform(1.2e-3, 2.5e-3),
        thickness=FLAT,
        **options,
    )


_DRAW = {"vessels": _vessels, "dots": _dots, "characters": _characters, "tubes": _tubes, "spiral": _spiral}

"""Measurements of phantoms that no scanner made: what ``mpijax measure`` writes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import numpy as np

from mpijax.core.checks import check_choice, check_count, check_range, check_shape
from mpijax.core.typing import Array, Float
from mpijax.datasets import phantoms
from mpijax.datasets.presets import Preset
from mpijax.physics.noise import complex_normal
from mpijax.system import Grid, Measurement

PHANTOMS: dict[str, Callable[..., np.ndarray]] = {
    "shape": phantoms.shape_phantom,
    "resolution": phantoms.resolution_phantom,
    "concentration": phantoms.concentration_phantom,
    "dots": phantoms.dots_phantom,
    "spiral": phantoms.spiral_phantom,
    "snake": phantoms.snake_phantom,
    "stenosis": phantoms.stenosis_phantom,
    "vessels": phantoms.vessel_phantom,
    "text": partial(phantoms.text_phantom, text="PI", height=13e-3, stroke_width=1.5e-3),  # legible at 3 mm resolution
}
"""Phantoms by name that fit into the presets' fields of view."""


def phantom_on(
    name: str, grid: Grid, *, center: tuple[float, float, float] = (0.0, 0.0, 0.0), key: jax.Array
) -> Float[np.ndarray, " n"]:
    """A phantom by name.

    Args:
        name: one of ``PHANTOMS``, or "empty": no iron.
        grid: voxels [m].
        center: of the phantom [m].
        key: of what is drawn at random: the vessels.

    Returns:
        Mean concentration in each voxel [mmol(Fe)/L], x fastest.

    Raises:
        ValueError: an unknown name, or a phantom outside the grid.
    """
    check_choice("phantom", name, (*PHANTOMS, "empty"))
    if name == "empty":
        return np.zeros(grid.size)
    options: dict[str, Any] = {"key": key, "dimensions": 2 if grid.shape[2] == 1 else 3} if name == "vessels" else {}
    values = PHANTOMS[name](grid, center=center, **options)
    if not values.any():
        fov = " x ".join(f"{1e3 * f:g}" for f in np.asarray(grid.fov))
        raise ValueError(f"the {name} phantom lies outside the field of view of {fov} mm; move it with its center.")
    return values


def simulate_measurement(
    preset: Preset,
    concentration: Float[Array, " n"],
    grid: Grid,
    *,
    key: jax.Array,
    sigma: Any = 0.0,
    frames: int = 1,
    background_frames: int = 0,
) -> Measurement:
    """The measurement of an object, summed over the voxels of its grid, with white noise.

    u_ck = sum_n S_ckn c_n/c_sample, S for samples that fill the voxels of ``grid``, simulated slice by slice along z;
    slices without iron are left out.

    Args:
        preset: scanner, sequence and particles; its own grid is not used.
        concentration: iron in every voxel (n,) [mmol(Fe)/L].
        grid: voxels of the object [m], at least three times finer than any the data are to be reconstructed on.
        key: of the noise.
        sigma: complex standard deviation of the noise of a frame [V, plain rfft].
        frames, background_frames: how many, of independent noise.

    Returns:
        Measurement of one period, with the preset's fields in its metadata.

    Raises:
        ValueError: a concentration of another grid, negative numbers.
    """
    check_shape("concentration", concentration, (grid.size,))
    check_range("sigma", sigma, 0, float("inf"), "V")
    check_count("frames", frames)
    check_count("background_frames", background_frames, 0)
    (nx, ny, nz), image = grid.shape, grid.to_image(np.asarray(concentration, np.float32))
    thickness = float(grid.fov[2]) / nz
    total: Any = 0.0
    for i in sorted({nz // 2, *np.flatnonzero(image.any(axis=(1, 2))).tolist()}):
        z = float(grid.center[2]) + (i + 0.5 - nz / 2) * thickness
        slab = Grid.create((nx, ny, 1), (*grid.fov[:2], thickness), (*grid.center[:2], z))
        matrix = preset.simulate(slab)
        weights = image[i].ravel() / matrix.to_concentration(np.ones(slab.size, np.float32))
        total = total + np.matmul(np.asarray(matrix.values), weights)
    signal, shape = jax.numpy.asarray(total), (frames + background_frames, 1, *total.shape)
    noise = complex_normal(shape, jax.numpy.asarray(sigma, signal.real.dtype), key=key, dtype=signal.dtype)
    return matrix.as_measurement(signal + noise[:frames], noise[frames:] if background_frames else None)

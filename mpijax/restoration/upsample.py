"""Recovering a fine system matrix from a coarse one."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import track

from mpijax.core.checks import check_choice
from mpijax.core.pytree import FrozenMapping
from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Complex
from mpijax.datasets.baselines import consistent_bicubic
from mpijax.datasets.degrade import degrade
from mpijax.datasets.normalize import channels_to_complex, complex_to_channels, denormalize, normalize
from mpijax.datasets.resample import bicubic
from mpijax.system import Grid, SystemMatrix
from mpijax.training import load_weights, make_predict
from mpijax.training.weights import read_card

Upsampler = Callable[[Complex[Array, "b h w"]], Complex[Array, "b y x"]]
"""Coarse complex rows to fine ones, in the same unit."""

_SLICES = 1024  # rows between two updates of the progress bar

CLASSICAL = ("bicubic", "consistent-bicubic")
"""Methods that need no training."""


def network_upsampler(predict: Callable[..., Any]) -> Upsampler:
    """The upsampler of a network: normalize each row by its largest modulus, apply the network, undo the scaling.

    Args:
        predict: rows (b, h, w, 2) to (b, h scale, w scale, 2), from :func:`mpijax.training.make_predict`.
    """

    def upsample(coarse: Complex[Array, "b h w"]) -> Complex[Array, "b y x"]:
        scaled, scale = normalize(coarse)
        return denormalize(channels_to_complex(predict(complex_to_channels(scaled))), scale)

    return upsample


def load_upsampler(model: str | Path, scale: int, sampling: str = "box") -> Upsampler:
    """An upsampler by name ("bicubic", "consistent-bicubic") or from a run directory or weights file.

    Raises:
        ValueError: weights of another scale or another way of sampling.
        FileNotFoundError: there are no weights at the path.
    """
    check_choice("sampling", sampling, ("box", "stride"))
    if model == "bicubic":
        return lambda coarse: bicubic(coarse, scale, sampling=sampling)
    if model == "consistent-bicubic":
        if sampling != "box":
            raise ValueError(f"sampling = {sampling!r}; consistent-bicubic is defined for 'box' (block means).")
        return lambda coarse: consistent_bicubic(coarse, scale)
    config, weights = load_weights(model)
    if config.get("scale") != scale:
        raise ValueError(f"{model} was trained for scale {config.get('scale')}, but scale = {scale} is asked for.")
    trained = _card(model)["metadata"].get("data", {}).get("method", "box")
    if trained not in (sampling, *(("absmax", "maxavg") if sampling == "box" else ())):
        raise ValueError(f"{model} was trained on {trained!r} sampling, but sampling = {sampling!r} is asked for.")
    return network_upsampler(make_predict(config, weights))


def upsample(
    system_matrix: SystemMatrix,
    scale: int,
    upsampler: Upsampler,
    *,
    sampling: str = "box",
    note: str = "",
    progress: bool = False,
) -> Solution:
    """Upsample the kept rows of a matrix in x and y, slice by slice.

    Args:
        system_matrix: coarse matrix. Its values are those of its sample: one that fills the coarse voxel ("box"), or a small
            one at every scale-th position ("stride").
        scale: fine voxels per coarse voxel and axis.
        upsampler: coarse rows to fine rows.
        sampling: "box" or "stride": where the coarse positions lie on the fine grid.
        note: how it was done, for the metadata.
        progress: whether to show a progress bar.

    Returns:
        Solution: the fine matrix; stats hold ``residual`` (m,), the distance of the degraded fine rows from the coarse ones
        relative to the coarse ones: how far the data are contradicted.
    """
    check_choice("scale", scale, (2, 4, 8))
    coarse_grid = system_matrix.grid
    nx, ny, nz = coarse_grid.shape
    coarse = np.asarray(coarse_grid.to_image(system_matrix.rows())).reshape(-1, ny, nx)
    if not np.all(np.isfinite(coarse)):
        raise ValueError(f"{np.count_nonzero(~np.isfinite(coarse))} entries of the system matrix are NaN or infinite.")
    starts = track(range(0, len(coarse), _SLICES), "upsampling", disable=not progress, transient=True)
    fine = np.concatenate([np.asarray(upsampler(coarse[i : i + _SLICES])) for i in starts]).astype(coarse.dtype)
    again = np.asarray(degrade(fine, scale, sampling))
    power = np.sum(np.abs(coarse) ** 2, axis=(1, 2)).reshape(-1, nz).sum(1)
    error = np.sum(np.abs(again - coarse) ** 2, axis=(1, 2)).reshape(-1, nz).sum(1)
    residual = np.sqrt(error / np.where(power > 0, power, 1))
    center = np.asarray(coarse_grid.center, np.float64)
    if sampling == "stride":  # the first fine voxel sits on the first coarse position
        voxel = np.asarray(coarse_grid.fov) / np.asarray(coarse_grid.shape)
        center = center + np.array([1, 1, 0]) * voxel / 2 * (1 - 1 / scale)
    grid = Grid((nx * scale, ny * scale, nz), coarse_grid.fov, center)
    result = system_matrix.with_rows(fine.reshape(-1, grid.size), grid)
    text = f"upsampled {scale} x in x and y ({sampling} sampling) {note}".strip()
    text += "; the SNR is that of the measured coarse rows"
    described = result.metadata.get("/experiment/description", "")
    description = f"{described}; {text}" if described not in ("", "n.a.") else text
    metadata = FrozenMapping(
        {**result.metadata, "/calibration/_restoration": text, "/experiment/description": description}
    )
    # background frames belong to the coarse measurement and say nothing of the noise of recovered rows
    return Solution(replace(result, metadata=metadata, background=None), {"residual": residual})


def _card(model: str | Path) -> dict[str, Any]:
    path = Path(model)
    return read_card(path / "weights.npz" if path.is_dir() else path)

"""The methods that restore rows in the tables: networks on padded boxes, classical ones on each row's own grid."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import scipy.fft

from experiments.support.restoration_eval import Method, Problem, per_grid
from mpijax import models
from mpijax.core.assets import asset_path
from mpijax.core.interpolation import keys_matrix
from mpijax.restoration.card import from_card
from mpijax.restoration.method import Method as RowsMethod
from mpijax.restoration.method import phase_average
from mpijax.restoration.network import network_rows
from mpijax.rows import Denoise
from mpijax.rows.inpainting import biharmonic_inpaint, inpaint_denoise
from mpijax.rows.resampling import stride_matrix
from mpijax.rows.splines import spline_matrix
from mpijax.rows.tasks import Trained
from mpijax.training import load_weights
from mpijax.training.state import split
from mpijax.training.weights import read_card

BATCH = {2: 64, 3: 8}


def find_weights(name: str) -> Path:
    """Weights by path (a file or a run directory), else those that ship, else those of the training under runs/.

    Raises:
        FileNotFoundError: there are none.
    """
    given = Path(name)
    if given.exists():
        return given / "weights.npz" if given.is_dir() else given
    try:
        return asset_path(f"weights/{name}.npz")
    except FileNotFoundError:
        trained = Path("runs") / name / "weights.npz"
        if not trained.exists():
            raise FileNotFoundError(
                f"no weights of {name}: none ship and {trained} does not exist; name a file or a run directory, or train them "
                f"with python -m experiments.train_restoration --preset {name}."
            ) from None
        return trained


def network(path: Path, members: int = 1) -> Method:
    """A trained network as ``mpijax restore`` applies it, for rows of many grids in one box, averaged over global phases.

    Raises:
        ValueError: from the method, where the network is of another scale or dimension than the task.
    """
    return _network(*load_weights(path), from_card(path, read_card(path)), members, str(path))


def wiener(dimensions: int) -> Method:
    """`mpijax.rows.wiener_inpaint`, which is the untrained network "wiener_unet", on padded boxes."""
    model = models.create("wiener_unet", dimensions=dimensions, features=(8,), rngs=0)
    return _network(model.config, split(model)[1], Trained((Denoise(),), dimensions), 1, "wiener")


def _network(config: dict[str, Any], weights: Any, trained: Trained, members: int, name: str) -> Method:
    restorer = RowsMethod(name, network_rows(config, weights, trained, BATCH[trained.dimensions]), members=members)
    factor = trained.tasks[0].seen_factor

    def method(problem: Problem) -> np.ndarray:
        if factor != problem.scale or problem.images.ndim - 1 != trained.dimensions:
            raise ValueError(f"{name} restores {trained.dimensions}-D rows at scale {factor}; this task is another.")
        return phase_average(restorer, problem.images, problem.known, problem.sigma, problem.inside)[0]

    return method


def shrink(coefficients: np.ndarray, level: np.ndarray, rule: str) -> np.ndarray:
    """Coefficients after a soft, hard or garrote threshold on their modulus; ``level`` broadcasts against them."""
    modulus = np.abs(coefficients)
    ratio = np.divide(level, modulus, out=np.full_like(modulus, np.inf), where=modulus > level)
    gain = {"soft": 1 - ratio, "hard": np.ones_like(ratio), "garrote": 1 - ratio**2}[rule]
    return np.where(np.isfinite(ratio), gain, 0) * coefficients


def dct_filter(threshold: float, rule: str) -> Method:
    """`mpijax.rows.filters.dct_filter` through SciPy, because 300 grids would be 300 compilations."""

    def restore(images: np.ndarray, known: np.ndarray, sigma: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        axes = tuple(range(1, images.ndim))
        level = (threshold * sigma).reshape(-1, *(1,) * len(axes))
        return scipy.fft.idctn(
            shrink(scipy.fft.dctn(images, axes=axes, norm="ortho"), level, rule), axes=axes, norm="ortho"
        )

    return per_grid(restore)


def interpolation(kind: str, prefilter: Method | None = None) -> Method:
    """From every second voxel to all: "bicubic" (Keys, aligned to the first voxel), "bicubic, misaligned" (as images are enlarged:
    coarse voxels taken for blocks, half a fine voxel off), "spline" (interpolating cubic B-spline, aligned; tricubic in 3-D).

    Works on coarse rows (scale 2) and on fine ones of which every second voxel is known.
    """

    def matrix(n: int, m: int) -> np.ndarray:
        if kind == "spline":
            return spline_matrix(n, m)
        return stride_matrix(n, m) if kind == "bicubic" else keys_matrix(n, 2 * n)[:m]

    def restore(images: np.ndarray, known: np.ndarray, sigma: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        if images.shape[1:] == shape:
            images = images[(slice(None), *(slice(None, None, 2) for _ in shape))]
        for axis, m in enumerate(shape, start=1):
            images = np.moveaxis(np.moveaxis(images, axis, -1) @ matrix(images.shape[axis], m).T, -1, axis)
        return images

    return per_grid(restore)


def coarsened(upsample: Method) -> Method:
    """A method of upsampling, given fine rows of which every second voxel from the first is known."""

    def method(problem: Problem) -> np.ndarray:
        every = (slice(None), *(slice(None, None, 2) for _ in problem.images.shape[1:]))
        inside = problem.inside[every]
        extents = -(-problem.extents // 2)
        return upsample(
            replace(problem, images=problem.images[every], known=inside, inside=inside, extents=extents, scale=2)
        )

    return method


def after_garrote(upsample: Method) -> Method:
    """A method of upsampling on coarse rows that a garrote at 2 sigma has filtered."""
    denoise = dct_filter(2.0, "garrote")

    def method(problem: Problem) -> np.ndarray:
        alone = replace(problem, fine_extents=problem.extents, clean=problem.images, scale=1)
        return upsample(replace(problem, images=denoise(alone)))

    return method


def biharmonic(denoise: bool = False) -> Method:
    """Biharmonic inpainting, with ``denoise`` around a garrote at 2 sigma."""

    def restore(images: np.ndarray, known: np.ndarray, sigma: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        return np.asarray(inpaint_denoise(images, known, sigma) if denoise else biharmonic_inpaint(images, known))

    return per_grid(restore)


def tune_threshold(problems: list[Problem], rule: str, thresholds: np.ndarray) -> tuple[float, dict[float, float]]:
    """The threshold [sigma] of the best mean PSNR, and the PSNR of each, from coefficients alone (the DCT keeps norms)."""
    found: dict[float, list[float]] = {float(t): [] for t in thresholds}
    for problem in problems:
        axes = tuple(range(problem.images.ndim - 1))
        for image, clean, sigma, extent in zip(
            problem.images, problem.clean, problem.sigma, problem.extents, strict=True
        ):
            cut = tuple(slice(n) for n in extent)
            noisy, true = (scipy.fft.dctn(x[cut], axes=axes, norm="ortho") for x in (image, clean))
            for t in found:
                error = shrink(noisy, np.asarray(t * sigma), rule) - true
                found[t].append(-10 * np.log10(np.mean(np.abs(error) ** 2)))
    means = {t: float(np.mean(values)) for t, values in found.items()}
    return max(means, key=lambda t: means[t]), means


Restore = Callable[[np.ndarray, np.ndarray], Any]
"""Rows (k, *s) of one grid and their noise (k,) to restored rows."""


def on_grid(method: Method, shape: tuple[int, ...], scale: int = 1, known: np.ndarray | None = None) -> Restore:
    """A method applied to the rows (k, *shape) of one calibration, chunk by chunk; boxes grow to multiples of 16."""
    box = tuple(-(-n // 16) * 16 for n in shape)
    fine = tuple(scale * n for n in shape)

    def restore(rows: np.ndarray, sigma: np.ndarray) -> np.ndarray:
        count, d = len(rows), len(shape)
        images = np.zeros((count, *box), np.complex64)
        images[(slice(None), *(slice(n) for n in shape))] = rows
        inside = np.zeros(images.shape, bool)
        inside[(slice(None), *(slice(n) for n in shape))] = True
        measured = inside.copy()
        if known is not None:
            measured[(slice(None), *(slice(n) for n in shape))] = known
        result = []
        for start in range(0, count, BATCH[d]):
            part = slice(start, start + BATCH[d])
            k = len(images[part])
            problem = Problem(
                images[part], measured[part], inside[part], np.asarray(sigma[part], np.float32),
                np.tile(shape, (k, 1)), np.tile(fine, (k, 1)), np.zeros((k, *(scale * n for n in box)), np.complex64), scale,
            )  # fmt: skip
            result.append(np.asarray(method(problem))[(slice(None), *(slice(n) for n in fine))])
        return np.concatenate(result)

    return restore

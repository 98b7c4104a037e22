"""Evaluating recovered system matrices: the same figures for every method on the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import mpijax as mj
from mpijax.core.typing import Complex, Float
from mpijax.datasets import RecoveryTask, apply_linear_filter, fit_linear_filter, recovery_batches
from mpijax.datasets.degrade import degrade
from mpijax.datasets.stream import RowSource
from mpijax.physics import complex_normal
from mpijax.restoration import CLASSICAL, load_upsampler
from mpijax.restoration.upsample import Upsampler


@dataclass(frozen=True)
class Case:
    """One test matrix.

    Attributes:
        name: of the case.
        truth: reference rows selected; clean where simulated, measured where measured.
        coarse: its noisy, degraded rows as images (m, h, w), in the order of ``truth.rows()``.
        sigma: complex noise standard deviation of each reference row (m,): 0 where unknown.
    """

    name: str
    truth: mj.SystemMatrix
    coarse: Complex[np.ndarray, "m h w"]
    sigma: Float[np.ndarray, " m"]

    @property
    def images(self) -> Complex[np.ndarray, "m y x"]:
        """Reference rows as images; several slices of a row follow one another."""
        grid = self.truth.grid
        return np.asarray(grid.to_image(self.truth.rows())).reshape(-1, grid.shape[1], grid.shape[0])


def make_case(name: str, truth: mj.SystemMatrix, sigma: Any, task: RecoveryTask, key: jax.Array) -> Case:
    """Add noise of ``sigma`` to the fine rows and degrade them."""
    grid = truth.grid
    images = np.asarray(grid.to_image(truth.rows())).reshape(-1, grid.shape[1], grid.shape[0])
    sigma = np.broadcast_to(np.asarray(sigma, images.real.dtype), len(images))
    noise = complex_normal(images.shape, sigma[:, None, None], key=key, dtype=images.dtype)
    return Case(name, truth, np.asarray(degrade(images + np.asarray(noise), task.scale, task.method)), sigma)


def linear_filter(task: RecoveryTask, source: RowSource, key: jax.Array, batches: int = 32) -> Upsampler:
    """The 5 x 5 linear filter fitted by least squares on training rows from the same source the network sees."""
    draw = jax.jit(recovery_batches(task, source))
    drawn = [draw(jax.random.fold_in(key, i)) for i in range(batches)]
    coarse, fine = (np.concatenate([np.asarray(b[name]) for b in drawn]) for name in ("input", "target"))
    weights = fit_linear_filter(coarse[..., 0] + 1j * coarse[..., 1], fine[..., 0] + 1j * fine[..., 1], task.scale)
    return lambda rows: apply_linear_filter(rows, weights)


def classical_upsamplers(task: RecoveryTask) -> dict[str, Upsampler]:
    """The baselines that need no training."""
    if task.method == "box":
        return {name: load_upsampler(name, task.scale) for name in CLASSICAL}
    return {"bicubic": load_upsampler("bicubic", task.scale, "stride" if task.method == "stride" else "box")}


def row_metrics(estimate: Complex[np.ndarray, "m y x"], case: Case) -> dict[str, float]:
    """Error of recovered rows against the reference.

    ``nrmse`` is the Frobenius error over all rows, each divided by its noise level (one level per simulated matrix, so that
    rows count by their energy); ``nrmse_scaled`` the same over rows scaled to maximum 1; ``nrmse_row`` the mean over rows of
    each row's own error; ``ssim`` the mean over rows scaled to maximum 1, range 2; ``psnr`` the mean over those rows, peak 1.
    """
    reference = case.images
    weight = 1 / np.where(case.sigma > 0, case.sigma, 1)[:, None, None]
    peak = np.abs(reference).max((1, 2), keepdims=True)
    peak = np.where(peak > 0, peak, 1)
    scaled, target = estimate / peak, reference / peak
    return {
        "nrmse": float(mj.metrics.nrmse(estimate * weight, reference * weight)),
        "nrmse_scaled": float(mj.metrics.nrmse(scaled, target)),
        "nrmse_row": float(np.mean(mj.metrics.nrmse(estimate, reference, axis=(1, 2)))),
        "ssim": float(mj.metrics.ssim(scaled, target, 2.0)),
        "psnr": float(np.mean(mj.metrics.psnr(scaled, target, 1.0, axis=(1, 2)))),
    }


def noise_floor(case: Case) -> float | None:
    """nRMSE that a fully measured fine matrix would have from its noise alone, on the same rows; None if unknown."""
    if not np.all(case.sigma > 0):
        return None
    weighted = case.images / case.sigma[:, None, None]
    return float(np.sqrt(weighted.size) / np.linalg.norm(weighted))


def evaluate(
    cases: list[Case], upsamplers: Mapping[str, Upsampler]
) -> tuple[list[dict[str, Any]], dict[str, list[np.ndarray]]]:
    """Metrics of every method on every case, and the recovered images (method -> one array per case)."""
    records: list[dict[str, Any]] = []
    recovered: dict[str, list[np.ndarray]] = {name: [] for name in upsamplers}
    for case in cases:
        for name, upsampler in upsamplers.items():
            estimate = np.asarray(upsampler(case.coarse))
            recovered[name].append(estimate)
            floor = noise_floor(case)
            records.append({"case": case.name, "method": name, **row_metrics(estimate, case), "noise_floor": floor})
    return records, recovered


def medians(records: list[dict[str, Any]], keys: tuple[str, ...], by: str = "method") -> list[dict[str, Any]]:
    """Median over cases of some figures, one row per method, in the order of appearance."""
    names = list(dict.fromkeys(r[by] for r in records))
    return [
        {by: name, **{k: float(np.median([r[k] for r in records if r[by] == name])) for k in keys}} for name in names
    ]

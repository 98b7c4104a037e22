"""Evaluating upsampled system matrices: the same figures for every method on the same rows."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

import mpijax as mj
from mpijax.core.typing import Complex, Float
from mpijax.datasets import CoarseMeasurement, Rows, TrainingRows
from mpijax.physics import complex_normal
from mpijax.restoration.upsampling import Upsampler
from mpijax.rows import apply_linear_filter, channels_to_complex, fit_linear_filter


@dataclass(frozen=True)
class Case:
    """One test matrix and how its coarse version is measured.

    Attributes:
        name: of the case.
        truth: reference rows selected; clean where simulated, measured where measured.
        sigma: complex noise standard deviation of a voxel of each reference row (m,), in the order of ``truth.rows()``; 0 where
            unknown.
        task: scale, degradation and sample.
        key: draws the noise of simulated measurements.
        measured: whether the reference rows carry the noise already.
        region: voxels (y, x) that count, None = all.
    """

    name: str
    truth: mj.SystemMatrix
    sigma: Float[np.ndarray, " m"]
    task: CoarseMeasurement
    key: jax.Array
    measured: bool = False
    region: np.ndarray | None = None

    @cached_property
    def images(self) -> Complex[np.ndarray, "m y x"]:
        """Reference rows as images; several slices of a row follow one another."""
        grid = self.truth.grid
        return np.asarray(grid.to_image(self.truth.rows())).reshape(-1, grid.shape[1], grid.shape[0])

    @cached_property
    def image_sigma(self) -> Float[np.ndarray, " k"]:
        """``sigma`` of every image."""
        return np.repeat(np.asarray(self.sigma, np.float32), len(self.images) // len(self.sigma))

    def sampled(self, method: str | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Coarse rows, by the task's degradation or another one, and their complex noise standard deviation."""
        task = self.task if method is None else replace(self.task, method=method)
        rows = Rows(self.images, self.image_sigma, measured=self.measured)
        coarse, _, sigma = task.measure(self.key, rows)
        known = sigma is not None and bool(np.all(self.image_sigma > 0))
        return np.asarray(coarse), np.asarray(sigma) if known else None

    @cached_property
    def coarse(self) -> Complex[np.ndarray, "m h w"]:
        """Coarse rows of the task."""
        return self.sampled()[0]

    def noisy(self) -> np.ndarray:
        """Fine rows as a small sample measures them."""
        if self.measured:
            return self.images
        noise = complex_normal(
            self.images.shape, self.image_sigma[:, None, None], key=self.key, dtype=self.images.dtype
        )
        return self.images + np.asarray(noise)


Method = Callable[[Case], np.ndarray]
"""Recovered images of a case, in the order of ``case.images``."""


def from_upsampler(upsampler: Upsampler, method: str | None = None) -> Method:
    """An upsampler as a method, on coarse rows of the task's degradation or another one."""
    return lambda case: np.asarray(upsampler(*case.sampled(method)))


def linear_filter(task: CoarseMeasurement, source: TrainingRows, key: jax.Array, batches: int = 32) -> Upsampler:
    """The 5 x 5 linear filter fitted by least squares on training rows from the same source the network sees.

    Rows are in units of their noise where it is known, as in the Frobenius error of the matrix; else scaled to maximum 1.
    """
    draw = jax.jit(source.batches(task, 64, key))
    drawn = [draw(jax.random.fold_in(key, i)) for i in range(batches)]
    coarse, fine = (np.concatenate([channels_to_complex(b[name]) for b in drawn]) for name in ("input", "target"))
    level = np.concatenate([b.get("noise_level", np.zeros(len(b["input"]))) for b in drawn])
    if np.all(level > 0):
        coarse, fine = coarse / level[:, None, None], fine / level[:, None, None]
    weights = fit_linear_filter(coarse, fine, task.scale)
    return lambda rows, sigma=None: apply_linear_filter(rows, weights)


def row_metrics(estimate: Complex[np.ndarray, "m y x"], case: Case) -> dict[str, float]:
    """Error of recovered rows against the reference, in the case's region.

    ``nrmse`` is the Frobenius error over all rows, each divided by its noise level (one level per simulated matrix, so that
    rows count by their energy), the root of ``error`` / ``power``; ``nrmse_scaled`` the same over rows scaled to maximum 1;
    ``nrmse_row`` the mean over rows of each row's own error; ``ssim`` the mean over rows scaled to maximum 1, range 2; ``psnr``
    the mean over those rows, peak 1; ``nrmse_range`` the mean over rows of the error over the range of real and imaginary parts.
    """
    reference = case.images
    inside = np.ones(reference.shape[1:], bool) if case.region is None else case.region
    weight = inside / np.where(case.image_sigma > 0, case.image_sigma, 1)[:, None, None]
    peak = np.abs(reference).max((1, 2), keepdims=True)
    peak = np.where(peak > 0, peak, 1)
    scaled, target = estimate / peak * inside, reference / peak * inside
    return {
        "nrmse": float(mj.metrics.nrmse(estimate * weight, reference * weight)),
        "error": float(np.sum(np.abs((estimate - reference) * weight) ** 2)),
        "power": float(np.sum(np.abs(reference * weight) ** 2)),
        "nrmse_scaled": float(mj.metrics.nrmse(scaled, target)),
        "nrmse_row": float(np.mean(mj.metrics.nrmse(estimate * inside, reference * inside, axis=(1, 2)))),
        "ssim": float(mj.metrics.ssim(scaled, target, 2.0)),
        "psnr": float(np.mean(mj.metrics.psnr(scaled, target, 1.0, axis=(1, 2)))),
        "nrmse_range": float(np.mean(mj.metrics.nrmse_range(scaled, target, axis=(1, 2)))),
    }


def stacked(records: list[dict[str, Any]]) -> float:
    """nRMSE of several cases taken as one matrix: TranSMS' figure."""
    return float(np.sqrt(sum(r["error"] for r in records) / sum(r["power"] for r in records)))


def noise_floor(case: Case) -> float | None:
    """nRMSE that a fully measured fine matrix would have from its noise alone, on the same rows; None if unknown."""
    if not np.all(case.sigma > 0):
        return None
    weighted = case.images / case.image_sigma[:, None, None]
    return float(np.sqrt(weighted.size) / np.linalg.norm(weighted))


def evaluate(
    cases: list[Case], methods: Mapping[str, Method], *, keep: int | None = None
) -> tuple[list[dict[str, Any]], dict[str, list[np.ndarray]]]:
    """Metrics of every method on every case, and the recovered images of the first ``keep`` cases (method -> one array each)."""
    records: list[dict[str, Any]] = []
    recovered: dict[str, list[np.ndarray]] = {name: [] for name in methods}
    for number, case in enumerate(cases):
        for name, method in methods.items():
            estimate = method(case)
            if keep is None or number < keep:
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

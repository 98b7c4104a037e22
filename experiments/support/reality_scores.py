"""Scores of the reality gap: every method of a task on the stored rows of every family, under two kinds of noise.

White noise is that of `experiments.support.restoration_eval`. The background follows the positions in raster order: a Gaussian
correlation of neighbors of `NEIGHBORS` positions with a share `DRIFT` of drift of 1/f power, fitted to the measured background
images of a field-free-line scanner (noise_k_2 .. 7 of BUAALGH/FFL-MPI-Data, MIT license; their correlation at one and two
positions is 0.71 and 0.19, the fit's 0.71 and 0.27; they may have been interpolated before they were published). Methods are told
its sigma.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

import mpijax as mj
from experiments.support.reality_sets import GapSet
from experiments.support.restoration_eval import Method, Problem, batches, corrupt, fixed_task, score
from experiments.support.restoration_methods import (
    after_garrote,
    biharmonic,
    coarsened,
    dct_filter,
    find_weights,
    interpolation,
    network,
    tune_threshold,
    wiener,
)

SIGMA = 0.1
NEIGHBORS, DRIFT = 1.2, 0.07
"""Length of the background's correlation in positions, and the share of 1/f drift in its power."""

NOISES = ("white", "background")
TASKS = ("denoise", "inpaint", "complete", "upsample")
THRESHOLDS = np.arange(0.5, 6.01, 0.25)
BOXES = {("rows", 2): (16, 24), ("fine", 2): (32, 48), ("rows", 3): (16,)}
GIVEN = {
    "as measured": "nothing",
    "DCT soft 2.75": "sigma",
    "DCT garrote, tuned": "sigma",
    "Wiener": "sigma, mask",
    "biharmonic after garrote": "sigma, mask",
    "spline": "mask",
    "spline after garrote": "sigma, mask",
    "bicubic": "nothing",
    "bicubic after garrote": "sigma",
    "denoise_2d": "sigma, mask",
    "restore_2d": "sigma, mask",
    "restore_3d": "sigma, mask",
    "upsample_2d": "sigma",
}
"""What each method is told. None is told scanner, sequence, particle, channel or frequency: a row is an image to it."""

NETWORKS = ("denoise_2d", "restore_2d", "restore_3d", "upsample_2d")


def methods_of(task: str, dimensions: int, tuned: float, others: Sequence[Path] = ()) -> dict[str, Method]:
    """The shipped network and the classical methods of a task; ``tuned`` is the garrote's threshold [sigma], ``others`` are further
    networks that denoise planes.

    Networks restore under two phases, as `mpijax restore` does.
    """
    if task == "upsample":
        found = {"bicubic": interpolation("bicubic"), "spline": interpolation("spline")}
        found |= {f"{name} after garrote": after_garrote(method) for name, method in found.items()}
        return {**found, "upsample_2d": network(find_weights("upsample_2d"), 2)}
    unified = f"restore_{dimensions}d"
    learned = {unified: network(find_weights(unified), 2)}
    filled = {"Wiener": wiener(dimensions)}
    if task == "denoise":
        plain: dict[str, Method] = {"as measured": lambda problem: problem.images}
        plain |= {"DCT soft 2.75": dct_filter(2.75, "soft"), "DCT garrote, tuned": dct_filter(tuned, "garrote")}
        own = {"denoise_2d": network(find_weights("denoise_2d"), 2)} if dimensions == 2 else {}
        own |= {path.parent.name: network(path, 2) for path in others if dimensions == 2}
        return plain | filled | own | learned
    if task == "inpaint":
        return {"biharmonic after garrote": biharmonic(denoise=True)} | filled | learned
    splines = {
        "spline": interpolation("spline"),
        "spline after garrote": coarsened(after_garrote(interpolation("spline"))),
    }
    return splines | filled | learned


def background(extents: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A background of unit complex standard deviation over a grid, the last axis fastest."""
    n = int(np.prod(extents))
    turns = np.fft.fftfreq(2 * n)
    drift = np.where(turns == 0, 0, 1 / np.abs(np.where(turns == 0, 1, turns)))
    near = np.exp(-((2 * np.pi * turns * NEIGHBORS) ** 2) / 2)
    power = DRIFT * drift / drift.sum() + (1 - DRIFT) * near / near.sum()
    white = rng.standard_normal((2, 2 * n))
    series = np.fft.ifft(np.fft.fft(white[0] + 1j * white[1]) * np.sqrt(power * 2 * n))[:n] / np.sqrt(2)
    return series.reshape(extents)


def with_background(problem: Problem, rows: np.ndarray, clean: np.ndarray, seed: int) -> Problem:
    """The same problem with a background in place of white noise; ``clean`` are its rows as the scanner would see them."""
    images = np.zeros_like(problem.images)
    for i, (row, extent) in enumerate(zip(rows, problem.extents, strict=True)):
        inside: Any = (i, *(slice(int(n)) for n in extent))
        noise = background([int(n) for n in extent], np.random.default_rng([seed, int(row)]))
        images[inside] = clean[inside] + problem.sigma[i] * noise
    return replace(problem, images=images)


def problems(found: GapSet, task: str, noise: str, half: str, seed: int) -> list[tuple[np.ndarray, Problem]]:
    """Matrix numbers and problem of every batch of a family's half."""
    rows = found.fine if task == "upsample" else found.rows
    if rows is None:
        return []
    boxes = BOXES["fine" if task == "upsample" else "rows", found.family.dimensions]
    corruption, result = fixed_task(task), []
    for batch in batches(rows, found.of_half(rows, half), boxes):
        problem = corrupt(batch, corruption, SIGMA, jax.random.key(seed))
        if noise == "background":
            seen = np.asarray(corruption.tasks[0].seen(problem.clean))
            problem = with_background(problem, batch.rows, seen, seed)
        result.append((batch.matrix, problem))
    return result


def tuned_threshold(sets: Sequence[GapSet], noise: str, seed: int) -> float:
    """The garrote's threshold of the best mean PSNR over the development halves of all families."""
    every = [problem for found in sets for _, problem in problems(found, "denoise", noise, "development", seed)]
    return tune_threshold(every, "garrote", THRESHOLDS)[0]


def scores(
    found: GapSet, task: str, noise: str, half: str, methods: Callable[[int], Mapping[str, Method]], seed: int
) -> dict[str, dict[str, Any]]:
    """Method -> figure -> mean [dB] with its 95 % interval by bootstrap over matrices, and the mean of every matrix."""
    parts = problems(found, task, noise, half, seed)
    if not parts:
        return {}
    matrix = np.concatenate([numbers for numbers, _ in parts])
    result: dict[str, dict[str, Any]] = {}
    for name, method in methods(found.family.dimensions).items():
        figures = [score(np.asarray(method(problem)), problem) for _, problem in parts]
        psnr = {k: np.concatenate([f[k] for f in figures]) for k in figures[0] if k.startswith("psnr")}
        result[name] = {
            k: list(mj.metrics.bootstrap_mean(v, matrix, key=jax.random.key(seed))) for k, v in psnr.items()
        }
        result[name]["matrices"] = {int(i): float(psnr["psnr"][matrix == i].mean()) for i in np.unique(matrix)}
    return result

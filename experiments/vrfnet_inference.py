"""How long recovery takes, and what noise and distorted fields do to it.

Paper: VRF-Net (high-resolution system matrix recovery with a vision transformer and a residual feature network), Table 10,
Fig. 13, sections 4.4 and 5.

Command:  python -m experiments.vrfnet_inference [--preset quick | paper | smoke] [--model DIR ...] [--run-dir DIR] ...

Times: every method at scales 2, 4 and 8, the networks at the published sizes (untrained: the weights do not matter), the second and
further calls on a batch of rows, compilation apart, and from these the seconds of one matrix.

Robustness, on slices of a simulated scan received by homogeneous coils, as in the paper: Gaussian noise of standard deviation 0.01
to 0.05 on real and imaginary part of coarse rows scaled to maximum 1; and the "sine wave distortion" that is to "emulate field
instabilities". The paper gives no formula. Read here: the field-free point is displaced, so that a row at (x, y) is that of
(x + a sin(2 pi y / L), y + a sin(2 pi x / L)), a in voxels and L the field of view; the distorted fine row is what is to be
recovered.
``--model`` names finished run directories, e.g. runs/vrfnet_simulated/scan_2/2x/vrfnet; without, small networks are trained.

Measured on two cores: ``quick`` 7 minutes, three of them training; ``paper`` wants a GPU.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.ndimage

import mpijax as mj
from experiments.support import upsampling
from experiments.support import vrfnet_paper as paper
from experiments.support.competitors import (
    NETWORKS,
    check_request,
    classical_methods,
    read_card,
    train_networks,
    trained,
)
from experiments.support.report import rows_figure, spread_rows
from experiments.support.run import csv_table, environment, markdown_table, parse, run_main, write_record
from experiments.support.sources import simulated_case
from experiments.support.upsampling import Case, Method, medians
from experiments.support.vrfnet_report import TINY, error_table, write_report
from mpijax import models
from mpijax.core.checks import check_choice, check_count, check_range
from mpijax.core.files import write_text
from mpijax.datasets import CoarseMeasurement, SuperResolutionPrior, simulated_source, z_slice
from mpijax.datasets.samplers.super_resolution import GRADIENT, N_VOXELS
from mpijax.physics import complex_normal
from mpijax.restoration import load_upsampler
from mpijax.restoration.network import network_rows
from mpijax.rows import RowMethod, apply_linear_filter
from mpijax.rows.sparse_fourier import compressed_calibration, random_mask
from mpijax.training import split

SIDE = 32
"""Fine voxels per axis of the rows that are timed."""


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers.

    Attributes:
        run_dir: where results go; finished trainings of the same settings are used again.
        model: finished run directories of one scale; empty = train.
        scan: of the simulated ones, 1 or 2: the rows that networks are trained and tested on.
        scale: upsampling factor of the robustness tests.
        networks: which are trained where no model is given.
        recipe: "quick" or "published".
        steps: of each training, in the order of the networks; empty = the recipe's.
        levels: standard deviations of the noise on coarse rows of maximum 1.
        amplitudes: a of the distortion [voxels of the fine grid].
        test_matrices: slices tested.
        timed: networks whose time is measured; the classical methods always are.
        timed_scales: upsampling factors.
        timed_rows: rows per call.
        repeats: calls, of which the fastest counts.
        matrix_rows: rows of the matrix whose seconds are printed: 3 channels of 500 frequencies.
        iterations: of compressed sensing, in the time alone.
        snr_threshold: rows below it are left out.
        tiny: networks of a few channels, for tests.
        seed: of weights, data and noise.
        progress: whether to show a progress bar.
    """

    run_dir: Path = Path("runs/vrfnet_inference")
    model: tuple[Path, ...] = ()
    scan: int = 2
    scale: int = 2
    networks: tuple[str, ...] = ("srcnn", "transms", "vrfnet")
    recipe: str = "quick"
    steps: tuple[int, ...] = (1500, 1200, 2500)
    levels: tuple[float, ...] = (0.01, 0.02, 0.03, 0.05)
    amplitudes: tuple[float, ...] = (0.5, 1.0, 2.0)
    test_matrices: int = 3
    timed: tuple[str, ...] = tuple(NETWORKS)
    timed_scales: tuple[int, ...] = (2, 4, 8)
    timed_rows: int = 64
    repeats: int = 3
    matrix_rows: int = 1500
    iterations: int = 1000
    snr_threshold: float = 10.0
    tiny: bool = False
    seed: int = 0
    progress: bool = True


PRESETS = {
    "quick": Config(),
    "paper": Config(
        networks=tuple(name for name in NETWORKS if name != "consistent_unet"),
        recipe="published",
        steps=(),
        test_matrices=32,
        timed_rows=1500,
        repeats=10,
    ),
    "smoke": Config(
        run_dir=Path("runs/vrfnet_inference_smoke"),
        networks=("vrfnet",),
        steps=(4,),
        levels=(0.05,),
        amplitudes=(1.0,),
        test_matrices=1,
        timed=("srcnn", "vrfnet"),
        timed_scales=(2,),
        timed_rows=4,
        repeats=1,
        iterations=3,
        snr_threshold=50.0,
        tiny=True,
    ),
}


@dataclass(frozen=True)
class NoisyCase(Case):
    """A case whose coarse rows carry Gaussian noise of ``level`` times their maximum in real and imaginary part."""

    level: float = 0.0

    def sampled(self, method: str | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        """Coarse rows with the noise added, and the noise level of both noises."""
        coarse, sigma = super().sampled(method)
        added = np.sqrt(2) * self.level * np.abs(coarse).max((1, 2))
        key = jax.random.fold_in(self.key, 7)
        noise = complex_normal(coarse.shape, jnp.asarray(added)[:, None, None], key=key, dtype=coarse.dtype)
        total = None if sigma is None else np.hypot(sigma, added).astype(np.float32)
        return coarse + np.asarray(noise), total


def main(config: Config) -> dict[str, Any]:
    """Train if need be, distort, evaluate, time, report; returns the results that ``results.json`` holds."""
    check_range("test_matrices", config.test_matrices, 1, 10_000, "")
    check_choice("scan", config.scan, (1, 2))
    check_count("timed_rows", config.timed_rows)
    check_request((*config.networks, *config.timed), (config.scale, *config.timed_scales))
    if not config.model and config.steps and len(config.steps) != len(config.networks):
        raise ValueError(f"steps = {config.steps}; give one number for each of {config.networks}, or none.")
    started = time.perf_counter()
    task = CoarseMeasurement(scale=config.scale)
    methods = _methods(config, task)
    clean = homogeneous_cases(config.scan, task, config.test_matrices, config.snr_threshold, config.seed)
    suites: dict[str, list[Case]] = {"as trained": clean}
    suites |= {f"noise {level:g}": [_noisy(case, level) for case in clean] for level in config.levels}
    suites |= {f"sine {a:g} voxels": [distorted(case, a) for case in clean] for a in config.amplitudes}
    figures = config.run_dir / "figures"
    results: dict[str, Any] = {"robustness": {}, "networks": {n: str(p) for n, p in _models(config).items()}}
    for suite, cases in suites.items():
        results["robustness"][suite], recovered = upsampling.evaluate(cases, methods, keep=1)
        if suite in (f"noise {config.levels[-1]:g}", f"sine {config.amplitudes[-1]:g} voxels"):
            shown = {name: estimates[0] for name, estimates in recovered.items()}
            rows_figure(cases[0], spread_rows(cases[0], 3), shown, figures / f"rows_{suite.split()[0]}.png")
    results["times"] = times(config)
    results["device"] = environment()["device"]
    results["seconds"] = time.perf_counter() - started
    write_record(config.run_dir, "vrfnet_inference", config)
    records = [{"suite": suite, **r} for suite, part in results["robustness"].items() for r in part]
    write_text(config.run_dir / "tables" / "robustness.csv", csv_table(records))
    write_text(config.run_dir / "tables" / "times.csv", csv_table(results["times"]))
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    write_report(config.run_dir, _report(config, results))
    return results


def _models(config: Config) -> dict[str, Path]:
    """Finished run directories by the network's name in reports."""
    return {NETWORKS[read_card(path)["model"]["name"]]: path for path in config.model}


def _methods(config: Config, task: CoarseMeasurement) -> dict[str, Method]:
    source = simulated_source(f"vrfnet-{config.scan}", task.scale, seed=config.seed, snr_threshold=config.snr_threshold)
    methods = classical_methods(task, source, jax.random.key(config.seed + 1), batches=2 if config.tiny else 32)
    if config.model:
        for path in config.model:
            scale = read_card(path)["model"]["scale"]
            if scale != config.scale:
                raise ValueError(
                    f"{path} was trained for scale {scale}, but scale = {config.scale}; give models of one scale."
                )
        return methods | {name: trained(path) for name, path in _models(config).items()}
    return methods | train_networks(
        config.networks,
        source,
        config.scale,
        config.run_dir / f"{config.scale}x",
        config.recipe,
        steps=dict(zip(config.networks, config.steps, strict=True)) if config.steps else None,
        seed=config.seed,
        progress=config.progress,
        options=TINY if config.tiny else None,
    )


def homogeneous_cases(scan: int, task: CoarseMeasurement, count: int, snr_threshold: float, seed: int) -> list[Case]:
    """Slices of the scan received by three homogeneous coils: matrices "that did not include coil sensitivity data"."""
    prior, cases = SuperResolutionPrior(scan=scan), []
    for i in range(count):
        key = jax.random.fold_in(jax.random.key(seed + 4000 + scan), i)
        number = N_VOXELS // 2 + (i + 1) // 2 * (-1) ** i * 4  # from the middle slice outwards
        setup = z_slice(prior.draw(key), number % N_VOXELS)
        matrix = mj.simulate_system_matrix(
            mj.Scanner.create(gradient=GRADIENT), setup.sequence, setup.particle, setup.grid()
        )
        cases.append(simulated_case(f"slice {number % N_VOXELS + 1}", matrix, snr_threshold, task, key))
    return cases


def _noisy(case: Case, level: float) -> NoisyCase:
    return NoisyCase(case.name, case.truth, case.sigma, case.task, case.key, level=level)


def distorted(case: Case, amplitude: float) -> Case:
    """The case with its fine rows displaced by ``amplitude`` voxels times a sine of one period over the grid.

    Bicubic splines, nearest voxel outside.
    """
    images = case.images
    ny, nx = images.shape[1:]
    y, x = np.meshgrid(np.arange(ny, dtype=float), np.arange(nx, dtype=float), indexing="ij")
    where = np.stack(
        [y + amplitude * np.sin(2 * np.pi * (x + 0.5) / nx), x + amplitude * np.sin(2 * np.pi * (y + 0.5) / ny)]
    )
    move = partial(scipy.ndimage.map_coordinates, coordinates=where, order=3, mode="nearest")
    moved = np.stack([move(image.real) + 1j * move(image.imag) for image in images]).astype(images.dtype)
    truth = case.truth
    values = np.zeros(np.shape(truth.values), images.dtype)
    values[truth.kept_rows()] = moved.reshape(len(moved), -1)
    return replace(case, truth=replace(truth, values=values))


def times(config: Config) -> list[dict[str, Any]]:
    """Seconds of every method, one record per method and scale."""
    key = jax.random.key(config.seed)
    records = []
    for scale in config.timed_scales:
        side = SIDE // scale
        rows = np.asarray(complex_normal((config.timed_rows, side, side), 1.0, key=key))
        level = np.full(config.timed_rows, 0.01, np.float32)
        for name, call in _timed_methods(config, scale).items():
            begun = time.perf_counter()
            np.asarray(call(rows, level))
            first = time.perf_counter() - begun
            seconds = []
            for _ in range(config.repeats):
                begun = time.perf_counter()
                np.asarray(call(rows, level))
                seconds.append(time.perf_counter() - begun)
            per_row = min(seconds) / config.timed_rows
            records.append(
                {
                    "method": name,
                    "scale": scale,
                    "first call [s]": first,
                    "seconds per row": per_row,
                    "seconds": per_row * config.matrix_rows,
                }
            )
    return records


def _timed_methods(config: Config, scale: int) -> dict[str, Callable[..., Any]]:
    weights = np.full((scale, scale, 5, 5), 0.04)
    known = random_mask((SIDE, SIDE), scale, key=jax.random.key(config.seed))
    fine = np.asarray(complex_normal((config.timed_rows, SIDE, SIDE), 1.0, key=jax.random.key(config.seed)))
    calls: dict[str, Callable[..., Any]] = {
        "bicubic": load_upsampler("bicubic", scale),
        "consistent-bicubic": jax.jit(load_upsampler("consistent-bicubic", scale)),
        "linear filter 5x5": lambda rows, level: apply_linear_filter(rows, weights),
        "compressed sensing": lambda rows, level: compressed_calibration(
            fine, known, sigma=level, iterations=config.iterations
        ),
    }
    for name in config.timed:
        options = TINY.get(name, {}) if config.tiny else {}
        model = models.create(name, scale=scale, input_shape=(SIDE // scale,) * 2, rngs=0, **options)
        apply = network_rows(model.config, split(model)[1], CoarseMeasurement(scale).trained())
        everywhere = np.ones((SIDE // scale,) * 2, bool)
        calls[NETWORKS[name]] = partial(_upsampled, apply, everywhere)
    return calls


def _upsampled(apply: RowMethod, everywhere: np.ndarray, rows: np.ndarray, level: np.ndarray) -> Any:
    return apply(rows, everywhere, everywhere, level)


def _report(config: Config, results: dict[str, Any]) -> list[str]:
    names = results["networks"] or {NETWORKS[n]: f"{config.recipe} recipe" for n in config.networks}
    lines = []
    for name in dict.fromkeys(r["method"] for r in results["times"]):
        printed = paper.TABLE_10.get(name)
        ours = {r["scale"]: r for r in results["times"] if r["method"] == name}
        line: dict[str, Any] = {"method": name}
        for i, scale in enumerate((2, 4, 8)):
            if scale in ours:
                line[f"paper {scale}x [s]"] = printed[i] if printed else "-"
                line[f"here {scale}x [s]"] = ours[scale]["seconds"]
        line["first call [s]"] = max(r["first call [s]"] for r in ours.values())
        lines.append(line)
    suites = list(results["robustness"])
    sections = [
        "# VRF-Net: time of recovery, noise and distorted fields",
        "Networks of the robustness tests: " + ", ".join(f"{n} ({origin})" for n, origin in names.items()) + ". "
        f"{results['seconds']:.0f} s in this run.",
        "## Seconds per matrix (Table 10)",
        f"{config.matrix_rows:,} rows of {SIDE} x {SIDE} voxels, from the fastest of {config.repeats} calls on {config.timed_rows} "
        f"rows; {results['device']}. The first call, which compiles, apart (the slowest of the scales). The paper "
        "says neither how large its matrix is nor what it ran on.",
        markdown_table(lines),
        *_plausibility(results["times"]),
        "## Noise and distorted fields (Fig. 13)",
        f"Scale {config.scale}, scan {config.scan}, homogeneous coils, {config.test_matrices} slices. nRMSE [%], medians. Noise: "
        "standard deviation on real and imaginary part of coarse rows of maximum 1; the reference stays clean. Sine: rows "
        "displaced by a sine of one period over the field of view in both directions, in voxels of the fine grid; the displaced "
        "row is the reference. This is our reading of a distortion that the paper does not define.",
        markdown_table(_by_suite(results["robustness"], suites, "nrmse", 100)),
        "SSIM:",
        markdown_table(_by_suite(results["robustness"], suites, "ssim", 1)),
        "The paper reports that noise of 0.01 to 0.05 lowers SSIM by 5 to 7 % and raises nRMSE by 10 to 12 %, without saying from "
        "where.",
        "### Without distortion",
        error_table(results["robustness"][suites[0]]),
        "![noise](figures/rows_noise.png)",
        "![sine](figures/rows_sine.png)",
    ]
    return sections


def _plausibility(records: list[dict[str, Any]]) -> list[str]:
    """TranSMS' time over VRF-Net's, beside the paper's."""
    ours = {(r["method"], r["scale"]): r["seconds"] for r in records}
    ratios = [
        f"{ours['TranSMS', s] / ours['VRF-Net', s]:.2f} at {s}x"
        for s in (2, 4, 8)
        if ("TranSMS", s) in ours and ("VRF-Net", s) in ours
    ]
    if not ratios:
        return []
    printed = paper.TABLE_10["TranSMS"][0] / paper.TABLE_10["VRF-Net"][0]
    return [
        f"TranSMS takes {', '.join(ratios)} of VRF-Net's time here; in the paper it is {printed:.0f} times as long at 2x. With a "
        "fifth of the weights that is not credible, nor is an SRCNN that is faster than the interpolation that it starts from."
    ]


def _by_suite(
    robustness: dict[str, list[dict[str, Any]]], suites: list[str], figure: str, factor: float
) -> list[dict[str, Any]]:
    lines = [{"method": r["method"]} for r in medians(robustness[suites[0]], (figure,))]
    for suite in suites:
        for line, record in zip(lines, medians(robustness[suite], (figure,)), strict=True):
            line[suite] = factor * record[figure]
    return lines


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)

"""What is compared: trained networks and classical methods, each as a `Method` of :mod:`experiments.support.upsampling`."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.support import upsampling
from experiments.support.upsampling import Case, Method, from_upsampler
from mpijax.core.checks import check_choice
from mpijax.datasets import CoarseMeasurement, TrainingRows
from mpijax.restoration import load_upsampler, recipe, train
from mpijax.rows.sparse_fourier import compressed_calibration, random_mask

NETWORKS = {
    "srcnn": "SRCNN",
    "vdsr": "VDSR",
    "mdsr": "MDSR",
    "smrnet": "2d-SMRnet",
    "transms": "TranSMS",
    "vrfnet": "VRF-Net",
    "consistent_unet": "consistent U-Net",
}
"""Registered name -> how reports call it."""

CONSISTENT = ("transms", "consistent_unet")
"""Networks whose projection asks for block means; without it on other degradations."""


def check_request(networks: Sequence[str], scales: Sequence[int]) -> None:
    """Refuse unknown networks and scales before anything is written."""
    for name in networks:
        check_choice("network", name, tuple(NETWORKS))
    for scale in scales:
        CoarseMeasurement(scale)


def train_networks(
    names: Sequence[str],
    source: TrainingRows,
    scale: int,
    run_dir: Path,
    preset: str,
    *,
    steps: int | Mapping[str, int] | None = None,
    seed: int = 0,
    progress: bool = True,
    method: str | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> dict[str, Method]:
    """Train networks on one source, each in ``run_dir / name``; finished runs are read, unfinished ones continued.

    Args:
        names: keys of `NETWORKS`.
        source: rows, and how their coarse versions are measured; drawn in batches of the recipe's size.
        scale: upsampling factor.
        run_dir: of all runs.
        preset: "quick" or "published", see :func:`mpijax.restoration.recipe`.
        steps: in place of the recipe's; one number, or some by name.
        seed: of weights and batches.
        progress: whether to show a progress bar.
        method: degradation in place of the recipe's: box, but stride for SMRnet.
        options: of a network by name, added to the recipe's.
        changes: values of :class:`mpijax.training.TrainConfig` for all.

    Returns:
        The trained networks by their names in reports; a network samples as it was trained.
    """
    methods = {}
    for name in names:
        check_choice("network", name, tuple(NETWORKS))
        count = steps.get(name) if isinstance(steps, Mapping) else steps
        given = changes if count is None else changes | {"steps": count}
        chosen = recipe(name, scale, preset, seed=seed, **given)
        task = network_task(name, source, scale, chosen.task, method)
        extra = dict((options or {}).get(name, {}))
        if name in CONSISTENT and task.method != "box":
            extra = {"data_consistency": False} | extra
        train(
            task,
            source,
            name,
            chosen.config,
            run_dir=run_dir / name,
            options=chosen.options | extra,
            progress=progress,
        )
        methods[NETWORKS[name]] = trained(run_dir / name)
    return methods


def network_task(
    name: str, source: TrainingRows, scale: int, chosen: Mapping[str, Any], method: str | None = None
) -> CoarseMeasurement:
    """The task of a network: the source's measurement, the recipe's scaling, and a degradation in place of its own.

    SMRnet stays with the small sample (strided rows) that it was made for unless a degradation is asked for.
    """
    values: dict[str, Any] = {"sample": source.sample, "target": source.target, **chosen}
    if method is not None and values.get("method") != "stride":
        values["method"] = method
    if values.get("method") in ("maxavg", "absmax"):
        values["sample"] = "retrospective"  # a maximum is taken of measured voxels
    return CoarseMeasurement(scale=scale, **values)


def trained(run_dir: Path) -> Method:
    """The method of a finished run, on coarse rows of the degradation that it was trained on."""
    card = read_card(run_dir)
    data = card["metadata"].get("data", {})
    method = data.get("pairs", data).get("method", "box")  # before version 0.8 beside the facts
    sampling = "stride" if method == "stride" else "box"
    return from_upsampler(load_upsampler(run_dir, card["model"]["scale"], sampling), method)


def read_card(run_dir: Path) -> dict[str, Any]:
    """The card of a finished run: network, weights' shapes, data."""
    return json.loads((run_dir / "weights.json").read_text(encoding="utf-8"))


def weights_of(card: dict[str, Any]) -> int:
    """Number of trained weights."""
    return int(sum(np.prod(shape) for name, shape in card["arrays"].items() if name.startswith("params")))


def training_facts(names: Sequence[str], run_dir: Path) -> list[dict[str, Any]]:
    """Weights, steps and seconds of finished runs, one record per network."""
    records = []
    for name in names:
        metrics = learning_curve(run_dir / name)
        last = [r for r in metrics if "steps_per_second" in r][-1]
        records.append(
            {
                "network": NETWORKS[name],
                "weights": weights_of(read_card(run_dir / name)),
                "steps": int(last["step"]),
                "steps/s": float(last["steps_per_second"]),
            }
        )
    return records


def learning_curve(run_dir: Path) -> list[dict[str, Any]]:
    """The lines of metrics.jsonl."""
    return [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]


def classical_methods(
    task: CoarseMeasurement,
    source: TrainingRows,
    key: jax.Array,
    *,
    compressed: bool = False,
    iterations: int = 1000,
    batches: int = 32,
) -> dict[str, Method]:
    """The methods that need no network.

    Bicubic interpolation of the task's coarse rows; of every S-th voxel of a small sample (strided), with and without knowing
    that these lie (S-1)/2 voxels off the middle of their block; with block means enforced; the best 5 x 5 linear filter; and
    with ``compressed`` :func:`compressed_sensing`.

    Args:
        task: scale and degradation.
        source: rows that the linear filter is fitted on.
        key: draws these rows and the random voxels.
        compressed: whether to include compressed sensing.
        iterations: of its ADMM.
        batches: of rows that the linear filter is fitted on.
    """
    fit_key, mask_key = jax.random.split(key)
    methods = bicubic_methods(task)
    if task.method == "box":
        methods["consistent-bicubic"] = from_upsampler(load_upsampler("consistent-bicubic", task.scale))
    methods["linear filter 5x5"] = from_upsampler(upsampling.linear_filter(task, source, fit_key, batches))
    if compressed:
        methods["compressed sensing"] = compressed_sensing(task.scale, mask_key, iterations)
    return methods


def bicubic_methods(task: CoarseMeasurement) -> dict[str, Method]:
    """Bicubic interpolation of the task's coarse rows and of strided ones, aligned and not."""
    scale = task.scale
    own = "stride" if task.method == "stride" else "box"
    methods = {"bicubic": from_upsampler(load_upsampler("bicubic", scale, own))}
    if task.method != "stride":
        methods["strided bicubic"] = from_upsampler(load_upsampler("bicubic", scale, "stride"), "stride")
    methods["strided bicubic, misaligned"] = from_upsampler(load_upsampler("bicubic", scale, "box"), "stride")
    return methods


def compressed_sensing(scale: int, key: jax.Array, iterations: int = 1000) -> Method:
    """The sparsest Fourier spectrum behind every S^2-th voxel of a small sample, drawn at random (the slowest by far).

    Args:
        scale: S.
        key: draws the voxels.
        iterations: of ADMM.
    """

    def method(case: Case) -> np.ndarray:
        known = random_mask(case.images.shape[1:], scale, key=key)
        sigma = case.image_sigma if np.all(case.image_sigma > 0) else None
        return np.asarray(compressed_calibration(case.noisy(), known, sigma=sigma, iterations=iterations))

    return method

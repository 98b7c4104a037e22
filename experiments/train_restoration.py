"""Train the restoration networks that ship with mpijax, on rows that are simulated while they train.

Paper: deep learning for restoring system matrices from simulated training data, sections 3.1-3.3 (Table 1, eq. 9).

Command:  python -m experiments.train_restoration --preset denoise_2d [--run-dir runs/denoise_2d] ...

The presets take 6 to 26 minutes on two cores; a run directory that holds an unfinished run of the same settings is
continued. The result, ``weights.npz`` with its card, is what ``mpijax restore --model RUN_DIR`` takes and what data/weights holds.
"""

import functools
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.support.run import parse, run_main, write_record
from mpijax import models
from mpijax.datasets import Bucket, RestorationPrior, RestorationTask, RowStream
from mpijax.datasets.fixed_sets import FixedRows, FixedSet
from mpijax.training import Result, TrainConfig, count_parameters, fit

FINE = (12.48, 16.64)
"""Voxels per FWHM of matrices that are twice as fine as a calibration: what an upsampler is trained to return."""


@dataclass(frozen=True)
class Config:
    """What is trained on what.

    Attributes:
        task: denoise, inpaint, complete, upsample or any (`mpijax.datasets.RestorationTask`).
        dimensions: 2 or 3.
        particles: mixed, fluid, immobilized or langevin.
        model: name of the network.
        features: width of each level of a unet.
        blocks: residual blocks per level and direction of a unet.
        patch: voxels per axis merged at the input of a unet.
        noise_power: of the distribution of noise levels; above one, more rows are nearly clean.
        boxes: padded sizes of the fine grid [voxels per axis]; grids that fit none are not drawn.
        smallest: voxels per axis of the smallest grid.
        steps: of training.
        batch_size: rows per step.
        learning_rate: of the first step.
        final_learning_rate: of the last step.
        clip_norm: largest norm of the gradient; None = no limit.
        schedule: cosine, multistep, exponential or constant.
        slots: matrices in the reservoir of each box.
        rows_per_matrix: rows kept of each.
        reuse: steps between two new matrices.
        nodes: drive phases per axis at which moments are simulated; None = the samples of a period.
        validation: matrices to validate on.
        validate_every: steps between two validations.
        run_dir: receives weights, metrics and checkpoints.
        seed: of weights, matrices and batches.
        progress: whether to show a progress bar.
    """

    task: str = "denoise"
    dimensions: int = 2
    particles: str = "mixed"
    model: str = "wiener_unet"
    features: tuple[int, ...] = (64, 96, 128)
    blocks: int = 1
    patch: int = 2
    noise_power: float = 1.0
    boxes: tuple[int, ...] = (32, 48)
    smallest: int = 8
    steps: int = 16000
    batch_size: int = 16
    learning_rate: float = 1e-3
    final_learning_rate: float = 2e-6
    clip_norm: float | None = None
    schedule: str = "cosine"
    slots: int = 64
    rows_per_matrix: int = 32
    reuse: int = 8
    nodes: int | None = None
    validation: int = 24
    validate_every: int = 1000
    run_dir: Path = Path("runs/train_restoration")
    seed: int = 0
    progress: bool = True


PRESETS = {
    "denoise_2d": Config(run_dir=Path("runs/denoise_2d")),
    "upsample_2d": Config(
        task="upsample", model="unet", features=(48, 64, 96), patch=1, noise_power=3.0, boxes=(64,), smallest=16, steps=7000,
        run_dir=Path("runs/upsample_2d"),
    ),
    "restore_3d": Config(
        task="any", dimensions=3, features=(48, 64, 96), noise_power=2.0, boxes=(24,), smallest=12, steps=2500, batch_size=8,
        learning_rate=5e-4, clip_norm=0.1, slots=32, rows_per_matrix=64, reuse=30, nodes=20, validation=3, validate_every=500,
        run_dir=Path("runs/restore_3d"),
    ),
    "restore_2d": Config(task="any", noise_power=2.0, boxes=(32,), steps=5000, run_dir=Path("runs/restore_2d")),
    "inpaint_2d": Config(task="inpaint", noise_power=2.0, boxes=(32,), steps=5000, run_dir=Path("runs/inpaint_2d")),
    "complete_2d": Config(task="complete", noise_power=2.0, boxes=(32,), steps=5000, run_dir=Path("runs/complete_2d")),
    "fluid_2d": Config(particles="fluid", model="unet", boxes=(32,), steps=3000, run_dir=Path("runs/fluid_2d")),
    "langevin_2d": Config(particles="langevin", model="unet", boxes=(32,), steps=3000, run_dir=Path("runs/langevin_2d")),
    "smoke": Config(
        features=(8,), boxes=(16,), steps=2, batch_size=2, slots=2, rows_per_matrix=4, validation=1, run_dir=Path("runs/smoke")
    ),
}  # fmt: skip


def main(config: Config) -> Result:
    """Train; returns the finished run."""
    prior = prior_of(config)
    task = RestorationTask(
        config.task, scale=2 if config.task == "upsample" else 1, noise_power=config.noise_power, missing_weight=3.0
    )
    sizes: dict[str, Any] = {"features": config.features, "blocks": config.blocks, "patch": config.patch}
    network = models.create(
        config.model,
        scale=task.scale,
        dimensions=config.dimensions,
        rngs=config.seed,
        **(sizes if config.model.endswith("unet") else {}),
    )
    print(f"{config.model}: {count_parameters(network):,} weights; task {config.task}")
    key = jax.random.key(config.seed)
    stream = RowStream(
        prior,
        task.pair,
        _buckets(config),
        key=jax.random.fold_in(key, 1),
        batch_size=config.batch_size,
        slots=config.slots,
        rows_per_matrix=config.rows_per_matrix,
        reuse=config.reuse,
        draws=1024 if config.dimensions == 3 else 256,
        nodes=config.nodes,
    )
    recipe = TrainConfig(
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        final_learning_rate=config.final_learning_rate,
        schedule=config.schedule,
        clip_norm=config.clip_norm,
        loss="l1",
        monitor="-psnr",
        validate_every=config.validate_every,
        checkpoint_every=config.validate_every,
        seed=config.seed,
    )
    config.run_dir.mkdir(parents=True, exist_ok=True)
    write_record(config.run_dir, "train_restoration", config)
    return fit(
        network,
        stream,
        recipe,
        run_dir=config.run_dir,
        validate=validation(config, task),
        metadata={"prior": asdict(prior), "task": asdict(task)},
        progress=config.progress,
    )


def prior_of(config: Config) -> RestorationPrior:
    """Calibrations of the paper's Table 1 on grids that fit the boxes; twice as fine for an upsampler."""
    options: dict[str, Any] = {"voxels_per_fwhm": FINE} if config.task == "upsample" else {}
    return RestorationPrior(
        config.dimensions, config.particles, size_range=(config.smallest, max(config.boxes)), **options
    )


def validation(config: Config, task: RestorationTask) -> Callable[[Callable[..., jax.Array]], dict[str, float]]:
    """Mean PSNR [dB] over rows that are never trained on, corrupted once: all voxels inside the grid, peak = largest modulus."""
    box = max(config.boxes)
    spec = FixedSet(
        "validation",
        prior_of(config),
        seed=7919,
        count=config.validation,
        rows_per_matrix=8,
        candidates=64,
        boxes=(box,),
    )
    rows = spec.simulate()
    # without noise a row with nothing missing is its own restoration, of infinite PSNR
    levels = (0.06, 0.2) if config.task in ("denoise", "any") else (0.0, 0.06, 0.2)
    batches = {f"psnr_{sigma:g}": _corrupted(rows, box, task, sigma) for sigma in levels}

    def validate(apply: Callable[..., jax.Array]) -> dict[str, float]:
        values = {
            name: float(
                _psnr(apply(b["input"], mask=b["mask"], noise_level=b["noise_level"]), b["target"], b["weight"])
            )
            for name, b in batches.items()
        }
        return {"psnr": sum(values.values()) / len(values)} | values

    return validate


def _corrupted(rows: FixedRows, box: int, task: RestorationTask, sigma: float) -> dict[str, jax.Array]:
    fixed = RestorationTask(
        task.task,
        scale=task.scale,
        noise_range=(sigma, sigma),
        scale_range=(1.0, 1.0),
        missing_range=(0.1, 0.1),
        max_blocks=1,
    )
    three = rows.extents[0, 2] > 1
    shape = (box if three else 1, box, box)
    images = np.zeros((len(rows), *shape), np.complex64)
    for i in range(len(rows)):
        image = rows.image(i)
        depth, height, width = image.shape
        images[i, :depth, :height, :width] = image
    images = images if three else images[:, 0]
    extents = rows.extents[rows.matrix]
    keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(1)))(jnp.arange(len(rows)))
    return jax.jit(jax.vmap(fixed.pair))(keys, images, extents)


def _psnr(out: jax.Array, target: jax.Array, weight: jax.Array) -> jax.Array:
    axes = tuple(range(1, out.ndim))
    inside = weight > 0
    peak = jnp.max(jnp.sum(target**2, -1), axis=axes[:-1])
    error = jnp.sum(jnp.where(inside, (out - target) ** 2, 0), axis=axes) / jnp.sum(inside, axis=axes)
    return jnp.mean(10 * jnp.log10(peak / error))


def _buckets(config: Config) -> list[Bucket]:
    def cube(n: int) -> tuple[int, int, int]:
        return n, n, n if config.dimensions == 3 else 1

    sizes = sorted(config.boxes)
    above = [None, *map(cube, sizes)]
    return [Bucket(cube(n), cube(config.smallest), a) for n, a in zip(sizes, above, strict=False)]


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)

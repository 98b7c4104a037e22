"""Train the restoration networks that ship with mpijax, on rows that are simulated while they train.

Paper: deep learning for restoring system matrices from simulated training data, sections 3.1-3.3 (Table 1, eq. 9).

Command:  python -m experiments.train_restoration --preset denoise_2d [--run-dir runs/denoise_2d] ...

The presets take 6 to 26 minutes on two cores; a run directory that holds an unfinished run of the same settings is
continued. The result, ``weights.npz`` with its card, is what ``mpijax restore --model RUN_DIR`` takes and what data/weights holds.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.support.run import parse, run_main, write_record
from mpijax import restoration
from mpijax.datasets import Calibrations, Imperfections, MatrixPool, Mixture, RandomCorruption, RestorationPrior
from mpijax.datasets.sources import Source
from mpijax.rows import Complete, Denoise, Inpaint, Task, Upsample
from mpijax.training import Result, TrainConfig

TASKS: dict[str, tuple[Task, ...]] = {
    "denoise": (Denoise(),),
    "inpaint": (Inpaint(),),
    "complete": (Complete(2),),
    "upsample": (Upsample(2, "stride"),),
    "any": (Denoise(), Inpaint(), Complete(2)),
}

POOLS = Path("runs/pools/neel.npz"), Path("runs/pools/brown.npz")

FINE = (12.48, 16.64)
"""Voxels per FWHM of matrices that are twice as fine as a calibration: what an upsampler is trained to return."""


@dataclass(frozen=True)
class Config:
    """What is trained on what.

    Attributes:
        task: denoise, inpaint, complete, upsample or any (the first three).
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
        imperfections: whether coils, fields and sizes are drawn that are not ideal, :class:`mpijax.datasets.Imperfections`.
        colored: share of the rows with a colored, bursty background in place of white noise.
        pools: files of ``python -m experiments.rich_pools``, matrices with relaxation, wide sizes, coils and fields of other kinds.
        pool_shares: of the steps, in their order; the others are simulated while it trains.
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
    imperfections: bool = False
    colored: float = 0.0
    pools: tuple[Path, ...] = ()
    pool_shares: tuple[float, ...] = ()
    run_dir: Path = Path("runs/train_restoration")
    seed: int = 0
    progress: bool = True


PRESETS = {
    "denoise_2d": Config(run_dir=Path("runs/denoise_2d")),
    "denoise_2d_rich": Config(
        imperfections=True, colored=0.2, pools=POOLS, pool_shares=(0.22, 0.08), run_dir=Path("runs/denoise_2d_rich")
    ),
    "denoise_2d_no_brown": Config(
        imperfections=True, colored=0.2, pools=POOLS[:1], pool_shares=(0.3,), run_dir=Path("runs/denoise_2d_no_brown")
    ),
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
    recipe = TrainConfig(
        steps=config.steps,
        batch_size=config.batch_size,
        learning_rate=config.learning_rate,
        final_learning_rate=config.final_learning_rate,
        schedule=config.schedule,
        clip_norm=config.clip_norm,
        loss="l1",
        validate_every=config.validate_every,
        checkpoint_every=config.validate_every,
        seed=config.seed,
    )
    sizes: dict[str, Any] = {"features": config.features, "blocks": config.blocks, "patch": config.patch}
    config.run_dir.mkdir(parents=True, exist_ok=True)
    write_record(config.run_dir, "train_restoration", config)
    return restoration.train(
        corruption(config),
        source(config),
        config.model,
        recipe,
        run_dir=config.run_dir,
        options=sizes if config.model.endswith("unet") else {},
        progress=config.progress,
    )


def corruption(config: Config) -> RandomCorruption:
    """What is done to the rows."""
    noise: dict[str, Any] = {"noise": "surrogate", "noise_share": config.colored} if config.colored else {}
    return RandomCorruption(TASKS[config.task], noise_power=config.noise_power, missing_weight=3.0, **noise)


def source(config: Config) -> Source:
    """Calibrations that are simulated while it trains, and the pools' share."""
    streamed = calibrations(config)
    if not config.pools:
        return streamed
    missing = [path for path in config.pools if not path.exists()]
    if missing:
        raise FileNotFoundError(f"{missing[0]} does not exist; make it with python -m experiments.rich_pools.")
    pools = tuple(MatrixPool(path, min(config.boxes)) for path in config.pools)
    return Mixture((streamed, *pools), (1 - sum(config.pool_shares), *config.pool_shares))


def calibrations(config: Config) -> Calibrations:
    """Calibrations of the paper's Table 1 on grids that fit the boxes; twice as fine for an upsampler."""
    options: dict[str, Any] = {"voxels_per_fwhm": FINE} if config.task == "upsample" else {}
    prior = RestorationPrior(
        config.dimensions, config.particles, size_range=(config.smallest, max(config.boxes)), **options
    )
    return Calibrations(
        prior,
        config.boxes,
        config.smallest,
        slots=config.slots,
        rows_per_matrix=config.rows_per_matrix,
        reuse=config.reuse,
        nodes=config.nodes,
        validation=config.validation,
        imperfections=Imperfections() if config.imperfections else None,
    )


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)

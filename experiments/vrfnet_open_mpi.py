"""VRF-Net: recover a fine system matrix from a coarse one and reconstruct with it.

Paper: VRF-Net (high-resolution system matrix recovery with a vision transformer and a residual feature network), Tables 4
and 6, Figs. 4, 9, 11, at scale 2 (4 and 8 by ``--scale``).

Command:  python -m experiments.vrfnet_open_mpi [--preset quick | paper | smoke] [--data-root DIR] [--run-dir DIR] ...

Two sources of data, one code path. By default system matrices are simulated on the fly: a 2-D Lissajous field-free point,
32 x 32 voxels, 30 mm, trained on cores of 18-25 nm, gradients of 0.8-1.2 T/m and amplitudes of 10-14 mT and tested outside
these ranges. With ``--data-root`` a copy of the Open MPI data set is used: calibrations 9 and 10 to train, 3 to test, and 8
(a patch of the same session as 9 and 10, so an easier test) reported apart.

``--competitors srcnn vdsr mdsr smrnet transms`` (or ``all``) trains these networks beside VRF-Net, ``--compressed-sensing`` adds
calibration at random positions; interpolation of large and of small (strided) samples and a fitted linear filter are always
there. The tables of the paper stand beside ours; why they cannot be compared, the report says.

Expected on two cores: ``quick`` about 9 minutes, VRF-Net's error 0.4 of bicubic's and below the fitted linear filter's.
``paper`` is the published recipe (350 epochs of 6,000 rows, 128 features, 10 blocks) with all competitors, for a GPU.
"""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from experiments.support import report, upsampling
from experiments.support.competitors import NETWORKS, classical_methods, train_networks, trained
from experiments.support.fitted import evaluate_fitted
from experiments.support.images import phantom_images
from experiments.support.run import parse, run_main, write_record
from experiments.support.sources import Source, lissajous_source, open_mpi_source
from mpijax import restoration
from mpijax.core.checks import check_choice, check_range
from mpijax.core.files import write_text
from mpijax.datasets import CoarseMeasurement
from mpijax.training import TrainConfig


@dataclass(frozen=True)
class Config:
    """Everything that decides the numbers.

    Attributes:
        run_dir: where results go; an unfinished run of the same settings is continued.
        data_root: a copy of the Open MPI data set; None = simulated matrices.
        scale: upsampling factor, 2, 4 or 8.
        degradation: box (a large sample), stride, maxavg (the paper's dual pooling) or absmax.
        features, blocks, embed: size of VRF-Net (128, 10, 64 in the paper).
        steps: training steps of 64 rows; 0 = without VRF-Net.
        learning_rate, final_learning_rate: decayed exponentially.
        ema_decay: of the running mean of the weights.
        checkpoint_every, validate_every, log_every: in steps.
        competitors: networks trained beside VRF-Net, "all" or names: srcnn, vdsr, mdsr, smrnet, transms, consistent_unet.
        recipe: of the competitors, "quick" or "published".
        competitor_steps: in place of the recipe's.
        compressed_sensing: whether calibration at random positions is among the methods; the slowest by far.
        test_matrices: how many matrices are simulated to test on.
        fitted_matrices: how many of the test matrices, the first, one particle is fitted to as well, a minute each; 0 = none.
        snr_threshold: rows below it are left out.
        position_seconds: calibration time of one position: 1,000 averages of a 0.65 ms period and a robot move [s].
        seed: of weights, data and noise.
        progress: whether to show a progress bar.
    """

    run_dir: Path = Path("runs/vrfnet_open_mpi")
    data_root: Path | None = None
    scale: int = 2
    degradation: str = "box"
    features: int = 16
    blocks: int = 4
    embed: int = 16
    steps: int = 3500
    learning_rate: float = 3e-3
    final_learning_rate: float = 3e-5
    ema_decay: float = 0.995
    checkpoint_every: int = 250
    validate_every: int = 250
    log_every: int = 50
    competitors: tuple[str, ...] = ()
    recipe: str = "quick"
    competitor_steps: int | None = None
    compressed_sensing: bool = False
    test_matrices: int = 9
    fitted_matrices: int = 3
    snr_threshold: float = 10.0
    position_seconds: float = 1.65
    seed: int = 0
    progress: bool = True


PRESETS = {
    "quick": Config(),
    "paper": Config(
        features=128,
        blocks=10,
        embed=64,
        steps=350 * 6000 // 64,
        learning_rate=1e-3,
        final_learning_rate=1e-7,
        ema_decay=0.999,
        checkpoint_every=1000,
        validate_every=1000,
        competitors=("all",),
        recipe="published",
        compressed_sensing=True,
        test_matrices=32,
        fitted_matrices=32,
    ),
    "smoke": Config(
        blocks=1,
        steps=120,
        checkpoint_every=40,
        validate_every=60,
        log_every=20,
        test_matrices=2,
        fitted_matrices=0,
    ),
}


def train(config: Config, task: CoarseMeasurement, source: Source) -> Any:
    """Train VRF-Net, or continue, or return what is finished; weights are in the run directory."""
    recipe = TrainConfig(
        steps=config.steps,
        batch_size=64,
        learning_rate=config.learning_rate,
        final_learning_rate=config.final_learning_rate,
        ema_decay=config.ema_decay,
        log_every=config.log_every,
        validate_every=config.validate_every,
        checkpoint_every=config.checkpoint_every,
        seed=config.seed,
    )
    return restoration.train(
        task,
        source.training,
        "vrfnet",
        recipe,
        run_dir=config.run_dir,
        options={"features": config.features, "blocks": config.blocks, "embed": config.embed},
        progress=config.progress,
    )


def main(config: Config) -> dict[str, Any]:
    """Train, evaluate, reconstruct, report; returns the results that ``results.json`` holds."""
    check_range("test_matrices", config.test_matrices, 1, 10_000, "")
    check_range("fitted_matrices", config.fitted_matrices, 0, 10_000, "")
    others = tuple(name for name in NETWORKS if name != "vrfnet")
    for name in config.competitors:
        check_choice("competitors", name, (*others, "all"))
    others = others if "all" in config.competitors else config.competitors
    started = time.perf_counter()
    task = CoarseMeasurement(scale=config.scale, method=config.degradation)
    if config.data_root is None:
        source = lissajous_source(task, config.test_matrices, config.snr_threshold, config.seed)
    else:
        source = open_mpi_source(config.data_root, task, config.snr_threshold, config.seed)
    task = replace(task, sample=source.training.sample, target=source.training.target)
    vrfnet, parameters = {}, 0
    if config.steps:
        result = train(config, task, source)
        vrfnet = {"VRF-Net": trained(config.run_dir)}
        parameters = int(sum(np.size(x) for x in jax.tree.leaves(result.weights.params)))
    trained_after = time.perf_counter()
    write_record(config.run_dir, "vrfnet_open_mpi", config)

    methods = {
        **classical_methods(
            task, source.training, jax.random.key(config.seed + 1), compressed=config.compressed_sensing
        ),
        **train_networks(
            others,
            source.training,
            config.scale,
            config.run_dir / "competitors",
            config.recipe,
            steps=config.competitor_steps,
            seed=config.seed,
            progress=config.progress,
            method=None if config.degradation == "box" else config.degradation,
        ),
        **vrfnet,
    }
    records, recovered = upsampling.evaluate(source.tests, methods)
    fitted, more, said = evaluate_fitted(source.tests[: config.fitted_matrices])
    records, recovered = records + fitted, recovered | more
    apart = {name: upsampling.evaluate(cases, methods, keep=0)[0] for name, cases in source.apart.items()}
    images = phantom_images(source, methods, recovered)
    results = {
        "scale": config.scale,
        "parameters": parameters,
        "rows": {case.name: len(case.coarse) for case in source.tests},
        "matrices": records,
        "apart": apart,
        "images": images.records,
        "fitted": said,
        "calibration": _calibration_time(config, source),
    }
    write_text(config.run_dir / "results.json", json.dumps(results, indent=2) + "\n")
    seconds = {"training": trained_after - started, "total": time.perf_counter() - started}
    report.write(config, source, results, recovered, images, seconds)
    return results


def _calibration_time(config: Config, source: Source) -> dict[str, float]:
    """Positions and hours of a full and of a coarse calibration of the test grid."""
    fine = int(np.prod(source.tests[0].truth.grid.shape))
    coarse = fine // config.scale**2
    return {
        "positions": fine,
        "positions_coarse": coarse,
        "hours": fine * config.position_seconds / 3600,
        "hours_coarse": coarse * config.position_seconds / 3600,
    }


if __name__ == "__main__":
    chosen = parse(PRESETS, None, __doc__ or "")
    run_main(main, chosen, chosen.run_dir)

"""``mpijax fit`` and ``train``: models and networks from calibrations."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from rich.console import Console
from tyro.conf import Positional, arg

import mpijax as mj
from mpijax.cli.options import by, check_output, one_patch


def fit(
    file: Positional[Path],
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    free: tuple[str, ...] = ("core_diameter", "gradient", "ffp"),
    diameter: float = 20.0,
    gradient: tuple[float, float, float] | None = None,
    snr_threshold: float = 10.0,
    min_frequency: float = 0.0,
    shape: tuple[int, int, int] | None = None,
    starts: int = 8,
) -> None:
    """Fit particles, selection field and receive chain to a calibration; write the fitted simulation on any grid.

    Args:
        file: MDF file with a calibration.
        output: MDF file for the simulated rows times the fitted gains; not given = only the report.
        free: parameters to fit: core_diameter, size_spread, anisotropy_constant, gradient, gradient_x, gradient_y, ffp, angle.
        diameter: first guess of the particle cores [nm].
        gradient: first guess of the selection field along x, y, z [T/m], where the file has none or a wrong one.
        snr_threshold: least SNR of a row (0 = keep all).
        min_frequency: least frequency [kHz]; keeps out a filtered fundamental.
        shape: voxels of the written grid along x, y, z over the same field of view; not given = those of the file.
        starts: points the search starts from.
    """
    if output is not None:
        check_output(output)
    source = one_patch(file).select(snr_threshold=snr_threshold or None, min_frequency=min_frequency * 1e3 or None)
    matrix = source.read()
    scanner = matrix.scanner if gradient is None else mj.Scanner.create(gradient)
    if scanner is None:
        raise ValueError(f"{file} holds no gradient; give a first guess with --gradient.")
    if matrix.n_channels != 3 and matrix.sequence is not None:
        # one coil per driven axis; anything else is said in Python
        scanner = replace(scanner, receive_coils=np.eye(3)[np.asarray(matrix.sequence.active)])
    particle = mj.Particle.create(diameter * 1e-9, size_spread=0.1 if "size_spread" in free else None)
    with Console(stderr=True).status(f"fitting {len(matrix.rows())} rows of {file}"):
        found = mj.fit(matrix, scanner, particle=particle, free=free, starts=starts)
    print(found.describe())
    if output is not None:
        grid = matrix.grid
        grid = grid if shape is None else mj.Grid.create(shape, grid.fov, grid.center)
        mj.io.write_system_matrix(output, found.system_matrix(grid))
        print(f"wrote {output}: {len(matrix.rows())} rows, grid {by(matrix.grid.shape)} -> {by(grid.shape)}")


def train(
    files: Positional[tuple[Path, ...]],
    run_dir: Path = Path("runs/train"),
    scale: int = 2,
    model: str = "vrfnet",
    features: int = 16,
    blocks: int = 4,
    embed: int = 16,
    steps: int = 3500,
    learning_rate: float = 3e-3,
    snr_threshold: float = 10.0,
    min_frequency: float = 80.0,
    slices: int = 8,
    seed: int = 0,
) -> None:
    """Train a network to upsample on the rows of fine calibrations; started again, it continues.

    The fine rows are averaged over scale x scale voxels to make coarse ones. Every tenth block of 16 rows is held out.

    Args:
        files: MDF files with calibrations.
        run_dir: receives weights, metrics and checkpoints.
        scale: upsampling factor, 2, 4 or 8.
        model: name of the network.
        features: channels of its residual path.
        blocks: residual blocks.
        embed: width of its transformer path.
        steps: training steps of 64 rows.
        learning_rate: of the first step; decays to a hundredth.
        snr_threshold: least SNR of a row.
        min_frequency: least frequency [kHz].
        slices: central z slices used of each row.
        seed: of weights and batches.
    """
    from mpijax.datasets import MeasuredRows, RecoveryTask, Rows, measured_images, split_rows
    from mpijax.restoration import train_recovery
    from mpijax.training import TrainConfig

    if not files:
        raise ValueError("no file is given; name at least one MDF file with a calibration.")
    low = min_frequency * 1e3
    matrices = [one_patch(file).select(snr_threshold=snr_threshold, min_frequency=low).read() for file in files]
    rows, held_out = split_rows(measured_images(matrices, scale, slices=slices))
    print(f"{len(rows)} rows to train on, {len(held_out)} held out, {rows.shape[2]} x {rows.shape[1]} voxels")
    result = train_recovery(
        model,
        RecoveryTask(scale=scale),
        MeasuredRows(images=rows),
        Rows(held_out, np.zeros(len(held_out), np.float32)),
        TrainConfig(
            steps=steps,
            learning_rate=learning_rate,
            final_learning_rate=learning_rate / 100,
            validate_every=250,
            checkpoint_every=250,
            ema_decay=0.995,
            seed=seed,
        ),  # fmt: skip
        run_dir=run_dir,
        model_options={"features": features, "blocks": blocks, "embed": embed},
        data={
            "files": [str(file) for file in files],
            "snr_threshold": snr_threshold,
            "min_frequency": low,
            "slices": slices,
        },
    )
    scores = [record["validation"]["nrmse"] for record in result.metrics if "validation" in record]
    print(
        f"wrote {run_dir / 'weights.npz'}: nRMSE {min(scores):.4f} on the held-out rows ({scores[0]:.4f} before training)"
    )

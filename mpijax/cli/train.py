"""``mpijax train``: networks that make calibrations finer."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from tyro.conf import Positional

import mpijax as mj
from mpijax.cli.options import one_patch
from mpijax.core.checks import check_choice


def train(
    files: Positional[tuple[Path, ...]] = (),
    source: str | None = None,
    data_root: Path | None = None,
    run_dir: Path = Path("runs/train"),
    scale: int = 2,
    model: str = "vrfnet",
    preset: str = "quick",
    options: tuple[str, ...] = (),
    steps: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    snr_threshold: float = 10.0,
    min_frequency: float = 80.0,
    slices: int = 8,
    seed: int = 0,
) -> None:
    """Train a network to upsample, on fine calibrations or simulated ones; started again, it continues.

    Coarse rows are means of fine ones over scale x scale voxels, as a sample of that size measures them. Of files, every tenth
    block of 16 rows is held out; simulated sources hold out other matrices.

    Args:
        files: MDF files with calibrations.
        source: what to train on instead of files: ffl (a field-free line, the TranSMS paper's 66 matrices), in-house (its own
            scanner's, simulated), lissajous (a planar field-free point), vrfnet-1 and vrfnet-2 (the VRF-Net paper's scans), or of a
            copy of the Open MPI data set open-mpi-temporal, open-mpi-tracer, open-mpi-vrfnet.
        data_root: folder of the Open MPI data set.
        run_dir: receives weights, metrics and checkpoints.
        scale: upsampling factor, 2, 4 or 8.
        model: transms, vrfnet, consistent_unet, srcnn, vdsr, mdsr or smrnet.
        preset: quick (a small variant for two cores) or published (the paper's network and recipe).
        options: of the network, each as name=value, e.g. features=16 blocks=4.
        steps: of training; not given = the preset's, as for the next two.
        batch_size: rows per step.
        learning_rate: of the first step.
        snr_threshold: of files: least SNR of a row.
        min_frequency: of files: least frequency [kHz].
        slices: of files: central z slices used of each row.
        seed: of weights and batches.
    """
    from mpijax.datasets import RecoveryTask
    from mpijax.restoration import recipe, train_recovery

    if run_dir.exists() and not run_dir.is_dir():
        raise ValueError(f"{run_dir} is a file; give the name of a folder for the run.")
    given = {"steps": steps, "batch_size": batch_size, "learning_rate": learning_rate}
    if learning_rate is not None:
        given["final_learning_rate"] = learning_rate / 100
    chosen = recipe(model, scale, preset, seed=seed, **{k: v for k, v in given.items() if v is not None})
    RecoveryTask(scale=scale)  # refuses a scale before files are read
    extra = _options(options)
    rows = chosen.config.batch_size
    if source is None:
        data = _from_files(files, scale, snr_threshold, min_frequency * 1e3, slices, rows)
    elif files:
        raise ValueError(f"source = {source!r} and {len(files)} file(s) are given; train on one of them.")
    else:
        data = _named(source, scale, rows, seed, data_root)
    print(data.description)
    units = {} if data.facts.get("noise_known", True) else {"units": "row"}
    task = RecoveryTask(scale=scale, sample=data.sample, target=data.target, **chosen.task | units)
    result = train_recovery(
        model,
        task,
        data.rows,
        data.validation,
        chosen.config,
        run_dir=run_dir,
        model_options=chosen.options | extra,
        data=data.facts,
    )
    scores = [record["validation"]["nrmse"] for record in result.metrics if "validation" in record]
    print(
        f"wrote {run_dir / 'weights.npz'}"
        + (
            f": nRMSE {min(scores):.4f} on held-out rows of maximum 1 ({scores[0]:.4f} before training)"
            if scores
            else ""
        )
    )


def _named(source: str, scale: int, batch_size: int, seed: int, data_root: Path | None) -> Any:
    """A simulated source, or a protocol of the Open MPI data set."""
    from mpijax.datasets import OPEN_MPI_PROTOCOLS, SIMULATED, open_mpi_source, simulated_source

    measured = tuple(f"open-mpi-{protocol}" for protocol in OPEN_MPI_PROTOCOLS)
    check_choice("source", source, (*SIMULATED, *measured))
    if source not in measured:
        if data_root is not None:
            raise ValueError(f"source = {source!r} is simulated; leave out --data-root.")
        return simulated_source(source, scale, batch_size=batch_size, seed=seed)
    if data_root is None:
        raise ValueError(f"source = {source!r} needs the data set; give its folder with --data-root.")
    return open_mpi_source(data_root, source.removeprefix("open-mpi-"), scale, batch_size=batch_size)


def _from_files(
    files: tuple[Path, ...], scale: int, snr_threshold: float, low: float, slices: int, batch_size: int
) -> Any:
    """Rows of the user's own calibrations, with the noise that their background frames tell."""
    from mpijax.datasets import RecoverySource, RowPool, Rows, frequency_ranks, measured_images, split_rows
    from mpijax.restoration import background_noise

    if not files:
        raise ValueError("nothing to train on; name at least one MDF file with a calibration, or a --source.")
    matrices = [one_patch(file).select(snr_threshold=snr_threshold, min_frequency=low).read() for file in files]
    images = measured_images(matrices, scale, slices=slices)
    sigma = np.concatenate([_noise_of_images(m, slices, background_noise(m)) for m in matrices])
    ranks = [frequency_ranks(m) for m in matrices]
    before = np.cumsum([0, *map(len, ranks)])
    row = np.concatenate(  # all slices of a row are held out together, and its neighbors in frequency
        [np.repeat(rank + n, min(slices, m.grid.shape[2])) for rank, n, m in zip(ranks, before, matrices, strict=False)]
    )
    rows, held_out = split_rows(images, row=row)
    sigma, held_sigma = split_rows(sigma, row=row)
    return RecoverySource(
        name=", ".join(file.name for file in files),
        description=f"{len(rows)} rows to train on, {len(held_out)} held out, {rows.shape[2]} x {rows.shape[1]} voxels",
        facts={
            "files": [str(file) for file in files],
            "snr_threshold": snr_threshold,
            "min_frequency": low,
            "slices": slices,
            "noise_known": bool(np.all(sigma > 0)),
        },
        rows=RowPool(rows, sigma, batch_size=batch_size),
        validation=Rows(held_out, held_sigma, measured=True),
        target="noisy",
    )


def _noise_of_images(matrix: mj.SystemMatrix, slices: int, noise: np.ndarray | None) -> np.ndarray:
    """Noise of every slice of every row, 0 where nothing is known."""
    row = np.zeros(len(matrix.rows())) if noise is None else np.nan_to_num(noise)
    return np.repeat(row, min(slices, matrix.grid.shape[2])).astype(np.float32)


def _options(words: tuple[str, ...]) -> dict[str, Any]:
    options = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise ValueError(f"option {word!r}; give name=value, e.g. features=16.")
        if name in ("scale", "input_shape", "channels", "rngs"):
            raise ValueError(f"option {word!r}; {name} is decided by --scale, the rows and --seed.")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options

"""The command line: ``mpijax info | inspect | simulate | fit | train | restore``.

Units of the lab are used here and only here: mT, mm, nm, kHz.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro
from rich.console import Console
from tyro.conf import Positional, arg
from tyro.extras import SubcommandApp

import mpijax as mj
from mpijax.core.checks import check_choice, check_range

app = SubcommandApp()
Output = Annotated[Path, arg(aliases=["-o"])]


@app.command
def info(file: Positional[Path]) -> None:
    """Say what an MDF file holds and what it lacks.

    Args:
        file: an MDF file.
    """
    print(mj.io.describe(mj.io.read_info(file)))


@app.command
def inspect(
    file: Positional[Path],
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    rows: int = 6,
) -> None:
    """Draw the first look at a calibration: SNR over frequency and mixing order, strongest rows, background drift.

    Args:
        file: an MDF file with a calibration.
        output: image file; default: the file's name with -inspect.png in the current folder.
        rows: how many of the strongest rows to draw, 1 to 12.
    """
    from mpijax.viz import inspect_figure, save

    output = Path(f"{file.stem}-inspect.png") if output is None else output
    with Console(stderr=True).status(f"reading {file}"):
        save(inspect_figure(file, rows=rows), output)
    print(f"wrote {output}")


@app.command
def simulate(
    preset: Positional[str],
    output: Output,
    gradient: tuple[float, float, float] | None = None,
    amplitude: tuple[float, float, float] | None = None,
    diameter: float | None = None,
    anisotropy: float | None = None,
    easy_axis: tuple[float, float, float] | None = None,
    modulation: float | None = None,
    shape: tuple[int, int, int] | None = None,
    fov: tuple[float, float, float] | None = None,
    concentration: float | None = None,
    peak_snr: float = 1000.0,
    background_frames: int = 20,
    seed: int = 0,
) -> None:
    """Simulate a calibration and write it as MDF; what is not given is the preset's.

    Args:
        preset: 2d, 2d-fluid, 2d-immobilized, 3d, line or spectrometer.
        output: MDF file to write.
        gradient: of the selection field along x, y, z [T/m]; the sum must vanish.
        amplitude: of the drive field along x, y, z [mT]; 0 = axis not driven.
        diameter: of the particle cores [nm].
        anisotropy: anisotropy constant of the particles [J/m^3]; needs an easy axis or a modulation.
        easy_axis: direction of the easy axes of immobilized particles.
        modulation: exponent of fluid particles, whose axes follow the selection field.
        shape: voxels along x, y, z.
        fov: field of view [mm].
        concentration: of the calibration sample [mmol(Fe)/L].
        peak_snr: SNR of the strongest row; sets the white noise.
        background_frames: empty frames to record.
        seed: of the noise.
    """
    import jax

    from mpijax.datasets import noise_for_peak_snr, presets

    check_range("peak_snr", peak_snr, 1e-3, 1e12, "")
    if output.is_dir():
        raise ValueError(f"{output} is a folder; give the name of the file to write.")
    chosen = presets.preset(
        preset,
        gradient=gradient,
        amplitude=None if amplitude is None else tuple(a * 1e-3 for a in amplitude),
        core_diameter=None if diameter is None else diameter * 1e-9,
        anisotropy_constant=anisotropy,
        easy_axis=easy_axis,
        spatial_modulation=modulation,
        shape=shape,
        fov=None if fov is None else tuple(f * 1e-3 for f in fov),
        concentration=concentration,
    )
    with Console(stderr=True).status(f"simulating {chosen.summary}"):
        matrix = chosen.simulate()
        sigma = noise_for_peak_snr(matrix, peak_snr)
        noisy = mj.add_noise(matrix, sigma, key=jax.random.key(seed), background_frames=background_frames)
        mj.io.write_system_matrix(output, noisy)
    channels, frequencies, _ = matrix.values.shape
    of = "angles" if matrix.angles is not None else "channels"
    print(f"wrote {output}: {channels} {of} x {frequencies} frequencies x {_by(matrix.grid.shape)} voxels")


@app.command
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
    if output is not None and output.is_dir():
        raise ValueError(f"{output} is a folder; give the name of the file to write.")
    source = _one_patch(file).select(snr_threshold=snr_threshold or None, min_frequency=min_frequency * 1e3 or None)
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
        print(f"wrote {output}: {len(matrix.rows())} rows, grid {_by(matrix.grid.shape)} -> {_by(grid.shape)}")


@app.command
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
    matrices = [_one_patch(file).select(snr_threshold=snr_threshold, min_frequency=low).read() for file in files]
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


@app.command
def restore(
    file: Positional[Path],
    output: Output,
    model: str,
    task: str = "upsample",
    scale: int = 2,
    sampling: str = "box",
    snr_threshold: float = 0.0,
) -> None:
    """Restore a calibration and write it as MDF.

    Args:
        file: MDF file with a coarse calibration.
        output: MDF file to write.
        model: run directory or weights file of a trained network, or bicubic, or consistent-bicubic.
        task: upsample.
        scale: fine voxels per coarse voxel and axis.
        sampling: box (the calibration sample fills the coarse voxel) or stride (a small sample at every scale-th position).
        snr_threshold: leave out rows below this SNR (0 = keep all).
    """
    check_choice("task", task, ("upsample",))
    check_range("snr_threshold", snr_threshold, 0, float("inf"), "")
    if output.is_dir():
        raise ValueError(f"{output} is a folder; give the name of the file to write.")
    matrix = _one_patch(file).select(snr_threshold=snr_threshold or None).read()
    solution = mj.restore(matrix, task, scale=scale, sampling=sampling, model=model, progress=True)
    mj.io.write_system_matrix(output, solution.value)
    before, after = matrix.grid.shape, solution.value.grid.shape
    residual = solution.stats["residual"]
    print(f"wrote {output}: {len(residual)} rows, grid {_by(before)} -> {_by(after)}")
    print(f"positions measured: {matrix.grid.size} instead of {solution.value.grid.size}")
    print(f"distance from the measured coarse rows: median {np.median(residual):.2%}, largest {np.max(residual):.2%}")


def _one_patch(file: Path) -> mj.io.SystemMatrixFile:
    source = mj.io.open_system_matrix(file)
    if source.info.n_periods > 1:
        raise ValueError(f"{file} holds {source.info.n_periods} periods (patches); this command takes files of one.")
    return source


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def main() -> None:
    """Entry point; every expected failure is one line on standard error."""
    try:
        app.cli(prog="mpijax", description=(__doc__ or "").splitlines()[0], config=(tyro.conf.OmitArgPrefixes,))
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except MemoryError as error:
        print(f"error: not enough memory ({error}); choose fewer voxels (--shape) or frequencies.", file=sys.stderr)
        sys.exit(2)
    except (ValueError, TypeError, OSError, FloatingPointError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()

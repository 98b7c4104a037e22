"""``mpijax fit``: models from calibrations."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
from rich.console import Console
from tyro.conf import Positional, arg

import mpijax as mj
from mpijax.cli.paths import by, check_mdf, check_output
from mpijax.plans.one_patch import one_patch


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
        check_mdf(output, "mpijax inspect draws it")
        check_output(output)
    source = one_patch(file).select(snr_threshold=snr_threshold or None, min_frequency=min_frequency * 1e3 or None)
    matrix = source.read()
    scanner = matrix.scanner if gradient is None else mj.Scanner.create(gradient)
    if scanner is None:
        raise ValueError(f"{file} holds no gradient; give a first guess with --gradient.")
    if matrix.channel_numbers is None and matrix.n_channels != 3 and matrix.sequence is not None:
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

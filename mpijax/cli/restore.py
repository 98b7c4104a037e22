"""``mpijax restore``: a better calibration from a measured one."""

import time
from pathlib import Path
from typing import Annotated

import numpy as np
from tyro.conf import Positional, arg

import mpijax as mj
from mpijax.cli.paths import Output, by, check_mdf, check_outputs
from mpijax.cli.planned import naming
from mpijax.core.files import write_text
from mpijax.plans import RestorePlan
from mpijax.restoration.record import (
    Restored,
    averages_gained,
    calibration_time,
    counts,
    hidden_text,
    methods_text,
    row_list,
)


def restore(
    file: Positional[Path],
    output: Output,
    task: str,
    method: Annotated[str | None, arg(aliases=["--model"])] = None,
    scale: int | None = None,
    sampling: str | None = None,
    missing: str | None = None,
    noise_std: float | None = None,
    background: str = "auto",
    snr_threshold: float = 0.0,
    min_frequency: float = 0.0,
    trust: bool = True,
    identify: bool = True,
    dynamics: str = "auto",
    figure: Path | None = None,
    draw: bool = True,
    plan: Path | None = None,
    save_plan: Path | None = None,
) -> None:
    """Restore a calibration and write it as MDF: remove noise, fill missing positions, or make the grid finer.

    Rows not above the noise, and rows whose restoration the data contradict, are left as measured (where positions are filled: to
    a classical method) and listed in a table beside the output.

    Args:
        file: MDF file with a calibration.
        output: MDF file to write.
        task: denoise, inpaint (fill missing positions), complete (a grid measured at every scale-th position, 10 -> 19) or
            upsample (x and y, slice by slice, 10 -> 20), or one that an installed package brings.
        method: run directory or weights file, or a classical method; not given = the weights that ship with mpijax.
            denoise: dct-soft, dct-hard, dct-garrote, wiener. inpaint: wiener, biharmonic, biharmonic-garrote, compressed-sensing.
            complete: spline, wiener. upsample: bicubic, consistent-bicubic, spline, and fitted, which fits a simulator to all rows
            of a plane (one particle) or of a rotated field-free line, and needs gradient, amplitudes, dividers or angles in
            the file.
        scale: fine voxels per coarse voxel and axis; not given = 2.
        sampling: of upsample: box (the calibration sample fills the coarse voxel) or stride (a small sample at every scale-th
            position); not given = what the model is made for.
        missing: positions to fill: auto (found), or a .npy or text file with voxel numbers, counted from 0, x fastest, one per
            line, or with a mask: a 0 or 1 for every voxel. Positions with NaN are always missing.
        noise_std: complex standard deviation of the noise in the unit of the file; not given = from background frames (with fewer
            than 20 also from the rows), else from the rows.
        background: subtracted first: auto (mean of the background frames, unless done before), none, mean or interpolate.
        snr_threshold: leave out rows below this SNR (0 = keep all).
        min_frequency: leave out rows below this frequency [kHz].
        trust: check every row, and whether an upsampler predicts measured voxels that are hidden from it; without it all rows above
            the noise are restored by the method.
        identify: fit one particle, and what is wrong with the file, to all rows first; its rows compete with the network's. Needs
            gradient, drive amplitudes and dividers in the file, and takes up to a minute, two more where Neel rotation is tried.
        dynamics: of that particle: auto (equilibrium; Neel rotation where that fails), equilibrium or neel.
        figure: picture of rows before and after; not given = the output's name with .png.
        draw: whether to draw it.
        plan: a file of an earlier --save-plan, which stands for the options that are not given.
        save_plan: write everything that decides the result, without the names of the files, as TOML.
    """
    from mpijax.viz import figure_format, plot_restored, save

    chosen = RestorePlan(
        task,
        method,
        scale,
        sampling,
        missing,
        noise_std,
        background,
        snr_threshold,
        min_frequency,
        trust,
        identify,
        dynamics,
    )
    with naming(plan, chosen):
        wanted = chosen.chosen()
        chosen.check()
    picture = output.with_suffix(".png") if figure is None else figure
    table = output.with_name(f"{output.stem}-left.tsv")
    figure_format(picture)
    plans = [path for path in (save_plan,) if path is not None]
    check_mdf(output, "--figure names the picture of rows before and after, which is drawn beside the output")
    check_outputs([output, *([picture] if draw else []), table, *plans], [file])
    with naming(plan, chosen):
        matrix = chosen.matrix(file)
        start = time.perf_counter()
        solution = chosen.restore(matrix, progress=True)
        seconds = time.perf_counter() - start
    mj.io.write_system_matrix(output, solution.value)
    stats, restored = solution.stats, solution.value
    before, after = matrix.grid, restored.grid
    print(f"wrote {output}: {len(stats.trusted)} rows, grid {by(before.shape)} -> {by(after.shape)}")
    print(f"{seconds:.1f} s, {len(stats.trusted) / seconds:.0f} rows/s; {stats.noise_source}")
    for line in chosen.advice(file):
        print(line)
    for line in _rows(stats):
        print(line)
    if _in_vain(chosen.method, stats):
        print(
            f"no row by {chosen.method}: others left less error by Stein's estimate (--no-identify leaves the fit out)"
        )
    if stats.identification is not None:
        print(stats.identification)
    if wanted.has_gaps and trust:
        print(hidden_text(stats.hidden))
    if stats.trial is not None and not stats.trial.replaced:  # else the warning said it
        print(stats.trial.text())
    for line in _savings(matrix, restored, stats):
        print(line)
    if stats.trusted.all():
        table.unlink(missing_ok=True)  # of an earlier run
    else:
        write_text(table, row_list(matrix, stats))
        print(f"wrote {table}: the rows that are not restored, and why")
    if draw:
        save(plot_restored(matrix, restored, stats), picture)
        print(f"wrote {picture}: rows before and after")
    if save_plan is not None:
        chosen.save(save_plan)
        print(f"wrote {save_plan}: the plan")


def _rows(stats: Restored) -> list[str]:
    """How many rows changed by how much, and which were left why."""
    found = counts(stats.reason)
    restored = found.pop("restored", 0)
    lines = [f"restored {restored} of {len(stats.trusted)} rows{methods_text(stats)}"]
    if restored:
        low, middle, high = np.quantile(stats.residual[stats.trusted], (0.05, 0.5, 0.95))
        lines[0] += (
            f"; distance from the measured values: median {middle:.2%}, 5 to 95 % of the rows {low:.2%} to {high:.2%}"
        )
    return lines + [f"{stats.instead}: {n} rows {reason}" for reason, n in found.items()]


def _in_vain(method: str | None, stats: Restored) -> bool:
    """Whether a network was named and restores no row, where others restore some."""
    if method is None or not Path(method).exists() or stats.identified is None or not stats.trusted.any():
        return False
    return not np.any(stats.method == Path(method).stem)


def _savings(matrix: mj.SystemMatrix, restored: mj.SystemMatrix, stats: Restored) -> list[str]:
    """Positions and averages that need not be measured, and the time they take where it is known."""
    lines = []
    measured = int(matrix.grid.size - np.count_nonzero(stats.missing))
    spared = restored.grid.size - measured
    if spared:
        lines.append(f"positions measured: {measured} instead of {restored.grid.size}{_time(matrix, spared)}")
    gain = averages_gained(stats)
    if gain is not None and abs(gain - 1) > 0.05:
        change = 10 * np.log10(gain)
        text = f"error of the restored rows at measured positions: {abs(change):.1f} dB {'less' if gain > 1 else 'more'} power"
        if gain > 1:
            text += f", as with {gain:.1f} times as many averages{_time(matrix, (gain - 1) * measured)}"
        lines.append(text + " (estimated from the residuals, rows of SNR 2 and more)")
    if gain is None and stats.identified is not None and not stats.noise_from_rows:
        lines.append("error of the restored rows at measured positions: too small to be estimated from the residuals")
    return lines


def _time(matrix: mj.SystemMatrix, positions: float) -> str:
    seconds = calibration_time(matrix, positions)
    if seconds is None:
        return ""
    amount = (
        f"{seconds:.1f} s"
        if seconds < 120
        else f"{seconds / 60:.1f} min"
        if seconds < 7200
        else f"{seconds / 3600:.1f} h"
    )
    return f", {amount} of signal not acquired"

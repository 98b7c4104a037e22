"""``mpijax spectrum``: magnetic particle spectroscopy."""

from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

import mpijax as mj
from mpijax.cli.paths import check_outputs
from mpijax.io.formats import check_input
from mpijax.plans.inputs import empty_scan
from mpijax.plans.one_patch import one_patch


def spectrum(
    file: Positional[Path],
    output: Annotated[Path | None, arg(aliases=["-o"])] = None,
    csv: Path | None = None,
    fit: bool = False,
    axis: Literal["x", "y", "z"] | None = None,
    channel: int | None = None,
    position: tuple[float, float, float] | None = None,
    gradient: float | None = None,
    empty: Path | None = None,
    first_harmonic: int = 1,
    threshold: float = 3.0,
) -> None:
    """Say what the harmonics of a point sample are, its hysteresis loop and point-spread function; draw them.

    Args:
        file: MDF file with a measurement, or with a calibration, of which one voxel is taken.
        output: image file; default: the file's name with -spectrum.png in the current folder.
        csv: file for the table of all harmonics.
        fit: fit particles in equilibrium, with Neel's and with Brown's rotation, and draw them over the measured harmonics.
        axis: drive axis, where several are driven.
        channel: number of the receiver; not given = the only one, or that of the axis.
        position: of the sample along x, y, z [mm]; needed in a selection field, and to choose a voxel.
        gradient: along the drive field [T/m], by which the width is given in mm; not given = that of the file.
        empty: MDF file of an empty scan, subtracted from a measurement in place of its own background frames.
        first_harmonic: lowest that counts: 2 or 3 where the fundamental is filtered out, or holds the drive field's own voltage.
        threshold: standard deviations that a harmonic stands above the noise.
    """
    from rich.console import Console

    from mpijax.core.files import write_text
    from mpijax.identification import describe_spectrum, fit_spectrum, spectrum_csv
    from mpijax.viz import plot_spectrum, save
    from mpijax.viz.style import figure_format

    output = Path(f"{file.stem}-spectrum.png") if output is None else output
    check_input(file)
    check_outputs([output] if csv is None else [output, csv], [file] if empty is None else [file, empty])
    figure_format(output)
    if gradient == 0:
        raise ValueError("gradient = 0 T/m; give that of a scanner, or leave it out.")
    found = mj.identification.spectrum(
        _read(file, empty),
        axis=None if axis is None else "xyz".index(axis),
        channel=channel,
        position=None if position is None else tuple(1e-3 * x for x in position),
        first=first_harmonic,
        threshold=threshold,
    )
    fits: tuple[mj.identification.SpectrumFit, ...] = ()
    if fit:
        with Console(stderr=True).status(f"fitting {int(found.held.sum())} harmonics"):
            fits = fit_spectrum(found)
    print(describe_spectrum(found, fits, gradient))
    save(plot_spectrum(found, fits, gradient=gradient), output)
    if csv is not None:
        write_text(csv, spectrum_csv(found, fits))
    print(f"wrote {output}" + ("" if csv is None else f" and {csv}"))


def _read(file: Path, empty: Path | None) -> mj.Measurement | mj.SystemMatrix:
    """A calibration, or a measurement without its background."""
    info = mj.io.read_info(file)
    if info.is_calibration:
        if empty is not None:
            raise ValueError(f"{file} is a calibration; an empty scan is subtracted from measurements only.")
        return one_patch(file).read()
    if info.reconstruction is not None and not info.data_shape:
        raise ValueError(f"{file} holds images; a spectrum is that of a measurement or of a calibration.")
    if empty is not None:
        check_input(empty)
        empty_scan(empty, info)
    own = empty is None and bool(info.is_background_frame.any())
    return mj.io.read_measurement(file, background="mean" if own else "none", empty_scan=empty)

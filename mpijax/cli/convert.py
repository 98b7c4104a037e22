"""``mpijax convert``: files of any kind as MDF 2.1."""

import contextlib
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from tyro.conf import Positional, Suppress

import mpijax as mj
from mpijax.cli.paths import Output, by, check_mdf, check_outputs
from mpijax.core.checks import check_count
from mpijax.io.formats import FALLBACK, FORMATS, Format, check_input, reader, writer
from mpijax.io.matlab import read_variable
from mpijax.plans.options import RowOptions


@dataclass(frozen=True)
class KeptRows(RowOptions):
    """Which rows are kept; not given = all.

    Attributes:
        snr_threshold: least SNR of a row.
        min_frequency: least frequency [kHz].
        max_frequency: largest frequency [kHz].
        max_order: largest mixing order.
        channels: receive channels, counted from 0.
    """

    snr_threshold: float | None = 0.0
    min_frequency: float = 0.0
    weights: Suppress[str] = "none"


LEAST_FOV, MOST_FREQUENCY = 0.1, 20e3
"""Of what a MATLAB file holds [mm, kHz]: what lies beyond is in meters, or in hertz."""


@dataclass(frozen=True)
class MatlabOptions:
    """What is what in a MATLAB file.

    Attributes:
        variable: that holds the matrix or the measurement; two (Sr Si) = real and imaginary part.
        axes: its axes as MATLAB counts them: voxel, or x, y, z; channel; frequency; frame (of a measurement).
        shape: voxels of the grid nx ny nz, x fastest among those of the axis voxel.
        fov: field of view [mm].
        center: of the grid [mm].
        frequencies: variable with the frequencies [kHz], as all frequencies of the command line.
        base_frequency: of which the rows are multiples [kHz].
        harmonics: numbers of the multiples, where no variable has the frequencies: a range (2:10, the end left out) or a list
            (3,5,7).
        samples: samples per period; not given = as many as the largest multiple needs.
    """

    variable: tuple[str, ...] = ()
    axes: str = "frequency voxel"
    shape: tuple[int, int, int] | None = None
    fov: tuple[float, float, float] | None = None
    center: tuple[float, float, float] = (0.0, 0.0, 0.0)
    frequencies: str | None = None
    base_frequency: float | None = None
    harmonics: str | None = None
    samples: int | None = None

    def read(self, path: Path) -> mj.SystemMatrix | mj.Measurement:
        """The matrix or the measurement.

        Raises:
            FileNotFoundError, MDFError, ValueError: see :func:`mpijax.io.read_matlab`; numbers that are in meters or in hertz.
        """
        base = None if self.base_frequency is None else self.base_frequency * 1e3
        frequencies: Any = self.frequencies
        if self.harmonics is not None:
            if base is None or frequencies is not None:
                raise ValueError(
                    "harmonics are multiples of --base-frequency, and are given where --frequencies is not."
                )
            frequencies = np.asarray(_numbers("harmonics", self.harmonics)) * base
        elif frequencies is not None:
            frequencies = self._frequencies(path, frequencies)
        found = mj.io.read_matlab(
            path,
            self.variable,
            self.axes,
            shape=self.shape,
            fov=None if self.fov is None else tuple(1e-3 * x for x in self.fov),
            center=tuple(1e-3 * x for x in self.center),
            frequencies=frequencies,
            base_frequency=base,
            n_samples=self.samples,
        )
        if self.fov is not None and isinstance(found, mj.SystemMatrix):
            _check_fov(self.fov, found.grid.shape)
        return found

    def _frequencies(self, path: Path, name: str) -> np.ndarray:
        """The numbers of a variable in kHz as frequencies [Hz]."""
        found = read_variable(path, name).ravel()
        if found.size and found.max() > MOST_FREQUENCY:
            raise ValueError(f"frequencies = {name} reaches {found.max():g} kHz; kilohertz are expected, not hertz.")
        return 1e3 * found


def _check_fov(fov: tuple[float, float, float], shape: tuple[int, ...]) -> None:
    """Raise ValueError for a field of view that is too small along an axis of several voxels."""
    if any(length < LEAST_FOV and n > 1 for length, n in zip(fov, shape, strict=True)):
        given = " x ".join(f"{length:g}" for length in fov)
        raise ValueError(
            f"fov = {given} mm for {by(shape)} voxels; at least {LEAST_FOV:g} mm along an axis of several voxels is expected: "
            "millimeters, not meters."
        )


ROWS, MATLAB = KeptRows(), MatlabOptions()


def convert(
    file: Positional[Path],
    output: Output,
    rows: KeptRows = ROWS,
    frames: str | None = None,
    average_frames: int = 1,
    compress: float | None = None,
    matlab: MatlabOptions = MATLAB,
) -> None:
    """Write a file of any known format, or a part of it, as MDF 2.1 or in another format that is written.

    MDF 1 and 2, folders of ParaVision (untested on real scanners), MATLAB files (--variable says what is what) and formats of
    installed packages are read. A calibration becomes spectra in physical units with its background frames; a measurement keeps
    its numbers, scale and background frames, unless rows are chosen or frames averaged.

    Args:
        file: file or folder.
        output: file to write.
        rows: which rows are kept.
        frames: foreground frames of a measurement that are kept, counted from 0: one (5), a range (0:100, the end left out) or a
            list (7,1,4), whose order is kept.
        average_frames: frames to average.
        compress: fraction of the cosine coefficients of each row of a calibration that is kept, such as 0.01.
        matlab: what is what in a MATLAB file.
    """
    check_input(file)
    if all(writer(output, kind).name == FALLBACK for kind in FORMATS[FALLBACK].writes):
        check_mdf(output, "mpijax inspect draws a calibration, mpijax reconstruct an image")
    check_outputs([output], [file])
    check_count("average_frames", average_frames)
    chosen = None if frames is None else _chosen(frames)
    with Console(stderr=True).status(f"reading {file}"), _as_file(file, matlab) as source:
        form = _format(output, mj.io.read_info(source))
        if form.name != FALLBACK:
            if rows != ROWS or frames is not None or average_frames != 1 or compress is not None:
                raise ValueError(
                    f"{output}: rows and frames are chosen, and rows compressed, of MDF only; write MDF first."
                )
            data = mj.io.read(source)
            mj.io.write(output, data)
            print(f"wrote {output}: {type(data).__name__} as {form.name}")
            return
        selection = rows.selection(mj.io.read_info(source)) if rows != ROWS else None
        done = mj.io.convert(
            source, output, selection=selection, frames=chosen, average_frames=average_frames, compress=compress
        )
    kept = " (numbers as they were)" if done.raw else ""
    print(f"wrote {output}: {done.kind} {by(done.shape)}{kept}")
    if done.errors is not None:
        print(
            f"relative error of a row by compression: median {np.median(done.errors):.2g}, at most {done.errors.max():.2g} "
            f"({len(done.errors)} rows)"
        )


def _format(output: Path, info: mj.io.MDFInfo) -> Format:
    """The format that the name of the output says.

    Raises:
        ValueError: one that does not hold what the file does.
    """
    kind = mj.SystemMatrix if info.is_calibration else mj.Measurement if info.data_shape else mj.io.Reconstruction
    form = writer(output, kind)
    named = [name for name, other in FORMATS.items() if other().recognizes(output)]
    if named and form.name not in named:
        raise ValueError(f"{output}: a {kind.__name__} is not written as {named[0]}; give a name that ends in .mdf.")
    return form


@contextlib.contextmanager
def _as_file(file: Path, matlab: MatlabOptions) -> Any:
    """The file, or what a MATLAB file holds as one that can be read.

    Raises:
        ValueError: options of MATLAB files beside another one.
    """
    form = reader(file).name if file.exists() else FALLBACK
    given = [f"--{f.name.replace('_', '-')}" for f in fields(matlab) if getattr(matlab, f.name) != f.default]
    if given and form != "matlab":
        raise ValueError(
            f"{file} is a file of the format {form}; {', '.join(given)} is for MATLAB files, leave it out."
        )
    if not matlab.variable:
        yield file
        return
    with tempfile.TemporaryDirectory(prefix="mpijax") as folder:
        path = Path(folder) / f"{file.stem}.mdf"
        mj.io.write(path, matlab.read(file))
        try:
            yield path
        except ValueError as error:
            raise ValueError(str(error).replace(str(path), str(file))) from None


def _numbers(name: str, text: str) -> list[int]:
    """2:10 as the numbers 2 to 9, 3,5,7 as those."""
    try:
        first, colon, last = text.partition(":")
        found = list(range(int(first), int(last))) if colon else [int(part) for part in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 0:
        raise ValueError(f"{name} = {text!r}; give a number (5), a range (2:10, the end left out) or a list (3,5,7).")
    return found


def _chosen(text: str) -> Any:
    """The same for frames, of which a range may have no first or no last one."""
    first, colon, last = text.partition(":")
    if colon and (not first or not last) and (first + last).isdecimal():
        return slice(int(first) if first else None, int(last) if last else None)
    found = _numbers("frames", text)
    return slice(found[0], found[-1] + 1) if colon else found

"""Line calibrations of the Hamburg head-sized scanner of 2018, as its laboratory stored them (HDF5, one array)."""

from pathlib import Path

import numpy as np

from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import array, open_hdf5, require
from mpijax.system import Grid, LissajousSequence, SystemMatrix

AMPLITUDE = 5e-3
SAMPLES = 152
POSITIONS = 9
STEP = 10e-3
CENTER = 156e-3


def read_head_scanner_lines(path: str | Path) -> tuple[SystemMatrix, ...]:
    """System matrices of three parallel lines, 9 positions each, one receive channel along the drive field.

    ``matrix`` holds one averaged period of 152 samples per row: for each line a row without sample, then its positions from
    116 to 196 mm. The drive field is 5 mT at 25.699 kHz along x, the sampling rate 3.90625 MHz, so bin = harmonic; the
    receive filter takes out the fundamental. What the background rows say at the time of each row, by linear interpolation
    (held after the last), is subtracted. How far apart the lines are across x is not documented: all are put on y = z = 0.

    Args:
        path: ``systemMatrixNew.h5``, or a file of that layout.

    Returns:
        One matrix per line, values complex (1, 77, 9) in units of the digitizer; ``background``: its empty rows (3, 1, 77).

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: it is not HDF5 or not of this layout.
    """
    with open_hdf5(path) as file:
        shape = require(file, "matrix").shape
        if len(shape) != 2 or shape[1] != SAMPLES or shape[0] % (POSITIONS + 1):
            raise MDFError(
                f"{path} holds matrix of shape {shape}; expected lines of {POSITIONS + 1} rows of {SAMPLES} samples."
            )
        spectra = np.fft.rfft(np.asarray(array(file, "matrix")), axis=1)
    number = np.arange(len(spectra))
    empty = number % (POSITIONS + 1) == 0
    frames = spectra[empty]
    background = np.stack([np.interp(number, number[empty], column) for column in frames.T], axis=1)
    lines = (spectra - background)[~empty].reshape(-1, POSITIONS, spectra.shape[1])
    sequence = LissajousSequence.create(
        (AMPLITUDE, 0, 0), dividers=(4864, 4864, 4864), base_frequency=125e6, n_samples=SAMPLES
    )
    grid = Grid.create((POSITIONS, 1, 1), (POSITIONS * STEP, STEP, STEP), (CENTER, 0, 0))
    return tuple(
        SystemMatrix.create(
            np.ascontiguousarray(line.T)[None],
            sequence.frequencies,
            grid,
            n_samples=SAMPLES,
            background=frames[:, None],
            sequence=sequence,
            metadata={
                "/study/name": "head scanner, line calibration",
                "/experiment/description": "sample, concentration and distance of the lines are not documented",
            },
        )
        for line in lines
    )

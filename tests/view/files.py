"""Small files to look at."""

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np

import mpijax as mj
from mpijax.system.facts.header import stating

SEQUENCE = mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=400)
SCANNER = mj.Scanner.create((-1.0, -1.0, 2.0))
SHAPE = (7, 5, 1)


def matrix(shape=SHAPE, *, background=8, noise=1e-9, seed=0, **more):
    """A matrix of random smooth rows with background frames; rows fall off with the frequency."""
    rng = np.random.default_rng(seed)
    grid = mj.Grid.create(shape, (0.028, 0.02, 0.004 * shape[2]))
    bins = np.arange(1, 151)

    def drawn(*size):
        return rng.normal(size=size) + 1j * rng.normal(size=size)

    values = 1e-6 * drawn(3, 150, grid.size) / bins[:, None] + 0.3e-6
    frames = 0.3e-6 + noise * drawn(background, 3, 150)
    return mj.SystemMatrix.create(
        values.astype(np.complex64), SEQUENCE.frequencies[bins], grid, frequency_indices=bins, n_samples=400,
        bandwidth=SEQUENCE.frequencies[-1], background=frames.astype(np.complex64) if background else None,
        sequence=SEQUENCE, scanner=SCANNER, **more,
    )  # fmt: skip


def write_matrix(path, **options):
    """The file of :func:`matrix`."""
    made = matrix(**options)
    mj.io.write_system_matrix(path, made)
    return made


def write_measurement(path, system_matrix, *, frames=6, shift=1.0):
    """Frames of a dot that grows, with background frames; ``shift`` of another scanner's gradient."""
    rng = np.random.default_rng(1)
    image = np.zeros(system_matrix.grid.shape[::-1])
    image[0, 2, 3] = 50.0
    clean = np.asarray(system_matrix.values).reshape(3, 150, -1) - 0.3e-6
    data = np.stack([(1 + i) * (clean @ image.ravel()) for i in range(frames)])[:, None]
    noise = 1e-8 * (rng.normal(size=data.shape) + 1j * rng.normal(size=data.shape))
    empty = 1e-8 * (rng.normal(size=(4, 1, 3, 150)) + 1j * rng.normal(size=(4, 1, 3, 150)))
    scanner = mj.Scanner.create(tuple(shift * np.array((-1.0, -1.0, 2.0))), offset_field=(0, 0, 0))
    measured = mj.Measurement.create(
        (data + noise + 1e-7).astype(np.complex64), system_matrix.frequencies,
        frequency_indices=system_matrix.frequency_indices, n_samples=400, bandwidth=system_matrix.bandwidth,
        background=(empty + 1e-7).astype(np.complex64), sequence=SEQUENCE, scanner=scanner,
    )  # fmt: skip
    mj.io.write_measurement(path, measured)
    return measured


def write_folder(folder: Path):
    """sm.mdf, a second matrix with other noise, a measurement."""
    made = write_matrix(folder / "sm.mdf")
    rng = np.random.default_rng(5)
    noise = 1e-8 * rng.normal(size=made.values.shape)
    text = "denoised by a test; 448 of 450 rows restored"
    other = replace(
        made, values=(np.asarray(made.values) + noise).astype(np.complex64),
        metadata=stating(made.metadata, restoration=text),
    )  # fmt: skip
    mj.io.write_system_matrix(folder / "restored.mdf", other)
    write_measurement(folder / "m.mdf", made)
    return made


def make_large(small: Path, path: Path, voxels: int):
    """The file of a matrix with so many voxels whose data take no place on the disk: all rows but the written ones are zero.

    Returns the row that is written, of channel 1 and position 70.
    """
    path.write_bytes(small.read_bytes())
    row = np.arange(voxels**3) * (1 + 2j)
    with h5py.File(path, "r+") as file:
        empty = int(np.count_nonzero(file["/measurement/isBackgroundFrame"][()]))
        for name in ("/measurement/data", "/measurement/isBackgroundFrame", "/calibration/size"):
            del file[name]
        frames = voxels**3 + empty
        file["/acquisition/numFrames"][...] = frames
        file["/calibration/size"] = np.array([voxels] * 3)
        file["/measurement/isBackgroundFrame"] = np.arange(frames) >= voxels**3
        shape = (1, 3, 150, frames)
        plain = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plain.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plain.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        kind = h5py.h5t.py_create(np.dtype("c8"))
        h5py.h5d.create(file["/measurement"].id, b"data", kind, h5py.h5s.create_simple(shape), plain)
        file["/measurement/data"][0, 1, 70, : voxels**3] = row
    return row

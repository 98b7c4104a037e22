"""Recorded background images of a scanner: textures for the noise of simulated images."""

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat

from mpijax.core.typing import Float


def read_textures(paths: Iterable[str | Path]) -> Float[np.ndarray, "k h w"]:
    """All images of .npy and MATLAB files, one or several per file, as float32.

    Args:
        paths: files; every array of two axes longer than 1 is an image. MATLAB files of any version.

    Returns:
        Images (k, h, w) in the order of the files; for :class:`mpijax.datasets.XSpaceTask`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file of another kind, no image, or images of several sizes.
    """
    files = [Path(path) for path in paths]
    found = [
        np.asarray(array, np.float32)
        for path in files
        for array in _arrays(path)
        if array.ndim == 2 and min(array.shape) > 1 and np.issubdtype(array.dtype, np.number)
    ]
    shapes = sorted({image.shape for image in found})
    if len(shapes) != 1:
        raise ValueError(
            f"{', '.join(path.name for path in files) or 'no file'}: {len(found)} images of shapes {shapes}; "
            "give .npy or .mat files with images of one size."
        )
    return np.stack(found)


def _arrays(path: Path) -> list[np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    if path.suffix == ".npy":
        return [np.load(path, allow_pickle=False)]
    if path.suffix != ".mat":
        raise ValueError(f"{path} is neither a .npy nor a .mat file.")
    if h5py.is_hdf5(path):  # version 7.3, which holds the axes in reverse order
        with h5py.File(path, "r") as file:
            return [np.asarray(item).T for item in file.values() if isinstance(item, h5py.Dataset)]
    return [np.asarray(item) for name, item in loadmat(path).items() if not name.startswith("__")]

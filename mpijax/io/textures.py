"""Recorded background images of a scanner: textures for the noise of simulated images."""

from collections.abc import Iterable
from pathlib import Path

import h5py
import numpy as np
from scipy.io import loadmat

from mpijax.core.typing import Float
from mpijax.io.hdf5 import children, open_hdf5, read, require
from mpijax.io.hdf5_open import failure


def read_textures(paths: Iterable[str | Path]) -> Float[np.ndarray, "k h w"]:
    """All images of .npy and MATLAB files, one or several per file, as float32.

    Args:
        paths: files; every real array of two axes longer than 1 is an image, of three axes a stack of them. MATLAB files of any
            version.

    Returns:
        Images (k, h, w) in the order of the files; for :class:`mpijax.datasets.XSpaceTask`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a file of another kind or a damaged one, no image, or images of several sizes.
    """
    files = [Path(path) for path in paths]
    found = [
        np.asarray(image, np.float32)
        for path in files
        for array in _arrays(path)
        if array.ndim in (2, 3) and min(array.shape[-2:]) > 1 and array.dtype.kind in "fiu"
        for image in (array if array.ndim == 3 else array[None])
    ]
    bad = [image for image in found if not np.isfinite(image).all()]
    if bad:
        raise ValueError(
            f"{', '.join(path.name for path in files)[:200]}: {len(bad)} of {len(found)} images hold NaN or infinity."
        )
    shapes = sorted({image.shape for image in found})
    if len(shapes) != 1:
        raise ValueError(
            f"{', '.join(path.name for path in files) or 'no file'}: {len(found)} images of shapes {shapes}; "
            "give .npy or .mat files with real images of one size."
        )
    return np.stack(found)


def _arrays(path: Path) -> list[np.ndarray]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    if path.suffix not in (".npy", ".mat"):
        raise ValueError(f"{path} is neither a .npy nor a .mat file.")
    if path.suffix == ".mat" and h5py.is_hdf5(path):  # version 7.3, which holds the axes in reverse order
        with open_hdf5(path) as file:
            return [np.asarray(read(require(file, name))).T for name in children(file, "/")]
    try:
        if path.suffix == ".npy":
            return [np.load(path, allow_pickle=False)]
        return [np.asarray(item) for name, item in loadmat(path).items() if not name.startswith("__")]
    except OSError as error:
        raise failure(path, error) from None
    except Exception as error:  # the readers raise whatever they stumble on
        raise ValueError(f"{path} cannot be read: {str(error)[:200]}. The file seems to be damaged.") from None

"""MPI-MNIST: simulated measurements of handwritten digits with the noise of a preclinical scanner, by the folder it lies in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mpijax.core.checks import check_choice
from mpijax.core.typing import Float
from mpijax.io import open_system_matrix, read_measurement
from mpijax.io.arrays import read_array
from mpijax.system import Measurement, SystemMatrix

MODELS = {
    "polydisperse": "opt",
    "monodisperse-small": "small_params",
    "monodisperse-large": "large_params",
    "equilibrium": "equilibrium",
}
"""Particle models of the matrices, and how their files call them."""
RESOLUTIONS = ("coarse", "int", "fine")
"""17 x 15, 51 x 45 and 85 x 75 voxels. The data are those of the fine matrix, images are reconstructed with a coarser one."""
SPLITS = ("train", "test")
ARCHIVES = ("SM", *(f"{split}_{what}" for split in SPLITS for what in ("obs", "obsnoisy", "noise", "gt")))
IMAGE_SHAPE = (1, 15, 17)
DOI = "10.5281/zenodo.12799417"


class MPIMNIST:
    """The MPI-MNIST files below a folder, each read when it is asked for: 60,000 digits to train on, 10,000 to test with.

    All values are as the files hold them, whatever their transfer function; ``matrix @ image`` is in the scale of the measurements.

    Args:
        root: the folder that the archives of 10.5281/zenodo.12799417 were unpacked in, each into a folder of its own name (``SM``,
            ``test_obs``, ..), or the folder above it.

    Raises:
        FileNotFoundError: no such folder, or none of the archives in it.

    Source: M. Iske, H. Albers, T. Knopp, T. Kluth, arXiv:2501.05583 (2025); layout: github.com/meiraiske/MPI-MNIST.
    """

    def __init__(self, root: str | Path):
        root = Path(root)
        if not root.is_dir():
            raise FileNotFoundError(f"there is no folder {root}.")
        self.root = root / "MPI-MNIST" if (root / "MPI-MNIST").is_dir() else root
        if not any((self.root / archive).is_dir() for archive in ARCHIVES):
            raise FileNotFoundError(
                f"{self.root} holds none of the folders {', '.join(ARCHIVES)}; unpack the archives of {DOI} into it, each into a "
                "folder of its own name."
            )

    def matrix(self, model: str = "polydisperse", resolution: str = "coarse", **criteria: Any) -> SystemMatrix:
        """A simulated system matrix (3, 817, n).

        Args:
            model: "polydisperse", with which the data were made, "monodisperse-small", "monodisperse-large" or "equilibrium".
            resolution: "coarse" (17 x 15 voxels), "int" (51 x 45) or "fine" (85 x 75).
            **criteria: which rows, as of :meth:`mpijax.system.SystemMatrix.select`.

        Raises:
            ValueError: another model or resolution.
            FileNotFoundError: the archive is not there; the message names it.
        """
        check_choice("model", model, tuple(MODELS))
        check_choice("resolution", resolution, RESOLUTIONS)
        file = open_system_matrix(self._file("SM", f"SM_fluid_{MODELS[model]}_{resolution}.mdf"))
        found = (file.select(**criteria) if criteria else file).read(apply_transfer_function=False)
        return replace(found, sample_concentration=1.0, sample_volume=found.grid.voxel_volume)

    def measurement(self, split: str = "test", frames: Any = None, *, noisy: bool = True) -> Measurement:
        """Measurements of digits, one a frame (k, 1, 3, 817).

        Args:
            split: "train" or "test".
            frames: which digits, as of :func:`mpijax.io.read_measurement`; None = all of them: 0.2 GB to test with, 1.2 GB to
                train on in single precision.
            noisy: with the scanner's noise, or as simulated.

        Raises:
            ValueError: another split.
            FileNotFoundError: the archive is not there; the message names it.
        """
        check_choice("split", split, SPLITS)
        name = f"{split}_obsnoisy" if noisy else f"{split}_obs"
        return read_measurement(self._file(name, f"{name}.mdf"), frames=frames, apply_transfer_function=False)

    def noise(self, split: str = "test", frames: Any = None, *, of: str = "phantom") -> Measurement:
        """Empty scans of the scanner, one a frame (k, 1, 3, 817).

        Args:
            split, frames: as for :meth:`measurement`, whose errors it raises.
            of: "phantom", which is in the noisy measurements, or "SM": for the voxels of a matrix, at a concentration of 10.
        """
        check_choice("split", split, SPLITS)
        check_choice("of", of, ("phantom", "SM"))
        path = self._file(f"{split}_noise", f"NoiseMeas_{of}_{split}.mdf")
        return read_measurement(path, frames=frames, apply_transfer_function=False)

    def phantoms(self, split: str = "test", frames: Any = None) -> Float[np.ndarray, "k 1 15 17"]:
        """The digits on the coarse grid (k, 1, 15, 17), from 0 to 10.

        Args:
            split: "train" or "test".
            frames: which digits, as for :meth:`measurement`.
        """
        check_choice("split", split, SPLITS)
        found = read_array(self._file(f"{split}_gt", f"{split}_gt.hdf5"), "phantom_data", frames)
        return found.real.reshape(-1, *IMAGE_SHAPE)

    def _file(self, archive: str, name: str) -> Path:
        path = self.root / archive / name
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no file {path}; unpack {archive}.tar.gz of {DOI} into {self.root / archive}."
            )
        return path

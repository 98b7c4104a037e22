"""Public images of field-free-line scanners, harmonic by harmonic, by the folder they lie in: FFL-MPI-Data and MixPS-MPI-18K."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpijax.core.checks import check_choice
from mpijax.core.mapping import FrozenMapping
from mpijax.core.typing import Array, Complex
from mpijax.io import MDFError
from mpijax.io.arrays import read_complex_arrays

HARMONICS = (2, 3, 4, 5, 6, 7)
"""Of the excitation, in the order of the images."""
SUBSETS = {
    "simulation": ("MixPS-Simulation-7K", ("train", "val", "test")),
    "synthetic": ("MixPS-Synthetic-10K", ("train", "val", "test")),
    "realworld": ("MixPS-Realworld-41", ("test",)),
}
"""Folders of MixPS-MPI-18K and their splits."""
STRESS = "mix_00701.h5"
"""A simulated sample beside the test set that the authors leave out of their standard benchmark."""


@dataclass(frozen=True, eq=False)
class FFLMPISample:
    """A phantom of FFL-MPI-Data.

    Attributes:
        path: its file.
        image: filtered back projections of the harmonics (6, y, x), as measured, without unit.
        sinogram: (6, s, a), positions of the line from -10 to 10 mm by angles from 0 to 180 degrees.
        facts: attributes of the file, such as Phantom_number, Gradient, Drive_Field, Concentration.
    """

    path: Path
    image: Complex[Array, "k y x"]
    sinogram: Complex[Array, "k s a"]
    facts: FrozenMapping


class FFLMPIData:
    """FFL-MPI-Data below a folder: 100 printed phantoms in an open-sided field-free-line scanner, or simulated digits.

    ``data[i]`` reads the i-th file, in the order of the numbers in their names; ``len(data)`` is their number. The scanner is the
    preset "line-buaa".

    Args:
        root: folder with the unpacked .h5 files of 10.5281/zenodo.18184858 (measured) or 10.5281/zenodo.18185860 (simulated),
            searched recursively.

    Attributes:
        paths: the files.

    Raises:
        FileNotFoundError: no such folder, or no .h5 file in it.

    Source: G. Li et al., layout and numbers: github.com/BUAALGH/FFL-MPI-Data.
    """

    def __init__(self, root: str | Path):
        self.paths = _files(Path(root), Path(root), "**/*.h5", "10.5281/zenodo.18184858")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> FFLMPISample:
        path = self.paths[index]
        (image, sinogram), facts = read_complex_arrays(path, ("data/image", "data/sinogram"))
        return FFLMPISample(path, _harmonics_first(path, image), _harmonics_first(path, sinogram), facts)


@dataclass(frozen=True, eq=False)
class MixPSSample:
    """Images of two tracers and of their mixture.

    Attributes:
        path: the file.
        mixture, perimag, synomag: harmonics (6, 64, 64). The simulated and the synthetic mixture is the sum of the others; the
            measured one is a measurement of its own.
        facts: attributes of the file.
    """

    path: Path
    mixture: Complex[Array, "k y x"]
    perimag: Complex[Array, "k y x"]
    synomag: Complex[Array, "k y x"]
    facts: FrozenMapping


class MixPS:
    """A subset of MixPS-MPI-18K: mixtures of Perimag and Synomag-70, and both tracers alone.

    ``data[i]`` reads the i-th sample; ``len(data)`` is their number.

    Args:
        root: folder that 10.5281/zenodo.22069325 was unpacked in, with or without ``data/`` in it.
        subset: "simulation", "synthetic" or "realworld".
        split: "train", "val" or "test"; the measured samples are all test.
        stress: with the simulated test sample that the authors' benchmark leaves out.

    Attributes:
        paths: the files.

    Raises:
        ValueError: another subset or split.
        FileNotFoundError: no such folder, or no sample in it.

    Source: G. Li, layout: github.com/BUAALGH/MixPS-MPI-18K. As there, the measured images are transposed.
    """

    def __init__(self, root: str | Path, subset: str, split: str = "test", *, stress: bool = False):
        check_choice("subset", subset, tuple(SUBSETS))
        folder, splits = SUBSETS[subset]
        check_choice("split", split, splits)
        root = Path(root)
        root = root / "data" if (root / "data").is_dir() else root
        found = _files(root, root / folder / split, "mix_*.h5", "10.5281/zenodo.22069325")
        left_out = subset == "simulation" and split == "test" and not stress
        self.paths = tuple(path for path in found if not (left_out and path.name == STRESS))
        self._turn = subset == "realworld"

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> MixPSSample:
        path = self.paths[index]
        images, facts = read_complex_arrays(path, ("mix/image", "P/image", "S/image"))
        for image in images:
            if image.ndim != 3 or len(image) != len(HARMONICS):
                raise MDFError(f"{path} holds images {image.shape}; expected ({len(HARMONICS)}, y, x).")
        mixture, perimag, synomag = (image.swapaxes(1, 2) if self._turn else image for image in images)
        return MixPSSample(path, mixture, perimag, synomag, facts)


def _files(root: Path, folder: Path, pattern: str, doi: str) -> tuple[Path, ...]:
    """Files below a folder of an unpacked archive in the order of the numbers in their names."""
    if not folder.is_dir():
        raise FileNotFoundError(f"there is no folder {folder}; unpack {doi} in {root}.")

    def numbers(path: Path) -> tuple[list[int], str]:
        return [int(digits) for digits in re.findall(r"\d+", str(path.relative_to(folder)))], str(path)

    found = tuple(sorted(folder.glob(pattern), key=numbers))
    if not found:
        raise FileNotFoundError(
            f"{folder} holds no files {pattern.rpartition('/')[2]}, which are expected there; unpack {doi} in {root}."
        )
    return found


def _harmonics_first(path: Path, stored: np.ndarray) -> np.ndarray:
    """(rows, columns, 6) as MATLAB has it, (6, columns, rows) in a file that it wrote, as (6, rows, columns)."""
    if stored.ndim == 3 and stored.shape[0] == len(HARMONICS):
        return stored.swapaxes(1, 2)
    if stored.ndim == 3 and stored.shape[2] == len(HARMONICS):
        return np.moveaxis(stored, 2, 0)
    raise MDFError(
        f"{path} holds an array {stored.shape}; expected {len(HARMONICS)} harmonics along its first or last axis."
    )

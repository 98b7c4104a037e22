"""Images for viewers of other modalities: NIfTI-1, written with nibabel."""

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpijax.core.files import atomic_path
from mpijax.io.formats import Containers, Format, register_format

if TYPE_CHECKING:
    from mpijax.io.mdf.reconstruction import Reconstruction
else:  # it loads jax, and this module is there wherever a file is read
    Reconstruction = Any

SUFFIXES = (".nii", ".nii.gz")


@register_format
class NIfTI(Format):
    """NIfTI-1 images."""

    name = "nifti"
    suffixes = SUFFIXES
    writes = Containers("mpijax.io.mdf.reconstruction:Reconstruction")

    def check(self, path: Path) -> None:
        """Raise ImportError where nibabel is not installed."""
        nifti_writer(path)

    def write(self, path: Path, data: Reconstruction) -> None:
        """Write images."""
        write_nifti(path, data)


def nifti_writer(path: str | Path) -> Any:
    """nibabel, once it is clear that ``path`` can be written with it.

    Raises:
        ImportError: nibabel is not installed.
        ValueError: the name does not end in .nii or .nii.gz.
    """
    if not str(path).lower().endswith(SUFFIXES):
        raise ValueError(f"{path}: a NIfTI file ends in {' or '.join(SUFFIXES)}.")
    try:
        import nibabel  # noqa: PLC0415  (an optional dependency)
    except ImportError:
        raise ImportError("writing NIfTI needs nibabel; install it with pip install 'mpijax[nifti]'.") from None
    return nibabel


def write_nifti(path: str | Path, reconstruction: Reconstruction) -> None:
    """Write images as NIfTI-1: float32 (x, y, z), with more axes for several frames and contrasts; positions in mm.

    The affine maps voxel (i, j, k) to the center of the voxel in the scanner's coordinates,
    center - fov/2 + fov (i + 1/2)/n. NIfTI counts them as right, anterior, superior (RAS+): x, y, z of the scanner are
    written as such, because how the object lay in the bore is not known.

    Args:
        path: file to write, .nii or .nii.gz.
        reconstruction: the images.

    Raises:
        ImportError: nibabel is not installed.
        ValueError: another suffix.
        OSError: the file cannot be written; nothing is left behind.
    """
    nibabel = nifti_writer(path)
    images, grid = np.asarray(reconstruction.images, np.float32), reconstruction.grid
    data = images.reshape(len(images), -1, *images.shape[-3:]).transpose(4, 3, 2, 0, 1)
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    fov, center = np.asarray(grid.fov, np.float64), np.asarray(grid.center, np.float64)
    voxel = fov / grid.shape
    affine = np.diag([*(1e3 * voxel), 1.0])
    affine[:3, 3] = 1e3 * (center - fov / 2 + voxel / 2)
    image = nibabel.Nifti1Image(data, affine)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = f"iron concentration, {reconstruction.unit}".encode()
    content = image.to_bytes()
    with atomic_path(path) as temporary:
        temporary.write_bytes(gzip.compress(content, mtime=0) if str(path).lower().endswith(".gz") else content)

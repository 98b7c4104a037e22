"""Images of other modalities and for their viewers: NIfTI-1, read and written with nibabel."""

import gzip
import zlib
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpijax.core.checks import check_finite
from mpijax.core.files import atomic_path
from mpijax.core.mapping import FrozenMapping
from mpijax.io.formats import Containers, Format, register_format

if TYPE_CHECKING:
    from mpijax.io.mdf.reconstruction import Reconstruction
else:  # it loads jax, and this module is there wherever a file is read
    Reconstruction = Any

SUFFIXES = (".nii", ".nii.gz")
GZIP = b"\x1f\x8b"
METERS = {"meter": 1.0, "mm": 1e-3, "micron": 1e-6, "unknown": 1e-3}
"""Length of NIfTI's units; a file without one is in millimeters, as viewers take it."""
OBLIQUE = 1e-3
"""Largest part of an affine beside its diagonal, in units of the smallest voxel, that is taken for rounding."""

NO_SCAN = {"/acquisition/receiver/numSamplingPoints": 1, "/acquisition/receiver/numChannels": 1}
"""The least that MDF allows a header to state, for images that no receiver measured."""


@register_format
class NIfTI(Format):
    """NIfTI-1 images."""

    name = "nifti"
    suffixes = SUFFIXES
    reads = True
    writes = Containers("mpijax.io.mdf.reconstruction:Reconstruction")

    def holds(self, path: Path) -> bool:
        """Whether a file has the magic number of NIfTI-1 or 2, compressed or not."""
        if not path.is_file():
            return False
        with open(path, "rb") as file:
            head = file.read(2**12)
        if head.startswith(GZIP):
            with suppress(zlib.error):
                head = zlib.decompressobj(wbits=31).decompress(head, 348)
        return head[344:348] in (b"n+1\0", b"ni1\0") or head[4:8] in (b"n+2\0", b"ni2\0")

    def check(self, path: Path) -> None:
        """Raise ImportError where nibabel is not installed."""
        nifti_writer(path)

    def read(self, path: Path) -> Reconstruction:
        """Read images."""
        return read_nifti(path)

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
    return _nibabel()


def _nibabel() -> Any:
    try:
        import nibabel  # noqa: PLC0415  (an optional dependency)
    except ImportError:
        raise ImportError("NIfTI needs nibabel; install it with pip install 'mpijax[nifti]'.") from None
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

    Source: R. W. Cox et al., NIfTI-1, NeuroImage 22, e1440 (2004).
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


def read_nifti(path: str | Path) -> Reconstruction:
    """Read NIfTI images, those of :func:`write_nifti` or of another program.

    Voxel axes that are swapped or run backwards are brought into the order of the grid, x, y, z along NIfTI's right, anterior and
    superior. Further axes are frames, then contrasts.

    Args:
        path: a .nii or .nii.gz file; one that states no unit of length is in mm.

    Returns:
        Images (frames, [contrasts,] nz, ny, nx) in floating point, whole numbers and scaled ones of a file too, in the unit that
        mpijax wrote down; of other files the unit is unknown.

    Raises:
        ImportError: nibabel is not installed.
        FileNotFoundError: there is no such file.
        ValueError: no NIfTI file or a damaged one, an image that is oblique to the axes, or that holds no real numbers.

    Source: R. W. Cox et al., NIfTI-1, NeuroImage 22, e1440 (2004).
    """
    from mpijax.io.mdf.reconstruction import Reconstruction  # noqa: PLC0415  (containers load jax)
    from mpijax.system.grid import Grid  # noqa: PLC0415

    nibabel = _nibabel()
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    try:
        image = nibabel.as_closest_canonical(nibabel.load(path))
        data = np.asarray(image.dataobj)
    except Exception as error:  # nibabel raises whatever it stumbles on
        raise ValueError(f"{path} cannot be read as NIfTI: {str(error)[:200]}.") from None
    if data.dtype.kind not in "iuf" or not 3 <= data.ndim <= 5:
        raise ValueError(
            f"{path} holds {data.dtype} data of shape {data.shape}; expected real (x, y, z[, frames[, contrasts]])."
        )
    affine = METERS[image.header.get_xyzt_units()[0]] * image.affine
    voxel = np.diagonal(affine)[:3]
    if np.abs(affine[:3, :3] - np.diag(voxel)).max() > OBLIQUE * np.abs(voxel).min():
        raise ValueError(f"{path} is oblique to the scanner's axes; resample it to a grid along x, y and z first.")
    data = data.astype(np.result_type(data, np.float32), copy=False)
    check_finite(str(path), data)
    shape = data.shape[:3]
    images = data.reshape(*data.shape, *(1,) * (5 - data.ndim)).transpose(3, 4, 2, 1, 0)
    grid = Grid.create(shape, voxel * shape, affine[:3, 3] + voxel * (np.asarray(shape) - 1) / 2)
    said = image.header["descrip"].item().decode(errors="replace").partition("iron concentration, ")[2]
    parameters = FrozenMapping({"unit": said} if said else {})
    header = FrozenMapping(NO_SCAN | {"/acquisition/numFrames": len(images), "/experiment/description": path.name})
    return Reconstruction(
        np.ascontiguousarray(images[:, 0] if images.shape[1] == 1 else images), grid, None, parameters, header
    )

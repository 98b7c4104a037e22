"""Reconstructed images as MDF files: the group /reconstruction under the header of the measurement they came from."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from mpijax.core.checks import check_finite, check_shape
from mpijax.core.mapping import FrozenMapping
from mpijax.core.pytree import pytree, static
from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import array, read, require, value, walk
from mpijax.io.mdf.fields import FREQUENCIES, FREQUENCIES_UNKNOWN, PARAMETERS
from mpijax.io.mdf.header import parse_info
from mpijax.io.mdf.opened import open_mdf
from mpijax.io.mdf.positions import voxel_order
from mpijax.io.mdf.write import check_readable, header_fields, identity_fields, write_fields, writing
from mpijax.system.facts.header import nested
from mpijax.system.grid import Grid
from mpijax.system.labeled import data_array, space
from mpijax.system.measurement import Measurement

UNIT = "mmol(Fe)/L"
DATA = "/reconstruction/data"
_NOT_KEPT = ("/version", "/uuid", "/time", FREQUENCIES, FREQUENCIES_UNKNOWN)
_OTHER_GROUPS = ("/measurement/", "/calibration/", "/reconstruction/")


@pytree
class Reconstruction:
    """Images reconstructed from a measurement. Make it with :meth:`create`.

    Attributes:
        images: real (frames, nz, ny, nx), of several contrasts (frames, contrasts, nz, ny, nx) [mmol(Fe)/L].
        grid: voxel grid.
        overscan: bool (nz, ny, nx), voxels beyond the field of view that only take up signal, or None.
        parameters: how the images were made: name -> text, number or tuple of them (static).
        metadata: the header: MDF path -> text, number or nested tuples (static).

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """

    images: Any
    grid: Grid
    overscan: Any
    parameters: FrozenMapping = static()
    metadata: FrozenMapping = static()

    @staticmethod
    def create(
        images: Any,
        grid: Grid,
        measurement: Measurement,
        *,
        overscan: Any = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> "Reconstruction":
        """Check shapes and build a reconstruction.

        Args:
            images: real (frames, nz, ny, nx) or (frames, contrasts, nz, ny, nx) [mmol(Fe)/L]; (nz, ny, nx) is one frame.
            grid: voxel grid.
            measurement: what was reconstructed; its header goes into the file.
            overscan: bool (nz, ny, nx) or None.
            parameters: how the images were made; entries that are None are left out.

        Raises:
            ValueError: shapes that do not fit the grid, a single contrast with an axis of its own, NaN, complex images.
        """
        shape = grid.shape[::-1]
        images = np.asarray(images)
        images = images[None] if images.ndim == 3 else images
        if images.ndim not in (4, 5) or images.shape[-3:] != shape:
            raise ValueError(
                f"images has shape {images.shape}; a grid of shape {grid.shape} has images (frames, [contrasts,] "
                f"{', '.join(map(str, shape))})."
            )
        if images.ndim == 5 and images.shape[1] == 1:
            raise ValueError(f"images has shape {images.shape}; leave out the axis of a single contrast.")
        if images.dtype.kind not in "iuf":
            raise ValueError(f"images has dtype {images.dtype}; concentrations are real. Take the real part.")
        check_finite("images", images)
        if overscan is not None:
            overscan = np.asarray(overscan, bool)
            check_shape("overscan", overscan, shape)
        header = header_fields(measurement, n_periods=measurement.values.shape[1])
        for name in ("concentration", "volume"):  # of the object, not of a sample: unknown
            header[f"/tracer/{name}"] = np.zeros(np.size(np.asarray(header["/tracer/name"], object)))
        header["/acquisition/numFrames"] = len(measurement.values)
        kept = {p: _plain(item) for p, item in header.items() if p not in _NOT_KEPT and not p.startswith(_OTHER_GROUPS)}
        chosen = {name: _plain(item) for name, item in (parameters or {}).items() if item is not None}
        return Reconstruction(images, grid, overscan, FrozenMapping({"unit": UNIT} | chosen), FrozenMapping(kept))

    @property
    def unit(self) -> str:
        """Unit of the images; empty where a file does not say."""
        return str(self.parameters.get("unit", ""))

    def to_xarray(self) -> Any:
        """The images as an xarray.DataArray, (frame, [contrast,] z, y, x) with axes in m.

        The overscan mask is a coordinate; how the images were made is in the attributes, the unit among them as ``units``.

        Raises:
            ImportError: xarray is not installed.
        """
        dims = ("frame", "contrast", "z", "y", "x") if np.ndim(self.images) == 5 else ("frame", "z", "y", "x")
        overscan = None if self.overscan is None else (("z", "y", "x"), np.asarray(self.overscan))
        attrs = {name: item for name, item in self.parameters.items() if name != "unit"} | {"units": self.unit or None}
        return data_array("concentration", self.images, dims, space(self.grid) | {"overscan": overscan}, attrs)


def write_reconstruction(path: str | Path, reconstruction: Reconstruction) -> None:
    """Write images as MDF 2.1.0; :func:`read_reconstruction` returns every value bit for bit.

    The data are stored as [Q, P, S] (frames, voxels with x fastest, contrasts), the parameters as user fields under
    /reconstruction/_parameters. The file has no /measurement: it names the measurement instead.

    Args:
        path: where to; an existing file is replaced only once the new one is complete.
        reconstruction: the images.

    Raises:
        ValueError: parameters of a type that MDF cannot hold.
        OSError: the file cannot be written, for instance because the disk is full; nothing is left behind.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """
    images = np.asarray(reconstruction.images)
    check_finite("reconstruction.images", images)
    fields = reconstruction_fields(reconstruction) | {DATA: stored(images, reconstruction.grid.size)}
    with writing(path, images.nbytes) as file:
        write_fields(file, fields)
        check_readable(file, path)


def stored(images: np.ndarray, voxels: int) -> np.ndarray:
    """Images as MDF has them, [Q, P, S]: frames, voxels with x fastest, contrasts."""
    return np.moveaxis(images.reshape(len(images), -1, voxels), 1, 2)


def reconstruction_fields(reconstruction: Reconstruction) -> dict[str, Any]:
    """Every field but the images."""
    grid = reconstruction.grid
    fields = {
        **identity_fields(),
        **reconstruction.metadata,
        "/reconstruction/size": np.asarray(grid.shape, np.int64),
        "/reconstruction/fieldOfView": np.asarray(grid.fov, np.float64),
        "/reconstruction/fieldOfViewCenter": np.asarray(grid.center, np.float64),
        "/reconstruction/order": "xyz",
    }
    if reconstruction.overscan is not None:
        fields["/reconstruction/isOverscanRegion"] = np.asarray(reconstruction.overscan, np.int8).ravel()
    return fields | {f"{PARAMETERS}/{name}": item for name, item in reconstruction.parameters.items()}


def read_reconstruction(path: str | Path) -> Reconstruction:
    """Read the images of an MDF file.

    Args:
        path: an MDF file with /reconstruction; voxels stored in another order are sorted x fastest.

    Raises:
        FileNotFoundError: there is no such file.
        MDFError: no images, no grid, or data that do not fit the grid.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """
    with open_mdf(path) as file:
        info = parse_info(file, Path(path)).reconstruction
        if info is None:
            require(file, DATA)
        assert info is not None
        grid = info.grid
        data = _images(file)
        mask = array(file, "/reconstruction/isOverscanRegion", dtype=bool)
        if mask is not None and mask.size != grid.size:
            raise MDFError(f"{path}: isOverscanRegion has {mask.size} entries for a grid of {grid.size} voxels.")
        metadata = _header(file)
    order = voxel_order(grid.shape, info.order)
    images = grid.to_image(np.ascontiguousarray(np.moveaxis(data[:, order], 2, 1)))
    return Reconstruction(
        images[:, 0] if images.shape[1] == 1 else images,
        grid,
        None if mask is None else grid.to_image(mask.ravel()[order]),
        info.parameters,
        FrozenMapping(metadata),
    )


def _images(file: h5py.File) -> np.ndarray:
    """The images as stored; what :meth:`Reconstruction.create` refuses is refused."""
    data = np.asarray(read(require(file, DATA)))
    if data.dtype.kind not in "iuf":
        raise MDFError(
            f"{file.filename}: /reconstruction/data holds {data.dtype} data; concentrations are real numbers."
        )
    if bad := data.size - np.count_nonzero(np.isfinite(data)):
        raise MDFError(
            f"{file.filename}: /reconstruction/data has {bad} of {data.size} values that are NaN or infinite."
        )
    return data


def _header(file: h5py.File) -> dict[str, Any]:
    paths = (path for path in walk(file) if path not in _NOT_KEPT and not path.startswith(_OTHER_GROUPS))
    return {path: nested(item) for path in paths if (item := value(file, path)) is not None}


def _plain(item: Any) -> Any:
    """A value as HDF5 gives it back: str, int, float or nested tuples of them."""
    if isinstance(item, bool | np.bool_):
        return int(item)
    return item if isinstance(item, str | int | float) else nested(np.asarray(item))

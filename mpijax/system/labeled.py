"""Arrays with named axes in SI units, as xarray has them."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mpijax.system.grid import Grid


def data_array(
    name: str, values: Any, dims: tuple[str, ...], coords: Mapping[str, Any], attrs: Mapping[str, Any]
) -> Any:
    """An xarray.DataArray on the host; coordinates and attributes that are None are left out.

    Raises:
        ImportError: xarray is not installed.
    """
    try:
        import xarray  # noqa: PLC0415  (an optional dependency)
    except ImportError:
        raise ImportError("labeled arrays need xarray; install it with pip install 'mpijax[xarray]'.") from None
    given = {key: item for key, item in coords.items() if item is not None}
    said = {key: item for key, item in attrs.items() if item is not None}
    return xarray.DataArray(np.asarray(values), given, dims, name, said)


def axis(dim: str, values: Any, units: str) -> tuple[str, np.ndarray, dict[str, str]]:
    """A coordinate along an axis, with its unit."""
    return dim, np.asarray(values), {"units": units}


def space(grid: Grid) -> dict[str, Any]:
    """Voxel centers along z, y and x [m]."""
    return {dim: axis(dim, grid.axes[i], "m") for i, dim in ((2, "z"), (1, "y"), (0, "x"))}

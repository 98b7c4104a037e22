"""What makes the numbers of a grid sound; a file's header is checked by it without a container."""

from typing import Any

from mpijax.core.checks import check_finite, check_range, check_shape


def check_voxels(shape: tuple[int, ...], fov: Any, center: Any) -> None:
    """Check the numbers of a grid.

    Args:
        shape: voxels per axis (nx, ny, nz).
        fov: field of view [m], (3,).
        center: center of the field of view [m], (3,).

    Raises:
        ValueError: a shape that is not three positive integers, or a field of view that is not positive meters.
    """
    if len(shape) != 3 or any(int(n) != n or n < 1 for n in shape):
        raise ValueError(f"shape = {tuple(shape)}; a grid has three positive voxel counts (nx, ny, nz), nz = 1 in 2-D.")
    check_shape("fov", fov, (3,))
    check_shape("center", center, (3,))
    check_range("fov", fov, 1e-9, 10.0, "m", "Lengths are in meters, also the thickness of a single slice.")
    check_finite("center", center)

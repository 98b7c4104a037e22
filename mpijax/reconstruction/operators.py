"""The gradient of an image as a linear operator with its adjoint, on vectors of voxels with x fastest."""

from dataclasses import dataclass
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mpijax.core.typing import Array, Inexact


def check_image_shape(image_shape: Any, voxels: int) -> None:
    """Raise ValueError unless image_shape is (nx, ny, nz) of that many voxels."""
    whole = isinstance(image_shape, tuple | list) and len(image_shape) == 3
    whole = whole and all(isinstance(size, int | np.integer) and size > 0 for size in image_shape)
    if not whole or prod(image_shape) != voxels:
        raise ValueError(
            f"image_shape = {image_shape}; expected (nx, ny, nz) with nx ny nz = {voxels}, the columns of the matrix "
            "(a plane is (nx, ny, 1)). Take the shape of the grid that the matrix belongs to."
        )


@dataclass(frozen=True)
class FiniteDifference:
    """Forward differences along every axis of more than one voxel, zero at the last voxel of a line.

    :math:`(D x)_i = x_{i+1} - x_i`, and 0 at the edge (Neumann), so that a constant image has no differences.

    Attributes:
        image_shape: (nx, ny, nz), as ``grid.shape``; a plane has nz = 1 and differences along x and y only.
    """

    image_shape: tuple[int, ...]

    @property
    def directions(self) -> int:
        """d, the number of axes with more than one voxel."""
        return sum(size > 1 for size in self.image_shape)

    def __call__(self, images: Inexact[Array, "*b n"]) -> Inexact[jax.Array, "*b d n"]:
        """D x.

        Args:
            images: x (..., n).

        Returns:
            Differences (..., d, n), along x first.

        Raises:
            ValueError: an image shape that does not multiply to n.
        """
        check_image_shape(self.image_shape, images.shape[-1])
        volumes = jnp.reshape(images, (*images.shape[:-1], *self.image_shape[::-1]))
        parts = [jnp.reshape(_difference(volumes, axis), images.shape) for axis in self._axes()]
        return jnp.stack(parts, -2) if parts else jnp.zeros((*images.shape[:-1], 0, images.shape[-1]), images.dtype)

    def adjoint(self, differences: Inexact[Array, "*b d n"]) -> Inexact[jax.Array, "*b n"]:
        """D^T p, minus the divergence: <D x, p> = <x, D^T p>.

        Args:
            differences: p (..., d, n), along x first.

        Returns:
            D^T p (..., n).

        Raises:
            ValueError: shapes that do not fit.
        """
        check_image_shape(self.image_shape, differences.shape[-1])
        if differences.shape[-2] != self.directions:
            raise ValueError(
                f"differences have shape {differences.shape}; expected (..., {self.directions}, {differences.shape[-1]}), "
                f"one entry for every axis of more than one voxel in image_shape = {self.image_shape}."
            )
        shape = (*differences.shape[:-2], *self.image_shape[::-1])
        total = jnp.zeros(shape, differences.dtype)
        for k, axis in enumerate(self._axes()):
            total = total + _difference_adjoint(jnp.reshape(differences[..., k, :], shape), axis)
        return jnp.reshape(total, (*differences.shape[:-2], differences.shape[-1]))

    def matrix(self, dtype: Any = "float32") -> Inexact[jax.Array, "n n"]:
        """D^T D as a dense matrix (n, n), for direct factorizations."""
        return self.adjoint(self(jnp.eye(prod(self.image_shape), dtype=dtype)))

    def _axes(self):
        return [-1 - k for k, size in enumerate(self.image_shape) if size > 1]


def _difference(volumes, axis):
    size = volumes.shape[axis]
    inner = lax.slice_in_dim(volumes, 1, size, axis=axis) - lax.slice_in_dim(volumes, 0, size - 1, axis=axis)
    return _pad(inner, axis, 0, 1)


def _difference_adjoint(volumes, axis):
    inner = lax.slice_in_dim(volumes, 0, volumes.shape[axis] - 1, axis=axis)
    return _pad(inner, axis, 1, 0) - _pad(inner, axis, 0, 1)


def _pad(volumes, axis, before, after):
    widths = [(0, 0)] * volumes.ndim
    widths[axis] = (before, after)
    return jnp.pad(volumes, widths)

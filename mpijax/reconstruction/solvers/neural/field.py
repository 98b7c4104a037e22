"""Neural fields: concentration as a function of position, sampled on any grid."""

import math
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.batching import capped_map, chunk_size
from mpijax.core.checks import check_count
from mpijax.core.pytree import pytree, static
from mpijax.core.solution import Solution
from mpijax.core.typing import Float, Values
from mpijax.models.siren import PureSiren

MEMORY_LIMIT = 2**28
"""Bytes of activations that sampling a field may use at a time."""


def coordinate_axes(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Axes with more than one voxel: the coordinates of a field on this grid."""
    return tuple(i for i, n in enumerate(shape) if n > 1)


def cell_points(shape: tuple[int, ...], factor: int, axes: tuple[int, ...]) -> Float[np.ndarray, "n k d"]:
    """Centers of the parts of every voxel, in coordinates from -1 to 1 over the field of view.

    Along a coordinate axis of n voxels, each split in s, part j of voxel i lies at 2 (i + (j + 1/2)/s)/n - 1: these are the
    centers of the s times finer grid, grouped by the coarse voxel, so that the mean over k is average pooling.

    Args:
        shape: Voxels per axis (nx, ny, nz).
        factor: s.
        axes: Which axes are coordinates (d of them); the others have one voxel and are not split.

    Returns:
        Points (n, k, d), k = s^d, voxels and parts x fastest; float64.
    """
    parts = (np.arange(factor) + 0.5) / factor
    centers = [2 * (np.arange(shape[i])[:, None] + parts) / shape[i] - 1 for i in axes]
    d = len(axes)
    spread = []
    for number, center in enumerate(centers):
        position = [1] * (2 * d)
        position[d - 1 - number], position[2 * d - 1 - number] = center.shape
        spread.append(center.reshape(position))
    return np.stack([axis.reshape(-1, factor**d) for axis in np.broadcast_arrays(*spread)], axis=-1)


def check_grid(name: str, shape: Any) -> None:
    """Raise ValueError unless a shape is three positive voxel counts."""
    if np.size(shape) != 3:
        raise ValueError(f"{name} = {shape}; expected voxel counts (nx, ny, nz), nz = 1 in 2-D.")
    for count in shape:
        check_count(f"a count of {name} = {shape}", count)


@pytree
class NeuralField:
    """A concentration that is known everywhere: scale * phi(p), the mean over an ensemble of networks.

    Attributes:
        params: Weights with leading axes (members, ...), or (frames, members, ...) for several frames.
        scale: Value of the image per unit of the networks' output, () or (frames,).
        network: The networks' pure functions (static).
        image_shape: Grid (nx, ny, nz) that the field was fitted on (static).

    Source: neural implicit paper, eq. 1; networks of sines: Sitzmann et al. (2020).
    """

    params: "dict[str, Any]"
    scale: Values
    network: PureSiren = static()
    image_shape: tuple[int, int, int] = static()

    def sample(
        self, shape: tuple[int, ...] | None = None, *, average: int = 1, memory_limit: int = MEMORY_LIMIT
    ) -> jax.Array:
        """The mean over the ensemble on any grid over the same field of view.

        Args:
            shape: Voxels (nx, ny, nz) of the grid; None = the grid of the reconstruction. An axis on which that one has a
                single voxel stays one: nothing is known along it.
            average: 1 = the value at the voxel's center; s = the mean over s points per coordinate and voxel, i.e. the
                voxel's mean concentration in the limit.
            memory_limit: Bytes of activations at a time.

        Returns:
            Image (n,) or (frames, n), x fastest, in the unit of the reconstruction's value.

        Raises:
            ValueError: A shape that is not three positive counts, or more than one voxel along an unknown axis.
        """
        return jnp.mean(self.sample_members(shape, average=average, memory_limit=memory_limit), axis=-2)

    def sample_std(
        self, shape: tuple[int, ...] | None = None, *, average: int = 1, memory_limit: int = MEMORY_LIMIT
    ) -> jax.Array:
        """Standard deviation over the ensemble on any grid: the uncertainty that the initial weights leave.

        Arguments, shape and errors are those of `sample`.

        Raises:
            ValueError: A single network, which has no spread.
        """
        members = self.sample_members(shape, average=average, memory_limit=memory_limit)
        if members.shape[-2] < 2:
            raise ValueError("the field is a single network; reconstruct with ensemble=2 or more for an uncertainty.")
        return jnp.std(members, axis=-2, ddof=1)

    def sample_members(
        self, shape: tuple[int, ...] | None = None, *, average: int = 1, memory_limit: int = MEMORY_LIMIT
    ) -> jax.Array:
        """Every network's image, (members, n) or (frames, members, n); arguments and errors as for `sample`."""
        shape = self.image_shape if shape is None else tuple(shape)
        check_grid("shape", shape)
        check_count("average", average)
        axes = coordinate_axes(self.image_shape)
        flat = [i for i in range(3) if i not in axes and shape[i] != 1]
        if flat:
            raise ValueError(
                f"shape = {shape}; the field was fitted on {self.image_shape} and knows nothing along axis {flat[0]}: "
                "give one voxel there."
            )
        points = jnp.asarray(cell_points(shape, average, axes), jnp.float32)
        networks = math.prod(np.shape(jax.tree.leaves(self.params)[0])[: np.ndim(self.scale) + 1])
        chunk = chunk_size(len(points), 8 * self.network.width * networks * points.shape[1], memory_limit)
        return _sample(self, points, chunk)


@pytree
class NeuralSolution(Solution):
    """A solution that is also a function of position: ``solution.field.sample(shape)`` for any grid.

    Source: neural implicit paper, eq. 1.
    """

    field: NeuralField


@partial(jax.jit, static_argnums=2)
def _sample(field: NeuralField, points: jax.Array, chunk: int) -> jax.Array:
    apply = jax.vmap(field.network.apply, in_axes=(0, None))
    if jnp.ndim(field.scale):
        apply = jax.vmap(apply, in_axes=(0, None))

    def part(points: jax.Array) -> jax.Array:
        return jnp.mean(apply(field.params, points)[..., 0], axis=-1)

    return jnp.asarray(field.scale)[..., None, None] * capped_map(part, points, chunk, out_axis=-1)

"""What every way of making training pairs says of itself."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax

from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Float
from mpijax.rows.tasks import Trained

Validate = Callable[[Callable[..., jax.Array]], dict[str, float]]
"""``validate(apply) -> {name: value}`` with ``apply(x, **inputs)`` the network."""


@pytree
class Rows:
    """A batch of rows of one grid, or of several in the corner of one box.

    Attributes:
        images: (b, y, x) or (b, z, y, x), complex.
        sigma: complex noise standard deviation of one fine voxel of each row (b,); 0 = none, or unknown.
        measured: whether the images carry that noise already; else they are clean.
        extent: voxels (nx, ny, nz) of each row (b, 3); None = the whole image.
    """

    images: Any
    sigma: Any
    measured: bool = static(default=False)
    extent: Any = None


RowSource = Callable[[jax.Array], Rows]
"""Draws rows from a key; pure, traced inside the training step."""


@runtime_checkable
class Pairs(Protocol):
    """How a fine row becomes the pair (what a network is given, what it is to return).

    :class:`mpijax.datasets.RandomCorruption` draws noise and gaps, :class:`mpijax.datasets.CoarseMeasurement` measures coarsely;
    a value of your own needs these members only.
    """

    @property
    def monitor(self) -> str:
        """The score of :meth:`validation` by which weights are kept; "-" before one of which more is better."""
        ...

    @property
    def factor(self) -> int:
        """Fine voxels per voxel of the network's input and axis."""
        ...

    def batch(self, key: jax.Array, rows: Rows) -> dict[str, Float[jax.Array, "..."]]:
        """A training batch of rows; a pure function of the key."""
        ...

    def validation(self, rows: Rows, seed: int) -> Validate:
        """Scores on rows that are held out; what is random about them is drawn once."""
        ...

    def trained(self, dimensions: int) -> Trained:
        """What a network that learns from these pairs is trained for."""
        ...

    def facts(self) -> dict[str, Any]:
        """Plain values that define the pairs."""
        ...

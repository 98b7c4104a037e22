"""Filling the grid between positions that were measured at every n-th."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import numpy as np

from mpijax.core.checks import check_count
from mpijax.core.typing import Array, Bool, Complex
from mpijax.rows.masks import stride_mask
from mpijax.rows.splines import spline_upsample
from mpijax.rows.tasks.denoise import filled_by_wiener
from mpijax.rows.tasks.task import Gaps, RowMethod, Task
from mpijax.system import Grid


@dataclasses.dataclass(frozen=True)
class Complete(Task):
    """Complete a grid that a small sample measured at every scale-th position of each axis in use: 10 to 19 voxels for 2.

    Attributes:
        scale: fine voxels per coarse one and axis, at least 2.

    Source: restoration paper, section 3.2 (accelerated calibration).
    """

    scale: int = 2

    name: ClassVar[str] = "complete"
    verb: ClassVar[str] = "completed"
    action: ClassVar[str] = "completing"
    least_noise: ClassVar[float] = 0.01

    def __post_init__(self) -> None:
        check_count("scale", self.scale, 2)

    @property
    def factor(self) -> int:
        """The scale."""
        return self.scale

    @property
    def stand_in(self) -> str:
        """Cubic splines through the measured positions."""
        return "spline"

    def classical(self) -> Mapping[str, RowMethod]:
        """Interpolation and filling."""
        return {
            "spline": lambda rows, known, inside, sigma: spline_upsample(self.observe(rows), rows.shape[1:]),
            "wiener": filled_by_wiener,
        }

    def observe(self, fine: Complex[Array, " b *t"]) -> Complex[Array, " b *s"]:
        """Every scale-th voxel per axis in use, from the first."""
        return fine[(slice(None), *self._every(fine.shape[1:]))]

    def _every(self, shape: tuple[int, ...]) -> tuple[slice, ...]:
        return tuple(slice(None, None, self.scale if n > 1 else 1) for n in shape)

    def lay_out(
        self, rows: Complex[np.ndarray, " b *s"], known: Bool[np.ndarray, " *s"]
    ) -> tuple[Complex[np.ndarray, " b *t"], Bool[np.ndarray, " *t"]]:
        """On the fine grid, where what was not measured is unknown."""
        canvas = np.zeros((len(rows), *self.fine_shape(rows.shape[1:])), np.complex64)
        fine = np.zeros(canvas.shape[1:], bool)
        every = self._every(fine.shape)
        canvas[(slice(None), *every)], fine[every] = rows, known
        return canvas, fine

    def seen(self, fine: Complex[Array, " b *t"]) -> Complex[Array, " b *t"]:
        """Fine rows, of which only the observed voxels are known."""
        return fine

    def draw_known(self, key: jax.Array, extent: Any, shape: tuple[int, int, int], gaps: Gaps) -> Bool[jax.Array, " n"]:
        """The observed voxels."""
        return stride_mask(extent, shape, self.scale)

    def fine_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the grid whose every scale-th voxel per axis is one of ``shape``."""
        return tuple((n - 1) * self.scale + 1 for n in shape)

    def grid(self, grid: Grid) -> Grid:
        """The same center and end positions, and voxels between them; an axis of one voxel stays."""
        shape, fov = np.asarray(grid.shape), np.asarray(grid.fov, np.float64)
        nx, ny, nz = self.fine_shape(grid.shape)
        fine = np.where(shape > 1, np.array([nx, ny, nz]) * (fov / shape) / self.scale, fov)
        return Grid((nx, ny, nz), fine, np.asarray(grid.center, np.float64))

    def how(self, missing: Bool[np.ndarray, " n"]) -> str:
        """From which positions."""
        return f" from every {self.scale}. position per axis"

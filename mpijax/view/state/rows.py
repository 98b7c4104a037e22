"""Which row is shown, how it was found, and what is drawn of it."""

from dataclasses import dataclass

import numpy as np

from mpijax.core.checks import check_choice
from mpijax.core.typing import Complex
from mpijax.system import Grid
from mpijax.view.state.grids import same_place
from mpijax.view.state.matrix import MatrixView, rms
from mpijax.view.state.pair import differences

ORDERS = ("frequency", "SNR, this channel", "SNR, all channels")
"""What the next row is."""

COLORINGS = ("complex", "modulus", "phase", "real part")


@dataclass
class Comparison:
    """The row of two matrices and their difference, as far as these may be shown; the sentence says why one is not.

    The second row is shown where it is of the same frequency, sampling, unit, transfer function, concentration and patch, the
    difference where the grid is the same too.
    """

    images: dict[str, Complex[np.ndarray, "_ _ _"]]
    says: str = ""


class RowsState:
    """The row that is shown.

    Args:
        matrix: where it is from.
        second: a matrix to compare it with, or None.

    Attributes:
        channel, position: where the row stands; patch: of which period.
        background: whether the mean of the background frames is subtracted.
        order: one of :data:`ORDERS`; coloring: one of :data:`COLORINGS`.
        voxel: (x, y, z) where volumes are cut; axis: of the profile through it, 0 to 2.
    """

    def __init__(self, matrix: MatrixView, second: MatrixView | None = None):
        self.matrix, self.second = matrix, second
        self.channel, self.position, self.patch = 0, 0, 0
        self.background = True
        self.order, self.coloring = ORDERS[0], COLORINGS[0]
        self.voxel: tuple[int, int, int] = tuple(n // 2 for n in matrix.grid.shape)  # type: ignore[assignment]
        self.axis = int(np.argmax(matrix.grid.shape))
        if matrix.strength is not None:
            self.order = ORDERS[2]
            self.go_to_rank(0)

    @property
    def title(self) -> str:
        """Channel, frequency, mixing orders and SNR of the row."""
        return self.matrix.title(self.channel, self.position)

    def sequence(self) -> np.ndarray:
        """Channel and position (rows, 2) of all rows in the order in which they are stepped through."""
        check_choice("order", self.order, ORDERS)
        if self.order == ORDERS[0]:
            positions = np.argsort(self.matrix.bins, kind="stable")
            return np.stack([np.full_like(positions, self.channel), positions], -1)
        return self.matrix.ranked(self.channel if self.order == ORDERS[1] else None)

    def rank(self) -> int:
        """Where the row stands in that order, counted from 0; 0 where it has no place in it."""
        found = np.flatnonzero(np.all(self.sequence() == (self.channel, self.position), axis=1))
        return int(found[0]) if len(found) else 0

    def go_to_rank(self, rank: int) -> None:
        """Show the row of this place; beyond an end it is the last one."""
        rows = self.sequence()
        self.channel, self.position = map(int, rows[min(max(rank, 0), len(rows) - 1)])

    def step(self, by: int) -> None:
        """Show the row so many places further."""
        self.go_to_rank(self.rank() + by)

    def go_to_orders(self, orders: tuple[int, int, int]) -> None:
        """Show the row of mixing orders (mx, my, mz). See :meth:`MatrixView.position_of_orders`."""
        self.position = self.matrix.position_of_orders(orders)

    def go_to_frequency(self, frequency: float) -> None:
        """Show the row whose frequency is next to this one [Hz]."""
        self.position = self.matrix.nearest_frequency(frequency)

    def image(self) -> Complex[np.ndarray, "z y x"]:
        """The row as an image."""
        return self.matrix.row(self.channel, self.position, patch=self.patch, background=self.background)

    def comparison(self) -> Comparison:
        """The row of both matrices and their difference, by the name of what is shown.

        Raises:
            FileNotFoundError, OSError, MDFError: see :meth:`MatrixView.row`.
        """
        first = self.image()
        if self.second is None:
            return Comparison({"": first})
        names = [self.matrix.path.name, self.second.path.name]
        names = names if names[0] != names[1] else [str(self.matrix.path), str(self.second.path)]
        try:
            channel, position = self.matrix.same_row(self.second, self.channel, self.position)
            patch = self.matrix.same_patch(self.second, self.patch)
        except ValueError as error:
            return Comparison({names[0]: first}, str(error))
        found = differences(self.matrix, self.second, (self.position, position), (self.patch, patch))
        if found.kind:
            return Comparison({names[0]: first}, f"the two are not compared: {'; '.join(found.kind)}.")
        apart = f" The fields differ: {'; '.join(found.fields)}." if found.fields else ""
        numbered = [m.info.numbers_of([p]) is not None for m, p in ((self.matrix, self.patch), (self.second, patch))]
        if numbered[0] != numbered[1]:
            apart += " Beware: only one of the two files numbers its patch."
        other = self.second.row(channel, position, patch=patch, background=self.background)
        images = {names[0]: first, names[1]: other}
        if found.grid:
            return Comparison(images, f"no difference is shown: {'; '.join(found.grid)}.{apart}")
        share = rms(first - other) / (rms(first) or 1.0)
        return Comparison(images | {"difference": first - other}, f"rms difference: {share:.1%} of the row.{apart}")

    def voxel_at(self, plane: tuple[int, int], horizontal: float, vertical: float) -> tuple[int, int, int]:
        """The voxel at a place in a plane [mm], its third number as it is; also the new ``voxel``."""
        found, grid = list(self.voxel), self.matrix.grid
        for axis, place in zip(plane, (horizontal, vertical), strict=True):
            edge = float(grid.fov[axis]) / grid.shape[axis]
            low = float(grid.center[axis]) - float(grid.fov[axis]) / 2
            found[axis] = int(np.clip((place * 1e-3 - low) // edge, 0, grid.shape[axis] - 1))
        self.voxel = (found[0], found[1], found[2])
        return self.voxel

    def voxel_in(self, grid: Grid) -> tuple[int, int, int]:
        """The voxel of a grid that lies where ``voxel`` does, or nearest to it."""
        return same_place(self.voxel, self.matrix.grid, grid)

    def profile(self, image: Complex[np.ndarray, "_ _ _"], grid: Grid | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Places [mm] and values of an image along ``axis`` through the place of ``voxel``; None = on the matrix's own grid."""
        grid = grid or self.matrix.grid
        x, y, z = self.voxel_in(grid)
        line = [image[z, y, :], image[z, :, x], image[:, y, x]][self.axis]
        return grid.axes[self.axis] * 1e3, line

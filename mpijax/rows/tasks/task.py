"""What every restoration task says of itself."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import jax
import numpy as np

from mpijax.core.typing import Array, Bool, Complex, Float
from mpijax.physics.scan_order import valid_voxels
from mpijax.system import Grid

RowMethod = Callable[..., Array]
"""``method(rows, known, inside, sigma) -> rows``: what shipped networks, run directories, classical filters and callables of a
user meet. Rows (b, *s) complex with zeros where nothing is known, ``known`` and ``inside`` bool (*s) (measured; part of the
grid; networks also take (b, *s)), ``sigma`` (b,) the complex standard deviation of each row's noise, to rows (b, *t) in the unit
of the given ones."""

Gaps = Callable[[jax.Array, Any, tuple[int, int, int]], jax.Array]
"""``(key, extent, shape) -> known``: draws positions that failed."""


@dataclasses.dataclass(frozen=True, eq=False)
class Trial:
    """A task one level coarser, whose answer was measured.

    Attributes:
        rows: as they would have been measured on the coarser grid (b, *u).
        sigma: complex standard deviation of their noise (b,).
        hidden: measured voxels (*s) that are to be predicted from them.
    """

    rows: Complex[np.ndarray, " b *u"]
    sigma: Float[np.ndarray, " b"]
    hidden: Bool[np.ndarray, " *s"]


@dataclasses.dataclass(frozen=True)
class Task:
    """A way in which the rows of a calibration fall short of those that are wanted.

    A new task is a subclass in one file, given to :func:`mpijax.restore` as an object, or by name once
    :func:`mpijax.rows.tasks.register_task` knows it. What is not overridden describes a task that keeps the grid, observes
    all of it, and leaves rows as measured where it fails; one whose answer has another grid names a stand-in.

    Attributes:
        name: of the task, for the command line and for cards of weights.
        verb: what was done to a row, "denoised"; action: what is being done, "denoising".
        by_slice: whether a row is restored slice by slice (x and y) where its grid has several along z.
        has_gaps: whether measured rows may miss positions of their own grid; their check hides as many measured ones.
        has_trial: whether a network is tried against the stand-in one level coarser before it restores rows, see :meth:`trial`.
        rivals: classical methods that restore a row where they do better on it than a network.
        least_noise: sigma over the largest modulus below which a network gains nothing on the stand-in.
    """

    name: ClassVar[str]
    verb: ClassVar[str]
    action: ClassVar[str]
    by_slice: ClassVar[bool] = False
    has_gaps: ClassVar[bool] = False
    has_trial: ClassVar[bool] = False
    rivals: ClassVar[tuple[str, ...]] = ()
    least_noise: ClassVar[float] = 0.0

    @property
    def factor(self) -> int:
        """Fine voxels per coarse one and axis; 1 where the grid stays."""
        return 1

    @property
    def seen_factor(self) -> int:
        """Fine voxels per voxel and axis of what a network is given; 1 where that is the fine grid with unknown voxels."""
        return 1

    @property
    def stand_in(self) -> str | None:
        """The classical method that restores rows where the chosen one fails; None = they are left as measured."""
        return None

    def facts(self) -> dict[str, Any]:
        """What a network must have been trained for beside the task itself; None = whatever it was trained for."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def fits(self, trained: "Task") -> bool:
        """Whether weights that were trained for the same task do what this one asks for."""
        return all(value in (None, trained.facts()[name]) for name, value in self.facts().items())

    def classical(self) -> Mapping[str, RowMethod]:
        """The classical methods of this task by name, for every name that the command line knows."""
        return {}

    def settled(self, method: str) -> "Task":
        """The task with what it leaves open as a classical method of this name takes it."""
        return self

    def observe(self, fine: Complex[Array, " b *t"]) -> Complex[Array, " b *s"]:
        """Fine rows as they would be measured, without noise, gaps of the grid filled: the same in training and in use."""
        return fine

    def seen(self, fine: Complex[Array, " b *t"]) -> Complex[Array, " b *u"]:
        """Fine rows as a network is given them in training, before unknown voxels are taken out: what :meth:`lay_out` makes of
        the observed ones."""
        return self.observe(fine)

    def draw_known(self, key: jax.Array, extent: Any, shape: tuple[int, int, int], gaps: Gaps) -> Bool[jax.Array, " n"]:
        """The measured voxels of a row in training.

        Args:
            key: random key.
            extent: voxels (nx, ny, nz) of the row as it is seen, may be traced; shape: of its box, static.
            gaps: ``(key, extent, shape) -> known``: blocks of failed positions, for tasks that fill some.
        """
        return valid_voxels(extent, shape)

    def known(
        self, images: Complex[np.ndarray, " b *s"], finite: Bool[np.ndarray, " *s"], shape: tuple[int, int, int]
    ) -> Bool[np.ndarray, " *s"]:
        """The measured positions.

        Args:
            images: measured rows.
            finite: positions at which all of them are finite.
            shape: (nz, ny, nx) of the matrix.

        Raises:
            ValueError: a task with gaps and nothing missing.
        """
        return finite

    def lay_out(
        self, rows: Complex[np.ndarray, " b *s"], known: Bool[np.ndarray, " *s"]
    ) -> tuple[Complex[np.ndarray, " b *u"], Bool[np.ndarray, " *u"]]:
        """Measured rows and positions as a method is given them."""
        return rows, known

    def trial(self, rows: Complex[np.ndarray, " b *s"], sigma: Float[np.ndarray, " b"]) -> Trial | None:
        """This task with measured rows for its answer; None where there are too few voxels for it.

        Args:
            rows: measured, complete rows.
            sigma: complex standard deviation of their noise.
        """
        return None

    def fine_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of the restored rows, image axes."""
        return tuple(n * self.factor for n in shape)

    def seen_extent(self, extent: Array) -> Array:
        """Voxels per axis of a row as it is seen, of those of a fine row; may be traced."""
        return extent

    def target_extent(self, extent: Array) -> Array:
        """Voxels per axis of a fine row that what is seen determines; may be traced."""
        return extent

    def grid(self, grid: Grid) -> Grid:
        """Grid of the restored rows."""
        return grid

    def how(self, missing: Bool[np.ndarray, " n"]) -> str:
        """What follows the verb in the record of a restored matrix, e.g. " at 3 of 400 positions"."""
        return ""

"""Making the grid finer, slice by slice."""

import dataclasses
from collections.abc import Mapping
from typing import ClassVar

import numpy as np

from mpijax.core.checks import check_choice, check_count
from mpijax.core.typing import Array, Bool, Complex, Float
from mpijax.rows.degradation import degrade, degraded_noise_std
from mpijax.rows.filters import dct_filter
from mpijax.rows.linear import consistent_bicubic
from mpijax.rows.resampling import bicubic
from mpijax.rows.splines import spline_upsample
from mpijax.rows.tasks.task import RowMethod, Task, Trial
from mpijax.rows.transforms import SMALLEST
from mpijax.system import Grid


@dataclasses.dataclass(frozen=True)
class Upsample(Task):
    """Make x and y finer, slice by slice.

    Attributes:
        scale: fine voxels per coarse one and axis: 2, 4 or 8.
        sampling: "box", the calibration sample fills the coarse voxel, or "stride", a small sample at every scale-th position;
            None = what the method is made for.

    Source: restoration paper, section 3.2 (upsampling); TranSMS paper, section II.
    """

    scale: int = 2
    sampling: str | None = None

    name: ClassVar[str] = "upsample"
    verb: ClassVar[str] = "upsampled"
    action: ClassVar[str] = "upsampling"
    by_slice: ClassVar[bool] = True
    has_trial: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_count("scale", self.scale, 2)
        if self.scale not in (2, 4, 8):
            raise ValueError(
                f"scale = {self.scale}; upsample takes 2, 4 or 8, with splines, too. Only 'complete' takes any scale."
            )
        check_choice("sampling", self.sampling, (None, "box", "stride"))

    @property
    def factor(self) -> int:
        """The scale."""
        return self.scale

    @property
    def seen_factor(self) -> int:
        """The scale: a network is given the coarse rows."""
        return self.scale

    @property
    def stand_in(self) -> str:
        """Bicubic interpolation of block means, splines through samples."""
        return "bicubic" if self.sampling == "box" else "spline"

    def classical(self) -> Mapping[str, RowMethod]:
        """Interpolations; without a prior, room for the noise would only bring bicubic's error back into block means."""
        scale, sampling = self.scale, self.sampling or "box"
        return {
            "bicubic": lambda rows, known, inside, sigma: bicubic(rows, scale, sampling=sampling),
            "consistent-bicubic": lambda rows, known, inside, sigma: consistent_bicubic(rows, scale),
            "spline": lambda rows, known, inside, sigma: spline_upsample(rows, scale),
            "filtered-spline": lambda rows, known, inside, sigma: spline_upsample(
                dct_filter(rows, sigma, rule="garrote"), scale
            ),
        }

    def settled(self, method: str) -> "Upsample":
        """With the sampling that a classical method is made for, where none is given."""
        made_for = {"consistent-bicubic": "box", "spline": "stride", "filtered-spline": "stride"}.get(method)
        if made_for and self.sampling not in (None, made_for):
            what = {"box": "block means", "stride": "a small sample at every n-th position"}[made_for]
            raise ValueError(f"sampling = {self.sampling!r}; {method} is defined for {made_for!r} ({what}).")
        return dataclasses.replace(self, sampling=self.sampling or made_for or "box")

    def observe(self, fine: Complex[Array, " b *t"]) -> Complex[Array, " b *s"]:
        """Block means, or every scale-th voxel from the first."""
        return degrade(fine, (self.scale,) * (fine.ndim - 1), self.sampling or "box")

    def trial(self, rows: Complex[np.ndarray, " b *s"], sigma: Float[np.ndarray, " b"]) -> Trial | None:
        """From every scale-th measured voxel the others, or from block means all; None below 4 coarser voxels along an axis."""
        sampling, shape = self.sampling or "box", np.array(rows.shape[1:])
        coarser, whole = self.seen_extent(shape), self.target_extent(shape)
        if coarser.min() < SMALLEST:
            return None
        hidden = np.zeros(rows.shape[1:], bool)
        hidden[tuple(slice(n) for n in whole)] = True
        if sampling == "stride":
            hidden[(slice(None, None, self.scale),) * hidden.ndim] = False
        seen = np.asarray(self.observe(rows[(slice(None), *(slice(n) for n in whole))]))
        noise = np.asarray(degraded_noise_std(sigma, (self.scale,) * hidden.ndim, sampling, "retrospective"))
        return Trial(seen, noise, hidden)

    def seen_extent(self, extent: Array) -> Array:
        """As many as there are whole blocks, or strides."""
        return -(-extent // self.scale) if self.sampling == "stride" else extent // self.scale

    def target_extent(self, extent: Array) -> Array:
        """Those of whole blocks; with strides all."""
        return extent if self.sampling == "stride" else extent // self.scale * self.scale

    def grid(self, grid: Grid) -> Grid:
        """The same field of view in finer voxels; the first of them sits on the first coarse position, except for box means."""
        nx, ny, nz = grid.shape
        center, voxel = np.asarray(grid.center, np.float64), np.asarray(grid.fov, np.float64) / grid.shape
        shift = np.array([1, 1, 0]) * voxel / 2 * (1 - 1 / self.scale) if self.sampling == "stride" else 0
        return Grid((nx * self.scale, ny * self.scale, nz), grid.fov, center + shift)

    def how(self, missing: Bool[np.ndarray, " n"]) -> str:
        """By how much, and what was measured."""
        return f" {self.scale} x in x and y ({self.sampling} sampling)"

"""What an MDF file says about itself: everything but the data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mpijax.core.mapping import FrozenMapping
from mpijax.io.errors import MDFError
from mpijax.io.mdf.positions import Size, grid_of_positions, header_order, position_order
from mpijax.system.facts.voxels import check_voxels

if TYPE_CHECKING:
    from mpijax.system.grid import Grid
    from mpijax.system.sequence import LissajousSequence
else:  # they load jax, and a header is read without; who asks for a grid or a sequence gets it
    Grid = LissajousSequence = Any


@dataclass(frozen=True, eq=False)
class CalibrationInfo:
    """The group /calibration.

    Attributes:
        method: robot, hybrid, simulation, ..
        size: voxels (nx, ny, nz) or None.
        fov, center: [m], (3,) or None.
        order: which axis runs fastest, "xyz" unless the file says otherwise.
        delta_sample_size: edges of the sample [m], (3,) or None.
        positions: [m], (o, 3) or None.
        meandering: whether every second line was measured backwards.
    """

    method: str
    size: tuple[int, int, int] | None
    fov: np.ndarray | None
    center: np.ndarray | None
    order: str
    delta_sample_size: np.ndarray | None
    positions: np.ndarray | None
    meandering: bool


@dataclass(frozen=True, eq=False)
class ReconstructionInfo:
    """The group /reconstruction.

    Attributes:
        path: the file.
        shape: frames Q, voxels P, contrasts S of the data.
        size: voxels (nx, ny, nz) or None.
        fov, center: [m], (3,) or None.
        order: which axis runs fastest.
        parameters: the user fields under /reconstruction/_parameters.
    """

    path: Path
    shape: tuple[int, ...]
    size: tuple[int, int, int] | None
    fov: np.ndarray | None
    center: np.ndarray | None
    order: str
    parameters: FrozenMapping

    @property
    def grid(self) -> Grid:
        """The grid of the images.

        Raises:
            MDFError: no grid, or one that does not match the data.
        """
        if self.size is None or self.fov is None:
            raise MDFError(
                f"{self.path} lacks /reconstruction/size or /reconstruction/fieldOfView: its grid is unknown."
            )
        voxels = math.prod(self.size)
        if len(self.shape) != 3 or self.shape[1] != voxels:
            raise MDFError(
                f"{self.path}: /reconstruction/data has shape {self.shape}; (frames, {voxels}, contrasts) is expected for a "
                f"grid of {self.size} voxels."
            )
        from mpijax.system.grid import Grid

        try:
            return Grid.create(self.size, self.fov, np.zeros(3) if self.center is None else self.center)
        except ValueError as error:
            raise MDFError(f"{self.path}: /reconstruction: {error}") from None


@dataclass(frozen=True, eq=False)
class MDFInfo:
    """The header of an MDF file. Make it with :func:`read_info` or take ``open_system_matrix(path).info``.

    J periods, Y sub-partitions, C receive channels, K frequencies, D drive channels, F frequencies per drive channel.

    Attributes:
        path, version, uuid: the file.
        study, experiment, tracer, scanner: the texts and numbers of these groups (tracer: tuples, one entry per
            tracer).
        n_averages, start_time: /acquisition.
        n_periods: their number, J.
        gradients: [T/m], (J or 1, Y, 3, 3) or None; offset_fields: [T], (J or 1, Y, 3) or None.
        base_frequency: [Hz] or None; cycle: [s] or None.
        divider: (D, F) or None; strengths: [T], (J or 1, D, F) or None; phases: [rad], likewise.
        waveform: one name per drive frequency.
        n_channels, n_samples, unit: the receiver; bandwidth: [Hz], NaN where missing.
        frequencies: (K,) [Hz], NaN where not known; frequency_indices: rfft bins (K,).
        data_conversion_factor: (C, 2) or None; induction_factor: (C,) or None; has_transfer_function.
        data_shape, data_dtype: of /measurement/data; () and None without.
        flags: name -> bool, every ``is..`` of /measurement, missing ones with their defaults.
        is_background_frame: (N,) in stored order; a compressed file's coefficients count as its O voxels.
        acquisition_index: when each frame was measured, (N,), or None where it is not known.
        calibration, reconstruction: or None; snrs: (J or 1, C, K) or None; row_mask: (C, K) or None; angles: (C,) [rad] or None.
        channel_numbers: which receivers the C channels are, or None: they count from 0; period_numbers: likewise of the J periods.
        lacks: paths of the fields, mandatory or optional, that the file does not hold.
        remarks: what else a reader should know.
        period: the period that ``gradient``, ``offset_field``, ``strength``, ``phase`` and ``snr`` speak of.

    Source: T. Knopp et al., MDF: magnetic particle imaging data format, arXiv:1602.06072.
    """

    path: Path
    version: str
    uuid: str | None
    study: Mapping[str, Any]
    experiment: Mapping[str, Any]
    tracer: Mapping[str, Any]
    scanner: Mapping[str, Any]
    n_averages: int
    start_time: str | None
    n_periods: int
    gradients: np.ndarray | None
    offset_fields: np.ndarray | None
    base_frequency: float | None
    cycle: float | None
    divider: np.ndarray | None
    strengths: np.ndarray | None
    phases: np.ndarray | None
    waveform: tuple[str, ...]
    n_channels: int
    n_samples: int
    bandwidth: float
    unit: str | None
    frequencies: np.ndarray
    frequency_indices: np.ndarray
    data_conversion_factor: np.ndarray | None
    induction_factor: np.ndarray | None
    has_transfer_function: bool
    data_shape: tuple[int, ...]
    data_dtype: np.dtype | None
    flags: Mapping[str, bool]
    is_background_frame: np.ndarray
    acquisition_index: np.ndarray | None
    calibration: CalibrationInfo | None
    reconstruction: ReconstructionInfo | None
    snrs: np.ndarray | None
    row_mask: np.ndarray | None
    angles: np.ndarray | None
    channel_numbers: tuple[int, ...] | None
    period_numbers: tuple[int, ...] | None
    lacks: tuple[str, ...]
    remarks: tuple[str, ...]
    period: int = 0

    def at_period(self, period: int) -> "MDFInfo":
        """The same header, speaking of another period.

        Raises:
            ValueError: a period the file does not have.
        """
        if not 0 <= period < self.n_periods:
            raise ValueError(f"period = {period}; {self.path} has periods 0 to {self.n_periods - 1}.")
        return replace(self, period=period)

    def _per_period(self, values: np.ndarray | None) -> np.ndarray | None:
        return None if values is None else values[self.period if len(values) > 1 else 0]

    @property
    def is_calibration(self) -> bool:
        """Whether the file holds a system matrix."""
        return self.calibration is not None

    @property
    def n_frames(self) -> int:
        """Number of frames N, background frames included."""
        return len(self.is_background_frame)

    @property
    def n_background_frames(self) -> int:
        """Number of background frames E."""
        return int(np.count_nonzero(self.is_background_frame))

    @property
    def n_foreground_frames(self) -> int:
        """Number of foreground frames O."""
        return self.n_frames - self.n_background_frames

    @property
    def gradient(self) -> np.ndarray | None:
        """Gradient [T/m] of the period, (3, 3), or None."""
        values = self._per_period(self.gradients)
        return None if values is None else values[0]

    @property
    def offset_field(self) -> np.ndarray | None:
        """Offset field [T] of the period, (3,), or None."""
        values = self._per_period(self.offset_fields)
        return None if values is None else values[0]

    @property
    def strength(self) -> np.ndarray | None:
        """Drive-field strength [T] of the period, (D, F), or None."""
        return self._per_period(self.strengths)

    @property
    def phase(self) -> np.ndarray | None:
        """Drive-field phase [rad] of the period, (D, F), or None."""
        return self._per_period(self.phases)

    @property
    def snr(self) -> np.ndarray | None:
        """Signal-to-noise ratio of the period as stored, (C, K), or None."""
        return self._per_period(self.snrs)

    @property
    def sequence(self) -> LissajousSequence | None:
        """The drive sequence, or None where the file's is missing or not a sinusoidal Lissajous sequence."""
        if self.base_frequency is None or self.divider is None or self.strength is None:
            return None
        from mpijax.system.sequence import LissajousSequence

        try:
            return LissajousSequence.from_mdf(self)
        except (ValueError, ArithmeticError):  # ArithmeticError: a cycle or dividers beyond what floats hold
            return None

    @property
    def patch(self) -> int | None:
        """Number of the period that the header speaks of, or None where a frame has one and the file gives no number."""
        numbers = self.numbers_of([self.period])
        return None if numbers is None else numbers[0]

    def numbers_of(self, periods: Sequence[int]) -> tuple[int, ...] | None:
        """Numbers of some periods, or None where a frame has one and the file gives no number."""
        if self.period_numbers is not None:
            return tuple(self.period_numbers[i] for i in periods)
        return tuple(int(i) for i in periods) if self.n_periods > 1 else None

    @property
    def driven(self) -> int:
        """How many drive channels are on: 1-D, 2-D or 3-D excitation; 0 where it is not known."""
        return 0 if self.strength is None else int(np.count_nonzero(np.any(self.strength > 1e-7, axis=1)))

    @property
    def tracer_concentration(self) -> float | None:
        """Concentration of the first tracer [mol/m^3 = mmol/L], or None where missing or zero."""
        values = self.tracer.get("concentration")
        return values[0] * 1e3 if values and values[0] > 0 else None

    @property
    def sample_volume(self) -> float | None:
        """Volume of the calibration sample [m^3]: of the delta sample, else of the tracer, or None."""
        if self.calibration is not None and self.calibration.delta_sample_size is not None:
            if (volume := float(np.prod(self.calibration.delta_sample_size))) > 0:
                return volume
        values = self.tracer.get("volume")
        return values[0] / 1e3 if values and values[0] > 0 else None

    @property
    def grid(self) -> Grid:
        """The calibration's grid, from its positions where size or field of view is missing.

        Raises:
            MDFError: no calibration, no grid, or a grid that does not match the number of foreground frames.
        """
        from mpijax.system.grid import Grid

        return Grid.create(*self._voxels)

    @property
    def _voxels(self) -> tuple[Size, np.ndarray, np.ndarray]:
        """Size, field of view [m] and center [m] of the grid; see :attr:`grid`."""
        calibration = self.calibration
        if calibration is None:
            raise MDFError(
                f"{self.path} is a measurement without a calibration (no /calibration/method): it has no grid (mpijax info says "
                "what it holds, mpijax view draws it beside its calibration)."
            )
        size, fov, center = calibration.size, calibration.fov, calibration.center
        positions = calibration.positions
        if positions is not None and (size is None or fov is None):
            size, fov, center = grid_of_positions(positions)
            if math.prod(size) != len(positions):
                raise MDFError(
                    f"{self.path} gives {len(positions)} positions that form no regular grid, and no /calibration/size with "
                    "/calibration/fieldOfView."
                )
        if size is None or fov is None:
            raise MDFError(
                f"{self.path} lacks /calibration/size or /calibration/fieldOfView, and positions to find them from."
            )
        if math.prod(size) != self.n_foreground_frames:
            raise MDFError(
                f"{self.path}: /calibration/size {size} has {math.prod(size)} voxels, but the data hold "
                f"{self.n_foreground_frames} foreground frames."
            )
        if center is None:
            center = np.zeros(3) if positions is None else (positions.min(0) + positions.max(0)) / 2
        try:
            fov = _thickness(fov, size, calibration)
            check_voxels(size, fov, center)
        except ValueError as error:
            raise MDFError(f"{self.path}: /calibration: {error}") from None
        return size, fov, center

    @property
    def voxel_frames(self) -> np.ndarray:
        """Where each voxel of the grid (x fastest) stands among the foreground frames, (n,).

        Frames are never permuted again where isFramePermutation says that they are sorted: sorting by isBackgroundFrame
        leaves a sorted file as it is. A meander (/calibration/isMeanderingGrid of a file that is not sorted) and an order
        other than xyz are undone. Positions that say otherwise decide, unless the file says that its frames are sorted,
        meander, or are coefficients of a transform, whose voxels stand where the transform puts them.

        Raises:
            MDFError: no grid, or positions that contradict it.
        """
        calibration, said = self.calibration, self._header_order
        assert calibration is not None
        if calibration.positions is None:
            return said
        found = position_order(str(self.path), calibration.positions, *self._voxels)
        fixed = ["isMeanderingGrid"] if self._meanders else []
        fixed += [name for name in ("isFramePermutation", "isSparsityTransformed") if self.flags[name]]
        if fixed and not np.array_equal(found, said):
            raise MDFError(
                f"{self.path}: /calibration/positions puts the frames in another order than {fixed[0]} = 1 says. Correct or "
                "remove the one that is wrong."
            )
        return found

    @property
    def sorted_by_positions(self) -> bool:
        """Whether /calibration/positions puts the voxels in another order than the rest of the header does."""
        return not np.array_equal(self.voxel_frames, self._header_order)

    @property
    def _meanders(self) -> bool:
        return self.calibration is not None and self.calibration.meandering and not self.flags["isFramePermutation"]

    @property
    def _header_order(self) -> np.ndarray:
        size, *_ = self._voxels
        assert self.calibration is not None
        return header_order(size, self.calibration.order, self._meanders)


def _thickness(fov: np.ndarray, size: tuple[int, int, int], calibration: CalibrationInfo) -> np.ndarray:
    """A field of view whose single-voxel axes of extent zero get the sample's edge, or else the smallest voxel edge."""
    flat = (np.asarray(size) == 1) & (fov == 0)
    if not flat.any() or flat.all():
        return fov
    edge = np.full(3, np.min((fov / size)[~flat]))
    if calibration.delta_sample_size is not None and np.all(calibration.delta_sample_size > 0):
        edge = calibration.delta_sample_size
    return np.where(flat, edge, fov)

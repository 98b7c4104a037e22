"""The system matrix: one complex spatial pattern per receive channel and frequency."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from mpijax.core.checks import check_count, check_range, check_shape, is_concrete
from mpijax.core.frames import frame_std
from mpijax.core.mapping import FrozenMapping
from mpijax.core.masks import as_mask
from mpijax.core.pytree import pytree, static
from mpijax.core.typing import Array, Bool, Complex, Inexact, IntVector, Mask, Scalar, Values, Vector
from mpijax.system.facts.header import Header, header_of
from mpijax.system.facts.identity import check_numbers
from mpijax.system.facts.row_index import RowIndex as RowIndex
from mpijax.system.facts.select import RowSelection
from mpijax.system.facts.shown import frames_of, shown
from mpijax.system.facts.spectrum import spectrum_of
from mpijax.system.grid import Grid
from mpijax.system.labeled import axis, data_array, space
from mpijax.system.leaves import as_array
from mpijax.system.model import ParticleModel
from mpijax.system.operator import RowOperator
from mpijax.system.overscan import overscan_mask
from mpijax.system.regrid import regrid_rows
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence
from mpijax.system.transfer import chain_factors, inverse_factors, scale_rows


@pytree
class SystemMatrix(RowOperator):
    """A system matrix in the MDF scale: the plain, unnormalized rfft of one period. Make it with :meth:`create`.

    Attributes:
        values: complex (c, f, n), voxels x fastest.
        frequencies: (f,) [Hz]; NaN where they are not known.
        frequency_indices: rfft bins (f,).
        grid: voxel grid of the n columns.
        n_samples: samples per period (static); bandwidth [Hz].
        snr: (c, f) or None.
        background: complex background frames (e, c, f) or None.
        row_mask: bool (c, f), the rows a selection keeps, or None for all.
        sample_concentration: of the calibration sample [mol/m^3 = mmol/L]; sample_volume [m^3].
        transfer_function: complex (c, f) or None; transfer_function_corrected: whether it has been divided out (static).
        scanner, sequence, particle: what made the matrix, or None. A fluid particle carries its reference field.
        angles: (c,) [rad] of a rotating field-free line, each channel measured at its angle; None = nothing rotates.
        metadata: further facts (static).
        channel_numbers: which receivers the c channels are, or None: they are not numbered and count 0 .. c - 1 (static).
        patch: the period of a multi-patch calibration that this is, or None (static).
    """

    values: Values
    frequencies: Vector
    frequency_indices: IntVector
    grid: Grid
    bandwidth: Scalar
    snr: "Values | None"
    background: "Values | None"
    row_mask: "Mask | None"
    sample_concentration: Scalar
    sample_volume: Scalar
    transfer_function: "Values | None"
    scanner: Scanner | None
    sequence: LissajousSequence | None
    n_samples: int = static()
    transfer_function_corrected: bool = static()
    metadata: FrozenMapping = static()
    particle: ParticleModel | None = None
    angles: "Vector | None" = None
    channel_numbers: tuple[int, ...] | None = static(default=None)
    patch: int | None = static(default=None)

    @staticmethod
    def create(
        values: Any,
        frequencies: Any,
        grid: Grid,
        *,
        frequency_indices: Any = None,
        n_samples: int | None = None,
        bandwidth: Any = None,
        snr: Any = None,
        background: Any = None,
        scanner: Scanner | None = None,
        sequence: LissajousSequence | None = None,
        metadata: Mapping[str, Any] | None = None,
        row_mask: Any = None,
        sample_concentration: Any = 1.0,
        sample_volume: Any = None,
        transfer_function: Any = None,
        transfer_function_corrected: bool = False,
        particle: ParticleModel | None = None,
        angles: Any = None,
        channels: Any = None,
        patch: Any = None,
    ) -> "SystemMatrix":
        """Check shapes and build a system matrix.

        Args:
            values: complex (c, f, n).
            frequencies: (f,) [Hz].
            grid: the grid of the n voxels.
            frequency_indices: rfft bins (f,), in any order; None = 0, 1, .., f - 1.
            n_samples: samples per period; None = the sequence's, or 2 (f - 1) where the bins are 0 .. f - 1.
            bandwidth: [Hz]; None = frequency of bin n_samples/2.
            snr: (c, f) or None.
            background: complex (e, c, f) or None.
            scanner, sequence, particle, metadata: provenance.
            row_mask: bool (c, f) or None.
            sample_concentration: [mol/m^3 = mmol/L] of iron.
            sample_volume: [m^3]; None = one voxel.
            transfer_function: complex (c, f) or None.
            transfer_function_corrected: whether the values have been divided by the transfer function.
            angles: (c,) [rad] of a rotating field-free line, or None.
            channels: number of each receiver (c,), by which rows and data are matched; None = 0, 1, .., c - 1.
            patch: number of the period that the matrix belongs to, where a measurement has several; None = any.

        Raises:
            ValueError: arrays whose shapes do not agree, samples per period that contradict the sequence or are not known, bins
                or channels that no spectrum or receiver can have.
        """
        arrays = (values, frequencies, frequency_indices, snr, background, row_mask, transfer_function, angles)
        values, frequencies, frequency_indices, snr, background, row_mask, transfer_function, angles = map(
            as_array, arrays
        )
        if np.ndim(values) != 3:
            raise ValueError(f"values has shape {np.shape(values)}; expected (channels, frequencies, voxels).")
        c, f, n = np.shape(values)
        if n != grid.size:
            raise ValueError(f"values has {n} voxels, but a grid of shape {grid.shape} has {grid.size}.")
        if not np.issubdtype(values.dtype, np.complexfloating):
            raise ValueError(f"values has dtype {values.dtype}; a system matrix is complex.")
        check_range(
            "sample_concentration", sample_concentration, 1e-12, 1e12, "mmol/L", "Give 1 where it is not known."
        )
        if sample_volume is not None:
            check_range("sample_volume", sample_volume, 1e-21, 1e3, "m^3", "1 uL is 1e-9 m^3.")
        if patch is not None:
            check_count("patch", patch, 0)
        frequency_indices, n_samples, bandwidth = spectrum_of(
            f, frequencies, frequency_indices, n_samples, bandwidth, sequence
        )
        if row_mask is not None and is_concrete(row_mask):
            row_mask = as_mask("row_mask", row_mask, (c, f), indices=False).reshape(c, f)
        for name, array, shape in (
            ("snr", snr, (c, f)),
            ("row_mask", row_mask, (c, f)),
            ("transfer_function", transfer_function, (c, f)),
            ("angles", angles, (c,)),
        ):
            if array is not None:
                check_shape(name, array, shape)
        if background is not None and np.shape(background)[1:] != (c, f):
            raise ValueError(f"background has shape {np.shape(background)}; expected (frames, {c}, {f}).")
        return SystemMatrix(
            values=values,
            frequencies=frequencies,
            frequency_indices=frequency_indices,
            grid=grid,
            bandwidth=bandwidth,
            snr=snr,
            background=background,
            row_mask=row_mask,
            sample_concentration=sample_concentration,
            sample_volume=grid.voxel_volume if sample_volume is None else sample_volume,
            transfer_function=transfer_function,
            scanner=scanner,
            sequence=sequence,
            n_samples=n_samples,
            transfer_function_corrected=bool(transfer_function_corrected),
            metadata=FrozenMapping(metadata),
            particle=particle,
            angles=angles,
            channel_numbers=check_numbers("channels", channels, c),
            patch=None if patch is None else int(patch),
        )

    def __repr__(self) -> str:
        """A line of facts."""
        kept, mask = "", self.row_mask
        if mask is not None and hasattr(mask, "dtype") and is_concrete(mask):
            kept = f"{np.count_nonzero(np.asarray(mask))} rows kept"
        return shown(
            self,
            axes=("channels", "frequencies", "voxels"),
            facts=(
                kept,
                f"grid {' x '.join(map(str, self.grid.shape))}" if isinstance(self.grid, Grid) else "",
                "SNR" if self.snr is not None else "",
                frames_of(self.background, "background"),
                "transfer function divided out" if self.transfer_function_corrected else "",
            ),
        )

    @property
    def header(self) -> Header:
        """What the metadata say of the scan, as a record."""
        return header_of(self.metadata)

    def select(
        self,
        selection: RowSelection | None = None,
        *,
        snr_threshold: float | None = None,
        min_frequency: float | None = None,
        max_frequency: float | None = None,
        max_mixing_order: int | None = None,
        channels: Any = None,
    ) -> "SystemMatrix":
        """Keep rows by SNR, frequency [Hz], mixing order and channel; host side.

        The frequencies of which no channel is kept are dropped, the rest is marked in ``row_mask``.

        Args:
            selection: the criteria as a :class:`RowSelection`.
            snr_threshold, min_frequency, max_frequency, max_mixing_order, channels: or one by one, as its fields.

        Raises:
            ValueError: nothing is kept, a channel the matrix does not have, or the selection needs what the matrix lacks.
            TypeError: under jit, where the number of rows would depend on values.
        """
        if not is_concrete((self.snr, self.row_mask, self.frequencies, self.frequency_indices)):
            raise TypeError("select() chooses rows by their values and so runs on the host; call it outside jit.")
        selection = RowSelection.of(
            selection,
            snr_threshold=snr_threshold,
            min_frequency=min_frequency,
            max_frequency=max_frequency,
            max_mixing_order=max_mixing_order,
            channels=channels,
        )
        kept, bins, mask = selection.rows_of(self)
        return replace(self._take_bins(kept, bins, self.values[kept][:, bins]), row_mask=None if mask.all() else mask)

    def _take_bins(self, channels: np.ndarray, bins: np.ndarray, values: Any) -> "SystemMatrix":
        def rows(array: Any) -> Any:
            return None if array is None else array[..., channels, :][..., bins]

        return replace(
            self,
            values=values,
            frequencies=self.frequencies[bins],
            frequency_indices=self.frequency_indices[bins],
            snr=rows(self.snr),
            background=rows(self.background),
            row_mask=rows(self.row_mask),
            transfer_function=rows(self.transfer_function),
            angles=None if self.angles is None else np.asarray(self.angles)[channels],
            channel_numbers=self.channel_numbers
            if np.array_equal(channels, np.arange(self.n_channels))
            else tuple(self.channels[position] for position in channels),
        )

    def with_rows(self, rows: Inexact[Array, "m n"], grid: Grid | None = None) -> "SystemMatrix":
        """A matrix on ``grid`` whose kept rows are ``rows`` (m, n); rows that are not kept become zero."""
        grid = self.grid if grid is None else grid
        xp = np if isinstance(rows, np.ndarray) else jax.numpy
        shape = (*self.values.shape[:2], grid.size)
        if self.row_mask is None:
            values = rows.reshape(shape)
        elif isinstance(rows, np.ndarray):
            values = xp.zeros(shape, rows.dtype)
            values[self.kept_rows()] = rows
        else:
            values = xp.zeros(shape, rows.dtype).at[self.kept_rows()].set(rows)
        return replace(self, values=values, grid=grid)

    @property
    def noise_std(self) -> np.ndarray | None:
        """Complex standard deviation of each row over the background frames (c, f), or None without at least two frames."""
        if self.background is None or self.background.shape[0] < 2:
            return None
        return frame_std(self.background)

    def apply_transfer_function(self, transfer_function: Any) -> "SystemMatrix":
        """Send the rows through a receive chain: values and background frames times a_ck, which is recorded.

        Args:
            transfer_function: :class:`TransferFunction`, taken at the rows' frequencies and by the channels' numbers, or complex
                (c, f); one channel serves all.

        Raises:
            ValueError: the values have passed a recorded chain already, a shape that does not fit, or frequencies beyond the
                measured band.
        """
        if self.transfer_function is not None and not self.transfer_function_corrected:
            raise ValueError(
                "the values contain a transfer function already; call remove_transfer_function() first to replace it."
            )
        factors = chain_factors(transfer_function, self.frequencies, self.channels)
        return replace(
            self,
            values=scale_rows(self.values, factors[..., None]),
            background=scale_rows(self.background, factors),
            transfer_function=factors,
            transfer_function_corrected=False,
        )

    def remove_transfer_function(self, transfer_function: Any = None) -> "SystemMatrix":
        """Divide values and background frames by the receive chain.

        Rows where it is zero or not finite cannot be recovered: they become zero and are masked out, as when reading a file.

        Args:
            transfer_function: None = the recorded one; else as for :meth:`apply_transfer_function`, for a matrix whose chain
                is not recorded.

        Raises:
            ValueError: it has been divided out already, none is known, or one is given beside the recorded one.
        """
        if self.transfer_function_corrected:
            raise ValueError("the transfer function has been divided out already.")
        if (self.transfer_function is None) == (transfer_function is None):
            raise ValueError(
                "no transfer function is recorded; give the one to divide by."
                if transfer_function is None
                else "the matrix has its own transfer function recorded; leave out the argument."
            )
        factors = self.transfer_function
        if factors is None:
            factors = chain_factors(transfer_function, self.frequencies, self.channels)
        inverse, usable = inverse_factors(factors)
        mask = self.row_mask
        if is_concrete(usable) and not usable.all():
            mask = usable if mask is None else mask & usable
        return replace(
            self,
            values=scale_rows(self.values, inverse[..., None]),
            background=scale_rows(self.background, inverse),
            row_mask=mask,
            transfer_function=factors,
            transfer_function_corrected=True,
        )

    def images(self) -> Complex[Array, "c f z y x"]:
        """All rows as images (c, f, nz, ny, nx)."""
        return self.grid.to_image(self.values)

    def to_xarray(self) -> Any:
        """All rows as an xarray.DataArray on the host, (channel, frequency, z, y, x) with axes in Hz and m.

        Beside the axes it carries the bin, and SNR, angle and whether a row is kept, where the matrix has them; its attributes
        hold the unit, the sampling and the sample.

        Raises:
            ImportError: xarray is not installed.
        """
        rows = ("channel", "frequency")
        coords = {
            "channel": ("channel", list(self.channels)),
            "frequency": axis("frequency", self.frequencies, "Hz"),
            "bin": ("frequency", np.asarray(self.frequency_indices)),
            **space(self.grid),
            "snr": None if self.snr is None else (rows, np.asarray(self.snr)),
            "kept": None if self.row_mask is None else (rows, np.asarray(self.row_mask)),
            "angle": None if self.angles is None else axis("channel", self.angles, "rad"),
        }
        attrs = {
            "units": self.header.unit,
            "n_samples": self.n_samples,
            "bandwidth_Hz": float(self.bandwidth),
            "sample_concentration_mmol_L": float(self.sample_concentration),
            "sample_volume_m3": float(self.sample_volume),
            "patch": self.patch,
        }
        return data_array("system_matrix", self.images(), (*rows, "z", "y", "x"), coords, attrs)

    def crop(self, shape: tuple[int, int, int]) -> "SystemMatrix":
        """The central part of the grid with ``shape`` (nx, ny, nz) voxels; an odd excess loses the voxel at the far end.

        Raises:
            ValueError: a shape larger than the grid.
        """
        if any(s > n or s < 1 for s, n in zip(shape, self.grid.shape, strict=True)):
            raise ValueError(
                f"cannot crop a grid of shape {self.grid.shape} to {tuple(shape)}; give 1 up to the grid's counts."
            )
        start = [(n - s) // 2 for s, n in zip(shape, self.grid.shape, strict=True)]
        x, y, z = (slice(a, a + s) for a, s in zip(start, shape, strict=True))
        cut = self.images()[:, :, z, y, x]
        voxel = self.grid.fov / np.asarray(self.grid.shape)
        shift = np.asarray(start) + (np.asarray(shape) - np.asarray(self.grid.shape)) / 2
        nx, ny, nz = (int(s) for s in shape)
        grid = Grid((nx, ny, nz), voxel * np.asarray(shape), self.grid.center + shift * voxel)
        return replace(self, values=cut.reshape(*self.values.shape[:2], grid.size), grid=grid)

    def regrid(self, grid: Grid) -> "SystemMatrix":
        """Linear interpolation of every row onto another grid's voxel centers; beyond the outer centers the edge is held."""
        return replace(self, values=regrid_rows(self.values, self.grid, grid), grid=grid)

    def overscan_mask(self, margin: Any = None) -> Bool[np.ndarray, " n"]:
        """Voxels beyond the drive field's field of view, or a rim of ``margin`` voxels: see :func:`overscan_mask`."""
        if margin is not None:
            return overscan_mask(self.grid, margin=margin)
        return overscan_mask(self.grid, self.scanner, self.sequence)

    def to_concentration(self, image: Inexact[Array, "*batch n"]) -> Inexact[Array, "*batch n"]:
        """Scale a reconstruction (in calibration samples per voxel) to iron concentration [mol/m^3 = mmol/L].

        c = image * c_sample * V_sample / V_voxel.
        """
        return image * self.sample_unit

"""The system matrix as a linear operator: concentrations to voltages and back, and the rows it consists of."""

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_count, check_range, is_concrete
from mpijax.core.mapping import FrozenMapping
from mpijax.core.typing import Array, Complex, Float, Inexact, IntVector, Mask, Scalar, Shaped, Values, Vector
from mpijax.physics.noise import complex_normal
from mpijax.system.facts.acquisition import scan_metadata
from mpijax.system.facts.header import stating
from mpijax.system.facts.row_index import Indexed, RowIndex, index_like, row_places
from mpijax.system.grid import Grid
from mpijax.system.measurement import Measurement
from mpijax.system.scanner import Scanner
from mpijax.system.sequence import LissajousSequence


class RowOperator:
    """What :class:`SystemMatrix` does with its rows.

    With S the kept rows (m, n), c an image of concentrations [mmol(Fe)/L] and u the data, u = S c V_voxel/(c_sample V_sample):
    the scale that :func:`mpijax.reconstruction.reconstruct` inverts.
    """

    if TYPE_CHECKING:  # the fields of the container
        values: Values
        frequencies: Vector
        frequency_indices: IntVector
        bandwidth: Scalar
        grid: Grid
        metadata: FrozenMapping
        row_mask: Mask | None
        angles: Vector | None
        sample_concentration: Scalar
        sample_volume: Scalar
        scanner: Scanner | None
        sequence: LissajousSequence | None
        n_samples: int
        transfer_function_corrected: bool
        channel_numbers: tuple[int, ...] | None
        patch: int | None

    @property
    def channels(self) -> tuple[int, ...]:
        """Number of each receiver (c,): that of the scanner, kept through selection and files."""
        return tuple(range(self.n_channels)) if self.channel_numbers is None else self.channel_numbers

    @property
    def n_channels(self) -> int:
        """Number of receive channels c."""
        return self.values.shape[0]

    def kept_rows(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions (channel, bin) among ``values`` of the kept rows, in the order of :meth:`rows`."""
        if self.row_mask is None:
            c, f = self.values.shape[:2]
            return np.repeat(np.arange(c), f), np.tile(np.arange(f), c)
        if not is_concrete(self.row_mask):
            raise TypeError("which rows are kept must be known: select rows on the host, outside jit.")
        channel, position = np.nonzero(np.asarray(self.row_mask))
        return channel, position

    def row_index(self) -> RowIndex:
        """Channel and bin of each kept row, in the order of :meth:`rows`."""
        channel, position = self.kept_rows()
        angle = None if self.angles is None else np.asarray(self.angles)[channel]
        numbers = np.asarray(self.channels, int)[channel]
        return RowIndex(numbers, np.asarray(self.frequency_indices)[position], angle, self.channels, self.patch)

    @property
    def row_frequencies(self) -> Float[Array, " m"]:
        """Frequency of each kept row [Hz] (m,), in the order of :meth:`rows`; NaN where it is not known."""
        return self.frequencies[self.kept_rows()[1]]

    def rows(self) -> Complex[Array, "m n"]:
        """The kept rows as a matrix (m, n), channel-major, frequency fastest: the row order of Kaczmarz."""
        if self.row_mask is None or (is_concrete(self.row_mask) and np.all(self.row_mask)):  # without a copy
            return self.values.reshape(-1, self.values.shape[-1])
        return self.values[self.kept_rows()]

    def row_values(self, array: Shaped[Array, "*batch c f"]) -> Shaped[Array, "*batch m"]:
        """Pick the kept rows of a per-row array (.., c, f), such as the SNR, in the order of :meth:`rows`."""
        return array[(..., *self.kept_rows())]

    def rows_like(self, other: Indexed) -> Complex[Array, "k n"]:
        """The rows that another matrix or a measurement keeps, in its order; host side.

        They are matched by the numbers of their channels and by bin, by frequency where the two have other samples per period.

        Args:
            other: matrix or measurement.

        Returns:
            complex (k, n), one row for each row of ``other``.

        Raises:
            ValueError: a row that this matrix does not have or not keep, or angles that differ.
        """
        channel, position = row_places(self, index_like(other, self), "the matrix", "the other")
        if self.row_mask is not None:
            lost = np.count_nonzero(~np.asarray(self.row_mask)[channel, position])
            if lost:
                raise ValueError(
                    f"the matrix does not keep {lost} of the {len(channel)} rows; select the same rows in both."
                )
        return self.values[channel, position]

    @property
    def sample_unit(self) -> Scalar:
        """mmol(Fe)/L that one calibration sample per voxel amounts to, c_sample V_sample/V_voxel."""
        return self.sample_concentration * self.sample_volume / self.grid.voxel_volume

    def __matmul__(self, image: Values) -> Complex[jax.Array, "*batch m"]:
        """Data of the kept rows for an image of concentrations, u = S c/``sample_unit``.

        Args:
            image: [mmol(Fe)/L], (.., nz, ny, nx) or (.., n); leading axes are frames.

        Returns:
            complex (.., m) in the matrix's scale; differentiable.

        Raises:
            ValueError: an image of another grid.
        """
        image = self._voxels("image", image)
        rows = jnp.asarray(self.rows())
        samples = image / jnp.asarray(self.sample_unit, image.real.dtype)
        return jnp.matmul(samples.astype(jnp.result_type(samples, rows)), rows.T, precision="highest")

    def adjoint(self, data: Values | Measurement) -> Complex[jax.Array, "*batch n"]:
        """The adjoint of ``matrix @ image``, x = S^H u/``sample_unit``: <S c, u> = <c, S^H u>.

        Args:
            data: of the kept rows, (.., m); or a measurement, whose rows are matched to the matrix's (frames, m).

        Returns:
            complex (.., n); ``grid.to_image`` gives it its shape. Differentiable.

        Raises:
            ValueError: data of another number of rows.
            TypeError: no numbers.
        """
        data = _array("data", data.rows_like(self) if isinstance(data, Measurement) else data)
        rows = jnp.asarray(self.rows())
        if not data.ndim or data.shape[-1] != len(rows):
            raise ValueError(f"data has shape {data.shape}; expected (.., {len(rows)}), one value for each kept row.")
        back = jnp.matmul(data.astype(jnp.result_type(data, rows)), rows.conj(), precision="highest")
        return back / jnp.asarray(self.sample_unit, back.real.dtype)

    def measure(
        self, concentration: Values, *, sigma: Scalar | None = None, frames: int = 1, key: jax.Array | None = None
    ) -> Measurement:
        """The measurement of an object, as the scanner of this matrix would make it: u = S c/``sample_unit`` + noise.

        It carries channels, angles, patch, sampling, transfer-function state and the fields of the scan, so that
        ``reconstruct(matrix, matrix.measure(image))`` needs nothing else. The object lives on the matrix's own voxels: data that
        are to judge a reconstruction come from the matrix of a finer grid.

        Args:
            concentration: image [mmol(Fe)/L], (nz, ny, nx) or (n,), or one per frame with a leading axis. May be traced.
            sigma: complex standard deviation sqrt(E|n|^2) of white noise of a frame [unit of the data], a number or (c, f);
                None = no noise.
            frames: how often each image is measured, one after the other.
            key: of the noise; needed with ``sigma``.

        Returns:
            Measurement (frames, 1, c, f). Rows that the matrix does not keep hold no data.

        Raises:
            ValueError: an image of another grid, noise without a key, or a shape that does not fit.
            TypeError: under jit with a row mask that is traced.
        """
        check_count("frames", frames)
        image = self._voxels("concentration", concentration)
        if jnp.issubdtype(image.dtype, jnp.complexfloating):
            raise ValueError("concentration is complex; concentrations are real numbers, in mmol(Fe)/L.")
        if image.ndim > 2:
            raise ValueError(f"concentration has shape {image.shape}; expected one image, or one per frame.")
        signal = jnp.repeat(self @ image.reshape(-1, self.grid.size), frames, axis=0)
        shape = (len(signal), 1, *self.values.shape[:2])
        if self.row_mask is None:
            values = signal.reshape(shape)
        else:
            values = jnp.zeros(shape, signal.dtype).at[(..., *self.kept_rows())].set(signal[:, None])
        if sigma is not None:
            check_range("sigma", sigma, 0, float("inf"), "")
            if np.ndim(sigma) and np.shape(sigma) != shape[2:]:
                raise ValueError(f"sigma has shape {np.shape(sigma)}; expected one number or (c, f) = {shape[2:]}.")
            if key is None:
                raise ValueError(
                    "sigma is given without key; noise is drawn from a key, jax.random.key(0) for instance."
                )
            typed = isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key)
            if np.shape(key) != (() if typed else (2,)):
                raise ValueError(f"key = {key!r}; expected one key, such as jax.random.key(0).")
            values = values + complex_normal(shape, jnp.asarray(sigma, values.real.dtype), key=key, dtype=values.dtype)
        return self.as_measurement(values)

    def as_measurement(self, values: Values, background: Values | None = None) -> Measurement:
        """Spectra as a measurement of this matrix's scan.

        Args:
            values: complex (frames, 1, c, f), rows as in the matrix.
            background: background frames (e, 1, c, f), or None.

        Raises:
            ValueError: shapes that do not fit.
        """
        if np.ndim(values) != 4 or np.shape(values)[1:] != (1, *self.values.shape[:2]):
            raise ValueError(
                f"values has shape {np.shape(values)}; expected (frames, 1, {', '.join(map(str, self.values.shape[:2]))})."
            )
        return Measurement.create(
            values,
            self.frequencies,
            frequency_indices=self.frequency_indices,
            n_samples=self.n_samples,
            bandwidth=self.bandwidth,
            background=background,
            transfer_function_corrected=self.transfer_function_corrected,
            metadata=stating(scan_metadata(self), simulated=True),
            angles=self.angles,
            row_mask=self.row_mask,
            channels=self.channel_numbers,
            periods=None if self.patch is None else (self.patch,),
        )

    def _voxels(self, name: str, image: Values) -> Inexact[jax.Array, "*batch n"]:
        """Images (.., nz, ny, nx) or (.., n) as (.., n)."""
        image = _array(name, image)
        shape = self.grid.shape[::-1]
        if image.shape[-3:] == shape:
            image = image.reshape(*image.shape[:-3], self.grid.size)
        if not image.ndim or image.shape[-1] != self.grid.size:
            raise ValueError(
                f"{name} has shape {image.shape}; expected {shape} or ({self.grid.size},) as the matrix's grid has, in mmol(Fe)/L, "
                "or several of them along a leading axis."
            )
        return image.astype(jnp.result_type(image, float) if jnp.issubdtype(image.dtype, jnp.integer) else image.dtype)


def _array(name: str, values: Any) -> jax.Array:
    """Numbers as an array; TypeError for anything else."""
    if isinstance(values, str | bytes) or values is None:
        raise TypeError(f"{name} is {values!r}; expected an array of numbers.")
    try:
        return jnp.asarray(values)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name} is a {type(values).__name__} that holds no numbers ({error}).") from None

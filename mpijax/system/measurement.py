"""Measurements: spectra of an object, frame by frame."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from mpijax.core.checks import check_shape
from mpijax.core.pytree import FrozenMapping, pytree, static
from mpijax.core.typing import Array, Complex
from mpijax.system.leaves import as_array
from mpijax.system.matrix import RowIndex


@pytree
class Measurement:
    """Foreground frames of a measurement in the MDF scale (plain rfft of one period). Make it with :meth:`create`.

    Attributes:
        values: complex (frames, periods, c, f).
        frequencies: (f,) [Hz]; frequency_indices: rfft bins (f,).
        bandwidth: [Hz].
        background: complex background frames (e, periods, c, f) or None.
        n_samples, transfer_function_corrected, background_corrected, metadata: static.
    """

    values: Any
    frequencies: Any
    frequency_indices: Any
    bandwidth: Any
    background: Any
    n_samples: int = static()
    transfer_function_corrected: bool = static()
    background_corrected: bool = static()
    metadata: FrozenMapping = static()

    @staticmethod
    def create(
        values: Any,
        frequencies: Any,
        *,
        frequency_indices: Any = None,
        n_samples: int | None = None,
        bandwidth: Any = None,
        background: Any = None,
        transfer_function_corrected: bool = False,
        background_corrected: bool = False,
        metadata: Mapping[str, Any] | None = None,
    ) -> "Measurement":
        """Check shapes and build a measurement.

        Args:
            values: complex (frames, periods, c, f).
            frequencies: (f,) [Hz].
            frequency_indices: rfft bins; None = 0 .. f - 1.
            n_samples: samples per period; None = 2 (f - 1).
            bandwidth: [Hz]; None = frequency of bin n_samples/2.
            background: complex (e, periods, c, f) or None.
            transfer_function_corrected: whether the transfer function has been divided out.
            background_corrected: whether a background has been subtracted.
            metadata: further facts.

        Raises:
            ValueError: arrays whose shapes do not agree.
        """
        values, frequencies, frequency_indices = map(as_array, (values, frequencies, frequency_indices))
        if np.ndim(values) != 4:
            raise ValueError(f"values has shape {np.shape(values)}; expected (frames, periods, channels, frequencies).")
        f = np.shape(values)[-1]
        frequency_indices = np.arange(f) if frequency_indices is None else frequency_indices
        check_shape("frequencies", frequencies, (f,))
        check_shape("frequency_indices", frequency_indices, (f,))
        if background is not None and np.shape(background)[1:] != np.shape(values)[1:]:
            raise ValueError(
                f"background has shape {np.shape(background)}; expected (frames, *{np.shape(values)[1:]})."
            )
        n_samples = 2 * (f - 1) if n_samples is None else int(n_samples)
        if bandwidth is None:
            bandwidth = frequencies[-1] / frequency_indices[-1] * n_samples / 2
        return Measurement(
            values,
            frequencies,
            frequency_indices,
            bandwidth,
            background,
            n_samples,
            bool(transfer_function_corrected),
            bool(background_corrected),
            FrozenMapping(metadata),
        )

    def rows(self, row_index: RowIndex, period: int = 0) -> Complex[Array, "frames m"]:
        """The data of a system matrix's rows, (frames, m), for one period.

        Args:
            row_index: from :meth:`SystemMatrix.row_index`.
            period: which period of each frame.

        Raises:
            ValueError: a channel or frequency the measurement does not hold.
        """
        bins = np.asarray(self.frequency_indices)
        wanted = np.asarray(row_index.frequency_index)
        order = np.argsort(bins)
        position = order[np.minimum(np.searchsorted(bins, wanted, sorter=order), len(bins) - 1)]
        missing = np.unique(wanted[bins[position] != wanted])
        if len(missing):
            raise ValueError(
                f"the measurement lacks {len(missing)} of the matrix's frequencies (bins {missing[:5].tolist()} ..); select the "
                "same frequencies in both."
            )
        channel = np.asarray(row_index.channel)
        if channel.max(initial=0) >= self.values.shape[2]:
            raise ValueError(
                f"the matrix uses channel {channel.max()}, but the measurement has {self.values.shape[2]} channels."
            )
        return self.values[:, period, channel, position]

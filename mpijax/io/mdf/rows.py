"""Reading rows (channel, frequency) of a stored system matrix slab by slab, whatever the layout on disk."""

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from mpijax.io.errors import MDFError
from mpijax.io.hdf5 import SLAB_BYTES, as_slice, dataset, read, spans, text, whole
from mpijax.io.mdf.info import MDFInfo
from mpijax.io.mdf.shapes import take_kept_bins
from mpijax.io.numbers import Numbers, data_numbers, numbers

Slab = tuple[int, slice, slice, np.ndarray]
"""Position among the channels, among the bins and among the stored frames, and the block (bins, frames)."""


def row_slabs(file: h5py.File, info: MDFInfo, channels: np.ndarray, bins: np.ndarray) -> Iterator[Slab]:
    """The wanted rows of period ``info.period`` in blocks of some 32 MiB, in physical units and expanded where
    compressed.

    Args:
        file: the open file.
        info: its header.
        channels: receive channels (c,).
        bins: ascending positions (f,) among the file's frequencies.

    Yields:
        Blocks (bins, frames); together they cover (c, f, N).
    """
    data = data_numbers(file)
    if not info.flags["isFourierTransformed"]:
        return _time_domain(data, info, channels, bins)
    if info.flags["isFastFrameAxis"]:
        return _fast_frame_axis(file, data, info, channels, bins)
    if info.flags["isSparsityTransformed"]:
        raise MDFError(f"{info.path} is compressed but not in the layout [J, C, K, frames] that compressed files have.")
    return _frames_first(data, info, channels, bins)


def check_rows(file: h5py.File, info: MDFInfo, channels: np.ndarray, bins: np.ndarray, mask: np.ndarray | None) -> None:
    """Refuse rows, of those that ``mask`` (c, f) keeps, of which some chunks were never written."""
    data = data_numbers(file)
    if data.complete:
        return
    for c, channel in enumerate(channels):
        kept = np.sort(bins if mask is None else bins[mask[c]])
        if not info.flags["isFourierTransformed"]:
            kept = np.arange(info.n_samples)
        for start, stop, _ in spans(kept, 1, len(kept)):
            row = (info.period, channel, slice(start, stop))
            data.check(*(row if info.flags["isFastFrameAxis"] else (slice(None), *row)))


def complex_dtype(info: MDFInfo) -> np.dtype:
    """The precision in which the data are read: complex64 up to 32-bit floats or 16-bit integers, else complex128."""
    assert info.data_dtype is not None
    return np.dtype("c8" if np.result_type(info.data_dtype, np.complex64).itemsize <= 8 else "c16")


def convert(block: np.ndarray, info: MDFInfo, channel: Any, indices: np.ndarray, axis: int) -> np.ndarray:
    """Raw data to the physical unit: u = a raw + b; of a spectrum, b V goes into the DC bin alone.

    A calibration that is stored as complex floats in the fast-frame layout has been converted by whoever transformed
    it; the reference implementation writes and reads it so, although it leaves the factors in the file.

    Args:
        block: float or complex, channels along ``axis - 1`` if ``channel`` is an array.
        info: the header.
        channel: one channel, or all of them as an array.
        indices: rfft bins along ``axis`` (of spectra).
        axis: which axis holds the samples or bins, negative.
    """
    factors = info.data_conversion_factor
    transformed = info.flags["isFourierTransformed"]
    processed = transformed and info.flags["isFastFrameAxis"] and info.is_calibration
    if factors is None or (processed and info.data_dtype is not None and info.data_dtype.kind in "cf"):
        return block
    a, b = (np.asarray(factors[channel, i], block.real.dtype) for i in range(2))
    if a.ndim:
        a, b = (x.reshape(-1, *[1] * -axis) for x in (a, b))
    if not transformed:
        return block * a + b
    shape = [1] * -axis
    shape[0] = -1
    return block * a + b * np.asarray(np.where(indices == 0, info.n_samples, 0), b.dtype).reshape(shape)


def transfer_function(file: h5py.File, info: MDFInfo) -> np.ndarray | None:
    """What the data are to be divided by: transfer function times induction factor, (C, K), or None."""
    stored = numbers(file, "/acquisition/receiver/transferFunction", 2)
    if stored is None:
        return None
    if not stored.is_complex:
        raise MDFError(f"{info.path}: transferFunction holds real numbers; it is complex.")
    values = stored[()]
    if len(values) != info.n_channels:
        raise MDFError(
            f"{info.path}: transferFunction has shape {values.shape}; expected ({info.n_channels}, frequencies)."
        )
    values = take_kept_bins(values, "transferFunction", info.path, info.n_samples, info.frequency_indices)
    return values if info.induction_factor is None else values * info.induction_factor[:, None]


def wants_correction(info: MDFInfo, apply_transfer_function: bool | str) -> bool:
    """Whether the transfer function is to be divided out now: "auto" = where there is one and it has not been.

    Raises:
        MDFError: True, but the file has no transfer function.
    """
    if apply_transfer_function not in (True, False, "auto"):
        raise ValueError(f"apply_transfer_function = {apply_transfer_function!r}; allowed: 'auto', True, False.")
    if apply_transfer_function is False or info.flags["isTransferFunctionCorrected"]:
        return False
    if apply_transfer_function is True and not info.has_transfer_function:
        raise MDFError(f"{info.path} holds no transfer function to apply; use apply_transfer_function='auto' or False.")
    return info.has_transfer_function


def _fast_frame_axis(
    file: h5py.File, data: Numbers, info: MDFInfo, channels: np.ndarray, bins: np.ndarray
) -> Iterator[Slab]:
    """[J, C, K, N]: a row is contiguous, so runs of bins are read and nothing between them."""
    expand = _Expansion(file, info, channels, bins) if info.flags["isSparsityTransformed"] else None
    limit = max(1, SLAB_BYTES // max(1, info.n_frames * complex_dtype(info).itemsize))
    gap = data.dataset.chunks[2] if data.dataset.chunks else 1
    for c, channel in enumerate(channels):
        for start, stop, part in spans(bins, gap, limit):
            block = data[info.period, channel, start:stop][as_slice(bins[part] - start)]
            block = convert(block, info, channel, info.frequency_indices[bins[part]], -2)
            yield c, part, slice(0, info.n_frames), block if expand is None else expand(c, part, block)


def _frames_first(data: Numbers, info: MDFInfo, channels: np.ndarray, bins: np.ndarray) -> Iterator[Slab]:
    """[N, J, C, K]: blocks of frames; gaps of a few kilobytes are read over."""
    itemsize = complex_dtype(info).itemsize
    gap = max(data.dataset.chunks[3] if data.dataset.chunks else 1, 512)
    for c, channel in enumerate(channels):
        for start, stop, part in spans(bins, gap, max(1, SLAB_BYTES // itemsize)):
            step = max(1, SLAB_BYTES // (itemsize * (stop - start)))
            for first in range(0, info.n_frames, step):
                block = data[first : first + step, info.period, channel, start:stop][:, as_slice(bins[part] - start)]
                block = convert(block, info, channel, info.frequency_indices[bins[part]], -1)
                yield c, part, slice(first, first + len(block)), block.T


def _time_domain(data: Numbers, info: MDFInfo, channels: np.ndarray, bins: np.ndarray) -> Iterator[Slab]:
    """[N, J, C, V] or [J, C, V, N]: whole periods of some frames, transformed."""
    step = max(1, SLAB_BYTES // (2 * complex_dtype(info).itemsize * info.n_samples))
    wanted = as_slice(info.frequency_indices[bins])
    for c, channel in enumerate(channels):
        for first in range(0, info.n_frames, step):
            frames = slice(first, min(first + step, info.n_frames))
            if info.flags["isFastFrameAxis"]:
                block = data[info.period, channel, :, frames].T
            else:
                block = data[frames, info.period, channel]
            block = convert(block, info, channel, info.frequency_indices, -1)
            yield c, slice(0, len(bins)), frames, np.fft.rfft(block)[:, wanted].T


class _Expansion:
    """Undoes the compression of rows: the kept coefficients of an orthonormal DCT, each row its own."""

    def __init__(self, file: h5py.File, info: MDFInfo, channels: np.ndarray, bins: np.ndarray):
        name = (text(file, "/measurement/sparsityTransformation") or "").upper()
        kinds = {"DCT-I": 1, "DCT-II": 2, "DCT-III": 3, "DCT-IV": 4}
        if name not in kinds:
            raise MDFError(
                f"{info.path} is compressed by {name or 'an unnamed transform'}; {', '.join(kinds)} are read."
            )
        assert info.calibration is not None and info.calibration.size is not None
        self.kind = kinds[name]
        self.shape = info.calibration.size[::-1]
        self.n_voxels = int(np.prod(self.shape))
        self.indices = self._read_indices(file, info, channels, bins)

    def _read_indices(self, file: h5py.File, info: MDFInfo, channels: np.ndarray, bins: np.ndarray) -> np.ndarray:
        """Where the coefficients stand, counted from 0, (c, f, B)."""
        stored = dataset(file, "/measurement/subsamplingIndices")
        if stored is None or stored.shape[:-1] != info.data_shape[:-1]:
            raise MDFError(
                f"{info.path} is compressed but lacks /measurement/subsamplingIndices of shape [J, C, K, B]."
            )
        found = np.empty((len(channels), len(bins), stored.shape[-1]), np.int64)
        for c, channel in enumerate(channels):
            for start, stop, part in spans(bins, 1, len(bins)):
                block = read(stored, (info.period, channel, slice(start, stop)))[as_slice(bins[part] - start)]
                found[c, part] = whole(block, f"{info.path}: subsamplingIndices")
        found -= 0 if np.any(found == 0) else 1
        if found.size and (found.min() < 0 or found.max() >= self.n_voxels):
            raise MDFError(
                f"{info.path}: subsamplingIndices reach {found.max()}, but the grid has {self.n_voxels} voxels."
            )
        return found

    def __call__(self, channel: int, part: slice, block: np.ndarray) -> np.ndarray:
        kept = self.indices.shape[-1]
        coefficients = np.zeros((len(block), self.n_voxels), block.dtype)
        np.put_along_axis(coefficients, self.indices[channel, part], block[:, :kept], axis=1)
        images = coefficients.reshape(-1, *self.shape)
        axes = [1 + axis for axis, n in enumerate(self.shape) if n > 1]
        if axes:
            from scipy.fft import idctn  # noqa: PLC0415  (half a second, and few files are compressed)

            images = idctn(images, type=self.kind, axes=axes, norm="ortho")
        return np.concatenate([images.reshape(len(block), -1), block[:, kept:]], axis=1)

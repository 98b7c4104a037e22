"""A few rows of a matrix far larger than memory."""

import time
import tracemalloc

import h5py
import numpy as np
import pytest

from mpijax import io
from mpijax.io import hdf5
from mpijax.io.mdf import rows as mdf_rows
from tests.io.mdf_files import K, calibration, random_complex

BINS, VOXELS = 26929, (37, 37, 37)
N = 37**3


def large_file(path, rows, chunks):
    """A full 37^3 calibration of three channels, 32 GB if it were all there; only ``rows`` {(c, k): value} are."""
    calibration(
        path,
        np.zeros((1, 1, 2, 1), np.complex64),
        size=VOXELS,
        n_samples=53856,
        acquisition__numFrames=None,
        acquisition__receiver__numChannels=np.int64(3),
        measurement__isBackgroundFrame=np.zeros(N, np.int8),
        calibration__snr=np.random.default_rng(0).uniform(0, 1, (1, 3, BINS)),
    )
    with h5py.File(path, "a") as file:
        del file["/measurement/data"]
        data = file.create_dataset("/measurement/data", (1, 3, BINS, N), np.complex64, chunks=chunks)
        for (channel, k), value in rows.items():
            data[0, channel, k] = value
            file["/calibration/snr"][0, channel, k] = 50.0
    return path


@pytest.mark.parametrize("chunks", [(1, 1, 1, N), (1, 1, 8, 4096)])
def test_rows_of_a_32_gigabyte_matrix(tmp_path, chunks):
    rows = {(0, 900): 1 + 2j, (0, 901): 3.0, (2, 907): 4j, (1, 20000): 5.0}
    path = large_file(tmp_path / "large.mdf", rows, chunks)
    with h5py.File(path) as file:
        assert file["/measurement/data"].nbytes > 32e9
    tracemalloc.start()
    start = time.perf_counter()
    opened = io.open_system_matrix(path)
    kept = opened.select(snr_threshold=10)
    assert tracemalloc.get_traced_memory()[1] < 15e6  # the header: SNR, frequencies, flags of the frames
    assert kept.n_rows == 4 and opened.n_rows == 3 * BINS
    matrix = kept.read()
    peak, seconds = tracemalloc.get_traced_memory()[1], time.perf_counter() - start
    tracemalloc.stop()
    assert matrix.values.shape == (3, 4, N) and matrix.frequency_indices.tolist() == [900, 901, 907, 20000]
    assert peak < 3 * 4 * N * 8 + 60e6
    assert seconds < 20
    for (channel, k), value in rows.items():
        np.testing.assert_array_equal(
            matrix.values[channel, [900, 901, 907, 20000].index(k)], np.full(N, value, np.complex64)
        )


def test_only_the_wanted_part_is_read(tmp_path, monkeypatch):
    data = random_complex(0, 1, 2, K, 12)
    path = calibration(
        tmp_path / "a.mdf",
        data,
        calibration__snr=np.where(np.isin(np.arange(K), (1, 2, 6)), 9.0, 1.0) * np.ones((1, 2, 1)),
    )
    read = []
    getitem = h5py.Dataset.__getitem__

    def counted(self, index, *arguments, **keywords):
        found = getitem(self, index, *arguments, **keywords)
        if self.name == "/measurement/data":
            read.append(found.shape)
        return found

    monkeypatch.setattr(h5py.Dataset, "__getitem__", counted)
    opened = io.open_system_matrix(path).select(snr_threshold=5, channels=[1]).select(min_frequency=1.0)
    assert read == [] and opened.n_channels == 1 and opened.bandwidth == opened.info.bandwidth
    matrix = opened.read()
    assert read == [(2, 12), (1, 12)]  # bins 1 and 2 in one piece, bin 6 alone
    np.testing.assert_array_equal(matrix.values, data[0, 1:, [1, 2, 6]].transpose(1, 0, 2))


@pytest.mark.parametrize("transformed", [0, 1])
def test_small_slabs_give_the_same(tmp_path, monkeypatch, transformed):
    spectra = random_complex(0, 14, 1, 2, K)
    signal = np.random.default_rng(0).normal(size=(14, 1, 2, 16)).astype(np.float32)
    path = calibration(
        tmp_path / "a.mdf",
        spectra if transformed else signal,
        [0, 13],
        measurement__isFastFrameAxis=np.int8(0),
        measurement__isFourierTransformed=np.int8(transformed),
    )
    whole = io.read_system_matrix(path, background="interpolate", max_frequency=8e5)
    monkeypatch.setattr(mdf_rows, "SLAB_BYTES", 300)
    small = io.read_system_matrix(path, background="interpolate", max_frequency=8e5)
    np.testing.assert_allclose(small.values, whole.values, rtol=1e-6)
    np.testing.assert_array_equal(small.background, whole.background)


def test_spans_cover_every_position_once():
    positions = np.array([0, 1, 2, 5, 6, 20, 23])
    assert [(a, b) for a, b, _ in hdf5.spans(positions, 1, 100)] == [(0, 3), (5, 7), (20, 21), (23, 24)]
    assert [(a, b) for a, b, _ in hdf5.spans(positions, 3, 100)] == [(0, 7), (20, 24)]
    assert [(a, b) for a, b, _ in hdf5.spans(positions, 3, 2)] == [(0, 2), (2, 3), (5, 7), (20, 21), (23, 24)]
    for gap, limit in ((1, 1), (4, 3), (50, 50)):
        assert (
            np.concatenate([positions[part] for _, _, part in hdf5.spans(positions, gap, limit)]).tolist()
            == positions.tolist()
        )

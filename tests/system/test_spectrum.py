"""Bins, samples per period and bandwidth of what is created by hand."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpijax as mj

GRID = mj.Grid.create((2, 1, 1), (2e-3, 1e-3, 1e-3))
SEQUENCE = mj.LissajousSequence.create((12e-3, 12e-3, 0.0))


def matrix(count, **facts):
    frequencies = facts.pop("frequencies", np.arange(count) * 1e3)
    return mj.SystemMatrix.create(np.ones((1, count, 2), complex), frequencies, GRID, **facts)


def measurement(count, **facts):
    frequencies = facts.pop("frequencies", np.arange(count) * 1e3)
    return mj.Measurement.create(np.ones((1, 1, 1, count), complex), frequencies, **facts)


both = pytest.mark.parametrize("make", [matrix, measurement])


@both
def test_samples_are_those_of_the_sequence(make):
    bins = np.arange(50, 60)
    made = make(10, frequency_indices=bins, sequence=SEQUENCE, frequencies=SEQUENCE.frequencies[bins])
    assert (made.n_samples, made.bandwidth) == (1632, 1.25e6)
    if make is matrix:
        assert made.select(max_mixing_order=8).frequency_indices.size
    with pytest.raises(ValueError, match="n_samples = 18, but the sequence has 1632"):
        make(10, frequency_indices=bins, sequence=SEQUENCE, n_samples=18)


@both
def test_bins_that_do_not_tell_the_samples_are_refused(make):
    assert make(10).n_samples == 18
    assert make(10, frequency_indices=np.arange(10)).n_samples == 18
    for bins in (np.arange(1, 11), np.arange(10)[::-1]):
        with pytest.raises(ValueError, match="do not tell how many samples"):
            make(10, frequency_indices=bins)
    with pytest.raises(ValueError, match="do not tell how many samples"):
        make(1)


@both
@pytest.mark.parametrize(
    "bins, samples, message",
    [
        ([0, 1, 9], 16, "bins 0 to 8"),
        ([-1, 1, 2], 16, "bins 0 to 8"),
        ([1, 1, 2], 16, "a bin twice"),
        ([1.0, 1.5, 2.0], 16, "dtype float64"),
    ],
)
def test_bins_no_spectrum_has(make, bins, samples, message):
    with pytest.raises(ValueError, match=message):
        make(3, frequency_indices=np.asarray(bins), n_samples=samples)


@both
@settings(max_examples=15, deadline=None, derandomize=True)
@given(order=st.permutations(range(6)), first=st.integers(0, 3))
def test_the_bandwidth_does_not_hang_on_the_order_of_the_bins(make, order, first):
    bins = first + np.asarray(order)
    made = make(6, frequency_indices=bins, frequencies=bins * 1e3, n_samples=20)
    assert made.bandwidth == pytest.approx(10e3)
    unknown = make(
        6, frequency_indices=bins, frequencies=np.where(bins == bins.max(), np.nan, bins * 1e3), n_samples=20
    )
    assert unknown.bandwidth == pytest.approx(10e3)
    assert np.isnan(make(6, frequency_indices=bins, frequencies=np.full(6, np.nan), n_samples=20).bandwidth)


def test_spectra_are_complex_and_in_the_byte_order_of_the_machine():
    with pytest.raises(ValueError, match="dtype float64; a measurement's spectra are complex"):
        mj.Measurement.create(np.ones((1, 1, 1, 3)), np.arange(3.0))
    big = mj.Measurement.create(
        np.ones((1, 1, 1, 3), ">c8"), np.arange(3, dtype=">f8"), background=np.ones((2, 1, 1, 3), ">c16")
    )
    assert all(array.dtype.isnative for array in (big.values, big.frequencies, big.background))
    swapped = mj.SystemMatrix.create(np.ones((1, 3, 2), ">c16"), np.arange(3.0), GRID, snr=np.ones((1, 3), ">f4"))
    assert swapped.values.dtype == np.complex128 and swapped.snr.dtype == np.float32 and swapped.snr.dtype.isnative


@both
def test_bins_that_are_counted_must_be_those_of_the_frequencies(make):
    bins = np.arange(20, 30)
    with pytest.raises(ValueError, match="frequency 0 is .* Hz and bin 0 would be 0 Hz; give frequency_indices"):
        make(10, frequencies=SEQUENCE.frequencies[bins], sequence=SEQUENCE)
    with pytest.raises(ValueError, match="give frequency_indices"):
        make(10, frequencies=bins * 1e3, n_samples=400, bandwidth=200e3)
    for bandwidth in (-1.0, 0.0, np.inf):
        with pytest.raises(ValueError, match="bandwidth"):
            make(10, bandwidth=bandwidth)

"""Restoring what went wrong: failed positions and frames, silent channels, bins in any order, masks in any form."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpijax as mj
from mpijax.restoration import background_noise, estimate_noise, find_outliers
from mpijax.rows import biharmonic_inpaint, compressed_calibration, compressed_sensing, inpaint_denoise, wiener_inpaint
from tests.restoration.matrices import UNIT, noisy, smooth_matrix

HOLES = np.isin(np.arange(120), [44, 45, 56, 57])


def silenced(matrix, channel):
    """The matrix with one channel that is zero in every row."""
    values = np.array(matrix.values)
    values[channel] = 0
    return replace(matrix, values=values)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, ">i2", np.float32, list])
def test_masks_of_any_type_fill_the_same_positions(kind):
    matrix = noisy(smooth_matrix(), 0.01, frames=30)
    given = HOLES.astype(int).tolist() if kind is list else HOLES.astype(kind)
    for form in (given, np.reshape(given, (1, 10, 12)), np.reshape(given, (10, 12))):
        stats = mj.restore(matrix, "inpaint", model="biharmonic", missing=form, trust=False).stats
        np.testing.assert_array_equal(stats["missing"], HOLES)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_known_voxels_are_a_mask_whatever_its_type(kind):
    rows = np.asarray(noisy(smooth_matrix(), 0.02).images()).reshape(24, 10, 12) / UNIT
    known = ~HOLES.reshape(10, 12)
    each = np.broadcast_to(known, rows.shape)
    calls = (
        biharmonic_inpaint,
        estimate_noise,
        lambda rows, known: inpaint_denoise(rows, known, 0.02),
        lambda rows, known: wiener_inpaint(rows, known, 0.02),
        lambda rows, known: compressed_sensing(rows, known, 0.02, iterations=5),
        lambda rows, known: compressed_calibration(rows, known, iterations=5),
    )
    for call in calls:
        np.testing.assert_array_equal(call(rows, known.astype(kind)), call(rows, known))
        with pytest.raises(ValueError, match="known has shape .*values other than 0 and 1, 255"):
            call(rows, np.where(known, 255, 0).astype(np.uint8))
    np.testing.assert_array_equal(biharmonic_inpaint(rows, each.astype(kind)), biharmonic_inpaint(rows, known))


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), value=st.sampled_from([np.nan, np.inf, 1j * np.nan]))
def test_frames_without_a_value_do_not_count(seed, value):
    matrix = noisy(smooth_matrix(), 0.1, frames=30)
    background = np.array(matrix.background)
    rng = np.random.default_rng(seed)
    lost = rng.random(background.shape) < 0.2
    lost[:, 1, 3] = True  # a row without any frame
    background[lost] = value
    broken = replace(matrix, background=background)
    noise = background_noise(broken)
    assert np.flatnonzero(np.isnan(noise)).tolist() == [15]
    whole = background_noise(matrix)
    assert np.nanmax(np.abs(noise / whole - 1)) < 0.3
    stats = mj.restore(broken, "denoise", model="dct-garrote").stats
    assert stats["sigma"][15] == pytest.approx(0.1 * UNIT, rel=0.3)  # its own estimate
    assert background_noise(replace(matrix, background=np.full_like(background, np.nan))) is None
    lonely = mj.restore(replace(matrix, background=np.full_like(background, np.nan)), "denoise", model="dct-garrote")
    assert "estimated from the rows" in lonely.stats["noise_source"] and lonely.value.background is None


@pytest.mark.parametrize(
    "task, model", [("denoise", "dct-garrote"), ("inpaint", "wiener"), ("complete", "spline"), ("upsample", "bicubic")]
)
def test_the_snr_is_that_of_the_restored_rows(task, model):
    matrix = noisy(smooth_matrix(), 0.02, frames=30)
    if task == "inpaint":
        matrix = matrix.with_rows(np.where(HOLES, np.nan, np.asarray(matrix.rows())))
    mask = np.ones((2, 12), bool)
    mask[1, 4:6] = False
    matrix = replace(matrix, snr=np.zeros((2, 12)), row_mask=mask)
    value = mj.restore(matrix, task, model=model).value
    want = mj.io.system_matrix_snr(np.asarray(value.values), np.asarray(value.background))
    np.testing.assert_allclose(value.snr[mask], want[mask], rtol=1e-6)
    assert np.isnan(value.snr[~mask]).all() and np.nanmax(value.snr) > 20
    alone = replace(matrix, background=None, snr=np.full((2, 12), 7.0))
    np.testing.assert_array_equal(mj.restore(alone, task, model=model).value.snr, 7)
    assert mj.restore(replace(alone, snr=np.zeros((2, 12))), task, model=model).value.snr is None


def test_a_filled_file_is_selected_and_reconstructed(tmp_path):
    clean = smooth_matrix(empty=0)
    matrix = noisy(clean, 0.01, frames=30)
    broken = matrix.with_rows(np.where(HOLES, np.nan, np.asarray(matrix.rows())))
    mj.io.write_system_matrix(tmp_path / "holed.mdf", broken)
    filled = mj.restore(mj.io.read_system_matrix(tmp_path / "holed.mdf"), "inpaint", model="biharmonic").value
    mj.io.write_system_matrix(tmp_path / "filled.mdf", filled)
    read = mj.io.read_system_matrix(tmp_path / "filled.mdf", snr_threshold=2)
    assert len(read.rows()) == 24 and np.isfinite(np.asarray(read.rows())).all()


@pytest.mark.parametrize(
    "task, model", [("denoise", "dct-garrote"), ("inpaint", "wiener"), ("complete", "spline"), ("upsample", "bicubic")]
)
def test_a_silent_channel_passes_with_a_word_and_changes_nothing(task, model):
    matrix = noisy(smooth_matrix(empty=0), 0.02, frames=30)
    options = dict(model=model) | ({"missing": HOLES} if task == "inpaint" else {})
    want = np.asarray(mj.restore(matrix, task, **options).value.values)[0]
    with pytest.warns(UserWarning, match="channels that are zero in every row stay as they are: 1"):
        found = np.asarray(mj.restore(silenced(matrix, 1), task, **options).value.values)
    assert not found[1].any()
    np.testing.assert_allclose(found[0], want, atol=1e-6 * UNIT)
    with pytest.raises(ValueError, match="all 24 rows of the system matrix are zero"):
        mj.restore(replace(matrix, values=np.zeros_like(matrix.values)), task, **options)


def test_silent_rows_have_no_say_in_the_search_for_outliers():
    images = np.asarray(noisy(smooth_matrix((16, 14, 1), rows=40, empty=0), 0.01).images()).reshape(40, 14, 16)
    images = images.copy()
    images[:20, 5, 5:8] = 3 * UNIT
    alone = find_outliers(images[:20])
    quiet = images.copy()
    quiet[20:] = 0
    quiet[20:, 3, 3] = np.nan
    found = find_outliers(quiet)
    assert found[3, 3] and alone[5, 5:8].all()
    found[3, 3] = alone[3, 3]
    np.testing.assert_array_equal(found, alone)
    assert not find_outliers(np.zeros_like(images)).any()


@settings(max_examples=4, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), task=st.sampled_from(["denoise", "inpaint"]))
def test_a_row_is_restored_alike_wherever_it_stands(seed, task):
    matrix = noisy(smooth_matrix(), 0.1, frames=12)
    order = np.random.default_rng(seed).permutation(12)
    moved = replace(
        matrix,
        values=np.asarray(matrix.values)[:, order],
        background=np.asarray(matrix.background)[:, :, order],
        frequencies=np.asarray(matrix.frequencies)[order],
        frequency_indices=np.asarray(matrix.frequency_indices)[order],
    )
    options = {"model": "wiener"} | ({"missing": "auto"} if task == "inpaint" else {})
    if task == "inpaint":
        matrix, moved = (
            m.with_rows(np.where(HOLES, 5 * UNIT, np.asarray(m.rows())).astype(np.complex64)) for m in (matrix, moved)
        )
    want, found = (mj.restore(m, task, **options) for m in (matrix, moved))
    rows = (np.arange(2)[:, None] * 12 + order).reshape(-1)
    np.testing.assert_array_equal(found.stats["missing"], want.stats["missing"])
    for name in ("reason", "method"):
        np.testing.assert_array_equal(found.stats[name], want.stats[name][rows])
    for name in ("sigma", "error", "residual"):
        np.testing.assert_allclose(found.stats[name], want.stats[name][rows], rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(found.value.rows(), np.asarray(want.value.rows())[rows], atol=1e-5 * UNIT)
    np.testing.assert_allclose(found.value.snr, np.asarray(want.value.snr)[:, order], rtol=1e-4)


def test_no_word_where_every_channel_says_something():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mj.restore(noisy(smooth_matrix(), 0.1), "denoise", model="dct-garrote")

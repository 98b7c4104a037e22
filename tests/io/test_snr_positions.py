"""The SNR of rows of which positions or frames failed."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpijax as mj
from mpijax.io.mdf.shapes import known_snr
from mpijax.io.snr import channel_snr

C, F, N, E = 2, 30, 64, 12


def parts(seed=0):
    """Rows with a broad peak of falling strength, and frames of the noise."""
    rng = np.random.default_rng(seed)

    def noise(*shape):
        return rng.normal(size=shape) + 1j * rng.normal(size=shape)

    shape = np.exp(-(((np.arange(N) - 30) / 20) ** 2))
    values = 10 ** rng.uniform(-1, 2, (C, F, 1)) * shape * np.exp(1j * rng.uniform(0, 6, (C, F, 1))) + noise(C, F, N)
    return values.astype(np.complex64), (noise(E, C, F) + 3).astype(np.complex64)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 99), share=st.floats(0.01, 0.3), value=st.sampled_from([np.nan, np.inf, 1j * np.nan, -np.inf])
)
def test_failed_positions_and_frames_do_not_count(seed, share, value):
    """SNR with entries spoiled = SNR of the rows without these positions, and near that of the whole row."""
    rng = np.random.default_rng(seed)
    values, background = parts(seed)
    whole = mj.io.system_matrix_snr(values, background)
    lost = rng.random(N) < share
    spoiled = np.where(lost, np.complex64(value), values)
    found = mj.io.system_matrix_snr(spoiled, background)
    np.testing.assert_allclose(found, mj.io.system_matrix_snr(values[..., ~lost], background), rtol=1e-6)
    assert np.median(np.abs(found / whole - 1)) < 0.1
    failed = rng.random((E, C, F)) < share
    failed[:2] = False
    for c, k in np.ndindex(C, F):  # every row loses other frames
        frames = background[~failed[:, c, k], c, k]
        one = mj.io.system_matrix_snr(spoiled, np.where(failed, np.complex64(value), background))[c, k]
        signal = np.abs(frames - frames.mean()).mean()
        whole_noise = np.abs(background[:, c, k] - background[:, c, k].mean()).mean()
        assert one * signal == pytest.approx(found[c, k] * whole_noise, rel=0.5)
        if k > 3:
            break


def test_only_the_spoiled_row_changes():
    values, background = parts()
    whole = mj.io.system_matrix_snr(values, background)
    spoiled = values.copy()
    spoiled[0, 3, :40] = np.nan
    found = mj.io.system_matrix_snr(spoiled, background)
    same = np.ones((C, F), bool)
    same[0, 3] = False
    np.testing.assert_array_equal(found[same], whole[same])
    assert np.isfinite(found[0, 3]) and found[0, 3] > 0


def test_rows_without_a_value_or_a_frame_have_no_snr_and_are_never_selected():
    values, background = parts()
    values[1, 5], background[:, 0, 2] = np.nan, np.inf
    snr = mj.io.system_matrix_snr(values, background)
    assert np.isnan(snr[1, 5]) and np.isnan(snr[0, 2]) and np.isnan(snr).sum() == 2
    matrix = mj.SystemMatrix.create(values, np.arange(F) * 1e3, mj.Grid.create((8, 8, 1), (1, 1, 1)), snr=snr)
    kept = matrix.select(snr_threshold=1e-9)
    channel, position = kept.kept_rows()
    pairs = set(zip(channel.tolist(), np.asarray(kept.frequency_indices)[position].tolist(), strict=True))
    assert (1, 5) not in pairs and (0, 2) not in pairs and len(pairs) == C * F - 2


@settings(max_examples=10, deadline=None, derandomize=True)
@given(seed=st.integers(0, 99), spoil=st.booleans(), silent=st.booleans())
def test_order_of_rows_and_size_of_blocks_do_not_matter(seed, spoil, silent):
    values, background = parts(seed)
    if spoil:
        values[:, :, 7] = np.nan
    if silent:
        background[:] = 0
    order = np.random.default_rng(seed).permutation(F)
    whole = mj.io.system_matrix_snr(values, background)
    moved = mj.io.system_matrix_snr(values[:, order], background[:, :, order], block_rows=7)
    np.testing.assert_allclose(moved, whole[:, order], rtol=1e-6)


def test_rows_that_do_not_count_have_no_snr_and_no_say():
    values, background = parts()
    mask = np.random.default_rng(1).random((C, F)) < 0.6
    cut = mj.io.system_matrix_snr(values, background, row_mask=mask)
    assert np.isnan(cut[~mask]).all()
    alone = channel_snr(lambda: [(slice(None), values[1, mask[1]], background[:, 1, mask[1]].T)], int(mask[1].sum()))
    np.testing.assert_allclose(cut[1, mask[1]], alone, rtol=1e-6)


def test_no_background_and_no_snr_are_said():
    values, background = parts()
    matrix = mj.SystemMatrix.create(values, np.arange(F) * 1e3, mj.Grid.create((8, 8, 1), (1, 1, 1)))
    with pytest.raises(ValueError, match="does not carry"):
        mj.io.add_snr(matrix)
    with pytest.raises(ValueError, match="all 12 .* NaN or infinite"):
        mj.io.add_snr(replace(matrix, background=np.full_like(background, np.nan)))
    assert (
        known_snr(None) is None and known_snr(np.zeros((1, 2))) is None and known_snr(np.full((1, 2), np.nan)) is None
    )
    assert known_snr(np.array([[0, 2.0]])) is not None


@pytest.mark.parametrize("stored", [0.0, np.nan])
def test_a_stored_snr_that_says_nothing_is_computed_again(tmp_path, stored):
    values, background = parts()
    matrix = mj.SystemMatrix.create(
        values, np.arange(F) * 1e3, mj.Grid.create((8, 8, 1), (1, 1, 1)), background=background
    )
    spoiled = replace(matrix, snr=np.full((C, F), stored))
    mj.io.write_system_matrix(tmp_path / "with.mdf", spoiled)
    mj.io.write_system_matrix(tmp_path / "without.mdf", replace(spoiled, background=None))
    with pytest.warns(UserWarning, match="zero or NaN in every row.* computed again"):
        read = mj.io.read_system_matrix(tmp_path / "with.mdf", snr_threshold=2)
    expected = mj.io.add_snr(matrix).select(snr_threshold=2).snr
    np.testing.assert_allclose(read.snr, expected, rtol=1e-6)
    with pytest.warns(UserWarning, match="there is none"):
        assert mj.io.read_system_matrix(tmp_path / "without.mdf").snr is None
    mj.io.write_system_matrix(
        tmp_path / "some.mdf", replace(matrix, snr=np.where(np.arange(F) == 3, np.nan, np.ones((C, F))))
    )
    assert "SNR up to 1;" in mj.io.describe(mj.io.read_info(tmp_path / "some.mdf"))


def test_a_failed_background_frame_is_refused(tmp_path):
    """As it is on writing: which frame failed is for the lab to say."""
    values, background = parts()
    matrix = mj.SystemMatrix.create(
        values, np.arange(F) * 1e3, mj.Grid.create((8, 8, 1), (1, 1, 1)), background=background
    )
    mj.io.write_system_matrix(tmp_path / "a.mdf", matrix)
    with h5py.File(tmp_path / "a.mdf", "r+") as file:
        data = file["/measurement/data"][()]
        data[..., N] = np.nan
        file["/measurement/data"][...] = data
    with pytest.raises(mj.io.MDFError, match="1 of 12 background frames hold NaN or infinity"):
        mj.io.read_system_matrix(tmp_path / "a.mdf", background="mean")

"""Rows and data are matched by the numbers of their channels, patches and bins, whatever was selected on the way."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpijax as mj
from mpijax.system.facts.identity import chosen_positions

C, F, N = 4, 5, 6
GRID = mj.Grid.create((3, 2, 1), (3e-3, 2e-3, 1e-3))
BINS = np.array([7, 3, 11, 4, 9])  # in no order
RANDOM = np.random.default_rng(5)


def normal(*shape):
    return RANDOM.normal(size=shape) + 1j * RANDOM.normal(size=shape)


VALUES, BACKGROUND, TRANSFER = normal(C, F, N), normal(3, C, F), normal(C, F)
TRUTH = RANDOM.uniform(size=N)
FACTS = {"frequency_indices": BINS, "n_samples": 40, "bandwidth": 20e3}


def matrix(**extra):
    snr = np.arange(1.0, C * F + 1).reshape(C, F)
    facts = FACTS | {"snr": snr, "background": BACKGROUND, "transfer_function": TRANSFER}
    return mj.SystemMatrix.create(VALUES, BINS * 1e3, GRID, **facts, **extra)


def measurement(order=tuple(range(C)), bins=None, **extra):
    values = (VALUES @ TRUTH)[list(order)][None, None]
    chosen = np.arange(F) if bins is None else np.asarray(bins)
    facts = FACTS | {"frequency_indices": BINS[chosen]}
    return mj.Measurement.create(values[..., chosen], BINS[chosen] * 1e3, **facts, **extra)


subsets = st.permutations(range(C)).flatmap(lambda order: st.integers(1, C).map(lambda count: list(order[:count])))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(subsets, st.permutations(range(C)), st.permutations(range(F)))
def test_rows_meet_their_data_after_any_selection(subset, order, bins):
    chosen = matrix().select(channels=subset)
    assert chosen.channels == tuple(subset)
    data = measurement(order, bins, channels=list(order))
    rows = np.asarray(chosen.rows())
    np.testing.assert_allclose(data.rows(chosen.row_index())[0], rows @ TRUTH, rtol=1e-12)
    np.testing.assert_array_equal(rows, VALUES[subset].reshape(-1, N))
    np.testing.assert_array_equal(chosen.snr, matrix().snr[subset])
    np.testing.assert_array_equal(chosen.background, BACKGROUND[:, subset])
    np.testing.assert_array_equal(chosen.transfer_function, TRANSFER[subset])
    again = chosen.select(channels=[subset[-1]])
    assert again.channels == (subset[-1],)
    np.testing.assert_allclose(data.rows(again.row_index())[0], VALUES[subset[-1]] @ TRUTH, rtol=1e-12)


@settings(max_examples=10, deadline=None, derandomize=True)
@given(subsets, st.permutations(range(C)))
def test_files_keep_the_numbers(tmp_path_factory, subset, order):
    folder = tmp_path_factory.mktemp("numbers")
    mj.io.write_system_matrix(folder / "all.mdf", matrix())
    mj.io.write_system_matrix(folder / "some.mdf", matrix().select(channels=subset))
    mj.io.write_measurement(folder / "data.mdf", measurement(order, channels=order))
    data = mj.io.read_measurement(folder / "data.mdf")
    assert data.channels == tuple(order)
    some = mj.io.read_system_matrix(folder / "some.mdf")
    options = {"apply_transfer_function": False}
    for found in (some, mj.io.read_system_matrix(folder / "all.mdf", channels=subset, **options)):
        assert found.channels == tuple(subset)
    raw = mj.io.read_system_matrix(folder / "some.mdf", channels=subset[::-1], **options)
    assert raw.channels == tuple(subset[::-1])
    np.testing.assert_allclose(data.rows(raw.row_index())[0], np.asarray(raw.rows()) @ TRUTH, rtol=1e-12)
    assert mj.io.read_system_matrix(folder / "all.mdf", **options).channel_numbers is None


def test_channel_lists():
    whole = matrix()
    assert whole.select(channels=2).channels == (2,)
    assert whole.select(channels=[False, True, True, False]).channels == (1, 2)
    assert whole.select(channels=np.array([1, 0, 0, 1], bool)).channels == (0, 3)
    assert whole.select(channels=np.array([3, 1], np.uint8)).channels == (3, 1)
    for wrong in ([True, False], [1, 1], [4], [-1], [0.0, 1.0], [0.5], ["0"], [True, 0], "0", [], [None]):
        with pytest.raises(ValueError, match=r"channels = .*(named once|whole numbers|boolean list)"):
            whole.select(channels=wrong)
    with pytest.raises(ValueError, match="there are channels 1, 2"):
        whole.select(channels=[1, 2]).select(channels=[0])
    assert chosen_positions("channels", None, (5, 7)).tolist() == [0, 1]
    for wrong in ([0, 1], [0, 1, 2, 2], [0, 1, 2, -1], [0, 1, 2, 3.0]):
        with pytest.raises(ValueError, match="channels"):
            matrix(channels=wrong)


def test_data_without_numbers_are_matched_by_position_only_where_their_numbers_do_not_reach():
    two = matrix().select(channels=[3, 1])
    with pytest.warns(UserWarning, match="channel 1, 3, the measurement has channels 0, 1, and not both number them"):
        rows = measurement((3, 1)).rows(two.row_index())
    np.testing.assert_allclose(rows[0], np.asarray(two.rows()) @ TRUTH, rtol=1e-12)
    with pytest.raises(ValueError, match="uses channel 3, but the measurement has channels 0, 1, 2"):
        measurement((0, 1, 2)).rows(two.row_index())
    with pytest.raises(ValueError, match="uses channel 1, 3, but the measurement has channels 0, 2"):
        measurement((0, 2), channels=[0, 2]).rows(two.row_index())


def test_a_transfer_function_is_taken_by_the_channels_numbers():
    chain = mj.TransferFunction.create([0.0, 20e3], np.array([1.0, 2, 3, 4])[:, None] * np.ones(2, complex))
    plain = replace(matrix(), transfer_function=None).select(channels=[2, 0])
    factors = plain.apply_transfer_function(chain).transfer_function
    np.testing.assert_allclose(factors[:, 0], [3, 1])


def test_patches_are_matched_by_number():
    values = np.stack([VALUES @ TRUTH, 2 * VALUES @ TRUTH, 3 * VALUES @ TRUTH])[None]
    facts = FACTS | {"periods": [4, 2, 7]}
    data = mj.Measurement.create(values, BINS * 1e3, **facts)
    for patch, factor in ((2, 2), (7, 3), (4, 1), (None, 1)):
        rows = data.rows(matrix(patch=patch).row_index())
        np.testing.assert_allclose(rows[0], factor * (VALUES @ TRUTH).ravel(), rtol=1e-12)
    with pytest.raises(ValueError, match="of patch 2, but period 0 of the measurement is of patch 4"):
        data.rows(matrix(patch=2).row_index(), period=0)
    with pytest.raises(ValueError, match="uses period 5, but the measurement has periods 4, 2, 7"):
        data.rows(matrix(patch=5).row_index())
    assert data.average(frames=1).periods == (4, 2, 7)
    assert data.average(periods=3).period_numbers is None


def test_patches_of_a_file_keep_their_numbers(tmp_path):
    values = np.stack([VALUES @ TRUTH, 2 * VALUES @ TRUTH, 3 * VALUES @ TRUTH])[None]
    mj.io.write_measurement(tmp_path / "m.mdf", mj.Measurement.create(values, BINS * 1e3, **FACTS))
    chosen = mj.io.read_measurement(tmp_path / "m.mdf", periods=[2, 1])
    assert chosen.periods == (2, 1)
    mj.io.write_measurement(tmp_path / "again.mdf", chosen)
    mj.io.write_system_matrix(tmp_path / "sm.mdf", replace(matrix(patch=1), transfer_function=None))
    found = mj.io.read_system_matrix(tmp_path / "sm.mdf")
    assert isinstance(found, mj.SystemMatrix) and found.patch == 1
    rows = mj.io.read_measurement(tmp_path / "again.mdf").rows(found.row_index())
    np.testing.assert_allclose(rows[0], 2 * (VALUES @ TRUTH).ravel(), rtol=1e-12)


def test_angles_are_compared():
    angles = np.linspace(0, np.pi, C, endpoint=False)
    rotating = matrix(angles=angles)
    rows = measurement(angles=angles + 2 * np.pi).rows(rotating.row_index())
    np.testing.assert_allclose(rows[0], (VALUES @ TRUTH).ravel(), rtol=1e-12)
    with pytest.raises(ValueError, match="were measured at angles"):
        measurement(angles=angles + 0.1).rows(rotating.row_index())


@settings(max_examples=10, deadline=None, derandomize=True)
@given(st.permutations(range(C)), st.permutations(range(F)))
def test_an_empty_scan_in_any_order_is_subtracted_where_it_belongs(order, bins):
    data = measurement()
    empty = measurement(order, bins, channels=order)
    empty = replace(empty, values=np.concatenate([empty.values, 3 * empty.values]))
    found = data.subtract_background(empty)
    np.testing.assert_allclose(found.values, -data.values, rtol=1e-12)
    np.testing.assert_allclose(found.background[1], data.values[0], rtol=1e-12)


def test_periods_of_different_fields_are_not_averaged():
    fields = {"/acquisition/offsetField": (((0.0, 0.0, 0.0),), ((0.0, 0.0, 1e-3),))}
    values = np.stack([VALUES @ TRUTH] * 2)[None]
    data = mj.Measurement.create(values, BINS * 1e3, **FACTS, metadata=fields)
    with pytest.raises(ValueError, match="offset field differs among the periods"):
        data.average(periods=2)
    same = {"/acquisition/offsetField": (((0.0, 0.0, 1e-3),),) * 2}
    mean = replace(data, metadata=type(data.metadata)(same)).average(periods=2)
    assert mean.metadata["/acquisition/offsetField"] == (((0.0, 0.0, 1e-3),),)


@pytest.mark.parametrize("files", [False, True])
def test_periods_of_an_empty_scan_are_matched_by_number(tmp_path, files):
    signal = VALUES @ TRUTH
    data = mj.Measurement.create(np.stack([5 * signal, 7 * signal])[None], BINS * 1e3, **FACTS, periods=[1, 0])
    empty = mj.Measurement.create(np.stack([2 * signal, 3 * signal])[None], BINS * 1e3, **FACTS, periods=[0, 1])
    if files:
        mj.io.write_measurement(tmp_path / "m.mdf", data)
        mj.io.write_measurement(tmp_path / "e.mdf", empty)
        found = mj.io.read_measurement(tmp_path / "m.mdf", empty_scan=tmp_path / "e.mdf")
    else:
        found = data.subtract_background(empty)
    np.testing.assert_allclose(found.values[0], np.stack([2 * signal, 5 * signal]), rtol=1e-12)


def test_an_empty_scans_angles_are_compared_and_its_missing_rows_leave_the_data():
    angles, mask = np.linspace(0, 1, C), np.ones((C, F), bool)
    mask[2, 3] = False
    data = measurement(angles=angles)
    with pytest.raises(ValueError, match="the empty scan's channels"):
        data.subtract_background(measurement(angles=angles + 0.2))
    found = data.subtract_background(measurement((1, 0, 2, 3), channels=[1, 0, 2, 3], row_mask=mask.astype(int)))
    np.testing.assert_array_equal(found.row_mask, mask)


def test_patches_and_periods_are_whole_numbers():
    for patch in (1.5, "1", True, -1, np.nan):
        with pytest.raises(ValueError, match="patch = "):
            matrix(patch=patch)
    for period in (0.5, "0", True):
        with pytest.raises(ValueError, match="period = "):
            measurement().rows(matrix().row_index(), period=period)

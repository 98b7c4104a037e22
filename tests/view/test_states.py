"""What is shown of rows, of the SNR and of a measurement, without a page."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

import mpijax as mj
from mpijax.view.state.matrix import MatrixView
from mpijax.view.state.measurement import MeasurementView
from mpijax.view.state.rows import RowsState
from mpijax.view.state.snr import SnrState
from tests.view.files import write_matrix, write_measurement
from tests.view.session import OwnPage


def test_rows_are_stepped_through_in_their_order(folder):
    state = RowsState(MatrixView(folder / "sm.mdf"))
    first = state.matrix.ranked()[0]
    assert (state.channel, state.position) == tuple(first) and state.rank() == 0
    state.step(-1)
    assert state.rank() == 0
    state.step(10**6)
    assert state.rank() == len(state.sequence()) - 1
    state.order, state.channel, state.position = "frequency", 2, 20
    state.step(3)
    assert (state.channel, state.position) == (2, 23)
    state.order = "color"
    with pytest.raises(ValueError, match="order = 'color'"):
        state.step(1)


def test_the_title_says_which_row_it_is(folder):
    state = RowsState(MatrixView(folder / "sm.mdf"))
    state.channel = 1
    state.go_to_orders((1, 0, 0))
    assert state.title.startswith("channel y, 24.51 kHz, (1, 0, 0), SNR ")
    state.go_to_frequency(26.1e3)
    assert "26.04 kHz, (0, 1, 0)" in state.title


def test_two_matrices_are_compared_row_by_row(folder, tmp_path):
    before, after = (MatrixView(folder / f"{name}.mdf") for name in ("sm", "restored"))
    state = RowsState(before, after)
    found = state.comparison()
    assert list(found.images) == ["sm.mdf", "restored.mdf", "difference"]
    np.testing.assert_allclose(
        found.images["difference"], found.images["sm.mdf"] - found.images["restored.mdf"], atol=1e-12
    )
    assert found.says.startswith("rms difference: ")
    write_matrix(tmp_path / "fine.mdf", shape=(9, 5, 1))
    found = RowsState(before, MatrixView(tmp_path / "fine.mdf")).comparison()
    assert len(found.images) == 2 and "no difference is shown: the grids are 7 x 5 x 1 and 9 x 5 x 1" in found.says
    matrix = mj.io.read_system_matrix(folder / "sm.mdf")
    mj.io.write_system_matrix(tmp_path / "part.mdf", matrix.select(min_frequency=80e3))
    state = RowsState(before, MatrixView(tmp_path / "part.mdf"))
    state.position = 0
    found = state.comparison()
    assert list(found.images) == ["sm.mdf"] and "part.mdf holds no row of channel" in found.says


def test_a_tap_moves_the_cut_and_the_profile_goes_through_it(folder):
    state = RowsState(MatrixView(folder / "sm.mdf"))
    assert state.voxel_at((0, 1), -11.9, 9.9) == (0, 4, 0)
    assert state.voxel_at((0, 1), 99.0, 0.0) == (6, 2, 0)
    image = state.image()
    state.axis = 1
    places, line = state.profile(image)
    np.testing.assert_allclose(places, [-8, -4, 0, 4, 8])
    np.testing.assert_array_equal(line, image[0, :, 6])


def test_snr_points_and_what_a_threshold_keeps(folder):
    state = SnrState(MatrixView(folder / "sm.mdf"))
    strength = state.matrix.strength
    points = state.points()
    assert sum(len(p.position) for p in points) == 450
    np.testing.assert_array_equal(points[2].strength, strength[2, points[2].position])
    orders = state.matrix.orders[points[0].position]
    np.testing.assert_array_equal(points[0].order, np.abs(orders).sum(axis=1))
    state.threshold = float(np.median(strength))
    kept = state.kept()
    assert sum(n for n, _ in kept.values()) == np.count_nonzero(strength >= state.threshold)
    low, high = state.decades()
    assert 10**low <= strength.min() and strength.max() <= 10**high


def test_a_measurement_in_time_and_frequency(folder):
    view = MeasurementView(folder / "m.mdf")
    assert view.frames == 6 and view.background
    view.frame, view.channel = 3, 1
    whole = mj.io.read_measurement(folder / "m.mdf", background="mean")
    np.testing.assert_allclose(view.spectrum(), np.asarray(whole.values)[3, 0, 1], rtol=1e-6)
    time, signal = view.signal()
    assert len(time) == 400 and time[1] == pytest.approx(1e3 / (2 * view.info.bandwidth))
    np.testing.assert_allclose(np.fft.rfft(signal)[1:151], view.spectrum(), rtol=1e-4, atol=1e-9)
    frames, frequencies, level = view.spectrogram()
    assert level.shape == (6, 150) == (len(frames), len(frequencies)) and level.max() == 0
    assert np.all(np.diff(level[:, 5]) > 0)  # the dot grows
    view.background = False
    assert np.abs(view.spectrum() - np.asarray(whole.values)[3, 0, 1]).max() > 0.5e-7


def test_an_empty_scan_is_the_background(folder, tmp_path):
    matrix = mj.io.read_system_matrix(folder / "sm.mdf")
    write_measurement(tmp_path / "empty.mdf", matrix, frames=1)
    view = MeasurementView(folder / "m.mdf", tmp_path / "empty.mdf")
    expected = mj.io.read_measurement(folder / "m.mdf", empty_scan=tmp_path / "empty.mdf")
    np.testing.assert_allclose(view.spectrum(), np.asarray(expected.values)[0, 0, 0], rtol=1e-6)


def test_a_calibration_is_no_measurement(folder):
    with pytest.raises(mj.io.MDFError, match="is a calibration; a measurement is expected"):
        MeasurementView(folder / "sm.mdf")


def changed(folder, path, change):
    path.write_bytes((folder / "sm.mdf").read_bytes())
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def scaled(name, factor):
    def change(file):
        file[name][...] = factor * file[name][()]

    return change


def corrected(file):
    file["/measurement/isTransferFunctionCorrected"][...] = 1


def moved(file):
    del file["/calibration/fieldOfViewCenter"]
    file["/calibration/fieldOfViewCenter"] = np.array([5e-3, 0, 0])


@pytest.mark.parametrize(
    ("change", "says", "count"),
    [
        (scaled("/calibration/fieldOfView", 2.0), "field of view 28 x 20 x 4 mm and 56 x 40 x 8 mm", 2),
        (moved, "center 0 x 0 x 0 mm and 5 x 0 x 0 mm", 2),
        (scaled("/acquisition/receiver/bandwidth", 0.5), "bandwidth", 1),
        (corrected, "transfer function not corrected and corrected", 1),
        (scaled("/tracer/concentration", 10.0), "sample concentration", 1),
    ],
)
def test_matrices_that_do_not_belong_together_are_not_compared(folder, tmp_path, change, says, count):
    other = changed(folder, tmp_path / "other.mdf", change)
    found = RowsState(MatrixView(folder / "sm.mdf"), MatrixView(other)).comparison()
    assert says in found.says and "difference" not in found.images and len(found.images) == count


def test_other_fields_are_said_beside_the_difference(folder, tmp_path):
    other = changed(folder, tmp_path / "other.mdf", scaled("/acquisition/gradient", 1.5))
    found = RowsState(MatrixView(folder / "sm.mdf"), MatrixView(other)).comparison()
    assert (
        "The fields differ: gradient -1, -1, 2 T/m and -1.5, -1.5, 3 T/m." in found.says
        and "difference" in found.images
    )


def test_patches_are_matched_by_number(folder, monkeypatch):
    def numbered(*numbers):
        view = MatrixView(folder / "sm.mdf")
        view.info = replace(view.info, period_numbers=numbers or None, n_periods=max(len(numbers), 1))
        return view

    assert numbered(0, 1).same_patch(numbered(1, 0), 0) == 1 and numbered(4).same_patch(numbered(), 0) == 0
    with pytest.raises(ValueError, match=r"shows patch 1 and sm.mdf holds patches 0, 2, not this one"):
        numbered(0, 1).same_patch(numbered(0, 2), 1)
    with pytest.raises(ValueError, match="shows a patch without a number"):
        numbered().same_patch(numbered(0, 1), 0)
    state = RowsState(numbered(0, 1), numbered(0))
    monkeypatch.setattr(state.matrix, "row", lambda *_, **__: state.second.row(0, 0))
    state.patch = 1
    assert "holds patches 0, not this one" in state.comparison().says
    assert "only one of the two files numbers its patch" in RowsState(numbered(0), numbered()).comparison().says


def test_a_second_matrix_is_cut_at_the_same_place(folder, tmp_path):
    write_matrix(tmp_path / "fine.mdf", shape=(14, 10, 1))
    state = RowsState(MatrixView(folder / "sm.mdf"), MatrixView(tmp_path / "fine.mdf"))
    state.voxel = (5, 4, 0)  # at (8, 8) mm, between voxels 10 and 11, 8 and 9
    image = state.comparison().images["fine.mdf"]
    places, line = state.profile(image, state.second.grid)
    assert len(places) == 14 and any(np.array_equal(line, image[0, y]) for y in (8, 9))
    assert state.voxel_in(state.second.grid)[0] in (10, 11)
    page = OwnPage([folder / "sm.mdf", tmp_path / "fine.mdf"])
    rows = page.page.tabs["Rows"]
    rows.state.voxel = (5, 4, 0)
    rows.update()
    good = rows.state.profile(rows.state.comparison().images["fine.mdf"], rows.state.second.grid)
    np.testing.assert_array_equal(rows.other.data["modulus"], np.abs(good[1]))


def test_the_second_picture_has_its_own_axes(folder, tmp_path):
    other = changed(folder, tmp_path / "other.mdf", scaled("/calibration/fieldOfView", 2.0))
    rows = OwnPage([folder / "sm.mdf", other]).page.tabs["Rows"]
    ends = [rows.pictures[name, (0, 1)].figure.x_range.end for name in ("first", "second")]
    assert ends == pytest.approx([14, 28])

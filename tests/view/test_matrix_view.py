"""A calibration as it is looked at: rows one by one, by order and rank, of files that lack something, of files of any size."""

import time

import h5py
import numpy as np
import pytest

from mpijax.view.state import matrix as module
from mpijax.view.state.matrix import MatrixView
from mpijax.view.state.rows import RowsState
from tests.view.files import make_large, write_matrix


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("view") / "sm.mdf"
    write_matrix(path)
    return path


def test_a_row_is_that_of_the_matrix_with_and_without_its_background(path):
    import mpijax as mj

    view, matrix = MatrixView(path), mj.io.read_system_matrix(path)
    plain, cleaned = (mj.io.read_system_matrix(path, background=how) for how in ("none", "mean"))
    image = np.asarray(matrix.grid.to_image(np.asarray(plain.values)[2, 17]))
    np.testing.assert_array_equal(view.row(2, 17, background=False), image)
    image = np.asarray(matrix.grid.to_image(np.asarray(cleaned.values)[2, 17]))
    np.testing.assert_allclose(view.row(2, 17), image, rtol=1e-5)


def test_rows_are_kept_until_there_are_too_many(path, monkeypatch):
    view = MatrixView(path)
    first = view.row(0, 3)
    assert view.row(0, 3) is first
    monkeypatch.setattr(module, "CACHE_BYTES", 2 * first.nbytes)
    for position in range(4, 7):
        view.row(0, position)
    assert view.row(0, 3) is not first


def test_ranks_follow_the_snr_of_one_channel_or_of_all(path):
    view = MatrixView(path)
    strength = view.strength
    every, one = view.ranked(), view.ranked(1)
    assert np.all(np.diff(strength[every[:, 0], every[:, 1]]) <= 0) and len(every) == 450
    assert set(one[:, 0]) == {1} and np.array_equal(every[every[:, 0] == 1], one)


def test_mixing_orders_lead_to_their_frequency(path):
    view = MatrixView(path)
    mx, my, _ = view.cycles
    assert view.bins[view.position_of_orders((2, -1, 0))] == abs(2 * mx - my)
    assert view.bins[view.position_of_orders((-3, 0, 0))] == 3 * mx
    with pytest.raises(ValueError, match="nothing is driven along z; set that order to 0"):
        view.position_of_orders((1, 0, 2))
    with pytest.raises(ValueError, match=r"mixing orders \(40, 40, 0\) fall on bin .* holds 150 bins from 1 to 150"):
        view.position_of_orders((40, 40, 0))


def test_a_matrix_without_snr_and_background_is_ranked_by_its_rms(tmp_path):
    made = write_matrix(tmp_path / "sm.mdf", background=0)
    view = MatrixView(tmp_path / "sm.mdf")
    assert view.strength_name == "rms" and "neither SNR nor background" in view.remarks[-1]
    channel, position = view.ranked()[0]
    power = np.sum(np.abs(np.asarray(made.values)) ** 2, axis=-1)
    assert power[channel, position] == power.max()
    with pytest.raises(ValueError, match="no background frames"):
        view.compute_snr()


def test_a_large_matrix_without_snr_opens_and_computes_it_when_asked(path, tmp_path, monkeypatch):
    copy = tmp_path / "sm.mdf"
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        file.pop("/calibration/snr", None)
    monkeypatch.setattr(module, "SMALL", 100)
    view = MatrixView(copy)
    assert view.strength is None and "stand by frequency" in view.remarks[0]
    with pytest.raises(ValueError, match="press 'Compute SNR'"):
        view.ranked()
    assert RowsState(view).order == "frequency"
    view.compute_snr()
    np.testing.assert_allclose(view.strength, MatrixView(path).strength, rtol=1e-4)


def test_a_matrix_without_geometry_is_a_line_or_its_size(path, tmp_path):
    whole = MatrixView(path).row(1, 20)
    for removed, shape in ((("fieldOfView",), (7, 5, 1)), (("fieldOfView", "size"), (35, 1, 1))):
        copy = tmp_path / f"{len(removed)}.mdf"
        copy.write_bytes(path.read_bytes())
        with h5py.File(copy, "r+") as file:
            for name in removed:
                del file[f"/calibration/{name}"]
        view = MatrixView(copy)
        assert view.grid.shape == shape
        assert "lacks /calibration/size or /calibration/fieldOfView" in view.remarks[0]
        assert "voxels of 1 mm" in view.remarks[0]
        np.testing.assert_array_equal(view.row(1, 20).ravel(), whole.ravel())


def test_a_matrix_without_a_sequence_has_no_mixing_orders(path, tmp_path):
    copy = tmp_path / "sm.mdf"
    copy.write_bytes(path.read_bytes())
    with h5py.File(copy, "r+") as file:
        del file["/acquisition/drivefield/strength"]
    view = MatrixView(copy)
    assert view.orders is None and "no mixing orders" in view.remarks[0]
    with pytest.raises(ValueError, match="choose a row by its frequency"):
        view.position_of_orders((1, 0, 0))


def test_a_file_that_disappears_keeps_what_has_been_shown(path, tmp_path):
    copy = tmp_path / "sm.mdf"
    copy.write_bytes(path.read_bytes())
    view = MatrixView(copy)
    shown = view.row(0, 0)
    copy.unlink()
    assert view.row(0, 0) is shown
    with pytest.raises(FileNotFoundError, match="there is no file"):
        view.row(0, 1)


def test_a_matrix_of_five_gigabytes_opens_at_once_and_gives_a_row_at_once(path, tmp_path):
    large = tmp_path / "large.mdf"
    row = make_large(path, large, 112)
    assert large.stat().st_size > 5e9 and large.stat().st_blocks * 512 < 1e8
    start = time.perf_counter()
    state = RowsState(MatrixView(large))
    opened = time.perf_counter() - start
    state.channel, state.position, state.order = 1, 68, "frequency"
    times = []
    for _ in range(5):
        start = time.perf_counter()
        state.step(1)
        image = state.image()
        times.append(time.perf_counter() - start)
        if state.position == 70:
            np.testing.assert_array_equal(image.ravel(), row.astype(np.complex64))
    assert state.position == 73
    print(f"opened in {opened:.2f} s, a row of {image.nbytes / 1e6:.0f} MB in {1e3 * np.median(times):.0f} ms")
    assert opened < 5 and np.median(times) < 0.5  # 0.1 s on quiet cores: benchmarks.bench_view

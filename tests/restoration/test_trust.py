import numpy as np

from mpijax.restoration import trust
from mpijax.rows import dct_filter


def complex_normal(rng, shape, sigma=1.0):
    return ((rng.normal(size=shape) + 1j * rng.normal(size=shape)) * sigma / np.sqrt(2)).astype(np.complex64)


def test_divergence_of_linear_maps_is_their_trace():
    direction = trust.probe(np.arange(64), (12, 10))
    np.testing.assert_allclose(np.abs(direction), 1, atol=1e-6)
    step = np.full(64, 0.01)
    np.testing.assert_allclose(trust.divergence(0.3 * 0.01 * direction, direction, step), 2 * 0.3 * 120, rtol=1e-4)
    blurred = (np.roll(direction, 1, 1) + direction + np.roll(direction, -1, 2)) / 3
    found = trust.divergence(0.01 * blurred, direction, step)
    assert abs(found.mean() - 2 * 120 / 3) < 2  # 80, the shifted parts have no trace
    assert found.std() < 2 * np.sqrt(120)


def test_estimated_error_is_the_true_one_without_knowing_the_truth():
    rng = np.random.default_rng(0)
    x = np.cos(np.linspace(0, 3, 16))[:, None] * np.exp(1j * np.linspace(0, 2, 14))
    clean = np.broadcast_to(x, (200, 16, 14)).astype(np.complex64)
    for sigma in (0.05, 0.3):
        y = clean + complex_normal(rng, clean.shape, sigma)
        direction, step = trust.probe(np.arange(200), (16, 14)), np.full(200, 0.1 * sigma)

        def f(rows, sigma=sigma):
            return np.asarray(dct_filter(rows, sigma, rule="garrote"))

        change = f((y + 0.1 * sigma * direction).astype(np.complex64)) - f(y)
        residual = np.sum(np.abs(y - f(y)) ** 2, axis=(1, 2))
        estimate = trust.remaining_error(residual, trust.divergence(change, direction, step), np.full(200, sigma), 224)
        true = np.mean(np.abs(f(y) - clean) ** 2, axis=(1, 2)) / sigma**2
        assert 0.02 < true.mean() < 0.2
        assert abs(estimate.mean() - true.mean()) < 4 * estimate.std() / np.sqrt(200)
        assert estimate.std() < 0.15


def test_a_map_that_removes_signal_is_found_out_and_one_that_smooths_is_not():
    count = 400
    residual = np.array([0.95, 0.0, 5.0, 0.2]) * count  # good, identity, signal removed, noise overstated
    divergence = np.array([0.1, 2.0, 0.1, 0.1]) * count
    error = trust.remaining_error(residual, divergence, np.ones(4), count)
    np.testing.assert_allclose(error, [0.05, 1.0, 4.1, -0.7])
    level, power = np.full(4, 0.1), np.full(4, 50.0)
    codes = trust.judge(error, np.zeros(4), level, power, None, fills=False, count=count, frames=None)
    assert list(codes) == [trust.RESTORED, trust.NOT_BELIEVED, trust.NOT_BELIEVED, trust.NOT_BELIEVED]
    codes = trust.judge(error, np.zeros(4), np.full(4, 1e-3), power, None, fills=False, count=count, frames=None)
    assert list(codes[1:]) == [trust.CLEAN_ROW, trust.CLEAN_ROW, trust.NOT_BELIEVED]
    codes = trust.judge(error, np.full(4, 1.5), level, power, None, fills=False, count=count, frames=None)
    assert codes[0] == trust.UNSTABLE
    codes = trust.judge(
        error, np.zeros(4), level, power, np.array([trust.NOT_PREDICTED, 0, 0, 0]), fills=True, count=count, frames=None
    )
    assert list(codes) == [trust.NOT_PREDICTED, trust.RESTORED, trust.NOT_BELIEVED, trust.NOT_BELIEVED]


def test_rows_of_noise_are_seldom_taken_for_signal():
    rng = np.random.default_rng(2)
    for frames in (None, 12):
        noise = complex_normal(rng, (20_000, 50))
        background = complex_normal(rng, (20_000, 12))
        sigma = np.ones(20_000) if frames is None else np.std(background, axis=1, ddof=1)
        alarms = trust.present(np.mean(np.abs(noise) ** 2, 1), sigma, 50, frames).mean()
        assert 0.3e-3 < alarms < 2e-3
        signal = np.mean(np.abs(noise + 3) ** 2, 1)
        assert trust.present(signal, sigma, 50, frames).mean() > 0.95


def test_few_frames_do_not_make_the_check_void():
    error = np.array([-0.45, -0.55, 0.15, 0.25])
    arguments = (np.zeros(4), np.full(4, 0.1), np.full(4, 50.0), None)
    codes = trust.judge(error, *arguments, fills=False, count=200, frames=3)
    assert list(codes == trust.RESTORED) == [True, False, True, False]
    codes = trust.judge(error, *arguments, fills=True, count=200, frames=3)
    assert list(codes == trust.RESTORED) == [True, False, True, True]


def test_hidden_voxels_are_measured_ones():
    missing = np.zeros((6, 8), bool)
    missing[2, 3:5] = missing[3, 3] = True
    held = trust.hold_out(missing)
    assert held.sum() == 3 and not np.any(held & missing)
    near = np.argwhere(held).mean(0) - np.argwhere(missing).mean(0)
    assert np.abs(near).sum() <= 3
    assert trust.hold_out(np.arange(48).reshape(6, 8) % 3 == 0) is None


def test_hidden_voxels_have_the_shape_of_the_missing_ones_and_do_not_go_round_the_edge():
    for corner in ((0, 0), (0, 7), (7, 0), (7, 7)):
        missing = np.zeros((10, 10), bool)
        missing[corner[0] : corner[0] + 3, corner[1] : corner[1] + 3] = True
        rows, columns = np.nonzero(trust.hold_out(missing))
        assert len(rows) == 9 and np.ptp(rows) == np.ptp(columns) == 2
    line = np.zeros((9, 10), bool)
    line[8] = True
    assert np.all(np.nonzero(trust.hold_out(line))[0] == 6)
    scattered = np.random.default_rng(0).random((12, 11, 10)) < 0.1
    held = trust.hold_out(scattered)
    assert not np.any(held & scattered) and held.sum() >= scattered.sum() / 2
    assert trust.hold_out(np.indices((10, 10)).sum(0) % 3 == 0) is None


def test_hidden_voxels_must_be_predicted():
    sigma, power = np.ones(4), np.array([1000.0, 1000.0, 100.0, 1000.0])
    codes = trust.predicted(np.array([200.0, 900.0, 101.0, 200.0]), power, sigma, 100)
    assert list(codes) == [trust.RESTORED, trust.NOT_PREDICTED, trust.RESTORED, trust.RESTORED]

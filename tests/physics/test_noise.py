import functools

import jax
import numpy as np
import pytest

from mpijax.physics import noise
from mpijax.physics.noise import background_concentration, background_from_frames, background_surrogate, complex_normal

PARTS = {
    "white": noise.white_background,
    "drift": noise.drift_background,
    "periodic": noise.periodic_background,
    "burst": noise.burst_background,
}
N = 120


@functools.cache
def compiled(name, n):
    return jax.jit(jax.vmap(lambda key, count: PARTS[name](n, key=key, count=count), (0, None)))


def draws(name, n_keys, n=N, count=None):
    keys = jax.random.split(jax.random.key(0), n_keys)
    return np.asarray(compiled(name, n)(keys, n if count is None else count))


def test_complex_normal_has_the_complex_standard_deviation():
    n = np.asarray(complex_normal((200, 500), 0.3, key=jax.random.key(0)))
    assert np.std(n) == pytest.approx(0.3, rel=0.01)
    assert np.std(n.real) == pytest.approx(0.3 / np.sqrt(2), rel=0.01)
    assert abs(np.mean(n * n)) < 0.001  # circular


@pytest.mark.parametrize("name", PARTS)
def test_parts_have_zero_mean_and_unit_rms_over_the_positions_in_use(name):
    for count in (N, 45, 7):
        series = draws(name, 30, count=count)
        np.testing.assert_array_equal(series[:, count:], 0)
        series = series[np.abs(series).max(axis=1) > 0][:, :count]
        assert len(series) == 30 or (name == "burst" and len(series) > 10)
        np.testing.assert_allclose(series.mean(axis=1), 0, atol=1e-5)
        np.testing.assert_allclose((np.abs(series) ** 2).mean(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", PARTS)
def test_parts_depend_on_the_key_alone(name):
    series = draws(name, 30)
    np.testing.assert_array_equal(series, draws(name, 30))
    assert len(np.unique(series, axis=0)) == (30 if name != "burst" else np.sum(np.abs(series).max(axis=1) > 0) + 1)


@pytest.mark.parametrize("exponent", [1.0, 2.0])
def test_drift_has_the_slope_of_its_spectrum(exponent):
    n = 1024
    keys = jax.random.split(jax.random.key(0), 300)
    series = np.asarray(jax.jit(jax.vmap(lambda k: noise.drift_background(n, key=k, exponent=exponent)))(keys))
    power = (np.abs(np.fft.fft(series * np.hanning(n), axis=1)) ** 2).mean(axis=0)
    f = np.arange(5, n // 4)
    slope = np.polyfit(np.log(f), np.log(power[5 : n // 4]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.08)


def test_drift_moves_mainly_along_one_line_of_the_complex_plane():
    series = draws("drift", 200, n=128)
    direction = np.exp(-0.5j * np.angle((series**2).sum(axis=1)))
    turned = series * direction[:, None]
    along, across = (turned.real**2).mean(axis=1), (turned.imag**2).mean(axis=1)
    assert np.median(across / along) < 0.2 < 1 < np.ptp(np.angle(direction**2))


def test_periodic_noise_is_one_to_three_lines():
    power = np.abs(np.fft.fft(draws("periodic", 100, n=512) * np.hanning(512), axis=1)) ** 2
    largest = np.sort(power, axis=1)[:, ::-1]
    assert np.median(largest[:, :36].sum(axis=1) / power.sum(axis=1)) > 0.99


def test_bursts_are_short_and_their_number_is_a_truncated_poisson():
    series = draws("burst", 600, n=1000)
    present = np.abs(series).max(axis=1) > 0
    assert present.mean() == pytest.approx(1 - np.exp(-1), abs=0.06)
    quiet = np.median(series.real, axis=1, keepdims=True) + 1j * np.median(series.imag, axis=1, keepdims=True)
    disturbed = (np.abs(series - quiet) > 1e-5).sum(axis=1)[present]
    assert disturbed.min() >= 5 and disturbed.max() <= 2 * 50 and (disturbed > 50).any()


def test_surrogate_mixes_its_parts_by_power():
    mix = jax.jit(jax.vmap(lambda key, weights: background_surrogate(N, 0.07, key=key, weights=weights), (0, None)))
    keys = jax.random.split(jax.random.key(5), 30)
    part_keys = jax.vmap(lambda key: jax.random.split(key, 5))(keys)[:, 1:]
    parts = [np.asarray(compiled(name, N)(part_keys[:, i], N)) for i, name in enumerate(noise.SURROGATE_PARTS)]
    weights = np.array([0.4, 0.3, 0.2, 0.1])
    want = np.einsum("p,pkn->kn", np.sqrt(weights), np.array(parts, complex))
    want *= 0.07 / np.sqrt(np.mean(np.abs(want) ** 2, axis=1, keepdims=True))
    got = np.asarray(mix(keys, weights))
    np.testing.assert_allclose(got, want, atol=1e-6)
    np.testing.assert_allclose(got.mean(axis=1), 0, atol=1e-7)
    np.testing.assert_allclose(got.std(axis=1), 0.07, rtol=1e-5)
    # of bursts alone nothing is left where none happens
    np.testing.assert_allclose(mix(keys, np.array([0.0, 0, 0, 1])), 0.07 * parts[3], atol=1e-6)
    assert np.any(np.abs(parts[3]).max(axis=1) == 0)


def test_drift_and_tones_gather_at_drive_harmonics_and_low_bins():
    c = np.asarray(background_concentration(np.array([32, 51, 168, 400, 408, 1]), (16, 17)))
    assert c.shape == (6, 4) and np.all(c > 0)
    far = c[2] / c[2].sum()  # 168 = 10.5 * 16, 9.9 * 17
    for row in c[[0, 1, 3, 4, 5]]:
        assert np.all((row / row.sum())[1:3] > 1.2 * far[1:3])
    np.testing.assert_allclose(background_concentration(168), c[2])


def test_empty_frames_give_a_contiguous_stretch_of_the_recording():
    rng = np.random.default_rng(0)
    frames = (3 + rng.normal(size=300) + 1j * rng.normal(size=300)).astype(np.complex64) * np.complex64(1e-22)
    draw = jax.jit(lambda key, count: background_from_frames(frames, 64, 0.2, key=key, count=count))
    starts = set()
    for seed in range(4):
        count = 50
        series = np.asarray(draw(jax.random.key(seed), count))
        assert np.std(series[:count]) == pytest.approx(0.2, rel=1e-5) and np.all(series[count:] == 0)
        stretches = np.lib.stride_tricks.sliding_window_view(frames.astype(complex), count)
        stretches = stretches - stretches.mean(axis=1, keepdims=True)
        stretches *= 0.2 / stretches.std(axis=1, keepdims=True)
        error = np.abs(stretches - series[:count]).max(axis=1)
        assert error.min() < 1e-5
        starts.add(int(error.argmin()))
    assert len(starts) == 4


def test_short_recordings_are_passed_through_again_in_another_direction_and_phase():
    rng = np.random.default_rng(1)
    frames = rng.normal(size=9) + 1j * rng.normal(size=9)
    frames -= frames.mean()
    with jax.enable_x64(True):
        series = np.asarray(jax.jit(lambda key: background_from_frames(frames, 100, key=key))(jax.random.key(0)))
    modulus = set(np.round(np.abs(frames) / np.abs(frames).max(), 6))
    passes = [series[i : i + 9] for i in range(100 - 9)]
    # every window of nine that is one pass holds each frame once, up to the mean that was subtracted
    spread = [np.sort(np.abs(p - p.mean())) for p in passes]
    whole = [i for i, s in enumerate(spread) if np.allclose(s / s.max(), sorted(modulus), atol=1e-5)]
    assert len(whole) >= 10 and set(np.diff(whole)) <= {9}
    phases = [np.angle(np.sum(passes[i] ** 2)) for i in whole]
    assert len(np.unique(np.round(phases, 4))) == len(whole)


def test_empty_frames_that_say_nothing():
    with pytest.raises(ValueError, match="at least two"):
        background_from_frames(np.ones(1, np.complex64), 10, key=jax.random.key(0))
    np.testing.assert_array_equal(
        background_from_frames(np.full(40, 7 + 1j, np.complex64), 10, key=jax.random.key(0)), 0
    )


@pytest.mark.parametrize("weights", [(np.nan, 1, 1, 1), (-1, 1, 1, 1), (0, 0, 0, 0), (1, 1, 1)])
def test_weights_that_are_no_shares(weights):
    with pytest.raises(ValueError, match="weights"):
        background_surrogate(10, key=jax.random.key(0), weights=weights)


def test_no_positions():
    for n in (0, -1):
        with pytest.raises(ValueError, match="n = .* at least 1"):
            noise.white_background(n, key=jax.random.key(0))

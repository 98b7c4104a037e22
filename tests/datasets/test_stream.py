import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.datasets import (
    CoarseMeasurement,
    LissajousPrior,
    RowPool,
    Rows,
    SimulatedRows,
    TrainingRows,
    frequency_ranks,
    measured_images,
    noise_for_peak_snr,
    split_rows,
    usable_rows,
)

PRIOR = LissajousPrior(shape=(8, 8, 1))
SOURCE = SimulatedRows(prior=PRIOR, matrices=2, rows_per_matrix=3)


def rows(n=3, size=8, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.normal(size=(n, size, size)) + 1j * rng.normal(size=(n, size, size))
    return Rows(jnp.asarray(images, jnp.complex64), jnp.zeros(n))


def test_prior_draws_within_its_ranges_and_from_the_key_alone():
    draws = [PRIOR.draw(jax.random.key(i)) for i in range(40)]
    diameter = np.array([float(p.core_diameter) for _, _, p in draws])
    gradient = np.array([np.diagonal(s.gradient) for s, _, _ in draws])
    amplitude = np.array([np.asarray(q.amplitude) for _, q, _ in draws])
    coils = np.array([np.asarray(s.receive_coils) for s, _, _ in draws])
    assert 18e-9 <= diameter.min() < 19.5e-9 and 23.5e-9 < diameter.max() <= 25e-9
    np.testing.assert_allclose(gradient[:, 0], gradient[:, 1])
    np.testing.assert_allclose(gradient[:, 2], -2 * gradient[:, 0], rtol=1e-6)
    assert 0.8 <= -gradient[:, 0].max() < 0.87 and 1.13 < -gradient[:, 0].min() <= 1.2
    assert np.all((amplitude[:, :2] >= 10e-3) & (amplitude[:, :2] <= 14e-3)) and np.all(amplitude[:, 2] == 0)
    sensitivity = coils[:, [0, 1], [0, 1]]
    assert np.all((sensitivity >= 0.5) & (sensitivity <= 1)) and np.all(coils[:, 0, 1:] == 0)
    again = PRIOR.draw(jax.random.key(3))
    chex.assert_trees_all_equal(again, draws[3])


def test_usable_rows_are_those_of_a_plain_loop():
    matrix = PRIOR.system_matrix(jax.random.key(0))
    sigma = noise_for_peak_snr(matrix)
    rms = np.sqrt(np.mean(np.abs(np.asarray(matrix.values)) ** 2, axis=2))
    assert rms.max() / sigma == pytest.approx(1000, rel=1e-5)
    f = np.asarray(matrix.frequencies)
    want = (rms >= 10 * float(sigma)) & (f >= 80e3) & (f <= 0.9 * 1.25e6)
    np.testing.assert_array_equal(usable_rows(matrix, sigma, 10.0), want)
    assert 50 < want.sum() < want.size / 2
    # without a threshold the band alone decides, at its upper end too
    everything = np.asarray(usable_rows(matrix, sigma, 0.0))
    np.testing.assert_array_equal(everything, np.broadcast_to((f >= 80e3) & (f <= 0.9 * 1.25e6), rms.shape))
    low = usable_rows(matrix, sigma, 10.0, in_band=False)
    np.testing.assert_array_equal(low, (rms >= 10 * float(sigma)) & (f < 80e3))


def test_simulated_rows_are_usable_rows_of_their_matrices():
    key = jax.random.key(5)
    drawn = jax.jit(SOURCE.__call__)(key)
    assert drawn.images.shape == (6, 8, 8) and drawn.sigma.shape == (6,)
    np.testing.assert_array_equal(drawn.images, jax.jit(SOURCE.__call__)(key).images)
    assert not np.array_equal(drawn.images, jax.jit(SOURCE.__call__)(jax.random.key(6)).images)
    for m, one in enumerate(jax.random.split(key, 2)):
        matrix = PRIOR.system_matrix(jax.random.split(one)[0])
        candidates = np.asarray(matrix.values)[np.asarray(usable_rows(matrix, noise_for_peak_snr(matrix), 10.0))]
        for image in np.asarray(drawn.images)[3 * m : 3 * m + 3]:
            distance = np.linalg.norm(candidates - image.reshape(-1), axis=1).min()
            assert distance < 1e-5 * np.linalg.norm(image)


@pytest.mark.parametrize("scale, method", [(2, "box"), (4, "box"), (2, "stride"), (2, "absmax")])
def test_noise_free_pair_is_degradation_of_its_target(scale, method):
    task = CoarseMeasurement(scale=scale, method=method)
    batch = task.batch(jax.random.key(0), rows())
    target = np.asarray(batch["target"])[..., 0] + 1j * np.asarray(batch["target"])[..., 1]
    coarse = np.asarray(batch["input"])[..., 0] + 1j * np.asarray(batch["input"])[..., 1]
    blocks = target.reshape(3, 8 // scale, scale, 8 // scale, scale)
    if method == "box":
        want = blocks.mean((2, 4))
    elif method == "stride":
        want = target[:, ::scale, ::scale]
    else:
        flat = blocks.transpose(0, 1, 3, 2, 4).reshape(3, 8 // scale, 8 // scale, -1)
        want = np.take_along_axis(flat, np.abs(flat).argmax(-1)[..., None], -1)[..., 0]
    np.testing.assert_allclose(coarse, want, atol=1e-5)
    np.testing.assert_allclose(np.abs(coarse).max((1, 2)), 1, rtol=1e-5)


def test_augmentation_is_a_symmetry_and_a_phase():
    """Each augmented row is one of the eight images of the square, up to a phase; all eight occur."""
    source = rows(200)
    source = Rows(jnp.broadcast_to(source.images[:1], (200, 8, 8)), source.sigma)
    target = CoarseMeasurement().batch(jax.random.key(1), source)["target"]
    target = np.asarray(target)[..., 0] + 1j * np.asarray(target)[..., 1]
    image = np.asarray(source.images[0])
    group = [g for a in (image, image.T) for g in (a, a[::-1], a[:, ::-1], a[::-1, ::-1])]
    overlap = np.abs(np.einsum("gyx,nyx->ng", np.conj(group), target))
    overlap /= np.linalg.norm(image) * np.linalg.norm(target, axis=(1, 2))[:, None]
    np.testing.assert_allclose(overlap.max(1), 1, rtol=1e-5)
    assert set(overlap.argmax(1)) == set(range(8))
    plain = CoarseMeasurement(augment="none").batch(jax.random.key(1), source)["target"]
    np.testing.assert_array_equal(plain[0], plain[7])


@pytest.mark.parametrize(
    "options, level, targets_noise",
    [
        ({}, 1.5, 0.0),
        ({"sample": "large"}, 0.75, 0.0),
        ({"target": "noisy"}, 1.5, 3.0),
        ({"sample": "large", "target": "noisy"}, 0.75, 3.0),
        ({"method": "stride"}, 3.0, 0.0),
        ({"method": "stride", "sample": "large"}, 3.0, 0.0),
    ],
)
def test_noise_of_coarse_rows_and_targets(options, level, targets_noise):
    """A retrospective mean of S x S voxels has sigma/S; a sample as large as the block has sigma/S^2."""
    silent = Rows(jnp.zeros((400, 8, 8), jnp.complex64), jnp.full(400, 3.0))
    coarse, fine, sigma = CoarseMeasurement(**options).measure(jax.random.key(0), silent)
    np.testing.assert_allclose(sigma, level, rtol=1e-6)
    assert np.sqrt(np.mean(np.abs(coarse) ** 2)) == pytest.approx(level, rel=0.03)
    assert np.sqrt(np.mean(np.abs(fine) ** 2)) == pytest.approx(targets_noise, rel=0.03)
    if options == {"target": "noisy"}:  # what was averaged is what is to be returned
        np.testing.assert_allclose(coarse, np.asarray(fine).reshape(400, 4, 2, 4, 2).mean((2, 4)), atol=1e-5)


def test_measured_rows_get_no_noise_and_keep_their_level():
    source = rows(5)
    source = Rows(source.images, jnp.full(5, 0.5), measured=True)
    coarse, fine, sigma = CoarseMeasurement(sample="large").measure(jax.random.key(0), source)
    np.testing.assert_array_equal(fine, source.images)
    np.testing.assert_allclose(coarse, np.asarray(fine).reshape(5, 4, 2, 4, 2).mean((2, 4)), atol=1e-6)
    np.testing.assert_allclose(sigma, 0.25)


def test_noise_level_and_weight_are_in_the_unit_of_the_network():
    source = rows(4)
    source = Rows(source.images * jnp.array([1.0, 10.0, 100.0, 0.1])[:, None, None], jnp.full(4, 0.5))
    task = CoarseMeasurement(augment="none", units="whitened")
    batch = task.batch(jax.random.key(0), source)
    coarse, _, sigma = task.measure(jax.random.split(jax.random.key(0))[0], source)
    peak = np.abs(coarse).max((1, 2))
    np.testing.assert_allclose(batch["noise_level"], sigma / peak, rtol=1e-5)
    np.testing.assert_allclose(batch["weight"][:, 0, 0, 0], peak / 0.5, rtol=1e-5)
    assert "weight" not in CoarseMeasurement().batch(jax.random.key(0), source)
    assert "noise_level" not in CoarseMeasurement(method="absmax").batch(jax.random.key(0), source)


def test_flips_keep_the_phase_and_the_axes():
    source = rows(1)
    source = Rows(jnp.broadcast_to(source.images, (64, 8, 8)), jnp.zeros(64))
    target = CoarseMeasurement(augment="flips").batch(jax.random.key(1), source)["target"]
    image = np.asarray(source.images[0])
    group = np.stack([image, image[::-1], image[:, ::-1], image[::-1, ::-1]])
    scaled = np.asarray(target)[..., 0] + 1j * np.asarray(target)[..., 1]
    distance = [[np.abs(t / np.abs(t).max() - g / np.abs(g).max()).max() for g in group] for t in scaled]
    assert np.max(np.min(distance, 1)) < 1e-5 and set(np.argmin(distance, 1)) == {0, 1, 2, 3}


def test_batches_of_a_pool():
    pool = np.asarray(rows(5).images)
    source = RowPool(images=pool, sigma=np.arange(5.0), batch_size=32)
    drawn = source(jax.random.key(3))
    assert drawn.measured and drawn.images.shape == (32, 8, 8)
    np.testing.assert_array_equal(drawn.images, pool[np.asarray(drawn.sigma).astype(int)])
    key = jax.random.key(0)
    batch = TrainingRows(source).batches(CoarseMeasurement(augment="none"), 32, key)(key)
    target = np.asarray(batch["target"])[..., 0] + 1j * np.asarray(batch["target"])[..., 1]
    normalized = pool / np.abs(pool.reshape(5, 4, 2, 4, 2).mean((2, 4))).max((1, 2))[:, None, None]
    nearest = np.abs(target[:, None] - normalized[None]).max((2, 3))
    assert nearest.min(1).max() < 1e-5 and len(set(nearest.argmin(1))) == 5


def test_unknown_settings_of_a_task_are_refused():
    for name in ("method", "sample", "target", "augment", "normalization", "units"):
        with pytest.raises(ValueError, match=name):
            CoarseMeasurement(**{name: "other"})
    with pytest.raises(ValueError, match="'large'; a large sample measures the 'box' mean"):
        CoarseMeasurement(method="maxavg", sample="large")


def test_scale_that_does_not_divide_names_the_crop():
    with pytest.raises(ValueError, match="crop the images to"):
        CoarseMeasurement(scale=4).batch(jax.random.key(0), rows(size=6))
    with pytest.raises(ValueError, match="scale = 3"):
        CoarseMeasurement(scale=3)


def matrix(shape, n_rows=2):
    grid = mj.Grid.create(shape, np.asarray(shape) * 1e-3)
    values = np.arange(n_rows * grid.size).reshape(1, n_rows, grid.size).astype(np.complex64)
    return mj.SystemMatrix.create(values, np.arange(n_rows) * 1.0, grid, n_samples=8, bandwidth=4.0)


def test_measured_images_are_central_slices_of_a_common_crop():
    images = measured_images([matrix((11, 9, 3)), matrix((9, 10, 1))], 8)
    assert images.shape == (4, 8, 8)
    np.testing.assert_array_equal(images[1].real, np.arange(297).reshape(3, 9, 11)[1, 0:8, 1:9] + 297)
    assert measured_images([matrix((8, 8, 5))], 8, slices=3).shape == (6, 8, 8)
    with pytest.raises(ValueError, match="multiples of 8"):
        measured_images([matrix((7, 8, 1))], 8)


def test_split_holds_out_whole_blocks():
    pool = np.arange(400, dtype=float)[:, None, None] * np.ones((1, 2, 2)) + 0j
    train, held_out = split_rows(pool)
    assert len(train) + len(held_out) == 400 and len(held_out) == 32
    assert not set(train[:, 0, 0]) & set(held_out[:, 0, 0])
    np.testing.assert_array_equal(held_out[:16, 0, 0].real, np.arange(144, 160))
    assert [len(x) for x in split_rows(pool[:5])] == [4, 1]
    with pytest.raises(ValueError, match="at least 2"):
        split_rows(pool[:1])


def test_all_slices_of_a_row_are_held_out_together():
    row = np.repeat(np.arange(400), 5)
    kept, held_out = split_rows(row, row=row)
    assert not set(kept) & set(held_out) and len(held_out) == 2 * 16 * 5
    blocks = np.unique(held_out // 16)
    np.testing.assert_array_equal(blocks % 10, 9)
    with pytest.raises(ValueError, match="two rows"):
        split_rows(np.arange(5), row=np.zeros(5, int))


def test_neighbors_are_held_out_together_in_any_order_of_the_bins():
    """The same rows are held out whether the bins ascend or not."""
    c, f = 2, 120
    values = (np.arange(c * f).reshape(c, f, 1) + 0j) * np.ones(64)
    grid = mj.Grid.create((8, 8, 1), (1, 1, 1))
    held = []
    for order in (np.arange(f), np.random.default_rng(0).permutation(f)):
        matrix = mj.SystemMatrix.create(
            values[:, order],
            np.arange(f)[order] * 1e3,
            grid,
            frequency_indices=np.arange(f)[order],
            n_samples=2 * f,
            bandwidth=f * 1e3,
        )
        _, held_out = split_rows(measured_images([matrix], 8), row=frequency_ranks(matrix))
        held.append(np.sort(held_out[:, 0, 0].real).tolist())
    assert held[0] == held[1] == list(range(144, 160))
    broken = np.where(np.arange(64) == 5, np.nan, values)
    with pytest.raises(ValueError, match="240 of 15360 entries that are NaN"):
        measured_images([mj.SystemMatrix.create(broken, np.arange(f) * 1e3, grid)], 8)

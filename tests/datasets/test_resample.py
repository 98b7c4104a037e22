"""Resampling against explicit loops, jax.image.resize and polynomials."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.rows.resampling import bicubic, bilinear, replicate, stride_matrix


def keys_at(samples, position):
    """Keys interpolation of one line at a position in samples, by its four taps; borders half-sample symmetric."""
    n = len(samples)
    base = int(np.floor(position))
    value = 0.0
    for tap in range(base - 1, base + 3):
        d = abs(position - tap)
        weight = 1.5 * d**3 - 2.5 * d**2 + 1 if d <= 1 else -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0
        while not 0 <= tap < n:
            tap = -1 - tap if tap < 0 else 2 * n - 1 - tap
        value += weight * samples[tap]
    return value


def loop_bicubic(image, shape, position):
    """Separable interpolation, one output at a time; position(i, n_in, n_out) in input samples."""
    n_y, n_x = shape
    columns = np.array([[keys_at(line, position(j, len(line), n_x)) for j in range(n_x)] for line in image])
    return np.array([[keys_at(line, position(i, len(line), n_y)) for i in range(n_y)] for line in columns.T]).T


def cell_centered(i, n_in, n_out):
    return (i + 0.5) * n_in / n_out - 0.5


def aligned(i, n_in, n_out):
    return i / -(-n_out // n_in)


def rows(shape, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


@pytest.mark.parametrize("shape", [(10, 14), (15, 21), (7, 9)])
def test_box_bicubic_equals_explicit_loops(shape):
    image = rows((5, 7))
    with jax.enable_x64(True):
        value = bicubic(image, shape)
    np.testing.assert_allclose(value, loop_bicubic(image, shape, cell_centered), rtol=0, atol=1e-13)


@pytest.mark.parametrize("shape", [(10, 14), (9, 13), (20, 25), (5, 7)])
def test_stride_bicubic_equals_explicit_loops(shape):
    image = rows((5, 7))
    with jax.enable_x64(True):
        value = bicubic(image, shape, sampling="stride")
    np.testing.assert_allclose(value, loop_bicubic(image, shape, aligned), rtol=0, atol=1e-13)


@pytest.mark.parametrize("scale", [2, 4])
def test_interior_equals_jax_image_resize(scale):
    image = rows((2, 8, 9))
    fine = np.asarray(bicubic(image, scale))
    cut = (slice(None), slice(2 * scale, -2 * scale), slice(2 * scale, -2 * scale))
    for part in (np.real, np.imag):
        other = jax.image.resize(part(image).astype(np.float32), fine.shape, "cubic", precision="highest")
        np.testing.assert_allclose(part(fine)[cut], other[cut], rtol=0, atol=2e-6)


@pytest.mark.parametrize("sampling", ["box", "stride"])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_constants_and_ramps_are_preserved(sampling, scale):
    y, x = np.mgrid[:6, :8].astype(float)
    with jax.enable_x64(True):
        np.testing.assert_allclose(
            bicubic(np.full((6, 8), 3.0 - 2.0j), scale, sampling=sampling), 3.0 - 2.0j, atol=1e-13
        )
        fine = bicubic(2.0 * y - 0.5 * x, scale, sampling=sampling)
    yf, xf = np.mgrid[: 6 * scale, : 8 * scale]
    shift = (scale - 1) / 2 if sampling == "box" else 0.0
    expected = 2.0 * (yf - shift) / scale - 0.5 * (xf - shift) / scale
    cut = slice(2 * scale, -2 * scale)
    np.testing.assert_allclose(fine[cut, cut], expected[cut, cut], atol=1e-12)


@pytest.mark.parametrize("n_fine", [19, 20])
def test_strided_samples_are_kept(n_fine):
    fine = rows((3, n_fine, n_fine))
    known = fine[:, ::2, ::2]
    np.testing.assert_allclose(bicubic(known, (n_fine, n_fine), sampling="stride")[:, ::2, ::2], known, atol=1e-6)


def test_alignment_matters_for_smooth_rows():
    """A strided smooth row is recovered better when its samples stand where they were taken."""
    grid = (np.arange(32) + 0.5) / 16 - 1
    row = np.cos(3 * np.arccos(grid))[:, None] * np.cos(2 * np.arccos(grid))
    errors = {s: np.linalg.norm(bicubic(row[::2, ::2], 2, sampling=s) - row) for s in ("box", "stride")}
    assert errors["stride"] < 0.6 * errors["box"]


def test_volumes_and_leading_axes():
    volume = rows((2, 3, 4, 5))
    fine = bicubic(volume, (6, 8, 10))
    by_plane = bicubic(volume, 2)
    assert fine.shape == (2, 6, 8, 10)
    np.testing.assert_allclose(bicubic(by_plane.swapaxes(1, 3), (10, 8, 6)).shape, (2, 10, 8, 6))
    along_z = np.moveaxis(np.asarray(bicubic(np.moveaxis(np.asarray(by_plane), 1, -1), (10, 6))), -1, 1)
    np.testing.assert_allclose(fine, along_z, atol=1e-6)


def test_bilinear_equals_clamped_interpolation():
    image = rows((4, 6))
    fine = np.asarray(bilinear(image, (8, 18)))
    positions = [np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1) for n, m in ((4, 8), (6, 18))]
    across = np.array([np.interp(positions[1], np.arange(6), line) for line in image])
    expected = np.array([np.interp(positions[0], np.arange(4), line) for line in across.T]).T
    np.testing.assert_allclose(fine, expected, atol=1e-6)
    np.testing.assert_array_equal(bilinear(image, (8, 18)), bilinear(jnp.asarray(image), (8, 18)))


def test_replicate_repeats_blocks():
    image = rows((2, 3, 4))
    np.testing.assert_array_equal(replicate(image, (2, 3)), np.kron(image, np.ones((1, 2, 3))).astype(np.complex64))
    np.testing.assert_array_equal(replicate(image, 2)[:, ::2, 1::2], image.astype(np.complex64))


def test_gradient_is_the_adjoint_and_jit_and_vmap_agree():
    image, cotangent = np.real(rows((3, 4, 5))), np.real(rows((3, 8, 10), seed=1))
    with jax.enable_x64(True):
        fine, pullback = jax.vjp(lambda x: bicubic(x, 2), jnp.asarray(image))
        np.testing.assert_allclose(
            np.sum(fine * cotangent), np.sum(image * pullback(jnp.asarray(cotangent))[0]), rtol=1e-12
        )
        np.testing.assert_allclose(jax.jit(jax.vmap(lambda x: bicubic(x, 2)))(image), fine, atol=1e-14)


def test_errors_say_what_is_allowed():
    with pytest.raises(ValueError, match="sampling = 'point'"):
        bicubic(rows((4, 4)), 2, sampling="point")
    with pytest.raises(ValueError, match="resamples 3 axes"):
        bicubic(rows((4, 4)), (4, 4, 4))
    with pytest.raises(ValueError, match="must be positive"):
        bilinear(rows((4, 4)), (0, 4))
    with pytest.raises(ValueError, match="every s-th of 5"):
        stride_matrix(4, 5)

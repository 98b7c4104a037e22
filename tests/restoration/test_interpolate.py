import numpy as np
import pytest
from scipy import ndimage

from mpijax.rows import bicubic
from mpijax.rows.splines import spline_matrix, spline_upsample


def rows(shape, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


@pytest.mark.parametrize("coarse,fine", [((10, 7), (19, 14)), ((5, 4), (13, 10)), ((4, 5, 6), (8, 9, 16))])
def test_the_spline_is_that_of_scipy(coarse, fine):
    images = rows((2, *coarse))
    factors = [-(-m // n) for n, m in zip(coarse, fine, strict=True)]
    margin = 20  # the mirror images written out: SciPy starts its recursion for mode "reflect" inexactly on short axes
    points = np.meshgrid(*[np.arange(m) / f + margin for m, f in zip(fine, factors, strict=True)], indexing="ij")
    for order in (1, 3):
        got = np.asarray(spline_upsample(images, fine, order=order))
        for row, image in zip(got, images.astype(np.complex128), strict=True):
            padded = np.pad(image, margin, mode="symmetric")
            want = [ndimage.map_coordinates(part, points, order=order) for part in (padded.real, padded.imag)]
            np.testing.assert_allclose(row, want[0] + 1j * want[1], atol=3e-6)
        assert got.dtype == np.complex64


def test_samples_are_kept_and_a_factor_is_a_shape():
    images = rows((2, 1, 5, 6))
    fine = np.asarray(spline_upsample(images, 3))
    assert fine.shape == (2, 1, 15, 18)
    np.testing.assert_allclose(fine[..., ::3, ::3], images, atol=2e-6)
    np.testing.assert_array_equal(fine, spline_upsample(images, (1, 15, 18)))
    np.testing.assert_array_equal(spline_upsample(images.real, 3).dtype, np.float32)
    np.testing.assert_allclose(spline_matrix(6, 11).sum(axis=1), 1, atol=1e-12)


def test_fourth_order_on_a_row_that_mirrors_at_its_edges():
    def error(n):
        row = np.cos(np.pi * 3 * (np.arange(2 * n) / 2 + 0.5) / n)  # symmetric about -1/2 and n - 1/2
        return np.max(np.abs(spline_matrix(n, 2 * n) @ row[::2] - row))

    assert error(20) < 2e-4
    assert 14 < error(20) / error(40) < 18


def test_bicubic_of_the_same_alignment_is_close_and_keeps_the_samples_too():
    y, x = np.meshgrid(np.linspace(0, 2, 12), np.linspace(0, 3, 10), indexing="ij")
    image = np.cos(x) * np.exp(1j * y)[None].astype(np.complex64)
    spline, cubic = spline_upsample(image, (23, 19)), bicubic(image, (23, 19), sampling="stride")
    np.testing.assert_allclose(spline[:, ::2, ::2], cubic[:, ::2, ::2], atol=2e-6)
    np.testing.assert_allclose(spline[:, 4:-4, 4:-4], cubic[:, 4:-4, 4:-4], atol=2e-3)


def test_bad_requests():
    images = rows((1, 10, 10))
    with pytest.raises(ValueError, match="10 samples are not every f-th of 18"):
        spline_upsample(images, (18, 19))
    with pytest.raises(ValueError, match="order = 7"):
        spline_upsample(images, 2, order=7)
    with pytest.raises(ValueError, match="2 fine voxel counts"):
        spline_upsample(images, (19, 19, 19))
    with pytest.raises(ValueError, match="size = 0"):
        spline_upsample(images, 0)
    with pytest.raises(ValueError, match="at least 4"):
        spline_upsample(images[:, :3], 2)

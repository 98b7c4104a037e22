"""X-space images: widths of a point, linear convolution, geometry, differentiability, and what is refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy.signal import fftconvolve

from mpijax.physics.xspace import COLLINEAR_WIDTH, full_widths
from mpijax.system import Grid, Particle, Scanner
from mpijax.system.scans import xspace as system
from tests.reference import xspace as twin

PARTICLE = Particle.create(22e-9)
LINE = Scanner.create((4.0, 0.0, -4.0))
POINT = Scanner.create((-4.0, -4.0, 8.0))
BETA = float(PARTICLE.beta)


def object_on(n, seed=0):
    """A bar, a box and a dot within the middle of n x n voxels, (n * n,) [mmol/L]."""
    image, q = np.zeros((n, n)), n // 8
    image[2 * q : 4 * q, 2 * q : 3 * q] = 50
    image[6 * q, q : 6 * q] = 30
    image[3 * q, 6 * q] = 100
    return image.reshape(-1)


@pytest.mark.parametrize("scanner", [LINE, POINT], ids=["line", "point"])
@pytest.mark.parametrize("excitation", [0, 2, (0, 2)])
def test_full_widths_of_a_point(scanner, excitation):
    """4.161/(beta |G_i|) along the excitation and 9.467/(beta |G_i|) across, to 1 %; 5.828/(beta |G_i|) in the mean."""
    gradient = np.diagonal(scanner.gradient)
    both = isinstance(excitation, tuple)
    want = np.asarray(full_widths(gradient, BETA, None if both else excitation))
    pixel = COLLINEAR_WIDTH / (BETA * np.abs(gradient).max()) / 20  # a twentieth of the smallest width
    across = 9.467 / (BETA * np.abs(gradient[[0, 2]]).min())
    n = 2 * int(0.55 * across / pixel) + 1
    grid = Grid.create((n, 1, n), (n * pixel, pixel, n * pixel))
    point = np.zeros((n, n))
    point[n // 2, n // 2] = 80.0
    image = np.asarray(system.x_space_image(scanner, PARTICLE, grid, point.reshape(-1), excitation))[:, 0]
    assert image.max() == pytest.approx(80 / 3 * float(grid.voxel_volume), rel=1e-3)
    places = pixel * np.arange(n)
    assert twin.full_width(places, image[n // 2]) == pytest.approx(want[0], rel=0.01)
    assert twin.full_width(places, image[:, n // 2]) == pytest.approx(want[2], rel=0.01)


def test_sum_of_both_scans_is_round_only_for_equal_gradients():
    """Values at one distance from a point, over all directions."""
    angle = np.linspace(0, np.pi, 25)
    for scanner, round_image in ((LINE, True), (POINT, False), (Scanner.create((-8.0, 2.0, 6.0)), False)):
        gradient = np.diagonal(scanner.gradient)[[2, 0]]
        kernel = np.asarray(system.sampled_kernel((48, 48), BETA * gradient * 0.15e-3, (0, 1)))
        radius = 20  # interpolated on the sampled kernel
        rows, columns = 47 + radius * np.sin(angle), 47 + radius * np.cos(angle)
        i, j = rows.astype(int), columns.astype(int)
        a, b = rows - i, columns - j
        ring = (1 - a) * ((1 - b) * kernel[i, j] + b * kernel[i, j + 1]) + a * (
            (1 - b) * kernel[i + 1, j] + b * kernel[i + 1, j + 1]
        )
        assert (np.ptp(ring) < 2e-3 * ring.mean()) == round_image
        if round_image:
            assert ring.mean() == pytest.approx(float(isotropic(BETA * 4.0 * 0.15e-3 * radius)), rel=2e-3)
        else:
            assert np.ptp(ring) > 0.2 * ring.mean()


def isotropic(x):
    return (twin.parallel(x) + twin.perpendicular(x)) / 2


def test_image_is_the_sum_over_voxels():
    """Against the closed form at one position after the other, every voxel split into 5 x 5."""
    n = 10
    grid = Grid.create((n, 1, n), (6e-3, 0.5e-3, 6e-3), center=(1e-3, 0, -2e-3))
    fine = grid.refine((5, 1, 5))
    concentration = object_on(n)
    split = np.kron(concentration.reshape(n, n), np.ones((5, 5))).reshape(-1)
    for axis in (0, 2):
        places, scale = np.asarray(grid.positions), BETA * np.array([4.0, 0.0, -4.0])
        want = twin.image(split, np.asarray(fine.positions), float(fine.voxel_volume), scale, axis, places)
        got = np.asarray(system.x_space_image(LINE, PARTICLE, grid, concentration, axis))
        assert np.abs(got.reshape(-1) - want).max() < 2e-3 * want.max()


@pytest.mark.parametrize("shape", [(9, 14), (5, 4, 6)])
def test_convolution_is_linear_and_exact(shape):
    rng = np.random.default_rng(1)
    image, kernel = rng.normal(size=shape), rng.normal(size=[2 * n - 1 for n in shape])
    want = fftconvolve(image, kernel)[tuple(slice(n - 1, 2 * n - 1) for n in shape)]
    with jax.enable_x64(True):
        np.testing.assert_allclose(system.convolve_linear(image, kernel), want, atol=1e-12)
    single = system.convolve_linear(image.astype(np.float32), kernel.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, want, atol=1e-5 * np.abs(want).max())


def test_circular_and_cut_kernels_are_wrong():
    """Two dots at opposite edges, a kernel half a field of view wide across the scan: what the full support is needed for."""
    n = 64
    image = np.zeros((n, n))
    image[4:9, 20:25], image[56:61, 22:27] = 100, 80
    kernel = np.asarray(system.sampled_kernel((n, n), np.full(2, 9.467 / (n / 2)), 1), np.float64)
    right = np.asarray(system.convolve_linear(image, kernel))
    np.testing.assert_allclose(right, fftconvolve(image, kernel)[n - 1 : 2 * n - 1, n - 1 : 2 * n - 1], rtol=1e-5)
    cut = kernel[n // 2 - 1 : n // 2 - 1 + n, n // 2 - 1 : n // 2 - 1 + n]  # zero offset at n/2
    circular = np.fft.irfft2(np.fft.rfft2(image) * np.fft.rfft2(np.fft.ifftshift(cut)), (n, n))
    truncated = fftconvolve(image, cut)[n // 2 : n // 2 + n, n // 2 : n // 2 + n]
    assert np.abs(circular - right).max() > 0.2 * right.max()
    assert np.abs(truncated - right).max() > 0.2 * right.max()


def test_cell_means_of_the_kernel():
    """Two Gauss nodes per axis against twelve, in units of the peak."""
    nodes, weights = np.polynomial.legendre.leggauss(12)
    for cells, bound in ((2, 3.1e-3), (4, 2.5e-4), (8, 2e-5)):
        cell = COLLINEAR_WIDTH / cells
        rows, columns = np.meshgrid(nodes / 2 * cell, nodes / 2 * cell, indexing="ij")
        size = np.hypot(rows, columns)
        kernel = twin.parallel(size) * (columns / size) ** 2 + twin.perpendicular(size) * (rows / size) ** 2
        mean = np.sum(kernel * np.outer(weights, weights)) / 4
        with jax.enable_x64(True):
            got = system.sampled_kernel((2, 2), np.array([cell, cell]), 1)[1, 1]
        assert abs(float(got) - mean) < bound / 3


def test_line_sees_the_projection_and_point_does_not():
    grid = Grid.create((12, 4, 12), (6e-3, 4e-3, 6e-3))
    rng = np.random.default_rng(2)
    concentration = rng.uniform(size=(12, 4, 12)) * np.array([1.0, 0.0, 0.5, 0.0])[:, None]
    flat = Grid.create((12, 1, 12), (6e-3, 4e-3, 6e-3))
    projected = system.x_space_image(LINE, PARTICLE, flat, concentration.mean(1).reshape(-1), 0)
    image = np.asarray(system.x_space_image(LINE, PARTICLE, grid, concentration.reshape(-1), 0))
    np.testing.assert_allclose(image, np.broadcast_to(projected, image.shape), rtol=1e-5)
    point = np.asarray(system.x_space_image(POINT, PARTICLE, grid, concentration.reshape(-1), 0))
    assert np.abs(np.diff(point, axis=1)).max() > 0.05 * point.max()


def test_exchanging_the_axes_exchanges_the_scans():
    """Turn the phantom and the scan, and the image is the turned one; mirrored objects give mirrored images."""
    grid = Grid.create((16, 1, 16), (8e-3, 1e-3, 8e-3))
    image = object_on(16).reshape(16, 16)

    def scan(plane, axis):
        return np.asarray(system.x_space_image(LINE, PARTICLE, grid, np.ascontiguousarray(plane).reshape(-1), axis))[
            :, 0
        ]

    peak = scan(image, 0).max()
    np.testing.assert_allclose(scan(image.T, 2), scan(image, 0).T, atol=1e-6 * peak)
    np.testing.assert_allclose(scan(image[::-1], 0), scan(image, 0)[::-1], atol=1e-6 * peak)
    assert np.abs(scan(image, 2) - scan(image, 0)).max() > 0.1 * peak


def test_voltage_has_the_sign_of_the_gradient_and_the_velocity():
    image = np.full((2, 2), 1e-9, np.float32)
    x = system.x_space_voltage(image, LINE, PARTICLE, 100.0, 0)
    z = system.x_space_voltage(image, LINE, PARTICLE, 100.0, 2)
    np.testing.assert_allclose(z, -x)
    np.testing.assert_allclose(system.x_space_voltage(image, LINE, PARTICLE, -100.0, 0, sensitivity=2.0), -2 * x)
    # m0 times particles per mmol(Fe)/L: three irons in 231.53 g/mol of 5180 kg/m^3
    want = 4e-7 * np.pi * 474e3 * 0.23153 / (3 * 5180) * BETA * 4.0 * 100.0 * 1e-9
    np.testing.assert_allclose(x, want, rtol=1e-6)


def test_images_are_differentiable_in_gradient_particle_and_concentration():
    grid = Grid.create((8, 1, 7), (5e-3, 1e-3, 5e-3))
    weight = np.random.default_rng(3).normal(size=(7, 1, 8))

    def loss(strength, diameter, concentration):
        scanner = Scanner.create(strength * jnp.array([1.0, 0.0, -1.0]))
        particle = Particle.create(diameter * 1e-9)
        return 1e9 * jnp.sum(weight * system.x_space_image(scanner, particle, grid, concentration, (0, 2)))

    with jax.enable_x64(True):
        check_grads(loss, (4.0, 22.0, jnp.asarray(np.arange(56.0))), order=1, modes=("rev",), rtol=1e-5)
    gradient = jax.jit(jax.grad(loss, argnums=(0, 1, 2)))(4.0, 22.0, jnp.ones(56))
    assert all(np.all(np.isfinite(part)) and np.any(part != 0) for part in gradient)


def test_jit_and_eager_agree():
    grid = Grid.create((8, 1, 8), (6e-3, 1e-3, 6e-3))
    compiled = jax.jit(system.x_space_image, static_argnums=4)(LINE, PARTICLE, grid, object_on(8), 0)
    eager = system.x_space_image(LINE, PARTICLE, grid, object_on(8), 0)
    np.testing.assert_allclose(compiled, eager, rtol=2e-6)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"scanner": Scanner.create((0.2, 0.0, -0.2))}, "wide along x, more than the field of view of 6 mm"),
        ({"scanner": Scanner.create((60.0, 0.0, -60.0))}, "less than two voxels"),
        ({"scanner": Scanner.field_free_line(1.0)}, "not diagonal"),
        ({"excitation": 1}, "vanishes along the excitation"),
        ({"excitation": 3}, "allowed are 0, 1 and 2"),
        ({"excitation": ()}, "allowed are 0, 1 and 2"),
        ({"particle": Particle.create(22e-9, size_spread=0.1)}, "one diameter"),
        ({"concentration": np.full(64, np.nan)}, "64 of 64 entries that are NaN"),
        ({"concentration": np.ones(63)}, r"\(63,\)"),
    ],
)
def test_refusals(change, message):
    arguments = {
        "scanner": LINE,
        "particle": PARTICLE,
        "grid": Grid.create((8, 1, 8), (6e-3, 1e-3, 6e-3)),
        "concentration": np.ones(64),
        "excitation": 0,
    } | change
    with pytest.raises(ValueError, match=message):
        system.x_space_image(**arguments)


def test_kernels_of_another_support_are_refused():
    with pytest.raises(ValueError, match=r"needs the full support \(7, 9\)"):
        system.convolve_linear(np.ones((4, 5)), np.ones((4, 5)))
    with pytest.raises(ValueError, match="expected axes from 0 to 1"):
        system.sampled_kernel((4, 5), np.ones(2), 2)


def test_integers_are_concentrations_and_axes_too():
    grid = Grid.create((16, 1, 16), (12e-3, 1e-3, 12e-3))
    whole = object_on(16)
    want = system.x_space_image(LINE, PARTICLE, grid, whole.astype(np.float32), 0)
    found = system.x_space_image(LINE, PARTICLE, grid, whole.astype(int), np.int64(0))
    np.testing.assert_allclose(found, want, rtol=1e-6)
    np.testing.assert_array_equal(
        system.sampled_kernel((4, 4), np.array([1, 1]), 1), system.sampled_kernel((4, 4), np.ones(2, np.float32), 1)
    )
    with pytest.raises(ValueError, match="each once"):
        system.x_space_image(LINE, PARTICLE, grid, whole, (0, 0))

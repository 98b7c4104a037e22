import inspect
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import mpijax as mj
from tests import DATA
from tests.reference.physics import circle_field
from tests.reference.spherical_design import DESIGN_6_26

FIELDS = DATA / "field_tdesign_hamburg"
CENTER, RADIUS = np.array([0.01, -0.02, 0.005]), 0.04
POINTS = CENTER + RADIUS * DESIGN_6_26
INSIDE = CENTER + RADIUS * np.random.default_rng(1).uniform(-0.5, 0.5, (20, 3))


def maxwell_pair(points):
    """Two opposed coils of 100 kiloampere-turns along a tilted axis: a field with a free point and parts of all degrees."""
    axis = np.array([0.1, -0.2, 1.0])
    axis /= np.linalg.norm(axis)
    return 1e5 * (
        circle_field(points, 0.2, 0.18 * axis, axis, 400) - circle_field(points, 0.2, -0.18 * axis, axis, 400)
    )


@pytest.fixture(scope="module")
def pair():
    return mj.fit_solid_harmonics(POINTS, maxwell_pair(POINTS), 3)


def test_points_are_a_spherical_design():
    """Checks the table of the tests: every harmonic of degree 1 to 6 averages to zero."""
    assert np.abs(mj.physics.solid_harmonics(DESIGN_6_26, 6)[:, 1:].mean(0)).max() < 1e-9


@pytest.mark.parametrize("curl_free", [False, True])
def test_a_linear_field_is_found_exactly(curl_free):
    gradient = np.array([[-1.0, 0.1, 0.2], [0.1, -1.2, 0.0], [0.2, 0.0, 2.2]])
    offset = np.array([1e-3, -2e-3, 5e-3])
    fit = mj.fit_solid_harmonics(POINTS, POINTS @ gradient.T + offset, 2, curl_free=curl_free)
    np.testing.assert_allclose(fit.value.gradient, gradient, atol=1e-12)
    np.testing.assert_allclose(fit.value.offset, offset, atol=1e-14)
    assert fit.value.degree == 2 and fit.stats["residual"] < 1e-15
    free = fit.value.free_point()
    np.testing.assert_allclose(free.value, -np.linalg.solve(gradient, offset), atol=1e-7)
    assert free.stats["converged"] and free.stats["inside"]


def test_least_squares_on_a_design_is_the_quadrature():
    field = maxwell_pair(POINTS)
    fit = mj.fit_solid_harmonics(POINTS, field, 3, center=CENTER, radius=RADIUS)
    harmonics = mj.physics.solid_harmonics(DESIGN_6_26, 3)
    weights = 2 * np.repeat(np.arange(4), 2 * np.arange(4) + 1) + 1  # 2 l + 1 for Schmidt's normalization
    np.testing.assert_allclose(fit.value.coefficients, weights * (field.T @ harmonics) / 26, rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("curl_free", [False, True])
def test_every_degree_predicts_better(curl_free):
    field, want = maxwell_pair(POINTS), maxwell_pair(INSIDE)
    fits = [mj.fit_solid_harmonics(POINTS, field, degree, curl_free=curl_free) for degree in (1, 2, 3)]
    errors = [np.sqrt(np.mean((fit.value.field(INSIDE) - want) ** 2)) for fit in fits]
    assert errors[1] < 0.5 * errors[0] and errors[2] < 0.5 * errors[1]
    left_out = [fit.stats["leave_one_out"] for fit in fits]
    assert left_out == sorted(left_out, reverse=True)


def test_a_curl_free_fit_has_neither_curl_nor_divergence_whatever_the_noise():
    noisy = maxwell_pair(POINTS) + 1e-3 * np.random.default_rng(3).normal(size=POINTS.shape)
    for curl_free in (False, True):
        field = mj.fit_solid_harmonics(POINTS, noisy, 2, curl_free=curl_free).value
        jacobian = field.jacobian(INSIDE[0])
        defect = max(abs(np.trace(jacobian)), np.abs(jacobian - jacobian.T).max())
        assert (defect < 1e-13) == curl_free


def test_leave_one_out_is_what_refitting_without_each_point_gives():
    field = maxwell_pair(POINTS) + 1e-4 * np.random.default_rng(2).normal(size=POINTS.shape)
    for curl_free in (False, True):
        options = dict(center=CENTER, radius=RADIUS, curl_free=curl_free)
        errors = []
        for i in range(len(POINTS)):
            rest = np.arange(len(POINTS)) != i
            fit = mj.fit_solid_harmonics(POINTS[rest], field[rest], 2, **options).value
            errors.append(fit.field(POINTS[i : i + 1])[0] - field[i])
        got = mj.fit_solid_harmonics(POINTS, field, 2, **options).stats["leave_one_out"]
        np.testing.assert_allclose(got, np.sqrt(np.mean(np.square(errors))), rtol=1e-9)


def test_jacobian_jit_vmap_and_gradients(pair):
    field = pair.value
    with jax.enable_x64(True):
        points = jnp.asarray(INSIDE)
        eager = field.field(points)
        np.testing.assert_allclose(eager, field.field(INSIDE), rtol=1e-12)
        np.testing.assert_allclose(jax.jit(lambda f, p: f.field(p))(field, points), eager, rtol=1e-12)
        looped = jax.vmap(lambda p: field.field(p[None])[0])(points)
        np.testing.assert_allclose(looped, eager, rtol=1e-12)
        derivative = jax.jacfwd(lambda p: field.field(p[None])[0])(points[0])
        np.testing.assert_allclose(field.jacobian(points[0]), derivative, rtol=1e-12)
        np.testing.assert_allclose(field.jacobian(INSIDE[0]), derivative, rtol=1e-12)
        leaves = jax.tree.map(jnp.asarray, field)
        check_grads(
            jax.jit(lambda f, p: f.field(p)), (leaves, points[:1]), order=1, modes=("rev",), eps=1e-6, rtol=1e-5
        )
    single = field.field(jnp.asarray(INSIDE, jnp.float32))
    assert (
        single.dtype == jnp.float32
        and np.abs(np.asarray(single) - np.asarray(eager)).max() < 1e-6 * np.abs(eager).max()
    )


def test_free_point_and_its_derivative(pair):
    with jax.enable_x64(True):
        free = pair.value.free_point()
        assert free.stats["converged"]
        assert np.linalg.norm(free.value) < 1e-4  # the pair is antisymmetric about the origin

        def moved(shift):
            return replace(pair.value, center=pair.value.center + shift).free_point().value

        np.testing.assert_allclose(jax.jit(jax.jacfwd(moved))(jnp.zeros(3)), np.eye(3), atol=1e-6)


def test_no_free_point_is_said():
    coefficients = np.zeros((3, 4))
    coefficients[:, 0], coefficients[0, 3], coefficients[1, 1], coefficients[2, 2] = 1.0, -0.05, -0.05, 0.1
    free = mj.SolidHarmonicField.create(coefficients, radius=0.05).free_point()
    assert not free.stats["converged"] and not free.stats["inside"]
    constant = mj.SolidHarmonicField.create(coefficients * (np.arange(4) == 0), radius=0.05).free_point()
    assert not constant.stats["converged"] and np.isfinite(constant.value).all()


def test_a_field_free_line_gives_its_nearest_point():
    coefficients = np.zeros((3, 4))
    coefficients[0, 2], coefficients[2, 3], coefficients[0, 0] = 0.05, 0.05, 0.01  # B = (z + .2, 0, x): free along y
    free = mj.SolidHarmonicField.create(coefficients, radius=1.0).free_point(start=np.array([0.1, 0.3, 0.0]))
    np.testing.assert_allclose(free.value, [0.0, 0.3, -0.2], atol=1e-6)
    assert free.stats["converged"]


def test_scanner_with_a_fitted_field_simulates_like_the_linear_one():
    gradient = np.diag([-1.0, -1.0, 2.0])
    fit = mj.fit_solid_harmonics(POINTS, POINTS @ gradient, 3)
    sequence = mj.LissajousSequence.create((12e-3, 0.0, 0.0), n_samples=64, dividers=(102, 96, 99))
    grid, particle = mj.Grid.create((3, 3, 1), (0.03, 0.03, 1e-3)), mj.Particle.create()
    got, want = (
        mj.simulate_system_matrix(scanner, sequence, particle, grid).values
        for scanner in (mj.Scanner.create(selection_field=fit.value), mj.Scanner.create(np.diag(gradient)))
    )
    assert np.abs(got - want).max() < 1e-5 * np.abs(want).max()


def test_measured_gradient_field():
    data = mj.io.read_field_points(FIELDS / "Gradient_2Tpm.h5")
    fits = {degree: mj.fit_solid_harmonics(data.points, data.fields[0], degree) for degree in (1, 2, 3)}
    linear = fits[1].value
    np.testing.assert_allclose(np.diag(linear.gradient), [-1.011, -1.003, 2.019], atol=1e-3)
    np.testing.assert_allclose(linear.center, data.center, atol=1e-6)
    assert linear.radius == pytest.approx(data.radius, rel=1e-3)
    for fit in fits.values():
        free = fit.value.free_point()
        assert free.stats["converged"]
        np.testing.assert_allclose(free.value, [-16.3e-3, 3.6e-3, 3.4e-3], atol=2e-4)
    # the field has cubic, not quadratic parts; the cubic fit predicts left-out points to the probe's error
    assert fits[3].stats["leave_one_out"] < 0.1 * fits[1].stats["leave_one_out"]
    assert fits[3].stats["leave_one_out"] < 4 * data.errors.mean()
    scanner = mj.Scanner.create(selection_field=fits[3].value)
    np.testing.assert_allclose(scanner.gradient, fits[3].value.gradient, rtol=1e-4, atol=1e-5)


def test_ideal_field_exactly():
    data = mj.io.read_field_points(FIELDS / "idealGradientField_synthetic.h5", directions=DESIGN_6_26)
    for degree in (1, 3):
        fit = mj.fit_solid_harmonics(data.points, data.fields[0], degree)
        np.testing.assert_allclose(fit.value.gradient, np.diag([-1.0, -1.0, 2.0]), atol=1e-12)
        assert fit.stats["residual"] < 1e-15 and np.linalg.norm(fit.value.free_point().value) < 1e-8


@pytest.mark.parametrize(
    "points, field, degree, message",
    [
        (POINTS * 1e3, POINTS, 1, "meters, not mm"),
        (POINTS, POINTS * 1e3, 1, "not mT"),
        (POINTS[:15], POINTS[:15], 3, "45 equations for the 48"),
        (POINTS * [1, 1, 0], POINTS, 1, "do not determine"),
        (POINTS, POINTS[:, :2], 1, "must be"),
        (POINTS, POINTS * np.nan, 1, "NaN"),
        (POINTS, POINTS, 0, "at least 1"),
    ],
)
def test_bad_measurements(points, field, degree, message):
    with pytest.raises(ValueError, match=message):
        mj.fit_solid_harmonics(points, field, degree)


def test_bad_fields():
    with pytest.raises(ValueError, match="degree = 1.5"):
        inspect.unwrap(mj.fit_solid_harmonics)(POINTS, POINTS, 1.5)
    with pytest.raises(ValueError, match=r"expected \(3, \(L \+ 1\)\^2\)"):
        mj.SolidHarmonicField.create(np.zeros((3, 5)))
    with pytest.raises(ValueError, match="meters"):
        mj.SolidHarmonicField.create(np.zeros((3, 4)), radius=42.0)
    with pytest.raises(TypeError, match="outside jit"):
        jax.jit(lambda f: mj.fit_solid_harmonics(POINTS, f, 1).value)(POINTS)

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special

from mpijax import physics
from tests.reference import anisotropy as twin

BOUND = {"float32": 3e-6, "float64": 1e-11}


def spread_points(field_max, alpha_max, n=60, seed=0):
    """(u, w, alpha) over the whole range, dense at the singular lines u = 0, w = 0 and alpha = 0."""
    rng = np.random.default_rng(seed)
    size = np.concatenate([10 ** rng.uniform(-3, np.log10(field_max), n // 2), rng.uniform(0, field_max, n - n // 2)])
    cosine = rng.choice([-1, 1], n) * np.where(rng.random(n) < 0.5, 10 ** rng.uniform(-5, 0, n), rng.random(n))
    alpha = np.where(rng.random(n) < 0.5, 10 ** rng.uniform(-5, np.log10(alpha_max), n), rng.uniform(0, alpha_max, n))
    u, w = size * cosine, size**2 * (1 - cosine**2)
    singular = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (0, field_max**2, 1), (-field_max, 0, 1), (0, alpha_max, 1)]
    extra = np.array(singular, float) * [1, 1, alpha_max]
    return tuple(np.concatenate([a, b]) for a, b in zip((u, w, alpha), extra.T, strict=True))


def error_of(got, u, w, alpha):
    """Largest error of the moment, both components, against the twin at the same (rounded) input."""
    points = [np.asarray(x, np.float64) for x in (u, w, alpha)]
    want = twin.moments(*points)
    axial, ratio = (np.asarray(x, np.float64) for x in got)
    return max(np.max(np.abs(axial - want[..., 1])), np.max(np.abs(ratio - want[..., 2]) * np.sqrt(points[1])))


@pytest.mark.parametrize("dtype", BOUND)
@pytest.mark.parametrize("method, sign", [("mixture", 1), ("quadrature", 1), ("quadrature", -1)])
def test_whole_range_meets_the_bound(dtype, method, sign):
    u, w, alpha = spread_points(1000, 50)
    with jax.enable_x64(dtype == "float64"):
        points = [jnp.asarray(x, dtype) for x in (u, w, sign * alpha)]
        got = physics.axial_moment(*points, method=method)
        assert got[0].dtype == got[1].dtype == dtype
        assert error_of(got, *points) < BOUND[dtype]


@pytest.mark.parametrize("dtype", BOUND)
def test_series_is_exact_in_the_papers_range_and_finite_beyond(dtype):
    with jax.enable_x64(dtype == "float64"):
        points = [jnp.asarray(x, dtype) for x in spread_points(100, 20)]
        assert error_of(physics.axial_moment(*points, method="series"), *points) < BOUND[dtype]
        points = [jnp.asarray(x, dtype) for x in spread_points(1000, 50)]
        assert all(np.all(np.isfinite(x)) for x in physics.axial_moment(*points, method="series"))
        assert error_of(physics.axial_moment(*points, method="series", order=900), *points) < BOUND[dtype]


def test_nodes_follow_alpha_max():
    with jax.enable_x64(True):
        for alpha_max in (0.0, 0.5, 5.0, 200.0):
            points = [jnp.asarray(x) for x in spread_points(60, max(alpha_max, 1e-3))]
            points[2] = jnp.minimum(points[2], alpha_max)
            assert error_of(physics.axial_moment(*points, alpha_max=alpha_max), *points) < BOUND["float64"]


@settings(max_examples=15, deadline=None)
@given(st.floats(-300, 300), st.floats(0, 300), st.floats(0, 50), st.sampled_from(["float32", "float64"]))
def test_evaluations_agree(u, v, alpha, dtype):
    with jax.enable_x64(dtype == "float64"):
        point = [jnp.asarray([x], dtype) for x in (u, v * v, alpha)]
        values = [physics.axial_moment(*point, method=m, order=400) for m in ("mixture", "quadrature", "series")]
        for axial, ratio in values[1:]:
            assert abs(axial - values[0][0])[0] < 2 * BOUND[dtype]
            assert abs(ratio - values[0][1])[0] * v < 2 * BOUND[dtype]


def test_published_series_agrees_where_it_does_not_overflow():
    rng = np.random.default_rng(1)
    u, v, alpha = rng.uniform(0.5, 30, 20), rng.uniform(0.5, 30, 20), rng.uniform(1, 20, 20)
    axial, across = twin.published_series(u, v, alpha)
    want = twin.moments(u, v * v, alpha)
    np.testing.assert_allclose(axial, want[:, 1], atol=1e-11)
    np.testing.assert_allclose(across, v * want[:, 2], atol=1e-11)


def random_vectors(n=5, seed=2):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 3)) * 8, rng.uniform(0.5, 20, n), rng.normal(size=(n, 3))


@pytest.mark.parametrize("method", ["mixture", "quadrature", "series"])
def test_moment_is_the_gradient_of_the_log_partition_function(method):
    xi, alpha, axis = random_vectors()
    step = 1e-4 * np.eye(3)
    with jax.enable_x64(True):
        got = jax.jit(lambda *x: physics.anisotropic_moment(*x, method=method))(xi, alpha, axis)
    for m, x, a, n in zip(np.asarray(got), xi, alpha, axis, strict=True):
        log_z = [[twin.log_partition(x + sign * e, a, n) for sign in (1, -1)] for e in step]
        np.testing.assert_allclose(m, [(p - q) / 2e-4 for p, q in log_z], atol=2e-8)
        np.testing.assert_allclose(m, twin.vector_moment(x, a, n), atol=1e-11)


def test_symmetries_and_limits():
    xi, alpha, axis = random_vectors()
    with jax.enable_x64(True):
        m = physics.anisotropic_moment(xi, alpha, axis)
        np.testing.assert_allclose(physics.anisotropic_moment(-xi, alpha, axis), -m, atol=1e-13)
        np.testing.assert_allclose(physics.anisotropic_moment(xi, alpha, -3 * axis), m, atol=1e-13)
        assert np.all(np.linalg.norm(m, axis=1) < 1)
        np.testing.assert_allclose(  # alpha = 0 is Langevin
            physics.anisotropic_moment(xi, 0.0, axis), physics.langevin_moment(jnp.asarray(xi)), atol=1e-11
        )
        # alpha -> infinity is a two-state particle: tanh along the axis (first correction 1/alpha), nothing across
        u = jnp.linspace(-3, 3, 7)
        axial, ratio = physics.axial_moment(u, 0.0, 2e4, alpha_max=2e4)
        np.testing.assert_allclose(axial, np.tanh(u), atol=2e-4)
        np.testing.assert_allclose(ratio, 0.5 / 2e4, rtol=1e-3)
        # alpha -> -infinity is a plane rotor: I1/I0 across the axis
        v = jnp.linspace(0.5, 3, 6)
        _, ratio = physics.axial_moment(0.0, v * v, -300.0, method="quadrature", alpha_max=300.0)
        np.testing.assert_allclose(ratio * v, special.i1(v) / special.i0(v), atol=2e-3)


def test_auto_chooses_by_the_sign_of_alpha():
    xi, alpha, axis = (jnp.asarray(x, jnp.float32) for x in random_vectors())
    mixture = physics.anisotropic_moment(xi, alpha, axis, "mixture")
    np.testing.assert_array_equal(physics.anisotropic_moment(xi, alpha, axis), mixture)
    plane = physics.anisotropic_moment(xi, -alpha, axis)
    np.testing.assert_array_equal(plane, physics.anisotropic_moment(xi, -alpha, axis, "quadrature"))
    traced = jax.jit(physics.anisotropic_moment)(xi, alpha.at[0].multiply(-1), axis)
    assert np.all(np.isnan(traced[0])) and np.all(np.isfinite(traced[1:]))
    series = jax.jit(lambda a: physics.anisotropic_moment(xi, a, axis, "series"))(alpha.at[0].multiply(-1))
    assert np.all(np.isnan(series[0])) and np.all(np.isfinite(series[1:]))


@pytest.mark.parametrize("method", ["mixture", "quadrature", "series"])
def test_jit_vmap_and_eager_agree(method):
    xi, alpha, axis = (jnp.asarray(x, jnp.float32) for x in random_vectors())

    def moment(xi, alpha, axis):
        return physics.anisotropic_moment(xi, alpha, axis, method)

    eager = moment(xi, alpha, axis)
    np.testing.assert_allclose(jax.jit(moment)(xi, alpha, axis), eager, atol=1e-6)
    np.testing.assert_allclose(jax.vmap(moment)(xi, alpha, axis), eager, atol=1e-6)


def test_voxels_and_samples_broadcast():
    rng = np.random.default_rng(3)
    u, w, alpha = rng.normal(size=(3, 7)) * 5, rng.uniform(0, 50, (3, 7)), rng.uniform(0, 9, (3, 1))
    points = [jnp.asarray(x, jnp.float32) for x in (u, w, alpha)]
    got = physics.axial_moment(*points, alpha_max=9.0)
    assert got[0].shape == got[1].shape == (3, 7)
    assert error_of(got, *np.broadcast_arrays(*points)) < BOUND["float32"]


def test_a_long_vector_of_odd_length_equals_its_parts():
    u, w, alpha = (jnp.asarray(x, jnp.float32) for x in spread_points(100, 20))
    assert u.size == 67
    whole = physics.axial_moment(u, w, alpha)
    parts = [physics.axial_moment(u[i], w[i], alpha[i]) for i in (slice(0, 40), slice(40, 67))]
    for got, pieces in zip(whole, zip(*parts, strict=True), strict=True):
        np.testing.assert_allclose(got, jnp.concatenate(pieces), atol=1e-6)


def test_bad_input_says_what_to_do():
    xi = jnp.ones(3)
    axis = jnp.array([0.0, 0.0, 1.0])
    with pytest.raises(ValueError, match="larger alpha_max"):
        physics.anisotropic_moment(xi, 51.0, axis)
    with pytest.raises(ValueError, match="larger alpha_max"):
        physics.anisotropic_moment(xi, -51.0, axis)
    with pytest.raises(ValueError, match="method='quadrature'"):
        physics.anisotropic_moment(xi, -1.0, axis, "mixture")
    with pytest.raises(ValueError, match="zero length"):
        physics.anisotropic_moment(xi, 1.0, jnp.zeros(3))
    with pytest.raises(ValueError, match="alpha_max = -1"):
        physics.axial_moment(1.0, 1.0, 1.0, alpha_max=-1.0)
    with pytest.raises(ValueError, match="order = 0"):
        physics.axial_moment(1.0, 1.0, 1.0, method="series", order=0)
    with pytest.raises(ValueError, match="larger alpha_max"):
        physics.axial_moment(1.0, 1.0, jnp.array([1.0, jnp.nan]))

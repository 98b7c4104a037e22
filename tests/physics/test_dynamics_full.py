"""The stepped density against quadrature, Debye, the 1-D model, dense matrices and single moments of the LLG equation."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mpijax.physics.dynamics import full
from mpijax.physics.dynamics.full import enough, full_moment
from mpijax.physics.dynamics.operators import DIPOLE, Harmonics, operators

TAU = 14e-9
RNG = np.random.default_rng(0)
DIRECTIONS = np.array([[0, 0, 1], [1, 0, 0], [0.6, -0.5, 0.4], [-0.3, 0.8, -0.7]])


def turning(w: float, scale: float = 3.0):
    """A field of two positions that turns and is not symmetric."""
    vectors = scale * RNG.normal(size=(3, 2, 3))

    def xi(t: float) -> np.ndarray:
        return vectors[0] * 0.3 + vectors[1] * np.cos(w * t) + vectors[2] * np.sin(w * t + 0.4)

    return xi


def equilibrium(field, alpha):
    """<m> of exp(xi.m + alpha m_z^2), (p, 3), by quadrature over the sphere."""
    x, weights = np.polynomial.legendre.leggauss(80)
    angle = np.arange(80) * np.pi / 40
    s = np.sqrt(1 - x**2)[:, None]
    m = np.stack(np.broadcast_arrays(s * np.cos(angle), s * np.sin(angle), x[:, None]), -1)
    exponent = np.einsum("pi,xai->pxa", field, m) + alpha * x[:, None] ** 2
    density = np.exp(exponent - exponent.max(axis=(1, 2), keepdims=True)) * weights[:, None]
    return np.einsum("pxa,xai->pi", density, m) / density.sum(axis=(1, 2))[:, None]


@pytest.mark.parametrize("damping", [0.1, np.inf])
@pytest.mark.parametrize(("alpha", "size"), [(0.0, 4.0), (4.0, 12.0), (12.0, 9.0)])
def test_a_constant_field_gives_equilibrium(alpha, size, damping):
    field = size * DIRECTIONS
    got = full_moment(lambda _: field, 1e-6, 2, alpha=alpha, tau=TAU, damping=damping, tolerance=1e-9)
    np.testing.assert_allclose(got, np.repeat(equilibrium(field, alpha)[:, None], 2, axis=1), atol=1e-5)


@pytest.mark.parametrize("w_tau", [0.1, 1.0, 5.0])
def test_weak_fields_follow_debye(w_tau):
    """Without anisotropy and precession <m> = xi/(3 (1 + i w tau))."""
    period, field = 2 * np.pi * TAU / w_tau, 1e-2 * DIRECTIONS
    got = full_moment(lambda t: field * np.cos(2 * np.pi * t / period), period, 16, tau=TAU, substeps=4, tolerance=1e-9)
    response = np.fft.rfft(got, axis=1)[:, 1] / 8
    np.testing.assert_allclose(response, field / 3 / (1 + 1j * w_tau), atol=1e-6)


@partial(jax.jit, static_argnames="samples")
def one_dimensional(alpha, period, samples):
    """Moment of a sine drive with an offset along the axis, compiled once for all cases."""
    from mpijax.physics.fokker_planck import neel_steady_state  # noqa: PLC0415

    xi = lambda t: 5 * (0.3 + jnp.sin(2 * jnp.pi * t / period))  # noqa: E731
    return neel_steady_state(period, samples, xi, alpha, TAU, order=32)


@pytest.mark.parametrize("alpha", [2.0, 7.0])
def test_a_field_along_the_axis_is_the_one_dimensional_model(alpha):
    """With precession, which does nothing here; at alpha = 7 the exchange takes many periods."""
    pytest.importorskip("diffrax")
    period, axis = 5e-6, np.array([1.0, 2.0, -2.0]) / 3
    with jax.enable_x64(True):
        expected = one_dimensional(alpha, period, 64)
    got = full_moment(
        lambda t: 5 * (0.3 + np.sin(2 * np.pi * t / period)) * axis[None],
        period,
        64,
        alpha=alpha,
        easy_axis=7 * axis,
        tau=TAU,
        damping=0.1,
        substeps=4,
    )
    np.testing.assert_allclose(got[0], np.asarray(expected)[:, None] * axis, atol=2e-5)


def test_blocks_and_steps_agree_with_dense_matrices():
    """Three turning components, precession, few harmonics: the same equations by SciPy, ten periods long."""
    period, alpha, damping, basis = 4 * TAU, 1.5, 0.4, Harmonics.create(5, 4)
    xi = turning(2 * np.pi / period, 1.0)
    parts = operators(5, 4, damping)
    times = np.arange(8) * period / 8
    got = full_moment(
        xi, period, 8, alpha=alpha, tau=TAU, damping=damping, degree=5, order=4, substeps=16, tolerance=1e-9
    )

    def slope(t, a, k):
        field = xi(t)[k]
        matrix = parts["rest"] + alpha * parts["alpha"] + sum(f * parts[i] for f, i in zip(field, "xyz", strict=True))
        return matrix @ a / (2 * TAU)

    rows = [basis.places()[1, m] for m in (1, -1, 0)]
    for k in range(2):
        first = np.eye(len(basis.degrees))[0]
        span = np.append(9 * period + times, 10 * period)
        dense = solve_ivp(slope, (0, span[-1]), first, "DOP853", span[:-1], args=(k,), rtol=1e-9, atol=1e-11)
        np.testing.assert_allclose(got[k], DIPOLE * dense.y[rows].T, atol=1e-6)


def test_moments_turn_clockwise_about_the_field():
    """dm/dt = -g/(1 + a^2) (m x B + a m x (m x B)) with random turns, 4,000 moments, Heun's method."""
    a, alpha, period, steps, count = 0.3, 2.0, 6 * TAU, 1200, 4000
    dt = period / steps

    def xi(t):
        return np.array([[5 * np.cos(2 * np.pi * t / period), 0.0, 2.0]])

    expected = full_moment(xi, period, 12, alpha=alpha, tau=TAU, damping=a)[0]
    rng, m = np.random.default_rng(1), np.tile([[0.0], [0.0], [1.0]], count)

    def cross(p, q):
        return np.stack([p[1] * q[2] - p[2] * q[1], p[2] * q[0] - p[0] * q[2], p[0] * q[1] - p[1] * q[0]])

    def change(m, t, turn):
        b = xi(t).T + 2 * alpha * m * [[0], [0], [1]]
        torque = cross(m, b)
        return dt / (2 * a * TAU) * (-torque - a * cross(m, torque)) + cross(turn, m)

    means = []
    for i in range(3 * steps):
        if i >= 2 * steps and i % (steps // 12) == 0:
            means.append(m.mean(1))
        turn = np.sqrt(dt / TAU) * rng.normal(size=m.shape)
        guess = change(m, i * dt, turn)
        m = m + (guess + change(m + guess, (i + 1) * dt, turn)) / 2
        m /= np.linalg.norm(m, axis=0)
    assert np.ptp(expected[:, 1]) > 0.2
    np.testing.assert_allclose(means, expected, atol=0.035)


def test_symmetries():
    """Field and axis turned together turn the moment; n and -n are one axis; without precession the opposite field gives -m."""
    period, axes = 20 * TAU, np.array([[1.0, 0.3, 0.2], [0.0, -2.0, 1.0]])
    xi, options = turning(2 * np.pi / period), {"tau": TAU, "damping": 0.2, "degree": 9, "order": 7}
    alpha = np.array([3.0, 1.0])
    moment = full_moment(xi, period, 6, alpha=alpha, easy_axis=axes, **options)
    turn, _ = np.linalg.qr(RNG.normal(size=(3, 3)))
    turn *= np.linalg.det(turn)
    turned = full_moment(lambda t: xi(t) @ turn.T, period, 6, alpha=alpha, easy_axis=axes @ turn.T, **options)
    np.testing.assert_allclose(turned, moment @ turn.T, atol=1e-12)
    reverse = full_moment(xi, period, 6, alpha=alpha, easy_axis=-axes, **options)
    np.testing.assert_allclose(reverse, moment, atol=1e-12)
    still = options | {
        "damping": np.inf
    }  # precession has a sense: the opposite field does not give the opposite moment
    moment, opposite = (
        full_moment(lambda t, sign=sign: sign * xi(t), period, 6, alpha=alpha, easy_axis=axes, **still)
        for sign in (1, -1)
    )
    np.testing.assert_allclose(opposite, -moment, atol=1e-12)
    assert np.abs(moment).max() > 0.5


def test_the_method_has_order_four():
    period = 6 * TAU
    xi = turning(2 * np.pi / period, 1.0)
    runs = [
        full_moment(xi, period, 8, alpha=1.0, tau=TAU, damping=1.0, degree=4, substeps=k, tolerance=1e-11)
        for k in (2, 4, 8, 32)
    ]
    errors = [np.abs(run - runs[-1]).max() for run in runs[:-1]]
    assert errors[0] < 2e-3
    assert all(12 < coarse / fine < 40 for coarse, fine in zip(errors[:-1], errors[1:], strict=True))


def test_fast_moments_are_late_in_proportion_to_tau():
    period = 1e-4
    xi, times = turning(2 * np.pi / period), np.arange(8) * period / 8
    rest = np.stack([equilibrium(xi(t), 2.0) for t in times], 1)
    late = [np.abs(full_moment(xi, period, 8, alpha=2.0, tau=tau, damping=0.2) - rest).max() for tau in (1e-7, 1e-8)]
    assert 1e-4 < late[1] < late[0] < 0.05
    np.testing.assert_allclose(late[0] / late[1], 10, rtol=0.1)


def test_steps_and_harmonics_are_enough():
    """A switching particle, 29 tau per sample, as of 22.5 nm and 5 kJ/m^3 in 2.5 MS/s."""
    period, alpha = 16 * 29 * TAU, 7.4

    def xi(t):
        return 12 * np.array([[np.cos(2 * np.pi * t / period), 0.4, 0.7 * np.sin(2 * np.pi * t / period)]])

    options = {"alpha": alpha, "easy_axis": (1.0, 0.3, 0.2), "tau": TAU, "damping": 0.1}
    moment = full_moment(xi, period, 16, substeps=8, **options)
    degree, order = enough(np.hypot(12, 5), 12, alpha)
    more = full_moment(xi, period, 16, substeps=8, degree=degree + 4, order=order + 4, **options)
    assert 1e-12 < np.abs(moment - more).max() < 1e-5
    np.testing.assert_allclose(full_moment(xi, period, 16, substeps=16, **options), moment, atol=1e-4)


def test_every_start_ends_in_the_same_period():
    """Exchange across the barrier takes thousands of periods; the long way goes through Anderson's steps."""
    period = 40 * TAU

    def xi(t):
        return np.array([[1.0, 0.0, 0.4 + 2 * np.cos(2 * np.pi * t / period)]])

    fractions: list[float] = []
    options = {"alpha": 6.0, "tau": TAU, "damping": 0.2, "degree": 14, "order": 4, "tolerance": 1e-9}
    up, down = (
        full_moment(xi, period, 8, start=(0, 0, side), progress=fractions.append, **options) for side in (30.0, -30.0)
    )
    np.testing.assert_allclose(up, down, atol=1e-6)
    cut = fractions.index(1.0) + 1
    assert len(fractions) > cut > 3
    assert all(
        0 < a <= b <= 1 for part in (fractions[:cut], fractions[cut:]) for a, b in zip(part, part[1:], strict=False)
    )


def test_positions_are_independent_of_their_batch(monkeypatch):
    period = 30 * TAU
    xi, alpha, axes = turning(2 * np.pi / period), np.array([3.0, 0.5]), np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    options = {"tau": TAU, "damping": 0.3, "degree": 8, "tolerance": 1e-10}
    together = full_moment(xi, period, 8, alpha=alpha, easy_axis=axes, **options)
    monkeypatch.setattr(full, "POSITIONS", 1)
    monkeypatch.setattr(full, "SYSTEMS", 1)
    np.testing.assert_allclose(full_moment(xi, period, 8, alpha=alpha, easy_axis=axes, **options), together, atol=1e-9)


def test_a_particle_without_a_steady_state_is_named():
    with pytest.raises(RuntimeError, match=r"after 40 periods \(tolerance 1\.0e-30\)"):
        full_moment(turning(1 / TAU), 2 * np.pi * TAU, 2, tau=TAU, degree=2, substeps=1, tolerance=1e-30)
    options = {"alpha": 30.0, "tau": TAU, "degree": 60, "order": 3, "substeps": 4}
    with pytest.raises(RuntimeError, match=r"still depends on its start"):
        full_moment(lambda _: np.array([[0.0, 0.0, 1.0]]), 500 * TAU, 4, **options)


def test_a_slow_mode_does_not_keep_the_start():
    """In a field without a mean a stiff particle has no mean moment along its axis, although it starts in equilibrium."""
    turn = 2 * np.pi / (2e3 * TAU)
    found = full_moment(
        lambda t: np.array([[0.5 * np.cos(turn * t), 0.0, np.cos(turn * t)]]),
        2e3 * TAU,
        20,
        alpha=15.0,
        tau=TAU,
        damping=0.1,
    )
    assert abs(found[0, :, 2].mean()) < 1e-3


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"xi": lambda _: np.zeros(3)}, r"shape \(3,\); give the reduced field of p positions"),
        ({"xi": lambda t: np.zeros((1 if t else 2, 3))}, r"shape \(1, 3\).*\(2, 3\)"),
        ({"xi": lambda t: np.full((2, 3), np.nan if t else 0.0)}, "is not finite"),
        ({"period": 0.0}, "period = 0.0; give a positive finite"),
        ({"n_samples": 1}, "n_samples = 1; give an integer of at least 2"),
        ({"alpha": -1.0}, "an easy plane is not modeled"),
        ({"alpha": np.nan}, "alpha holds nan"),
        ({"alpha": np.ones(3)}, r"alpha has the shape \(3,\)"),
        ({"easy_axis": (0.0, 0.0, 0.0)}, "zero or not finite"),
        ({"easy_axis": np.ones((3, 3))}, r"easy_axis has the shape \(3, 3\)"),
        ({"tau": 0.0}, "tau = 0.0; give a positive finite"),
        ({"tau": np.nan}, "tau = nan"),
        ({"damping": 0.0}, "infinity for no precession"),
        ({"damping": np.nan}, "damping = nan"),
        ({"degree": 3, "order": 4}, "1 <= order <= degree"),
        ({"degree": 0}, "degree = 0 and order = 0"),
        ({"substeps": 0}, "substeps = 0"),
        ({"tolerance": 0.0}, "tolerance = 0.0"),
        ({"start": (1.0, 2.0)}, r"start has the shape \(2,\)"),
    ],
)
def test_bad_input_is_named(bad, message):
    good = {"xi": lambda _: np.zeros((2, 3)), "period": 1e-6, "n_samples": 2, "tau": TAU}
    with pytest.raises(ValueError, match=message):
        full_moment(**(good | bad))

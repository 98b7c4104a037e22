"""Neel rotation on its slow manifold: the table, the affine steps, and the identities of the physics."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.physics.dynamics import stored
from mpijax.physics.dynamics.manifold import QUANTITIES, slow_manifold
from mpijax.physics.dynamics.neel import _steady_state, neel_moment
from mpijax.physics.dynamics.operators import Harmonics, operators
from mpijax.physics.dynamics.stored import neel_table, read_table, write_table
from mpijax.physics.dynamics.table import PARITY, Axis, at_anisotropy, build_table, degree_and_order, look_up
from mpijax.physics.equilibrium import langevin_moment
from mpijax.physics.fokker_planck import neel_steady_state

TAU, PERIOD, SAMPLES = 2e-8, 4e-5, 100
AMPLITUDE = np.array([9.0, 6.0, 4.0])
SPEED = 2 * np.pi / PERIOD * np.array([1, 1, 2])


def moment(static, alpha, axis, *, turn=None, tau=TAU, damping=0.1, amplitude=AMPLITUDE, substeps=1):
    """Moments (n, t, 3) of reduced fields, beta = 1; ``turn`` rotates field and axis together."""
    turn = np.eye(3) if turn is None else turn
    axis = np.asarray(axis, float) / np.linalg.norm(axis)
    arrays = np.atleast_2d(static) @ turn.T, np.array([alpha]), (turn @ axis)[None], turn, amplitude, tau, damping
    arrays = [jnp.asarray(array, jnp.float32) for array in arrays]
    found, settled = moment_of(*arrays, neel_table(), substeps=substeps)
    return np.stack(found, -1), np.asarray(settled)


@partial(jax.jit, static_argnames="substeps")
def moment_of(static, alpha, axis, turn, amplitude, tau, damping, table, substeps):
    """Compiled once for all particles and turns."""
    shift, interval = np.array([[0.0], [1.0], [0.3]]), PERIOD / SAMPLES

    def phase(offset):
        return SPEED[:, None] * (np.arange(SAMPLES) + offset)[None] * interval + shift

    def drive(offset):
        return turn @ (amplitude[:, None] * jnp.asarray(np.cos(phase(offset)), jnp.float32))

    def rate(offset):
        return turn @ (amplitude[:, None] * jnp.asarray(-SPEED[:, None] * np.sin(phase(offset)), jnp.float32))

    return neel_moment(static, drive, rate, 1.0, alpha, axis, tau, damping, interval, table, substeps=substeps)


STATIC = np.array([[0.0, 0.0, 0.0], [3.0, -2.0, 1.0], [-12.0, 5.0, 8.0]])


def test_the_operator_keeps_equilibrium():
    """exp(xi.m + alpha x^2) is at rest with and without precession; the rates of turning are antisymmetric."""
    u, v, alpha = 3.0, 2.0, 4.0
    x, w = np.polynomial.legendre.leggauss(80)
    phi = 2 * np.pi * np.arange(64) / 64
    s = np.sqrt(1 - x * x)[:, None]
    density = np.exp(u * x[:, None] + v * s * np.cos(phi) + alpha * x[:, None] ** 2) * w[:, None]
    density /= density.sum()
    for damping in (np.inf, 0.1):
        basis, parts = Harmonics.create(14, 12), operators(14, 12, damping)
        m = s * np.cos(phi), s * np.sin(phi), x[:, None] + 0 * phi
        a = _harmonics(basis, *m) @ density.ravel()
        change = (parts["rest"] + alpha * parts["alpha"] + u * parts["z"] + v * parts["x"]) @ a
        low = basis.degrees <= 9
        assert np.abs(change[low]).max() < 1e-5 * np.abs(parts["rest"] @ a).max()
    assert np.abs(parts["turn"] + parts["turn"].T).max() < 1e-12


def _harmonics(basis, mx, my, mz):
    """sqrt(4 pi) Y of all directions, by the recurrence m_z Y = X_z Y and sectoral products: an independent construction."""
    from scipy.special import sph_harm_y  # noqa: PLC0415

    theta, phi = np.arccos(np.clip(mz, -1, 1)).ravel(), np.arctan2(my, mx).ravel()
    rows = []
    for degree, order in zip(basis.degrees, basis.orders, strict=True):
        y = np.sqrt(4 * np.pi) * sph_harm_y(degree, abs(order), theta, phi)
        sign = (-1.0) ** order * np.sqrt(2)
        rows.append(y.real if order == 0 else sign * (y.real if order > 0 else y.imag))
    return np.array(rows)


def test_parities_of_the_manifold():
    """The table holds u >= 0 alone: the other side follows by a turn about the transverse field's direction."""
    u, v = np.array([0.5, 2.0, 7.0]), np.array([1.0, 3.0, 0.4])
    plus, minus = (slow_manifold(sign * u, v, 3.0, 14, 10, 0.1) for sign in (1, -1))
    size = np.abs(plus).max(axis=0) + 1e-9
    np.testing.assert_allclose(minus / size, plus * PARITY[0] / size, atol=1e-6)


def test_the_table_is_the_manifold_between_its_points():
    rng = np.random.default_rng(0)
    u, v = rng.uniform(0, 25, 12), rng.uniform(0, 25, 12)
    exact = slow_manifold(u, v, 5.3, 24, 20, 0.1)
    exact[:, 0] = np.log(exact[:, 0])
    alpha, damping = jnp.asarray([5.3], jnp.float32), jnp.float32(0.1)
    fields = jnp.asarray(u[None], jnp.float32), jnp.asarray(v[None], jnp.float32)
    found = np.asarray(look_up(at_anisotropy(neel_table(), alpha, damping), alpha, damping, *fields))[:, 0].T
    np.testing.assert_allclose(found[:, 0], exact[:, 0], atol=5e-3)  # the rate's logarithm
    for name in ("s_u", "e_z", "e_x"):
        i = QUANTITIES.index(name)
        np.testing.assert_allclose(found[:, i], exact[:, i], atol=2e-4)


def test_a_table_never_extrapolates():
    table = neel_table()
    for alpha, u, v in ((5.0, 41.0, 1.0), (5.0, 1.0, 41.0), (12.5, 1.0, 1.0)):
        a, d = jnp.asarray([alpha], jnp.float32), jnp.float32(0.1)
        found = look_up(
            at_anisotropy(table, a, d), a, d, jnp.full((1, 1), u, jnp.float32), jnp.full((1, 1), v, jnp.float32)
        )
        assert np.isnan(found).all()
    a, d = jnp.asarray([5.0], jnp.float32), jnp.float32(0.2)
    assert np.isnan(look_up(at_anisotropy(table, a, d), a, d, jnp.ones((1, 1)), jnp.ones((1, 1)))).all()


def test_a_table_on_disk(tmp_path):
    axes = Axis(np.log(0.1), np.log(0.1), 1e3, 1), Axis(0, 0, 4.0, 1), Axis(0, 3, 6.0, 8), Axis(0, 3, 8.0, 8)
    table = build_table(axes[0], axes[1], axes[2:], margin=0)
    path = tmp_path / "table.npz"
    write_table(path, table)
    np.testing.assert_array_equal(read_table(path, axes).coefficients, table.coefficients)
    with pytest.raises(ValueError, match="another table"):
        read_table(path, (axes[0], Axis(1, 1, 4.0, 1), *axes[2:]))
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(ValueError, match="damaged"):
        read_table(path, axes)


def test_along_the_axis_it_is_the_one_dimensional_equation():
    alpha, size = 5.0, 10.0
    found, _ = moment([0, 0, 2.0], alpha, (0, 0, 1), amplitude=np.array([0, 0, size]), substeps=2)
    with jax.enable_x64(True):
        field = lambda t: 2.0 + size * jnp.cos(SPEED[2] * t + 0.3)  # noqa: E731
        exact = neel_steady_state(PERIOD, SAMPLES, field, alpha, TAU, order=32, rtol=1e-7)
    np.testing.assert_allclose(found[0, :, 2], exact, atol=1e-3)
    assert np.abs(found[0, :, :2]).max() < 1e-4


def test_everything_turned_together():
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.linalg.det(turn)
    straight, turned = moment(STATIC, 4.0, (1, 2, 0.5))[0], moment(STATIC, 4.0, (1, 2, 0.5), turn=turn)[0]
    np.testing.assert_allclose(turned, straight @ turn.T, atol=2e-4)
    np.testing.assert_allclose(moment(STATIC, 4.0, (-1, -2, -0.5))[0], straight, atol=2e-5)


def test_equilibrium_is_the_limit_of_short_times():
    """The lag falls in proportion to tau; isotropic, so that the limit is the Langevin function."""
    frames = [moment(STATIC, 0.0, (0, 0, 1), tau=tau)[0] for tau in (TAU, TAU / 10)]
    time = np.arange(SAMPLES)[:, None] * PERIOD / SAMPLES
    drive = AMPLITUDE * np.cos(SPEED * time + np.array([0.0, 1.0, 0.3]))
    rest = np.asarray(langevin_moment(STATIC[:, None] + drive))
    far, near = (np.abs(frame - rest).max() for frame in frames)
    assert 0.07 < near / far < 0.14


def test_one_period_from_two_starts():
    """The steady state is what stepping from any start ends in."""
    rng = np.random.default_rng(1)
    lost, gained = rng.uniform(0.01, 0.2, (2, 37)), rng.normal(size=(2, 37))
    c, settled = _steady_state(
        *(jnp.asarray(x, jnp.float32) for x in (lost, gained)), jnp.zeros((2, 1)), jnp.float32(1000)
    )
    for state in (np.zeros(2), np.full(2, 5.0)):
        for _ in range(6):
            states = []
            for j in range(37):
                state = (1 - lost[:, j]) * state + gained[:, j]
                states.append(state)
        np.testing.assert_allclose(c, np.stack(states, 1), atol=1e-4)
    np.testing.assert_allclose(settled, -1000 * np.log1p(-lost).sum(axis=1), rtol=1e-4)


def test_a_blocked_mode_is_the_average_of_its_periods():
    """c -> E c + b with E next to 1, from a demagnetized start."""
    lost, gained, start, periods = np.full((1, 10), 1e-7), np.linspace(-1e-4, 1.2e-4, 10)[None], 0.3, 500
    c, settled = _steady_state(
        jnp.asarray(lost, jnp.float32), jnp.asarray(gained, jnp.float32), jnp.full((1, 1), start), jnp.float32(periods)
    )
    state, total = start, np.zeros(10)
    for _ in range(periods):
        for j in range(10):
            state = (1 - lost[0, j]) * state + gained[0, j]
            total[j] += state / periods
    np.testing.assert_allclose(c[0], total, rtol=2e-3)
    assert settled[0] < 5


def test_substeps_change_little():
    one, two = (moment(STATIC, 7.0, (1, 2, 0.5), substeps=n)[0] for n in (2, 4))
    np.testing.assert_allclose(one, two, atol=5e-4)


@pytest.mark.parametrize("alpha", [0.5, 6.0, 11.5])
def test_enough_degrees(alpha):
    """Four more of degree and order move ln(rate) by less than 2e-3 where the rate is slow, and every rate is positive."""
    u, v = np.array([0.0, 2.0, 8.0, 20.0]), np.array([0.5, 3.0, 6.0, 15.0])
    for i, (degree, order) in enumerate(zip(*(x.tolist() for x in degree_and_order(u, v, alpha)), strict=True)):
        few, many = (
            slow_manifold(u[i : i + 1], v[i : i + 1], alpha, degree + more, min(order + more, degree + more), 0.1)
            for more in (2, 6)
        )
        assert few[0, 0] > 0
        assert abs(np.log(few[0, 0] / many[0, 0])) < 2e-3


def rate_along_the_axis(alpha, u, count=80):
    """Logarithm of the slowest rate of the one-dimensional equation in a field along the axis, times 2 tau: Legendre matrices."""
    n = np.arange(1, count + 1.0)
    c = n * (n + 1) / (2 * n + 1)
    matrix = np.diag(-n * (n + 1) + 2 * alpha * c * (2 * n + 1) / ((2 * n - 1) * (2 * n + 3)))
    matrix += u * (np.diag(c[1:], -1) - np.diag(c[:-1], 1))
    second = np.diag((c * (n - 1) / (2 * n - 1))[2:], -2) - np.diag((c * (n + 2) / (2 * n + 3))[:-2], 2)
    return np.log(-np.linalg.eigvals(matrix + 2 * alpha * second).real.max())


def rates_of_the_table(alpha, u, v):
    """Logarithms of rates that are looked up, (alphas, fields)."""
    a, d = jnp.asarray(alpha, jnp.float32), jnp.float32(0.1)
    fields = [jnp.asarray(np.broadcast_to(x, (len(alpha), len(x))), jnp.float32) for x in (u, v)]
    return np.asarray(look_up(at_anisotropy(neel_table(), a, d), a, d, *fields))[0]


def test_rates_over_the_barrier_are_those_of_the_one_dimensional_equation():
    """From exp(-0.2) to exp(-7.6) of 1/(2 tau), where the slowest mode is apart from the others."""
    for alpha, u in ((2.0, 0.0), (6.0, 0.0), (10.0, 0.0), (12.0, 0.0), (10.0, 5.0), (12.0, 5.0)):
        found = rates_of_the_table([alpha], [u], [0.0])
        np.testing.assert_allclose(found[0, 0], rate_along_the_axis(alpha, u), atol=3e-4)


def test_the_slowest_and_the_fastest_rate_of_the_table_that_ships():
    """At all of its points: the highest barrier without a field, and the strongest field across the axis of none."""
    _, alphas, along, across = (axis.points() for axis in neel_table().axes)
    u, v = (x.ravel() for x in np.meshgrid(along, across, indexing="ij"))
    rates = rates_of_the_table(alphas, u, v)
    assert rates.shape == (28, 56 * 40) and np.isfinite(rates).all()
    np.testing.assert_allclose(rates.min(), rate_along_the_axis(12.0, 0.0), atol=1e-4)
    fastest = slow_manifold(np.zeros(1), np.array([40.0]), 0.0, 30, 30, 0.1)[0, 0]
    np.testing.assert_allclose(rates.max(), np.log(fastest), atol=1e-3)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (((1.0, 0.03),), "lowest, highest"),
        ((0.1, -3.0), "alpha = .* allowed is 0 to 20"),
        ((0.1, (0.0, float("nan"))), "alpha"),
        ((0.1, 5.0, 1e5), "reach"),
        ((0.0, 5.0), "damping"),
    ],
)
def test_tables_that_cannot_be(arguments, says):
    with pytest.raises(ValueError, match=says):
        neel_table(*arguments)


def test_a_cache_that_cannot_be_written_costs_a_warning_only(tmp_path, monkeypatch):
    shipped = neel_table()
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("MPIJAX_CACHE", str(tmp_path / "file"))
    monkeypatch.setattr(stored, "new_table", lambda axes: shipped)
    stored._table.cache_clear()
    with pytest.warns(UserWarning, match="MPIJAX_CACHE"):
        assert neel_table(0.3, 5.0, 20.0) is shipped
    stored._table.cache_clear()

"""Neel relaxation of a uniaxial particle whose easy axis lies along the field: what the equilibrium models leave out.

The moment's direction cosine x = m.n has a density f(x, t) that obeys Brown's Fokker-Planck equation

    2 tau df/dt = d/dx [(1 - x^2) (df/dx - f d/dx(alpha x^2 + xi(t) x))],

at rest f ~ exp(alpha x^2 + xi x), the equilibrium density. By parts, with (1 - x^2) P_l' = c_l (P_{l-1} - P_{l+1}) and
c_l = l(l + 1)/(2l + 1), the means a_l = <P_l> obey a linear system that couples l to its two neighbors on either side,

    2 tau da_l/dt = -l(l + 1) a_l + xi c_l (a_{l-1} - a_{l+1})
                    + 2 alpha c_l [(l - 1)/(2l - 1) a_{l-2} + (2l + 1)/((2l - 1)(2l + 3)) a_l - (l + 2)/(2l + 3) a_{l+2}].

It is cut after ``order`` polynomials. Densities of this kind have coefficients falling as exp(-l^2/(2 (|xi| + 2 |alpha|))), so
about sqrt(2 (|xi| + 2 |alpha|) ln(1/eps)) polynomials leave an error eps; 64 reach 1e-10 for |xi| + 2 |alpha| <= 85.

Integration: Kvaerno's L-stable implicit Runge-Kutta method of order 5 with adaptive steps that end at every requested time.
In float32 the error is that of the arithmetic, some 1e-5; call it under ``jax.enable_x64(True)`` for a reference.
"""

from collections.abc import Callable
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mpijax.core.constants import BOLTZMANN
from mpijax.core.typing import Array, Float, Scalar

Field = Callable[[jax.Array], jax.Array]

GYROMAGNETIC_RATIO = 1.76e11
"""Of the electron [rad/(s T)]."""

MAX_STEPS = 20_000
"""Integration steps per call or period; beyond them the result is NaN."""

MAX_PERIODS = 40
"""Periods searched for the steady state; beyond them the result is NaN."""


def neel_time(
    core_diameter: Scalar, saturation_magnetization: Scalar = 474e3, temperature: Scalar = 293.0, damping: Scalar = 0.1
) -> Float[Array, ""]:
    """Neel relaxation time of an isotropic particle at zero field, tau = m0 (1 + a^2)/(2 gamma a kB T), m0 = Ms pi d^3/6.

    The decay time of <m> under free diffusion; 14.1 ns for the defaults at 20 nm. Anisotropy lengthens it exponentially.

    Args:
        core_diameter: d [m].
        saturation_magnetization: Ms [A/m = J m^-3 T^-1].
        temperature: T [K].
        damping: a of the Landau-Lifshitz-Gilbert equation, dimensionless.

    Returns:
        tau [s].

    Source: Brown, Thermal fluctuations of a single-domain particle, Phys. Rev. 130 (1963).
    """
    nanometers = jnp.asarray(core_diameter) * 1e9  # a volume in m^3 is close to float32's smallest number
    beta = saturation_magnetization / temperature * (np.pi / 6 * 1e-27 / BOLTZMANN) * nanometers**3
    return jnp.asarray(free_time(beta, damping))


def free_time(beta: Scalar, damping: Scalar = 0.1, gyromagnetic_ratio: Scalar = GYROMAGNETIC_RATIO) -> Scalar:
    """The same of a known m0/(kB T), tau = beta (1 + a^2)/(2 gamma a).

    Args:
        beta: m0/(kB T) [1/T].
        damping: as in ``neel_time``.
        gyromagnetic_ratio: gamma [rad/(s T)].

    Returns:
        tau [s].
    """
    return beta * (1 + damping**2) / (2 * gyromagnetic_ratio * damping)


def neel_moment(
    times: Float[Array, " t"], xi: Field, alpha: Scalar, tau: Scalar, *, order: int = 64, rtol: float = 1e-8
) -> Float[Array, " t"]:
    """Mean moment <m.n>(t) of a Neel particle in units of m0, at equilibrium at the first time.

    Args:
        times: increasing [s], (t,), at least two; its dtype is that of the computation.
        xi: field along the easy axis times beta at a time [s], dimensionless; traceable by JAX.
        alpha: reduced anisotropy K V/(kB T), any sign, dimensionless.
        tau: relaxation time of ``neel_time`` [s].
        order: Legendre polynomials, static; see the module for how many are needed.
        rtol: relative tolerance of a step on every <P_l>, with an absolute one a hundredth of it; no finer than 32 units in
            the last place.

    Returns:
        Unit moment along the easy axis, (t,). NaN where the integration needs more than ``MAX_STEPS``.

    Raises:
        ImportError: diffrax is not installed.
        ValueError: fewer than two times, fewer than two polynomials, or a tolerance that is not positive.

    Source: Brown (1963), eq. for the axially symmetric density; Legendre expansion as in the module.
    """
    times = jnp.asarray(times)
    _check(times.size, "times", order, rtol)
    operators = _operators(order, alpha, tau, times.dtype)
    states = _integrate(_equilibrium(operators, xi(times[0])), times, xi, operators, rtol)
    return states[:, 1]


def neel_steady_state(
    period: Scalar, n_samples: int, xi: Field, alpha: Scalar, tau: Scalar, *, order: int = 64, rtol: float = 1e-8
) -> Float[Array, " n_samples"]:
    """Mean moment of a Neel particle over one period of a periodic field, after all transients.

    One period is an affine map of the state and, as all within a well decays fast, has at most one slow mode: the exchange
    between the two wells. Its fixed point is found by secant (Anderson) steps, a handful of periods instead of the many that
    relaxation across the barrier takes; the error is rtol/(1 - the mode's factor per period).

    Args:
        period: T of the field [s].
        n_samples: N, samples per period, static.
        xi: field along the easy axis times beta at a time [s], of period T, dimensionless; traceable by JAX.
        alpha: as in ``neel_moment``.
        tau: as in ``neel_moment``.
        order: as in ``neel_moment``.
        rtol: as in ``neel_moment``; the state at the end of a period agrees with that at its start to 10 rtol.

    Returns:
        Unit moment at jT/N, j = 0 .. N - 1, (N,). NaN where no fixed point is found in ``MAX_PERIODS``, as for a particle that
        stays blocked and remembers its start.

    Raises:
        ImportError: diffrax is not installed.
        ValueError: fewer than two samples, fewer than two polynomials, or a tolerance that is not positive.
    """
    _check(n_samples, "n_samples", order, rtol)
    period = jnp.asarray(period, jnp.result_type(period, float))
    times = jnp.arange(n_samples + 1, dtype=period.dtype) * (period / n_samples)
    operators = _operators(order, alpha, tau, times.dtype)
    goal = 10 * _tolerance(rtol, times.dtype)

    def cycle(state: jax.Array) -> jax.Array:
        return _integrate(state, times, xi, operators, rtol)

    def unsettled(carry: tuple) -> jax.Array:
        count, start, states, *_ = carry
        return (count == 0) | (count < MAX_PERIODS) & (jnp.max(jnp.abs(states[-1] - start)) > goal)

    def secant(carry: tuple) -> tuple:
        count, start, states, last_end, last_defect = carry
        end = states[-1]
        defect = end - start
        change = defect - last_defect
        share = jnp.where(count > 1, defect @ change / jnp.sum(change * change), 0)
        following = jnp.where(count == 0, start, end - share * (end - last_end))
        return count + 1, following, cycle(following), end, defect

    start = _equilibrium(operators, xi(times[0]))
    zero = jnp.zeros_like(start)
    # the first cycle too is the loop's: a second one would be compiled for long
    none = jnp.zeros((len(times), len(start)), start.dtype)
    _, start, states, *_ = lax.while_loop(unsettled, secant, (0, start, none, zero, zero))
    settled = jnp.max(jnp.abs(states[-1] - start)) <= goal
    return jnp.where(settled, states[:-1, 1], jnp.nan)


def _operators(order: int, alpha: Scalar, tau: Scalar, dtype: np.dtype) -> tuple[jax.Array, jax.Array]:
    """Matrices R and F of da/dt = (R + xi F) a, a = (1, <P_1>, .., <P_order>); the row of the constant <P_0> = 1 is zero."""
    degree = np.arange(order + 1.0)
    c = degree * (degree + 1) / (2 * degree + 1)
    below, above = np.eye(order + 1, k=-1), np.eye(order + 1, k=1)
    field = c[:, None] * (below - above)
    second = (degree - 1) / (2 * degree - 1), (2 * degree + 1) / ((2 * degree - 1) * (2 * degree + 3))
    axial = second[0][:, None] * np.eye(order + 1, k=-2) + np.diag(second[1])
    axial -= ((degree + 2) / (2 * degree + 3))[:, None] * np.eye(order + 1, k=2)
    uniaxial = 2 * c[:, None] * axial
    diffusion = np.diag(-degree * (degree + 1))
    rest = jnp.asarray(diffusion, dtype) + jnp.asarray(alpha, dtype) * jnp.asarray(uniaxial, dtype)
    rate = 0.5 / jnp.asarray(tau, dtype)
    return rest * rate, jnp.asarray(field, dtype) * rate


def _equilibrium(operators: tuple[jax.Array, jax.Array], xi: jax.Array) -> jax.Array:
    """The state at rest in a constant field: a_0 = 1 and every other derivative zero."""
    rest, field = operators
    matrix = rest + xi * field
    unit = jnp.zeros_like(matrix[0]).at[0].set(1)
    return jnp.linalg.solve((matrix / jnp.max(jnp.abs(matrix))).at[0].set(unit), unit)


def _integrate(
    state: jax.Array, times: jax.Array, xi: Field, operators: tuple[jax.Array, jax.Array], rtol: float
) -> jax.Array:
    """States at the times, (t, order + 1)."""
    dfx, newton = _diffrax()
    rest, field = operators

    def slope(t: jax.Array, a: jax.Array, _: None) -> jax.Array:
        return jnp.matmul(rest + xi(t) * field, a, precision="highest")

    rtol = _tolerance(rtol, times.dtype)
    control = dfx.PIDController(rtol=rtol, atol=rtol / 100)
    solution = dfx.diffeqsolve(
        dfx.ODETerm(slope),
        dfx.Kvaerno5(root_finder=newton(rtol=1e-3, atol=1e-3)),  # the first iteration is exact: the stages are linear
        times[0],
        times[-1],
        times[1] - times[0],
        state,
        saveat=dfx.SaveAt(ts=times),
        stepsize_controller=dfx.ClipStepSizeController(control, step_ts=times),  # saved are states, not interpolants
        max_steps=MAX_STEPS,
        throw=False,
    )
    return jnp.where(solution.result == dfx.RESULTS.successful, solution.ys, jnp.nan)


def _tolerance(rtol: float, dtype: np.dtype) -> float:
    return max(rtol, 32 * float(jnp.finfo(dtype).eps))


def _check(count: int, name: str, order: int, rtol: float) -> None:
    if count < 2:
        raise ValueError(f"{name} gives {count} points in time; at least 2 are needed.")
    if order < 2:
        raise ValueError(f"order = {order}; at least 2 Legendre polynomials are needed, 64 for |xi| + 2 |alpha| <= 85.")
    if not rtol > 0:
        raise ValueError(f"rtol = {rtol}; give a positive relative tolerance, such as 1e-8.")


def _diffrax() -> tuple[ModuleType, type]:
    """diffrax and Newton's method: exact for a linear system, where a Jacobian kept over the stages rejects every other step."""
    try:
        import diffrax  # noqa: PLC0415  (an optional dependency)
        from optimistix import Newton  # noqa: PLC0415  (comes with diffrax)
    except ImportError as error:
        raise ImportError(
            "The Fokker-Planck model needs diffrax; install it with: pip install mpijax[dynamics]"
        ) from error
    return diffrax, Newton

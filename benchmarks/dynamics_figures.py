"""Figures of docs/relaxation.md beside those of bench_dynamics: ``python -m benchmarks.dynamics_figures``, 10 minutes.

Errors against the full engine, aliases, dampings between a table's points, cost of derivatives, matrices per second in training.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

import mpijax as mj
from mpijax.physics.dynamics.table import alpha_axis, build_table, damping_axis, field_axes
from mpijax.system import simulate_rows

SCANNER, SEQUENCE = mj.Scanner.create((-1.0, -1.0, 2.0)), mj.LissajousSequence.create((12e-3, 12e-3, 0.0))
OBLIQUE = {"easy_axis": (1, 0.5, 0.2)}


def l2(found: np.ndarray, want: np.ndarray) -> float:
    """Relative error of k times the spectrum up to bin 400."""
    k = np.arange(min(401, want.shape[1]))[None, :, None]
    return float(np.linalg.norm(k * (found - want)[:, :401]) / np.linalg.norm(k * want[:, :401]))


def errors() -> None:
    grid = mj.Grid.create((2, 1, 1), (12e-3, 2e-3, 2e-3), (1e-3, 3e-3, 0))
    deep = mj.LissajousSequence.create((12e-3, 12e-3, 10e-3), (12, 10, 15), 312.5e3, n_samples=480)
    fast = mj.LissajousSequence.create((12e-3, 12e-3, 0), base_frequency=25e6)
    strong = {"core_diameter": 22e-9, "anisotropy_constant": 4e3}
    cases = {
        "alpha 10": ({"core_diameter": 25e-9, "anisotropy_constant": 5e3, **OBLIQUE}, SEQUENCE),
        "K = 0": ({"core_diameter": 22e-9}, SEQUENCE),
        "3-D": ({**strong, **OBLIQUE}, deep),
        "fluid": ({**strong, "spatial_modulation": 1.0}, deep),
        "ten times the frequency": ({**strong, **OBLIQUE}, fast),
    }
    for name, (options, sequence) in cases.items():
        particle = mj.Particle.create(**options, dynamics=mj.Neel())
        found, want = (
            np.asarray(mj.moment_spectrum(SCANNER, sequence, particle, grid, engine=e)) for e in ("auto", "full")
        )
        print(f"{name}: {l2(found, want):.1e}", flush=True)


def aliases() -> None:
    particle = mj.Particle.create(25e-9, anisotropy_constant=5e3, easy_axis=(1, 1, 0), dynamics=mj.Neel())
    grid = mj.Grid.create((7, 7, 1), (28e-3, 28e-3, 1e-3))
    one, two, four = (
        np.asarray(mj.simulate_system_matrix(SCANNER, SEQUENCE, particle, grid, oversampling=n).values)[:2, 1:]
        for n in (1, 2, 4)
    )
    order = np.abs(SEQUENCE.mixing_orders()).sum(1)[1:]
    for low, high in ((11, 16), (17, 25), (1, order.max())):
        rows = (order >= low) & (order <= high)
        shares = [np.linalg.norm((x - four)[:, rows]) / np.linalg.norm(four[:, rows]) for x in (one, two)]
        print(f"aliases, orders {low} to {high}: {shares[0]:.1e}, oversampled {shares[1]:.1e}", flush=True)


def dampings(alpha: float = 7.0) -> None:
    fields, alphas = field_axes(40.0), alpha_axis(alpha, alpha)
    began = time.perf_counter()
    several = build_table(damping_axis(0.03, 1.0), alphas, fields)
    print(f"table of nine dampings: {time.perf_counter() - began:.0f} s", flush=True)
    unit = float(mj.Particle.create(22e-9, anisotropy_constant=1e3, **OBLIQUE).alpha)
    grid = mj.Grid.create((3, 3, 1), (20e-3, 20e-3, 1e-3))
    for damping in (0.04, 0.13, 0.37, 0.8):
        moments = []
        for table in (several, build_table(damping_axis(damping, damping), alphas, fields)):
            core = mj.Particle.create(
                22e-9, anisotropy_constant=alpha / unit * 1e3, **OBLIQUE, dynamics=mj.Neel(damping, table=table)
            )
            spectrum = mj.moment_spectrum(SCANNER, SEQUENCE, core, grid)
            moments.append(np.fft.irfft(np.asarray(spectrum), axis=1) * SEQUENCE.n_samples)
        print(f"damping {damping}: {np.abs(moments[0] - moments[1]).max():.1e} of m", flush=True)


def best(call, argument: jax.Array) -> float:
    jax.block_until_ready(call(argument))
    times = []
    for _ in range(3):
        began = time.perf_counter()
        jax.block_until_ready(call(argument))
        times.append(time.perf_counter() - began)
    return min(times)


def derivatives() -> None:
    grid = mj.Grid.create((10, 10, 1), (28e-3, 28e-3, 1e-3))

    def loss(x: jax.Array) -> jax.Array:
        core = mj.Particle.create(22e-9 * x[0], anisotropy_constant=4e3 * x[1], **OBLIQUE, dynamics=mj.Neel())
        return jnp.sum(jnp.abs(mj.moment_spectrum(SCANNER, SEQUENCE, core, grid, np.arange(1, 400))) ** 2)

    value, both = best(jax.jit(loss), jnp.ones(2)), best(jax.jit(jax.value_and_grad(loss)), jnp.ones(2))
    print(f"value and gradient: {both / value:.1f} times the value", flush=True)

    def brownian(viscosity: jax.Array) -> jax.Array:
        core = mj.Particle.create(
            22e-9, dynamics=mj.Brown(shell_thickness=8e-9, viscosity=viscosity, effort=(16, 2, 1.0))
        )
        return jnp.sum(jnp.abs(mj.moment_spectrum(SCANNER, SEQUENCE, core, grid, np.arange(60, 120))) ** 2)

    value, both = (best(jax.jit(call), jnp.array(1e-3)) for call in (brownian, jax.value_and_grad(brownian)))
    print(f"value and gradient, Brown: {both / value:.1f} times the value of {value:.1f} s", flush=True)

    line = mj.Grid.create((9, 1, 1), (20e-3, 1e-3, 1e-3))
    axial = mj.LissajousSequence.create((5e-3, 0, 0), n_samples=152)

    def collinear(viscosity: jax.Array) -> jax.Array:
        turning = mj.Brown(shell_thickness=8e-9, viscosity=viscosity, collinear=True, effort=(14, 2, 1.0))
        core = mj.Particle.create(22e-9, dynamics=turning)
        return jnp.sum(jnp.abs(mj.moment_spectrum(SCANNER, axial, core, line, np.arange(2, 9))) ** 2)

    value, both = (best(jax.jit(call), jnp.array(1e-3)) for call in (collinear, jax.value_and_grad(collinear)))
    print(
        f"value and gradient, Brown on a line: {both / value:.1f} times the value of {value * 1e3:.0f} ms", flush=True
    )


def training(count: int = 8) -> None:
    for name, dynamics in (("equilibrium", None), ("Neel", mj.Neel())):

        def draw(key: jax.Array, dynamics: mj.Neel | None = dynamics) -> jax.Array:
            x = jax.random.uniform(key, (3,))
            core = mj.Particle.create(
                (18 + 4 * x[0]) * 1e-9,
                anisotropy_constant=2e3 + 2e3 * x[1],
                spatial_modulation=0.5 + x[2],
                dynamics=dynamics,
            )
            size = jnp.array([20, 20, 1]), jnp.array([24e-3, 24e-3, 1e-3]), jnp.zeros(3)
            rows = simulate_rows(mj.Setup(SCANNER, SEQUENCE, core, *size), (20, 20, 1), jnp.arange(60, 76))[0]
            return jnp.abs(rows).sum()

        seconds = best(
            jax.jit(lambda keys, draw=draw: jax.lax.map(draw, keys)), jax.random.split(jax.random.key(0), count)
        )
        print(f"training, {name}: {count / seconds:.1f} matrices of 20 x 20 positions and 16 rows a second", flush=True)


if __name__ == "__main__":
    errors()
    aliases()
    derivatives()
    training()
    dampings()

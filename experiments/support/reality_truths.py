"""Rows of the true matrix of a case, and how far they are from an independent evaluation.

A row is -(2 pi i f_k) a_ck sum_j p_cj(r) mhat_jk(r), in the normalized mode of `mpijax.system.simulate.simulate_rows`; moments
are point samples of one period, as for the rows that the networks were trained on. Double precision; single for Brownian
rotation, 1e-6 of the strongest row.
"""

import math
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.support.reality_families import Case
from experiments.support.reality_parallel import DAMPING, both_moment, paired_moment
from mpijax.physics.dynamics.brown import brown_degree, brown_substeps
from mpijax.physics.dynamics.full import full_moment
from mpijax.system import Brown, LissajousSequence, Neel, Particle, Setup
from mpijax.system.simulate import simulate_rows

BOXES = {2: (12, 16, 20, 24, 28, 32, 40), 3: (12,)}
"""Sizes to which grids are padded, so that few shapes are compiled."""

BROWN_REACH = 13.0
"""Reduced field that the degree of Brownian rotation is chosen for."""

ANGLES, RINGS = 96, 128
"""Quadrature of the independent equilibrium: trapezoid around, Gauss-Legendre along the easy axis."""


def true_rows(case: Case, bins: np.ndarray, fine: bool) -> tuple[np.ndarray, np.ndarray]:
    """Rows (3, f, n) of a grid, its voxels per axis (3,); ``fine`` = twice the voxels in the plane, of which every second voxel
    from the first is one of the file's grid."""
    with jax.enable_x64(True):
        setup = grid_of(case, fine)
        points = np.asarray(setup.grid().positions)
        moments = _moments(case, setup, points, bins)
    rows = np.einsum("cjn,jfn->cfn", case.sensitivity(points), moments)
    return rows * transfer_factors(case)[:, bins, None], np.asarray(setup.extent)


def told_rows(case: Case, bins: np.ndarray) -> np.ndarray:
    """Rows (3, f, n) in equilibrium of the true particles, with what the file says of fields, coils and transfer function."""
    with jax.enable_x64(True):
        parts = [(share, replace(p, dynamics=None)) for share, p in case.parts]
        told = replace(case, parts=tuple(parts), physics="equilibrium")
        return _moments(told, case.told, np.asarray(case.told.grid().positions), bins)


def grid_of(case: Case, fine: bool) -> Setup:
    """The true calibration, on the file's grid or one twice as fine in its first two axes."""
    setup = case.truth
    if not fine:
        return setup
    half = np.asarray(setup.fov) / np.asarray(setup.extent) / 4 * [1, 1, 0]
    return replace(setup, extent=np.asarray(setup.extent) * [2, 2, 1], center=np.asarray(setup.center) + half)


def check(case: Case, stored: np.ndarray, channel: np.ndarray, bins: np.ndarray, voxels: np.ndarray) -> float:
    """Relative deviation (Frobenius norm, rows scaled to their largest modulus) of stored rows (r, n) at some voxels from an
    independent evaluation: the full Fokker-Planck equation, or the quadrature of the equilibrium."""
    with jax.enable_x64(True):
        setup = case.truth
        points = np.asarray(setup.grid().positions)[voxels]
        static = np.asarray(setup.scanner.field(points))
        used = np.unique(bins)
        moments = np.zeros((3, len(used), len(points)), complex)
        for share, particle in case.parts:
            moments += share * _independent(case, setup, particle, static, points, used)
    rows = np.einsum(
        "cjn,jfn->cfn", case.sensitivity(points), moments * -2j * np.pi * _frequencies(setup)[used][:, None]
    )
    rows = (rows * transfer_factors(case)[:, used, None])[channel, np.searchsorted(used, bins)]
    peak = np.abs(stored).max(axis=1, keepdims=True)
    return float(np.linalg.norm((rows - stored[:, voxels]) / peak) / np.linalg.norm(stored[:, voxels] / peak))


def transfer_factors(case: Case) -> np.ndarray:
    """Complex factors of the rows, a decade around one, (3, bins)."""
    shape = 3, case.told.sequence.n_samples // 2 + 1
    if case.transfer is None:
        return np.ones(shape)
    rng = np.random.default_rng(case.transfer)
    return 10 ** rng.uniform(-0.5, 0.5, shape) * np.exp(2j * np.pi * rng.uniform(size=shape))


def _frequencies(setup: Setup) -> np.ndarray:
    return np.asarray(setup.sequence.frequencies)


def _moments(case: Case, setup: Setup, points: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """-(2 pi i f) mhat of the particles together, (3, f, n)."""
    if case.physics in ("both", "pairs"):
        ((_, particle),) = case.parts
        static = jnp.asarray(setup.scanner.field(points))
        anisotropy = _anisotropy(particle, static)
        if case.physics == "both":
            moment = both_moment(static, anisotropy, setup.sequence, particle, case.mixed_rate, DAMPING)
        else:
            moment, _ = paired_moment(static, anisotropy, setup.sequence, particle, case.pair)
        return _spectrum(moment, bins) * -2j * np.pi * _frequencies(setup)[bins][:, None]
    extent = np.asarray(setup.extent)
    dimensions = 3 if extent[2] > 1 else 2
    box = min(b for b in BOXES[dimensions] if b >= extent.max())
    shape = (box, box, box if dimensions == 3 else 1)
    total: Any = 0.0
    for share, particle in case.parts:
        one = replace(setup, particle=replace(particle, dynamics=None))
        rows = np.asarray(_rows(one, shape, jnp.asarray(bins), *_rotation(particle, setup.sequence)))
        inside = rows.reshape(3, len(bins), *shape[::-1])[..., : extent[2], : extent[1], : extent[0]]
        total = total + share * inside.reshape(3, len(bins), -1)
    if not np.isfinite(total).all():
        raise ValueError("the simulated rows are not finite: a table or an effort is too small for this draw.")
    return np.asarray(total)


def _rotation(particle: Particle, sequence: LissajousSequence) -> tuple[Any, Any]:
    """Name of the dynamics or effort of Brown's, and what of it is traced."""
    dynamics: Any = particle.dynamics
    if dynamics is None or not particle.is_langevin:
        return ("none" if dynamics is None else "neel"), None
    tau, interval = float(dynamics.time(particle)), sequence.period / sequence.n_samples
    degree = brown_degree(BROWN_REACH)
    effort = degree, brown_substeps(interval / tau, degree, BROWN_REACH), math.ceil(2 * 12 * tau / sequence.period) / 2
    return effort, (np.float64(dynamics.shell_thickness), np.float64(dynamics.viscosity))


@partial(jax.jit, static_argnums=(1, 3))
def _rows(setup: Setup, shape: tuple[int, int, int], bins: Any, rotation: Any, values: Any) -> Any:
    particle: Any = setup.particle
    dtype: Any = np.float64
    if rotation == "neel":
        particle = replace(particle, dynamics=Neel(DAMPING).checked(particle))
    elif rotation != "none":
        dtype = np.float32
        brown = Brown(shell_thickness=values[0], viscosity=values[1], effort=rotation)
        particle = replace(particle, dynamics=brown.checked(particle))
    return simulate_rows(replace(setup, particle=particle), shape, bins, dtype=dtype)[0]


def _anisotropy(particle: Particle, static: Any) -> tuple[Any, Any]:
    """Reduced anisotropy (n,) and easy axis (n, 3) of every position."""
    alpha, axis = particle.local_anisotropy(static, 1.0) or (jnp.zeros(1), jnp.asarray([[0.0, 0.0, 1.0]]))
    return jnp.broadcast_to(alpha, (len(static),)), jnp.broadcast_to(axis, (len(static), 3))


def _spectrum(moment: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """mhat (3, f, n) of moments (n, 3, t)."""
    return np.moveaxis(np.fft.rfft(moment)[..., bins] / moment.shape[-1], 0, -1)


def _independent(
    case: Case, setup: Setup, particle: Particle, static: np.ndarray, points: np.ndarray, bins: np.ndarray
) -> np.ndarray:
    """mhat (3, f, p) of some positions by another way than the stored rows."""
    sequence, beta = setup.sequence, float(particle.beta)
    alpha, axis = (np.asarray(x) for x in _anisotropy(particle, jnp.asarray(static)))
    drive = np.asarray(sequence.drive_field(np.float64)).T
    if particle.dynamics is None:
        moment = np.zeros((len(points), 3, sequence.n_samples))
        for ratio, weight in zip(*particle.sizes(), strict=True):
            cube = float(ratio) ** 3
            moment += weight * _quadrature(beta * cube * (static[:, None] + drive), alpha * cube, axis)
        return _spectrum(moment, bins)
    tau = float(particle.dynamics.time(particle))
    renewal = case.mixed_rate / tau if case.physics == "both" else 0.0
    angular = 2 * np.pi * np.array(sequence.cycles) / sequence.period
    partner = None
    if case.physics == "pairs":
        whole = jnp.asarray(setup.scanner.field(np.asarray(setup.grid().positions)))
        moment, _ = paired_moment(whole, _anisotropy(particle, whole), sequence, particle, case.pair)
        place = [int(np.argmin(np.linalg.norm(np.asarray(whole) - at, axis=1))) for at in static]
        partner = np.fft.rfft(moment[place]) / moment.shape[-1]
        partner[..., 1:] *= 2
    turns = np.arange(sequence.n_samples // 2 + 1)

    def field(time: float) -> np.ndarray:
        xi = beta * (static + np.asarray(sequence.amplitude) * sequence.active * np.cos(angular * time))
        if partner is None:
            return xi
        coupling, along = case.pair
        m = (partner @ np.exp(2j * np.pi * turns * time / sequence.period)).real
        return xi + coupling * (3 * (m @ along)[:, None] * along - m)

    rotation: Any = particle.dynamics
    isotropic = particle.is_langevin
    moment = full_moment(
        field, sequence.period, sequence.n_samples, alpha=0.0 if isotropic else alpha,
        easy_axis=(0.0, 0.0, 1.0) if isotropic else axis, tau=tau, damping=float(rotation.damping),
        substeps=1, tolerance=1e-5, renewal=renewal,
    )  # fmt: skip
    return _spectrum(moment.transpose(0, 2, 1), bins)


def _quadrature(xi: np.ndarray, alpha: np.ndarray, axis: np.ndarray) -> np.ndarray:
    """Equilibrium moments (p, 3, t) of reduced fields (p, t, 3): sums over the sphere in the frame of the easy axis."""
    x, weights = np.polynomial.legendre.leggauss(RINGS)
    angles = 2 * np.pi * np.arange(ANGLES) / ANGLES
    s = np.sqrt(1 - x * x)
    found = np.zeros((len(xi), 3, xi.shape[1]))
    for i, (field, a, n) in enumerate(zip(xi, alpha, axis, strict=True)):
        first = np.cross(n, np.eye(3)[np.argmin(np.abs(n))])
        first /= np.linalg.norm(first)
        frame = np.stack([first, np.cross(n, first), n])
        across = (s[:, None, None] * np.stack([np.cos(angles), np.sin(angles)], -1)).reshape(-1, 2)
        directions = np.concatenate([across, np.repeat(x, ANGLES)[:, None]], 1) @ frame
        prior = np.repeat(a * x * x, ANGLES)
        for start in range(0, len(field), 136):
            part = field[start : start + 136]
            exponent = part @ directions.T + prior
            density = np.exp(exponent - exponent.max(axis=1, keepdims=True)) * np.repeat(weights, ANGLES)
            found[i, :, start : start + 136] = (density @ directions).T / density.sum(axis=1)
    return found

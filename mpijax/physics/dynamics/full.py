"""The whole density of the moment's direction, stepped in time: the reference of the magnetization dynamics, NumPy, float64.

The harmonics of :mod:`mpijax.physics.dynamics.operators` obey 2 tau da/dt = A(t) a. In the frame of the easy axis, with
c_lm = a_lm + i a_l-m (m > 0), w = xi_x + i xi_y and u = xi_z, this is block tridiagonal in m,

    2 tau dc_m/dt = (R_m + alpha K_m + u Z_m) c_m + w D_m c_{m-1} + w* U_{m+1} c_{m+1},

c_0 being real (of the last term the real part), with blocks of L + 1 - m harmonics, real without precession. Each stage of the
implicit Runge-Kutta method solves (1 - theta A) x = r. Eliminated from the largest m to zero, its blocks are

    S_m = 1 - theta (R_m + alpha K_m + u Z_m) - theta^2 |w|^2 U_{m+1} S_{m+1}^-1 D_{m+1},

independent of the state, so that those of many stages and positions are inverted at once.

Integration: ESDIRK4(3)6L[2]SA of Kennedy and Carpenter, L-stable, order 4, five implicit stages. One period is an
affine map of the state; its fixed point is found by Anderson's steps, and a period ends early where it meets the one before.

Source: C. A. Kennedy and M. H. Carpenter, Appl. Numer. Math. 44, 139 (2003), the implicit method of ARK4(3)6L[2]SA; the equations
as in the operators.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mpijax.physics.dynamics.operators import DIPOLE, Harmonics, operators

Field = Callable[[float], np.ndarray]
Numbers = float | np.ndarray | Sequence[float]

MAX_PERIODS = 40
"""Periods searched for the steady state."""

MEMORY = 8
"""Periods that Anderson's step looks back."""

POSITIONS = 32
"""Positions that are stepped together."""

SYSTEMS = 320
"""Stages times positions that are factored together."""

GAMMA = 0.25
NODES = (1 / 2, 83 / 250, 31 / 50, 17 / 20, 1.0)
STAGES = (
    (1 / 4,),
    (8611 / 62500, -1743 / 31250),
    (5012029 / 34652500, -654441 / 2922500, 174375 / 388108),
    (15267082809 / 155376265600, -71443401 / 120774400, 730878875 / 902184768, 2285395 / 8070912),
    (82889 / 524892, 0.0, 15625 / 83664, 69875 / 102672, -2260 / 8211),
)
"""Implicit stages of ESDIRK4(3)6L[2]SA below the diagonal GAMMA; the last is the step's end and the next step's first."""


def full_moment(
    xi: Field,
    period: float,
    n_samples: int,
    *,
    alpha: Numbers = 0.0,
    easy_axis: Numbers = (0.0, 0.0, 1.0),
    tau: float,
    damping: float = np.inf,
    degree: int | None = None,
    order: int | None = None,
    substeps: int = 2,
    tolerance: float = 1e-6,
    start: Numbers | None = None,
    renewal: float = 0.0,
    progress: Callable[[float], object] | None = None,
) -> np.ndarray:
    r"""Mean moment <m>(t) over one period of a periodic field, after all transients, in units of m0.

    .. math:: 2 \tau \frac{d\mathbf m}{dt} = (\mathbf m \times \mathbf h) \times \mathbf m + \frac1a\, \mathbf h \times \mathbf m
        + \text{noise}, \qquad \mathbf h = \boldsymbol\xi + 2 \alpha (\mathbf m \cdot \mathbf n)\, \mathbf n

    The time steps leave an error that falls with ``substeps`` (see the module); ``tolerance`` adds tolerance/(1 - the slowest
    mode's factor per period). Holds the field of all stages, 120 ``substeps`` bytes per sample and position.

    Args:
        xi: reduced field beta B of the positions at a time [s], (p, 3), of period T.
        period: T [s].
        n_samples: N, samples per period, at least 2.
        alpha: reduced anisotropy K V/(kB T) >= 0, scalar or (p,).
        easy_axis: n, (3,) or (p, 3), of any length but zero.
        tau: decay time of <m> under free diffusion [s]; of Neel's rotation, or Brown's with alpha = 0 and no precession.
        damping: a > 0 of the Landau-Lifshitz-Gilbert equation; infinite = no precession.
        degree: L of the harmonics. None: enough for 1e-5, see :func:`enough`.
        order: M of the harmonics in the frame of the easy axis, at most L. None: likewise.
        substeps: time steps per sample.
        tolerance: of the state's change over a period.
        start: field in whose equilibrium the first period starts, (3,) or (p, 3). None: the field at time 0.
        renewal: rate [1/s] at which, beside all this, moments are drawn anew from the equilibrium of their field: rotation of the
            whole particle at rate 1/tau_B as strong collisions, so that the rates of both rotations add.
        progress: called with the fraction done, now and then.

    Returns:
        Moment at jT/N, j = 0 .. N - 1, (p, N, 3).

    Raises:
        ValueError: an argument outside of what is written above, or a field that is not finite.
        RuntimeError: no fixed point within ``MAX_PERIODS``, as for a particle that remembers its start.

    Source: Brown, Phys. Rev. 130, 1677 (1963).
    """
    _check(period, n_samples, tau, damping, substeps, tolerance)
    times = (np.arange(n_samples * substeps)[:, None] + np.array(NODES)) * (period / (n_samples * substeps))
    first = _field(xi, 0.0)
    p = len(first)
    alphas, axes = _anisotropy(alpha, easy_axis, p)
    frame = _frames(axes)
    fields = np.stack([_field(xi, t, p) for t in times.ravel().tolist()])  # (stages, p, 3)
    first = first if start is None else _start(start, p)
    fields, first = np.einsum("pij,spj->spi", frame, fields), np.einsum("pij,pj->pi", frame, first)
    largest, across = (np.linalg.norm(part, axis=-1).max() for part in (fields, fields[..., :2]))
    degree, order = _harmonics(degree, order, *enough(largest, across, alphas.max()))
    blocks = _Blocks.create(degree, order, damping)
    theta = GAMMA * period / (n_samples * substeps) / (2 * tau)
    moment = np.empty((p, n_samples, 3))
    for k in range(0, p, POSITIONS):
        part = slice(k, min(k + POSITIONS, p))

        def report(fraction: float, part: slice = part) -> None:
            if progress is not None:
                progress((part.start + fraction * (part.stop - part.start)) / p)

        by_sample = fields[:, part].reshape(n_samples, substeps * len(NODES), -1, 3)
        loss = GAMMA * period / (n_samples * substeps) * renewal
        moment[part] = _steady_state(blocks, by_sample, first[part], alphas[part], theta, loss, tolerance, report)
    return np.einsum("pji,ptj->pti", frame, moment)


def enough(field: float, across: float, alpha: float) -> tuple[int, int]:
    """Degree L and order M that leave an error of the moment below 1e-5, measured for |xi| <= 36 and alpha <= 15.

    Args:
        field: largest |xi|.
        across: largest part of it across the easy axis.
        alpha: reduced anisotropy.
    """
    degree = int(np.ceil(max(3 * np.sqrt(field), 1.75 * alpha + 3.5) + 3))
    return degree, min(int(np.ceil(3 * np.sqrt(across) + 2)), degree)


@dataclass(frozen=True, eq=False)
class _Blocks:
    """The operator of the complex harmonics c_m, m = 0 .. M, block by block; of each m, l = m .. L.

    Attributes:
        rest: R_m; uniaxial: K_m; along: Z_m, of each m (L + 1 - m, L + 1 - m).
        up: U_m, into m - 1; down: D_m, out of m - 1, of each m > 0.
        places: of c_m in a state (p, n).
    """

    rest: list[np.ndarray]
    uniaxial: list[np.ndarray]
    along: list[np.ndarray]
    up: dict[int, np.ndarray]
    down: dict[int, np.ndarray]
    places: list[slice]

    @staticmethod
    def create(degree: int, order: int, damping: float) -> "_Blocks":
        basis, parts = Harmonics.create(degree, order), operators(degree, order, damping)
        cosine = [np.flatnonzero(basis.orders == m) for m in range(order + 1)]
        sine = [np.flatnonzero(basis.orders == -m) for m in range(order + 1)]

        def block(name: str, m: int, k: int) -> np.ndarray:
            """What c_k adds to c_m."""
            real = parts[name][np.ix_(cosine[m], cosine[k])]
            if np.isinf(damping) or m == k == 0:
                return real
            return (
                real + 1j * parts[name][np.ix_(sine[m], cosine[k])]
                if m
                else real - 1j * parts[name][np.ix_(cosine[m], sine[k])]
            )

        every, ends = range(order + 1), np.cumsum([len(c) for c in cosine])
        rest, uniaxial, along = ([block(name, m, m) for m in every] for name in ("rest", "alpha", "z"))
        return _Blocks(
            rest,
            uniaxial,
            along,
            {m: block("x", m - 1, m) for m in every[1:]},
            {m: block("x", m, m - 1) for m in every[1:]},
            [slice(end - len(c), end) for end, c in zip(ends, cosine, strict=True)],
        )

    def moment(self, state: np.ndarray) -> np.ndarray:
        """(p, 3) of a state (p, n)."""
        across = state[:, self.places[1].start]
        return DIPOLE * np.stack([across.real, across.imag, state[:, 1].real], -1)


class _Systems:
    """1 + loss - theta A, factored, for fields (s, p, 3) in the frame of the easy axes; the loss spares a_00."""

    def __init__(self, blocks: _Blocks, field: np.ndarray, alpha: np.ndarray, theta: float, loss: float = 0.0):
        across = field[..., 0] + 1j * field[..., 1]
        square = (theta * np.abs(across))[..., None, None] ** 2
        alpha, along = alpha[:, None, None], field[..., 2, None, None]
        self.blocks, self.across = blocks, theta * across[..., None]
        self.gain = self._equilibria(field, alpha[:, 0, 0], loss) if loss else None
        self.inverses: list[np.ndarray] = []  # S_m^-1
        self.down: list[np.ndarray] = []  # S_m^-1 D_m; there is no D_0, and the first is a placeholder
        for m in range(len(blocks.rest) - 1, -1, -1):
            schur = np.eye(len(blocks.rest[m])) - theta * (
                blocks.rest[m] + alpha * blocks.uniaxial[m] + along * blocks.along[m]
            )
            if loss:
                schur = schur + loss * np.diag(np.arange(schur.shape[-1]) + m > 0)
            if self.inverses:
                inner = blocks.up[m + 1] @ self.down[0]
                schur = schur - square * (inner if m else inner.real)
            self.inverses.insert(0, np.linalg.inv(schur))
            self.down.insert(0, self.inverses[0] @ blocks.down[m] if m else self.inverses[0])

    def _equilibria(self, field: np.ndarray, alpha: np.ndarray, loss: float) -> np.ndarray:
        """Loss times the equilibria of the fields without their a_00, (s, p, n)."""
        uniform = np.zeros((field.shape[1], self.blocks.places[-1].stop), complex)
        uniform[:, 0] = 1
        at_rest = _Systems(self.blocks, field, alpha, 1e12)
        return loss * np.stack([at_rest.solve(i, uniform) - uniform for i in range(len(field))])

    def solve(self, i: int, right: np.ndarray) -> np.ndarray:
        """The solution (p, n) at field i."""
        places, up, across = self.blocks.places, self.blocks.up, self.across[i]
        back, last, kind = across.conj(), len(places) - 1, self.inverses[-1].dtype
        found, reduced = [right] * (last + 1), right[:, places[last]]
        # a real matrix takes real and imaginary parts as two columns; no helpers, since these products are small and many
        for m in range(last, 0, -1):
            found[m] = (self.inverses[m][i] @ reduced[..., None].view(kind)).view(complex)[..., 0]
            reduced = right[:, places[m - 1]] + back * (found[m] @ up[m].T)
        found[0] = (self.inverses[0][i] @ reduced.real[..., None])[..., 0] + 0j
        for m in range(1, last + 1):
            found[m] += across * (self.down[m][i] @ found[m - 1][..., None].view(kind)).view(complex)[..., 0]
        return np.concatenate(found, axis=1)


def _steady_state(
    blocks: _Blocks,
    fields: np.ndarray,
    first: np.ndarray,
    alpha: np.ndarray,
    theta: float,
    loss: float,
    tolerance: float,
    report: Callable[[float], None],
) -> np.ndarray:
    """Moments (p, N, 3) in the frames of the axes for fields (N, stages, p, 3)."""
    n_samples, stages, p, _ = fields.shape
    size = max(1, SYSTEMS // (stages * p))
    start = np.zeros((p, 2, blocks.places[-1].stop), complex)  # the harmonics and their change per step
    start[:, 0, 0] = 1
    start[:, 0] = _Systems(blocks, first[None], alpha, 1e12).solve(0, start[:, 0])  # one endless step: the equilibrium
    moment = np.empty((p, n_samples, 3))
    before: dict[int, np.ndarray] = {}  # states of the last period where systems are factored anew
    ends: list[np.ndarray] = []
    defects: list[np.ndarray] = []
    put = None
    for count in range(MAX_PERIODS):
        state = start
        for j in range(0, n_samples, size):
            if j in before and j and np.abs(state - before[j]).max() <= tolerance:
                state = before[n_samples]  # from here on the two periods agree
                break
            before[j] = state
            chunk = fields[j : j + size]
            systems = _Systems(blocks, chunk.reshape(-1, p, 3), alpha, theta, loss)
            for i in range(len(chunk)):
                moment[:, j + i] = blocks.moment(state[:, 0])
                for k in range(0, stages, len(NODES)):
                    state = _step(systems, i * stages + k, state)
            report(1 - 0.5 ** (count + (j + len(chunk)) / n_samples))
        before[n_samples] = state
        ends, defects = [*ends, state][-MEMORY:], [*defects, state - start][-MEMORY:]
        change = np.abs(defects[-1]).max()
        if change > tolerance:
            start = _anderson(ends, defects)
        elif count == 0:  # at rest, or blocked where it was put: a demagnetized start tells
            put, start = state, np.zeros_like(state)
            start[:, 0, 0] = 1
            ends, defects = [], []
        elif put is not None and np.abs(state - put).max() > 10 * tolerance:
            break
        else:
            report(1.0)
            return moment
    raise RuntimeError(
        f"The moment changes by {change:.1e} per period after {count + 1} periods (tolerance {tolerance:.1e}) and still depends on "
        "its start: the particle is blocked, it remembers for many periods and has no steady state in practice."
    )


def _step(systems: _Systems, i: int, state: np.ndarray) -> np.ndarray:
    """The state one step later; implicit stage i of the systems is its first."""
    begin, *slopes = state[:, 0], state[:, 1]
    for k, weights in enumerate(STAGES):
        right = begin + sum(weight * slope for weight, slope in zip(weights, slopes, strict=True))
        found = systems.solve(i + k, right if systems.gain is None else right + systems.gain[i + k])
        slopes.append((found - right) / GAMMA)
    return np.stack([found, slopes[-1]], 1)


def _anderson(ends: list[np.ndarray], defects: list[np.ndarray]) -> np.ndarray:
    """A better start: the combination of the last periods whose defect is least, of each position."""
    if len(ends) == 1:
        return ends[0]
    changes, moves = (
        np.stack([(x[-1] - y).view(float).reshape(len(y), -1) for y in x[:-1]], -1) for x in (defects, ends)
    )
    goal = defects[-1].view(float).reshape(len(changes), -1, 1)
    better = moves @ (np.linalg.pinv(changes, rcond=1e-10) @ goal)
    return ends[-1] - better.ravel().view(complex).reshape(ends[-1].shape)


def _frames(axis: np.ndarray) -> np.ndarray:
    """Rotations (p, 3, 3) into frames whose third direction is the axis (p, 3)."""
    n = axis / np.linalg.norm(axis, axis=-1, keepdims=True)
    least = np.eye(3)[np.argmin(np.abs(n), axis=-1)]
    across = np.cross(least, n)
    across /= np.linalg.norm(across, axis=-1, keepdims=True)
    return np.stack([across, np.cross(n, across), n], 1)


def _field(xi: Field, t: float, p: int | None = None) -> np.ndarray:
    field = np.asarray(xi(t), float)
    if field.ndim != 2 or field.shape != (p or max(len(field), 1), 3):
        raise ValueError(
            f"xi({t:.6g}) has the shape {field.shape}; give the reduced field of p positions, ({p or 'p'}, 3)."
        )
    if not np.isfinite(field).all():
        raise ValueError(f"xi({t:.6g}) is not finite; give the reduced field beta B as finite numbers.")
    return field


def _start(start: Numbers, p: int) -> np.ndarray:
    field = np.asarray(start, float)
    if field.shape not in ((3,), (p, 3)) or not np.isfinite(field).all():
        raise ValueError(f"start has the shape {field.shape}; give a finite reduced field, (3,) or ({p}, 3).")
    return np.broadcast_to(field, (p, 3))


def _anisotropy(alpha: Numbers, easy_axis: Numbers, p: int) -> tuple[np.ndarray, np.ndarray]:
    alphas, axes = np.asarray(alpha, float), np.asarray(easy_axis, float)
    if alphas.shape not in ((), (p,)):
        raise ValueError(f"alpha has the shape {alphas.shape}; give one number or one of each position, ({p},).")
    if not (np.isfinite(alphas) & (alphas >= 0)).all():
        raise ValueError(f"alpha holds {alphas.min()}; give finite numbers >= 0: an easy plane is not modeled.")
    if axes.shape not in ((3,), (p, 3)):
        raise ValueError(
            f"easy_axis has the shape {axes.shape}; give a direction, (3,), or one of each position, ({p}, 3)."
        )
    if not (np.isfinite(axes).all() and np.linalg.norm(axes, axis=-1).all()):
        raise ValueError("easy_axis holds a vector that is zero or not finite; give directions of any length but zero.")
    return np.broadcast_to(alphas, (p,)), np.broadcast_to(axes, (p, 3))


def _harmonics(degree: int | None, order: int | None, enough_degree: int, enough_order: int) -> tuple[int, int]:
    degree = enough_degree if degree is None else degree
    order = min(enough_order, degree) if order is None else order
    if not 1 <= order <= degree:
        raise ValueError(
            f"degree = {degree} and order = {order}; give 1 <= order <= degree, or None for enough of them."
        )
    return degree, order


def _check(period: float, n_samples: int, tau: float, damping: float, substeps: int, tolerance: float) -> None:
    for name, value in (("period", period), ("tau", tau), ("tolerance", tolerance)):
        if np.ndim(value) or not 0 < value < np.inf:
            raise ValueError(f"{name} = {value}; give a positive finite number.")
    if not damping > 0:
        raise ValueError(f"damping = {damping}; give a positive number, or infinity for no precession.")
    for name, value, least in (("n_samples", n_samples, 2), ("substeps", substeps, 1)):
        if not isinstance(value, int | np.integer) or value < least:
            raise ValueError(f"{name} = {value}; give an integer of at least {least}.")

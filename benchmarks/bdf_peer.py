"""The peer of the dynamics engines: SciPy's BDF method on the same Fokker-Planck equation, one voxel at a time."""

import time

import numpy as np
import scipy.sparse as sparse
from scipy.integrate import solve_ivp
from scipy.sparse.linalg import spsolve

from mpijax.physics.dynamics.full import Field
from mpijax.physics.dynamics.operators import DIPOLE, Harmonics, operators


def bdf_moment(
    xi: Field, times: np.ndarray, alpha: float, axis: np.ndarray, tau: float, damping: float, degree: int
) -> tuple[np.ndarray, float]:
    """Moments (t, 3) of one position from equilibrium at the first time, and the processor seconds.

    Tolerances 1e-3 and 1e-6 as of the public solver, sparse operator and Jacobian, all harmonics up to ``degree``.
    """
    basis, parts = Harmonics.create(degree, degree), operators(degree, degree, damping)
    across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    across /= np.linalg.norm(across)
    frame = np.stack([across, np.cross(axis, across), axis])
    rest = sparse.csr_array(parts["rest"] + alpha * parts["alpha"]) / (2 * tau)
    fields = [sparse.csr_array(parts[name]) / (2 * tau) for name in "xyz"]

    def matrix(t: float) -> sparse.csr_array:
        local = frame @ xi(t)[0]
        return rest + local[0] * fields[0] + local[1] * fields[1] + local[2] * fields[2]

    began = time.process_time()
    whole = matrix(times[0]).tocsc()
    start = np.concatenate([[1.0], spsolve(whole[1:, 1:], -whole[1:, [0]].toarray().ravel())])
    found = solve_ivp(
        lambda t, a: matrix(t) @ a, (times[0], times[-1]), start, "BDF", times, rtol=1e-3, atol=1e-6,
        jac=lambda t, _: matrix(t).tocsc(),
    )  # fmt: skip
    spent = time.process_time() - began
    places = basis.places()
    local = DIPOLE * found.y[[places[1, 1], places[1, -1], places[1, 0]]]
    return local.T @ frame, spent

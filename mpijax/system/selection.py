"""Selection fields as they are: solid harmonics fitted to measured points."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_count, check_finite, check_range, check_shape, is_concrete
from mpijax.core.pytree import pytree
from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Float, Matrix, Numbers, Scalar, Vector3
from mpijax.physics.harmonics import harmonic_gradients, solid_harmonics
from mpijax.system.leaves import as_leaf

NEWTON_STEPS = 30
"""Steps toward the field-free point; from within the ball a handful is enough."""


@pytree
class SolidHarmonicField:
    r"""A static magnetic field in a source-free ball. Make it with :meth:`create` or :func:`fit_solid_harmonics`.

    .. math:: B_i(\mathbf r) = \sum_k C_{ik}\, Z_k \left( \frac{\mathbf r - \mathbf c}{R} \right)

    with center c and radius R.

    Each Cartesian component of a field without sources is harmonic, so the expansion is exact up to its degree. Outside the
    ball that was measured it extrapolates and grows like the power of its degree.

    Attributes:
        coefficients: C [T], (3, (L + 1)^2), in the order of :func:`mpijax.physics.solid_harmonics`.
        center: (3,) [m].
        radius: [m], of the measured ball.

    Source: Boberg, Knopp, Moeddel, European J. Appl. Math. 36 (2025) 1012.
    """

    coefficients: Matrix
    center: Vector3
    radius: Scalar

    @staticmethod
    def create(coefficients: Numbers, center: Numbers = (0.0, 0.0, 0.0), radius: Scalar = 1.0) -> "SolidHarmonicField":
        """Check and build a field.

        Args:
            coefficients: [T], (3, (L + 1)^2) with L >= 1.
            center: [m], (3,).
            radius: the length that scales positions [m].

        Raises:
            ValueError: a shape that is no degree's, NaN, or a length that cannot be in meters.
        """
        coefficients, center, radius = as_leaf(coefficients), as_leaf(center), as_leaf(radius)
        terms = coefficients.shape[-1] if coefficients.ndim == 2 else 0
        if coefficients.shape != (3, terms) or math.isqrt(terms) ** 2 != terms or terms < 4:
            raise ValueError(
                f"coefficients has shape {coefficients.shape}; expected (3, (L + 1)^2) with L >= 1: (3, 4), (3, 9), (3, 16), .."
            )
        check_finite("coefficients", coefficients)
        check_shape("center", center, (3,))
        check_range("center", center, -10.0, 10.0, "m", "Positions are in meters.")
        check_shape("radius", radius, ())
        check_range("radius", radius, 1e-4, 2.0, "m", "Lengths are in meters.")
        return SolidHarmonicField(coefficients, center, radius)

    @property
    def degree(self) -> int:
        """Degree L of the field; 1 is a linear one."""
        return math.isqrt(self.coefficients.shape[1]) - 1

    def field(self, points: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """B [T], (n, 3), at points (n, 3) [m], in the precision of the points."""
        scaled, coefficients, _ = self._at(points)
        return _matmul(solid_harmonics(scaled, self.degree), coefficients.T)

    def jacobian(self, point: Float[Array, "3"]) -> Float[Array, "3 3"]:
        """dB_i/dr_j [T/m], (3, 3), at one point (3,) [m]."""
        scaled, coefficients, radius = self._at(point[None])
        harmonics = solid_harmonics(scaled, self.degree - 1)[0]
        operator = harmonic_gradients(self.degree).astype(harmonics.dtype)
        slopes = [_matmul(coefficients[:, 1:], _matmul(harmonics, along)) for along in operator]
        return (np if isinstance(scaled, np.ndarray) else jnp).stack(slopes, -1) / radius

    def _at(self, points: Array) -> tuple[Array, Array, Array]:
        """Scaled points, coefficients and radius, all NumPy if all are known on the host, in the precision of the points."""
        xp = np if isinstance(points, np.ndarray) and is_concrete(self) else jnp
        points = xp.asarray(points)
        center, radius, coefficients = (
            xp.asarray(leaf, points.dtype) for leaf in (self.center, self.radius, self.coefficients)
        )
        return (points - center) / radius, coefficients, radius

    @property
    def gradient(self) -> Float[Array, "3 3"]:
        """G [T/m], (3, 3): the slope of the field at the origin of coordinates."""
        return self.jacobian(np.zeros(3))

    @property
    def offset(self) -> Float[Array, "3"]:
        """B [T], (3,), at the origin of coordinates."""
        return self.field(np.zeros((1, 3)))[0]

    def free_point(self, start: Numbers | None = None) -> Solution[dict[str, jax.Array], jax.Array]:
        """The field-free point, by Newton's method.

        r <- r - J(r)^+ B(r), no step longer than the radius. On a field-free line the pseudo-inverse leads to its nearest
        point. Differentiable.

        Args:
            start: where to begin [m], (3,); None = the center.

        Returns:
            Solution: value (3,) [m]; stats ``field`` = |B| there [T], ``inside`` the ball, and ``converged``: the field has
            fallen to rounding, within the ball. Where it has not, there is no field-free point near the start.
        """
        return Solution(*_newton(self, jnp.asarray(self.center if start is None else start, float)))


@jax.jit
def _newton(field: SolidHarmonicField, start: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
    radius, dtype = jnp.asarray(field.radius, start.dtype), start.dtype

    def step(_: object, point: jax.Array) -> jax.Array:
        move = jnp.linalg.pinv(field.jacobian(point), rtol=1e-4) @ field.field(point[None])[0]
        length = jnp.sqrt(jnp.sum(move * move) + jnp.finfo(dtype).tiny)
        return point - move * jnp.minimum(1.0, radius / length)

    point = jax.lax.fori_loop(0, NEWTON_STEPS, step, start)
    remaining = jnp.linalg.norm(field.field(point[None])[0])
    rounding = jnp.linalg.norm(jnp.asarray(field.coefficients, dtype)) * jnp.finfo(dtype).eps
    inside = jnp.linalg.norm(point - jnp.asarray(field.center, dtype)) <= radius
    return point, {"field": remaining, "inside": inside, "converged": inside & (remaining <= 100 * rounding)}


def fit_solid_harmonics(
    points: Numbers,
    field: Numbers,
    degree: int,
    *,
    curl_free: bool = False,
    center: Numbers | None = None,
    radius: Scalar | None = None,
) -> Solution[dict[str, float], SolidHarmonicField]:
    """Fit a source-free field to measured points, by least squares over all components; float64 on the host.

    Each Cartesian component is harmonic for itself: 3 (L + 1)^2 unknowns. Trace and antisymmetric part of the gradient then
    tell the error of the probe. With ``curl_free`` the field is the gradient of one harmonic potential of degree L + 1, free
    of divergence and curl whatever the noise: (L + 2)^2 - 1 unknowns, and that error goes into the residual.

    Args:
        points: [m], (n, 3); best on a sphere around the center.
        field: [T], (n, 3).
        degree: L >= 1.
        curl_free: whether all components derive from one potential.
        center: of the expansion [m], (3,); None = mean of the points.
        radius: [m]; None = largest distance from the center.

    Returns:
        Solution: value :class:`SolidHarmonicField`; stats ``residual`` = rms over all components [T], ``leave_one_out`` = rms of
        the error in predicting each point from the others [T] (infinite where a point is needed), which tells the right
        degree, ``condition`` of the least-squares problem.

    Raises:
        ValueError: shapes, NaN, millimeters or millitesla, a degree for which the points are too few or badly placed.
        TypeError: under jit.

    Source: Boberg, Knopp, Moeddel, Unique compact representation of magnetic fields using truncated solid harmonic expansions,
        European J. Appl. Math. 36 (2025) 1012; there the coefficients are sums over a spherical t-design, which for t >= 2 L
        is what least squares gives.
    """
    if not is_concrete((points, field)):
        raise TypeError("fit_solid_harmonics works on measured data on the host; call it outside jit.")
    points, field = (np.asarray(array, np.float64) for array in (points, field))
    if points.ndim != 2 or points.shape[1] != 3 or field.shape != points.shape:
        raise ValueError(f"points has shape {points.shape} and field {field.shape}; both must be (n, 3).")
    for name, array in (("points", points), ("field", field)):
        check_finite(name, array)
    check_range("largest |field|", np.abs(field).max(initial=0.0), 0.0, 20.0, "T", "Fields are in tesla, not mT.")
    check_count("degree", degree)
    unknowns = (degree + 2) ** 2 - 1 if curl_free else 3 * (degree + 1) ** 2
    if field.size < unknowns:
        raise ValueError(
            f"{len(points)} points give {field.size} equations for the {unknowns} unknowns of degree {degree}; measure more points "
            "or lower the degree."
        )
    center = points.mean(0) if center is None else np.asarray(center, np.float64)
    check_shape("center", center, (3,))
    radius = float(np.linalg.norm(points - center, axis=1).max()) if radius is None else float(radius)
    check_range("radius", radius, 1e-4, 2.0, "m", "Positions are in meters, not mm.")

    harmonics = solid_harmonics((points - center) / radius, degree)
    to_components = harmonic_gradients(degree + 1) if curl_free else np.eye(unknowns).reshape(3, -1, unknowns)
    design = np.einsum("nk,ikj->nij", harmonics, to_components).reshape(-1, unknowns)
    left, singular, right = np.linalg.svd(design, full_matrices=False)
    if singular[-1] < 1e-8 * singular[0]:
        raise ValueError(
            f"the {len(points)} points do not determine a field of degree {degree}; spread them over a sphere or lower the degree."
        )
    solution = right.T @ ((left.T @ field.ravel()) / singular)
    error = field.ravel() - design @ solution
    stats = {
        "residual": float(np.sqrt(np.mean(error**2))),
        "leave_one_out": _leave_one_out(left.reshape(-1, 3, unknowns), error.reshape(-1, 3)),
        "condition": float(singular[0] / singular[-1]),
    }
    return Solution(SolidHarmonicField.create(to_components @ solution, center, radius), stats)


def _leave_one_out(left: np.ndarray, error: np.ndarray) -> float:
    """Rms error of predicting each point from all others: (1 - H_pp)^-1 e_p, H_pp the point's block of the hat matrix."""
    rest = np.eye(3) - left @ left.transpose(0, 2, 1)
    if np.linalg.eigvalsh(rest).min() < 1e-9:
        return math.inf
    return float(np.sqrt(np.mean(np.linalg.solve(rest, error[..., None]) ** 2)))


def _matmul(a: Array, b: Array) -> Array:
    return a @ b if isinstance(a, np.ndarray) else jnp.matmul(a, b, precision="highest")

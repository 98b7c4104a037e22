"""Classical super-resolution to measure networks against: data-consistent bicubic, and a fitted linear filter."""

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.typing import Array, Float, Inexact, Num
from mpijax.rows.degradation import box_mean
from mpijax.rows.resampling import bicubic


def consistent_bicubic(
    coarse: Inexact[Array, "*b h w"],
    scale: int,
    *,
    iterations: int = 10,
    epsilon: float | Float[Array, "*b"] | None = None,
) -> Inexact[jax.Array, "*b y x"]:
    r"""Bicubic interpolation made consistent with block means by iterated back-projection.

    .. math:: x_0 = U b, \qquad x_{i+1} = x_i + c_i\, U (b - D x_i)

    with U bicubic and D the box mean; c_i = 1 without a tolerance, else
    max(0, 1 - epsilon / |b - D x_i|). The residual shrinks every iteration; in the limit D x = b, or
    |D x - b| <= epsilon.

    Args:
        coarse: Block means b, rows (..., h, w).
        scale: Factor S per axis.
        iterations: Number of corrections; 0 is plain bicubic.
        epsilon: Norm of the residual that noise explains, one number or one per row. For complex noise of standard
            deviation sigma per coarse voxel: sigma sqrt(h w).

    Returns:
        Fine rows (..., h S, w S).

    Source: M. Irani and S. Peleg, CVGIP 53(3):231 (1991).
    """
    coarse = jnp.asarray(coarse)

    def correct(_: jax.Array, fine: jax.Array) -> jax.Array:
        residual = coarse - box_mean(fine, scale)
        if epsilon is not None:
            power = jnp.sum(residual.real**2 + residual.imag**2, axis=(-2, -1))
            norm = jnp.sqrt(jnp.where(power > 0, power, 1.0))
            shrink = jnp.where(power > 0, jnp.maximum(0.0, 1.0 - jnp.asarray(epsilon) / norm), 0.0)
            residual = residual * shrink[..., None, None].astype(residual.real.dtype)
        return fine + bicubic(residual, scale)

    return jax.lax.fori_loop(0, iterations, correct, bicubic(coarse, scale))


def fit_linear_filter(
    coarse: Num[np.ndarray, "b h w"] | jax.Array,
    fine: Num[np.ndarray, "b y x"] | jax.Array,
    scale: int,
    size: int = 5,
    *,
    ridge: float = 1e-9,
    chunk: int = 256,
) -> Float[np.ndarray, "s s k k"]:
    """The best linear filter from coarse to fine rows, one size x size stencil per sub-pixel phase.

    Minimizes sum |fine - filter(coarse)|^2 + ridge (tr G / k^2) |w|^2 over real weights w that real and imaginary parts
    share; G is the Gram matrix of the stencils. Rows count by their energy: normalize them first. Host side, float64.

    Args:
        coarse: Coarse rows (b, h, w), complex or real.
        fine: Fine rows (b, h S, w S), in the same unit.
        scale: Factor S per axis.
        size: Odd width k of the stencil [coarse px].
        ridge: Regularization relative to the mean diagonal of the Gram matrix.
        chunk: Rows per step; the memory is about chunk * h * w * k^2 * 16 bytes.

    Returns:
        Weights (S, S, k, k): sub-pixel phase along y and x, stencil along y and x.

    Raises:
        ValueError: An even size, or fine rows that do not fit the coarse ones.
    """
    if size < 1 or size % 2 == 0:
        raise ValueError(f"size = {size}; the stencil must have an odd width.")
    b, h, w = coarse.shape
    if fine.shape != (b, h * scale, w * scale):
        raise ValueError(
            f"fine is {fine.shape}; coarse rows {coarse.shape} at scale {scale} need {(b, h * scale, w * scale)}."
        )
    gram = np.zeros((size**2, size**2))
    cross = np.zeros((size**2, scale**2))
    for start in range(0, b, chunk):
        stencils = _stencils(_parts(coarse[start : start + chunk]), size)
        targets = _phases(_parts(fine[start : start + chunk]), scale)
        gram += stencils.T @ stencils
        cross += stencils.T @ targets
    gram += ridge * np.trace(gram) / size**2 * np.eye(size**2)
    weights = np.linalg.solve(gram, cross)
    return weights.T.reshape(scale, scale, size, size)


def apply_linear_filter(
    coarse: Inexact[Array, "*b h w"], weights: Float[Array, "s s k k"]
) -> Inexact[jax.Array, "*b y x"]:
    """Upsample rows with a fitted filter; borders are mirrored (half-sample symmetric).

    fine[S i + p, S j + q] = sum_{m,n} weights[p, q, m, n] coarse[i + m - k//2, j + n - k//2].

    Args:
        coarse: Coarse rows (..., h, w).
        weights: Weights (S, S, k, k) from :func:`fit_linear_filter`.

    Returns:
        Fine rows (..., h S, w S).
    """
    coarse = jnp.asarray(coarse)
    if jnp.iscomplexobj(coarse):
        return jax.lax.complex(apply_linear_filter(coarse.real, weights), apply_linear_filter(coarse.imag, weights))
    s, size = weights.shape[1], weights.shape[2]
    *lead, h, w = coarse.shape
    padding = ((0, 0), (0, 0), (size // 2, size // 2), (size // 2, size // 2))
    padded = jnp.pad(coarse.reshape(-1, 1, h, w), padding, mode="symmetric")
    kernel = jnp.asarray(weights, coarse.dtype).reshape(s * s, 1, size, size)
    phases = jax.lax.conv(padded, kernel, (1, 1), "VALID", precision="highest")
    return phases.reshape(-1, s, s, h, w).transpose(0, 3, 1, 4, 2).reshape(*lead, h * s, w * s)


def _parts(rows: np.ndarray | jax.Array) -> np.ndarray:
    """Real and imaginary parts as separate real rows in float64."""
    rows = np.asarray(rows)
    parts = np.concatenate([rows.real, rows.imag]) if np.iscomplexobj(rows) else rows
    return parts.astype(np.float64)


def _stencils(rows: np.ndarray, size: int) -> np.ndarray:
    half = size // 2
    padded = np.pad(rows, ((0, 0), (half, half), (half, half)), mode="symmetric")
    return np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2)).reshape(-1, size**2)


def _phases(rows: np.ndarray, scale: int) -> np.ndarray:
    b, y, x = rows.shape
    blocks = rows.reshape(b, y // scale, scale, x // scale, scale)
    return blocks.transpose(0, 1, 3, 2, 4).reshape(-1, scale**2)

"""Complex least squares in real arithmetic: stacked parts and their products.

A complex matrix A = P + iQ is kept as real rows (2m, n), the real part of every row and its imaginary part below it, so that
a product is one real matrix product, and so that the parts of a row stay together where rows are shared out over devices: the
sums over rows are then sums over devices, and no device sees another's rows. Images are (frames, parts, n) with parts = 2
(real, imaginary) or 1 (real images only), data (frames, 2, m). With one part the products are those of the real matrix, whose
normal matrix is Re(A^H A): its minimizer is the exact one among real images.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mpijax.core.checks import is_concrete
from mpijax.core.typing import Array, Complex, Float, Num

matmul = partial(jnp.matmul, precision="highest")


def stack(matrix: Complex[Array, "m n"]) -> Float[jax.Array, "rows n"]:
    """The rows of P and Q of A = P + iQ in turn."""
    return jnp.stack([matrix.real, matrix.imag], axis=1).reshape(-1, matrix.shape[1])


def unstack(stacked: Float[Array, "rows n"]) -> tuple[Float[Array, "m n"], Float[Array, "m n"]]:
    """P and Q."""
    both = stacked.reshape(-1, 2, stacked.shape[1])
    return both[:, 0], both[:, 1]


def split(vectors: Complex[Array, "b k"]) -> Float[jax.Array, "b 2 k"]:
    """Real and imaginary parts of vectors."""
    return jnp.stack([vectors.real, vectors.imag], axis=1)


def join(vectors: Float[Array, "b parts k"]) -> Num[Array, "b k"]:
    """Complex vectors of two parts; real ones of one part."""
    return vectors[:, 0] if vectors.shape[1] == 1 else lax.complex(vectors[:, 0], vectors[:, 1])


def apply(stacked: Float[Array, "rows n"], images: Float[Array, "b parts n"]) -> Float[jax.Array, "b 2 m"]:
    """A x."""
    frames, parts, n = images.shape
    products = matmul(images.reshape(frames * parts, n), stacked.T).reshape(frames, parts, -1, 2)
    real, imaginary = products[..., 0], products[..., 1]
    if parts == 1:
        return jnp.concatenate([real, imaginary], axis=1)
    return jnp.stack([real[:, 0] - imaginary[:, 1], real[:, 1] + imaginary[:, 0]], axis=1)


def apply_adjoint(
    stacked: Float[Array, "rows n"], data: Float[Array, "b 2 m"], parts: int
) -> Float[jax.Array, "b parts n"]:
    """A^H y; with one part its real part."""
    turned = jnp.stack([data[:, 1], -data[:, 0]], axis=1)
    rows = data[:, None] if parts == 1 else jnp.stack([data, turned], axis=1)
    return matmul(rows.swapaxes(2, 3).reshape(len(data) * parts, -1), stacked).reshape(len(data), parts, -1)


def gram(stacked: Float[Array, "rows n"], *, dual: bool, parts: int) -> Num[jax.Array, "k k"]:
    """A^H A (n, n) or, dual, A A^H (m, m); with one part [P; Q]^T [P; Q] (n, n) or [P; Q] [P; Q]^T (2m, 2m)."""
    if parts == 1 and not dual:
        return matmul(stacked.T, stacked)
    p, q = unstack(stacked)
    if parts == 1:
        both = jnp.concatenate([p, q])
        return matmul(both, both.T)
    if dual:
        real, imaginary = matmul(p, p.T) + matmul(q, q.T), matmul(q, p.T)
    else:
        real, imaginary = matmul(stacked.T, stacked), matmul(p.T, q)
    return lax.complex(real, imaginary - imaginary.T)


def squares(vectors: Float[Array, "b parts k"]) -> Float[jax.Array, "b 1 1"]:
    """Squared norm per frame."""
    return jnp.sum(jnp.square(vectors), axis=(1, 2), keepdims=True)


def check_not_empty(peak: Any, shape: tuple[int, ...]) -> None:
    """Raise ValueError if the largest entry of a weighted matrix, where it is known, is zero."""
    if is_concrete(peak) and not peak > 0:
        raise ValueError(
            f"matrix of shape {tuple(shape)} has only zeros in the rows of nonzero weight; it says nothing about the image. "
            "Check which rows were selected."
        )

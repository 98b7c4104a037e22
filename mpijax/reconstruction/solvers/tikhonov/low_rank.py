"""Compression of a matrix to its leading singular vectors by a randomized range finder."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from mpijax.core.checks import check_count, check_finite
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Complex, Float, Inexact, Matrix, Num, Scalar, Vector
from mpijax.reconstruction.inputs import check_data, check_key, check_matrix, complex_pair
from mpijax.reconstruction.scaling import normalize, shift
from mpijax.reconstruction.solvers.tikhonov.normal_equations import apply, apply_adjoint, join, split, stack

PROBES = 10
"""Random vectors from which the discarded part is estimated: a standard deviation of at most 1/sqrt(20) of its square."""


@pytree
class LowRank:
    """A ~ U S V^H of rank k.

    With E = A - U U^H A, the Tikhonov solution x_k of the compressed problem (``matrix``, ``compress(data)``) satisfies
    (A^H A + lambda)(x - x_k) = E^H (b - A x_k), hence |x - x_k| <= |E| |b - A x_k| / lambda.

    Attributes:
        u: U, complex (m, k) with orthonormal columns.
        s: S, singular values (k,), largest first.
        vh: V^H, complex (k, n) with orthonormal rows.
        discarded: |E|_F / |A|_F, estimated from random products; of the order of the rounding at least.

    Source: Halko, Martinsson, Tropp, SIAM Rev. 53 (2011) 217; in MPI: Kluth and Jin, Phys. Med. Biol. 64 (2019) 125026.
    """

    u: Matrix
    s: Vector
    vh: Matrix
    discarded: Scalar

    @property
    def matrix(self) -> Complex[Array, "k n"]:
        """The compressed matrix S V^H = U^H A."""
        return self.s[:, None] * self.vh

    def compress(self, data: Num[Array, "..."]) -> Complex[Array, "..."]:
        """The compressed data U^H b.

        Args:
            data: b, complex (m,) or (frames, m).

        Returns:
            complex (k,) or (frames, k).

        Raises:
            ValueError: data of another shape, NaN or infinite entries.
        """
        data = check_data(data, self.u.shape[0])
        u, data = complex_pair(self.u, data)
        return _compress(u, data)


def randomized_svd(
    matrix: Inexact[Array, "m n"], rank: int, *, oversample: int = 10, power_iterations: int = 2, key: jax.Array
) -> LowRank:
    """The leading singular triplets of a matrix, from its products with a few random vectors.

    Q spans (A A^H)^q A Omega with a Gaussian Omega (n, rank + oversample); Q^H A is decomposed exactly. With two power
    iterations the singular values are close to the exact ones where they fall at all.

    Args:
        matrix: A, complex (m, n); weigh its rows before.
        rank: k, at most min(m, n).
        oversample: further columns of Omega.
        power_iterations: q; the product is orthonormalized after every factor, so that q costs no precision.
        key: of Omega.

    Returns:
        The decomposition.

    Raises:
        ValueError: a rank beyond the matrix's, NaN or infinite entries.
        TypeError: no array, no key.

    Source: Halko, Martinsson, Tropp, SIAM Rev. 53 (2011) 217, algorithms 4.4 and 5.1; in MPI:
        Kluth and Jin, Phys. Med. Biol. 64 (2019) 125026.
    """
    matrix = check_matrix(matrix)
    check_finite("matrix", matrix)
    check_rank(rank, matrix.shape)
    check_count("oversample", oversample, 0, static=True)
    check_count("power_iterations", power_iterations, 0, static=True)
    check_key(key)
    matrix, _ = complex_pair(matrix, matrix)
    size = min(rank + oversample, *matrix.shape)
    return _randomized_svd(matrix, key, rank=rank, size=size, power_iterations=power_iterations)


def check_rank(rank: Any, shape: tuple[int, ...]) -> None:
    """Raise ValueError unless the rank is a whole number from 1 to min(m, n)."""
    check_count("rank", rank, static=True)
    if rank > min(shape):
        raise ValueError(f"rank = {rank}; a matrix of shape {tuple(shape)} has at most rank {min(shape)}.")


@partial(jax.jit, static_argnames=("rank", "size", "power_iterations"))
def _randomized_svd(matrix, key, *, rank, size, power_iterations):
    scaled = normalize(stack(matrix))
    stacked = scaled.value
    range_key, probe_key = jax.random.split(key)
    basis = _orthonormal(_products(stacked, jax.random.normal(range_key, (size, matrix.shape[1]), stacked.dtype)))
    for _ in range(power_iterations):
        basis = _orthonormal(_adjoint_products(stacked, basis))
        basis = _orthonormal(join(apply(stacked, split(basis.T))).T)
    right, triangle = jnp.linalg.qr(_adjoint_products(stacked, basis))  # (Q^H A)^H, tall
    left, s, small = jnp.linalg.svd(triangle.T.conj(), full_matrices=False)
    u = _complex_matmul(basis, left[:, :rank])
    vh = _complex_matmul(small[:rank], right.T.conj())

    probes = jax.random.normal(probe_key, (PROBES, matrix.shape[1]), stacked.dtype)
    products = split(_products(stacked, probes).T)
    kept = apply(stack(u), apply_adjoint(stack(u), products, 2))
    discarded = jnp.linalg.norm(products - kept) / jnp.linalg.norm(products)
    return LowRank(u, shift(s[:rank], scaled.exponent), vh, discarded)


@jax.jit
def _compress(u, data):
    scaled = normalize(jnp.atleast_2d(data), axis=-1)
    compressed = shift(join(apply_adjoint(stack(u), split(scaled.value), 2)), scaled.exponent)
    return compressed.reshape(*data.shape[:-1], u.shape[1])


def _orthonormal(columns):
    return jnp.linalg.qr(columns)[0]


def _products(stacked: Float[Array, "rows n"], vectors: Float[Array, "k n"]) -> Complex[Array, "m k"]:
    """A times real vectors, as columns."""
    return join(apply(stacked, vectors[:, None])).T


def _adjoint_products(stacked: Float[Array, "rows n"], columns: Complex[Array, "m k"]) -> Complex[Array, "n k"]:
    """A^H times complex columns."""
    return join(apply_adjoint(stacked, split(columns.T), 2)).T


def _complex_matmul(left, right):
    return join(apply(stack(left), split(right.T))).T

"""The sweeps of block Kaczmarz over prepared factors: all frames at once, a fixed count of sweeps or a tolerance.

Frames are kept as real parts of all frames, then imaginary parts: images (2F, n), rows of data (B, 2F). A product with
a block (2B, n) is then one real matrix product.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import PartitionSpec
from jax.typing import ArrayLike

from mpijax.core.sharding import each_device, shared_out
from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Matrix, Num, Values
from mpijax.reconstruction.inputs import check_data, check_init, check_iteration, check_same_field
from mpijax.reconstruction.scaling import Scaled, common_exponent, normalize, scaled_frames, shift
from mpijax.reconstruction.solvers.kaczmarz.factors import KaczmarzFactors, to_blocks

_matmul = partial(jnp.matmul, precision="highest")


def kaczmarz_solve(
    factors: KaczmarzFactors,
    data: Num[Array, "..."],
    *,
    sweeps: int = 3,
    constraint: str | None = "nonnegative",
    init: Num[Array, "..."] | None = None,
    tolerance: ArrayLike | None = None,
) -> Solution[dict[str, Any], jax.Array]:
    """Regularized Kaczmarz with prepared factors; all frames go through every block together.

    Args:
        factors: from ``kaczmarz_factor``.
        data: b, complex (m,) or (frames, m), without the row weights.
        sweeps: passes over all rows; with a tolerance the most of them.
        constraint: projection after every sweep, as in ``kaczmarz``.
        init: prior image (n,) or (frames, n), as in ``kaczmarz``.
        tolerance: stop early, as in ``kaczmarz``.

    Returns:
        Solution as in ``kaczmarz``.

    Raises:
        ValueError: wrong shapes, NaN or infinite data, an unknown constraint, sweeps < 1, a negative tolerance.
        TypeError: real data for a complex matrix, or the reverse; a complex prior with a constraint.

    Source: Kaczmarz, Bull. Acad. Polon. Sci. A35 (1937) 355; in MPI: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """
    data = check_data(data, factors.n_rows, factors.blocks.shape[-1])
    check_same_field(factors.complex_rows, data)
    check_iteration(sweeps, constraint, tolerance)
    init = check_init(init, data.shape, factors.blocks.shape[-1], constraint)
    rows = shared_out(data) if tolerance is None and np.ndim(data) == 2 else None
    if rows is None:
        value, stats = _solve(factors, data, init, tolerance, sweeps=sweeps, constraint=constraint)
    else:
        value, stats = _solve_apart(factors, data, init, sweeps=sweeps, constraint=constraint, rows=rows)
    return Solution(value, {"sweeps": sweeps, **stats})


@partial(jax.jit, static_argnames=("sweeps", "constraint"))
def _solve(factors, data, init, tolerance, *, sweeps, constraint):
    blocks = factors.blocks
    frames = scale_frames(data, init, factors.row_weights, factors.exponent, blocks.shape[-1])
    columns = parts(frames.data, blocks.dtype).T
    if factors.row_order is not None:
        columns = columns[factors.row_order]
    rhs = to_blocks(columns, len(blocks), factors.inverses.shape[-1])

    def sweep(_, state):
        x, v = sweep_blocks(blocks, factors.inverses, factors.regularization, factors.voxel_scale, rhs, *state)
        return project(x, constraint), v

    start = parts(frames.start, blocks.dtype), jnp.zeros_like(rhs)
    (x, _), stats = iterate(sweep, start, sweeps, tolerance, frame_norm)
    stats["residual"] = relative_residual(blocks, x, rhs, constraint)
    return unpack(x, stats, frames.unit, data.shape[:-1], constraint)


@partial(jax.jit, static_argnames=("sweeps", "constraint", "rows"))
def _solve_apart(factors, data, init, *, sweeps, constraint, rows):
    """Every device solves its own frames; left alone, XLA exchanges real and imaginary parts between them in every step."""

    def solve(factors, data, init):
        return _solve(factors, data, init, None, sweeps=sweeps, constraint=constraint)

    whole, frames = PartitionSpec(), PartitionSpec(rows.spec[0])
    prior = frames if init is not None and init.ndim == 2 else whole
    results = frames, {"history": PartitionSpec(None, rows.spec[0]), "residual": frames}
    return each_device(solve, rows, (whole, frames, prior), results)(factors, data, init)


class Frames(NamedTuple):
    """Frames in units of their own, 2^(exponent + unit) of the data and 2^unit of the image."""

    data: Matrix  # (frames, m) weighted
    start: Matrix  # (frames, n) prior images
    unit: Values  # (frames, 1) exponents


def scale_frames(
    data: Values, init: Values | None, row_weights: Scaled | None, exponent: Values, voxels: int
) -> Frames:
    """Weighted data and prior, both of order one at most, for a matrix divided by 2^exponent."""
    given = scaled_frames(jnp.atleast_2d(data), row_weights)
    if init is None:
        return Frames(given.value, jnp.zeros((len(given.value), voxels)), given.exponent - exponent)
    prior = normalize(jnp.broadcast_to(init, (len(given.value), voxels)), axis=-1)
    image = Scaled(given.value, given.exponent - exponent)
    unit = common_exponent(image, prior, axis=-1)
    return Frames(image.within(unit), prior.within(unit), unit)


def sweep_blocks(
    blocks: Any, inverses: Any, regularization: Any, voxel_scale: Any, rhs: Any, x: Any, v: Any
) -> tuple[Any, Any]:
    """One sweep without projection: y = T_b (b_b - A_b x - v_b), x += S A_b^H y, v_b += s y over all blocks b.

    Args:
        blocks, inverses, regularization, voxel_scale: as in ``KaczmarzFactors``.
        rhs: weighted data (k, B, 2F).
        x: images (2F, n).
        v: states (k, B, 2F).
    """
    frames = len(x) // 2

    def step(x, block):
        rows, inverse, b, v = block
        y = _combine(_matmul(inverse, b - _combine(_matmul(rows, x.T)) - v))
        rotated = jnp.concatenate([y[:, frames:], -y[:, :frames]], axis=1)
        change = _matmul(jnp.concatenate([y, rotated]).T, rows)
        return x + (change if voxel_scale is None else change * voxel_scale), v + regularization * y

    return lax.scan(step, x, (blocks, inverses, rhs, v))


def _combine(products):
    """[P; Q] [R, S] (..., 2B, 2F) as the complex product (P + iQ) (R + iS), (..., B, 2F)."""
    size, frames = (n // 2 for n in products.shape[-2:])
    upper, lower = products[..., :size, :], products[..., size:, :]
    return jnp.concatenate(
        [upper[..., :frames] - lower[..., frames:], upper[..., frames:] + lower[..., :frames]], axis=-1
    )


def iterate(
    sweep: Callable[[Any, Any], Any], state: Any, sweeps: int, tolerance: Any, norm: Callable[[Any], Any]
) -> tuple[Any, dict[str, Any]]:
    """Apply ``state = sweep(k, state)`` for k = 0, 1, ...; the state's first entry is the image x.

    h_k = |x_(k+1) - x_k| / |x_(k+1)| per frame; with a tolerance stop as soon as max h_k <= tolerance.

    Returns:
        The last state; stats "history" (sweeps, frames), NaN for sweeps not done, and, with a tolerance, "sweeps" done.
    """

    def step(state, k):
        new = sweep(k, state)
        image, previous = lax.stop_gradient((new[0], state[0]))
        return new, _ratio(norm(image - previous), norm(image))

    if tolerance is None:
        state, history = lax.scan(step, state, jnp.arange(sweeps))
        return state, {"history": history}

    def unfinished(carry):
        _, k, change, _ = carry
        return (k < sweeps) & (jnp.max(change) > tolerance)

    def body(carry):
        state, k, _, history = carry
        state, change = step(state, k)
        return state, k + 1, change, history.at[k].set(change)

    change = jnp.full_like(norm(state[0]), jnp.inf)
    history = jnp.full((sweeps, *change.shape), jnp.nan, change.dtype)
    state, done, _, history = lax.while_loop(unfinished, body, (state, 0, change, history))
    return state, {"history": history, "sweeps": done}


def _ratio(part, whole):
    """part / whole; 0 where both vanish, infinite where only the whole does."""
    return jnp.where(whole > 0, part / jnp.where(whole > 0, whole, 1), jnp.where(part > 0, jnp.inf, 0))


def parts(vectors: Any, dtype: Any) -> Any:
    """Vectors (F, k), complex or real, as (2F, k): real parts of all frames, then imaginary parts."""
    return jnp.concatenate([vectors.real, vectors.imag]).astype(dtype)


def project(x: Any, constraint: str | None) -> Any:
    """Real part, then positive part, of images (2F, n)."""
    if constraint is None:
        return x
    real = x[: len(x) // 2]
    real = real if constraint == "real" else jnp.maximum(real, 0)
    return jnp.concatenate([real, jnp.zeros_like(real)])


def frame_norm(x: Any) -> Any:
    """Norm of every frame of images (2F, n)."""
    return jnp.sqrt(jnp.sum(jnp.square(x).reshape(2, len(x) // 2, -1), axis=(0, 2)))


def relative_residual(blocks: Any, x: Any, rhs: Any, constraint: str | None) -> Any:
    """|Ax - b| / |b| per frame, a constant under differentiation; 0 where b = 0."""
    blocks, x, rhs = lax.stop_gradient((blocks, x, rhs))
    count, size, n_voxels = blocks.shape
    columns = x.T if constraint is None else x[: len(x) // 2].T
    product = _matmul(blocks.reshape(-1, n_voxels), columns).reshape(count, size, -1)
    if constraint is None:
        product = _combine(product)
    else:
        product = jnp.concatenate([product[:, : size // 2], product[:, size // 2 :]], axis=-1)
    norms = [jnp.sum(jnp.square(r).reshape(-1, 2, r.shape[-1] // 2), axis=(0, 1)) for r in (product - rhs, rhs)]
    misfit, norm = map(jnp.sqrt, norms)
    return jnp.where(norm > 0, misfit / jnp.where(norm > 0, norm, 1), 0)


def unpack(
    x: Any, stats: dict[str, Any], unit: Values, frames: tuple[int, ...], constraint: str | None
) -> tuple[Any, dict[str, Any]]:
    """Images (2F, n) and per-frame stats in the unit and shape of the data: (..., n), (...) and (sweeps, ...)."""
    half = len(x) // 2
    value = shift(x[:half] if constraint else lax.complex(x[:half], x[half:]), unit)
    stats = {
        **stats,
        "residual": stats["residual"].reshape(frames),
        "history": stats["history"].reshape(-1, *frames),
    }
    return value.reshape(*frames, x.shape[1]), stats

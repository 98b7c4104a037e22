"""Frames that arrive one by one, reconstructed with constant memory and latency."""

from collections.abc import Iterable, Iterator

import jax.numpy as jnp
from jax.typing import ArrayLike

from mpijax.core.solution import Solution
from mpijax.core.typing import Array, Num
from mpijax.reconstruction.inputs import check_array, check_iteration
from mpijax.reconstruction.solvers.kaczmarz.blocks import kaczmarz_solve
from mpijax.reconstruction.solvers.kaczmarz.factors import KaczmarzFactors


def kaczmarz_stream(
    factors: KaczmarzFactors,
    frames: Iterable[Num[Array, "..."]],
    *,
    sweeps: int = 3,
    constraint: str | None = "nonnegative",
    warm_start: bool = False,
    tolerance: ArrayLike | None = None,
) -> Iterator[Solution]:
    """Reconstruct frames as they come: one solution per frame, from one compiled program.

    x_t = kaczmarz_solve(factors, b_t, init=x_(t-1) if warm_start else None)

    Nothing is kept but the last image. Frames are taken only when the next solution is asked for, and a solution is
    handed out while it is still being computed (JAX dispatches asynchronously): the program can fetch the next frame
    meanwhile; reading ``value`` waits for it.

    Args:
        factors: from ``kaczmarz_factor``.
        frames: iterable of b, complex (m,); (k, m) for k frames at a time. All of one shape.
        sweeps: passes over all rows; with a tolerance the most of them.
        constraint: projection after every sweep, as in ``kaczmarz``.
        warm_start: take the last image as the prior of the next frame. It is a prior and not only a first guess: many
            sweeps then minimize |W(Ax_t - b_t)|^2 + lambda |x_t - x_(t-1)|^2, which smooths over time.
        tolerance: stop early, as in ``kaczmarz``; the latency then depends on the frame.

    Yields:
        Solution as from ``kaczmarz_solve``.

    Raises:
        ValueError, TypeError: as ``kaczmarz_solve``, at the frame concerned.
    """
    check_iteration(sweeps, constraint, tolerance)
    options = {"sweeps": sweeps, "constraint": constraint, "tolerance": tolerance}
    return _stream(factors, frames, warm_start, options)


def _stream(factors, frames, warm_start, options):
    dtype = factors.blocks.dtype if options["constraint"] else jnp.result_type(factors.blocks, jnp.complex64)
    image = jnp.zeros(factors.blocks.shape[-1], dtype)
    for frame in frames:
        frame = check_array("a frame", frame)
        prior = jnp.broadcast_to(image, (*frame.shape[:-1], image.shape[-1])) if warm_start else None
        solution = kaczmarz_solve(factors, frame, init=prior, **options)
        image = solution.value
        yield solution

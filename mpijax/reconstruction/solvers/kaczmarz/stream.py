"""Frames that arrive one by one, reconstructed with constant memory and latency."""

import itertools
from collections.abc import Iterable, Iterator

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from mpijax.core.checks import check_count
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
    together: int = 1,
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
        together: frames per pass over the matrix, which in 3-D costs more than what is done with it: a frame waits for up to
            ``together - 1`` others, and all of them come faster. Solutions are of single frames as ever.

    Yields:
        Solution as from ``kaczmarz_solve``.

    Raises:
        ValueError, TypeError: as ``kaczmarz_solve``, at the frame concerned; several frames together with a warm start, of which
            each needs the image before.

    Source: Kaczmarz, Bull. Acad. Polon. Sci. A35 (1937) 355; in MPI: Knopp et al., Phys. Med. Biol. 55 (2010) 1577.
    """
    check_iteration(sweeps, constraint, tolerance)
    check_count("together", together, static=True)
    if warm_start and together > 1:
        raise ValueError(
            f"together = {together} with warm_start: a frame then needs the image before it. Leave out one of them."
        )
    options = {"sweeps": sweeps, "constraint": constraint, "tolerance": tolerance}
    if together == 1:
        return _stream(factors, frames, warm_start, options)
    return _single(_stream(factors, batches := _Batches(frames, together), False, options), batches)


def _stream(factors, frames, warm_start, options):
    dtype = factors.blocks.dtype if options["constraint"] else jnp.result_type(factors.blocks, jnp.complex64)
    image = jnp.zeros(factors.blocks.shape[-1], dtype)
    for frame in frames:
        frame = check_array("a frame", frame)
        prior = jnp.broadcast_to(image, (*frame.shape[:-1], image.shape[-1])) if warm_start else None
        solution = kaczmarz_solve(factors, frame, init=prior, **options)
        image = solution.value
        yield solution


class _Batches:
    """Frames (m,) in batches of the same size, the last one filled up; ``own`` is how many of the last batch are frames."""

    def __init__(self, frames: Iterable[Num[Array, "..."]], size: int):
        self.frames, self.size, self.own = frames, size, 0

    def __iter__(self) -> Iterator[Num[Array, "k m"]]:
        source = iter(self.frames)
        while batch := [check_array("a frame", frame) for frame in itertools.islice(source, self.size)]:
            if batch[0].ndim != 1:
                raise ValueError(
                    f"a frame has shape {batch[0].shape}; with together > 1 frames come one by one, as (m,)."
                )
            self.own = len(batch)
            yield np.stack(batch + batch[-1:] * (self.size - len(batch)))


def _single(solutions: Iterator[Solution], batches: _Batches) -> Iterator[Solution]:
    """Solutions of the frames of every batch, one by one."""
    for solution in solutions:
        for i in range(batches.own):
            stats = {name: v[..., i] if np.ndim(v) else v for name, v in solution.stats.items()}
            yield Solution(solution.value[i], stats)

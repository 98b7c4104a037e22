"""Kaczmarz with rows drawn anew for every sweep, in proportion to their energy."""

from functools import partial
from math import ceil
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from mpijax.reconstruction.scaling import scaled_rows
from mpijax.reconstruction.solvers.kaczmarz.blocks import (
    frame_norm,
    iterate,
    parts,
    project,
    relative_residual,
    scale_frames,
    sweep_blocks,
    unpack,
)
from mpijax.reconstruction.solvers.kaczmarz.factors import division, prepare, split_regularization, to_blocks
from mpijax.reconstruction.weights import row_energies

FRACTION = 0.15
"""Share of the rows that one sweep visits."""


def draw_rows(key: Any, energies: Any) -> Any:
    """round(0.15 m) distinct rows (at least one), drawn one after another with p proportional to the energies (m,).

    Rows without energy have probability zero; they fill the end only where fewer rows than that have energy, and
    the solver skips them.
    """
    m = len(energies)
    energies = lax.stop_gradient(energies)
    share = energies / jnp.max(energies)
    return jax.random.choice(key, m, (max(1, round(FRACTION * m)),), replace=False, p=share / jnp.sum(share))


@partial(jax.jit, static_argnames=("sweeps", "constraint", "block_size"))
def solve_randomized(
    matrix, data, regularization, row_weights, init, key, tolerance, *, sweeps, constraint, block_size
):
    """All sweeps; the state v of a row is kept while the row is not drawn.

    Returns:
        value and stats as in ``kaczmarz``, and the largest row energy.
    """
    scaled = scaled_rows(matrix, row_weights)
    matrix, exponent = scaled.value, scaled.exponent
    regularization, voxel_scale = split_regularization(regularization, exponent)
    energies = row_energies(matrix)
    frames = scale_frames(data, init, row_weights, exponent, matrix.shape[1])
    columns = parts(frames.data, energies.dtype).T

    def sweep(k, state):
        x, v = state
        rows = draw_rows(jax.random.fold_in(key, k), energies)
        blocks, inverses, _ = prepare(matrix[rows], regularization, voxel_scale, *division(len(rows), block_size))
        count, size = ceil(len(rows) / block_size), inverses.shape[-1]
        rhs, known = to_blocks(columns[rows], count, size), to_blocks(v[rows], count, size)
        x, known = sweep_blocks(blocks, inverses, regularization, voxel_scale, rhs, x, known)
        return project(x, constraint), v.at[rows].set(known.reshape(count * size, -1)[: len(rows)])

    start = parts(frames.start, energies.dtype), jnp.zeros_like(columns)
    (x, _), stats = iterate(sweep, start, sweeps, tolerance, frame_norm)
    stacked = parts(matrix, energies.dtype)
    stats["residual"] = relative_residual(stacked[None], x, columns[None], constraint)
    value, stats = unpack(x, stats, frames.unit, data.shape[:-1], constraint)
    return value, stats, lax.stop_gradient(jnp.max(energies))

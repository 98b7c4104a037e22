"""A stream small enough for tests: 60 samples, grids of 3 to 12 voxels per axis, two buckets."""

import jax
import jax.numpy as jnp

import mpijax as mj
from mpijax.datasets import RowStream, nested_buckets
from mpijax.system import Setup

SMALL, LARGE = nested_buckets((4, 4, 1), (8, 8, 1), (12, 12, 1))


class TinyPrior:
    """2-D Langevin calibrations; cycles (5, 6) in 60 samples."""

    def draw(self, key):
        size_key, core_key = jax.random.split(key)
        voxels = jax.random.randint(size_key, (2,), 3, 13)
        return Setup(
            scanner=mj.Scanner.create(gradient=(-1.0, -1.0, 2.0)),
            sequence=mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0), dividers=(12, 10, 8)),
            particle=mj.Particle.create(core_diameter=jax.random.uniform(core_key, minval=15.0, maxval=25.0) * 1e-9),
            extent=jnp.append(voxels, 1),
            fov=jnp.array([30e-3, 24e-3, 1e-3]),
            center=jnp.array([1e-3, 0.0, 0.0]),
        )


PRIOR = TinyPrior()


def upsampling_pair(key, row, extent):
    """Block means of a row of random phase, and the row."""
    row = row / jnp.max(jnp.abs(row)) * jnp.exp(2j * jnp.pi * jax.random.uniform(key)).astype(row.dtype)
    ny, nx = row.shape
    coarse = row.reshape(ny // 2, 2, nx // 2, 2).mean((1, 3))
    valid = (jnp.arange(ny)[:, None] < extent[1]) & (jnp.arange(nx) < extent[0])
    channels = {name: jnp.stack([x.real, x.imag], -1) for name, x in {"input": coarse, "target": row}.items()}
    return channels | {"weight": valid[..., None].astype(row.real.dtype)}


def make_stream(pair=upsampling_pair, buckets=(SMALL, LARGE), seed=0, **settings):
    """The tiny stream with other settings."""
    defaults = dict(batch_size=4, slots=3, rows_per_matrix=4, reuse=2, draws=64)
    return RowStream(PRIOR, pair, list(buckets), key=jax.random.key(seed), **(defaults | settings))

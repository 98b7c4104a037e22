"""What the tests of the networks on masked grids share: rows in boxes, counts, and the invariances."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from mpijax import models


class _OneKey(nnx.RngStream):
    """A stream that stays at its first key: counting keys on, flax prints the whole trace so far at each of them."""

    def __call__(self):
        return self.key[...]


def shapes(make):
    """The module that `make(rngs)` builds, with shapes in place of numbers; nothing is allocated."""

    def build():
        rngs = nnx.Rngs(0)
        rngs.default = _OneKey(0, tag="default")
        return make(rngs)

    return nnx.eval_shape(build)


def abstract(name, **options):
    """A network with shapes in place of weights."""
    return nnx.eval_shape(lambda: models.create(name, rngs=0, **options))


def count(name, **options):
    """Trainable scalars of a network."""
    return size(abstract(name, **options))


def size(model):
    """Trainable scalars of a module, or of the shapes of one."""
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def create(name, **options):
    """A network with random numbers in all its variables, in none of them zero and running statistics of their own."""
    return draw(abstract(name, **options))


def draw(model):
    """A module, or the shapes of one, with random numbers in all its variables."""
    random = np.random.default_rng(0)

    def drawn(path, leaf):
        values = random.normal(size=leaf.shape)
        kind = [str(part) for part in path][-1]
        if kind == "kernel":
            values /= math.sqrt(math.prod(leaf.shape[:-1]))
        elif kind in ("var", "scale"):
            values = 1 + 0.1 * np.tanh(values)
        else:
            values *= 0.1
        return leaf.replace(jnp.asarray(values, leaf.dtype))

    graph, state = nnx.split(model)
    return nnx.merge(graph, nnx.map_state(drawn, state))


def untrained(name, x, mask=None, **options):
    """Output of a fresh network."""
    return jax.jit(lambda x, mask: models.create(name, rngs=0, **options)(x, mask=mask))(x, mask)


@nnx.jit
def call(model, x, **inputs):
    """Output of a network as one program; op by op, every operation is compiled by itself."""
    return model(x, **inputs)


def train(model, x, mask=None):
    """Output with the statistics of the batch, and the running ones it leaves; the model stays as it is."""
    graph, state = nnx.split(model)
    return _train(graph, state, x, mask)


@functools.partial(jax.jit, static_argnums=0)
def _train(graph, state, x, mask):
    network = nnx.merge(graph, state, copy=True)
    return network(x, mask=mask), jax.tree.leaves(nnx.state(network, nnx.BatchStat))


def boxed(rows, known, box, offset=None, fill=0.0):
    """Rows (b, *s, c) at an offset in a box, `fill` around them; their mask (b, *box, 2) of known and inside voxels."""
    offset = (0,) * len(box) if offset is None else offset
    shape = rows.shape[1:-1]
    at = (slice(None), *(slice(o, o + n) for o, n in zip(offset, shape, strict=True)))
    x = np.full((rows.shape[0], *box, rows.shape[-1]), fill, np.float32)
    mask = np.zeros((rows.shape[0], *box, 2), np.float32)
    x[at] = np.where(known, rows, fill)
    mask[at] = np.concatenate([known, np.ones_like(known)], axis=-1)
    return jnp.asarray(x), jnp.asarray(mask), at


def sample(*shape, batch=2, missing=0.3, seed=0):
    """Rows (b, *shape, 2) with zeros at unknown voxels, and the known ones (b, *shape, 1)."""
    random = np.random.default_rng(seed)
    known = (random.uniform(size=(batch, *shape, 1)) > missing).astype(np.float32)
    return random.normal(size=(batch, *shape, 2)).astype(np.float32) * known, known


def check_boxes(model, shape, boxes, scale=1):
    """The same rows in several boxes, with garbage around them: same output inside, zero outside, same statistics.

    `boxes` are pairs (box, offset). The first result is that of the bare rows.
    """
    rows, known = sample(*shape)
    bare, statistics = train(model, jnp.asarray(rows), jnp.concatenate([known, np.ones_like(known)], -1))
    bare = np.asarray(bare)
    assert bare.shape == (rows.shape[0], *(scale * n for n in shape), 2) and np.ptp(bare) > 0.1
    for box, offset in boxes:
        for fill in (0.0, np.nan):
            x, mask, _ = boxed(rows, known, box, offset, fill)
            out, stats = train(model, x, mask)
            inside = np.repeat(np.asarray(mask[..., 1:]) > 0, 2, -1)
            for axis in range(1, inside.ndim - 1):
                inside = np.repeat(inside, scale, axis)
            out = np.asarray(out)
            np.testing.assert_array_equal(out[~inside], 0)
            np.testing.assert_allclose(out[inside].reshape(bare.shape), bare, atol=1e-6 * np.abs(bare).max(), rtol=0)
            for a, b in zip(stats, statistics, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def check_gradient(model, x, mask):
    """The gradient of the output's square is finite and not zero."""
    graph, params, rest = nnx.split(model, nnx.Param, ...)

    def loss(params):
        return jnp.sum(nnx.merge(graph, params, rest, copy=True)(x, mask=mask) ** 2)

    leaves = jax.tree.leaves(jax.jit(jax.grad(loss))(params))
    assert all(bool(jnp.isfinite(leaf).all()) for leaf in leaves) and any(bool(leaf.any()) for leaf in leaves)


def check_config(model):
    """The configuration rebuilds the network."""
    again = abstract(**model.config)
    assert again.config == model.config and nnx.graphdef(again) == nnx.graphdef(model)


def check_bfloat16(name, shape, **options):
    """With dtype="bfloat16": weights, statistics and output are float32, and the output is near the float32 one."""
    rows, known = sample(*shape)
    mask = np.concatenate([known, np.ones_like(known)], -1)
    exact, rough = create(name, **options), create(name, dtype="bfloat16", **options)
    check_config(rough)
    (expected, statistics), (out, rough_statistics) = train(exact, rows, mask), train(rough, rows, mask)
    assert out.dtype == jnp.float32
    assert {leaf.dtype for leaf in jax.tree.leaves((nnx.state(rough), rough_statistics))} == {jnp.dtype(jnp.float32)}
    change = expected - rows if out.shape == rows.shape else expected
    assert 1e-5 < float(jnp.linalg.norm(out - expected) / jnp.linalg.norm(change)) < 0.05
    for a, b in zip(rough_statistics, statistics, strict=True):
        np.testing.assert_allclose(a, b, rtol=0.05, atol=0.02)
        assert not np.array_equal(a, jnp.asarray(a, jnp.bfloat16).astype(jnp.float32))  # never rounded to eight bits

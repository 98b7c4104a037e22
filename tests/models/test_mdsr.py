import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax import models
from mpijax.training.state import split
from tests.models.grids import check_config, count, create
from tests.models.training import check_loss_falls

SMALL = dict(features=4, blocks=1)


def test_counts():
    assert {count("mdsr", scale=s) for s in (2, 4, 8)} == {3_336_834}
    assert count("mdsr", scale=8, blocks=80) == 8_063_618


@pytest.mark.parametrize(("scale", "grid"), [(2, (13, 23)), (4, (5, 4)), (8, (1, 3))])
def test_shapes(scale, grid):
    out = jax.eval_shape(lambda: models.create("mdsr", scale=scale, rngs=0)(jnp.zeros((2, *grid, 2))))
    assert out.shape == (2, scale * grid[0], scale * grid[1], 2)


def test_one_set_of_weights_serves_all_factors():
    """Only the head and the tail of the factor of the step get a gradient."""
    networks = {s: split(create("mdsr", scale=s, **SMALL)) for s in (2, 4)}
    weights = networks[2][1]
    assert jax.tree.structure(weights) == jax.tree.structure(networks[4][1])
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, 3, 3, 2)), jnp.float32)
    for scale, (network, _) in networks.items():
        assert network.evaluate(weights, x).shape == (1, 3 * scale, 3 * scale, 2)
        gradient = jax.jit(jax.grad(lambda w, n=network: jnp.sum(n.train(w, x)[0] ** 2)))(weights).params
        for part in ("heads", "tails"):
            moved = [any(bool(leaf.any()) for leaf in jax.tree.leaves(gradient[part][i])) for i in range(3)]
            assert moved == [scale == 2, scale == 4, False]


def test_value_against_numpy():
    """One cell and kernels that are zero but for the middle: every fine cell is a function of its own."""
    model = create("mdsr", scale=2, scales=(2,), **SMALL)
    blocks = [*model.heads[0], *model.blocks]
    convs = [model.first, model.trunk, model.tails[0][0], model.last] + [c for b in blocks for c in (b.conv1, b.conv2)]
    for conv in convs:
        half = conv.kernel.shape[0] // 2
        middle = conv.kernel[half, half]
        conv.kernel[...] = np.zeros(conv.kernel.shape, np.float32)
        conv.kernel[half, half] = middle
    x = np.asarray([0.7, -1.2])

    def at(conv, values):
        half = conv.kernel.shape[0] // 2
        return values @ np.float64(conv.kernel[half, half]) + np.float64(conv.bias[...])

    shallow = at(model.first, x)
    for block in model.heads[0]:
        shallow = shallow + at(block.conv2, np.maximum(at(block.conv1, shallow), 0))
    hidden = shallow + at(model.blocks[0].conv2, np.maximum(at(model.blocks[0].conv1, shallow), 0))
    wide = at(model.tails[0][0], shallow + at(model.trunk, hidden))
    expected = at(model.last, wide.reshape(4, 2, 2).transpose(1, 2, 0))
    out = model(x.astype(np.float32).reshape(1, 1, 1, 2))
    np.testing.assert_allclose(out[0], expected, rtol=1e-5, atol=1e-6)


def test_config():
    check_config(create("mdsr", scale=4, scales=[2, 4], **SMALL))


def test_loss_falls():
    check_loss_falls("mdsr", 2, scales=(2, 4), **SMALL)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scale": None}, "scale = None; allowed: 2, 4, 8"),
        ({"scale": 4, "scales": (2,)}, "scale = 4; allowed: 2"),
        ({"scales": (2, 3)}, "scales = \\(2, 3\\)"),
        ({"scales": (2, 2)}, "different powers of two"),
        ({"blocks": 0}, "blocks = 0"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("mdsr", rngs=0, **{"scale": 2, **SMALL, **options})

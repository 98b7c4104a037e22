"""SS2D: directions, symmetries, initial weights; it and other parts of the image networks against PyTorch twins (extra `bench`)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax.models.blocks.ss2d import SS2D, image_to_sequences, sequences_to_image
from mpijax.models.latent_diffusion import Denoiser, LatentEncoder
from mpijax.models.mpi_mamba import CrossAttention
from mpijax.models.nafnet import NAFBlock
from mpijax.models.restormer import ChannelAttention, GatedFeedForward
from mpijax.training.state import by_path
from tests.models.grids import draw

DIRECTED = ("select", "widen", "step_bias", "a_log", "skip")


def test_sequences_run_along_rows_and_columns_and_back():
    x = np.arange(6.0, dtype=np.float32).reshape(1, 2, 3, 1)
    expected = [[0, 1, 2, 3, 4, 5], [0, 3, 1, 4, 2, 5], [5, 4, 3, 2, 1, 0], [5, 2, 4, 1, 3, 0]]
    np.testing.assert_array_equal(image_to_sequences(x)[0, :, :, 0], expected)


def test_the_sum_over_directions_is_the_transpose():
    random = np.random.default_rng(0)
    x, y = random.normal(size=(2, 3, 4, 2)).astype(np.float32), random.normal(size=(2, 4, 12, 2)).astype(np.float32)
    there, back = np.sum(image_to_sequences(x) * y), np.sum(x * sequences_to_image(y, 3, 4))
    np.testing.assert_allclose(there, back, rtol=1e-5)
    np.testing.assert_allclose(sequences_to_image(image_to_sequences(x), 3, 4), 4 * x, rtol=1e-6)


@pytest.mark.parametrize(
    ("turn", "order"),
    [
        (lambda x: x[:, ::-1, ::-1], [2, 3, 0, 1]),
        (lambda x: jnp.swapaxes(x, 1, 2), [1, 0, 3, 2]),
        (lambda x: jnp.swapaxes(x, 1, 2)[:, ::-1, ::-1], [3, 2, 1, 0]),
    ],
)
def test_turning_the_image_permutes_the_directions(turn, order):
    """A turned image through the module is the turned output of the module with permuted directions and a turned kernel."""
    layer, x = draw(SS2D(3, states=2, rngs=nnx.Rngs(0))), jax.random.normal(jax.random.key(0), (1, 3, 4, 3))
    np.testing.assert_array_equal(image_to_sequences(turn(x)), image_to_sequences(x)[:, jnp.array(order)])
    turned = nnx.clone(layer)
    for name in DIRECTED:
        parameter = getattr(turned, name)
        parameter[...] = parameter[...][jnp.array(order)]
    kernel = turned.depthwise.kernel
    kernel[...] = turn(kernel[...][..., 0, :][None])[0][:, :, None]
    expected = turn(layer(x))
    np.testing.assert_allclose(turned(turn(x)), expected, atol=1e-5 * float(jnp.abs(expected).max()))
    assert float(jnp.abs(layer(turn(x)) - expected).max()) > 1e-3


def test_initial_weights_are_those_of_mamba():
    layer = SS2D(32, rngs=nnx.Rngs(0))
    width = nnx.softplus(layer.step_bias[...])
    assert 0.999e-3 < float(width.min()) < 2e-3 and 0.05 < float(width.max()) < 0.1001
    np.testing.assert_allclose(jnp.exp(layer.a_log[...]), np.broadcast_to(np.arange(1, 17), (4, 64, 16)), rtol=1e-6)
    assert 0.9 < float(jnp.abs(layer.widen[...]).max()) * 2**0.5 <= 1  # rank 32/16
    assert float(layer.skip[...].min()) == float(layer.skip[...].max()) == 1


def test_without_a_scan_every_cell_sees_its_neighbors_alone():
    layer = SS2D(2, scan=False, rngs=nnx.Rngs(0))
    assert not set(DIRECTED) & set(nnx.to_pure_dict(nnx.state(layer)))
    x = jax.random.normal(jax.random.key(0), (1, 5, 5, 2))
    changed = np.asarray(jnp.abs(layer(x.at[0, 0, 0].add(1.0)) - layer(x)).sum(-1)[0]) > 0
    assert changed[:2, :2].all() and changed.sum() == 4


IMAGE, TOKENS = (2, 4, 6, 6), (2, 5, 8)
PARTS = {
    "SS2D": (SS2D, (6,), dict(states=3), [IMAGE]),
    "CrossAttention": (CrossAttention, (6, 2, 8), {}, [IMAGE, TOKENS]),
    "ChannelAttention": (ChannelAttention, (6, 2), {}, [IMAGE]),
    "GatedFeedForward": (GatedFeedForward, (6,), {}, [IMAGE]),
    "NAFBlock": (NAFBlock, (6,), {}, [IMAGE]),
    "LatentEncoder": (LatentEncoder, (2, 6, 2, 2), {}, [(2, 12, 20, 2)]),
    "Denoiser": (Denoiser, (5, 8, 12), {}, [TOKENS, (), TOKENS]),
}


@pytest.mark.parametrize("name", list(PARTS))
def test_parts_are_those_of_pytorch(name):
    torch = pytest.importorskip("torch")
    twins = pytest.importorskip("benchmarks.torch_mamba")
    part, sizes, options, shapes = PARTS[name]
    layer = draw(nnx.eval_shape(lambda: part(*sizes, **options, rngs=nnx.Rngs(0))))
    twin = twins.load(getattr(twins, name)(*sizes, **options), by_path(nnx.to_pure_dict(nnx.state(layer))))
    random = np.random.default_rng(0)
    inputs = [np.float32(random.normal(size=shape)) if shape else np.float32(3) for shape in shapes]
    with torch.no_grad():
        expected = twin(*(torch.tensor(value) for value in inputs)).numpy()
    ours = nnx.jit(lambda layer, *values: layer(*values))(layer, *inputs)
    assert ours.shape == expected.shape and np.ptp(expected) > 0.1
    np.testing.assert_allclose(ours, expected, atol=1e-5 * np.abs(expected).max(), rtol=0)

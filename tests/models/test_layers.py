import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from mpijax.core.interpolation import keys_matrix
from mpijax.models.blocks.convolution import PointwiseConv
from mpijax.models.blocks.layers import EncoderLayer, attention, batch_norm, keys_upsample, pixel_shuffle, torch_uniform


def test_pixel_shuffle_has_the_channel_order_of_torch():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 2 * 9)).astype(np.float32)
    expected = np.zeros((2, 9, 12, 2), np.float32)
    for h, w, c, i, j in np.ndindex(3, 4, 2, 3, 3):
        expected[:, 3 * h + i, 3 * w + j, c] = x[:, h, w, c * 9 + i * 3 + j]
    np.testing.assert_array_equal(pixel_shuffle(x, 3), expected)


def test_keys_upsample_is_separable_and_channelwise():
    x = np.random.default_rng(1).normal(size=(2, 5, 6, 2)).astype(np.float32)
    out = keys_upsample(x, 2)
    assert out.shape == (2, 10, 12, 2) and out.dtype == jnp.float32
    expected = keys_matrix(5, 10) @ x[1, :, :, 1].astype(np.float64) @ keys_matrix(6, 12).T
    np.testing.assert_allclose(out[1, :, :, 1], expected, atol=1e-6)


def test_encoder_layer_equals_attention_written_out():
    layer = EncoderLayer(8, 2, 12, rngs=nnx.Rngs(0))
    tokens = np.asarray(jax.random.normal(jax.random.key(1), (3, 5, 8)))

    def dense(linear, x):
        return x @ np.float64(linear.kernel[...]) + np.float64(linear.bias[...])

    def normalized(x):
        return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)

    x = np.float64(tokens)
    q, k, v = np.split(dense(layer.query_key_value, normalized(x)), 3, axis=-1)
    attended = np.zeros_like(x)
    for head in range(2):
        part = slice(4 * head, 4 * head + 4)  # head-major
        scores = np.exp(q[..., part] @ k[..., part].transpose(0, 2, 1) / np.sqrt(4))
        attended[..., part] = scores / scores.sum(-1, keepdims=True) @ v[..., part]
    x = x + dense(layer.projection, attended)
    x = x + dense(layer.contract, np.maximum(dense(layer.expand, normalized(x)), 0))
    np.testing.assert_allclose(nnx.jit(lambda m, t: m(t))(layer, tokens), x, atol=1e-5)


def test_batch_norm_keeps_nine_tenths_of_its_running_mean():
    norm = batch_norm(1, rngs=nnx.Rngs(0))
    norm(jnp.full((4, 2, 2, 1), 5.0))
    np.testing.assert_allclose(norm.mean[...], 0.5, rtol=1e-6)


def test_attention_and_its_gradient_equal_the_library():
    query, key, value, cotangent = (
        jax.random.normal(k, (3, n, 2, 4))
        for k, n in zip(jax.random.split(jax.random.key(2), 4), (5, 7, 7, 5), strict=True)
    )

    def weighted(function):
        return lambda *tokens: jnp.sum(function(*tokens) * cotangent)

    ours, theirs = (
        jax.value_and_grad(weighted(function), (0, 1, 2))(query, key, value)
        for function in (attention, jax.nn.dot_product_attention)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=5e-6), ours, theirs)


def test_pointwise_convolution_and_its_gradient_equal_the_library():
    x = jax.random.normal(jax.random.key(3), (2, 4, 5, 3))
    ours = PointwiseConv(3, 6, init=torch_uniform(3), rngs=nnx.Rngs(0))
    theirs = nnx.Conv(3, 6, (1, 1), kernel_init=torch_uniform(3), bias_init=torch_uniform(3), rngs=nnx.Rngs(0))

    def energy(layer, x):
        return jnp.sum(layer(x) ** 3)

    found, expected = (nnx.grad(energy, argnums=(0, 1))(layer, x) for layer in (ours, theirs))
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    assert all(np.max(np.abs(b)) > 0.1 for b in jax.tree.leaves(expected))
    for a, b in pairs:
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)

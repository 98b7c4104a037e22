"""Convolutions of kernel size 3 and 1 as XLA computes them fast on a CPU."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer

from mpijax.core.typing import Float


class Conv(nnx.Conv):
    """`flax.nnx.Conv` of kernel size 3, stride 1 and zero padding, in two or three dimensions.

    On a CPU a three-dimensional one runs as a two-dimensional convolution of the three neighbors along z laid side by side as
    channels: the same sums, which XLA computes faster there.

    Args:
        n_in: input channels.
        n_out: output channels.
        dimensions: 2 or 3.
        rngs: random streams of the initial weights.
        **options: of `flax.nnx.Conv`.
    """

    def __init__(self, n_in: int, n_out: int, dimensions: int, *, rngs: nnx.Rngs, **options: Any):
        super().__init__(n_in, n_out, (3,) * dimensions, rngs=rngs, **options)

    def __call__(self, x: Float[jax.Array, "b *s c"], out_sharding: Any = None) -> Float[jax.Array, "b *s k"]:
        """Features (b, *s, n_in) to (b, *s, n_out)."""
        if x.ndim == 4:
            return super().__call__(x)
        return jax.lax.platform_dependent(x, cpu=self._by_slices, default=super().__call__)

    def _by_slices(self, x: jax.Array) -> jax.Array:
        b, depth, height, width, n = x.shape
        dtype = x.dtype if self.dtype is None else self.dtype
        padded = jnp.pad(x.astype(dtype), ((0, 0), (1, 1), (0, 0), (0, 0), (0, 0)))
        beside = jnp.concatenate([padded[:, i : i + depth] for i in range(3)], axis=-1).reshape(
            -1, height, width, 3 * n
        )
        kernel = jnp.moveaxis(self.kernel[...].astype(dtype), 0, 2).reshape(3, 3, 3 * n, -1)
        out = jax.lax.conv_general_dilated(
            beside, kernel, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision=self.precision
        ).reshape(b, depth, height, width, -1)
        return out if self.bias is None else out + self.bias[...].astype(dtype)


class PointwiseConv(nnx.Conv):
    """Two-dimensional `flax.nnx.Conv` of kernel size 1: a product of matrices, whose gradients XLA computes faster on a CPU.

    Args:
        n_in: input channels.
        n_out: output channels.
        use_bias: whether a bias is added.
        init: initializer of kernel and bias.
        rngs: random streams of the initial weights.
    """

    def __init__(self, n_in: int, n_out: int, *, use_bias: bool = True, init: Initializer, rngs: nnx.Rngs):
        super().__init__(n_in, n_out, (1, 1), use_bias=use_bias, kernel_init=init, bias_init=init, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b y x c"], out_sharding: Any = None) -> Float[jax.Array, "b y x k"]:
        """Features (b, y, x, n_in) to (b, y, x, n_out)."""
        out = (x.reshape(-1, x.shape[-1]) @ self.kernel[0, 0]).reshape(*x.shape[:-1], -1)
        return out if self.bias is None else out + self.bias[...]

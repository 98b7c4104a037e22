"""Pieces shared by the networks: the base classes, resampling and shuffling, normalization, the transformer encoder layer.

Feature maps are NHWC (rows of 3-D grids NDHWC) float32.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import einops
import jax
import jax.numpy as jnp
from flax import nnx
from jax.nn.initializers import Initializer

from mpijax.core.checks import check_choice, check_count
from mpijax.core.interpolation import keys_matrix
from mpijax.core.mapping import FrozenMapping
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.convolution import Conv, PointwiseConv
from mpijax.models.blocks.initial import lecun_normal, scaled, uniform, zeros


class Network(nnx.Module):
    """Base of all networks: carries the configuration from which `mpijax.models.create` rebuilds it.

    A network writes ``forward(x, *, ...)``, whose keywords are the inputs that it uses beside the rows, such as ``mask`` and
    ``noise_level``; a call with any other input is refused.
    """

    _config: FrozenMapping
    forward: Callable[..., Any]

    def __init__(self, **config: Any):
        self._config = FrozenMapping(config)

    @property
    def config(self) -> dict[str, Any]:
        """The resolved configuration including the network's name; survives a JSON round trip unchanged."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in self._config.items()}

    @property
    def takes(self) -> tuple[str, ...]:
        """Inputs that the network uses beside the rows."""
        return inputs_of(type(self))

    def __call__(
        self, x: Float[Array, "..."], *, mask: Array | None = None, noise_level: Array | None = None, **inputs: Any
    ) -> Float[jax.Array, "..."]:
        """Output for rows.

        Args:
            x: Rows (b, h, w, c) or (b, z, y, x, c).
            mask: Known voxels, and voxels inside the grid; None = all.
            noise_level: Complex standard deviation of the noise in the scale of x (b,); None = not told.
            **inputs: What else the network takes, by name; None = not given.

        Raises:
            ValueError: An input that the network has no use for, or one that it refuses.
        """
        inputs = {"mask": mask, "noise_level": noise_level} | inputs
        given = {name: value for name, value in inputs.items() if value is not None}
        self.check_inputs(*given)
        return self.forward(x, **given)

    def check_inputs(self, *given: str) -> None:
        """Raise ValueError where an input is given that the network has no use for."""
        unused = [name for name in given if name not in self.takes]
        if unused:
            from mpijax.models.registry import names  # noqa: PLC0415  (which imports this module)

            others = ", ".join(names(takes=unused[0])) or "none"
            raise ValueError(
                f"{self._config['name']} has no use for {unused[0]}: leave it out. Networks that take it: {others}."
            )

    def check_images(self, x: Float[Array, "..."]) -> None:
        """Raise ValueError unless x are images (b, h, w, c) of the network's channels."""
        channels = self._config["channels"]
        if jnp.ndim(x) != 4 or jnp.shape(x)[-1] != channels:
            raise ValueError(
                f"x has shape {jnp.shape(x)}; this network takes images (b, h, w, {channels}), others with another channels=."
            )

    def learn(
        self, x: Float[Array, "..."], *, target: Float[Array, "..."], key: jax.Array, **inputs: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Output for a batch in training, and what is added to its pixel loss: the output for x, and nothing.

        Networks whose training takes more than their input, its target or random numbers, say so here.

        Args:
            x: Rows.
            target: What the output is compared with.
            key: Random key of the step.
            **inputs: What else the batch holds for the network.
        """
        del target, key
        return self(x, **inputs), jnp.zeros(())


def inputs_of(network: type[Network]) -> tuple[str, ...]:
    """Inputs that the networks of a class use beside the rows, as far as their options let them."""
    return tuple(inspect.signature(network.forward).parameters)[2:]


class GridNetwork(Network):
    """Base of the networks that take rows of any 2-D or 3-D grid, placed in a box, with a mask.

    Args:
        channels: Channels of input and output; 2 = real and imaginary part.
        input_shape: Kept for the record; any grid works.
        dimensions: 2 for boxes (y, x) or 3 for boxes (z, y, x).
        dtype: Of the computation, "bfloat16" or None = that of the input; weights, statistics and output are float32.
        **options: The rest of the configuration.

    Raises:
        ValueError: A value is out of range.
    """

    def __init__(
        self,
        *,
        channels: int,
        input_shape: tuple[int, ...] | None,
        dimensions: int,
        dtype: str | None,
        **options: Any,
    ):
        check_count("channels", channels)
        check_choice("dimensions", dimensions, (2, 3))
        check_choice("dtype", dtype, (None, "float32", "bfloat16"))
        if input_shape is not None and len(input_shape) != dimensions:
            raise ValueError(
                f"input_shape = {input_shape}; a network of dimensions={dimensions} takes {dimensions} sizes."
            )
        shape = None if input_shape is None else tuple(input_shape)
        super().__init__(channels=channels, input_shape=shape, dimensions=dimensions, dtype=dtype, **options)
        self.channels, self.dimensions, self.dtype = channels, dimensions, dtype

    def masked(
        self, x: Float[Array, "b *s c"], mask: Float[Array, "b *s m"] | None
    ) -> tuple[Float[jax.Array, "b *s c"], Float[jax.Array, "b *s 1"], Float[jax.Array, "b *s 1"]]:
        """Rows with zeros where nothing is known, the known voxels, and the voxels inside the grid.

        Args:
            x: Rows (b, *s, c); what they hold at unknown voxels and outside the grid (NaN, too) has no influence.
            mask: (b, *s, 1 or 2): known voxels, and voxels inside the grid; one channel stands for both, None = all.

        Returns:
            Rows (b, *s, c), known (b, *s, 1) and inside (b, *s, 1), the latter two made of zeros and ones.

        Raises:
            ValueError: A shape that does not fit the network, or a mask that does not fit the rows.
        """
        x = jnp.asarray(x)
        if x.ndim != self.dimensions + 2 or x.shape[-1] != self.channels:
            axes = "y, x" if self.dimensions == 2 else "z, y, x"
            raise ValueError(f"x has shape {x.shape}; this network takes rows (b, {axes}, {self.channels}).")
        if mask is None:
            everything = jnp.ones((*x.shape[:-1], 1), x.dtype)
            return x, everything, everything
        mask = jnp.asarray(mask)
        if mask.ndim != x.ndim or mask.shape[-1] not in (1, 2):
            raise ValueError(
                f"mask has shape {mask.shape}; expected {x.shape[:-1]} and 1 or 2 channels (known, inside)."
            )
        inside = mask[..., -1:] > 0
        known = inside & (mask[..., :1] > 0)
        return jnp.where(known, x, 0), known.astype(x.dtype), inside.astype(x.dtype)


def pixel_shuffle(x: Float[Array, "b h w k"], factor: int) -> Float[jax.Array, "b _ _ _"]:
    """Rearrange channels into space: out[b, h f + i, w f + j, c] = x[b, h, w, (c f + i) f + j].

    Args:
        x: Feature map (b, h, w, c * factor^2); the channel is the slowest of (c, i, j), as in PyTorch.
        factor: Upsampling factor f per axis.

    Returns:
        Feature map (b, h * factor, w * factor, c).
    """
    return einops.rearrange(jnp.asarray(x), "b h w (c i j) -> b (h i) (w j) c", i=factor, j=factor)


def pixel_unshuffle(x: Float[Array, "b h w c"], factor: int) -> Float[jax.Array, "b _ _ _"]:
    """Rearrange space into channels; inverts `pixel_shuffle`.

    Args:
        x: Feature map (b, h, w, c); ``factor`` divides h and w.
        factor: Downsampling factor per axis.

    Returns:
        Feature map (b, h / factor, w / factor, c * factor^2).
    """
    return einops.rearrange(jnp.asarray(x), "b (h i) (w j) c -> b h w (c i j)", i=factor, j=factor)


def mirror_to_multiple(x: Float[Array, "b h w c"], multiple: int) -> Float[jax.Array, "b _ _ c"]:
    """Images whose sizes are multiples of a number: mirrored at their far edges, the edge itself not repeated.

    Args:
        x: Images (b, h, w, c) of any size.
        multiple: What is to divide both sizes.
    """
    h, w = x.shape[1:3]
    return jnp.pad(jnp.asarray(x), ((0, 0), (0, -h % multiple), (0, -w % multiple), (0, 0)), mode="reflect")


def keys_upsample(x: Float[Array, "b h w c"], scale: int) -> Float[jax.Array, "b _ _ c"]:
    """Bicubic (Keys, a = -1/2) upsampling between cell-centered grids of the same extent, mirrored at the border.

    Args:
        x: Images (b, h, w, c).
        scale: Upsampling factor per axis.

    Returns:
        Images (b, h * scale, w * scale, c).
    """
    rows = jnp.asarray(keys_matrix(x.shape[1], x.shape[1] * scale), x.dtype)
    columns = jnp.asarray(keys_matrix(x.shape[2], x.shape[2] * scale), x.dtype)
    return jnp.einsum("yh,bhwc,xw->byxc", rows, x, columns, precision="highest")


def nearest_upsample(x: Float[Array, "b *s k"], factor: int = 2) -> Float[jax.Array, "b *t k"]:
    """Repeat every voxel along every spatial axis: out[f i + r] = x[i] for r = 0 .. f - 1.

    Args:
        x: Feature map (b, *s, k).
        factor: Upsampling factor f per axis.

    Returns:
        Feature map (b, *(s f), k).
    """
    x = jnp.asarray(x)
    for axis in range(1, x.ndim - 1):
        x = jnp.repeat(x, factor, axis)
    return x


def attention(
    query: Float[jax.Array, "b n h d"], key: Float[jax.Array, "b m h d"], value: Float[jax.Array, "b m h d"]
) -> Float[jax.Array, "b n h d"]:
    """softmax(q k^T / sqrt(d)) v in each of h heads.

    On a CPU one sample follows the other, and their weights are computed anew for the gradient: those of one sample stay in the
    cache, those of a batch are written to memory and read many times.

    Args:
        query: (b, n, h, d).
        key: (b, m, h, d).
        value: (b, m, h, d).

    Returns:
        What each query attends to (b, n, h, d).
    """
    return jax.lax.platform_dependent(
        query, key, value, cpu=_attention_by_samples, default=jax.nn.dot_product_attention
    )


def _attention_by_samples(query: jax.Array, key: jax.Array, value: jax.Array) -> jax.Array:
    @partial(jax.checkpoint, prevent_cse=False)
    def attend(sample: tuple[jax.Array, ...]) -> jax.Array:
        q, k, v = (jnp.swapaxes(tokens, 0, 1) for tokens in sample)
        weights = nnx.softmax(q * q.shape[-1] ** -0.5 @ k.mT)
        return jnp.swapaxes(weights @ v, 0, 1)

    return jax.lax.map(attend, (query, key, value))


def conv(
    n_in: int,
    n_out: int,
    kernel: int = 3,
    *,
    dimensions: int,
    init: Any = None,
    dtype: str | None = None,
    rngs: nnx.Rngs,
) -> nnx.Conv:
    """A convolution of stride one that keeps the grid, in 2-D or 3-D, with bias.

    ``init`` draws the kernel; None = U(+-1/sqrt(fan in)), PyTorch's default. The bias starts at zero.
    """
    init = scaled(1 / 3, "uniform") if init is None else init
    if kernel == 3:
        return Conv(n_in, n_out, dimensions, kernel_init=init, dtype=dtype, rngs=rngs)
    return nnx.Conv(n_in, n_out, (kernel,) * dimensions, kernel_init=init, dtype=dtype, rngs=rngs)


def conv3x3(n_in: int, n_out: int, *, rngs: nnx.Rngs, zero: bool = False) -> nnx.Conv:
    """A 3x3 convolution of stride one that keeps the grid; ``zero`` starts it at zero."""
    return nnx.Conv(n_in, n_out, (3, 3), kernel_init=zeros if zero else lecun_normal, rngs=rngs)


def torch_uniform(fan_in: int) -> Initializer:
    """U(+-1/sqrt(fan in)), from which PyTorch draws kernels and biases alike."""
    return uniform(-(fan_in**-0.5), fan_in**-0.5)


def torch_conv(
    n_in: int, n_out: int, kernel: int = 3, *, stride: int = 1, use_bias: bool = True, rngs: nnx.Rngs
) -> nnx.Conv:
    """A 2-D convolution as PyTorch starts and pads it: ceil(n / stride) cells a side, kernel // 2 zeros at both ends."""
    init, pad = torch_uniform(n_in * kernel**2), (kernel // 2, kernel // 2)
    if kernel == stride == 1:
        return PointwiseConv(n_in, n_out, use_bias=use_bias, init=init, rngs=rngs)
    return nnx.Conv(
        n_in,
        n_out,
        (kernel, kernel),
        strides=stride,
        padding=(pad, pad),
        use_bias=use_bias,
        kernel_init=init,
        bias_init=init,
        rngs=rngs,
    )


def torch_linear(n_in: int, n_out: int, *, use_bias: bool = True, rngs: nnx.Rngs) -> nnx.Linear:
    """A linear layer as PyTorch starts it."""
    init = torch_uniform(n_in)
    return nnx.Linear(n_in, n_out, use_bias=use_bias, kernel_init=init, bias_init=init, rngs=rngs)


def batch_norm(features: int, *, rngs: nnx.Rngs) -> nnx.BatchNorm:
    """Batch normalization with PyTorch's defaults: running averages keep 0.9 of their value a step, epsilon 1e-5."""
    return nnx.BatchNorm(features, momentum=0.9, epsilon=1e-5, rngs=rngs)


class MaskedBatchNorm(nnx.BatchNorm):
    """Batch normalization whose statistics leave out the voxels outside the grid.

    Mean and variance are those of the voxels with ``inside`` > 0 of the whole batch, (x - mean) / sqrt(var + 1e-5) scale +
    bias is applied everywhere. Running averages keep 0.9 of their value a step (PyTorch's momentum 0.1); the running variance
    is the biased one, 1/n sum (x - mean)^2, where PyTorch keeps n/(n - 1) times it. Everything is computed in float32 at
    least and returned in the type of x.
    """

    def __init__(self, features: int, *, rngs: nnx.Rngs):
        super().__init__(features, momentum=0.9, epsilon=1e-5, use_fast_variance=False, rngs=rngs)

    def __call__(  # type: ignore[override]
        self, x: Float[jax.Array, "b *s k"], inside: Float[jax.Array, "b *s 1"]
    ) -> Float[jax.Array, "b *s k"]:
        """Feature map (b, *s, k) to feature map; ``inside`` (b, *s, 1) must hold a voxel."""
        return super().__call__(x, mask=inside > 0).astype(x.dtype)


class EncoderLayer(nnx.Module):
    """Pre-norm transformer encoder layer: x += MHSA(LN x); x += MLP(LN x) with one ReLU layer.

    ``head_features`` is the width d of a head, None = features / heads.
    """

    def __init__(self, features: int, heads: int, hidden: int, *, head_features: int | None = None, rngs: nnx.Rngs):
        self.heads = heads
        inner = features if head_features is None else heads * head_features
        self.norm_attention = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.query_key_value = nnx.Linear(features, 3 * inner, kernel_init=lecun_normal, rngs=rngs)
        self.projection = nnx.Linear(inner, features, kernel_init=lecun_normal, rngs=rngs)
        self.norm_mlp = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.expand = nnx.Linear(features, hidden, kernel_init=lecun_normal, rngs=rngs)
        self.contract = nnx.Linear(hidden, features, kernel_init=lecun_normal, rngs=rngs)

    def __call__(self, tokens: Float[jax.Array, "b n e"]) -> Float[jax.Array, "b n e"]:
        """Tokens (b, n, features) to tokens of the same shape."""
        qkv = einops.rearrange(
            self.query_key_value(self.norm_attention(tokens)), "b n (k h d) -> k b n h d", k=3, h=self.heads
        )
        attended = attention(qkv[0], qkv[1], qkv[2])
        tokens = tokens + self.projection(einops.rearrange(attended, "b n h d -> b n (h d)"))
        return tokens + self.contract(nnx.relu(self.expand(self.norm_mlp(tokens))))

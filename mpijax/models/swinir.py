"""SwinIR: transformer layers whose attention stays in shifted windows, with residual convolutions, as a denoiser."""

import functools

import einops
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from mpijax.core.checks import check_choice, check_count
from mpijax.core.typing import Array, Bool, Float
from mpijax.models.blocks.initial import normal, zeros
from mpijax.models.blocks.layers import GridNetwork, conv

_initial = normal(0.02)


class WindowAttention(nnx.Module):
    """Attention among the voxels of each window: softmax(q k^T / sqrt(e / heads) + B) v, projected.

    B depends on the displacement between query and key alone: a learned table of (2 window - 1)^2 entries per head. With a
    shift the windows lie ``shift`` voxels further, and those cut by the border of the box are completed from its other side;
    voxels that meet only in this way do not see each other, and nobody sees voxels outside the grid.

    Args:
        features: Width e.
        heads: Attention heads; must divide ``features``.
        window: Side of a window.
        shift: 0 to window - 1.
        dtype: Of the computation; the softmax is float32.
        rngs: Random streams of the initial weights.

    Source: Liu et al., ICCV 2021 (Swin transformer), Eq. 4 and Figs. 2, 4.
    """

    def __init__(self, features: int, heads: int, window: int, shift: int, *, dtype: str | None, rngs: nnx.Rngs):
        self.heads, self.window, self.shift = heads, window, shift
        self.query_key_value = _linear(features, 3 * features, dtype=dtype, rngs=rngs)
        self.projection = _linear(features, features, dtype=dtype, rngs=rngs)
        self.table = nnx.Param(_initial(rngs.params(), ((2 * window - 1) ** 2, heads)))

    def __call__(
        self, x: Float[jax.Array, "b h w e"], inside: Float[jax.Array, "b h w 1"]
    ) -> Float[jax.Array, "b h w e"]:
        """Features (b, h, w, e) to features; h and w are multiples of the window."""
        height, width = x.shape[1:3]
        seen = _windows(jnp.roll(inside, (-self.shift, -self.shift), (1, 2)), self.window)[..., 0] > 0
        mask = seen[:, None, None, :]  # key
        if self.shift:
            together = jnp.asarray(_together(height, width, self.window, self.shift))
            mask = mask & jnp.tile(together, (x.shape[0], 1, 1))[:, None]
        tokens = _windows(jnp.roll(x, (-self.shift, -self.shift), (1, 2)), self.window)
        query, key, value = einops.rearrange(
            self.query_key_value(tokens), "b n (k h d) -> k b n h d", k=3, h=self.heads
        )
        bias = einops.rearrange(self.table[...][_displacements(self.window)], "q k h -> 1 h q k")
        out = jax.nn.dot_product_attention(query, key, value, bias=bias.astype(query.dtype), mask=mask)
        out = self.projection(einops.rearrange(out, "b n h d -> b n (h d)"))
        out = einops.rearrange(
            out,
            "(b i j) (p q) e -> b (i p) (j q) e",
            i=height // self.window,
            j=width // self.window,
            p=self.window,
        )
        return jnp.roll(out, (self.shift, self.shift), (1, 2))


class SwinLayer(nnx.Module):
    """x += attention(LN x); x += MLP(LN x), the MLP with one exact GELU layer."""

    def __init__(
        self,
        features: int,
        heads: int,
        window: int,
        shift: int,
        mlp: int,
        *,
        dtype: str | None,
        rngs: nnx.Rngs,
    ):
        self.norm_attention = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.attention = WindowAttention(features, heads, window, shift, dtype=dtype, rngs=rngs)
        self.norm_mlp = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.expand = _linear(features, mlp, dtype=dtype, rngs=rngs)
        self.contract = _linear(mlp, features, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: Float[jax.Array, "b h w e"], inside: Float[jax.Array, "b h w 1"]
    ) -> Float[jax.Array, "b h w e"]:
        """Features to features of the same shape."""
        x = x + self.attention(self.norm_attention(x), inside)
        return x + self.contract(nnx.gelu(self.expand(self.norm_mlp(x)), approximate=False))


class SwinBlock(nnx.Module):
    """x + conv(layers(x)), the layers with windows shifted by 0 and by half a window in turn."""

    def __init__(
        self,
        features: int,
        layers: int,
        heads: int,
        window: int,
        mlp: int,
        *,
        dtype: str | None,
        rngs: nnx.Rngs,
    ):
        shifts = [window // 2 * (layer % 2) for layer in range(layers)]
        self.layers = nnx.List(
            [SwinLayer(features, heads, window, shift, mlp, dtype=dtype, rngs=rngs) for shift in shifts]
        )
        self.conv = conv(features, features, dimensions=2, dtype=dtype, rngs=rngs)

    def __call__(
        self, x: Float[jax.Array, "b h w e"], inside: Float[jax.Array, "b h w 1"]
    ) -> Float[jax.Array, "b h w e"]:
        """Features, zero outside the grid, to features of the same kind."""
        hidden = x
        for layer in self.layers:
            hidden = layer(hidden, inside)
        return x + self.conv(hidden * inside) * inside


class SwinIR(GridNetwork):
    """SwinIR for denoising: out = x + last(f + conv LN B(LN f)), f = conv x; B are blocks x + conv(layers(x)).

    The box is padded at its far edges with voxels outside the grid to a multiple of the window. Features outside the grid are
    zeroed before every convolution and hidden from the attention: any grid works, down to a single voxel, what lies outside
    never changes the result, and nor does the amount of padding behind a row that starts in the corner of its box (or at a
    multiple of the window: another offset moves the windows over the row).

    Args:
        channels: Channels of input and output; 2 = real and imaginary part.
        scale: None or 1.
        input_shape: Kept for the record; any grid works.
        dimensions: 2; windows of three dimensions are not part of the published network.
        features: Width of the tokens.
        blocks: Number of residual blocks.
        layers: Transformer layers per block.
        heads: Attention heads; must divide ``features``.
        window: Side of a window in voxels.
        mlp: Hidden width of the MLPs; None = 2 features, as in the paper.
        dtype: Of the computation, "bfloat16" or None; see `GridNetwork`. The sums over layers are float32.
        rngs: Random streams of the initial weights: linear layers and tables normal with standard deviation 0.02.

    Raises:
        ValueError: A value is out of range.

    Source: Liang et al., ICCV Workshops 2021, section 3 (180, 6, 6, 6, 8, the defaults) and its public code for the norm in
    front of the blocks; the light size is ``features=60, blocks=4``. Tsanda et al., PMB 71, 095029 (2026), section 3.2,
    names the network without its sizes.
    Chosen here: the masks, where the public code mirrors the border (impossible for rows smaller than the padding); windows that
    never shrink; no stochastic depth, because a network holds no random streams; a last convolution that starts at zero, so
    that the untrained network is the identity.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        dimensions: int = 2,
        features: int = 180,
        blocks: int = 6,
        layers: int = 6,
        heads: int = 6,
        window: int = 8,
        mlp: int | None = None,
        dtype: str | None = None,
        rngs: nnx.Rngs,
    ):
        check_choice("scale", scale, (None, 1))
        check_choice("dimensions", dimensions, (2,))
        mlp = 2 * features if mlp is None else mlp
        sizes = dict(features=features, blocks=blocks, layers=layers, heads=heads, mlp=mlp)
        for name, size in sizes.items():
            check_count(name, size)
        check_count("window", window, 2)
        if features % heads:
            raise ValueError(f"features = {features} is not divisible by heads = {heads}; choose a multiple of heads.")
        super().__init__(
            name="swinir",
            channels=channels,
            input_shape=input_shape,
            dimensions=dimensions,
            window=window,
            dtype=dtype,
            **sizes,
        )
        self.window = window
        self.first = conv(channels, features, dimensions=2, dtype=dtype, rngs=rngs)
        self.norm_first = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.blocks = nnx.List(
            [SwinBlock(features, layers, heads, window, mlp, dtype=dtype, rngs=rngs) for _ in range(blocks)]
        )
        self.norm_last = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.merge = conv(features, features, dimensions=2, dtype=dtype, rngs=rngs)
        self.last = conv(features, channels, dimensions=2, init=zeros, dtype=dtype, rngs=rngs)

    def forward(
        self,
        x: Float[Array, "b h w c"],
        *,
        mask: Float[Array, "b h w m"] | None = None,
    ) -> Float[jax.Array, "b h w c"]:
        """Rows (b, h, w, c) to restored rows, zero outside the grid.

        Args:
            x: Rows on a grid (y, x).
            mask: (b, h, w, 1 or 2): known voxels, and voxels inside the grid; one channel stands for both, None = all.
        """
        rows, _, grid = self.masked(x, mask)
        height, width = rows.shape[1:3]
        pad = ((0, 0), (0, -height % self.window), (0, -width % self.window), (0, 0))
        inside = jnp.pad(grid, pad)
        shallow = self.first(jnp.pad(rows, pad)).astype(rows.dtype) * inside
        hidden = self.norm_first(shallow) * inside
        for block in self.blocks:
            hidden = block(hidden, inside)
        deep = shallow + self.merge(self.norm_last(hidden) * inside).astype(rows.dtype) * inside
        out = self.last(deep).astype(rows.dtype)
        return rows + out[:, :height, :width] * grid


def _linear(n_in: int, n_out: int, *, dtype: str | None, rngs: nnx.Rngs) -> nnx.Linear:
    return nnx.Linear(n_in, n_out, kernel_init=_initial, dtype=dtype, rngs=rngs)


def _windows(x: Float[jax.Array, "b h w e"], window: int) -> Float[jax.Array, "_ n e"]:
    """Features as the tokens of their windows (b * windows, window^2, e), row by row."""
    return einops.rearrange(x, "b (i p) (j q) e -> (b i j) (p q) e", p=window, q=window)


@functools.cache
def _displacements(window: int) -> np.ndarray:
    """Index (window^2, window^2) into the table: (dy + window - 1) (2 window - 1) + dx + window - 1, d = query - key."""
    place = np.stack(np.divmod(np.arange(window**2), window))
    dy, dx = place[:, :, None] - place[:, None, :] + window - 1
    return dy * (2 * window - 1) + dx


@functools.cache
def _together(height: int, width: int, window: int, shift: int) -> Bool[np.ndarray, "k n n"]:
    """Which voxels (query, key) of each shifted window are neighbors in the box, not only around its border."""
    wrapped = [np.arange(size) >= size - shift for size in (height, width)]
    side = (2 * wrapped[0][:, None] + wrapped[1][None, :])[None, :, :, None]
    side = einops.rearrange(side, "b (i p) (j q) e -> (b i j) (p q e)", p=window, q=window)
    return side[:, :, None] == side[:, None, :]

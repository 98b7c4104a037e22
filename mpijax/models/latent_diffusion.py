"""Diffusion of a few latent tokens: their encoder, the denoiser, the schedule and the way back."""

from collections.abc import Callable

import einops
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from mpijax.core.typing import Array, Float
from mpijax.models.blocks.layers import pixel_unshuffle, torch_conv, torch_linear

UNSHUFFLE = 4
"""Cells per axis that the encoder merges into channels."""

BETAS = (0.1, 0.99)
"""Share of noise that the first and the last step of the diffusion add."""


def adaptive_average(x: Float[Array, "b h w k"], size: int) -> Float[jax.Array, "b s s k"]:
    """Means over size x size bins: bin i of n cells covers floor(i n/size) .. ceil((i + 1) n/size), as in PyTorch.

    Args:
        x: Feature map; bins overlap where ``size`` does not divide its grid.
        size: Bins per axis.
    """

    def bins(n: int) -> np.ndarray:
        edges = np.arange(size + 1) * n
        cells, low, high = np.arange(n), edges[:-1] // size, -(-edges[1:] // size)
        inside = (cells >= low[:, None]) & (cells < high[:, None])
        return (inside / inside.sum(axis=1, keepdims=True)).astype(np.float32)

    return jnp.einsum("ih,bhwk,jw->bijk", bins(x.shape[1]), x, bins(x.shape[2]), precision="highest")


class TokenMixer(nnx.Module):
    """x += mix(LN x) over the tokens; x += mix(LN x) over the channels; both linear, GELU, linear."""

    def __init__(self, tokens: int, features: int, expand: int, *, rngs: nnx.Rngs):
        self.norm_tokens = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.tokens_in = torch_linear(tokens, tokens // 2, rngs=rngs)
        self.tokens_out = torch_linear(tokens // 2, tokens, rngs=rngs)
        self.norm_channels = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.channels_in = torch_linear(features, expand * features, rngs=rngs)
        self.channels_out = torch_linear(expand * features, features, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b n k"]) -> Float[jax.Array, "b n k"]:
        """Tokens (b, n, features) to tokens."""
        across = jnp.swapaxes(self.norm_tokens(x), 1, 2)
        x = x + jnp.swapaxes(self.tokens_out(gelu(self.tokens_in(across))), 1, 2)
        return x + self.channels_out(gelu(self.channels_in(self.norm_channels(x))))


class LatentEncoder(nnx.Module):
    """Images to side^2 tokens of 4 features each: unshuffled, convolved, averaged over side x side bins, mixed; all GELU.

    Args:
        channels: Channels of the images together.
        features: Width of the convolutions.
        blocks: Residual blocks of two convolutions.
        side: Bins per axis, even.
        rngs: Random streams of the initial weights.
    """

    def __init__(self, channels: int, features: int, blocks: int, side: int, *, rngs: nnx.Rngs):
        self.side = side
        self.first = torch_conv(channels * UNSHUFFLE**2, features, rngs=rngs)
        self.blocks = nnx.List(
            [nnx.List([torch_conv(features, features, rngs=rngs) for _ in range(2)]) for _ in range(blocks)]
        )
        self.last = torch_conv(features, features, rngs=rngs)
        self.mixer = TokenMixer(side**2, features, 4, rngs=rngs)
        self.out = torch_linear(features, 4 * features, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w c"]) -> Float[jax.Array, "b n k"]:
        """Images whose sizes 4 divides to tokens (b, side^2, 4 features)."""
        hidden = gelu(self.first(pixel_unshuffle(x, UNSHUFFLE)))
        for first, second in self.blocks:
            hidden = hidden + second(gelu(first(hidden)))
        pooled = adaptive_average(self.last(hidden), self.side)
        return gelu(self.out(self.mixer(einops.rearrange(pooled, "b i j k -> b (i j) k"))))


class Denoiser(nnx.Module):
    """Guess of the clean tokens from noisy ones z_t, the step t and a condition of the same shape."""

    def __init__(self, tokens: int, latent: int, features: int, *, blocks: int = 2, rngs: nnx.Rngs):
        self.time = nnx.Param(jnp.full((1,), 1e-3))
        self.first = torch_linear(3 * latent, features, rngs=rngs)
        self.blocks = nnx.List([TokenMixer(tokens, features, 2, rngs=rngs) for _ in range(blocks)])
        self.last = torch_linear(features, latent, rngs=rngs)

    def __call__(
        self, z: Float[jax.Array, "b n k"], t: Float[Array, ""], condition: Float[jax.Array, "b n k"]
    ) -> Float[jax.Array, "b n k"]:
        """Tokens of step t = 1, 2, .. and their condition to tokens."""
        time = jnp.broadcast_to(t * self.time[...], z.shape)
        hidden = nnx.leaky_relu(self.first(jnp.concatenate([z, time, condition], axis=-1)), 0.2)
        for block in self.blocks:
            hidden = gelu(block(hidden))
        return gelu(self.last(hidden))


def remaining_signal(steps: int) -> np.ndarray:
    """Share abar_t = prod_(s <= t) (1 - beta_s) of the signal's power after t = 1 .. steps steps, beta linear between `BETAS`."""
    return np.cumprod(1 - np.linspace(*BETAS, steps))


def diffuse(
    z: Float[Array, "b n k"], noise: Float[Array, "b n k"], steps: int, *, legacy_eps: bool = False
) -> Float[jax.Array, "b n k"]:
    """Tokens after the last step: s z + sqrt(1 - s^2) noise with s = sqrt(abar_T), or s = abar_T with ``legacy_eps``."""
    signal = remaining_signal(steps)[-1]
    share = signal if legacy_eps else np.sqrt(signal)
    return float(share) * jnp.asarray(z) + float(np.sqrt(1 - share**2)) * noise


def reverse_diffusion(
    denoise: Callable[[jax.Array, jax.Array], jax.Array],
    start: Float[Array, "b n k"],
    steps: int,
    *,
    legacy_eps: bool = False,
) -> Float[jax.Array, "b n k"]:
    """All steps back: z_(t-1) = E[z_(t-1) | z_t, z_0 = guess], without noise; the last one is the guess itself.

    Args:
        denoise: ``denoise(z_t, t)``, the guess of z_0.
        start: z_T.
        steps: T.
        legacy_eps: ``denoise`` gives the noise eps instead, and z_0 = (z_t - sqrt(1 - abar_t) eps)/sqrt(abar_t) is clipped to
            +-1, as in the public code.

    Returns:
        z_0.
    """
    signal = remaining_signal(steps)
    before, beta = np.concatenate([[1.0], signal[:-1]]), np.linspace(*BETAS, steps)
    of_guess = beta * np.sqrt(before) / (1 - signal)
    of_noisy = (1 - before) * np.sqrt(1 - beta) / (1 - signal)

    def back(z: jax.Array, at: jax.Array) -> tuple[jax.Array, None]:
        t, share, guess_weight, noisy_weight = at
        guess = denoise(z, t)
        if legacy_eps:
            guess = jnp.clip((z - jnp.sqrt(1 - share) * guess) / jnp.sqrt(share), -1, 1)
        return guess_weight * guess + noisy_weight * z, None

    table = np.stack([1 + np.arange(steps), signal, of_guess, of_noisy], axis=1).astype(np.float32)
    return jax.lax.scan(back, jnp.asarray(start), jnp.asarray(table), reverse=True)[0]


def gelu(x: jax.Array) -> jax.Array:
    """Exact GELU."""
    return nnx.gelu(x, approximate=False)

"""MPI-Mamba: a U of selective scans, told what the isotropic image is like by a few latent tokens that a diffusion guesses."""

from collections.abc import Sequence
from typing import Any

import einops
import jax
import jax.numpy as jnp
from flax import nnx

from mpijax.core.checks import check_choice, check_count
from mpijax.core.typing import Array, Float
from mpijax.models.blocks.initial import streams
from mpijax.models.blocks.layers import Network, mirror_to_multiple, torch_linear
from mpijax.models.blocks.ss2d import SS2D
from mpijax.models.latent_diffusion import UNSHUFFLE, Denoiser, LatentEncoder, diffuse, reverse_diffusion
from mpijax.models.restormer import GatedFeedForward, UShape, check_levels

ABLATIONS: dict[str, dict[str, Any]] = {
    "backbone": dict(stage=0, scan=False),
    "mamba": dict(stage=0),
    "diffusion": dict(scan=False),
}
"""Options of the networks that the paper's Table 4 compares with."""


class CrossAttention(nnx.Module):
    """x + out(softmax(q k^T / sqrt(d)) v): cells attend to latent tokens, heads of width d."""

    def __init__(self, features: int, heads: int, latent: int, *, rngs: nnx.Rngs):
        self.heads = heads
        self.norm = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.norm_latent = nnx.LayerNorm(latent, epsilon=1e-5, rngs=rngs)
        self.query = torch_linear(features, features, use_bias=False, rngs=rngs)
        self.key_value = torch_linear(latent, 2 * features, use_bias=False, rngs=rngs)
        self.out = torch_linear(features, features, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"], z: Float[jax.Array, "b n e"]) -> Float[jax.Array, "b h w k"]:
        """Feature map and tokens to feature map."""
        query = einops.rearrange(self.query(self.norm(x)), "b h w (n d) -> b (h w) n d", n=self.heads)
        key, value = einops.rearrange(
            self.key_value(self.norm_latent(z)), "b m (p n d) -> p b m n d", p=2, n=self.heads
        )
        return x + self.out(jax.nn.dot_product_attention(query, key, value).reshape(x.shape))


class Modulation(nnx.Module):
    """x (linear z) + linear z: channels scaled and shifted by a latent vector."""

    def __init__(self, features: int, latent: int, *, rngs: nnx.Rngs):
        self.scale = torch_linear(latent, features, rngs=rngs)
        self.shift = torch_linear(latent, features, rngs=rngs)

    def __call__(self, x: Float[jax.Array, "b h w k"], z: Float[jax.Array, "b e"]) -> Float[jax.Array, "b h w k"]:
        """Feature map and vector to feature map."""
        return x * self.scale(z)[:, None, None] + self.shift(z)[:, None, None]


class FusionBlock(nnx.Module):
    """x += SS2D(LN(m x)); x += feed_forward(m' LN x), m and m' modulations by a latent vector or the identity."""

    def __init__(self, features: int, latent: int | None, states: int, scan: bool, *, rngs: nnx.Rngs):
        self.norm_scan = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.scan = SS2D(features, states=states, scan=scan, rngs=rngs)
        self.norm_feed_forward = nnx.LayerNorm(features, epsilon=1e-5, rngs=rngs)
        self.feed_forward = GatedFeedForward(features, rngs=rngs)
        count = 0 if latent is None else 2
        self.modulations = nnx.List([Modulation(features, latent or 0, rngs=rngs) for _ in range(count)])

    def __call__(self, x: Float[jax.Array, "b h w k"], z: Any) -> Float[jax.Array, "b h w k"]:
        """Feature map, and the latent vector (b, e) if there are modulations, to feature map."""

        def modulated(values: jax.Array, number: int) -> jax.Array:
            return self.modulations[number](values, z) if self.modulations else values

        x = x + self.scan(self.norm_scan(modulated(x, 0)))
        return x + self.feed_forward(modulated(self.norm_feed_forward(x), 1))


class FusionLevel(nnx.Module):
    """Blocks behind one cross-attention to the tokens; at the coarsest level every block is modulated instead."""

    def __init__(self, features: int, blocks: int, heads: int, latent: int | None, coarsest: bool, **options: Any):
        modulated = latent if coarsest else None
        self.blocks = nnx.List([FusionBlock(features, modulated, **options) for _ in range(blocks)])
        if latent is None or coarsest:
            self.attention = None
        else:
            self.attention = CrossAttention(features, heads, latent, rngs=options["rngs"])

    def __call__(self, x: Float[jax.Array, "b h w k"], z: Any) -> Float[jax.Array, "b h w k"]:
        """Feature map and its level's prior to feature map."""
        if self.attention is not None:
            x = self.attention(x, z)
        for block in self.blocks:
            x = block(x, z)
        return x


class Generator(nnx.Module):
    """x + U(x): a `UShape` of `FusionLevel` and the pyramid of priors.

    Z_1 are the latent tokens, for the finest level and the refinement; Z_2 is a quarter as many mixed from them, for the levels
    between; Z_3 is one token mixed from Z_2, for the coarsest. Without ``latent`` there are no priors.
    """

    def __init__(
        self,
        channels: int,
        features: int,
        blocks: Sequence[int],
        refinement: int,
        heads: Sequence[int],
        tokens: int,
        latent: int | None,
        *,
        rngs: nnx.Rngs,
        **options: Any,
    ):
        self.levels = len(blocks)

        def level(number: int | None, width: int) -> FusionLevel:
            count = refinement if number is None else blocks[number]
            coarsest = number == self.levels - 1
            return FusionLevel(width, count, heads[number or 0], latent, coarsest, rngs=rngs, **options)

        self.u = UShape(channels, features, level, self.levels, rngs=rngs)
        counts = [] if latent is None else [(tokens, tokens // 4), (tokens // 4, 1)]
        self.mix_tokens = nnx.List([torch_linear(*pair, rngs=rngs) for pair in counts])
        self.mix_features = nnx.List([torch_linear(latent or 0, latent or 0, rngs=rngs) for _ in counts])

    def __call__(self, x: Float[jax.Array, "b h w c"], z: Any) -> Float[jax.Array, "b h w c"]:
        """Images whose sizes 2^(levels - 1) divides, and latent tokens (b, n, e) or None, to images."""
        if not self.mix_tokens:
            return self.u(x, [None] * self.levels)
        pyramid = [z]
        for tokens, features in zip(self.mix_tokens, self.mix_features, strict=True):
            pyramid.append(features(jnp.swapaxes(tokens(jnp.swapaxes(pyramid[-1], 1, 2)), 1, 2)))
        return self.u(x, [pyramid[0], *[pyramid[1]] * (self.levels - 2), pyramid[2][:, 0]])


class MPIMamba(Network):
    """MPI-Mamba: out = G(x, Z), a U of selective scans that is told Z, latent tokens of the isotropic image.

    Stage 1 learns G and the encoder Z = E(target, x) together, and so needs the target as an input (``truth``). Stage 2 guesses
    Z from x: a second encoder c = C(x), and a diffusion of T steps whose reverse, z_T -> z_0 = Z, is computed whole in every
    step of the training, on |out - target| + |Z - E(target, x)|; the weights of E stay as they are, and the batch brings what
    it says as ``latent``. Stage 0 is G alone, without Z.

    Sizes that 2^(levels - 1) or 4 does not divide are mirrored at their far edges, and cropped afterwards. Z are means over the
    whole image, and scans run all over it, so that what lies next to an image changes all of it.

    Args:
        channels: Channels of input and output: 1, or 3.
        scale: None or 1.
        input_shape: Kept for the record; any size works.
        stage: 1, 2 or 0.
        features: Width of the finest level, even.
        blocks: Blocks per level, the finest first.
        refinement: Blocks behind the last level.
        heads: Heads of the cross-attention per level.
        states: States of every channel of a scan.
        embed: Width of the encoders; latent tokens have 4 embed features.
        encoder_blocks: Residual blocks of the encoders.
        side: Tokens per axis, even.
        denoiser_features: Width of the denoiser.
        steps: Steps T of the diffusion.
        legacy_eps: The denoiser guesses the noise and z_0 is clipped, as in the public code; otherwise it guesses z_0.
        scan: Whether there are selective scans; without, the rest of their branch stays.
        rngs: Random streams of the initial weights: PyTorch's uniform ones, and Mamba's for the scans.

    Raises:
        ValueError: A value is out of range.

    Source: L. Zhang et al., MPI-Mamba, AAAI 2026, whose public code is that of HI-Diff (arXiv:2305.12966) with the SS2D of
    MambaIR; sizes are the code's. Where they differ: no noise is added on the way back (code; the paper adds some), the input is
    discretized as in Mamba's kernel (code; the paper: zero-order hold), attention is scaled by 1/sqrt(width of a head). Chosen
    here: z_0 is guessed and not clipped, its share after T steps is sqrt(abar_T) and not abar_T. `ABLATIONS` are the networks of
    Table 4, of which the paper says no more than their names.
    """

    def __init__(
        self,
        *,
        channels: int = 2,
        scale: int | None = None,
        input_shape: tuple[int, ...] | None = None,
        stage: int = 1,
        features: int = 48,
        blocks: tuple[int, ...] | list[int] = (2, 2, 2, 2),
        refinement: int = 4,
        heads: tuple[int, ...] | list[int] = (1, 2, 4, 8),
        states: int = 16,
        embed: int = 64,
        encoder_blocks: int = 6,
        side: int = 4,
        denoiser_features: int = 512,
        steps: int = 8,
        legacy_eps: bool = False,
        scan: bool = True,
        rngs: nnx.Rngs,
    ):
        check_choice("stage", stage, (0, 1, 2))
        check_levels(channels, scale, features, blocks, heads, refinement)
        sizes = dict(states=states, embed=embed, side=side, denoiser_features=denoiser_features, steps=steps)
        for name, size in sizes.items():
            check_count(name, size)
        check_count("encoder_blocks", encoder_blocks, 0)
        if side % 2:
            raise ValueError(f"side = {side}; must be even, a quarter of the tokens is what the levels between see.")
        super().__init__(
            name="mpi_mamba",
            channels=channels,
            scale=scale,
            input_shape=input_shape,
            stage=stage,
            features=features,
            blocks=tuple(blocks),
            refinement=refinement,
            heads=tuple(heads),
            encoder_blocks=encoder_blocks,
            legacy_eps=legacy_eps,
            scan=scan,
            **sizes,
        )
        self.stage, self.steps, self.legacy_eps = stage, steps, legacy_eps
        self.multiple = max(UNSHUFFLE, 2 ** (len(blocks) - 1))
        self.latent_shape = (side**2, 4 * embed)
        tokens, latent = self.latent_shape
        self.generator = Generator(
            channels,
            features,
            blocks,
            refinement,
            heads,
            tokens,
            latent if stage else None,
            states=states,
            scan=scan,
            rngs=rngs,
        )
        if stage == 1:
            self.encoder = LatentEncoder(2 * channels, embed, encoder_blocks, side, rngs=rngs)
        elif stage == 2:
            self.condition = LatentEncoder(channels, embed, encoder_blocks, side, rngs=rngs)
            self.denoiser = Denoiser(tokens, latent, denoiser_features, rngs=rngs)

    @property
    def takes(self) -> tuple[str, ...]:
        """What the stage uses."""
        return ((), ("truth",), ("start",))[self.stage]

    def forward(
        self,
        x: Float[Array, "b h w c"],
        *,
        truth: Float[Array, "b h w c"] | None = None,
        start: Float[Array, "b n e"] | None = None,
    ) -> Float[jax.Array, "b h w c"]:
        """Images (b, h, w, c) to isotropic images.

        Args:
            x: Images of any size.
            truth: Stage 1 only, and there needed: the isotropic images.
            start: Stage 2 only: standard normal numbers (b, side^2, 4 embed) where the diffusion starts; None = their mean, zero.

        Raises:
            ValueError: ``truth`` is missing in stage 1, or images of other channels.
        """
        self.check_images(x)
        if self.stage == 0:
            return self._generate(x, None)
        if self.stage == 1:
            if truth is None:
                raise ValueError(
                    "truth is missing: mpi_mamba of stage 1 sees the isotropic image; stage=2 does without."
                )
            return self._generate(x, self.encode(x, truth))
        zero = jnp.zeros((x.shape[0], *self.latent_shape), jnp.float32)
        return self._generate(x, self.guess(x, zero if start is None else jnp.asarray(start)))

    def learn(
        self, x: Float[Array, "b h w c"], *, target: Float[Array, "b h w c"], key: jax.Array, **inputs: Any
    ) -> tuple[jax.Array, jax.Array]:
        """Output in training, and the mean of |Z - latent| in stage 2, where the batch holds ``latent`` (b, side^2, 4 embed).

        Raises:
            ValueError: ``latent`` is missing in stage 2, or images of other channels.
        """
        if self.stage < 2:
            return self(x, **inputs, **({"truth": target} if self.stage else {})), jnp.zeros(())
        self.check_images(x)
        latent = inputs.pop("latent", None)
        self.check_inputs(*inputs)
        if latent is None:
            raise ValueError(
                "latent is missing: stage 2 learns the tokens of stage 1; see mpijax.training.with_latent."
            )
        noise = jax.random.normal(key, latent.shape)
        guess = self.guess(x, diffuse(latent, noise, self.steps, legacy_eps=self.legacy_eps))
        return self._generate(x, guess), jnp.mean(jnp.abs(guess - latent))

    def encode(self, x: Float[Array, "b h w c"], truth: Float[Array, "b h w c"]) -> Float[jax.Array, "b n e"]:
        """Latent tokens Z = E(truth, x) of stage 1."""
        return self.encoder(mirror_to_multiple(jnp.concatenate([truth, x], axis=-1), self.multiple))

    def guess(self, x: Float[Array, "b h w c"], start: Float[jax.Array, "b n e"]) -> Float[jax.Array, "b n e"]:
        """Latent tokens of stage 2, from z_T = ``start``."""
        condition = self.condition(mirror_to_multiple(x, self.multiple))
        return reverse_diffusion(
            lambda z, t: self.denoiser(z, t, condition), start, self.steps, legacy_eps=self.legacy_eps
        )

    def _generate(self, x: Array, latent: jax.Array | None) -> jax.Array:
        return self.generator(mirror_to_multiple(x, self.multiple), latent)[:, : x.shape[1], : x.shape[2]]


def second_stage(first: MPIMamba, *, rngs: nnx.Rngs | int) -> MPIMamba:
    """The network of stage 2 with the sizes and the generator of a trained one of stage 1; its condition and denoiser are new.

    Args:
        first: Network of stage 1.
        rngs: Random streams of the new weights, or a seed.

    Raises:
        ValueError: The network is not of stage 1.
    """
    if first.stage != 1:
        raise ValueError(f"the network is of stage {first.stage}; stage 2 starts from one of stage 1.")
    options = {key: value for key, value in first.config.items() if key not in ("name", "stage")}
    second = MPIMamba(**options, stage=2, rngs=streams(rngs) if isinstance(rngs, int) else rngs)
    nnx.update(second.generator, nnx.state(first.generator))
    return second

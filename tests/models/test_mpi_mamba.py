import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.models.blocks.layers import mirror_to_multiple
from mpijax.models.latent_diffusion import adaptive_average, diffuse, remaining_signal, reverse_diffusion
from mpijax.models.mpi_mamba import ABLATIONS, FusionBlock, second_stage
from mpijax.training import (
    TrainConfig,
    adam,
    fit,
    init_state,
    load_weights,
    make_train_step,
    pixel_loss,
    save_weights,
    split,
    with_latent,
)
from mpijax.training.step import NETWORK, as_partial
from tests.models.grids import abstract, check_config, count, create, shapes, size

TINY = dict(
    channels=1, features=4, blocks=(1, 1), heads=(1, 2), refinement=0, states=2, embed=4, encoder_blocks=1
) | dict(side=2, denoiser_features=8)


def test_counts():
    """Those of the public code; with one channel the encoder's first convolution has 4 x 16 x 9 x 64 weights fewer."""
    first, second, gray = (
        abstract("mpi_mamba", **options) for options in (dict(channels=3), dict(channels=3, stage=2), dict(channels=1))
    )
    assert (size(first.generator), size(first.encoder)) == (14_673_877, 585_688)
    assert (size(second.generator), size(second.condition), size(second.denoiser)) == (14_673_877, 558_040, 2_629_937)
    assert (size(gray.generator), size(gray.encoder)) == (14_671_285, 585_688 - 4 * 16 * 9 * 64)
    assert size(first) == 14_673_877 + 585_688 and size(second) == 14_673_877 + 558_040 + 2_629_937


def test_a_block_has_the_published_size():
    block = shapes(lambda rngs: FusionBlock(48, None, 16, True, rngs=rngs))
    assert [size(part) for part in (block.scan, block.feed_forward)] == [36_480, 20_574] and size(block) == 57_246


def test_ablations_leave_out_what_they_say():
    sizes = TINY | dict(features=16, states=5)
    names = ("mamba", "backbone", "diffusion")
    mamba, backbone, diffusion = (count("mpi_mamba", **sizes, **ABLATIONS[name]) for name in names)
    widths = [16, 32, 32]
    scans = sum(8 * d * (2 * (d // 16) + 10 + 1 + 5 + 1) for d in widths)  # select, widen, bias, rates, skip
    assert mamba - backbone == scans == count("mpi_mamba", **sizes) - diffusion
    assert backbone < diffusion and mamba < count("mpi_mamba", **sizes)


def test_shapes():
    """By tracing alone."""
    for options, inputs in (
        (dict(stage=0), {}),
        (dict(stage=1), {"truth": jnp.zeros((2, 30, 17, 1))}),
        (dict(stage=2), {"start": jnp.zeros((2, 4, 16))}),
    ):
        graph, state = nnx.split(abstract("mpi_mamba", **TINY, **options))
        out = jax.eval_shape(
            lambda s, x, graph=graph, inputs=inputs: nnx.merge(graph, s)(x, **inputs), state, jnp.zeros((2, 30, 17, 1))
        )
        assert out.shape == (2, 30, 17, 1)


@pytest.mark.parametrize("grid", [(16, 16), (30, 16), (5, 3), (4, 9)])
def test_bins_of_the_average_are_those_of_pytorch(grid):
    x = np.random.default_rng(0).normal(size=(2, *grid, 3)).astype(np.float32)
    expected = np.zeros((2, 4, 4, 3))
    for i in range(4):
        for j in range(4):
            (top, bottom), (left, right) = (
                (int(np.floor(k * n / 4)), int(np.ceil((k + 1) * n / 4))) for k, n in zip((i, j), grid, strict=True)
            )
            expected[:, i, j] = x[:, top:bottom, left:right].mean((1, 2))
    np.testing.assert_allclose(adaptive_average(x, 4), expected, atol=1e-6)


def test_schedule():
    expected = [0.9, 0.696, 0.449, 0.233, 0.0912, 0.0241, 0.0033, 3.3e-5]
    np.testing.assert_allclose(remaining_signal(8), expected, rtol=0.02)
    z, noise = np.float32([[[2.0]]]), np.float32([[[3.0]]])
    last = remaining_signal(8)[-1]
    np.testing.assert_allclose(diffuse(z, noise, 8), 2 * last**0.5 + 3 * (1 - last) ** 0.5, rtol=1e-5)
    np.testing.assert_allclose(diffuse(z, noise, 8, legacy_eps=True), 2 * last + 3 * (1 - last**2) ** 0.5, rtol=1e-5)


def test_the_way_back_ends_at_what_the_denoiser_knows():
    random = np.random.default_rng(0)
    start, z = random.normal(size=(2, 3, 4, 5)).astype(np.float32)
    z = 0.9 * np.tanh(z)
    np.testing.assert_allclose(reverse_diffusion(lambda z_t, t: jnp.asarray(z), start, 8), z, atol=1e-6)
    signal = jnp.asarray(remaining_signal(8), jnp.float32)

    def noise(z_t, t):
        share = signal[t.astype(int) - 1]
        return (z_t - jnp.sqrt(share) * z) / jnp.sqrt(1 - share)

    np.testing.assert_allclose(reverse_diffusion(noise, start, 8, legacy_eps=True), z, atol=1e-5)


def test_steps_back_are_the_means_of_the_posterior():
    """With the guess z_0 = z_t/2: conditional means of Gaussians, found from their precisions."""
    beta = np.linspace(0.1, 0.99, 5)
    signal, z = np.cumprod(1 - beta), 1.7
    for t in reversed(range(5)):
        guess = z / 2
        if t == 0:
            z = guess
            break
        prior, seen = 1 / (1 - signal[t - 1]), (1 - beta[t]) / beta[t]  # precisions of z_(t-1)
        z = (prior * np.sqrt(signal[t - 1]) * guess + seen * z / np.sqrt(1 - beta[t])) / (prior + seen)
    out = reverse_diffusion(lambda z_t, t: z_t / 2, jnp.full((1, 1, 1), 1.7), 5)
    np.testing.assert_allclose(out[0, 0, 0], z, rtol=1e-5)


def test_sizes_that_do_not_fit_are_mirrored_and_cropped():
    model = create("mpi_mamba", stage=2, **TINY | dict(blocks=(1, 1, 1), heads=(1, 2, 2)))
    x = np.random.default_rng(0).normal(size=(1, 10, 7, 1)).astype(np.float32)
    mirrored = np.pad(x, ((0, 0), (0, 2), (0, 1), (0, 0)), mode="reflect")

    @nnx.jit
    def outputs(model, x, mirrored):
        start = jnp.zeros((1, 4, 16))
        return model(x), model(mirrored, start=start), model(x, start=start + 1)

    odd, even, other = outputs(model, x, mirrored)
    assert odd.shape == x.shape and even.shape == (1, 12, 8, 1)
    scale = float(jnp.abs(even).max())
    np.testing.assert_allclose(odd, even[:, :10, :7], atol=1e-5 * scale)
    assert float(jnp.abs(other - odd).max()) > 1e-4 * scale


def test_an_image_of_one_pixel():
    x = jnp.ones((1, 1, 1, 1))
    np.testing.assert_array_equal(mirror_to_multiple(x, 8), jnp.ones((1, 8, 8, 1)))


@pytest.fixture(scope="module")
def trained():
    """Both stages, 20 steps each on eight fixed images: (models, losses, first weights, last weights, batches) by stage."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[:12, :12]
    centers = random.uniform(2, 10, size=(8, 2))
    target = np.exp(-((y - centers[:, :1, None]) ** 2 + (x - centers[:, 1:, None]) ** 2) / 8)[..., None]
    blurred = (target + np.roll(target, 2, 1) + np.roll(target, -2, 1)) / 3

    def batch(x, target, key):
        return {"input": x, "target": target}

    batches = as_partial(jax.tree_util.Partial(batch, *(jnp.asarray(a, jnp.float32) for a in (blurred, target))))
    config = TrainConfig(
        steps=20, learning_rate=1e-2, final_learning_rate=1e-3, optimizer="adamw", weight_decay=1e-4, clip_norm=0.5
    )
    optimizer, results = adam(config), {}
    model = create("mpi_mamba", **TINY)
    for stage in (1, 2):
        if stage == 2:
            first, state = results[1][0], results[1][3]
            nnx.update(first, state.weights.params)
            model = nnx.jit(lambda first: second_stage(first, rngs=nnx.Rngs(1)))(first)
            batches = with_latent(batches, split(first)[0], state.weights)
        network, weights = split(model)
        step = jax.jit(make_train_step(network, optimizer, loss="l1"))
        state, losses = init_state(weights, optimizer), []
        for _ in range(20):
            state, value = step(state, jax.random.key(3), batches)
            losses.append(float(value))
        results[stage] = (model, losses, weights, state, batches)
    return results


@pytest.mark.parametrize("stage", [1, 2])
def test_loss_falls(trained, stage):
    _, losses, _, state, _ = trained[stage]
    assert np.isfinite(losses).all() and int(state.bad_step) == 0
    assert np.mean(losses[-5:]) < 0.9 * np.mean(losses[:5]), losses


def test_second_stage_starts_with_the_generator_of_the_first(trained):
    first, second = trained[1][3].weights.params, trained[2][2].params
    jax.tree.map(np.testing.assert_array_equal, first["generator"], second["generator"])
    assert set(second) == {"generator", "condition", "denoiser"} and set(first) == {"generator", "encoder"}


def test_second_stage_learns_pixels_and_tokens(trained):
    """The loss of its first step, from its parts: the tokens of the first stage, the noise of the step, the way back."""
    model, losses, weights, _, batches = trained[2]
    key = jax.random.fold_in(jax.random.key(3), 0)
    network, batch = split(model)[0], batches(key)
    latent = trained[1][0].encoder(jnp.concatenate([batch["target"], batch["input"]], -1))
    np.testing.assert_allclose(batch["auxiliary"]["latent"], latent, atol=1e-6)

    def parts(weights, batch, key):
        start = diffuse(latent, jax.random.normal(key, latent.shape), 8)
        tokens = network.call("guess", weights, batch["input"], start)
        image = network.evaluate(weights, batch["input"], start=start)
        return pixel_loss(image, batch["target"], kind="l1"), jnp.mean(jnp.abs(tokens - latent))

    network_key = jax.random.fold_in(key, NETWORK)
    pixels, tokens = jax.jit(parts)(weights, batch, network_key)
    np.testing.assert_allclose(losses[0], pixels + tokens, rtol=1e-4)
    assert float(tokens) > 0.01 * losses[0]


def test_weights_of_the_other_stage_are_refused(trained, tmp_path):
    model, weights = trained[1][0], trained[1][3].weights
    save_weights(tmp_path / "one.npz", weights, model.config)
    assert load_weights(tmp_path / "one.npz")[0]["stage"] == 1
    with pytest.raises(ValueError, match="condition/.* is missing"):
        load_weights(tmp_path / "one.npz", model_config=model.config | {"stage": 2})
    with pytest.raises(ValueError, match="the network is of stage 2; stage 2 starts from one of stage 1"):
        second_stage(trained[2][0], rngs=nnx.Rngs(0))


def test_what_a_stage_needs_is_asked_for(trained, tmp_path):
    with pytest.raises(ValueError, match="truth is missing: mpi_mamba of stage 1"):
        trained[1][0](jnp.zeros((1, 8, 8, 1)))
    with pytest.raises(ValueError, match="latent is missing: stage 2 .*with_latent"):
        fit(trained[2][0], trained[1][4], TrainConfig(steps=1, batch_size=8), run_dir=tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{}, dict(stage=2, legacy_eps=True), *ABLATIONS.values()])
def test_config(options):
    check_config(abstract("mpi_mamba", **TINY, **options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(stage=3), "stage = 3; allowed: 0, 1, 2"),
        (dict(scale=2), "scale = 2"),
        (dict(features=6, heads=(1, 8)), r"features = 6; heads = \(1, 8\) need a multiple of 4"),
        (dict(features=5), "features = 5"),
        (dict(blocks=(1,)), r"blocks = \(1,\), heads = "),
        (dict(side=3), "side = 3; must be even"),
        (dict(steps=0), "steps = 0"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("mpi_mamba", rngs=0, **{**TINY, **options})

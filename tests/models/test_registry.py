import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from mpijax import models
from mpijax.training import make_predict, split
from mpijax.training.step import learn
from tests.models.grids import create

SMALL = {
    "consistent_unet": dict(scale=2, features=(4,), blocks=1),
    "dncnn": dict(features=4, layers=3),
    "mdsr": dict(scale=2, features=4, blocks=1),
    "mpi_mamba": dict(channels=2, stage=0, features=4, blocks=(1, 1), heads=(1, 1), refinement=0, states=2),
    "nafnet": dict(features=4, encoder=(1,), middle=0, decoder=(1,)),
    "pconv_unet": dict(features=(4, 4)),
    "rdn": dict(features=4, blocks=1, layers=1, growth=4),
    "restormer": dict(features=4, blocks=(1, 1), heads=(1, 1), refinement=0),
    "siren": dict(width=4, depth=1),
    "smrnet": dict(scale=2, features=4, growth=4, blocks=1),
    "srcnn": dict(scale=2),
    "swinir": dict(features=4, blocks=1, layers=1, heads=1, window=4),
    "transms": dict(
        scale=2, features=4, layers=1, embed=4, heads=1, local_features=4, growth=4, blocks=1, fused_features=4
    ),
    "unet": dict(features=(4,), blocks=1),
    "vdsr": dict(scale=2, features=4, layers=3),
    "vrfnet": dict(scale=2, input_shape=(8, 8), features=4, blocks=1, embed=4, depth=1, heads=1, mlp=4),
    "wiener_unet": dict(features=(4,), blocks=1),
    "guided_unet": dict(features=(4,)),
}
TAKE = {
    "mask": {"dncnn", "guided_unet", "pconv_unet", "rdn", "smrnet", "swinir", "unet", "wiener_unet"},
    "noise_level": {"consistent_unet", "guided_unet", "transms", "unet", "wiener_unet"},
}


def test_unknown_name_lists_the_known_ones():
    assert "vrfnet" in models.names()
    with pytest.raises(ValueError, match="unknown network 'vrf'; known: .*vrfnet"):
        models.create("vrf", rngs=nnx.Rngs(0))


def test_config_survives_json_and_rebuilds_the_network():
    small = dict(features=4, blocks=1, embed=4, depth=1, heads=2, mlp=4)
    model = nnx.eval_shape(lambda: models.create("vrfnet", scale=2, input_shape=[4, 4], rngs=0, **small))
    config = json.loads(json.dumps(model.config))
    assert config == model.config and config["name"] == "vrfnet" and config["patch_size"] == 1
    again = nnx.eval_shape(lambda: models.create(**config, rngs=0))
    assert again.config == config and nnx.graphdef(again) == nnx.graphdef(model)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nafnet", dict(features=4, encoder=(1,), middle=0, decoder=(1,))),
        ("restormer", dict(features=4, blocks=(1, 1), heads=(1, 1), refinement=0)),
        ("mpi_mamba", dict(stage=0, features=4, blocks=(1, 1), heads=(1, 1), refinement=0, states=2)),
    ],
)
def test_networks_of_images_refuse_other_channels(name, options):
    model = nnx.eval_shape(lambda: models.create(name, channels=1, rngs=0, **options))
    with pytest.raises(ValueError, match=r"x has shape \(1, 8, 8, 3\); this network takes images \(b, h, w, 1\)"):
        model(jnp.zeros((1, 8, 8, 3)))


def drawn(name, **options):
    """A network with random weights, and rows, a mask and a noise level for it."""
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 2)).astype(np.float32)
    mask = np.ones((2, 8, 8, 2), np.float32)
    mask[:, 2:4, 3:5] = 0
    inputs = {"mask": mask, "noise_level": np.full(2, 0.3, np.float32)}
    return create(name, **SMALL[name] | options), x, inputs


@pytest.mark.parametrize("name", models.names())
def test_a_mask_and_a_noise_level_are_used_or_refused(name):
    model, x, inputs = drawn(name)
    for given, value in inputs.items():
        assert (given in model.takes) == (name in TAKE[given])
        if given not in model.takes:
            able = ", ".join(sorted(TAKE[given]))
            with pytest.raises(
                ValueError, match=f"{name} has no use for {given}: leave it out. Networks that take it: {able}"
            ):
                model(x, **{given: value})
            with pytest.raises(ValueError, match="has no use"):  # the value does not matter
                jax.eval_shape(lambda value, given=given: model(x, **{given: value}), 0 * value)
    used = {given: value for given, value in inputs.items() if given in model.takes}
    if used:
        network, weights = split(model)

        def outputs(x):
            return [network.evaluate(weights, x, **one) for one in ({}, *({given: used[given]} for given in used))]

        bare, *others = jax.jit(outputs)(x)
        assert all(float(jnp.abs(other - bare).max()) > 1e-4 for other in others)


def test_an_input_of_no_network_is_refused():
    model, x, _ = drawn("srcnn")
    with pytest.raises(ValueError, match="srcnn has no use for msak: leave it out. Networks that take it: none"):
        model(x, msak=x)
    assert models.names(takes="guide") == ("nafnet",)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("transms", dict(data_consistency=False)),
        ("consistent_unet", dict(data_consistency=False, conditioned=False)),
    ],
)
def test_an_ablation_refuses_what_its_missing_part_used(name, options):
    model, x, inputs = drawn(name, **options)
    with pytest.raises(ValueError, match=f"{name} has no use for noise_level"):
        model(x, noise_level=inputs["noise_level"])


@pytest.mark.parametrize(("stage", "refused"), [(0, "truth"), (0, "start"), (1, "start"), (2, "truth")])
def test_stages_of_mamba_refuse_what_belongs_to_another(stage, refused):
    tiny = SMALL["mpi_mamba"] | dict(stage=stage, embed=4, encoder_blocks=0, side=2, denoiser_features=8)
    model = nnx.eval_shape(lambda: models.create("mpi_mamba", rngs=0, **tiny))
    with pytest.raises(ValueError, match=f"mpi_mamba has no use for {refused}"):
        model(jnp.zeros((2, 8, 8, 2)), **{refused: jnp.zeros((2, 8, 8, 2))})


def test_training_tells_the_noise_level_to_whom_it_helps_and_never_drops_a_mask():
    model, x, inputs = drawn("srcnn")
    network, weights = split(model)
    batch = {"input": x, "target": np.zeros((2, 16, 16, 2), np.float32)} | inputs
    key = jax.random.key(0)
    with pytest.raises(ValueError, match="srcnn has no use for mask"):
        jax.eval_shape(lambda weights: learn(network, weights, batch, key), weights)
    del batch["mask"]
    out = jax.eval_shape(lambda weights: learn(network, weights, batch, key)[0], weights)
    assert out.shape == batch["target"].shape
    predict = make_predict(model.config, weights)
    with pytest.raises(ValueError, match="srcnn has no use for noise_level"):
        predict(x, noise_level=inputs["noise_level"])

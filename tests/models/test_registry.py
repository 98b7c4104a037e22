import json

import jax.numpy as jnp
import pytest
from flax import nnx

from mpijax import models


def test_unknown_name_lists_the_known_ones():
    assert "vrfnet" in models.names()
    with pytest.raises(ValueError, match="unknown network 'vrf'; known: .*vrfnet"):
        models.create("vrf", rngs=nnx.Rngs(0))


def test_config_survives_json_and_rebuilds_the_network():
    small = dict(features=4, blocks=1, embed=4, depth=1, heads=2, mlp=4)
    model = nnx.eval_shape(lambda: models.create("vrfnet", scale=2, input_shape=[4, 4], rngs=nnx.Rngs(0), **small))
    config = json.loads(json.dumps(model.config))
    assert config == model.config and config["name"] == "vrfnet" and config["patch_size"] == 1
    again = nnx.eval_shape(lambda: models.create(**config, rngs=nnx.Rngs(0)))
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

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax import models
from mpijax.training import load_weights, make_predict, save_weights, split


@pytest.fixture
def saved(model, tmp_path):
    _, weights = split(model)
    weights = jax.tree.map(lambda w: w + 0.05, weights)
    save_weights(tmp_path / "weights.npz", weights, model.config, metadata={"step": 3})
    return tmp_path / "weights.npz", weights


def edit_card(path, **changes):
    card = path.with_suffix(".json")
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def test_round_trip_from_the_file_and_from_the_run_directory(saved, model):
    path, weights = saved
    for source in (path, path.parent):
        config, loaded = load_weights(source)
        assert config == model.config
        jax.tree.map(np.testing.assert_array_equal, loaded, weights)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["arrays"]["params/last/kernel"] == [3, 3, 4, 2] and card["metadata"] == {"step": 3}
    assert sorted(np.load(path).files) == sorted(card["arrays"])


def test_equal_weights_make_equal_files(saved, model, tmp_path):
    path, weights = saved
    save_weights(tmp_path / "again.npz", weights, model.config)
    assert (tmp_path / "again.npz").read_bytes() == path.read_bytes()


def test_damage_is_found(saved):
    path, _ = saved
    whole = path.read_bytes()
    path.write_bytes(whole[:-40] + b"\0" + whole[-39:])
    with pytest.raises(ValueError, match="does not match the checksum"):
        load_weights(path)
    path.write_bytes(whole)
    edit_card(path, version=99)
    with pytest.raises(ValueError, match="version 99; this package reads mpijax-weights 1"):
        load_weights(path)
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(ValueError, match="is not a card of weights"):
        load_weights(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError, match="weights.json does not exist"):
        load_weights(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "is not a card of weights, or damaged: weights.json does not read"),
        (lambda text: "", "is not a card of weights, or damaged"),
        (lambda text: "[]", "is not a card of weights, or damaged"),
        (lambda text: "[" * 100_000, "is not a card of weights, or damaged"),
        (lambda text: "\xff" + text, "is not a card of weights, or damaged"),
        (lambda text: text.replace('"version"', '"versoin"'), "is not a card of weights"),
        (lambda text: text.replace('"sha256"', '"sha265"'), "is damaged: sha256 missing"),
        (lambda text: text.replace('"model"', '"modle"'), "is damaged: model missing"),
        (lambda text: json.dumps(json.loads(text) | {"sha256": 7, "metadata": []}), "is damaged: sha256, metadata missing or not"),
        (lambda text: json.dumps(json.loads(text) | {"model": {}}), "the name of the network"),
        (lambda text: text.replace('"vrfnet"', '"vrfent"'), "there is no network .*unknown network 'vrfent'"),
        (lambda text: text.replace('"features": 4', '"features": "4"'), "there is no network .*features"),
        (lambda text: text.replace('"features": 4', '"featuers": 4'), "there is no network .*unknown option.s. featuers"),
        (lambda text: text.replace('"input_shape"', '"rngs"'), "there is no network"),
    ],
)  # fmt: skip
def test_a_damaged_card_is_refused_in_a_sentence(saved, change, message):
    path, _ = saved
    card = path.with_suffix(".json")
    card.write_bytes(change(card.read_text()).encode("latin-1"))
    with pytest.raises(ValueError, match=message):
        load_weights(path)


def test_another_architecture_is_found(saved, model):
    path, _ = saved
    edit_card(path, model=model.config | {"features": 5})
    with pytest.raises(ValueError, match=r"does not fit the network.*conv1/kernel has shape \(3, 3, 4, 4\), expected"):
        load_weights(path)
    edit_card(path, model=model.config | {"blocks": 2})
    with pytest.raises(ValueError, match=r"params/blocks/1/conv1/bias is missing, expected \(4,\)"):
        load_weights(path)


def test_another_network_is_refused_by_its_first_difference(saved, model):
    path, weights = saved
    wider = model.config | {"features": 5}
    first = r"network.*features': 5.*its card says .*features': 4.*: params/blocks/0/conv1/bias has shape \(4,\), expected \(5,\)"
    with pytest.raises(ValueError, match=first):
        load_weights(path, model_config=wider)
    with pytest.raises(ValueError, match=r"params/convs/0/bias is missing, expected \(64,\).*"):
        load_weights(path, model_config=models.create("srcnn", scale=2, rngs=0).config)
    shorter = model.config | {"blocks": 0}
    with pytest.raises(ValueError, match=r"params/blocks/0/conv1/bias of shape \(4,\) is not part of the network"):
        load_weights(path, model_config=shorter)
    bare = model.config | {"residual": False}  # the same arrays
    config, loaded = load_weights(path, model_config=bare)
    assert config == bare
    jax.tree.map(np.testing.assert_array_equal, loaded, weights)


def test_name_must_say_what_it_is(model, tmp_path):
    with pytest.raises(ValueError, match="ends in .npz"):
        save_weights(tmp_path / "weights.bin", split(model)[1], model.config)


def test_predict_pads_to_one_shape_and_equals_the_network(saved, model):
    _, weights = saved
    network, _ = split(model)
    predict = make_predict(model.config, weights, batch_size=4)
    x = np.array(jax.random.normal(jax.random.key(0), (11, 4, 4, 2)))
    whole = jax.jit(network.evaluate)(weights, jnp.asarray(x))
    for n in (11, 4, 1):
        np.testing.assert_allclose(predict(x[:n]), whole[:n], atol=1e-5)
    assert predict.apply.args[0]._cache_size() == 1
    with pytest.raises(ValueError, match="no rows"):
        predict(x[:0])
    x[2, 1] = np.nan
    with pytest.raises(ValueError, match="x has 8 of 352 entries"):
        predict(x)

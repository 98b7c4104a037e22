import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.training import TrainConfig, adam, learning_rate, pixel_loss
from mpijax.training.run import claim, describe


def test_config_round_trip():
    config = TrainConfig(steps=10, learning_rate=2e-3, monitor="-psnr")
    assert TrainConfig.from_dict(json.loads(json.dumps(dataclasses.asdict(config)))) == config
    with pytest.raises(ValueError, match="unknown training setting.*lr; known: steps"):
        TrainConfig.from_dict({"steps": 3, "lr": 1.0})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (dict(steps=0), "steps = 0"),
        (dict(steps=1, log_every=0), "log_every = 0"),
        (dict(steps=1, learning_rate=1e-8), "final_learning_rate <= learning_rate"),
        (dict(steps=1, learning_rate=float("nan")), "learning_rate = nan"),
        (dict(steps=1, ema_decay=1.0), "ema_decay = 1.0"),
        (dict(steps=1, clip_norm=0.0), "clip_norm = 0.0"),
        (dict(steps=1, schedule="step"), "schedule = 'step'; allowed: 'exponential'"),
        (dict(steps=1, loss="huber"), "loss = 'huber'"),
    ],
)
def test_config_refuses_what_makes_no_sense(values, message):
    with pytest.raises(ValueError, match=message):
        TrainConfig(**values)


def test_schedules_go_from_the_first_to_the_last_rate():
    steps = np.arange(11)
    fraction = steps / 10
    expected = {
        "exponential": 1e-3 * 1e-4**fraction,
        "cosine": 1e-7 + (1e-3 - 1e-7) * (1 + np.cos(np.pi * fraction)) / 2,
        "constant": np.full(11, 1e-3),
    }
    for schedule, rates in expected.items():
        rate = learning_rate(TrainConfig(steps=11, schedule=schedule))
        np.testing.assert_allclose([rate(t) for t in steps], rates, rtol=2e-5, atol=1e-10)
    assert float(learning_rate(TrainConfig(steps=1))(0)) == pytest.approx(1e-3)


def test_multistep_halves_the_rate_at_half_three_quarters_and_nine_tenths_of_the_run():
    rate = learning_rate(TrainConfig(steps=100, schedule="multistep"))
    rates = np.array([float(rate(t)) for t in range(100)])
    expected = 1e-3 * np.repeat([1, 0.5, 0.25, 0.125], [50, 25, 15, 10])
    np.testing.assert_allclose(rates, expected, rtol=1e-6)


def test_optimizer_is_adam_with_the_schedule():
    optimizer = adam(TrainConfig(steps=3, learning_rate=0.1, final_learning_rate=0.001))
    gradients = np.array([3.0, -1.0, 0.5])
    x, state, mean, square, expected = jnp.zeros(()), optimizer.init(jnp.zeros(())), 0.0, 0.0, 0.0
    for t, g in enumerate(gradients):
        update, state = optimizer.update(jnp.asarray(g, jnp.float32), state)
        x = x + update
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g**2
        unbiased = (mean / (1 - 0.9 ** (t + 1))) / (np.sqrt(square / (1 - 0.999 ** (t + 1))) + 1e-8)
        expected -= 0.1 * 0.1**t * unbiased
    np.testing.assert_allclose(x, expected, rtol=1e-4)


def test_long_gradients_are_shortened():
    """Momentum after a gradient of length 10 is that of one of length 2 in its direction; a short one goes through."""
    optimizer = adam(TrainConfig(steps=3, clip_norm=2.0))
    start = optimizer.init(jnp.zeros(2))
    for gradient, clipped in (((6.0, 8.0), (1.2, 1.6)), ((0.6, 0.8), (0.6, 0.8))):
        _, state = optimizer.update(jnp.array(gradient), start)
        np.testing.assert_allclose(state[1][0].mu, 0.1 * np.array(clipped), rtol=1e-6)


def test_pixel_loss_weighs_pixels():
    rng = np.random.default_rng(0)
    prediction, target = rng.normal(size=(2, 3, 4, 4, 2)).astype(np.float32)
    weight = rng.uniform(size=(3, 4, 4, 1)).astype(np.float32)
    error = np.float64(prediction) - target
    for kind, e in {"mse": error**2, "l1": np.abs(error)}.items():
        np.testing.assert_allclose(pixel_loss(prediction, target, kind=kind), e.mean(), rtol=1e-5)
        weighted = (weight * e).sum() / (2 * np.float64(weight).sum())
        np.testing.assert_allclose(pixel_loss(prediction, target, weight, kind=kind), weighted, rtol=1e-5)
    assert float(pixel_loss(prediction, target, 0 * weight)) == 0.0


def test_half_cosine_is_constant_and_then_five_eighths_of_a_cosine():
    """MPI-Mamba's recipe: 100,000 steps from 2e-4 that end at 6.2e-5."""
    rate = learning_rate(
        TrainConfig(steps=100_000, learning_rate=2e-4, final_learning_rate=1e-6, schedule="half-cosine")
    )
    steps = np.array([0, 49_999, 50_000, 75_000, 100_000])
    turned = np.pi * np.array([0, 0, 0, 25 / 80, 50 / 80])
    np.testing.assert_allclose([rate(t) for t in steps], 1e-6 + 1.99e-4 * (1 + np.cos(turned)) / 2, rtol=1e-5)
    assert float(rate(100_000)) == pytest.approx(6.2e-5, rel=0.01)


def test_decoupled_weight_decay_acts_on_weights_alone():
    """Without a gradient AdamW shrinks the weights by rate x decay; Adam turns the decay into a step of its own length."""
    weights, nothing = jnp.array([2.0, -3.0]), jnp.zeros(2)
    for name, expected in (("adamw", -0.1 * 0.01 * np.array([2.0, -3.0])), ("adam", -0.1 * np.array([1.0, -1.0]))):
        config = TrainConfig(steps=3, learning_rate=0.1, optimizer=name, weight_decay=0.01, clip_norm=1.0)
        optimizer = adam(config)
        update, _ = optimizer.update(nothing, optimizer.init(weights), weights)
        np.testing.assert_allclose(update, expected, rtol=1e-5)
    with pytest.raises(ValueError, match="optimizer = 'sgd'; allowed: 'adam', 'adamw'"):
        TrainConfig(steps=1, optimizer="sgd")


def test_a_run_older_than_a_setting_has_its_default(tmp_path):
    description = describe({}, TrainConfig(steps=3), jax.random.key(0), {})
    older = {name: value for name, value in description["training"].items() if name != "optimizer"}
    (tmp_path / "config.json").write_text(json.dumps(description | {"training": older}))
    claim(tmp_path, description)
    with pytest.raises(ValueError, match="training.optimizer is 'adam' there and 'adamw' here"):
        claim(tmp_path, describe({}, TrainConfig(steps=3, optimizer="adamw"), jax.random.key(0), {}))

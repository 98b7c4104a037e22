"""From a source to an upsampler: what training writes is what the upsampler undoes."""

import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax import models
from mpijax.datasets import Calibrations, CoarseMeasurement, RowPool, Rows, TrainingRows
from mpijax.restoration import find_method, load_upsampler, recipe, train
from mpijax.rows import Complete, Denoise, Inpaint
from mpijax.training import TrainConfig
from tests.datasets.tiny_stream import TinyPrior

SMALL = dict(features=(4,), blocks=1)  # compiles sooner than TranSMS


def images(n, seed=0):
    rng = np.random.default_rng(seed)
    y, x = np.meshgrid(np.arange(8), np.arange(8), indexing="ij")
    waves = rng.uniform(-0.8, 0.8, (n, 2, 1, 1))
    rows = np.exp(1j * (waves[:, 0] * y + waves[:, 1] * x + rng.uniform(0, 6, (n, 1, 1))))
    return (rows * 10.0 ** rng.integers(-3, 4, (n, 1, 1))).astype(np.complex64)


@pytest.fixture(scope="module", params=["published", "quick"])
def run(request, tmp_path_factory):
    chosen = recipe("transms", 2, request.param, steps=3, batch_size=4, validate_every=2, checkpoint_every=3)
    task = CoarseMeasurement(2, sample="large", **chosen.task)
    pool = images(12)
    sigma = jnp.asarray(0.1 * np.abs(pool).max((1, 2)))
    directory = tmp_path_factory.mktemp(request.param)
    source = RowPool(jnp.asarray(pool), sigma, measured=False, batch_size=4)
    held_out = Rows(jnp.asarray(images(4, 1)), jnp.zeros(4))
    train(
        task, TrainingRows(source, held_out), "consistent_unet", chosen.config, run_dir=directory, options=SMALL, progress=False
    )  # fmt: skip
    return request.param, directory


def test_block_means_of_the_upsampled_rows_are_the_coarse_ones_within_the_noise(run):
    """The projection acts in the network's scaling; in the rows' own unit it must hold with the noise of each row."""
    _, directory = run
    upsampler = load_upsampler(directory, 2)
    coarse = images(5, 2)[:, :4, :4]
    level = (0.05 * np.abs(coarse).max((1, 2))).astype(np.float32)
    for sigma in (None, level):
        fine = np.asarray(upsampler(coarse, sigma))
        residual = np.abs(coarse - fine.reshape(5, 4, 2, 4, 2).mean((2, 4))) ** 2
        allowed = 0 if sigma is None else sigma * 4
        assert np.all(np.sqrt(residual.sum((1, 2))) <= allowed + 1e-5 * np.abs(coarse).max((1, 2)) * 4)


def test_the_published_scaling_is_undone(run):
    """An upsampler of rows in another unit gives the same rows in that unit; only the modulus keeps zeros at zero."""
    name, directory = run
    upsampler = load_upsampler(directory, 2)
    coarse = images(3, 3)[:, :4, :4]
    fine = np.asarray(upsampler(coarse))
    np.testing.assert_allclose(np.asarray(upsampler(coarse * 64)), fine * 64, rtol=2e-4, atol=1e-4 * np.abs(fine).max())
    card = (directory / "weights.json").read_text()
    assert ('"normalization": "minmax"' in card) == (name == "published")


def test_zero_and_constant_rows_stay_finite(run):
    _, directory = run
    upsampler = load_upsampler(directory, 2)
    rows = np.stack([np.zeros((4, 4)), np.full((4, 4), 2 - 1j)]).astype(np.complex64)
    fine = np.asarray(upsampler(rows, np.zeros(2, np.float32)))
    assert np.all(np.isfinite(fine.real) & np.isfinite(fine.imag))
    np.testing.assert_allclose(fine.reshape(2, 4, 2, 4, 2).mean((2, 4)), rows, atol=1e-5)


def test_a_grid_that_the_scale_does_not_divide_is_refused_before_training(tmp_path):
    chosen = recipe("srcnn", 4, steps=1, batch_size=2)
    source = RowPool(jnp.zeros((2, 10, 8), jnp.complex64), jnp.zeros(2), batch_size=2)
    with pytest.raises(ValueError, match=r"crop the images to \(8, 8\)"):
        train(
            CoarseMeasurement(4), TrainingRows(source), "srcnn", chosen.config, run_dir=tmp_path / "run", progress=False
        )
    assert not (tmp_path / "run").exists()


def test_without_validation_the_last_weights_are_kept(tmp_path):
    chosen = recipe("srcnn", 2, steps=2, batch_size=2)
    pool = RowPool(jnp.asarray(images(4)), jnp.zeros(4), batch_size=2)
    result = train(
        CoarseMeasurement(2), TrainingRows(pool), "srcnn", chosen.config, run_dir=tmp_path, options={"features": (4, 4)},
        progress=False,
    )  # fmt: skip
    for kept, last in zip(jax.tree.leaves(result.weights), jax.tree.leaves(result.state.ema), strict=True):
        np.testing.assert_array_equal(kept, last)


def test_any_prior_trains_any_network_and_restore_takes_the_run(tmp_path):
    """A prior with one method, a network made by the user: the run denoises and refuses what it was not trained for."""
    network = models.create("unet", scale=1, features=(4,), blocks=1, patch=1, rngs=0)
    source = Calibrations(TinyPrior(), (12,), 4, slots=2, rows_per_matrix=4, reuse=2, draws=64, validation=2)
    config = TrainConfig(steps=2, batch_size=2, validate_every=2, checkpoint_every=2)
    result = train((Denoise(), Inpaint()), source, network, config, run_dir=tmp_path, progress=False)
    scores = [record["validation"] for record in result.metrics if "validation" in record]
    # an untrained network returns the row, with the noise and the holes that are hidden in a third of a tenth of it
    assert set(scores[0]) == {"psnr", "psnr_0.06", "psnr_0.2"} and 10 < scores[0]["psnr"] < 35
    method, task = find_method(Denoise(), 2, tmp_path)
    assert method.trained and method.noise_limit == 0.3 and task == Denoise()
    rows = images(3)
    known = np.ones((8, 8), bool)
    out = np.asarray(method.apply(rows, known, known, np.zeros(3, np.float32)))
    assert out.shape == rows.shape and np.isfinite(out).all()
    with pytest.raises(ValueError, match="trained for task denoise or inpaint, but task = complete"):
        find_method(Complete(2), 2, tmp_path)
    with pytest.raises(ValueError, match="options = .* beside a network"):
        train(Denoise(), source, network, config, run_dir=tmp_path / "b", options={"features": (4,)})
    with pytest.raises(ValueError, match="CoarseMeasurement makes pairs of rows on one grid"):
        train(CoarseMeasurement(2), source, "srcnn", config, run_dir=tmp_path / "c", options={"features": (4, 4)})
    assert not (tmp_path / "b").exists() and not (tmp_path / "c").exists()


def test_what_is_no_task_prior_network_or_config_is_named(tmp_path):
    config, prior = TrainConfig(steps=1), TinyPrior()
    run = inspect.unwrap(train)
    for arguments, message in (
        ((None, prior, "unet", config), "task = None; expected a task such as Denoise"),
        ((Denoise, prior, "unet", config), "expected a task such as Denoise"),
        ((Denoise(), None, "unet", config), "prior = None; expected a prior with draw"),
        ((Denoise(), np.ones(3), "unet", config), "TrainingRows for rows of your own"),
        ((Denoise(), TinyPrior, "unet", config), "expected a prior with draw"),
        ((Denoise(), prior, None, config), "network is a NoneType; expected a name"),
        ((Denoise(), prior, "unet", {}), "config is a dict; expected a TrainConfig"),
    ):
        with pytest.raises(TypeError, match=message):
            run(*arguments, run_dir=tmp_path / "run")
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="file is a file; give the name of a folder"):
        run(Denoise(), prior, "unet", config, run_dir=tmp_path / "file")
    with pytest.raises(ValueError, match=r"options = .*abc.* do not fit the network 'unet'"):
        run(Denoise(), prior, "unet", config, run_dir=tmp_path / "run", options={"features": "abc"})
    for change in ({"draws": 0}, {"boxes": ("a",)}, {"slots": 0}, {"boxes": (4,)}):
        with pytest.raises(ValueError, match=next(iter(change))):
            inspect.unwrap(Calibrations.__init__)(object.__new__(Calibrations), prior, **change)
    assert not (tmp_path / "run").exists()

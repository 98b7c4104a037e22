"""The bank of fitted matrices, and the training on it."""

from dataclasses import replace
from types import SimpleNamespace

import jax
import numpy as np
import pytest

import mpijax as mj
from experiments import guided_bank, train_guided
from mpijax.identification.per_matrix import Guides
from mpijax.training import load_weights
from mpijax.training.weights import read_card


@pytest.fixture
def fitted(monkeypatch):
    """Rows (4, 6, 9) whose fit is perfect but for their factors; returns them and a case."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:6, :9]
    clean = np.stack([np.cos(np.pi * (y + 0.5) * k / 6) * np.cos(np.pi * (x + 0.5) / 9) for k in range(1, 5)])
    clean = (clean * np.exp(0.4j)).astype(np.complex64)
    rows = clean.reshape(4, -1)
    guides = Guides(rows, (0.1 * rng.normal(size=(2, *rows.shape))).astype(np.complex64))
    found = SimpleNamespace(numbers=np.zeros(3), free=np.ones(3))
    monkeypatch.setattr(guided_bank, "identified_rows", lambda *_, **__: (found, guides))
    monkeypatch.setattr(guided_bank, "DISPLACED", 0.0)
    sequence = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0))
    scanner = mj.Scanner.create(gradient=(-1.0, -1.0, 2.0))
    grid = mj.Grid.create((9, 6, 1), (18e-3, 12e-3, 1e-3))
    case = SimpleNamespace(told=SimpleNamespace(grid=lambda: grid, scanner=scanner, sequence=sequence))
    return case, clean


def made(fitted):
    case, clean = fitted
    channel, bins = np.array([0, 0, 1, 1]), np.array([33, 50, 33, 67])
    return guided_bank.fitted_examples(case, clean, channel, bins, "auto", np.random.default_rng(1))


def test_examples_are_rows_in_units_of_their_largest_known_modulus(fitted):
    found, clean = made(fitted), fitted[1]
    count = guided_bank.DRAWS * len(clean)
    assert found["x"].shape == (count, guided_bank.BOX, guided_bank.BOX)
    np.testing.assert_allclose(np.abs(found["x"] * found["known"]).max(axis=(1, 2)), 1, rtol=1e-5)
    assert found["inside"].sum(axis=(1, 2)).tolist() == [54] * count
    noise = ((found["x"] - found["target"]) * found["inside"])[:, :6, :9]
    np.testing.assert_allclose(np.sqrt(np.mean(np.abs(noise) ** 2, axis=(1, 2))), found["level"], rtol=0.5)
    estimate = found["guides"][..., 0] + 1j * found["guides"][..., 1]
    error = np.sqrt(np.mean(np.abs(estimate - found["target"]) ** 2, axis=(1, 2)) * 24**2 / 54)
    assert np.all(error < 0.6 * found["level"])


def test_rows_and_guides_are_moved_together():
    rng = np.random.default_rng(0)
    x = (rng.normal(size=(5, 4, 4)) + 1j * rng.normal(size=(5, 4, 4))).astype(np.complex64)
    guides = np.stack([x.real, x.imag, 2 * x.real, 2 * x.imag, *[np.abs(x)] * 3], -1)
    known = rng.random(x.shape) < 0.7
    bank = {
        "x": x,
        "target": x,
        "guides": guides,
        "known": known,
        "inside": known,
        "level": np.arange(5, dtype=np.float32),
    }
    found = train_guided.batch(64, bank, jax.random.key(0))
    told, target = found["auxiliary"]["guides"], found["target"]
    np.testing.assert_allclose(told[..., :2], target, atol=1e-6)
    np.testing.assert_allclose(told[..., 2:4], 2 * target, atol=1e-6)
    np.testing.assert_allclose(told[..., 4], np.hypot(target[..., 0], target[..., 1]), atol=1e-5)
    np.testing.assert_allclose(found["input"], target * found["mask"][..., :1], atol=1e-6)
    # every row is one of the bank's, and moved in different ways
    first = np.sort(np.abs(x[3]).ravel())
    moved = np.asarray(told[..., 4])[np.asarray(found["noise_level"]) == 3]
    np.testing.assert_allclose(
        np.sort(moved.reshape(len(moved), -1), axis=1), np.tile(first, (len(moved), 1)), atol=1e-5
    )
    assert len(np.unique(moved[:, 0, 0].round(5))) > 2


def test_a_run_starts_at_the_estimate_and_says_what_it_is_for(fitted, tmp_path):
    for number in (0, 9):
        np.savez(tmp_path / f"file-{number}.npz", **made(fitted))
    run = tmp_path / "run"
    result = train_guided.main(replace(train_guided.PRESETS["smoke"], bank=tmp_path, run_dir=run))
    first = next(record["validation"] for record in result.metrics if record["step"] == 0)
    assert abs(first["psnr"] - first["estimate"]) < 3 and first["estimate"] > 20
    assert load_weights(run)[0]["name"] == "guided_unet"
    card = read_card(run / "weights.npz")["metadata"]["data"]
    assert [task["name"] for task in card["trained_for"]["tasks"]] == ["denoise", "inpaint", "complete", "upsample"]
    assert card["rows"] == card["held_out"] == guided_bank.DRAWS * 4


def test_a_folder_without_matrices_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="experiments.guided_bank"):
        train_guided.read_bank(tmp_path)

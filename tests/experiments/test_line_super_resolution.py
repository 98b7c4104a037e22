"""Truths that are not what a fit of a field-free line assumes, and the table that is made of them."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import mpijax as mj
from experiments import line_super_resolution
from experiments.support import line_truths
from mpijax.datasets import FieldFreeLineItem

GRID = mj.Grid.create((8, 8, 1), (32e-3, 32e-3, 1e-3))
ITEM = FieldFreeLineItem(0.7, 22e-9)


def rows(**effects):
    return np.asarray(line_truths.LineTruth(ITEM, **effects).simulate(GRID).values, complex)


def test_without_effects_it_is_the_simulator_up_to_a_factor_per_harmonic():
    with jax.enable_x64(True):
        simulated = np.asarray(ITEM.simulate(GRID, dtype=np.float64).values)
    found = rows()
    factors = np.sum(simulated * found.conj(), (0, 2)) / np.sum(np.abs(found) ** 2, (0, 2))
    np.testing.assert_allclose(factors[:, None] * found, simulated, atol=1e-5 * np.abs(simulated).max())
    np.testing.assert_allclose(factors, factors[0], rtol=1e-4)


def test_every_effect_does_what_it_says():
    plain, scale = rows(), np.abs(rows()).max()
    x = np.asarray(GRID.positions)[:, 0]
    np.testing.assert_allclose(rows(slope=(10.0, 0.0)), plain * (1 + 10 * x), atol=1e-5 * scale)
    quarter = np.roll(rows(turn=np.pi / 60), 1, axis=0)  # three degrees are one angle
    np.testing.assert_allclose(quarter[1:], plain[1:], atol=1e-5 * scale)
    fast, slow = rows(tau=1e-9), rows(tau=3e-6)
    np.testing.assert_allclose(fast, plain, atol=1e-2 * scale)
    phases = np.angle(np.sum(slow * plain.conj(), (0, 2)))
    assert np.all(np.diff(np.unwrap(phases)) < 0)  # the moment lags
    row = slow[0, 3] * np.exp(-1j * np.angle(slow[0, 3][np.argmax(np.abs(slow[0, 3]))]))
    assert (
        np.abs(row.imag).max() > 0.01 * np.abs(row.real).max()
    )  # by more where the field is weak: no factor makes it real
    wide = rows(spread=0.2)
    assert 0.01 * scale < np.abs(wide - plain).max() < scale


def test_brownian_rotation_is_far_from_equilibrium_and_one_function_of_the_distance():
    brown, plain = rows(shell=5e-9), rows()
    factor = np.sum(brown * plain.conj(), (0, 2)) / np.sum(np.abs(plain) ** 2, (0, 2))
    apart = np.linalg.norm(brown - factor[:, None] * plain, axis=(0, 2)) / np.linalg.norm(brown, axis=(0, 2))
    assert np.all(apart > 0.1)
    images = brown.reshape(60, 8, 8, 8)
    turned = images[0][:, ::-1].swapaxes(-1, -2)  # y at angle 0 is -x at a right angle
    np.testing.assert_allclose(images[30], turned, atol=1e-4 * np.abs(brown).max())


def test_families_share_their_draws_and_files_say_what_was_drawn():
    one, other = (line_truths.draw(family, "development", 2) for family in ("coils", "everything"))
    assert [t.item for t in one] == [t.item for t in other] and one[0].tau == 0 < other[0].tau
    assert line_truths.draw("coils", "test", 1)[0].item != one[0].item
    wrong = line_truths.draw("file", "development", 1)[0]
    told = wrong.simulate(GRID)
    assert float(np.asarray(told.sequence.amplitude)[2]) == pytest.approx(wrong.item.amplitude)
    assert all(abs(factor - 1) == pytest.approx(0.05) for factor in wrong.scale)
    unruly = line_truths.draw("unruly", "development", 1)[0]
    assert np.isfinite(np.asarray(unruly.simulate(GRID).values)).all()


def test_the_smoke_run_makes_a_table_and_continues(tmp_path, few_held_out):
    config = replace(
        line_super_resolution.PRESETS["smoke"], run_dir=tmp_path, families=("everything",), count=1, progress=False
    )
    records = line_super_resolution.main(config)["records"]["everything"]["4"]
    assert 10 * records["fitted rows"][0] < records["consistent-bicubic"][0] < records["bicubic"][0]
    text = (tmp_path / "report.md").read_text()
    assert "| everything |" in text and (tmp_path / "results.json").exists()
    assert line_super_resolution.main(config)["seconds"] < 1  # nothing is made again


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"families": ("all",)}, "family"),
        ({"part": "training"}, "part"),
        ({"count": 0}, "count"),
        ({"count": 99}, "30 matrices"),
    ],
)
def test_bad_configurations(tmp_path, changes, words):
    config = replace(line_super_resolution.PRESETS["smoke"], run_dir=tmp_path, **changes)
    with pytest.raises(ValueError, match=words):
        line_super_resolution.main(config)

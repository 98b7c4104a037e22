"""What a card says of a network's training is what was written, also on the cards that ship."""

import json
from pathlib import Path

import pytest

from mpijax.core.assets import asset_path
from mpijax.datasets import CoarseMeasurement, RandomCorruption
from mpijax.restoration.card import KEY, from_card, to_card
from mpijax.rows import Complete, Denoise, Inpaint, Upsample
from mpijax.training.weights import read_card

ANY = (Denoise(), Inpaint(), Complete(2))


def words(trained):
    """Tasks by name and facts: one with positions to fill is compared by identity."""
    return (
        [(task.name, task.facts()) for task in trained.tasks],
        trained.dimensions,
        trained.scaling,
        trained.noise_limit,
    )


@pytest.mark.parametrize(
    "pairs",
    [
        RandomCorruption(ANY, noise_range=(0.0, 0.2)),
        RandomCorruption((Complete(3),)),
        RandomCorruption((Upsample(4),)),
        CoarseMeasurement(2, "stride", normalization="minmax"),
        CoarseMeasurement(8, "maxavg"),
    ],
    ids=str,
)
@pytest.mark.parametrize("dimensions", [2, 3])
def test_round_trip(pairs, dimensions):
    trained = pairs.trained(dimensions)
    entry = json.loads(json.dumps(to_card(trained), allow_nan=False))
    back = from_card(Path("w.npz"), {"metadata": {"data": {KEY: entry}}, "model": {}})
    assert words(back) == words(trained) and back.members == trained.members


@pytest.mark.parametrize(
    "name, tasks, dimensions",
    [
        ("denoise_2d", (Denoise(),), 2),
        ("upsample_2d", (Upsample(2, "stride"),), 2),
        ("restore_2d", ANY, 2),
        ("restore_3d", ANY, 3),
    ],
)
def test_cards_that_ship(name, tasks, dimensions):
    path = asset_path(f"weights/{name}.npz")
    found = from_card(path, read_card(path))
    assert (
        words(found) == ([(task.name, task.facts()) for task in tasks], dimensions, "peak", 0.3) and found.members == 2
    )


@pytest.mark.parametrize(
    "damage",
    [
        {"tasks": []},
        {"tasks": [{"name": "polish"}]},
        {"scaling": "loud"},
        {"dimensions": 4},
        {"members": "two"},
        {"noise_limit": "loud"},
    ],
    ids=str,
)
def test_a_damaged_entry_is_named(damage):
    entry = to_card(RandomCorruption().trained(2)) | damage
    with pytest.raises(ValueError, match=r"w\.json does not say what the network was trained for"):
        from_card(Path("w.npz"), {"metadata": {"data": {KEY: entry}}, "model": {}})

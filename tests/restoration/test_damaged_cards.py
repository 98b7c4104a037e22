"""Weights whose card was damaged are named as such, in one sentence."""

import json
import shutil

import pytest

from mpijax.core.assets import asset_path
from mpijax.restoration import find_method
from mpijax.rows import Denoise

WHOLE = json.loads(asset_path("weights/denoise_2d.json").read_text())


def changed(*path, value=None):
    """The card with one entry changed, or without it."""
    card = json.loads(json.dumps(WHOLE))
    place = card
    for name in path[:-1]:
        place = place[name]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return json.dumps(card)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '"x"',
        json.dumps(WHOLE)[:300],
        *(changed(name) for name in ("format", "version", "model", "sha256", "metadata")),
        *(changed(name, value=[1]) for name in ("model", "sha256", "metadata")),
        changed("model", "name"),
        changed("metadata", "data", value=3),
        *(changed("metadata", "data", "task", name) for name in ("task", "method", "noise_range")),
        changed("metadata", "data", "task", "noise_range", value="ab"),
    ],
)
def test_a_damaged_card_is_named(tmp_path, text):
    shutil.copy(asset_path("weights/denoise_2d.npz"), tmp_path / "weights.npz")
    (tmp_path / "weights.json").write_text(text)
    with pytest.raises(ValueError, match=r"weights\.json (is not a card of weights|is damaged|does not say what)"):
        find_method(Denoise(), 2, tmp_path)

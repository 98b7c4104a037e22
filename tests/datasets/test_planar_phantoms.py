"""Phantoms drawn on the device: areas, sizes, kinds, purity."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.datasets.phantoms import GLYPHS, planar


def pieces(**changes):
    one = {
        "center": [[0.1, -0.05]],
        "half": [[0.0, 0.0]],
        "angle": [0.3],
        "radius": [0.1],
        "wall": [10.0],
        "level": [40.0],
    }
    return planar.Pieces(**{name: jnp.asarray(value) for name, value in (one | changes).items()})


@pytest.mark.parametrize(
    "changes, area",
    [
        ({}, np.pi * 0.1**2),
        ({"half": [[0.15, 0.0]]}, np.pi * 0.1**2 + 0.3 * 0.2),
        ({"half": [[0.2, 0.03]], "radius": [0.0]}, 0.4 * 0.06),
        ({"wall": [0.02]}, np.pi * (0.12**2 - 0.08**2)),
        ({"half": [[0.1, 0.05]], "radius": [0.05], "wall": [0.01]}, 0.02 * (2 * 0.2 + 2 * 0.1 + 2 * np.pi * 0.05)),
        ({"level": [0.0]}, 0.0),
    ],
    ids=["dot", "capsule", "bar", "ring", "frame", "absent"],
)
def test_areas_are_the_analytic_ones(changes, area):
    image = np.asarray(planar.draw_image(pieces(**changes), 120))
    level = 40.0 if area else 1.0
    assert image.max() == pytest.approx(40.0 if area else 0.0) and image.min() == 0
    assert image.mean() / level == pytest.approx(area, rel=0.02, abs=1e-9)
    if area:
        rows, columns = np.indices(image.shape)
        middle = np.array([np.sum(columns * image), np.sum(rows * image)]) / image.sum()
        np.testing.assert_allclose((middle + 0.5) / 120 - 0.5, [0.1, -0.05], atol=1e-3)  # row 0 has the lowest y


def test_the_larger_concentration_counts_where_pieces_overlap():
    two = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), pieces(), pieces(level=jnp.array([90.0]), radius=[0.05]))
    image = np.asarray(planar.draw_image(two, 60))
    assert image.max() == pytest.approx(90) and np.unique(image.round(3)).size > 3
    np.testing.assert_array_equal(image, planar.draw_image(jax.tree.map(lambda leaf: leaf[::-1], two), 60))


@pytest.fixture(scope="module")
def drawn():
    """Twelve phantoms of every kind."""
    keys = jax.random.split(jax.random.key(5), 12)
    return {
        kind: np.asarray(jax.jit(jax.vmap(planar.PlanarPhantoms.create((kind,), 48)))(keys))
        for kind in planar.PLANAR_KINDS
    }


@pytest.mark.parametrize("kind", planar.PLANAR_KINDS)
def test_every_kind_varies_within_its_concentrations(drawn, kind):
    images = drawn[kind]
    low, high = planar.CONCENTRATIONS
    assert images.shape == (12, 48, 48) and np.all(np.isfinite(images)) and images.min() == 0
    assert images.max() <= high * (1 + 1e-6) and np.all(images.max(axis=(1, 2)) > 0.3 * low)
    share = (images > 0).mean(axis=(1, 2))
    assert np.all(share > 1e-3) and np.all(share < 0.5)
    assert np.ptp(images, axis=0).max() > low  # not the same one twelve times
    border = np.concatenate([images[:, [0, -1]].ravel(), images[:, :, [0, -1]].ravel()])
    assert (border > 0).mean() < 0.02


def test_dots_and_shapes_have_several_concentrations_and_trees_one(drawn):
    def levels(image):  # of the pixels that lie wholly inside
        inside = image[1:-1, 1:-1][
            (np.abs(np.diff(image, axis=0)[:-1, 1:-1]) + np.abs(np.diff(image, axis=1)[1:-1, :-1])) < 1e-4
        ]
        return np.unique(inside[inside > 19.9].round(2))

    assert max(len(levels(image)) for image in drawn["dots"]) > 2
    assert max(len(levels(image)) for image in drawn["shapes"]) > 1
    assert all(len(levels(image)) <= 1 for image in drawn["vessels"])


def test_draws_are_pure_functions_of_the_key():
    source = planar.PlanarPhantoms.create(size=24)
    draw = jax.jit(source)
    first, again, other = draw(jax.random.key(0)), draw(jax.random.key(0)), draw(jax.random.key(1))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1
    np.testing.assert_allclose(source(jax.random.key(0)), first, atol=1e-3)
    kinds = np.array(
        [np.floor(float(jax.random.uniform(jax.random.key(i), (planar.NUMBERS + 1,))[0]) * 5) for i in range(40)]
    )
    assert set(kinds) == set(range(5))


def test_all_characters_fit_into_the_pieces():
    segments = planar._STROKES[..., 4].sum(axis=1)
    lengths = [sum(len(line.split()) - 1 for line in strokes.split("|")) for strokes in GLYPHS.values()]
    np.testing.assert_array_equal(segments, lengths)


@pytest.mark.parametrize(
    "arguments, message",
    [((("vessel",), 64), "kind = 'vessel'"), (((), 64), "kinds is empty"), ((("dots",), 4), "size = 4")],
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        planar.PlanarPhantoms.create(*arguments)


def test_too_few_random_numbers_are_refused():
    with pytest.raises(ValueError, match="random numbers; 20 were given"):
        planar.draw_dots(jnp.full(20, 0.5))

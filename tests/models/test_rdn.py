import numpy as np
import pytest

from mpijax import models
from tests.models.grids import check_bfloat16, check_boxes, check_config, count, create, sample, untrained

SMALL = dict(features=4, growth=3, blocks=2, layers=2)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 21_974_530),
        ({"dimensions": 3}, 64_593_922),
        ({"growth": 32, "blocks": 8, "layers": 6}, 2_232_834),
        ({"dimensions": 3, "features": 32, "growth": 32, "blocks": 6, "layers": 4}, 1_755_586),
    ],
)
def test_counts(options, expected):
    assert count("rdn", **options) == expected


def test_neither_padding_nor_what_lies_outside_matters():
    check_boxes(create("rdn", **SMALL), (5, 4), [((8, 8), (2, 1))])


def test_neither_padding_nor_what_lies_outside_matters_in_three_dimensions():
    check_boxes(create("rdn", dimensions=3, **SMALL), (3, 4, 2), [((6, 4, 5), (1, 0, 3))])


def test_value_against_numpy():
    """A row of one voxel, where only the middle of each kernel counts."""
    model = create("rdn", **SMALL)
    x = np.asarray([0.7, -1.2])

    def at(layer, values):
        kernel = np.float64(layer.kernel[...])
        return values @ kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] + np.float64(layer.bias[...])

    shallow = at(model.stem, x)
    hidden, outputs = at(model.first, shallow), []
    for block in model.blocks:
        dense = hidden
        for layer in block.convs:
            dense = np.concatenate([dense, np.maximum(at(layer, dense), 0)])
        hidden = hidden + at(block.fuse, dense)
        outputs.append(hidden)
    expected = x + at(model.last, shallow + at(model.merge, at(model.fuse, np.concatenate(outputs))))
    np.testing.assert_allclose(model(x.astype(np.float32).reshape(1, 1, 1, 2))[0, 0, 0], expected, rtol=1e-5)


def test_untrained_network_is_the_identity():
    rows, _ = sample(4, 5)
    np.testing.assert_array_equal(untrained("rdn", rows, **SMALL), rows)


def test_bfloat16():
    check_bfloat16("rdn", (6, 6), **SMALL)


def test_config():
    check_config(create("rdn", **SMALL))


@pytest.mark.parametrize(("options", "message"), [({"scale": 2}, "scale = 2"), ({"growth": 0}, "growth = 0")])
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("rdn", rngs=0, **{**SMALL, **options})

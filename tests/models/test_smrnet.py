import numpy as np
import pytest

from mpijax import models
from tests.models.grids import check_bfloat16, check_boxes, check_config, count, create
from tests.models.training import check_loss_falls

SMALL = dict(features=4, growth=3, blocks=1)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"scale": 2}, 6_587_970),
        ({"scale": 4}, 6_624_898),
        ({"scale": 8}, 6_661_826),
        ({"scale": 2, "dimensions": 3}, 19_753_026),
    ],
)
def test_counts(options, expected):
    assert count("smrnet", **options) == expected


@pytest.mark.parametrize("scale", [2, 4])
def test_neither_padding_nor_what_lies_outside_matters(scale):
    check_boxes(create("smrnet", scale=scale, **SMALL), (3, 4), [((6, 5), (2, 1))], scale=scale)


def test_neither_padding_nor_what_lies_outside_matters_in_three_dimensions():
    model = create("smrnet", scale=2, dimensions=3, **SMALL)
    check_boxes(model, (3, 2, 2), [((4, 3, 2), (1, 0, 0))], scale=2)


def test_value_against_numpy():
    """One voxel and kernels that are zero but for the middle: nothing mixes, each fine voxel is a function of its own."""
    model = create("smrnet", scale=2, **SMALL)
    layers = [model.first, model.trunk, *model.upsample, model.fine, model.last]
    layers += [layer for block in model.blocks[0] for layer in (*block.convs, block.last)]
    for layer in layers:
        middle = layer.kernel[1, 1]
        layer.kernel[...] = np.zeros(layer.kernel.shape, np.float32)
        layer.kernel[1, 1] = middle
    x = np.asarray([0.7, -1.2])

    def at(layer, values):
        return values @ np.float64(layer.kernel[1, 1]) + np.float64(layer.bias[...])

    def act(values):
        return np.where(values > 0, values, 0.2 * values)

    shallow = inner = at(model.first, x)
    for block in model.blocks[0]:
        dense = inner
        for layer in block.convs:
            dense = np.concatenate([dense, act(at(layer, dense))])
        inner = inner + 0.2 * at(block.last, dense)
    hidden = shallow + at(model.trunk, shallow + 0.2 * inner)
    expected = at(model.last, act(at(model.fine, act(at(model.upsample[0], hidden)))))
    out = model(x.astype(np.float32).reshape(1, 1, 1, 2))
    np.testing.assert_allclose(out, np.broadcast_to(expected, (1, 2, 2, 2)), rtol=1e-5)


def test_fine_voxels_grow_out_of_the_coarse_voxel_below_them():
    model = create("smrnet", scale=2, **SMALL)
    x = np.zeros((1, 9, 9, 2), np.float32)
    x[0, 4, 4] = 100.0
    change = np.abs(np.asarray(model(x) - model(0 * x))).sum((0, -1))
    center = np.argwhere(change > 0).mean(0)
    np.testing.assert_allclose(center, 2 * 4 + 0.5)  # fine voxels 8 and 9


def test_bfloat16():
    check_bfloat16("smrnet", (6, 6), scale=2, **SMALL)


def test_loss_falls():
    check_loss_falls("smrnet", 2, **SMALL)


def test_config():
    check_config(create("smrnet", scale=4, **SMALL))


@pytest.mark.parametrize(("options", "message"), [({"scale": None}, "scale = None"), ({"scale": 3}, "scale = 3")])
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("smrnet", rngs=0, **{**SMALL, **options})

import numpy as np
import pytest
from flax import nnx

from mpijax import models
from tests.models.grids import check_config, check_gradient, count, create
from tests.models.training import check_loss_falls

TINY = dict(features=4, blocks=(1, 1), refinement=1, heads=(1, 2))


def test_counts_are_those_of_the_layers():
    """The published network (26.13 M), and with one channel."""
    heads, blocks = [1, 2, 4, 8], [4, 6, 6, 8]

    def block(width, heads):
        hidden = int(2.66 * width)
        return 4 * width + 4 * width**2 + 27 * width + heads + 3 * width * hidden + 18 * hidden

    levels = [n * block(48 * 2**i, h) for i, (n, h) in enumerate(zip(blocks, heads, strict=True))]
    wide = [4 * block(96, 1), 6 * block(96, 2), 6 * block(192, 4), 4 * block(96, 1)]  # back, and the refinement
    down = sum(9 * width**2 // 2 for width in (48, 96, 192))
    up = sum(18 * width**2 for width in (96, 192, 384))
    ends, reduce = 27 * 48 + 27 * 96, 2 * 96**2 + 2 * 192**2
    assert count("restormer", channels=3) == 26_126_644 == sum(levels) + sum(wide) + down + up + ends + reduce
    assert count("restormer", channels=1) == 26_126_644 - 18 * 48 - 18 * 96


def test_sizes_that_do_not_fit_are_mirrored_and_cropped():
    model = create("restormer", channels=1, **TINY)
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 1)).astype(np.float32)
    mirrored = np.pad(x, ((0, 0), (0, 1), (0, 0), (0, 0)), mode="reflect")
    odd, even = nnx.jit(lambda m, x, y: (m(x), m(y)))(model, x, mirrored)
    assert odd.shape == x.shape and even.shape == (2, 6, 6, 1)
    np.testing.assert_allclose(odd, even[:, :5], atol=1e-6)


def test_config():
    check_config(create("restormer", channels=3, **TINY))


def test_gradient_is_finite_on_an_empty_image():
    check_gradient(create("restormer", channels=1, **TINY), np.zeros((1, 4, 4, 1), np.float32), None)


def test_loss_falls():
    check_loss_falls("restormer", 1, size=(8, 8), **TINY)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(scale=4), "scale = 4"),
        (dict(heads=(1,)), r"blocks = \(1, 1\), heads = \(1,\); expected"),
        (dict(features=6, heads=(3, 9)), r"features = 6; heads = \(3, 9\) need a multiple of 18"),
    ],
)
def test_refusals(options, message):
    with pytest.raises(ValueError, match=message):
        models.create("restormer", rngs=0, **{**TINY, **options})

"""Networks against their PyTorch twins (extra `bench`) with the same weights."""

import jax
import numpy as np
import pytest

from mpijax.training.state import by_path, split
from tests.models.grids import create

torch = pytest.importorskip("torch")
twins = pytest.importorskip("benchmarks.torch_networks")

SMALL = dict(features=8, layers=1, embed=8, heads=2, local_features=6, growth=3, blocks=2, fused_features=6)


def outputs(name, grid, options, **inputs):
    """Both networks in evaluation mode and in training mode, on the same rows, and the statistics that training leaves."""
    model = create(name, **options)
    network, weights = split(model)
    x = np.random.default_rng(0).normal(size=(3, *grid, 2)).astype(np.float32)
    module = twins.twin(model.config, by_path(weights))
    given = {key: torch.from_numpy(value) for key, value in inputs.items()}
    theirs = []
    for mode in (module.eval, module.train):
        mode()
        with torch.no_grad():
            theirs.append(module(torch.from_numpy(x).permute(0, 3, 1, 2), **given).permute(0, 2, 3, 1).numpy())
    ours = [jax.jit(network.evaluate)(weights, x, **inputs), *jax.jit(network.train)(weights, x, **inputs)]
    return ours, theirs, module


def check(ours, theirs):
    for mine, other in zip(ours[:2], theirs, strict=True):
        assert mine.shape == other.shape
        np.testing.assert_allclose(mine, other, atol=1e-5 * np.abs(other).max(), rtol=0)


@pytest.mark.parametrize(("scale", "grid"), [(2, (4, 6)), (4, (3, 5))])
def test_transms(scale, grid):
    ours, theirs, module = outputs("transms", grid, dict(scale=scale, **SMALL))
    check(ours, theirs)
    assert np.abs(ours[0] - ours[1]).max() > 1e-3  # the two modes differ
    state = module.state_dict()
    stride = (1, 1, 2)
    for path, mine in by_path(ours[2]).items():
        *modules, kind = path.split("/")
        other = state[".".join([*modules, {"mean": "running_mean", "var": "running_var"}[kind]])].numpy()
        if kind == "var":  # PyTorch keeps the unbiased variance
            cells = 3 * np.prod([-(-(n + n % 2) // stride[int(path.split("/")[3])]) for n in grid])
            before = np.asarray(by_path(split(create("transms", scale=scale, **SMALL))[1].batch_stats)[path])
            other = 0.9 * before + (other - 0.9 * before) * (cells - 1) / cells
        np.testing.assert_allclose(mine, other, atol=1e-5)


def test_transms_at_the_published_size_within_the_noise():
    level = np.array([0.0, 0.1, 50.0], np.float32)
    check(*outputs("transms", (4, 4), dict(scale=2), noise_level=level)[:2])


def test_smrnet():
    check(*outputs("smrnet", (3, 4), dict(scale=4, features=8, growth=4, blocks=2))[:2])


def test_vrfnet():
    """What it adds to the upsampled row; the Keys matrices have a test of their own."""
    sizes = dict(features=8, blocks=2, embed=8, depth=1, heads=3, head_features=4, mlp=6, patch_size=2)
    check(*outputs("vrfnet", (4, 6), dict(scale=2, input_shape=(4, 6), residual=False, **sizes))[:2])


def test_weights_that_do_not_fit_the_twin_are_refused():
    model = create("smrnet", scale=2, features=4, growth=2, blocks=1)
    arrays = by_path(split(model)[1])
    with pytest.raises(RuntimeError, match="first.weight"):
        twins.twin(model.config, {path: array for path, array in arrays.items() if path != "params/first/kernel"})

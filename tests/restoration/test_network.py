import jax
import numpy as np
import pytest
from flax import nnx

import mpijax as mj
from mpijax import models
from mpijax.restoration import find_method
from mpijax.restoration.method import phase_average
from mpijax.rows import Complete, Denoise, Inpaint, Upsample
from mpijax.training import save_weights, split
from tests.restoration.matrices import noisy, smooth_matrix


def save_unet(folder, task, dimensions=2, scale=1, random=False):
    model = models.create(
        "unet", scale=scale, dimensions=dimensions, features=(4,), blocks=1, patch=1, rngs=nnx.Rngs(0)
    )
    weights = split(model)[1]
    if random:
        rng = np.random.default_rng(3)
        weights = jax.tree.map(
            lambda w: np.asarray(w) + np.float32(0.2) * rng.normal(size=w.shape).astype(np.float32), weights
        )
    facts = {
        "task": task,
        "scale": scale,
        "step": 2,
        "method": "stride",
        "noise_range": [0.0, 0.3],
    }  # up to version 0.7
    save_weights(folder / "weights.npz", weights, model.config, metadata={"data": {"task": facts, "prior": {}}})
    return folder


@pytest.fixture(scope="module")
def unet(tmp_path_factory):
    return save_unet(tmp_path_factory.mktemp("any"), "any", random=True)


def rows(shape=(2, 7, 9), seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


def test_average_over_phases_commutes_with_any_turn_and_members_do_not(unet):
    restorer, _ = find_method(Denoise(), 2, unet)
    x, known, sigma = rows(), np.ones((7, 9), bool), np.full(2, 0.1, np.float32)
    mean, member, spread = phase_average(restorer, x, known, sigma)
    for turn in np.exp(1j * np.array([0.5, 1.6, 2.7])).astype(np.complex64):
        turned, turned_member, _ = phase_average(restorer, turn * x, known, sigma)
        np.testing.assert_allclose(turned, turn * mean, atol=1e-5)
    assert np.abs(turned_member - turn * member).max() > 1e-2
    assert np.all(spread > 1e-3)
    assert phase_average(find_method(Denoise(), 2, "dct-soft")[0], x, known, sigma)[2].max() == 0


def test_unit_of_the_rows_and_what_lies_at_missing_voxels_do_not_matter(unet):
    restorer, _ = find_method(Inpaint(), 2, unet)
    x, known = rows(), np.arange(63).reshape(7, 9) % 5 > 0
    inside = np.ones_like(known)
    out = np.asarray(restorer.apply(x, known, inside, np.full(2, 0.1, np.float32)))
    other = np.where(known, x, 1e3) * np.float32(1e-8)
    np.testing.assert_allclose(
        np.asarray(restorer.apply(other, known, inside, np.full(2, 1e-9, np.float32))) * 1e8,
        out,
        atol=1e-6 * np.abs(out).max(),
    )


@pytest.mark.parametrize("scale", [1, 2])
def test_an_untrained_network_keeps_what_is_known(tmp_path, scale):
    task = Denoise() if scale == 1 else Upsample(scale)
    restorer, _ = find_method(task, 2, save_unet(tmp_path, task.name, scale=scale))
    x = rows((3, 5, 6))
    out = np.asarray(restorer.apply(x, *np.ones((2, 5, 6), bool), np.zeros(3, np.float32)))
    np.testing.assert_allclose(out[:, ::scale, ::scale], x, atol=1e-4)


def test_networks_are_used_only_for_what_they_were_trained_for(unet, tmp_path):
    for task in (Denoise(), Inpaint(), Complete(2)):
        assert find_method(task, 2, unet)[0].trained
    with pytest.raises(ValueError, match="trained for task denoise or inpaint or complete, but task = upsample"):
        find_method(Upsample(2), 2, unet)
    with pytest.raises(ValueError, match="trained for dimensions 2, but dimensions = 3"):
        find_method(Denoise(), 3, unet)
    with pytest.raises(ValueError, match="trained for scale 2, but scale = 3"):
        find_method(Complete(3), 2, unet)
    up = save_unet(tmp_path, "upsample", scale=2)
    assert find_method(Upsample(2), 2, up)[1].sampling == "stride"
    with pytest.raises(ValueError, match="trained for sampling stride, but sampling = box"):
        find_method(Upsample(2, "box"), 2, up)


def test_tasks_without_weights_say_which_there_are():
    for task, dimensions in ((Upsample(4), 2), (Upsample(2, "box"), 2), (Upsample(2), 3), (Complete(3), 3)):
        with pytest.raises(ValueError, match="there are some for denoise 2-D; upsample 2-D .scale 2, .*name a run dir"):
            find_method(task, dimensions)
    with pytest.raises(FileNotFoundError, match="denoise knows the methods dct-soft, dct-hard, dct-garrote"):
        find_method(Denoise(), 2, "nowhere")
    with pytest.raises(ValueError, match="spline is defined for 'stride'"):
        find_method(Upsample(2, "box"), 2, "spline")


def test_rows_of_a_network_that_removes_no_noise_are_filtered_instead(tmp_path):
    matrix = noisy(smooth_matrix(), 0.1, frames=40)
    model = save_unet(tmp_path, "denoise")
    same = mj.restore(matrix, "denoise", model=model, trust=False)
    np.testing.assert_allclose(same.value.values, matrix.values, rtol=1e-5, atol=1e-6 * 1e-9)
    tried = same.stats["trusted"].sum()
    assert tried >= 16
    checked = mj.restore(matrix, "denoise", model=model)
    assert checked.stats["trusted"].sum() == tried
    assert set(checked.stats["method"]) == {"", "wiener"}
    filtered = mj.restore(matrix, "denoise", model="wiener")
    np.testing.assert_allclose(checked.value.values, filtered.value.values, atol=1e-5 * 1e-9)
    with pytest.raises(ValueError, match="no row would change, noise as given: .*the check of the residual fails"):
        mj.restore(matrix, "denoise", model=model, noise_std=0.01e-9)


def test_completing_by_an_untrained_network_falls_back_to_splines(tmp_path):
    fine = smooth_matrix((9, 9, 7), rows=4, empty=0)
    coarse = np.asarray(fine.images())[..., ::2, ::2, ::2].reshape(2, 2, -1)
    grid = mj.Grid.create((5, 5, 4), np.array([10, 10, 8]) * 1e-3, fine.grid.center)
    matrix = mj.SystemMatrix.create(coarse, fine.frequencies, grid, n_samples=64, bandwidth=32e3)
    matrix = noisy(matrix, 0.01, frames=20)
    solution = mj.restore(matrix, "complete", model=save_unet(tmp_path, "complete", dimensions=3))
    np.testing.assert_allclose(solution.value.grid.positions, fine.grid.positions, atol=1e-12)
    known = np.asarray(solution.value.images())[..., ::2, ::2, ::2].reshape(4, -1)
    assert np.all(np.linalg.norm(known - matrix.rows(), axis=1) < 1e-4 * np.linalg.norm(matrix.rows(), axis=1))
    assert "sha256" in solution.value.metadata["/calibration/_restoration"]


def test_a_method_of_another_task_is_named_as_such():
    with pytest.raises(ValueError, match="spline is no method of denoise, which knows dct-soft"):
        find_method(Denoise(), 2, "spline")

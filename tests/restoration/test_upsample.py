import numpy as np
import pytest
from flax import nnx

import mpijax as mj
from mpijax import models
from mpijax.rows import bicubic, degrade
from mpijax.training import save_weights, split


def coarse_matrix(shape=(8, 6, 2), **extra):
    rng = np.random.default_rng(0)
    grid = mj.Grid.create(shape, np.asarray(shape) * 2e-3, (1e-3, 0, 0))
    values = (rng.normal(size=(2, 3, grid.size)) + 1j * rng.normal(size=(2, 3, grid.size))).astype(np.complex64)
    return mj.SystemMatrix.create(values, np.arange(3) * 1e3, grid, n_samples=8, bandwidth=4e3, **extra)


def test_bicubic_of_a_matrix_is_bicubic_of_its_slices():
    matrix = coarse_matrix()
    solution = mj.restore(matrix, "upsample", scale=2, model="bicubic")
    fine = solution.value
    assert fine.grid.shape == (16, 12, 2) and np.array_equal(fine.grid.fov, matrix.grid.fov)
    want = np.asarray(bicubic(np.asarray(matrix.images()), 2))
    np.testing.assert_allclose(fine.images(), want, atol=1e-6)
    assert fine.values.dtype == np.complex64 and "upsampled 2 x" in fine.metadata["/calibration/_restoration"]
    again = np.asarray(degrade(want, 2))
    residual = np.linalg.norm((again - np.asarray(matrix.images())).reshape(6, -1), axis=1)
    np.testing.assert_allclose(solution.stats["residual"], residual / np.linalg.norm(matrix.rows(), axis=1), rtol=1e-4)


def test_consistent_bicubic_does_not_contradict_the_data():
    solution = mj.restore(coarse_matrix(), "upsample", scale=2, model="consistent-bicubic")
    plain = mj.restore(coarse_matrix(), "upsample", scale=2, model="bicubic")
    assert np.max(solution.stats["residual"]) < 0.2 * np.max(plain.stats["residual"])


def test_stride_puts_the_first_fine_voxel_on_the_first_coarse_position():
    matrix = coarse_matrix()
    fine = mj.restore(matrix, "upsample", scale=4, sampling="stride", model="bicubic").value
    np.testing.assert_allclose(np.asarray(fine.grid.positions)[0], np.asarray(matrix.grid.positions)[0], atol=1e-15)
    np.testing.assert_allclose(fine.images()[..., ::4, ::4], matrix.images(), atol=1e-5)


def test_only_kept_rows_are_restored():
    matrix = coarse_matrix(snr=np.array([[1, 9, 9], [9, 1, 1.0]])).select(snr_threshold=5)
    fine = mj.restore(matrix, "upsample", scale=2, model="bicubic").value
    assert fine.rows().shape == (3, 16 * 12 * 2)
    np.testing.assert_array_equal(fine.row_index().frequency_index, [1, 2, 0])


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    model = models.create(
        "vrfnet", scale=2, input_shape=(8, 8), rngs=nnx.Rngs(0), features=4, blocks=1, embed=8, heads=1, mlp=8
    )
    save_weights(folder / "weights.npz", split(model)[1], model.config, metadata={"data": {"method": "box"}})
    return folder


def test_untrained_network_is_bicubic_on_any_grid(run_dir):
    matrix = coarse_matrix()
    fine = mj.restore(matrix, "upsample", scale=2, model=run_dir).value
    np.testing.assert_allclose(
        fine.images(), mj.restore(matrix, "upsample", scale=2, model="bicubic").value.images(), atol=2e-5
    )


def test_bad_requests(run_dir, tmp_path):
    matrix = coarse_matrix()
    with pytest.raises(ValueError, match="trained for scale 2, but scale = 4"):
        mj.restore(matrix, "upsample", scale=4, model=run_dir)
    with pytest.raises(ValueError, match="trained for sampling box"):
        mj.restore(matrix, "upsample", scale=2, model=run_dir, sampling="stride")
    with pytest.raises(ValueError, match="'upsample'"):
        mj.restore(matrix, "paint", model=run_dir)
    with pytest.raises(ValueError, match="name a run directory"):
        mj.restore(matrix, "upsample", scale=4)
    with pytest.raises(ValueError, match="scale = 3"):
        mj.restore(matrix, "upsample", scale=3, model="bicubic")
    with pytest.raises(FileNotFoundError, match="does not exist"):
        mj.restore(matrix, "upsample", model=tmp_path)
    broken = matrix.with_rows(np.where(np.arange(96) == 3, np.nan, np.asarray(matrix.rows())))
    with pytest.raises(ValueError, match="NaN"):
        mj.restore(broken, "upsample", model="bicubic")

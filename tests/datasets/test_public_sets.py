"""Public benchmark sets by their folders: small files made here in the layouts of their public readers."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

import mpijax as mj
from mpijax.datasets.presets import preset
from mpijax.io import MDFError
from mpijax.io.arrays import read_array
from tests.io import mdf_files

BINS = mdf_files.K
"""Rows of a channel; 817 in the real files."""


def noise(rng, *shape):
    return (rng.normal(size=shape) + 1j * rng.normal(size=shape)).astype(np.complex64)


@pytest.fixture(scope="module")
def mnist(tmp_path_factory):
    """Fine and coarse matrices, where a coarse voxel is the sum of 25 fine ones, and the measurements of three digits."""
    root, rng = tmp_path_factory.mktemp("public") / "MPI-MNIST", np.random.default_rng(0)
    fine = noise(rng, 3, BINS, 15, 5, 17, 5)
    digits = rng.uniform(0, 10, (3, 15, 17))
    clean = np.einsum("cfyixj,kyx->kcf", fine, digits)[:, None]
    for folder in ("SM", "test_obs", "test_obsnoisy", "test_gt", "test_noise"):
        (root / folder).mkdir(parents=True)
    for name, values, size in (("fine", fine, (85, 75, 1)), ("coarse", fine.sum((3, 5)), (17, 15, 1))):
        path = root / "SM" / f"SM_fluid_opt_{name}.mdf"
        mdf_files.calibration(path, values.reshape(1, 3, BINS, -1), size=size)
    spectra = {"measurement__isFourierTransformed": np.int8(1), "acquisition__receiver__numChannels": np.int64(3)}
    disturbed = clean + 0.1 * noise(rng, *clean.shape)
    for path, data in (
        ("test_obs/test_obs.mdf", clean),
        ("test_obsnoisy/test_obsnoisy.mdf", disturbed),
        ("test_noise/NoiseMeas_phantom_test.mdf", disturbed - clean),
        ("test_noise/NoiseMeas_SM_test.mdf", noise(rng, 4, 1, 3, BINS)),
    ):
        mdf_files.measurement(root / path, data.astype(np.complex64), **spectra)
    with h5py.File(root / "test_gt" / "test_gt.hdf5", "w") as file:
        file["phantom_data"] = digits.reshape(3, 255)
    return root.parent, digits, clean, disturbed


def test_mnist_matrix_times_digit_is_the_measurement(mnist):
    root, digits, clean, disturbed = mnist
    data = mj.datasets.MPIMNIST(root)
    matrix, images = data.matrix(), data.phantoms()
    assert matrix.values.shape == (3, BINS, 255) and images.shape == (3, 1, 15, 17)
    np.testing.assert_allclose(images[:, 0], digits)
    np.testing.assert_allclose(matrix @ images, clean.reshape(3, -1), rtol=2e-4, atol=2e-3)
    assert data.matrix(resolution="fine").grid.shape == (85, 75, 1)
    np.testing.assert_allclose(data.measurement(noisy=False).values, clean, rtol=1e-5)
    noisy = data.measurement(frames=slice(1, 3))
    np.testing.assert_allclose(noisy.values, disturbed[1:], rtol=1e-5)
    np.testing.assert_allclose(noisy.values, clean[1:] + data.noise(frames=slice(1, 3)).values, rtol=1e-4, atol=1e-4)
    assert data.noise(of="SM").values.shape == (4, 1, 3, BINS)
    np.testing.assert_allclose(data.phantoms(frames=[2, 0])[:, 0], digits[[2, 0]])
    assert mj.datasets.MPIMNIST(root / "MPI-MNIST").phantoms(frames=1).shape == (1, 1, 15, 17)


def test_mnist_reconstructs(mnist):
    data = mj.datasets.MPIMNIST(mnist[0])
    measured = data.measurement(frames=0, noisy=False)
    found = mj.reconstruction.reconstruct(data.matrix(), measured, regularization=1e-6, sweeps=200)
    residual = data.matrix() @ found.value - measured.values.reshape(1, -1)
    assert np.linalg.norm(residual) < 0.05 * np.linalg.norm(measured.values)


def test_mnist_says_what_is_missing(mnist, tmp_path):
    data = mj.datasets.MPIMNIST(mnist[0])
    with pytest.raises(FileNotFoundError, match=r"unpack train_obsnoisy.tar.gz of 10.5281/zenodo.12799417"):
        data.measurement("train")
    with pytest.raises(ValueError, match="monodisperse-small"):
        data.matrix("poly")
    with pytest.raises(ValueError, match="has 3 rows; 3 are none"):
        data.phantoms(frames=3)
    with pytest.raises(FileNotFoundError, match="no folder"):
        mj.datasets.MPIMNIST(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"holds none of the folders SM, train_obs, .*10.5281/zenodo.12799417"):
        mj.datasets.MPIMNIST(tmp_path)


def ffl_file(path, rng, number, reverse=True):
    """As MATLAB's h5write leaves a phantom: arrays (49, 49, 6) and (49, 61, 6), whose axes HDF5 has in reverse."""
    image, sinogram = noise(rng, 49, 49, 6), noise(rng, 49, 61, 6)
    with h5py.File(path, "w") as file:
        for name, array in (("image", image), ("sinogram", sinogram)):
            stored = array.T if reverse else array
            file[f"data/{name}/real"], file[f"data/{name}/imag"] = stored.real, stored.imag
        file.attrs["Phantom_number"] = f"phantom-{number}"
        file.attrs["Gradient"] = np.bytes_("1.5 T/m ")
        file.attrs["Image_Size"] = np.array([49, 49, 6])
    return image, sinogram


@pytest.mark.parametrize("reverse", [True, False])
def test_ffl_mpi_data(tmp_path, reverse):
    rng = np.random.default_rng(1)
    (tmp_path / "measured").mkdir()
    made = {n: ffl_file(tmp_path / "measured" / f"phantom-{n}.h5", rng, n, reverse) for n in (10, 2, 1)}
    data = mj.datasets.FFLMPIData(tmp_path)
    assert len(data) == 3 and [path.stem for path in data.paths] == ["phantom-1", "phantom-2", "phantom-10"]
    for sample, number in zip(data, (1, 2, 10), strict=True):
        image, sinogram = made[number]
        np.testing.assert_array_equal(sample.image, np.moveaxis(image, -1, 0))
        np.testing.assert_array_equal(sample.sinogram, np.moveaxis(sinogram, -1, 0))
        facts = {"Phantom_number": f"phantom-{number}", "Gradient": "1.5 T/m", "Image_Size": (49, 49, 6)}
        assert dict(sample.facts) == facts


def test_the_scanner_of_ffl_mpi_data_moves_its_line_across_the_field_of_view():
    chosen = preset("line-buaa", shape=(21, 21, 1))
    np.testing.assert_allclose(np.rad2deg(chosen.line.angles), np.arange(0, 181, 6), atol=1e-9)
    made = replace(chosen, line=replace(chosen.line, angles=(0.0, np.pi / 2))).simulate()
    assert made.values.shape == (25 * 2, 6, 441) and made.scanner is None
    third = np.abs(np.asarray(made.values)).reshape(25, 2, 6, 21, 21)[:, :, 1]
    across = third[:, 0].sum(2).argmax(1)  # at 0 degrees the line lies along x and is moved along y
    assert across[0] == 20 and across[12] == 10 and across[24] == 0 and np.abs(np.diff(across)).max() <= 1
    np.testing.assert_array_equal(third[:, 1].sum(1).argmax(1), 20 - across)
    assert made.row_index().angle.tolist()[:12] == [0.0] * 6 + [np.pi / 2] * 6


def mixps_file(path, rng):
    path.parent.mkdir(parents=True, exist_ok=True)
    perimag, synomag = noise(rng, 2, 6, 64, 64)
    with h5py.File(path, "w") as file:
        for name, array in (("mix", perimag + synomag), ("P", perimag), ("S", synomag)):
            file[f"{name}/image/real"], file[f"{name}/image/imag"] = array.real, array.imag
        file.attrs["Alpha"] = 2.0
    return perimag, synomag


def test_mixps(tmp_path):
    rng = np.random.default_rng(2)
    root = tmp_path / "data"
    perimag, synomag = mixps_file(root / "MixPS-Simulation-7K" / "test" / "mix_00700.h5", rng)
    mixps_file(root / "MixPS-Simulation-7K" / "test" / "mix_00701.h5", rng)
    measured, _ = mixps_file(root / "MixPS-Realworld-41" / "test" / "mix_00001.h5", rng)
    data = mj.datasets.MixPS(tmp_path, "simulation")
    assert len(data) == 1 and len(mj.datasets.MixPS(root, "simulation", stress=True)) == 2
    sample = data[0]
    np.testing.assert_array_equal(sample.perimag, perimag)
    np.testing.assert_array_equal(sample.synomag, synomag)
    np.testing.assert_allclose(sample.mixture, perimag + synomag)
    assert sample.facts["Alpha"] == 2 and sample.path.name == "mix_00700.h5"
    turned = mj.datasets.MixPS(tmp_path, "realworld")[0]
    np.testing.assert_array_equal(turned.perimag, measured.swapaxes(1, 2))


def test_what_is_missing_or_damaged_is_said(tmp_path):
    with pytest.raises(ValueError, match="realworld"):
        mj.datasets.MixPS(tmp_path, "real")
    with pytest.raises(ValueError, match="test"):
        mj.datasets.MixPS(tmp_path, "realworld", "train")
    where = f"there is no folder {tmp_path}/MixPS-Synthetic-10K/test; unpack 10.5281/zenodo.22069325 in {tmp_path}."
    with pytest.raises(FileNotFoundError, match=where):
        mj.datasets.MixPS(tmp_path, "synthetic")
    with pytest.raises(FileNotFoundError, match=r"holds no files \*.h5, which are expected there; unpack 10.5281"):
        mj.datasets.FFLMPIData(tmp_path)
    path = tmp_path / "phantom-1.h5"
    with h5py.File(path, "w") as file:
        for name in ("image", "sinogram"):
            file[f"data/{name}/real"] = np.ones((49, 49))
            file[f"data/{name}/imag"] = np.ones((49, 49))
    with pytest.raises(MDFError, match=r"\(49, 49\); expected 6 harmonics"):
        mj.datasets.FFLMPIData(tmp_path)[0]
    with h5py.File(path, "a") as file:
        del file["data/image/imag"]
    with pytest.raises(MDFError, match="data/image/imag"):
        mj.datasets.FFLMPIData(tmp_path)[0]
    with h5py.File(path, "a") as file:
        file["data/image/imag"] = np.ones((49, 48))
    with pytest.raises(MDFError, match="one shape"):
        mj.datasets.FFLMPIData(tmp_path)[0]
    with pytest.raises(ValueError, match="49 rows"):
        read_array(path, "data/image/real", 99)

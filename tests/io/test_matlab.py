"""Variables of MATLAB files, of which the caller says what they are."""

import h5py
import numpy as np
import pytest
from scipy.io import savemat

import mpijax as mj
from mpijax import io
from tests import DATA
from tests.io.mdf_files import random_complex
from tests.test_cli import run

BUAA = DATA / "sm_encoding_array_buaa"
X, Y, F, C = 3, 2, 4, 2
FOV = (3e-3, 2e-3, 1e-3)


def version_73(path, **held):
    """As MATLAB writes it: a user block, axes in reverse order, complex numbers as records of real and imag."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, item in held.items():
            array = np.asarray(item).T
            if array.dtype.kind == "c":
                array = array.astype("c16").view([("real", "f8"), ("imag", "f8")])
            file[name] = array
    with open(path, "r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: PCWIN64".ljust(124) + b"\0\2IM")
    return path


def version_5(path, **held):
    savemat(path, held)
    return path


@pytest.mark.parametrize("write", [version_5, version_73])
def test_the_same_matrix_in_any_order_and_storage(tmp_path, write):
    values = random_complex(0, C, F, Y * X, dtype="c16")
    image = values.reshape(C, F, Y, X)
    path = write(
        tmp_path / "s.mat", S=image.transpose(1, 3, 2, 0), flat=values.transpose(2, 1, 0), re=values[0].real, im=values[0].imag,
        pairs=np.stack([values[0].real, values[0].imag], -1), f=np.arange(2, 6)[None] * 25e3,
    )  # fmt: skip
    options = {"fov": FOV, "frequencies": "f"}
    found = [
        io.read_matlab(path, "S", "frequency x y channel", **options),
        io.read_matlab(path, "flat", "voxel frequency channel", shape=(X, Y, 1), **options),
        io.read_matlab(path, ("re", "im"), "frequency voxel", shape=(X, Y, 1), **options),
        io.read_matlab(path, "pairs", "frequency voxel", shape=(X, Y, 1), fov=FOV),
    ]
    for matrix, channels in zip(found, (2, 2, 1, 1), strict=True):
        np.testing.assert_array_equal(matrix.values, values[:channels])
        assert matrix.grid.shape == (X, Y, 1)
    assert np.isnan(found[3].frequencies).all()
    np.testing.assert_array_equal(found[0].frequencies, np.arange(2, 6) * 25e3)
    np.testing.assert_array_equal(found[0].frequency_indices, np.arange(2, 6))
    measured = io.read_matlab(path, "flat", "frame frequency channel", frequencies=np.arange(2, 6) * 25e3)
    np.testing.assert_array_equal(measured.values[:, 0], values.transpose(2, 0, 1))


def test_it_goes_through_the_command_line(tmp_path, capsys):
    values = random_complex(1, F, X * Y, dtype="c16")
    matrix, scan = (
        version_73(tmp_path / "s.mat", S=values),
        version_5(tmp_path / "u.mat", u=(values @ np.ones(X * Y))[:, None]),
    )
    base = ["--base-frequency", "25", "--harmonics", "2:6"]
    words = ["--variable", "S", "--shape", X, Y, "1", "--fov", "3", "2", "1", *base]
    status, text = run(capsys, "convert", matrix, "-o", tmp_path / "s.mdf", *words)
    assert status == 0 and "system matrix 1 x 1 x 4 x 6" in text, text
    found = io.read_system_matrix(tmp_path / "s.mdf")
    np.testing.assert_array_equal(found.values[0], values)
    np.testing.assert_allclose(found.grid.fov, FOV)
    words = ["--variable", "u", "--axes", "frequency frame", *base, "--samples", found.n_samples]
    status, text = run(capsys, "convert", scan, "-o", tmp_path / "u.mdf", *words)
    assert status == 0, text
    words = ["--min-frequency", "0", "--snr-threshold", "0"]
    status, text = run(capsys, "reconstruct", tmp_path / "s.mdf", tmp_path / "u.mdf", "-o", tmp_path / "i.mdf", *words)
    assert status == 0, text
    status, text = run(capsys, "info", matrix)
    assert status == 2 and "does not say what its variables are: S (4 x 6). Say it: mpijax convert s.mat" in text


@pytest.mark.skipif(not BUAA.exists(), reason="the measured files are not here")
def test_a_measured_matrix(tmp_path, capsys):
    words = ["--variable", "S", "--axes", "frequency voxel", "--shape", "8", "8", "1", "--fov", "16", "16", "2"]
    status, text = run(capsys, "convert", BUAA / "S.mat", "-o", tmp_path / "s.mdf", *words)
    assert status == 0 and "system matrix 1 x 1 x 40 x 64" in text, text
    for name, rows, columns in (("b1", (0, 2), (0, 2)), ("b2", (3, 4), (2, 4))):  # top left, and the center
        scan, image = tmp_path / f"{name}.mdf", tmp_path / f"{name}-image.mdf"
        words = ["--variable", name, "--axes", "frequency frame"]
        status, text = run(capsys, "convert", BUAA / f"{name}.mat", "-o", scan, *words)
        assert status == 0, text
        words = ["kaczmarz", "--lambda", "5e-4", "--sweeps", "300", "--min-frequency", "0", "--background", "none"]
        status, text = run(capsys, "reconstruct", tmp_path / "s.mdf", scan, "-o", image, *words)
        assert status == 0, text
        y, x = np.unravel_index(np.argmax(io.read_reconstruction(image).images), (8, 8))
        assert rows[0] <= y <= rows[1] and columns[0] <= x <= columns[1]


@pytest.mark.skipif(not (DATA / "ffl_buaa").exists(), reason="the measured files are not here")
def test_measured_real_files():
    for path in sorted((DATA / "ffl_buaa").glob("noise_k_*.mat")):
        with pytest.raises(ValueError, match="noise is real; a spectrum is complex"):
            io.read_matlab(path, "noise", "frame frequency")
    with pytest.raises(io.MDFError, match=r"has no variable S; it has noise \(49 x 49\)"):
        io.read_matlab(path, "S", "frame frequency")


def test_a_file_without_a_word_of_its_variables(tmp_path, capsys):
    path = version_5(tmp_path / "v5.mat", **{f"variable{i}": np.ones((3, 2)) for i in range(9)})
    status, text = run(capsys, "convert", path, "-o", tmp_path / "x.mdf")
    assert status == 2 and text.endswith("or mj.io.read_matlab.\n") and "damaged" not in text, text


@pytest.mark.parametrize("write", [version_5, version_73])
def test_real_numbers_are_no_spectrum(tmp_path, write):
    path = write(tmp_path / "s.mat", S=np.ones((F, 6)))
    for axes in ("frequency voxel", "frequency frame"):
        with pytest.raises(ValueError, match="s.mat: S is real; a spectrum is complex: a complex variable, two with"):
            io.read_matlab(path, "S", axes, shape=(3, 2, 1), fov=FOV)


@pytest.mark.parametrize("write", [version_5, version_73])
def test_nan_is_a_position_that_failed_and_infinity_a_mistake(tmp_path, capsys, write):
    values = random_complex(0, F, 6, dtype="c16")
    values[:, 4] = np.nan
    path = write(tmp_path / "s.mat", S=values, inf=np.where(np.isnan(values), np.inf, values))
    words = ["convert", path, "-o", tmp_path / "s.mdf", "--shape", X, Y, 1, "--fov", 3, 2, 1, "--variable"]
    status, text = run(capsys, *words, "S")
    assert status == 0 and "S holds NaN at 1 of 6 positions, which are kept as failed ones; mpijax restore" in text, (
        text
    )
    np.testing.assert_array_equal(io.read_system_matrix(tmp_path / "s.mdf").values[0], values)
    status, text = run(capsys, *words, "inf")
    assert status == 2 and "error: " in text and "inf holds infinity" in text, text
    with pytest.raises(ValueError, match="S holds NaN; a measurement holds finite numbers"):
        io.read_matlab(path, "S", "frequency frame")


def test_the_command_line_takes_kilohertz_and_millimeters(tmp_path, capsys):
    path = version_5(
        tmp_path / "s.mat",
        S=random_complex(0, F, 6, dtype="c16"),
        f=np.arange(2.0, 6) * 25,
        hertz=np.arange(2, 6) * 25e3,
    )
    words = ["convert", path, "-o", tmp_path / "s.mdf", "--variable", "S", "--shape", X, Y, 1]
    status, text = run(capsys, *words, "--fov", 3, 2, 0.01, "--frequencies", "f")
    assert status == 0, text
    np.testing.assert_allclose(io.read_system_matrix(tmp_path / "s.mdf").frequencies, np.arange(2, 6) * 25e3)
    status, text = run(capsys, *words, "--fov", 3, 2, 1, "--frequencies", "hertz")
    assert status == 2 and "frequencies = hertz reaches 125000 kHz; kilohertz are expected, not hertz." in text, text
    status, text = run(capsys, *words, "--fov", 0.003, 0.002, 0.001)
    assert status == 2 and "fov = 0.003 x 0.002 x 0.001 mm for 3 x 2 x 1 voxels" in text and "not meters." in text, text


@pytest.mark.parametrize("write", [version_5, version_73])
def test_mistakes_are_one_sentence(tmp_path, write):
    path = write(tmp_path / "s.mat", S=random_complex(0, F, 6, dtype="c16"), f=np.array([[1e3, 2e3, 3.3e3, 4e3]]))

    def refused(match, variable="S", axes="frequency voxel", path=path, **options):
        with pytest.raises(ValueError, match=match) as caught:
            io.read_matlab(path, variable, axes, **{"shape": (3, 2, 1), "fov": FOV} | options)
        assert "\n" not in str(caught.value)

    refused(r"has no variable T; it has S \(4 x 6\), f \(1 x 4\)", variable="T")
    refused("S is 4 x 6, 2 axes, but 3 are named", axes="frequency voxel channel")
    refused(
        "axes = 'frequency pixel'; expected words of voxel, x, y, z, channel, frequency, frame", axes="frequency pixel"
    )
    refused("give voxel, or x, y and z", axes="voxel x frequency")
    refused("6 voxels; shape = .*, but a grid", shape=(3, 3, 1))
    refused("give its field of view", fov=None)
    refused("4 numbers that are not negative", frequencies=np.arange(3.0))
    refused("no multiples of 1000 Hz", frequencies="f", base_frequency=1e3)
    refused("S is 4 x 6 and f 1 x 4", variable=("S", "f"))
    (tmp_path / "cut.mat").write_bytes(path.read_bytes()[:200])
    refused("cut.mat cannot be read|cut.mat", path=tmp_path / "cut.mat")
    with pytest.raises(FileNotFoundError, match="there is no file"):
        io.read_matlab(tmp_path / "none.mat", "S", "frequency voxel")
    with pytest.raises(ValueError, match="is a MATLAB file"):
        mj.io.read(path)

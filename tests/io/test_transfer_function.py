import h5py
import numpy as np
import pytest

import mpijax as mj
from tests import DATA

CHAINS = DATA / "hamburg_transfer_functions"
FREQUENCIES = np.array([1e4, 2e4, 5e4])
VALUES = np.array([[1 + 1j, 2 - 1j, -0.5j], [3.0, -1j, 0.25 + 0.5j]])


def write(path, **fields):
    with h5py.File(path, "w") as file:
        for key, value in fields.items():
            file[key] = value
    return path


@pytest.mark.parametrize("stored", [np.stack([VALUES.real, VALUES.imag], -1), VALUES])
def test_hdf5(tmp_path, stored):
    path = write(tmp_path / "a.h5", frequencies=FREQUENCIES, transferFunction=stored, inductionFactor=[1.0, -2.0])
    got = mj.io.read_transfer_function(path)
    np.testing.assert_array_equal(got.frequencies, FREQUENCIES)
    np.testing.assert_array_equal(got.values, VALUES * [[1.0], [-2.0]])


def test_hdf5_of_julia(tmp_path):
    compound = np.zeros((2, 3), [("r", "f8"), ("i", "f8")])
    compound["r"], compound["i"] = VALUES.real, VALUES.imag
    path = write(tmp_path / "a.h5", frequencies=FREQUENCIES, transferFunction=compound)
    np.testing.assert_array_equal(mj.io.read_transfer_function(path).values, VALUES)


TOUCHSTONE = {
    "RI": lambda z: (z.real, z.imag),
    "MA": lambda z: (abs(z), np.degrees(np.angle(z))),
    "DB": lambda z: (20 * np.log10(abs(z)), np.degrees(np.angle(z))),
}


@pytest.mark.parametrize("layout", TOUCHSTONE)
@pytest.mark.parametrize("unit, scale", [("Hz", 1.0), ("kHz", 1e3), ("MHZ", 1e6), ("GHz", 1e9)])
def test_touchstone(tmp_path, layout, unit, scale):
    columns = TOUCHSTONE[layout](VALUES[0])
    rows = [
        f"{f / scale!r} {a!r} {b!r} ! a remark"
        for f, a, b in zip(FREQUENCIES.tolist(), *(c.tolist() for c in columns), strict=True)
    ]
    path = tmp_path / "a.s1p"
    path.write_bytes("\r\n".join(["! first", "", f"# {unit} S {layout} R 50", "!second", *rows]).encode())
    got = mj.io.read_transfer_function(path)
    np.testing.assert_allclose(got.frequencies, FREQUENCIES, rtol=1e-14)
    np.testing.assert_allclose(got.values, VALUES[:1], rtol=1e-12)


def test_touchstone_without_an_option_line_is_ghz_magnitude_angle(tmp_path):
    path = tmp_path / "a.S1P"
    path.write_text("1e-5 2 90\n2e-5 1 180\n")
    got = mj.io.read_transfer_function(path)
    np.testing.assert_allclose(got.frequencies, [1e4, 2e4])
    np.testing.assert_allclose(got.values, [[2j, -1]], atol=1e-15)


@pytest.mark.parametrize(
    "text, message",
    [
        ("# Hz S RI R 50\n1 2 3 4 5\n", "line 2: 5 numbers; one port"),
        ("# Hz S RI R 50\n1 two 3\n", "line 2: '1 two 3' is not a row"),
        ("! nothing\n# Hz S RI R 50\n", "no data"),
        ("# Hz S RI R 50\n2 1 0\n1 1 0\n", "must ascend"),
        ("# Hz S RI R 50\n2 nan 0\n3 1 0\n", "NaN"),
    ],
)
def test_bad_touchstone(tmp_path, text, message):
    path = tmp_path / "a.s1p"
    path.write_text(text)
    with pytest.raises(mj.io.MDFError, match=message):
        mj.io.read_transfer_function(path)


def test_bad_hdf5(tmp_path):
    with pytest.raises(FileNotFoundError):
        mj.io.read_transfer_function(tmp_path / "none.h5")
    (tmp_path / "a.csv").write_text("1,2")
    with pytest.raises(mj.io.MDFError, match=r"\.s1p"):
        mj.io.read_transfer_function(tmp_path / "a.csv")
    with pytest.raises(mj.io.MDFError, match="holds no /frequencies"):
        mj.io.read_transfer_function(write(tmp_path / "a.h5", transferFunction=VALUES))
    with pytest.raises(mj.io.MDFError, match="or complex"):
        mj.io.read_transfer_function(write(tmp_path / "b.h5", frequencies=FREQUENCIES, transferFunction=VALUES.real))
    with pytest.raises(mj.io.MDFError, match="expected .channels, k. and"):
        mj.io.read_transfer_function(write(tmp_path / "c.h5", frequencies=FREQUENCIES[:2], transferFunction=VALUES))
    path = write(tmp_path / "d.h5", frequencies=FREQUENCIES, transferFunction=VALUES, inductionFactor=np.ones(3))
    with pytest.raises(mj.io.MDFError, match="3 entries for 2 channels"):
        mj.io.read_transfer_function(path)


def test_measured_chains():
    chain = mj.io.read_transfer_function(CHAINS / "PreinstalledUH.h5")
    assert chain.values.shape == (3, 1600)
    peaks = chain.frequencies[np.abs(chain.values).argmax(1)]
    np.testing.assert_allclose(peaks, [588e3, 702e3, 681e3], atol=1e3)
    port = mj.io.read_transfer_function(CHAINS / "MPS1.s1p")
    assert port.values.shape == (1, 200) and port.frequencies[0] == pytest.approx(1e4)
    np.testing.assert_allclose(20 * np.log10(np.abs(port.values[0, 0])), -28.7672263)
    assert mj.io.read_transfer_function(CHAINS / "Gradio1.h5").values.shape == (3, 1000)

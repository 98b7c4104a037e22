"""Numbers as other programs store them: layouts of complex numbers, byte orders, flags and texts."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mpijax import io
from tests.io.mdf_files import K, V, calibration, measurement, random_complex

DATA = "/measurement/data"
NAMES = [("r", "i"), ("real", "imag"), ("re", "im"), ("Re", "Im"), ("R", "I"), ("real", "imaginary")]
VALUES = random_complex(0, 3, 1, 2, K)


def stored(path, name, item):
    with h5py.File(path, "r+") as file:
        if name in file:
            del file[name]
        file[name] = item
    return path


def records(values, names, kind):
    table = np.empty(values.shape, [(name, kind) for name in names])
    for name in names:
        table[name] = values.real if name[0].lower() == "r" else values.imag
    return table


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    st.sampled_from(NAMES),
    st.booleans(),
    st.sampled_from(["<f4", ">f4", "<f8", ">f8", "<f2", "<i2", ">i4"]),
    st.sampled_from(["records", "axis"]),
)
def test_complex_numbers_are_read_by_name(tmp_path_factory, names, swapped, kind, layout):
    folder = tmp_path_factory.mktemp("form")
    values = np.round(100 * VALUES)  # exact in every type
    path = measurement(folder / "m.mdf", values, measurement__isFourierTransformed=np.int8(1))
    pair = np.stack([values.real, values.imag], -1).astype(kind)
    stored(path, DATA, pair if layout == "axis" else records(values, names[:: -1 if swapped else 1], kind))
    found = io.read_measurement(path).values
    assert found.dtype == (np.complex128 if kind[1:] in ("f8", "i4") else np.complex64) and found.dtype.isnative
    np.testing.assert_array_equal(found, values)


def two_element(file, values):
    made = file.create_dataset(DATA, values.shape, np.dtype(("<f4", (2,))))
    made[...] = np.stack([values.real, values.imag], -1)


def own_type(file, values):
    if not hasattr(h5py.h5t, "COMPLEX_IEEE_F32LE"):
        pytest.skip("this HDF5 has no complex type of its own")
    kind = h5py.h5t.COMPLEX_IEEE_F32LE
    made = h5py.h5d.create(file["/measurement"].id, b"data", kind, h5py.h5s.create_simple(values.shape))
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, values, mtype=kind)


@pytest.mark.parametrize("make", [two_element, own_type])
def test_complex_types(tmp_path, make):
    path = measurement(tmp_path / "m.mdf", VALUES, measurement__isFourierTransformed=np.int8(1))
    with h5py.File(path, "r+") as file:
        del file[DATA]
        make(file, VALUES)
    np.testing.assert_array_equal(io.read_measurement(path, frames=[2, 0]).values, VALUES[[2, 0]])


@pytest.mark.parametrize("kind", ["c8", ">c16", "records", "axis"])
def test_matrix_and_transfer_function_in_any_layout(tmp_path, kind):
    data, chain = random_complex(1, 1, 2, K, 12), random_complex(2, 2, K)

    def form(values):
        if kind == "records":
            return records(values, ("i", "r"), "f4")
        return np.stack([values.real, values.imag], -1) if kind == "axis" else values.astype(kind)

    factors = np.array(
        [[2.0, 1.0], [3.0, 0.0]]
    )  # a calibration of complex floats is converted already, in every layout
    path = calibration(tmp_path / "a.mdf", data, acquisition__receiver__dataConversionFactor=factors)
    plain = io.read_system_matrix(stored(path, "/acquisition/receiver/transferFunction", chain))
    stored(path, DATA, form(data))
    found = io.read_system_matrix(stored(path, "/acquisition/receiver/transferFunction", form(chain)))
    np.testing.assert_allclose(found.values, plain.values, rtol=1e-6)
    np.testing.assert_array_equal(found.transfer_function, chain)


@pytest.mark.parametrize(
    "item, flags, message",
    [
        (VALUES.real, {"isFourierTransformed": 1}, "real numbers, but is called a spectrum"),
        (np.ones((3, 1, 2, V), "c8"), {}, "complex numbers, but is called the samples"),
        (records(VALUES, ("a", "b"), "f4"), {"isFourierTransformed": 1}, "records of a, b"),
        (np.full((3, 1, 2, K), b"x"), {"isFourierTransformed": 1}, "numbers are expected"),
        (np.ones((3, 1, 2, K, 3)), {"isFourierTransformed": 1}, "four axes"),
    ],
)
def test_what_is_no_spectrum_and_no_signal(tmp_path, item, flags, message):
    path = measurement(tmp_path / "m.mdf", np.ones((3, 1, 2, V), np.float32))
    for name, on in flags.items():
        stored(path, f"/measurement/{name}", on)
    with pytest.raises(io.MDFError, match=message):
        io.read_measurement(stored(path, DATA, item))


@pytest.mark.parametrize("on", [1, 1.0, True, np.uint8(1), "1", "true", np.bytes_(b" TRUE\0 "), np.array([1])])
def test_flags_of_any_type(tmp_path, on):
    path = measurement(tmp_path / "m.mdf", VALUES, measurement__isFourierTransformed=None)
    np.testing.assert_array_equal(
        io.read_measurement(stored(path, "/measurement/isFourierTransformed", on)).values, VALUES
    )
    assert not io.read_info(stored(path, "/measurement/isBackgroundCorrected", "0")).flags["isBackgroundCorrected"]


@pytest.mark.parametrize("item", [2, -1, np.nan, "yes please", np.array([1, 0]), h5py.SoftLink("/measurement/data")])
def test_flags_that_are_none(tmp_path, item):
    path = measurement(tmp_path / "m.mdf", VALUES, measurement__isFourierTransformed=None)
    with pytest.raises(io.MDFError, match="isFourierTransformed"):
        io.read_info(stored(path, "/measurement/isFourierTransformed", item))


def test_texts_are_stripped_and_compared_without_case(tmp_path):
    data = random_complex(1, 1, 2, K, 12)
    plain = io.read_system_matrix(calibration(tmp_path / "a.mdf", data, calibration__order="zyx"))
    path = calibration(tmp_path / "b.mdf", data, calibration__order=None)
    stored(path, "/calibration/order", np.bytes_(b" ZYX\0"))
    stored(path, "/acquisition/drivefield/waveform", np.array([[b"Sine "], [b"SINE\0\0"], [b"sine"]]))
    stored(path, "/experiment/subject", np.bytes_("Müller".encode("latin-1")))
    info = io.read_info(path)
    assert info.waveform == ("sine",) * 3 and info.sequence is not None and info.experiment["subject"] == "Müller"
    np.testing.assert_array_equal(io.read_system_matrix(path).values, plain.values)


@pytest.mark.parametrize(
    "name, item",
    [
        ("/acquisition/receiver/bandwidth", "1e6"),
        ("/acquisition/receiver/bandwidth", 0.0),
        ("/acquisition/receiver/bandwidth", np.inf),
        ("/acquisition/receiver/numSamplingPoints", 2.0**62),
        ("/acquisition/receiver/numSamplingPoints", 16.5),
        ("/acquisition/numAverages", 0),
        ("/acquisition/numFrames", [1, 2]),
        ("/acquisition/gradient", np.full((1, 1, 3, 3), np.nan)),
        ("/acquisition/drivefield/divider", np.full((3, 1), 2**62)),
        ("/calibration/size", [2.5, 2, 2]),
        ("/calibration/size", [2**40, 2**40, 1]),
        ("/calibration/fieldOfView", [-0.03, 0.02, 0.01]),
        ("/calibration/positions", np.zeros((3, 12))),
        ("/measurement/isBackgroundFrame", np.full(12, 0.5)),
        ("/tracer/concentration", "much"),
        ("/tracer/volume", [-1.0]),
        ("/calibration/snr", np.ones((1, 3, K))),
    ],
)
def test_nonsense_is_refused_by_the_name_of_its_field(tmp_path, name, item):
    path = stored(calibration(tmp_path / "a.mdf", random_complex(1, 1, 2, K, 12)), name, item)
    with pytest.raises(io.MDFError, match=name.split("/")[-1]) as caught:
        io.read_system_matrix(path)
    assert len(str(caught.value)) < 500

"""MDF 1 files, written field by field from the specification with h5py alone, beside the MDF 2 files that mpijax writes."""

import h5py
import numpy as np
import pytest

import mpijax as mj
from mpijax import io
from mpijax.io.mdf import first as first_file
from tests.io.mdf_files import random_complex
from tests.test_cli import run

C, V, SHAPE = 2, 64, (4, 3, 2)
K, N = V // 2 + 1, 24
BASE, DIVIDERS = 2.5e6, (32, 64)
BANDWIDTH = BASE / 2
FOV, CENTER, SAMPLE = (8e-3, 6e-3, 2e-3), (1e-3, 0.0, -1e-3), (2e-3, 2e-3, 1e-3)


def first(path, fields, **changes):
    """Write a flat dict of fields under the header that measurements and calibrations share; None leaves one out."""
    header = {
        "/version": "1.0.5",
        "/uuid": "9e2bd06d-8ac4-4d3b-8ac1-1f6d8d4a6e11",
        "/date": "2016-01-02T03:04:05.678",
        "/study/name": "Bottles",
        "/study/experiment": "18",
        "/study/description": "glass",
        "/study/subject": "phantom",
        "/study/simulation": np.int64(0),
        "/tracer/name": "Resovist",
        "/tracer/batch": "0",
        "/tracer/vendor": "n.a.",
        "/tracer/volume": 4e-6,
        "/tracer/concentration": 0.5,
        "/tracer/time": "2016-01-02T03:00:00.000",
        "/scanner/facility": "Lab",
        "/scanner/operator": "n.a.",
        "/scanner/manufacturer": "n.a.",
        "/scanner/model": "Model T",
        "/scanner/topology": "FFP",
        "/acquisition/numFrames": np.int64(1),
        "/acquisition/numPatches": np.int64(1),
        "/acquisition/framePeriod": V / BASE,
        "/acquisition/gradient": np.array([-1.0, -1.0, 2.0]),
        "/acquisition/time": "2016-01-02T03:04:05.678",
        "/acquisition/drivefield/numChannels": np.int64(2),
        "/acquisition/drivefield/strength": np.array([0.012, 0.01]),
        "/acquisition/drivefield/baseFrequency": BASE,
        "/acquisition/drivefield/divider": np.array(DIVIDERS),
        "/acquisition/drivefield/period": V / BASE,
        "/acquisition/drivefield/averages": np.int64(7),
        "/acquisition/receiver/numChannels": np.int64(C),
        "/acquisition/receiver/bandwidth": BANDWIDTH,
        "/acquisition/receiver/numSamplingPoints": np.int64(V),
        "/acquisition/receiver/frequencies": np.arange(K) * 2 * BANDWIDTH / V,
    }
    changes = {"/" + name.replace("__", "/"): item for name, item in changes.items()}
    with h5py.File(path, "w") as file:
        for name, item in (header | fields | changes).items():
            if item is not None:
                file[name] = item
    return path


def pairs(values):
    return np.stack([values.real, values.imag], -1)


def calibration(path, values, **changes):
    fields = {
        "/calibration/dataFD": pairs(values),
        "/calibration/snrFD": snr(),
        "/calibration/size": np.array(SHAPE),
        "/calibration/fieldOfView": np.array(FOV),
        "/calibration/fieldOfViewCenter": np.array(CENTER),
        "/calibration/deltaSampleSize": np.array(SAMPLE),
        "/calibration/method": "robot",
    }
    return first(path, fields, **changes)


def snr():
    return np.linspace(0.5, 20, C * K).reshape(C, K)


def scan():
    sequence = mj.LissajousSequence.create(
        amplitude=(0.012, 0.01, 0.0), dividers=(*DIVIDERS, 1), base_frequency=BASE, phase=(np.pi / 2, np.pi / 2, 0.0), n_samples=V
    )  # fmt: skip
    return {"sequence": sequence, "scanner": mj.Scanner.create(gradient=(-1.0, -1.0, 2.0))}


def second_matrix(path, values):
    matrix = mj.SystemMatrix.create(
        values, np.arange(K) * 2 * BANDWIDTH / V, mj.Grid.create(SHAPE, FOV, CENTER), snr=snr(), sample_concentration=500.0,
        sample_volume=float(np.prod(SAMPLE)), **scan(),
    )  # fmt: skip
    io.write_system_matrix(path, matrix)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A calibration and a measurement of one object, each in both generations."""
    folder = tmp_path_factory.mktemp("first")
    values = random_complex(0, C, K, N)
    image = np.zeros(N, np.float32)
    image[[5, 14]] = 1.0, 0.5
    spectra = (values @ image)[None] * np.arange(1, 4, dtype=np.float32)[:, None, None]
    spectra.imag[..., [0, -1]] = 0  # as every spectrum of a real signal
    samples = np.fft.irfft(spectra, V).astype(np.float32)
    calibration(folder / "sm1.mdf", values)
    second_matrix(folder / "sm2.mdf", values)
    first(folder / "td1.mdf", {"/measurement/dataTD": samples, "/acquisition/numFrames": np.int64(3)})
    first(folder / "fd1.mdf", {"/measurement/dataFD": pairs(spectra), "/acquisition/numFrames": np.int64(3)})
    for name, data in (("td2", np.fft.rfft(samples)), ("fd2", spectra)):
        data = mj.Measurement.create(data[:, None].astype(np.complex64), np.arange(K) * 2 * BANDWIDTH / V, **scan())
        io.write_measurement(folder / f"{name}.mdf", data)
    return folder


def test_a_calibration_reads_as_its_twin(files):
    old, new = (io.read_system_matrix(files / f"sm{i}.mdf") for i in (1, 2))
    for name in ("values", "frequencies", "frequency_indices", "snr", "bandwidth", "sample_concentration"):
        np.testing.assert_array_equal(getattr(old, name), getattr(new, name), name)
    assert old.sample_volume == pytest.approx(new.sample_volume, rel=1e-15)  # kept in liters
    assert old.grid.shape == new.grid.shape and old.n_samples == new.n_samples == V
    for name in ("fov", "center"):
        np.testing.assert_array_equal(getattr(old.grid, name), getattr(new.grid, name))
    for name in ("amplitude", "phase", "dividers", "base_frequency", "period"):
        np.testing.assert_array_equal(getattr(old.sequence, name), getattr(new.sequence, name))
    np.testing.assert_array_equal(old.sequence.phase[:2], np.pi / 2)
    np.testing.assert_array_equal(old.scanner.gradient, new.scanner.gradient)
    assert old.background is None and old.header.method == "robot" and old.header.averages == 7
    assert set(old.header.assumed) == {"phase", "waveform", "offset_field"}
    assert old.metadata["/experiment/number"] == 18 and old.metadata["/tracer/solute"] == "Fe"
    rows = [
        io.open_system_matrix(files / f"sm{i}.mdf").select(snr_threshold=10, channels=[1]).read().values for i in (1, 2)
    ]
    np.testing.assert_array_equal(*rows)
    assert isinstance(io.read(files / "sm1.mdf"), mj.SystemMatrix)


@pytest.mark.parametrize("kind", ["td", "fd"])
def test_a_measurement_reads_as_its_twin(files, kind):
    for options in ({}, {"frames": slice(1, 3), "average_frames": 2}):
        old, new = (io.read_measurement(files / f"{kind}{i}.mdf", **options) for i in (1, 2))
        np.testing.assert_array_equal(old.frequencies, new.frequencies)
        np.testing.assert_allclose(old.values, new.values, rtol=1e-6, atol=1e-6)
        assert old.values.shape == new.values.shape and old.n_samples == V and not old.background_corrected
        assert old.header.strength[0] == new.header.strength[0][:2] and old.header.gradient == new.header.gradient


def test_both_generations_give_one_image(files, capsys, tmp_path):
    images = []
    for matrix, scan in (("sm1", "td1"), ("sm1", "fd1"), ("sm2", "td2"), ("sm2", "fd1")):
        output = tmp_path / f"{matrix}{scan}.mdf"
        words = ["reconstruct", files / f"{matrix}.mdf", files / f"{scan}.mdf", "-o", output, "--min-frequency", "0"]
        status, text = run(capsys, *words)
        assert status == 0, text
        images.append(io.read_reconstruction(output).images.ravel())
    for image in images[1:]:
        np.testing.assert_allclose(image, images[0], rtol=1e-3, atol=1e-3 * images[0].max())
    assert set(np.argsort(images[0])[-2:]) == {5, 14}


def test_info_and_inspect(files, capsys, tmp_path):
    status, text = run(capsys, "info", files / "sm1.mdf")
    assert (
        status == 0
        and "system matrix, MDF 1.0.5" in text
        and "pi/2 and sine" in text
        and "Resovist, concentration 500" in text
    )
    status, text = run(capsys, "info", files / "td1.mdf")
    assert status == 0 and "measurement, MDF 1.0.5" in text and "3 foreground" in text
    status, text = run(capsys, "inspect", files / "sm1.mdf", "-o", tmp_path / "look.png")
    assert status == 0, text


def test_patches_selected_frequencies_and_images(tmp_path):
    values = random_complex(1, 3, C, 5, N)
    bins = np.array([2, 3, 7, 8, 20])
    path = calibration(
        tmp_path / "patches.mdf", values, acquisition__receiver__frequencies=bins * 2 * BANDWIDTH / V,
        calibration__snrFD=snr()[:, :5], acquisition__gradient=np.array([[-1.0, -1, 2], [-1, -1, 2], [-2, -2, 4]]),
        acquisition__offsetField=np.arange(9.0).reshape(3, 3) * 1e-3, version=None,
    )  # fmt: skip
    patches = io.read_system_matrix(path)
    for patch, expected, scale in zip(patches, values, (1, 1, 2), strict=True):
        np.testing.assert_array_equal(patch.values, expected)
        np.testing.assert_array_equal(patch.frequency_indices, bins)
        np.testing.assert_array_equal(patch.scanner.gradient, scale * np.diag(np.float32([-1, -1, 2])))
    np.testing.assert_allclose(patches[2].scanner.offset_field, np.array([6, 7, 8]) * 1e-3, rtol=1e-6)
    images = np.arange(2.0 * N).reshape(2, N)
    fields = {"/reconstruction/data": images} | {
        f"/reconstruction/{name}": np.array(item) for name, item in (("size", SHAPE), ("fieldOfView", FOV))
    }
    made = io.read(first(tmp_path / "images.mdf", fields))
    np.testing.assert_array_equal(made.images.reshape(2, N), images)
    samples = np.random.default_rng(0).normal(size=(C, V, N)).astype(np.float32)
    path = calibration(tmp_path / "samples.mdf", values[0], calibration__dataFD=None, calibration__dataTD=samples)
    np.testing.assert_allclose(io.read_system_matrix(path).values, np.fft.rfft(samples, axis=1), rtol=1e-4, atol=1e-4)


def test_a_large_file_is_not_copied(tmp_path):
    path = calibration(
        tmp_path / "large.mdf", random_complex(2, C, K, 50 * N), calibration__size=np.array((50 * 4, 3, 2))
    )
    first_file.write_second(path, tmp_path / "second.mdf")
    assert (tmp_path / "second.mdf").stat().st_size < path.stat().st_size / 10
    part = io.open_system_matrix(path).select(channels=[1], min_frequency=1e6).read()
    np.testing.assert_array_equal(
        part.values, io.read_system_matrix(tmp_path / "second.mdf").values[1:, -len(part.frequencies) :]
    )


def test_mistakes_are_one_sentence(tmp_path):
    values = random_complex(0, C, K, N)

    def refused(match, values=values, **changes):
        path = calibration(tmp_path / "a.mdf", values, **changes)
        with pytest.raises(io.MDFError, match=match) as caught:
            io.read_system_matrix(path)
        assert "\n" not in str(caught.value) and "/mpijax" not in str(caught.value)

    refused("dataFD has shape .* a last one of real and imaginary part", calibration__dataFD=values.real)
    with h5py.File(tmp_path / "part.h5", "w") as file:
        file.create_dataset("part", (C, K, N, 2), "f4", chunks=(1, 1, N, 2))[1, 4] = 1.0
    part = h5py.ExternalLink(str(tmp_path / "part.h5"), "part")
    refused("dataFD holds no values: 65 of its 66 chunks were never written", calibration__dataFD=part)
    refused(
        "33 frequencies, 60 samples",
        acquisition__receiver__numSamplingPoints=np.int64(60),
        acquisition__receiver__frequencies=None,
    )
    refused(
        "no multiples of",
        values[:, :2],
        acquisition__receiver__frequencies=np.array([1e5, 2e5]),
        calibration__snrFD=None,
    )
    refused("fieldOfView is .* three numbers", calibration__fieldOfView=np.array([1.0, 2.0]))
    refused("a.mdf lacks /calibration/size", calibration__size=None)

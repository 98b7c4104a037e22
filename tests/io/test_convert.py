"""Files written anew: whole, in part and compressed."""

import h5py
import numpy as np
import pytest

import mpijax as mj
from mpijax import io
from mpijax.io import formats
from mpijax.io.formats import reader
from tests.io.mdf_files import BANDWIDTH, K, V, calibration, measurement, random_complex
from tests.io.test_mdf_first import calibration as first_calibration
from tests.io.test_mdf_first import first
from tests.test_cli import run

N = 12


def fields(path):
    """Every field but those that are new in every file."""
    with h5py.File(path) as file:
        found = {}
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return {name: item for name, item in found.items() if name not in ("uuid", "time")}


def same(first, second):
    assert set(first) == set(second)
    for name, item in first.items():
        np.testing.assert_array_equal(item, second[name], name)
        assert np.asarray(item).dtype == np.asarray(second[name]).dtype, name


def test_raw_frames_keep_their_numbers_and_their_header(tmp_path):
    raw = np.random.default_rng(0).integers(-99, 99, (8, 2, 2, V)).astype(np.int16)
    monitor = np.arange(5000.0)
    path = measurement(
        tmp_path / "m.mdf", raw, background=(0, 7), measurement___monitoring__temperature=monitor,
        acquisition__receiver__dataConversionFactor=np.array([[0.5, 1.0], [2.0, 0.0]]),
        acquisition__receiver__transferFunction=np.full((2, K), 2j), tracer__volume=np.array([3e-6]),
    )  # fmt: skip
    done = io.convert(path, tmp_path / "all.mdf")
    assert done.raw and done.kind == "measurement" and done.shape == raw.shape
    before, after = fields(path), fields(tmp_path / "all.mdf")
    same(before, after)
    io.convert(path, tmp_path / "part.mdf", frames=slice(2, 5))
    part = fields(tmp_path / "part.mdf")
    np.testing.assert_array_equal(part["measurement/data"], raw[[0, 3, 4, 5, 7]])
    assert part["measurement/data"].dtype == np.int16 and part["measurement/isBackgroundFrame"].tolist() == [
        1,
        0,
        0,
        0,
        1,
    ]
    # the background is interpolated as it was in the whole file, for it is known when each frame was measured
    for options in ({}, {"background": "interpolate"}):
        whole = io.read_measurement(path, frames=slice(2, 5), **options)
        found = io.read_measurement(tmp_path / "part.mdf", **options)
        np.testing.assert_array_equal(found.values, whole.values)
        np.testing.assert_array_equal(found.background, whole.background)


@pytest.mark.parametrize("fast", [0, 1])
@pytest.mark.parametrize("slab", [2**24, 200])
def test_frames_are_written_in_the_order_that_is_asked_for(tmp_path, capsys, monkeypatch, fast, slab):
    monkeypatch.setattr("mpijax.io.mdf.convert.SLAB_BYTES", slab)  # 200: frame by frame
    raw = np.random.default_rng(0).normal(size=(9, 1, 2, V)).astype(np.float32)
    stored, more = (raw.transpose(1, 2, 3, 0), {"measurement__isFastFrameAxis": np.int8(1)}) if fast else (raw, {})
    path = measurement(tmp_path / "m.mdf", stored, background=(0, 4), **more)
    status, text = run(capsys, "convert", path, "-o", tmp_path / "a.mdf", "--frames", "6,1,2")
    assert status == 0, text
    found = io.read_measurement(tmp_path / "a.mdf")
    np.testing.assert_array_equal(found.values, io.read_measurement(path, frames=[6, 1, 2]).values)
    np.testing.assert_array_equal(found.background, io.read_measurement(path).background)
    if not fast:
        np.testing.assert_array_equal(fields(tmp_path / "a.mdf")["measurement/data"], raw[[0, 8, 2, 4, 3]])
    interpolated = [io.read_measurement(p, frames=f, background="interpolate").values
                    for p, f in ((path, [6, 1, 2]), (tmp_path / "a.mdf", None))]  # fmt: skip
    np.testing.assert_array_equal(*interpolated)
    for words in ((), ("--average-frames", "2")):
        status, text = run(capsys, "convert", path, "-o", tmp_path / "no.mdf", "--frames", "6,1,1", *words)
        assert status == 2 and "names frame 1 more than once" in text and text.count("\n") == 1, text
    status, text = run(capsys, "convert", path, "-o", tmp_path / "b.mdf", "--frames", "6,1", "--average-frames", "2")
    assert status == 0 and not (tmp_path / "no.mdf").exists(), text


def test_rows_and_averages_of_a_measurement(tmp_path):
    raw = np.random.default_rng(1).normal(size=(7, 1, 2, V)).astype(np.float32)
    path = measurement(
        tmp_path / "m.mdf",
        raw,
        background=(6,),
        acquisition__receiver__transferFunction=np.arange(2.0 * K).reshape(2, K) + 1j,
    )
    selection = mj.RowSelection(min_frequency=2 * BANDWIDTH / V * 2.5, channels=[1])
    done = io.convert(path, tmp_path / "a.mdf", selection=selection, average_frames=3)
    assert not done.raw and done.shape == (3, 1, 1, K - 3)
    found = io.read_measurement(tmp_path / "a.mdf", apply_transfer_function=False)
    expected = np.fft.rfft(raw)[:, :, 1:, 3:]
    np.testing.assert_allclose(found.values, expected[:6].reshape(2, 3, 1, 1, -1).mean(1), rtol=1e-5)
    np.testing.assert_allclose(found.background, expected[6:], rtol=1e-5)
    assert found.channels == (1,) and found.header.averages == 30
    corrected = io.read_measurement(tmp_path / "a.mdf").values
    np.testing.assert_allclose(corrected, found.values / (np.arange(K + 3, 2 * K) + 1j), rtol=1e-5)


@pytest.mark.parametrize("fast", [1, 0])
def test_a_calibration_keeps_its_values_and_background(tmp_path, fast):
    stored = random_complex(0, 2, 2, K, N + 2)
    extra = {
        "acquisition__receiver__transferFunction": np.arange(2 * K).reshape(2, K) + 1j,
        "calibration__order": "zyx",
    }
    if not fast:
        stored, extra["measurement__isFastFrameAxis"] = stored.transpose(3, 0, 1, 2), np.int8(0)
    path = calibration(tmp_path / "s.mdf", stored, background=(4, N + 1), calibration___note="kept", **extra)
    io.convert(path, tmp_path / "a.mdf")
    for options in ({}, {"background": "interpolate"}, {"apply_transfer_function": False}):
        for before, after in zip(
            io.read_system_matrix(path, **options), io.read_system_matrix(tmp_path / "a.mdf", **options), strict=True
        ):
            for name in ("values", "background", "frequencies", "transfer_function"):
                np.testing.assert_array_equal(getattr(before, name), getattr(after, name), name)
            assert before.patch == after.patch and before.metadata == after.metadata
    assert io.read_info(tmp_path / "a.mdf").calibration.order == "xyz"
    np.testing.assert_array_equal(after.snr, io.open_system_matrix(path).with_snr().snr)
    selection = mj.RowSelection(snr_threshold=1.2, channels=[1])
    io.convert(path, tmp_path / "b.mdf", selection=selection)
    before, after = (
        io.read_system_matrix(path, period=1, channels=[1]),
        io.read_system_matrix(tmp_path / "b.mdf", period=1),
    )
    kept = np.isin(before.frequency_indices, after.frequency_indices)
    assert 0 < kept.sum() < K and after.channels == (1,)
    np.testing.assert_array_equal(after.values, before.values[:, kept])
    np.testing.assert_array_equal(after.background, before.background[..., kept])


def test_the_plan_of_a_file_goes_with_the_whole_of_it(tmp_path):
    path = calibration(tmp_path / "s.mdf", random_complex(0, 1, 2, K, N), calibration___plan="kind = 'simulate'")
    io.convert(path, tmp_path / "a.mdf")
    io.convert(path, tmp_path / "b.mdf", selection=mj.RowSelection(channels=[1]))
    io.convert(path, tmp_path / "c.mdf", compress=0.5)
    io.write_system_matrix(tmp_path / "d.mdf", io.read_system_matrix(path))
    held = {name: "calibration/_plan" in fields(tmp_path / f"{name}.mdf") for name in "abcd"}
    assert held == {"a": True, "b": False, "c": False, "d": False}


def test_compressed_rows_come_back(tmp_path):
    grid = mj.Grid.create((8, 6, 2), (8e-3, 6e-3, 2e-3))
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, n) for n in grid.shape), indexing="ij")
    rows = np.stack([np.cos(k * x + y) * np.exp(1j * k * z) for k in range(5)]).transpose(0, 3, 2, 1).reshape(1, 5, -1)
    background = random_complex(0, 3, 1, 5) * 1e-3
    matrix = mj.SystemMatrix.create(rows.astype(np.complex64), np.arange(5) * 1e4, grid, background=background)
    io.write_system_matrix(tmp_path / "s.mdf", matrix, compress=0.25)
    found = io.read_system_matrix(tmp_path / "s.mdf")
    error = np.linalg.norm(found.values - matrix.values, axis=-1) / np.linalg.norm(matrix.values, axis=-1)
    np.testing.assert_array_equal(found.background, background)
    assert 1e-4 < error.max() < 0.05
    io.write_system_matrix(tmp_path / "whole.mdf", matrix)
    done = io.convert(tmp_path / "whole.mdf", tmp_path / "c.mdf", compress=0.25)
    np.testing.assert_allclose(done.errors, error.ravel(), rtol=1e-2, atol=1e-6)
    np.testing.assert_array_equal(io.read_system_matrix(tmp_path / "c.mdf").values, found.values)
    assert done.shape == (1, 1, 5, 24 + 3)
    io.convert(tmp_path / "c.mdf", tmp_path / "plain.mdf")
    for name in ("values", "background", "snr"):
        whole = matrix.background if name == "background" else getattr(found, name)
        np.testing.assert_array_equal(getattr(io.read_system_matrix(tmp_path / "plain.mdf"), name), whole)
    io.write_system_matrix(tmp_path / "all.mdf", matrix, compress=1.0)
    np.testing.assert_allclose(io.read_system_matrix(tmp_path / "all.mdf").values, matrix.values, atol=1e-6)
    with h5py.File(tmp_path / "c.mdf") as file:
        places = file["/measurement/subsamplingIndices"][()]
        assert (
            places.min() >= 1
            and places.shape == (1, 1, 5, 24)
            and file["/measurement/isBackgroundFrame"].shape == (27,)
        )
    for fraction in (0.0, 1.5, float("nan")):
        with pytest.raises(ValueError, match="compress"):
            io.write_system_matrix(tmp_path / "no.mdf", matrix, compress=fraction)
    holes = mj.SystemMatrix.create(np.where(np.arange(96) == 4, np.nan, rows), np.arange(5) * 1e4, grid)
    with pytest.raises(io.MDFError, match="NaN or infinity cannot be compressed"):
        io.write_system_matrix(tmp_path / "no.mdf", holes, compress=0.5)
    assert not (tmp_path / "no.mdf").exists()


def test_the_first_generation_becomes_the_second(tmp_path, capsys):
    values = random_complex(0, 2, 33, 24)
    path = first_calibration(tmp_path / "old.mdf", values)
    status, text = run(capsys, "convert", path, "-o", tmp_path / "new.mdf", "--snr-threshold", "10", "--compress", "1")
    assert status == 0 and "relative error of a row by compression: median" in text, text
    found = fields(tmp_path / "new.mdf")
    assert found["version"] == b"2.1.0" and found["study/uuid"] == b"n.a." and found["scanner/name"] == b"Model T"
    new, old = io.read_system_matrix(tmp_path / "new.mdf"), io.read_system_matrix(path, snr_threshold=10)
    np.testing.assert_allclose(new.values[new.row_mask], old.values[old.row_mask], rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(new.sequence.phase, old.sequence.phase)
    assert new.header.assumed == old.header.assumed and not [
        name for name in io.read_info(tmp_path / "new.mdf").lacks if name in io.mdf.fields.MANDATORY
    ]
    images = np.arange(48.0).reshape(2, 24)
    grid = {
        "/reconstruction/size": np.array((4, 3, 2)),
        "/reconstruction/fieldOfView": np.ones(3),
        "/reconstruction/data": images,
    }
    path = first(tmp_path / "images.mdf", grid)
    status, text = run(capsys, "convert", path, "-o", tmp_path / "image.mdf", "--frames", "1")
    assert status == 0 and "reconstruction 1 x 2 x 3 x 4" in text, text
    np.testing.assert_array_equal(io.read(tmp_path / "image.mdf").images.ravel(), images[1])


@pytest.mark.filterwarnings("ignore:.*untested")
def test_what_a_file_holds_decides(tmp_path, monkeypatch):
    matrix = calibration(tmp_path / "matrix.dat", random_complex(0, 1, 2, K, N))
    old = first_calibration(tmp_path / "old.nii", random_complex(0, 2, 33, 24))
    (tmp_path / "a.mdf").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    (tmp_path / "b.mdf").write_bytes(bytes(344) + b"n+1\0")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "acqp").write_text("##END=\n")
    named = {"matrix.dat": "mdf", "old.nii": "mdf1", "a.mdf": "matlab", "b.mdf": "nifti", "folder": "paravision"}
    assert {name: reader(tmp_path / name).name for name in named} == named
    assert io.read(matrix).values.shape == (2, K, N) and io.read(old).values.shape == (2, 33, 24)
    named = {"a.nii": "nifti", "a.mat": "matlab", "a.h5": "mdf"}
    for name in named:  # nothing in it tells
        (tmp_path / name).write_text("nothing")
    assert {name: reader(tmp_path / name).name for name in named} == named
    monkeypatch.setattr(formats, "FORMATS", formats.FORMATS.copy())
    io.register_format(type("Poster", (io.Format,), {"name": "poster", "suffixes": (".poster",)}))
    (tmp_path / "a.poster").touch()
    with pytest.raises(ValueError, match="a.poster is a file of the format poster, which is written and not read"):
        io.read(tmp_path / "a.poster")
    with pytest.raises(ValueError, match="folder is a ParaVision folder without the file method"):
        io.read(tmp_path / "folder")


def test_mistakes_are_one_sentence(tmp_path, capsys):
    matrix = calibration(tmp_path / "s.mdf", random_complex(0, 1, 2, K, N))
    scan = measurement(tmp_path / "m.mdf", np.ones((4, 1, 2, V), np.float32))

    def refused(match, *words):
        status, text = run(capsys, "convert", *words, "-o", tmp_path / "no.mdf")
        assert status == 2 and match in text and text.count("\n") == 1, text
        assert not (tmp_path / "no.mdf").exists()

    refused("is a calibration, whose frames are its voxels", matrix, "--frames", "1")
    refused("the matrix has no SNR; it comes from a file's /calibration/snr", matrix, "--snr-threshold", "3")
    refused("MDF compresses system matrices only", scan, "--compress", "0.1")
    refused("frames = 9:12 holds none of the 4 frames", scan, "--frames", "9:12")
    refused("frames = 3:8 ends behind the last of 4 frames; 1 of the range exist", scan, "--frames", "3:8")
    refused("frames = 3:8 ends behind", scan, "--frames", "3:8", "--average-frames", "1", "--min-frequency", "1")
    refused("frames = 1,4 names a frame that is none of the 4", scan, "--frames", "1,4")
    empty = measurement(tmp_path / "e.mdf", np.ones((4, 1, 2, V), np.float32))
    with h5py.File(empty, "a") as file:
        file["/measurement/isBackgroundFrame"][...] = 1
    refused("the file holds background frames only; leave out frames", empty, "--frames", "1:3")
    refused("frames = 'x'; give a number", scan, "--frames", "x")
    refused("keeps no row", scan, "--min-frequency", "9e9")
    refused("there is no file", tmp_path / "none.mdf")
    refused("above 0, up to 1", matrix, "--compress", "7")
    refused("m.mdf is a measurement, whose rows have no SNR", scan, "--snr-threshold", "2")
    refused("s.mdf is a file of the format mdf; --variable is for MATLAB files", matrix, "--variable", "S")
    refused("--base-frequency is for MATLAB files", scan, "--base-frequency", "3")
    (tmp_path / "a.dat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    refused("harmonics are multiples of", tmp_path / "a.dat", "--variable", "S", "--harmonics", "1:3")
    status, text = run(capsys, "convert", matrix, "-o", tmp_path / "no.nii")
    assert status == 2 and "a SystemMatrix is not written as nifti; give a name that ends in .mdf" in text
    status, text = run(capsys, "convert", matrix, "-o", matrix)
    assert status == 2 and "is read and would be overwritten" in text

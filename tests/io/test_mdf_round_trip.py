"""What is written is read back to the last bit, and half a file is never left behind."""

import errno
import os
import subprocess
import sys
from dataclasses import replace

import h5py
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax import io
from mpijax.io.mdf import write as mdf_write
from mpijax.io.mdf.fields import MANDATORY, MANDATORY_IN_GROUP
from mpijax.system import Grid, LissajousSequence, Measurement, Scanner, SystemMatrix
from tests.io.mdf_files import random_complex

GRID = Grid.create((3, 2, 2), (0.031, 0.017, 0.0093), (1e-3, -2e-3, 0.7e-3))
SEQUENCE = LissajousSequence.create((12e-3, 11e-3, 0.0), (16, 8, 4), n_samples=16)


def bits(array):
    array = np.asarray(array)
    return array.dtype, array.shape, array.tobytes()


def matrix(dtype=np.complex64, **changes):
    arguments = dict(
        frequency_indices=np.array([0, 2, 3, 8]),
        n_samples=16,
        snr=np.random.default_rng(1).uniform(0, 10, (2, 4)),
        background=random_complex(2, 5, 2, 4, dtype=dtype),
        scanner=Scanner.create((-1, -1, 2), (0.0, 1e-3, 0.0)),
        sequence=SEQUENCE,
        row_mask=np.array([[1, 0, 1, 1], [0, 1, 1, 1]], bool),
        transfer_function=random_complex(3, 2, 4, dtype=np.complex128),
        sample_concentration=100.0,
        metadata={
            "/tracer/name": "Perimag",
            "/calibration/_restoration": "dct",
            "/study/number": 4,
            "/_lab/_gain": (1.5, 2.0),
        },
    )
    arguments |= changes
    values = random_complex(0, 2, 4, 12, dtype=dtype)
    values[0, 0, 0] = complex(-0.0, 0.0)
    frequencies = arguments.pop("frequencies", None)
    frequencies = SEQUENCE.frequencies[arguments["frequency_indices"]] if frequencies is None else frequencies
    return SystemMatrix.create(values, frequencies, arguments.pop("grid", GRID), **arguments)


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_system_matrix_returns_bit_for_bit(tmp_path, dtype):
    written = matrix(dtype)
    io.write_system_matrix(tmp_path / "a.mdf", written)
    read = io.read_system_matrix(tmp_path / "a.mdf", apply_transfer_function=False)
    for name in ("values", "snr", "background", "row_mask", "frequencies", "frequency_indices", "transfer_function"):
        assert bits(getattr(read, name)) == bits(getattr(written, name)), name
    assert (
        read.grid.shape == GRID.shape
        and bits(read.grid.fov) == bits(GRID.fov)
        and bits(read.grid.center) == bits(GRID.center)
    )
    assert (read.n_samples, read.bandwidth, read.transfer_function_corrected) == (16, SEQUENCE.bandwidth, False)
    assert read.scanner.gradient.tolist() == np.diag([-1.0, -1.0, 2.0]).tolist()
    assert read.scanner.offset_field.tolist() == [0.0, 1e-3, 0.0]
    np.testing.assert_allclose(
        [read.sample_concentration, read.sample_volume], [100.0, written.sample_volume], rtol=1e-15
    )
    for path in ("/tracer/name", "/calibration/_restoration", "/study/number", "/_lab/_gain"):
        assert read.metadata[path] == written.metadata[path]
    field = np.asarray(written.sequence.drive_field(np.float32))
    np.testing.assert_allclose(np.asarray(read.sequence.drive_field(np.float32)), field, atol=1e-8)
    # and once more, from what was read
    io.write_system_matrix(tmp_path / "b.mdf", read)
    again = io.read_system_matrix(tmp_path / "b.mdf", apply_transfer_function=False)
    assert bits(again.values) == bits(read.values) and again.metadata == read.metadata


def test_device_arrays_and_applied_transfer_function(tmp_path):
    written = matrix(transfer_function_corrected=True)
    written = replace(written, values=jnp.asarray(written.values), background=jnp.asarray(written.background))
    io.write_system_matrix(tmp_path / "a.mdf", written)
    read = io.read_system_matrix(tmp_path / "a.mdf")
    assert read.transfer_function_corrected and bits(read.values) == bits(written.values)


def test_all_bins_need_no_selection_and_every_mandatory_field_is_there(tmp_path):
    written = matrix(
        frequency_indices=np.arange(4), n_samples=6, frequencies=np.arange(4) * 10.0, sequence=None, scanner=None
    )
    io.write_system_matrix(tmp_path / "a.mdf", written)
    with h5py.File(tmp_path / "a.mdf") as file:
        paths = [*MANDATORY, *(f"{group}/{name}" for group, names in MANDATORY_IN_GROUP.items() for name in names)]
        assert [path for path in paths if path not in file] == []
        assert "/measurement/frequencySelection" not in file and "/acquisition/receiver/_frequencies" not in file
        assert file["/version"].asstr()[()] == "2.1.0"
        assert file["/measurement/isFastFrameAxis"].dtype == np.int8
        assert file["/measurement/data"].shape == (1, 2, 4, 17)
        assert file["/acquisition/drivefield/phase"].shape == (1, 1, 1)
        # the file alone says which period was sampled
        assert file["/acquisition/drivefield/cycle"][()] == 6 / (2 * 30.0)
    info = io.read_info(tmp_path / "a.mdf")
    assert info.sequence is None and info.version == "2.1.0"
    assert not set(info.lacks) & set(MANDATORY)


def test_selection_is_counted_from_one(tmp_path):
    io.write_system_matrix(tmp_path / "a.mdf", matrix())
    with h5py.File(tmp_path / "a.mdf") as file:
        assert file["/measurement/frequencySelection"][()].tolist() == [1, 3, 4, 9]


def test_unknown_and_shifted_frequencies(tmp_path):
    unknown = matrix(
        frequencies=np.full(4, np.nan), frequency_indices=np.array([3, 70, 71, 90]), bandwidth=np.nan, sequence=None
    )
    io.write_system_matrix(tmp_path / "a.mdf", unknown)
    info = io.read_info(tmp_path / "a.mdf")
    assert any("frequencies" in remark for remark in info.remarks) and "unknown frequency" in io.describe(info)
    read = io.read_system_matrix(tmp_path / "a.mdf")
    assert np.isnan(read.frequencies).all() and read.frequency_indices.tolist() == [3, 70, 71, 90]
    with pytest.raises(ValueError, match="not known"):
        io.read_system_matrix(tmp_path / "a.mdf", min_frequency=1.0)
    shifted = matrix(frequencies=np.array([0.0, 1.0, np.pi, 1e5]), sequence=None, bandwidth=2e5)
    io.write_system_matrix(tmp_path / "b.mdf", shifted)
    assert bits(io.read_system_matrix(tmp_path / "b.mdf").frequencies) == bits(shifted.frequencies)


def test_snr_is_computed_and_written_where_it_is_missing(tmp_path):
    written = matrix(snr=None)
    io.write_system_matrix(tmp_path / "a.mdf", written)
    expected = io.system_matrix_snr(written.values, written.background)
    assert bits(io.open_system_matrix(tmp_path / "a.mdf").info.snr) == bits(expected)
    io.write_system_matrix(tmp_path / "b.mdf", matrix(snr=None, background=None))
    assert "/calibration/snr" in io.read_info(tmp_path / "b.mdf").lacks
    with pytest.raises(ValueError, match="background"):
        io.add_snr(matrix(snr=None, background=None))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
def test_measurement_returns_bit_for_bit(tmp_path, dtype):
    values = random_complex(0, 3, 2, 2, 9, dtype=dtype)
    values[0, 0, 0, 0] = complex(-0.0, -0.0)
    written = Measurement.create(
        values,
        np.arange(9) * 25e3,
        background=random_complex(1, 2, 2, 2, 9, dtype=dtype),
        background_corrected=True,
        transfer_function_corrected=True,
        metadata={"/tracer/name": ("A", "B"), "/experiment/subject": "phantom"},
    )
    io.write_measurement(tmp_path / "a.mdf", written)
    read = io.read_measurement(tmp_path / "a.mdf")
    for name in ("values", "background", "frequencies", "frequency_indices"):
        assert bits(getattr(read, name)) == bits(getattr(written, name)), name
    assert read.background_corrected and read.transfer_function_corrected
    assert (read.n_samples, read.bandwidth) == (16, 200e3)
    assert read.metadata["/tracer/name"] == ("A", "B") and read.metadata["/experiment/subject"] == "phantom"
    io.write_measurement(tmp_path / "b.mdf", read)
    again = io.read_measurement(tmp_path / "b.mdf")
    assert bits(again.values) == bits(values) and again.metadata == read.metadata


def test_foreign_metadata_is_refused(tmp_path):
    for path, item, message in (
        ("/tracer/color", "red", "begins with _"),
        ("/measurement/data", 1, "begins with _"),
        ("/calibration/_note", None, "cannot be written"),
    ):
        with pytest.raises(io.MDFError, match=message):
            io.write_system_matrix(tmp_path / "a.mdf", matrix(metadata={path: item}))
        assert os.listdir(tmp_path) == []


def test_measurement_with_nan_is_refused(tmp_path):
    values = random_complex(0, 1, 1, 1, 3)
    values[0, 0, 0, 1] = np.nan
    with pytest.raises(ValueError, match="1 of 3"):
        io.write_measurement(tmp_path / "a.mdf", Measurement.create(values, np.arange(3.0)))
    assert os.listdir(tmp_path) == []


def test_full_disk_keeps_the_old_file_and_leaves_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "a.mdf"
    io.write_system_matrix(path, matrix())
    before = path.read_bytes()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(mdf_write, "write_fields", full)
    with pytest.raises(OSError, match="disk is full") as caught:
        io.write_system_matrix(path, matrix())
    assert caught.value.errno == errno.ENOSPC and caught.value.__suppress_context__
    assert os.listdir(tmp_path) == ["a.mdf"] and path.read_bytes() == before


def test_a_write_that_the_system_stops_leaves_nothing(tmp_path):
    script = """
import resource, signal, sys
import numpy as np
from mpijax import io
from mpijax.system import Grid, SystemMatrix
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
grid = Grid.create((16, 16, 16), (1, 1, 1))
matrix = SystemMatrix.create(np.ones((1, 64, 4096), np.complex64), np.arange(64.0), grid)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
try:
    io.write_system_matrix(sys.argv[1], matrix)
except OSError as error:
    print("OSError", error)
"""
    run = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.mdf")], capture_output=True, text=True, timeout=100
    )
    assert "nothing was written" in run.stdout, run.stderr
    assert run.returncode == 0, "the process must end well after the failed write"
    assert os.listdir(tmp_path) == []

"""Values that are not in the file: found by storage, whatever the fill values look like."""

import h5py
import numpy as np
import pytest

from mpijax import io
from tests.io.mdf_files import K, calibration, measurement, random_complex

DATA = "/measurement/data"
N = 12


def spectra(tmp_path, **changes):
    data = random_complex(0, 4, 1, 2, K)
    return data, measurement(tmp_path / "m.mdf", data, measurement__isFourierTransformed=np.int8(1), **changes)


def replaced(path, make):
    """The data's dataset taken out and put back by ``make(file, values)``."""
    with h5py.File(path, "r+") as file:
        values = file[DATA][()]
        del file[DATA]
        make(file, values)
    return path


def sources(folder, *, channels=2, rows=slice(None), nested=False):
    """A virtual dataset with one source file per channel, and one more step in between if nested."""

    def make(file, values):
        layout = h5py.VirtualLayout(values.shape, values.dtype)
        for channel in range(channels):
            with h5py.File(folder / f"c{channel}.h5", "w") as other:
                other["x"] = values[rows, :, channel]
                if nested:
                    inner = h5py.VirtualLayout(values[rows, :, channel].shape, values.dtype)
                    inner[...] = h5py.VirtualSource(".", "x", inner.shape, dtype=values.dtype)
                    other.create_virtual_dataset("v", inner)
            source = h5py.VirtualSource(
                f"c{channel}.h5", "v" if nested else "x", values[:, :, channel].shape, values.dtype
            )
            layout[:, :, channel] = source
        file.create_virtual_dataset(DATA, layout)

    return make


@pytest.mark.parametrize("nested", [False, True])
def test_virtual_sources_are_followed(tmp_path, nested):
    data, path = spectra(tmp_path)
    replaced(path, sources(tmp_path, nested=nested))
    np.testing.assert_array_equal(io.read_measurement(path).values, data)
    (tmp_path / "c1.h5").rename(tmp_path / "elsewhere.h5")
    with pytest.raises(io.MDFError, match="c1.h5 is missing"):
        io.read_measurement(path)
    info = io.read_info(path)  # the rest of the header can be looked at
    assert DATA in info.lacks and any("c1.h5" in remark for remark in info.remarks) and io.describe(info)
    (tmp_path / "c1.h5").write_bytes(b"no HDF5")
    with pytest.raises(io.MDFError, match="c1.h5 cannot be opened"):
        io.read_measurement(path)
    with h5py.File(tmp_path / "c1.h5", "w") as other:
        other["y"] = 1
    with pytest.raises(io.MDFError, match="holds no dataset"):
        io.read_measurement(path)


def test_sources_that_hold_less(tmp_path):
    _, path = spectra(tmp_path)
    with pytest.raises(io.MDFError, match="mapped to a source"):
        io.read_measurement(replaced(path, sources(tmp_path, channels=1)))
    _, path = spectra(tmp_path)
    with pytest.raises(io.MDFError, match="less than what is taken"):
        io.read_measurement(replaced(path, sources(tmp_path, rows=slice(0, 2))))


def unwritten(chunks=None, rows=0, **options):
    def make(file, values):
        made = file.create_dataset(DATA, values.shape, values.dtype, chunks=chunks, **options)
        made[:rows] = values[:rows]

    return make


def external(file, values):
    file.create_dataset(DATA, values.shape, values.dtype, external=[("gone.bin", 0, values.nbytes)])


@pytest.mark.parametrize(
    "make, message",
    [
        (unwritten(), "never written"),
        (unwritten(fillvalue=np.complex64(3)), "never written"),
        (unwritten((1, 1, 2, K)), "never written"),
        (unwritten((1, 1, 2, K), compression="gzip"), "never written"),
        (unwritten((1, 1, 2, K), 3), "1 of 4 chunks to be read"),
        (external, "external file gone.bin is missing"),
        (lambda file, values: file.create_dataset(DATA, data=h5py.Empty("c8")), "null dataspace"),
        (lambda file, values: file.create_dataset(DATA, (0, 1, 2, K), "c8"), "no entries"),
        (lambda file, values: file.__setitem__(DATA, h5py.ExternalLink("far.h5", "/x")), "links to /x of far.h5"),
        (lambda file, values: file.__setitem__(DATA, h5py.SoftLink("/x")), "links to /x"),
        (lambda file, values: file.create_group(DATA), "is a group"),
        (lambda file, values: None, "holds no /measurement/data"),
    ],
)
def test_what_is_not_there_is_refused(tmp_path, make, message):
    _, path = spectra(tmp_path)
    replaced(path, make)
    with pytest.raises(io.MDFError, match=message):
        io.read_measurement(path)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("layout", ["contiguous", "chunks", "gzip", "compact", "early"])
def test_zeros_that_are_there_are_values(tmp_path, layout, libver):
    _, path = spectra(tmp_path, acquisition__receiver__inductionFactor=np.ones(2))
    with h5py.File(path) as old, h5py.File(tmp_path / "z.mdf", "w", libver=libver) as file:
        for name in old:
            old.copy(name, file)
        shape = file[DATA].shape
        del file[DATA]
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        if layout == "compact":
            plan.set_layout(h5py.h5d.COMPACT)
        if layout in ("chunks", "gzip"):
            plan.set_chunk((3, 1, 2, 5))
        if layout == "gzip":
            plan.set_deflate(4)
        if layout == "early":
            plan.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        kind = h5py.h5t.py_create(np.dtype("c8"))
        made = h5py.h5d.create(file["measurement"].id, b"data", kind, h5py.h5s.create_simple(shape), plan)
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.zeros(shape, "c8"))
    assert not np.any(io.read_measurement(tmp_path / "z.mdf").values)


def test_rows_beside_chunks_that_were_never_written(tmp_path):
    data = random_complex(1, 1, 2, K, N)
    path = calibration(tmp_path / "a.mdf", data)
    with h5py.File(path, "r+") as file:
        del file[DATA]
        made = file.create_dataset(DATA, data.shape, data.dtype, chunks=(1, 1, 1, N))
        made[0, 0] = data[0, 0]
    assert any("never written" in remark for remark in io.read_info(path).remarks)
    np.testing.assert_array_equal(io.open_system_matrix(path).select(channels=[0]).read().values, data[0, :1])
    with pytest.raises(io.MDFError, match=f"{K} of {K} chunks"):
        io.read_system_matrix(path)


@pytest.mark.parametrize(
    "name", ["calibration/snr", "calibration/positions", "tracer/concentration", "scanner/boreSize"]
)
@pytest.mark.parametrize("kind", ["null", "unwritten", "link"])
def test_optional_fields_count_as_missing_and_are_named(tmp_path, name, kind):
    path = calibration(tmp_path / "a.mdf", random_complex(1, 1, 2, K, N), **{name.replace("/", "__"): None})
    with h5py.File(path, "r+") as file:
        if kind == "null":
            file[name] = h5py.Empty("f8")
        elif kind == "unwritten":
            file.create_dataset(name, (1, 2, K), "f8")
        else:
            file[name] = h5py.ExternalLink("far.h5", "/x")
    info = io.read_info(path)
    if kind != "link":
        assert f"/{name}" in info.lacks
    assert any(f"/{name}" in remark for remark in info.remarks)
    assert io.read_system_matrix(path).snr is None
    io.write_system_matrix(tmp_path / "b.mdf", io.read_system_matrix(path))
    with h5py.File(path, "r+") as file:  # a required field is refused by its name
        del file["measurement/isBackgroundFrame"]
        file["measurement/isFrequencySelection"][...] = 1
        file["measurement/frequencySelection"] = h5py.Empty("i8")
    with pytest.raises(io.MDFError, match="frequencySelection"):
        io.read_system_matrix(path)

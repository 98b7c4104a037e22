"""Damaged and odd files: every one ends in a result or in one clear ValueError or OSError."""

import random
import shutil
import warnings

import h5py
import numpy as np
import pytest

from mpijax import io
from tests.io.mdf_files import K, calibration, measurement, random_complex

FILES = 300
KINDS = (
    "bytes",
    "head",
    "truncate",
    "delete",
    "type",
    "shape",
    "nan",
    "negate",
    "huge",
    "text",
    "empty",
    "group",
    "unwritten",
)


def damage(draw, source, path):
    """A copy of a file with one kind of damage."""
    kind, raw = draw.choice(KINDS), bytearray(source.read_bytes())
    if kind == "truncate":
        path.write_bytes(raw[: draw.randrange(len(raw))])
    elif kind in ("bytes", "head"):
        for _ in range(draw.choice((1, 2, 4, 16))):
            raw[draw.randrange(len(raw) if kind == "bytes" else min(len(raw), 6000))] = draw.randrange(256)
        path.write_bytes(raw)
    else:
        shutil.copy(source, path)
        with h5py.File(path, "r+") as file:
            names: list[str] = []
            file.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
            name = draw.choice(names)
            old = np.asarray(file[name][()])
            del file[name]
            if kind == "group":
                file.create_group(name)
            elif kind == "unwritten":
                file.create_dataset(name, old.shape or (2,), "f8")
            elif kind != "delete":
                file[name] = odd(draw, kind, old)
        kind = f"{kind} of {name}"
    return kind


def odd(draw, kind, old):
    numeric = old.dtype.kind in "iufc"
    if kind == "empty":
        return h5py.Empty("f8")
    if kind == "text" or not numeric:
        return draw.choice(("", "x", "line\n" * 3, "1e9", np.bytes_(b"\xff\x00 "), 7, np.array([1.0, 2.0])))
    if kind == "huge":
        return np.full(old.shape, 2**62 if old.dtype.kind == "i" else 1e300)
    if kind == "shape":
        flat = old.reshape(-1)
        return draw.choice((flat, old[None], flat[: max(1, old.size // 2)], flat[:1], flat[:0]))
    if kind == "type":
        return np.real(old).astype(draw.choice(("i1", "u8", "f2", "?")))
    return np.full(old.shape, np.nan) if kind == "nan" else -old


def sources(folder):
    """One file for each reader, beside the readers it is given to."""
    data = random_complex(0, 1, 2, K, 14)
    matrix = calibration(
        folder / "a.mdf", data, [12, 13], acquisition__receiver__transferFunction=random_complex(1, 2, K)
    )
    compressed = calibration(
        folder / "c.mdf",
        data[..., :7],
        measurement__isSparsityTransformed=np.int8(1),
        measurement__sparsityTransformation="DCT-II",
        measurement__subsamplingIndices=np.broadcast_to(np.arange(1, 6), (1, 2, K, 5)),
        measurement__isBackgroundFrame=np.repeat(np.int8([0, 1]), [12, 2]),
    )
    scan = measurement(folder / "m.mdf", np.ones((4, 2, 2, 16), np.int16), [3])
    read = io.read_measurement(scan)
    images = np.ones((4, 2, 2, 3), np.float32)
    io.write_reconstruction(
        folder / "r.mdf",
        io.Reconstruction.create(images, io.read_system_matrix(matrix).grid, read, overscan=images[0] > 0),
    )
    for name, fields in {
        "p.h5": {
            "fields": np.ones((5, 3)),
            "positions": np.eye(5, 3),
            "positionsCenter": np.zeros(3),
            "unitFields": "mT",
        },
        "h.h5": {"matrix": np.ones((30, 152))},
        "t.h5": {"frequencies": np.arange(4.0), "transferFunction": np.ones((2, 4, 2)), "inductionFactor": np.ones(2)},
        "x.mat": {"image": np.ones((6, 5))},
    }.items():
        with h5py.File(folder / name, "w", userblock_size=512 if name == "x.mat" else 0) as file:
            for field, item in fields.items():
                file[field] = item
    mdf = (lambda path: io.describe(io.read_info(path)), io.read_system_matrix, io.read_measurement)
    return [
        (matrix, mdf),
        (compressed, mdf),
        (scan, (*mdf, lambda path: io.read_measurement(scan, empty_scan=path))),
        (folder / "r.mdf", (mdf[0], io.read_reconstruction)),
        (folder / "p.h5", (io.read_field_points,)),
        (folder / "h.h5", (io.read_head_scanner_lines,)),
        (folder / "t.h5", (io.read_transfer_function,)),
        (folder / "x.mat", (lambda path: io.read_textures([path]),)),
    ]


@pytest.mark.slow
def test_damaged_files_end_in_a_result_or_one_clear_error(tmp_path):
    given, refused = sources(tmp_path), 0
    for source, readers in given:
        for read in readers[:1]:
            read(source)
    (tmp_path / "odd").mkdir()
    for seed in range(FILES):
        draw = random.Random(seed)
        source, readers = draw.choice(given[:4] if seed % 4 else given)
        path = tmp_path / "odd" / f"{seed}{source.suffix}"
        kind = damage(draw, source, path)
        for read in (
            {readers[0], readers[-1], readers[seed % len(readers)]} if seed % 5 == 0 else {draw.choice(readers)}
        ):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    read(path)
            except (ValueError, OSError) as error:
                said = str(error)
                assert 0 < len(said.strip()) < 1000, (source.name, seed, kind, said[:200])
                refused += 1
            except Exception as error:
                raise AssertionError(f"{source.name}, seed {seed}, {kind}: {error!r}") from error
        path.unlink()
    assert refused > FILES / 5

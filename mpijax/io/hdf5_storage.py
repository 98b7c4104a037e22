"""Whether the values of a dataset are there. HDF5 gives fill values, mostly zeros, for what is not, without a word."""

import importlib
import itertools
import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

FILTERS = {
    4: "szip",
    305: "lzo",
    307: "bzip2",
    32001: "blosc",
    32004: "lz4",
    32008: "bitshuffle",
    32013: "zfp",
    32015: "zstd",
    32017: "sz",
    32018: "fcidecomp",
    32024: "sz3",
    32026: "blosc2",
    32028: "sperr",
}
"""Registered filters that HDF5 itself lacks or may lack."""
PLUGINS = "hdf5plugin"
_REFERENCE = np.dtype([("length", "<u4"), ("address", "<u8"), ("index", "<u4")])
DEEPEST = 8
"""Virtual datasets of virtual datasets are followed so far."""


def absence(found: h5py.Dataset, depth: int = 0, *, partly: bool = False) -> str:
    """Why a dataset's values are not there, or "" where they are; decided by storage alone, so true zeros are values.

    With ``partly`` a dataset of which any chunk was written is there; see :func:`unwritten`.
    """
    if found.shape is None:
        return "it is empty (a null dataspace)"
    if 0 in found.shape:
        return f"it has no entries, shape {found.shape}"
    plan = found.id.get_create_plist()
    layout = plan.get_layout()
    if layout == h5py.h5d.VIRTUAL:
        return _absent_sources(found, depth)
    if layout == h5py.h5d.COMPACT:
        return ""
    if layout == h5py.h5d.CHUNKED:
        needed = math.prod(-(-n // chunk) for n, chunk in zip(found.shape, found.chunks, strict=True))
        written = found.id.get_num_chunks()
        if written >= needed or (partly and written):
            return ""
        return f"{needed - written} of its {needed} chunks were never written" if written else "it was never written"
    needed = math.prod(found.shape) * found.id.get_type().get_size()
    if plan.get_external_count():
        return _absent_external(found, needed)
    stored = min(found.id.get_storage_size(), found.file.id.get_filesize())
    if not stored:
        return "it was never written"
    return "" if stored >= needed else f"it promises {needed} bytes, but {stored} are stored"


def unwritten(found: h5py.Dataset, selection: tuple[Any, ...]) -> str:
    """Which chunks that a selection touches were never written, or ""."""
    ranges = []
    for axis, chunk in enumerate(found.chunks):
        item = selection[axis] if axis < len(selection) else slice(None)
        start, stop, _ = item.indices(found.shape[axis]) if isinstance(item, slice) else (item, item + 1, 1)
        ranges.append(range(start // chunk, -(-stop // chunk)))
    missing = 0
    for place in itertools.product(*ranges):
        offset = tuple(int(i) * chunk for i, chunk in zip(place, found.chunks, strict=True))
        missing += found.id.get_chunk_info_by_coord(offset).byte_offset is None
    return f"{missing} of {math.prod(map(len, ranges))} chunks to be read were never written" if missing else ""


def missing_filters(found: h5py.Dataset) -> str:
    """The filters of a compressed dataset that are not there, or ""; the plugins of an installed hdf5plugin are loaded first."""
    plan = found.id.get_create_plist()
    missing = []
    for position in range(plan.get_nfilters()):
        code, _, _, name = plan.get_filter(position)
        if not h5py.h5z.filter_avail(code):
            with suppress(ImportError):
                importlib.import_module(PLUGINS)
        if not h5py.h5z.filter_avail(code):
            known = FILTERS.get(code) or name.decode("latin-1").split(";")[0][:40] or "unknown"
            missing.append(f"{known} ({code})")
    return ", ".join(missing)


def heap_damage(found: h5py.Dataset) -> str:
    """What is wrong with the heap that holds the texts of a dataset, or "".

    HDF5 walks over the objects of a heap without asking whether it moves on, and a damaged size makes it stand still for ever;
    so the walk is made here first, by the specification of the file format (global heap collections).
    """
    offset = found.id.get_offset() if found.dtype.kind == "O" and found.file.mode == "r" else None
    if offset is None or found.id.get_storage_size() != found.size * _REFERENCE.itemsize:
        return ""
    with open(found.file.filename, "rb") as stream:
        stream.seek(offset)
        references = np.frombuffer(stream.read(found.size * _REFERENCE.itemsize), _REFERENCE)
        for address in np.unique(references["address"]).tolist():
            stream.seek(min(found.file.userblock_size + address, 2**62))
            head = stream.read(16)
            if head[:4] != b"GCOL":  # HDF5 looks at this itself
                continue
            heap = head + stream.read(min(int.from_bytes(head[8:], "little"), os.fstat(stream.fileno()).st_size))
            place = 16
            while place + 16 <= len(heap):
                index, size = (int.from_bytes(heap[place + i : place + j], "little") for i, j in ((0, 2), (8, 16)))
                step = 16 + 8 * -(-size // 8) if index else size
                if not step:
                    return f"the heap at byte {address} that holds its text"
                place += step
    return ""


def _absent_sources(found: h5py.Dataset, depth: int) -> str:
    if depth >= DEEPEST:
        return f"its virtual sources are nested more than {DEEPEST} deep"
    mapped: float = 0
    for source in found.virtual_sources():
        endless, blocks = _blocks(source.vspace, found.shape)
        points = 0 if endless else source.vspace.get_select_npoints()
        mapped += math.inf if endless else points
        for block in range(blocks if "%b" in source.file_name + source.dset_name else 1):
            name, inner = (n.replace("%b", str(block)).replace("%%", "%") for n in (source.file_name, source.dset_name))
            if reason := _absent_source(found, name, inner, depth, partial(_reaches, source.src_space, points)):
                return reason
    if mapped < math.prod(found.shape):
        return f"only {mapped} of its {math.prod(found.shape)} values are mapped to a source"
    return ""


def _blocks(space: h5py.h5s.SpaceID, shape: tuple[int, ...]) -> tuple[bool, int]:
    """Whether a virtual selection grows without end, and how many blocks of it lie within the shape."""
    if not _endless(space):
        return False, 1
    start, stride, count, _ = space.get_regular_hyperslab()
    axis = next((axis for axis, n in enumerate(count) if n == h5py.h5s.UNLIMITED), None)
    return True, 1 if axis is None else max(1, -(-(shape[axis] - start[axis]) // stride[axis]))


def _endless(space: h5py.h5s.SpaceID) -> bool:
    regular = space.get_select_type() == h5py.h5s.SEL_HYPERSLABS and space.is_regular_hyperslab()
    return regular and h5py.h5s.UNLIMITED in sum(space.get_regular_hyperslab(), ())


def _reaches(space: h5py.h5s.SpaceID, points: int, shape: tuple[int, ...]) -> bool:
    """Whether a source of this shape holds what a selection takes from it."""
    if space.get_select_type() == h5py.h5s.SEL_ALL:
        return math.prod(shape) >= points
    last = space.get_select_bounds()[1] if not _endless(space) else (0,) * len(shape)
    return len(last) == len(shape) and all(i < n for i, n in zip(last, shape, strict=True))


def _absent_source(
    found: h5py.Dataset, name: str, inner: str, depth: int, reaches: Callable[[tuple[int, ...]], bool]
) -> str:
    if name == ".":
        return _absent_inside(found.file, inner, depth, reaches)
    path = next((p for p in _places(name, Path(found.file.filename), "HDF5_VDS_PREFIX") if p.is_file()), None)
    if path is None:
        return f"its virtual source {name} is missing"
    try:
        with h5py.File(path, "r") as file:
            return _absent_inside(file, inner, depth, reaches)
    except OSError as error:
        return f"its virtual source {path} cannot be opened ({str(error)[:100]})"


def _absent_inside(file: h5py.File, name: str, depth: int, reaches: Callable[[tuple[int, ...]], bool]) -> str:
    source = file.get(name)
    where = f"its virtual source {file.filename}"
    if not isinstance(source, h5py.Dataset):
        return f"{where} holds no dataset {name}"
    if reason := absence(source, depth + 1):
        return f"{name} of {where}: {reason}"
    missing_filters(source)  # loads them
    if not reaches(source.shape):
        return f"{name} of {where} has shape {source.shape}, less than what is taken from it"
    return ""


def _absent_external(found: h5py.Dataset, needed: int) -> str:
    for name, offset, size in found.external:
        path = next((p for p in _places(name, None, "HDF5_EXTFILE_PREFIX") if p.is_file()), None)
        if path is None:
            return f"its external file {name} is missing"
        taken = min(needed, size)
        if path.stat().st_size < offset + taken:
            return f"its external file {name} is cut off"
        needed -= taken
    return "" if needed <= 0 else f"{needed} of its bytes are in no file"


def _places(name: str, beside: Path | None, variable: str) -> Iterator[Path]:
    """Where HDF5 looks for another file: as it is named, below the prefixes of an environment variable, beside this file."""
    named = Path(name)
    if named.is_absolute():
        yield named
        if beside is None:
            return
        named = Path(named.name)  # of a missing absolute path HDF5 tries the last component
    for prefix in filter(None, os.environ.get(variable, "").split(":")):
        yield Path(prefix.replace("${ORIGIN}", str(beside.parent if beside else "."))) / named
    if beside is not None:
        yield beside.parent / named
        yield beside.resolve().parent / named
    yield named

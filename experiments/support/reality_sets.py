"""The stored sets: made once, one file per family, checked by checksum whenever they are read.

``data/reality_gap/NAME.npz`` holds of every matrix up to 16 rows on its grid, drawn among the rows within 60 dB of the strongest
one (weaker rows are within the errors of tables, and below the noise of scanners), and of some matrices four of these rows on a
grid twice as fine. Matrices 0 .. half - 1 are for development, the others for the test. ``NAME.json`` has the checksums of file and
draws, and how far a few voxels of two test matrices are from an independent evaluation.
"""

import hashlib
import json
import sys
import time
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from experiments.support.reality_families import BY_NAME, FAMILIES, Case, Family
from experiments.support.reality_truths import check, transfer_factors, true_rows
from mpijax.core.files import atomic_path, write_text
from mpijax.datasets import FixedRows
from mpijax.rows.scaling import present_rows

FOLDER = Path(__file__).resolve().parents[2] / "data" / "reality_gap"
ROWS, FINE_ROWS = 16, 4
FLOOR = 1e-3
"""Largest modulus of the weakest row that is stored, over that of the strongest."""

BINS_3D = 256
"""Bins of a volume among which rows are drawn, beside the lowest 512 / 4 of mixing order up to 3."""

CHECKED, CHECKED_VOXELS = 2, 4
"""Matrices of every family that are compared with an independent evaluation, and voxels of each."""


@dataclass(frozen=True)
class GapSet:
    """Rows of one family.

    Attributes:
        family: what they are.
        rows: on the grids of calibrations.
        fine: some of them on grids twice as fine; None in 3-D.
    """

    family: Family
    rows: FixedRows
    fine: FixedRows | None

    def of_half(self, rows: FixedRows, half: str) -> np.ndarray:
        """Numbers of the rows of a half, "development" or "test"."""
        first = rows.matrix < self.family.half
        return np.flatnonzero(first if half == "development" else ~first)


def place(family: Family, index: int) -> tuple[str, int]:
    """Half and number of matrix ``index``."""
    return ("development", index) if index < family.half else ("test", index - family.half)


def make_set(family: Family) -> GapSet:
    """Simulate a family, with a line on standard error for every matrix."""
    parts: list[dict[str, Any]] = []
    for index in range(2 * family.half):
        started = time.perf_counter()
        half, number = place(family, index)
        units, case = family.draw(half, number)
        parts.append({"units": units, **matrix_rows(family, case, half, number)})
        took = time.perf_counter() - started
        print(f"{family.name}: matrix {index + 1} of {2 * family.half}, {took:.0f} s", file=sys.stderr, flush=True)
    fine = joined(parts, "fine") if family.fine else None
    return GapSet(family, joined(parts, "rows"), fine)


def matrix_rows(family: Family, case: Case, half: str, number: int) -> dict[str, Any]:
    """Rows of one matrix: images, channels and bins, by ``"rows"`` and ``"fine"``."""
    fine = number < family.fine
    seed = np.random.SeedSequence([18, number, {"development": 0, "test": 1, "training": 2}[half]])
    rng = np.random.default_rng(seed)
    sequence = case.told.sequence
    volume = int(np.asarray(case.told.extent)[2]) > 1
    bins = np.arange(1, (sequence.n_samples - 1) // 2 + 1)
    if volume:  # 26,929 bins: the strong ones and some of the others
        low = np.abs(np.asarray(sequence.mixing_orders(3), int)).sum(axis=1)
        strong = np.flatnonzero((low[: len(bins)] > 0) & (low[: len(bins)] <= 3))
        near = np.arange(1, 6000)
        bins = np.union1d(strong, rng.choice(near, BINS_3D, replace=False))
    # rows of the control are those of equilibrium, whatever the transfer function makes of their strength
    values, extent = true_rows(replace(case, transfer=None) if family.in_model else case, bins, fine)
    nx, ny, nz = (int(n) for n in extent)
    images = values.reshape(3, len(bins), nz, ny, nx)
    coarse = images[..., ::2, ::2] if fine else images
    channel, position = np.nonzero(np.asarray(present_rows(coarse.reshape(3, len(bins), -1), FLOOR)))
    if family.in_model:
        factor = transfer_factors(case)[:, bins, None, None, None]
        images, coarse = images * factor, coarse * factor
    kept = rng.permutation(len(channel))[:ROWS]
    few = kept[:FINE_ROWS] if fine else kept[:0]
    return {
        name: (source[channel[k], position[k]], channel[k], bins[position[k]])
        for name, source, k in (("rows", coarse, kept), ("fine", images, few))
    }


def joined(parts: list[dict[str, Any]], name: str) -> FixedRows:
    """The matrices' rows of one kind, one after another."""
    counts = [len(part[name][0]) for part in parts]
    extents = np.stack([part[name][0].shape[:0:-1] for part in parts]).astype(np.int64)
    lengths = np.repeat(extents.prod(axis=1), counts)
    return FixedRows(
        units=np.stack([part["units"] for part in parts]),
        extents=extents,
        matrix=np.repeat(np.arange(len(parts), dtype=np.int32), counts),
        channel=np.concatenate([part[name][1] for part in parts]).astype(np.int32),
        frequency_index=np.concatenate([part[name][2] for part in parts]).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        values=np.concatenate([part[name][0].reshape(-1) for part in parts]).astype(np.complex64),
    )


def write_set(found: GapSet, folder: Path = FOLDER) -> None:
    """Write the file of a family and its entry in the card, without a check."""
    arrays = {field.name: getattr(found.rows, field.name) for field in fields(FixedRows)}
    if found.fine is not None:
        arrays |= {f"fine_{field.name}": getattr(found.fine, field.name) for field in fields(FixedRows)}
    with atomic_path(folder / f"{found.family.name}.npz") as temporary:
        with open(temporary, "wb") as stream:
            np.savez_compressed(stream, **arrays)
        digest = _sha256(temporary)
    entry = {
        "truth": found.family.truth,
        "held_out": found.family.held_out,
        "matrices": 2 * found.family.half,
        "rows": len(found.rows),
        "fine_rows": 0 if found.fine is None else len(found.fine),
        "draws_sha256": found.rows.draws_sha256(),
        "file_sha256": digest,
    }
    change_card(found.family.name, entry, folder)


def read_set(name: str, folder: Path = FOLDER) -> GapSet:
    """A stored family.

    Raises:
        ValueError: no such family, a damaged file, or draws that are not those of the seeds.
        FileNotFoundError: it was not made yet.
    """
    if name not in BY_NAME:
        raise ValueError(f"{name!r} is no family; choose from {', '.join(BY_NAME)}.")
    family, path = BY_NAME[name], folder / f"{name}.npz"
    entry = read_card(folder).get(name)
    if entry is None or not path.exists():
        raise FileNotFoundError(f"{path} was not made yet; make it with: python -m experiments.reality_gap --make.")
    if _sha256(path) != entry["file_sha256"]:
        raise ValueError(
            f"{path} does not match the checksum of its card: it is damaged or was edited; delete it and make it again (--make)."
        )
    with np.load(path, allow_pickle=False) as data:
        rows = FixedRows(**{field.name: data[field.name] for field in fields(FixedRows)})
        fine = FixedRows(**{f.name: data[f"fine_{f.name}"] for f in fields(FixedRows)}) if family.fine else None
    drawn = family.draw(*place(family, 0))[0]
    if rows.draws_sha256() != entry["draws_sha256"] or not np.array_equal(rows.units[0], drawn):
        raise ValueError(
            f"the draws in {path} are not those of the seeds in this version; delete it and make it again (--make)."
        )
    return GapSet(family, rows, fine)


def check_set(found: GapSet) -> dict[str, Any]:
    """Relative deviations of a few voxels of the first matrices of the test from an independent evaluation."""
    deviations = []
    for index in range(CHECKED):
        number = found.family.half + index
        _, case = found.family.draw("test", index)
        chosen = np.flatnonzero(found.rows.matrix == number)
        stored = np.stack([found.rows.image(int(row)).ravel() for row in chosen]).astype(complex)
        voxels = np.random.default_rng([18, index]).choice(stored.shape[1], CHECKED_VOXELS, replace=False)
        bins = found.rows.frequency_index[chosen]
        deviations.append(float(f"{check(case, stored, found.rows.channel[chosen], bins, np.sort(voxels)):.2g}"))
    return {"matrices": CHECKED, "voxels": CHECKED_VOXELS, "relative_deviation": deviations}


def make_all(names: tuple[str, ...] = (), folder: Path = FOLDER) -> None:
    """Make, and check, what is missing; a file that is there is verified only."""
    for family in FAMILIES:
        if names and family.name not in names:
            continue
        started = time.perf_counter()
        try:
            found = read_set(family.name, folder)
        except FileNotFoundError:
            found = make_set(family)
            write_set(found, folder)
            change_card(family.name, {"seconds": round(time.perf_counter() - started)}, folder)
        if "check" not in read_card(folder)[family.name]:
            begun = time.perf_counter()
            change_card(family.name, {"check": check_set(found)}, folder)
            change_card(family.name, {"seconds_of_check": round(time.perf_counter() - begun)}, folder)
        print(f"{family.name}: {read_card(folder)[family.name]}", file=sys.stderr, flush=True)


def read_card(folder: Path = FOLDER) -> dict[str, Any]:
    """Entries of all families.

    Raises:
        ValueError: the card is damaged.
    """
    entries: dict[str, Any] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            entries[path.stem] = json.loads(path.read_text(encoding="utf-8"))
            entries[path.stem]["file_sha256"], entries[path.stem]["draws_sha256"]
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{path} is no card of a set, or damaged; delete it and make the set again (--make)."
            ) from None
    return entries


def change_card(name: str, entry: dict[str, Any], folder: Path = FOLDER) -> None:
    """Add to the card of a family."""
    card = {**read_card(folder).get(name, {}), **entry}
    write_text(folder / f"{name}.json", json.dumps(card, indent=1) + "\n")


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()

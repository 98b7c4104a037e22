"""The Open MPI data set: finding its files and pairing calibrations with measurements by what they contain.

Source: Knopp et al., Data in Brief 28 (2020) 104971; https://magneticparticleimaging.github.io/OpenMPIData.jl.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mpijax.io.errors import MDFError
from mpijax.io.mdf.header import read_info
from mpijax.io.mdf.info import MDFInfo


@dataclass(frozen=True)
class _Known:
    driven: int
    tracer: str
    size: tuple[int, int, int]
    gradient: tuple[float, float, float]
    compressed: bool = False


_FINE, _COARSE, _LARGE = (37, 37, 37), (19, 19, 19), (33, 33, 27)
_STRONG, _WEAK = (-1.0, -1.0, 2.0), (-0.5, -0.5, 1.0)
KNOWN = {
    **{n: _Known(n, "perimag", _COARSE, _STRONG) for n in (1, 2, 3)},
    **{n + 3: _Known(n, "perimag", _FINE, _STRONG) for n in (1, 2, 3)},
    7: _Known(3, "synomag", _FINE, _STRONG),
    **{n: _Known(3, "perimag", _LARGE, _WEAK) for n in (8, 9, 10, 11)},
    **{n: _Known(3, "perimag", _LARGE, _WEAK, compressed=True) for n in (12, 13, 14, 15)},
}
"""What tells the calibrations apart.

8 to 11 are four patches of one set and alike in all of this, as are 12 to 15, their compressed copies; 16 and 17 are
not documented.
"""
UNDOCUMENTED = (16, 17)
PHANTOMS = ("shape", "resolution", "concentration", "rotation", "drift")


@dataclass(frozen=True, eq=False)
class OpenMPIEntry:
    """One file.

    Attributes:
        path, info: the file and its header.
        number: the calibration's number in the data set, or None.
        candidates: the numbers that its content allows.
        identified_by: "content", "file name" (content leaves several, the name chose among them) or "".
        phantom: of a measurement: shape, resolution, concentration, rotation, drift, or None.
    """

    path: Path
    info: MDFInfo
    number: int | None = None
    candidates: tuple[int, ...] = ()
    identified_by: str = ""
    phantom: str | None = None

    @property
    def dimension(self) -> int:
        """1-D, 2-D or 3-D excitation: how many drive channels are on."""
        return self.info.driven

    @property
    def compressed(self) -> bool:
        """Whether the file holds kept coefficients of a transform."""
        return self.info.flags["isSparsityTransformed"]

    @property
    def tracer(self) -> str:
        """Names of the tracers."""
        return ", ".join(str(name) for name in self.info.tracer.get("name", ()))


class OpenMPIDataset:
    """The Open MPI files below a folder, whatever their names.

    Calibrations are identified by excitation, tracer, grid, gradient and compression; only where that leaves several
    numbers (8 to 11 are patches of one set, 12 to 15 their compressed copies) does a number in the file name decide
    among them.

    Args:
        root: a folder, with or without ``data/`` in it, searched recursively for ``.mdf`` and ``.h5`` files.

    Attributes:
        calibrations, measurements: entries, calibrations by number, measurements by path.
        skipped: files that are not MDF or cannot be read, each with the reason.

    Raises:
        FileNotFoundError: no such folder.
        MDFError: no MDF file in it.

    Source: T. Knopp et al., Data in Brief 28, 104971 (2020).
    """

    def __init__(self, root: str | Path):
        self.root = Path(root)
        if not self.root.is_dir():
            raise FileNotFoundError(f"there is no folder {self.root}.")
        self.skipped: list[tuple[Path, str]] = []
        entries = []
        for path in sorted(p for p in self.root.rglob("*") if p.suffix.lower() in (".mdf", ".h5") and p.is_file()):
            try:
                info = read_info(path)
            except (MDFError, OSError) as error:
                self.skipped.append((path, str(error)))
                continue
            entries.append(_identify(path, info, self.root))
        if not entries:
            reasons = "; ".join(reason for _, reason in self.skipped[:3])
            raise MDFError(f"{self.root} holds no MDF file{' (' + reasons + ')' if reasons else ''}.")
        calibrations = [entry for entry in entries if entry.info.is_calibration]
        self.calibrations = sorted(calibrations, key=lambda e: (e.number is None, e.number or 0, str(e.path)))
        self.measurements = [entry for entry in entries if not entry.info.is_calibration]

    def calibration(self, number: int) -> OpenMPIEntry:
        """The calibration with a number of the data set.

        Raises:
            MDFError: none, or several.
        """
        found = [entry for entry in self.calibrations if entry.number == number]
        if len(found) == 1:
            return found[0]
        if found:
            raise MDFError(f"calibration {number} is there {len(found)} times: {_names(found)}; remove the copies.")
        possible = [entry for entry in self.calibrations if entry.number is None and number in entry.candidates]
        hint = (
            f"; {_names(possible)} may be it: content alone cannot tell, so put the number into the file name"
            if possible
            else ""
        )
        present = sorted({entry.number for entry in self.calibrations if entry.number is not None})
        raise MDFError(
            f"calibration {number} is not in {self.root}, which holds {present or 'no identified one'}{hint}."
        )

    def calibrations_for(self, measurement: OpenMPIEntry) -> tuple[OpenMPIEntry, ...]:
        """The calibrations of the same sequence, gradient and tracer: coarsest grid first, compressed copies last."""
        found = [entry for entry in self.calibrations if not _differences(entry.info, measurement.info)]
        return tuple(sorted(found, key=lambda e: (e.compressed, e.info.n_foreground_frames)))

    def calibration_for(self, measurement: OpenMPIEntry) -> OpenMPIEntry:
        """The first of :meth:`calibrations_for`: the low-resolution one, which the published reconstructions use.

        Raises:
            MDFError: there is none; the message says how the nearest differs.
        """
        found = self.calibrations_for(measurement)
        if found:
            return found[0]
        if not self.calibrations:
            raise MDFError(f"{self.root} holds no calibration.")
        nearest = min(self.calibrations, key=lambda entry: len(_differences(entry.info, measurement.info)))
        why = ", ".join(_differences(nearest.info, measurement.info))
        raise MDFError(f"no calibration fits {measurement.path}; the nearest, {nearest.path}, differs in {why}.")

    def pairs(self) -> list[tuple[OpenMPIEntry, tuple[OpenMPIEntry, ...]]]:
        """Every measurement with the calibrations that fit it."""
        return [(entry, self.calibrations_for(entry)) for entry in self.measurements]

    def summary(self) -> str:
        """Two tables as text: the calibrations, and the measurements with the calibrations that fit them."""
        lines = [f"{len(self.calibrations)} calibrations"]
        for entry in self.calibrations:
            info = entry.info
            label = str(entry.number) if entry.number is not None else _alternatives(entry)
            size = (
                "-"
                if info.calibration is None or info.calibration.size is None
                else "x".join(map(str, info.calibration.size))
            )
            gradient = "-" if info.gradient is None else ",".join(f"{g:g}" for g in np.diagonal(info.gradient) + 0.0)
            lines.append(
                f"  {label:>7}  {entry.dimension}-D  {size:>9}  G {gradient} T/m  {entry.tracer or '-'}  "
                f"{len(info.frequencies)} bins{'  compressed' if entry.compressed else ''}  "
                f"by {entry.identified_by or 'nothing'}  {self._name(entry)}"
            )
        lines.append(f"{len(self.measurements)} measurements")
        for entry, fits in self.pairs():
            partners = " ".join(str(e.number) if e.number is not None else self._name(e) for e in fits) or "none"
            lines.append(
                f"  {entry.phantom or '-':>13}  {entry.dimension}-D  {entry.info.n_foreground_frames} frames x "
                f"{entry.info.n_periods} periods  calibrations: {partners}  {self._name(entry)}"
            )
        lines += [f"skipped {path.relative_to(self.root)}: {reason}" for path, reason in self.skipped]
        return "\n".join(lines)

    def _name(self, entry: OpenMPIEntry) -> str:
        return str(entry.path.relative_to(self.root))


def _alternatives(entry: OpenMPIEntry) -> str:
    return f"{entry.candidates[0]}-{entry.candidates[-1]}?" if entry.candidates else "?"


def _names(entries: list[OpenMPIEntry]) -> str:
    return ", ".join(str(entry.path) for entry in entries)


def _identify(path: Path, info: MDFInfo, root: Path) -> OpenMPIEntry:
    if not info.is_calibration:
        return OpenMPIEntry(path, info, phantom=_phantom(path.relative_to(root), info))
    candidates = tuple(number for number, known in KNOWN.items() if _is(info, known))
    if len(candidates) == 1:
        return OpenMPIEntry(path, info, candidates[0], candidates, "content")
    digits = re.findall(r"\d+", path.stem)
    named = int(digits[-1]) if digits else None
    if named is not None and named in (candidates or UNDOCUMENTED):
        return OpenMPIEntry(path, info, named, candidates, "file name")
    return OpenMPIEntry(path, info, None, candidates)


def _is(info: MDFInfo, known: _Known) -> bool:
    names = " ".join(str(name) for name in info.tracer.get("name", ())).lower()
    assert info.calibration is not None
    return (
        info.driven == known.driven
        and info.calibration.size == known.size
        and known.tracer in names
        and info.flags["isSparsityTransformed"] == known.compressed
        and (info.gradient is None or np.allclose(np.diagonal(info.gradient), known.gradient, rtol=0.1, atol=0.02))
    )


def _phantom(path: Path, info: MDFInfo) -> str | None:
    """Which phantom the header's texts name, or else the path."""
    texts = [
        str(group.get(name, ""))
        for group in (info.experiment, info.study)
        for name in ("name", "subject", "description")
    ]
    for text in (*texts, str(path)):
        for phantom in PHANTOMS:
            if phantom in text.lower():
                return phantom
    return None


def _differences(calibration: MDFInfo, measurement: MDFInfo) -> list[str]:
    """In what two scans differ that do not belong together; what one of them does not say is not compared."""
    found = []
    if (calibration.n_samples, calibration.n_channels) != (measurement.n_samples, measurement.n_channels):
        found.append("samples or channels")
    for name, tolerance in (("bandwidth", 1e-6), ("divider", 0.0), ("strength", 0.05), ("gradient", 0.05)):
        ours, theirs = getattr(calibration, name), getattr(measurement, name)
        if ours is None or theirs is None:
            continue
        scale = np.max(np.abs(theirs), initial=0)
        if np.shape(ours) != np.shape(theirs) or not np.allclose(ours, theirs, rtol=0, atol=tolerance * scale):
            found.append(name)
    ours, theirs = (" ".join(map(str, info.tracer.get("name", ()))).lower() for info in (calibration, measurement))
    unknown = ("", "n.a", "n.a.")
    if ours not in unknown and theirs not in unknown and ours not in theirs and theirs not in ours:
        found.append("tracer")
    return found

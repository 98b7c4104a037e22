"""What one matrix tells of its particle and of its file, and the rows that follow from it."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mpijax.core.typing import Bool, Complex, Float, Int
from mpijax.identification.per_matrix.facts import POINT_SAMPLE, Told
from mpijax.identification.per_matrix.match import Rows, imperfect
from mpijax.identification.per_matrix.numbers import (
    COIL_SLOPE,
    CROSS_TALK,
    PARTICLE,
    PRIOR,
    TERMS,
    Moved,
    Start,
    particle_of,
)
from mpijax.identification.per_matrix.rows import GUIDE_NODES, Physics, value_and_slopes
from mpijax.system import Neel, Particle

SUSPECT = 2.5
"""Standard deviations of the prior from which on a fact of the file is called suspect."""

POOR = 1.3
"""chi^2 per degree of freedom from which on the fit is said not to explain the rows: no fact is then called suspect, and no number
has an error."""

CLEAR = 2.0
"""Standard deviations from zero from which on a deviation is called found."""

NOTICED, LEAST_NOTICED = 4.0, 0.1
"""Standard deviations, and least share, by which chi^2 per degree of freedom differs from one where that is said."""

MUCH_TALK = 0.5
"""Cross talk from which on the order of the channels is doubted."""

SIZES = (0.75, 1.2)
"""Diameters, over the fitted one, of cores that stand for a spread of sizes."""

LAST_WORD = """errors hold for one such particle in a file that is wrong by some percent; gradients and amplitudes that are off
by one common factor share it, and what is within two errors of zero is not found. Other rows of the same matrix may
give other numbers: compare them"""

DOUBT = """doubt     no such particle in these fields explains the rows, and the numbers below mean little: several tracers, other
          physics, a wrong noise level, or facts of the file that are wrong by more than some percent"""

WORDS = {
    "gradient": "gradient along {}",
    "shift": "position along {}",
    "turn": "rotation about {}",
    "amplitude": "drive amplitude along {}",
}


@dataclass(frozen=True, eq=False)
class Guides:
    """Simulated rows of an identified matrix, and what they change by where it is not quite right.

    Attributes:
        rows: (m, n), of the order of one.
        changes: (k, m, n), in the same unit: per standard deviation of every free number, and rows of other sizes of cores.
    """

    rows: Complex[np.ndarray, "m n"]
    changes: Complex[np.ndarray, "k m n"]


@dataclass(frozen=True, eq=False)
class Identified:
    """One particle for a whole matrix, how far its file was off, and how well that explains the rows.

    Attributes:
        told: what the file says.
        start: particle that the search started from; names: of the numbers of particle and geometry.
        physics: equilibrium or Neel rotation.
        numbers: all numbers, those of the coils last, in standard deviations of their priors; free: those that were fitted.
        curvature: normal equations at the minimum, without the prior.
        chi2: sum |residual|^2/sigma^2 per degree of freedom; freedom: how many, complex; equilibrium_chi2: of the best equilibrium.
        rows: kept rows that were fitted; voxels: positions that were.
        seconds: that it took.
    """

    told: Told
    start: Start
    names: tuple[str, ...]
    physics: Physics
    numbers: Float[np.ndarray, " p"]
    free: Bool[np.ndarray, " p"]
    curvature: Float[np.ndarray, "p p"]
    chi2: float
    freedom: float
    equilibrium_chi2: float
    rows: Int[np.ndarray, " k"]
    voxels: int
    seconds: float

    @property
    def particle(self) -> Particle:
        """The fitted particle."""
        mixed = particle_of(self._moved, self.start, self.told).resolve()
        if not self.physics.relaxes:
            return mixed
        return replace(mixed, dynamics=Neel(time_scale=float(np.exp(self._moved["time_scale"]))))

    @property
    def stds(self) -> dict[str, float]:
        """Standard deviations of the free numbers of particle and geometry, given the prior; relative ones of the logarithm."""
        spread = self._spread
        return {name: spread[i] * PRIOR[name][0] for i, name in enumerate(self.names) if i in spread}

    @property
    def _spread(self) -> dict[int, float]:
        """Standard deviations of the free numbers, those of the coils among them, over those of their priors."""
        index = np.flatnonzero(self.free)
        covariance = np.linalg.inv((self.curvature + np.eye(len(self.numbers)))[np.ix_(index, index)])
        return dict(zip(index.tolist(), np.sqrt(np.diag(covariance)).tolist(), strict=True))

    @property
    def off(self) -> dict[str, float]:
        """By how much the file was off: relative, in m, or in rad."""
        return {
            name: float(np.expm1(value) if PRIOR[name][1] == "relative" else value)
            for name, value in ((name, self.numbers[i] * PRIOR[name][0]) for i, name in self._geometry)
        }

    @property
    def _geometry(self) -> list[tuple[int, str]]:
        return [(i, name) for i, name in enumerate(self.names) if name not in PARTICLE and name not in TERMS]

    @property
    def suspects(self) -> list[str]:
        """Facts of the file that the rows contradict, in words; none where the fit does not explain the rows."""
        if self.chi2 > POOR:
            return []
        return [self._fact(name) for i, name in self._geometry if abs(self.numbers[i]) > SUSPECT]

    def guides(
        self, coil: Int[np.ndarray, " m"], bins: Int[np.ndarray, " m"], points: Float[np.ndarray, "n 3"]
    ) -> Guides:
        """Rows of channels and bins at any positions (n, 3) [m], with their derivatives, of a small sample."""
        axes, split = np.flatnonzero(self.told.used), len(self.names)
        unit = self.told.unit(points)[axes]
        nothing = np.zeros((len(bins), len(points)), np.complex64)
        wanted = Rows.of(nothing, np.ones(len(points), bool), np.ones(len(bins)), coil, bins, unit)

        small = replace(self.told, sample=POINT_SAMPLE)

        def simulated(start: Start, slopes: bool) -> tuple[Any, Any]:
            numbers = self.numbers[:split]
            arguments = numbers, small, start, points, wanted.bins, self.physics, self.names, slopes
            return value_and_slopes(*arguments, nodes=GUIDE_NODES)

        signals, slopes = simulated(self.start, True)
        scale = max(float(np.abs(signals).max()), 1e-30)
        rows, changes = imperfect(signals / scale, slopes / scale, self.numbers[split:], wanted)
        sizes = []
        for ratio in SIZES:
            other = replace(self.start, core_diameter=np.float32(self.start.core_diameter * ratio))
            found, _ = simulated(other, False)
            sizes.append(imperfect(found / scale, slopes[:0], self.numbers[split:], wanted)[0])
        whole = np.concatenate([changes[self.free], np.stack(sizes)])
        return Guides(rows, np.where(np.isfinite(whole), whole, 0))

    def summary(self) -> str:
        """Kind, dynamics, diameter and chi^2, for the header of a restored matrix."""
        particle = self.particle
        kind = "immobilized" if particle.easy_axis is not None else "fluid"
        dynamics = "Neel rotation" if self.physics.relaxes else "equilibrium"
        return f"{kind}, {dynamics}, {float(particle.core_diameter) * 1e9:.2f} nm, chi^2 {self.chi2:.3f}"

    def describe(self) -> str:
        """Particle, uncertainties, what the file says wrongly, and chi^2, as text."""
        certain = self.chi2 <= POOR and self._beyond >= 0
        particle, stds, spread = self.particle, self.stds if certain else {}, self._spread if certain else {}
        diameter, constant = float(particle.core_diameter) * 1e9, float(particle.anisotropy_constant) / 1e3
        where = ""
        if particle.spatial_modulation is not None:
            largest, full = float(self.told.reference), float(np.asarray(particle.reference_field))
            constant *= min(largest / full, 1.0) ** float(particle.spatial_modulation)
            where = f" at {min(largest, full) * 1e3:.1f} mT" + (" and above" if full < largest else "")

        def error(name: str, scale: float = 1.0) -> str:
            return f" +- {stds[name] * scale:.2g}" if name in stds else ""

        kind = "immobilized" if particle.easy_axis is not None else "fluid"
        lines = [
            f"particle  {kind}, {'Neel rotation' if self.physics.relaxes else 'equilibrium'}",
            f"  core diameter {diameter:.2f} nm{error('core_diameter', diameter)}",
            f"  anisotropy    {constant:.2f} kJ/m^3{error('anisotropy_constant', constant)}{where}",
        ]
        if particle.easy_axis is not None:
            lines.append("  easy axis     " + ", ".join(f"{x:.2f}" for x in np.asarray(particle.easy_axis)))
        elif particle.spatial_modulation is not None:
            lines.append(f"  modulation q  {float(particle.spatial_modulation):.2f}{error('spatial_modulation')}")
        if self.physics.relaxes:
            scale = float(np.exp(self._moved["time_scale"]))
            lines.append(f"  time scale    {scale:.2f}{error('time_scale', scale)} of Neel's relaxation time")
        facts = [self._fact(name, stds) for i, name in self._geometry if i in self._clear([i], spread)]
        lines.append("file      " + ("off by " + ", ".join(facts) if facts else "nothing found that is off"))
        terms = [i for i, name in enumerate(self.names) if name in TERMS]
        if terms:
            bent = self._largest(terms, PRIOR[self.names[terms[0]]][0], spread)
            says = f"bent: differs from a linear one by terms of up to {bent} of the gradient's field at the farthest corner"
            lines.append(f"field     {says if bent else 'no terms found by which it differs from a linear one'}")
        slopes, talks = self._coils
        slope, talk = self._largest(slopes, COIL_SLOPE, spread), self._largest(talks, CROSS_TALK, spread)
        says = (
            f"sensitivity changes by up to {slope} from the center to the edge"
            if slope
            else "no change of sensitivity found"
        )
        heard = f"a channel hears up to {talk} of the others' components" if talk else "no cross talk found"
        lines.append(f"coils     {says}, {heard}" if talks else f"coils     {says}")
        lines.append(
            f"chi^2     {self.chi2:.3f} per degree of freedom, of {len(self.rows)} rows at {self.voxels} positions"
            + (f" (equilibrium: {self.equilibrium_chi2:.3f})" if self.physics.relaxes else "")
        )
        if self._beyond < 0:
            lines.append(
                f"noise     overstated by a factor of about {self.chi2**-0.5:.2g}: the rows differ from the fit by less than it, "
                "and no number has an error"
            )
        elif 0 < self._beyond and self.chi2 <= POOR:
            lines.append(
                f"strained  chi^2 is {self._beyond:.0f} standard deviations above one: physics that is nearly this, a second "
                "tracer, or noise that is understated; the numbers are off by more than their errors"
            )
        lines += [f"suspect   {text}: more than the file may be wrong by" for text in self.suspects]
        most = CROSS_TALK * float(np.abs(self.numbers[talks]).max(initial=0.0))
        if most > MUCH_TALK:
            lines.append(f"suspect   which channel is which coil: cross talk of {most:.0%}")
        if self.chi2 <= POOR:
            return "\n".join([*lines, LAST_WORD])
        return "\n".join([DOUBT, *lines])

    @property
    def _beyond(self) -> float:
        """By how many standard deviations chi^2 differs from one, 0 where that says nothing."""
        off = (self.chi2 - 1) * float(np.sqrt(self.freedom))
        return off if abs(off) > NOTICED and abs(self.chi2 - 1) > LEAST_NOTICED else 0.0

    @property
    def _moved(self) -> Moved:
        return Moved(np.asarray(self.numbers[: len(self.names)], np.float32), self.names)

    @property
    def _coils(self) -> tuple[list[int], list[int]]:
        """Which numbers are slopes, and which cross talk."""
        first = len(self.names) + self.told.n_channels * int(np.sum(self.told.used))
        return list(range(len(self.names), first)), list(range(first, len(self.numbers)))

    def _clear(self, indices: list[int], spread: dict[int, float]) -> list[int]:
        """Those of some numbers that are not zero, by their standard deviations where these are known."""
        return [i for i in indices if abs(self.numbers[i]) > CLEAR * spread.get(i, 0.0)]

    def _largest(self, indices: list[int], scale: float, spread: dict[int, float]) -> str:
        """The largest of some numbers as a share, with its error where that is known; nothing where all may be zero."""
        clear = self._clear(indices, spread)
        if not clear:
            return ""
        i = max(clear, key=lambda i: abs(self.numbers[i]))
        return f"{abs(self.numbers[i]) * scale:.1%}" + (f" +- {100 * scale * spread[i]:.2g}%" if i in spread else "")

    def _fact(self, name: str, stds: dict[str, float] | None = None) -> str:
        kind, axis = name.rsplit("_", 1)
        value, unit = self.off[name], PRIOR[name][1]
        factor, word = {"relative": (100, "%"), "m": (1e3, "mm"), "rad": (180 / np.pi, "degrees")}[unit]
        error = "" if stds is None or name not in stds else f" +- {stds[name] * factor:.1g}"
        return f"{WORDS[kind].format(axis)} {round(value * factor, 3):+.2g}{error} {word}"

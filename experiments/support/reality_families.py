"""Families of system matrices whose truth is not the equilibrium model that the shipped networks were trained on.

Every family draws the calibrations of the restoration paper's prior (:class:`mpijax.datasets.RestorationPrior`) on grids of 8 to 20
voxels, of which families that take longer keep the small ones, and changes one thing, or all. Sizes of all effects are in the
constants below. What the file of a calibration says (`Case.told`) is what was drawn; the truth differs from it in the family
"wrong file" and in "all together" alone.

Families with the same condition on draws (`Family.accepts`) and the same range of sizes share their calibrations, so that their
figures can be compared in pairs. Numbers of a draw: 20 of the prior and 16 more, uniform, the same bits on every machine.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import mpijax as mj
from mpijax.core.pytree import pytree
from mpijax.datasets import RestorationPrior
from mpijax.physics.harmonics import solid_harmonics
from mpijax.system import Setup

SEEDS = {"development": 18_001, "test": 18_002, "training": 19_001}
"""Of the two halves, which no stream and no other set uses, and of pools to train on."""

ATTEMPTS = 400
"""Draws of the prior among which the first that a family accepts is taken."""

N_EXTRA = 16
"""Uniform numbers beside the prior's 20: shell or spread, size ratio, share, file (6), coils (3), pair (3), transfer key."""

SLOPE, CROSS_TALK = 0.3, 0.15
"""Change of a coil's sensitivity from the center of the field of view to its edge along one direction; share of the two other
components in every channel."""

SCALE_ERROR, TURN_ERROR, SHIFT_ERROR = 0.05, np.deg2rad(3.0), 1e-3
"""By which a wrong file is wrong, signs drawn: gradient and amplitude of every axis, rotation about z, position [m]."""

SPREAD = (0.1, 0.2)
"""Standard deviation of ln d of log-normal sizes."""

RATIO, SHARE = (0.6, 0.85), (0.3, 0.7)
"""Two sizes: diameter of the smaller cores over the larger ones' (which are the drawn ones), and their share of the iron."""

SHELL = (2e-9, 8e-9)
"""Thickness of the shell of Brownian particles [m]."""

COUPLING = (0.3, 0.7)
"""mu0 m0^2/(4 pi r^3 kB T) of dipolar pairs at a distance r of the centers; of stronger ones the mean field has several states."""

MIXED_RATE = (1e-3, 6e-3)
"""Neel's relaxation time of isotropic cores over Brown's, where both act."""

ALPHA = (3.0, 11.0)
"""Reduced anisotropy of families with Neel rotation, uniform, in place of the prior's: grids of at most 20 voxels keep the small
cores, which would leave it below 6. The table that ships ends at 12."""

BOTH_ALPHA = (7.0, 11.5)
"""The same where Neel and Brown act in parallel."""

REFERENCE_GRADIENT, REFERENCE_RADIUS = 1.0075, 42e-3
"""|Gx| = |Gy| [T/m] of the measured field and radius of its ball [m]."""

MEASURED = 1e-3 * np.array(
    [
        [0.163, 0.070, 0.018, 0.564, -0.017, 0.004, 0.015, 0.002, 0.052, -3.204, -0.011, -0.036],
        [0.007, 0.693, -0.468, 0.070, -0.108, 0.018, -0.030, -3.274, -0.005, 0.002, 0.011, 0.005],
        [0.070, -0.540, -1.089, 0.020, -0.065, 0.010, 0.003, -0.006, 5.289, 0.063, 0.045, 0.008],
    ]
)
"""Terms of degree 2 and 3 of a measured gradient field [T], in the order of `mpijax.physics.harmonics.solid_harmonics`, positions
in units of the ball: fitted without curl to the 36 points of Gradient_2Tpm.h5 (MagneticParticleImaging/MPISphericalHarmonics.jl,
MIT license; `mj.system.fit_solid_harmonics(points, field, 3, curl_free=True)`)."""


@pytree
class TrueField:
    """A selection field G q + e sum_{l=2,3} C Z(q/R) at q = T p + s, p the position that the file gives.

    Attributes:
        gradient: G [T/m], (3, 3).
        higher: e C [T], (3, 12); zero of a linear field.
        radius: R [m].
        turn: T, (3, 3).
        shift: s [m], (3,).
    """

    gradient: Any
    higher: Any
    radius: Any
    turn: Any
    shift: Any

    def field(self, points: Any) -> Any:
        """B [T], (n, 3)."""
        xp = np if isinstance(points, np.ndarray) else jnp
        gradient, higher, turn = (xp.asarray(x, points.dtype) for x in (self.gradient, self.higher, self.turn))
        true = points @ turn.T + xp.asarray(self.shift, points.dtype)
        return true @ gradient.T + solid_harmonics(true / xp.asarray(self.radius, points.dtype), 3)[:, 4:] @ higher.T


@dataclass(frozen=True)
class Case:
    """One matrix: what the file says, and the truth.

    Attributes:
        told: the drawn calibration, equilibrium, NumPy leaves in double precision.
        selection: true selection field.
        amplitude: true drive amplitude [T], (3,).
        parts: true particles and their shares of the iron.
        physics: "equilibrium", "neel", "brown", "both" or "pairs".
        mixing: (3, 3), what channel c sees of component j.
        slopes: (3, 3), of the sensitivity of channel c along x, y, z over half the field of view.
        pair: coupling and axis (3,) of dipolar pairs.
        mixed_rate: Neel's relaxation time over Brown's, where both act.
        transfer: key of the rows' complex factors, or None.
    """

    told: Setup
    selection: TrueField
    amplitude: np.ndarray
    parts: tuple[tuple[float, mj.Particle], ...]
    physics: str
    mixing: np.ndarray
    slopes: np.ndarray
    pair: tuple[float, np.ndarray]
    mixed_rate: float
    transfer: int | None

    @property
    def truth(self) -> Setup:
        """The calibration with the true fields, of the first of the true particles."""
        told = self.told
        scanner = replace(told.scanner, selection_field=self.selection)
        sequence = replace(told.sequence, amplitude=self.amplitude)
        return replace(told, scanner=scanner, sequence=sequence, particle=self.parts[0][1])

    def sensitivity(self, points: np.ndarray) -> np.ndarray:
        """What every channel sees of every component at positions (n, 3) of the file, (3, 3, n)."""
        unit = (points - np.asarray(self.told.center)) / (np.asarray(self.told.fov) / 2)
        return self.mixing[:, :, None] * (1 + self.slopes @ unit.T)[:, None]


@dataclass(frozen=True)
class Family:
    """Matrices of one kind of truth.

    Attributes:
        name: of its file.
        truth: in a few words.
        physics: see `Case.physics`; "neel or brown" = every second matrix.
        sizes: "one", "spread" or "two".
        viscosity: of Brownian rotation [Pa s].
        measured: whether the selection field is the measured one.
        coils, transfer, wrong_file: whether these are changed.
        strong: whether an equilibrium has the anisotropies of the families with Neel rotation, beyond the prior's for these cores.
        in_model: whether the truth is what the networks were trained on.
        held_out: never to be trained on or fitted.
        size_range: voxels per driven axis.
        kind: of particles, see `RestorationPrior`.
        dimensions: 2 or 3.
        half: matrices of each half; fine: of how many of them rows twice as fine are stored, too, to upsample.
        members: where a family takes its matrices from others: their names, in turn.
    """

    name: str
    truth: str
    physics: str = "equilibrium"
    sizes: str = "one"
    viscosity: float = 1e-3
    measured: bool = False
    coils: bool = False
    transfer: bool = False
    wrong_file: bool = False
    strong: bool = False
    in_model: bool = False
    held_out: bool = False
    size_range: tuple[int, int] = (8, 20)
    kind: str = "mixed"
    dimensions: int = 2
    half: int = 8
    fine: int = 8
    members: tuple[str, ...] = ()

    @property
    def prior(self) -> RestorationPrior:
        """Of the calibrations; larger Brownian cores, for small ones relax within a sample."""
        cores = (20e-9, 25e-9) if self.physics == "brown" else (15e-9, 25e-9)
        return RestorationPrior(self.dimensions, self.kind, size_range=self.size_range, core_diameter=cores)

    def accepts(self, setup: Setup) -> bool:
        """Whether a draw of the prior can have this truth."""
        alpha = float(setup.particle.alpha)  # type: ignore[attr-defined]
        # the largest of log-normal cores count; a spread of 0.2 makes them twelve times the median's volume
        return alpha <= 4.0 if self.sizes == "spread" else True

    def member(self, index: int) -> "Family":
        """The family that matrix ``index`` is of."""
        if self.members:
            name = self.members[index % len(self.members)]
            return replace(BY_NAME[name], size_range=self.size_range, dimensions=self.dimensions)
        if self.physics == "neel or brown":
            return replace(self, physics=("neel", "brown")[index % 2])
        return self

    def draw(self, half: str, index: int) -> tuple[np.ndarray, Case]:
        """The numbers behind a matrix, float32 (36,), and the matrix.

        Raises:
            ValueError: no draw was accepted.
        """
        family = self.member(index)
        key = jax.random.fold_in(jax.random.key(SEEDS[half]), index)
        prior = family.prior
        units, found = _first(prior, family.accepts, key)
        if not found:
            raise ValueError(f"no draw of matrix {index} of {self.name} was accepted; widen its size_range.")
        extra = np.asarray(jax.random.uniform(jax.random.fold_in(key, 1_000_003), (N_EXTRA,), jnp.float32))
        return np.concatenate([units, extra]), family.case(_double(prior.setup(jnp.asarray(units))), extra)

    def case(self, told: Setup, extra: np.ndarray) -> Case:
        """The truth of a drawn calibration."""
        e = extra.astype(float)
        signs = np.where(e[3:9] < 0.5, -1.0, 1.0) * self.wrong_file
        scale = 1 + SCALE_ERROR * signs[:2]
        gx, gy = np.diagonal(np.asarray(told.scanner.gradient))[:2] * scale
        gradient = np.diag([gx, gy, -(gx + gy)])
        cosine, sine = np.cos(TURN_ERROR * signs[2]), np.sin(TURN_ERROR * signs[2])
        turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
        shift = SHIFT_ERROR * np.array([signs[3], signs[4], 0.0]) / np.sqrt(2)
        amplitude = np.asarray(told.sequence.amplitude) * (1 + SCALE_ERROR * signs[[5, 4, 3]])
        driven = np.asarray(told.sequence.active)
        corner = np.linalg.norm((np.asarray(told.fov) / 2 + np.abs(np.asarray(told.center)))[driven])
        strength = np.abs([gx, gy]).mean() * corner / (REFERENCE_GRADIENT * REFERENCE_RADIUS)
        selection = TrueField(gradient, MEASURED * strength * self.measured, corner, turn, shift)
        coupling = COUPLING[0] + (COUPLING[1] - COUPLING[0]) * e[12]
        height, around = 2 * e[13] - 1, 2 * np.pi * e[14]
        level = np.sqrt(1 - height**2)
        told = replace(told, particle=self._drawn(told, e))
        low, high = np.log(MIXED_RATE)
        return Case(
            told=told,
            selection=selection,
            amplitude=amplitude,
            parts=self._particles(told.particle, e),
            physics=self.physics,
            mixing=np.eye(3) + CROSS_TALK * self.coils * (1 - np.eye(3)),
            slopes=SLOPE * self.coils * _directions(e[9:12]),
            pair=(coupling, np.array([level * np.cos(around), level * np.sin(around), height])),
            mixed_rate=float(np.exp(low + (high - low) * e[0])),
            transfer=int(e[15] * 2**24) if self.transfer else None,
        )

    def _drawn(self, told: Setup, e: np.ndarray) -> Any:
        """The drawn particle, in equilibrium."""
        particle: Any = told.particle
        particle = particle.with_reference(_reference(told))
        if self.physics not in ("neel", "both", "pairs") and not self.strong:
            return particle
        low, high = BOTH_ALPHA if self.physics == "both" else ALPHA
        stretch = (low + (high - low) * e[15]) / float(particle.alpha)
        return replace(particle, anisotropy_constant=particle.anisotropy_constant * stretch)

    def _particles(self, drawn: Any, e: np.ndarray) -> tuple[tuple[float, mj.Particle], ...]:
        if self.physics == "brown":
            rotation = mj.Brown(shell_thickness=SHELL[0] + (SHELL[1] - SHELL[0]) * e[0], viscosity=self.viscosity)
            drawn = mj.Particle.create(float(drawn.core_diameter), dynamics=rotation)
        elif self.physics == "equilibrium":
            drawn = replace(drawn, bound=50.0) if self.sizes == "spread" else drawn
        else:
            drawn = replace(drawn.resolve(), dynamics=mj.Neel())
        if self.sizes == "spread":
            return ((1.0, replace(drawn, size_spread=np.float64(SPREAD[0] + (SPREAD[1] - SPREAD[0]) * e[0]))),)
        if self.sizes == "one":
            return ((1.0, drawn),)
        share = SHARE[0] + (SHARE[1] - SHARE[0]) * e[2]
        smaller = drawn.of_size(RATIO[0] + (RATIO[1] - RATIO[0]) * e[1])
        return ((1 - share, drawn), (share, smaller))


FAMILIES: tuple[Family, ...] = (
    Family("equilibrium", "equilibrium", in_model=True),
    Family("transfer", "a complex factor per row", transfer=True, in_model=True),
    Family("file", "file wrong by 5 %, 3 degrees, 1 mm", wrong_file=True, in_model=True),
    Family("anisotropy", "equilibrium, alpha 3 to 11 as under Neel rotation", strong=True, size_range=(8, 16)),
    Family("neel", "Neel rotation, alpha 3 to 11", physics="neel", size_range=(8, 16)),
    Family("brown_1", "Brown rotation, 1 mPa s", physics="brown", size_range=(8, 12), fine=3),
    Family("brown_2.5", "Brown rotation, 2.5 mPa s", physics="brown", viscosity=2.5e-3, size_range=(8, 12), fine=3),
    Family("brown_6", "Brown rotation, 6 mPa s", physics="brown", viscosity=6e-3, size_range=(8, 12), fine=3),
    Family("sizes", "log-normal sizes, spread 0.1 to 0.2, equilibrium", sizes="spread", size_range=(8, 14)),
    Family("two_sizes", "Neel rotation of two sizes", physics="neel", sizes="two", size_range=(8, 16)),
    Family("field", "measured field of degree 3", measured=True),
    Family("coils", "coils with slopes of 30 %, cross talk of 15 %", coils=True),
    Family(
        "together", "Neel or Brown, two sizes, field, coils, transfer, file", physics="neel or brown", sizes="two",
        measured=True, coils=True, transfer=True, wrong_file=True, size_range=(8, 12), fine=4,
    ),
    Family("both", "Neel and Brown in parallel", physics="both", kind="fluid", size_range=(8, 12), held_out=True),
    Family("pairs", "dipolar pairs, mean field, Neel", physics="pairs", size_range=(8, 10), fine=4, held_out=True),
    Family("volume", "3-D: equilibrium, Neel, log-normal sizes", dimensions=3, half=3, fine=0, size_range=(8, 12),
           members=("equilibrium", "neel", "sizes")),
)  # fmt: skip
BY_NAME = {family.name: family for family in FAMILIES}


def _first(prior: RestorationPrior, accepts: Callable[[Setup], bool], key: jax.Array) -> tuple[np.ndarray, bool]:
    for attempt in range(ATTEMPTS):
        units, found = _accepted(prior, jax.random.fold_in(key, attempt))
        if bool(found) and accepts(prior.setup(units)):
            return np.asarray(units), True
    return np.asarray(units), False


def _accepted(prior: RestorationPrior, key: jax.Array) -> Any:
    return _ACCEPTED(prior, key)


_ACCEPTED = jax.jit(lambda prior, key: prior.accepted_units(key), static_argnums=0)


def _double(setup: Setup) -> Setup:
    """Leaves as NumPy arrays in double precision."""

    def leaf(x: Any) -> Any:
        x = np.asarray(x)
        return x.astype(float) if np.issubdtype(x.dtype, np.floating) else x

    return jax.tree.map(leaf, setup)


def _reference(told: Setup) -> float:
    """Largest selection field [T] on the grid that the file tells."""
    points = np.asarray(told.grid().positions) @ np.asarray(told.scanner.gradient).T
    return float(np.linalg.norm(points, axis=1).max())


def _directions(units: np.ndarray) -> np.ndarray:
    """A direction in the plane for each channel, (3, 3)."""
    angles = 2 * np.pi * units
    return np.stack([np.cos(angles), np.sin(angles), np.zeros(3)], axis=1)

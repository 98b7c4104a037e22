"""The scanner, the sequence and the grid of a measured calibration, and the particles that may be in it."""

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.datasets.samplers.restoration import RestorationPrior
from mpijax.system import Grid, LissajousSequence, Scanner, Setup

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class SameScanner:
    """Calibrations of one scanner as its files describe it, with random particles. Made by :meth:`of`; SI units.

    Attributes:
        gradient: G [T/m], three rows of three; offset_field: [T].
        coils: sensitivities of the receive channels along x, y, z, a row of three for each.
        amplitude: of the drive field [T]; phase: [rad] of a sine.
        dividers, base_frequency [Hz], ticks, n_samples: of the sequence, see :class:`mpijax.LissajousSequence`.
        shape, fov, center: of the grid.
        particles: from whose ranges of core diameter, anisotropy and axes the particles are drawn.
    """

    gradient: tuple[Vector, Vector, Vector]
    offset_field: Vector
    coils: tuple[Vector, ...]
    amplitude: Vector
    phase: Vector
    dividers: tuple[int, int, int]
    base_frequency: float
    ticks: int
    n_samples: int
    shape: tuple[int, int, int]
    fov: Vector
    center: Vector
    particles: RestorationPrior = RestorationPrior()

    def __post_init__(self) -> None:
        if not np.any(self.gradient):
            raise ValueError(
                "the gradient is zero; rows of a scanner without field-free point have no structure to learn."
            )
        if self.shape[0] < 2 or self.shape[1] < 2:
            raise ValueError(
                f"the grid has {self.shape} voxels; rows on planes along x and y, or in volumes, are restored."
            )

    @classmethod
    def of(
        cls,
        scanner: Scanner,
        sequence: LissajousSequence,
        grid: Grid,
        coils: tuple[int, ...] = (0, 1, 2),
        particles: RestorationPrior | None = None,
    ) -> "SameScanner":
        """The distribution that stands around one calibration.

        Args:
            scanner: its gradient and offset field are used.
            sequence, grid: of the calibration.
            coils: axis that each receive channel looks along, 0 to 2.
            particles: see above; None = the restoration paper's.

        Raises:
            ValueError: no gradient, or a grid that is no plane along x and y, nor a volume.
        """
        quarter = np.full(3, np.pi / 2 if sequence.waveform == "cosine" else 0.0)
        x, y, z = (_vector(row) for row in np.asarray(scanner.gradient, float))
        return cls(
            gradient=(x, y, z),
            offset_field=_vector(scanner.offset_field),
            coils=tuple(_vector(np.eye(3)[axis]) for axis in coils),
            amplitude=_vector(sequence.amplitude),
            phase=_vector(quarter if sequence.phase is None else sequence.phase),
            dividers=sequence.dividers,
            base_frequency=float(sequence.base_frequency),
            ticks=int(sequence.ticks),
            n_samples=int(sequence.n_samples),
            shape=grid.shape,
            fov=_vector(grid.fov),
            center=_vector(grid.center),
            particles=RestorationPrior() if particles is None else particles,
        )

    @property
    def dimensions(self) -> int:
        """Of a row: 3 where the grid has several planes, else 2."""
        return 3 if self.shape[2] > 1 else 2

    @property
    def sequence(self) -> LissajousSequence:
        """The drive field."""
        found = LissajousSequence.create(
            self.amplitude, self.dividers, self.base_frequency, phase=self.phase, n_samples=self.n_samples
        )
        return replace(found, ticks=self.ticks)

    def draw(self, key: jax.Array) -> Setup:
        """One calibration; a pure function of the key that can be traced."""
        return Setup(
            scanner=Scanner(np.asarray(self.gradient), np.asarray(self.offset_field), np.asarray(self.coils), None),
            sequence=self.sequence,
            particle=self.particles.particle(self.particles.units(key)),
            extent=jnp.asarray(self.shape, jnp.int32),
            fov=jnp.asarray(self.fov),
            center=jnp.asarray(self.center),
        )


def _vector(values: object) -> Vector:
    x, y, z = np.asarray(values, float).tolist()
    return x, y, z

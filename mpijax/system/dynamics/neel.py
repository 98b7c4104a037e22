"""Neel rotation of a particle's moment inside its core."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_range, is_concrete
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Float, Scalar
from mpijax.physics.dynamics.neel import neel_moment
from mpijax.physics.dynamics.stored import ALPHAS as TABLE_ALPHAS
from mpijax.physics.dynamics.stored import DAMPINGS, FIELDS, LARGEST_ALPHA, LARGEST_FIELD, SHIPPED_DAMPING, neel_table
from mpijax.physics.dynamics.table import Table
from mpijax.physics.fokker_planck import GYROMAGNETIC_RATIO, free_time
from mpijax.system.dynamics.protocol import PERIODS, leaves
from mpijax.system.engines.moments import Anisotropy
from mpijax.system.sequence import LissajousSequence

if TYPE_CHECKING:
    from mpijax.system.particle import Particle

FASTEST = 0.5
"""Largest tau beta |dH/dt|, how far the reduced field turns within a relaxation time, that the slow manifold is used for."""

STEP = 2.5
"""Largest change of the reduced field in one integration step."""

ALPHAS, REACHES = (LARGEST_ALPHA, TABLE_ALPHAS[1]), (LARGEST_FIELD, 70.0, FIELDS[1])
"""Reduced anisotropies and fields up to which tables are made."""


LIMITS = {"damping": DAMPINGS, "gyromagnetic_ratio": (1e10, 1e12), "time_scale": (1e-6, 1e3)}
"""What the numbers may be."""


@pytree
class Neel:
    """Neel rotation: the moment turns inside the core, against its anisotropy, and precesses.

    Brown's Fokker-Planck equation reduced onto its slow manifold (:mod:`mpijax.physics.dynamics.neel`), with the relaxation time
    tau = time_scale m0 (1 + a^2)/(2 gamma a kB T) of an isotropic core.

    Attributes:
        damping: a of the Landau-Lifshitz-Gilbert equation, 0.03 to 1.
        gyromagnetic_ratio: gamma [rad/(s T)].
        time_scale: factor of tau; toward 0 the moment is that of equilibrium.
        periods: of the drive field over which a position is measured; cores that remember their start beyond them are blocked.
        table: of the slow manifold, None = the right one. ``mpijax.physics.neel_table((0.03, 1.0))`` is one in which the damping
            can be differentiated.

    Source: Brown, Thermal fluctuations of a single-domain particle, Phys. Rev. 130 (1963) 1677.
    """

    damping: Scalar = SHIPPED_DAMPING
    gyromagnetic_ratio: Scalar = GYROMAGNETIC_RATIO
    time_scale: Scalar = 1.0
    periods: Scalar = PERIODS
    table: Table | None = None
    arrays_per_sample: ClassVar[int] = 100

    def checked(self, particle: "Particle") -> "Neel":
        """See :class:`Dynamics`."""
        check_range("damping", self.damping, *LIMITS["damping"], "", "It has no unit; 0.1 is usual.")
        check_range(
            "gyromagnetic_ratio",
            self.gyromagnetic_ratio,
            *LIMITS["gyromagnetic_ratio"],
            "rad/(s T)",
            "The electron's is 1.76e11.",
        )
        check_range(
            "time_scale", self.time_scale, *LIMITS["time_scale"], "", "It multiplies the relaxation time; 1 leaves it."
        )
        check_range("periods", self.periods, 1.0, 1e9, "periods")
        if self.table is not None and not isinstance(self.table, Table):
            raise TypeError(f"table is a {type(self.table).__name__}; expected mj.physics.neel_table(...) or None.")
        constant = particle.anisotropy_constant
        if is_concrete(constant) and np.any(np.asarray(constant) < 0):
            raise ValueError(
                f"anisotropy_constant = {constant} J/m^3 with Neel rotation, which is modeled for an easy axis alone; give K >= 0."
            )
        return leaves(self)

    def time(self, particle: "Particle") -> Scalar:
        """Tau [s] of cores of the median size."""
        return free_time(self.time_scale * particle.beta, self.damping, self.gyromagnetic_ratio)

    def prepared(
        self, particle: "Particle", field: Scalar | None, sequence: LissajousSequence, ends: Sequence["Particle"] = ()
    ) -> "Neel":
        """See :class:`Dynamics`."""
        if self.table is not None:
            axes = self.table.axes
            for name, value, axis in (
                ("damping", self.damping, axes[0]),
                ("reduced anisotropy", particle.alpha, axes[1]),
            ):
                if axis.count == 1 and not is_concrete(value):
                    raise ValueError(
                        f"the {name} varies, but the table holds one: its derivative would be missing. Give a table of a "
                        "range, mj.physics.neel_table(damping=(0.03, 1.0), alpha=(0.0, 12.0))."
                    )
            _check_reach(particle, field, axes[1].high, axes[2].high)
            self._check_pace(particle, sequence)
            return self
        if not is_concrete(self.damping):
            raise ValueError(
                "the damping is traced, and a table holds one damping unless it was built for more; give "
                "mj.Neel(damping, table=mj.physics.neel_table((0.03, 1.0)))."
            )
        alpha, xi = _check_reach(particle, field, ALPHAS[-1], REACHES[-1])
        self._check_pace(particle, sequence)
        top = next(bound for bound in ALPHAS if alpha <= bound * (1 + 1e-5))
        reach = next(bound for bound in REACHES if xi <= bound * (1 + 1e-5))
        damping = float(self.damping)
        ships = damping == SHIPPED_DAMPING and top == LARGEST_ALPHA and reach == LARGEST_FIELD
        one = (
            not ships
            and not ends
            and particle.is_homogeneous
            and particle.size_spread is None
            and is_concrete(particle.alpha)
        )
        return replace(self, table=neel_table(damping, float(particle.alpha) if one else (0.0, top), reach))

    def _check_pace(self, particle: "Particle", sequence: LissajousSequence) -> None:
        """Raise ValueError where the field turns too fast for an expansion in its rate."""
        if not is_concrete((self.damping, self.gyromagnetic_ratio, self.time_scale, particle, sequence.amplitude)):
            return
        ratios = particle.sizes()[0]
        speed = float(np.linalg.norm(sequence.amplitude * 2 * np.pi * np.array(sequence.cycles) / sequence.period))
        pace = float(self.time(particle) * particle.beta * np.max(ratios) ** 6) * speed
        if pace > FASTEST:
            raise ValueError(
                f"the drive field turns too fast for the slow-manifold engine of Neel rotation: tau beta |dH/dt| reaches "
                f"{pace:.2g}, allowed is {FASTEST:g}. Use engine='full', a lower frequency or amplitude, or smaller cores."
            )

    def moment(
        self,
        particle: "Particle",
        static: Float[Array, "n 3"],
        anisotropy: Anisotropy | None,
        sequence: LissajousSequence,
    ) -> tuple[list[jax.Array], Float[Array, " n"]]:
        """See :class:`Dynamics`."""
        assert self.table is not None  # as prepared
        dtype = static.dtype
        if anisotropy is None:  # isotropic: any axis will do
            anisotropy = jnp.zeros(1, dtype), jnp.asarray([[0.0, 0.0, 1.0]], dtype)
        elif particle.is_homogeneous:
            anisotropy = anisotropy[0][:1], anisotropy[1][:1]
        turn = 2 * np.pi * max(sequence.cycles) / sequence.n_samples  # radians per sample
        return neel_moment(
            static,
            lambda offset: sequence.drive_field(dtype, offset),
            lambda offset: sequence.drive_rate(dtype, offset),
            particle.beta,
            *anisotropy,
            self.time(particle),
            self.damping,
            sequence.period / sequence.n_samples,
            self.table,
            self.periods,
            substeps=math.ceil(turn * self.table.axes[2].high / STEP),
        )


def _check_reach(particle: "Particle", field: Scalar | None, alpha: float, xi: float) -> tuple[float, float]:
    """Largest reduced anisotropy and field of the cores, 0 where unknown.

    Raises:
        ValueError: they exceed ``alpha`` or ``xi``.
    """
    if not is_concrete(particle):
        return 0.0, 0.0
    ratios, weights = particle.sizes()
    volumes = np.asarray(ratios) ** 3
    alphas = np.asarray(particle.alpha) * volumes
    xis = np.asarray(particle.beta) * volumes * (0.0 if field is None or not is_concrete(field) else float(field))
    outside = (alphas > alpha * (1 + 1e-5)) | (xis > xi * (1 + 1e-5))
    if np.any(outside):
        share = f", in cores that carry {weights[outside].sum():.1%} of the moment" if len(weights) > 1 else ""
        raise ValueError(
            f"the reduced anisotropy K V/(kB T) reaches {alphas.max():.3g} and the reduced field {xis.max():.3g}{share}; the table "
            f"of Neel rotation reaches {alpha:g} and {xi:g}. Use engine='full', smaller cores, a narrower spread or a weaker field."
        )
    return float(alphas.max()), float(xis.max())

"""Magnetic nanoparticles."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np

from mpijax.core.checks import check_number, check_range, check_scalar, check_shape, is_concrete
from mpijax.core.constants import BOLTZMANN
from mpijax.core.pytree import pytree
from mpijax.core.typing import Array, Float, Numbers, Scalar, Vector3
from mpijax.physics.anisotropy import Method
from mpijax.system.dynamics import Dynamics
from mpijax.system.engines.moments import AnisotropyRule, equilibrium_moment
from mpijax.system.leaves import as_leaf
from mpijax.system.model import Expansion, ParticleModel, Rule
from mpijax.system.sequence import LissajousSequence

SIZE_NODES = 16
"""Gauss-Hermite nodes over the logarithm of the diameter: the mean moment is in error by 1e-13 at a spread of 0.1, 4e-8 at
0.2, 6e-6 at 0.3 and 3e-4 at 0.5."""

ALPHA_BOUNDS = (5.0, 10.0, 21.0, 35.0, 50.0)
"""Steps to which the largest reduced anisotropy is rounded up: it is static, so that few of them means few compilations."""


@pytree
class Particle(ParticleModel):
    """Magnetic cores of one diameter or of log-normal diameters. Make them with :meth:`create`.

    The fields that are None choose the model: neither ``easy_axis`` nor ``spatial_modulation`` is the Langevin model, an
    easy axis is an immobilized particle, a spatial modulation a fluid one.

    Attributes:
        core_diameter: d [m]; the median of the diameters where they spread.
        saturation_magnetization: Ms [A/m].
        temperature: T [K].
        anisotropy_constant: K [J/m^3].
        easy_axis: unit vector (3,) or None.
        spatial_modulation: exponent q or None.
        size_spread: standard deviation of ln d over the number of particles, or None for one diameter.
        reference_field: |H_S| [T] at which a fluid particle has its full anisotropy, or None: the largest on the grid.
        dynamics: how the moment follows the field, :class:`mpijax.Neel` or :class:`mpijax.Brown`; None = at once (equilibrium).

    Source: Langevin, Ann. Chim. Phys. 5, 70 (1905); with anisotropy Maass et al., IEEE Trans. Comput. Imaging 10 (2024) 1588.
    """

    core_diameter: Scalar
    saturation_magnetization: Scalar
    temperature: Scalar
    anisotropy_constant: Scalar
    easy_axis: Vector3 | None
    spatial_modulation: Scalar | None
    size_spread: Scalar | None = None
    reference_field: Scalar | None = None
    dynamics: Dynamics | None = None

    @staticmethod
    def create(
        core_diameter: Scalar = 20e-9,
        saturation_magnetization: Scalar = 474e3,
        temperature: Scalar = 293.0,
        anisotropy_constant: Scalar = 0.0,
        easy_axis: Numbers | None = None,
        spatial_modulation: Scalar | None = None,
        size_spread: Scalar | None = None,
        reference_field: Scalar | None = None,
        dynamics: Dynamics | None = None,
    ) -> "Particle":
        """Check and build a particle.

        Args:
            core_diameter: d [m], 1e-9 to 1e-6.
            saturation_magnetization: Ms [A/m], 1e3 to 2e6; 474e3 is magnetite.
            temperature: T [K].
            anisotropy_constant: K [J/m^3], 10 to 1e6 or 0 (negative: an easy plane). K V/(kB T) is at most 50.
            easy_axis: (3,) of any length: the particle is immobilized along it. Needs K != 0.
            spatial_modulation: exponent q of a fluid particle, whose axis follows the selection field and whose anisotropy is
                K min(1, |H_S(r)|/reference)^q. Needs K != 0.
            size_spread: standard deviation of ln d of log-normal diameters, 0.01 to 0.5; None = one diameter.
            reference_field: [T], of a fluid particle; None = the largest |H_S| on the grid of the calibration, which makes the
                physics depend on that grid. The norm of the drive amplitudes makes it depend on the scan alone.
            dynamics: ``mj.Neel(damping=0.1)`` or ``mj.Brown(hydrodynamic_diameter=, viscosity=)``; None = equilibrium. A fluid
                particle with Neel rotation keeps the axis of its position while the moment turns: a phenomenological model, for
                real axes turn as well.

        Raises:
            ValueError: a value outside its range (a diameter in nm, say), or an anisotropy without its geometry or the
                reverse.
        """
        check_range("core_diameter", core_diameter, 1e-9, 1e-6, "m", "Diameters are in meters: 20 nm is 20e-9.")
        check_range("saturation_magnetization", saturation_magnetization, 1e3, 2e6, "A/m", "0.6 T/mu0 is 477e3 A/m.")
        check_range("temperature", temperature, 1.0, 2000.0, "K", "Temperatures are in kelvin: 20 degrees C is 293.")
        if easy_axis is not None and spatial_modulation is not None:
            raise ValueError(
                "easy_axis and spatial_modulation are both given; a particle is either immobilized or fluid."
            )
        if spatial_modulation is not None:
            check_range("spatial_modulation", spatial_modulation, 1e-3, 10.0, "", "Usual exponents are 0.3 to 2.")
        if size_spread is not None:
            check_range("size_spread", size_spread, 0.01, 0.5, "", "It is the standard deviation of ln d; None = 0.")
        if reference_field is not None:
            if spatial_modulation is None:
                raise ValueError("reference_field is given without spatial_modulation; only fluid particles have one.")
            check_range("reference_field", reference_field, 1e-6, 10.0, "T", "Fields are in tesla: 12 mT is 12e-3.")
        check_number("anisotropy_constant", anisotropy_constant, "J/m^3", "3.5 kJ/m^3 is 3500.")
        numbers = {
            "core_diameter": core_diameter,
            "saturation_magnetization": saturation_magnetization,
            "temperature": temperature,
            "anisotropy_constant": anisotropy_constant,
            "spatial_modulation": spatial_modulation,
            "size_spread": size_spread,
            "reference_field": reference_field,
        }
        for name, value in numbers.items():
            check_scalar(name, value)
        if is_concrete(anisotropy_constant):
            size = np.abs(anisotropy_constant)
            if not np.all((size == 0) | (size >= 10) & (size <= 1e6)):
                raise ValueError(
                    f"anisotropy_constant = {anisotropy_constant} J/m^3; allowed is 0 or a modulus of 10 to 1e6 J/m^3. "
                    "3.5 kJ/m^3 is 3500, and 1 erg/cm^3 is 0.1 J/m^3."
                )
            isotropic = np.all(np.asarray(anisotropy_constant) == 0)
            if not isotropic and easy_axis is None and spatial_modulation is None:
                raise ValueError(
                    f"anisotropy_constant = {anisotropy_constant} J/m^3 without an axis; give easy_axis (immobilized) or "
                    "spatial_modulation (fluid)."
                )
            if isotropic and (easy_axis is not None or spatial_modulation is not None):
                raise ValueError(
                    "easy_axis or spatial_modulation is given but anisotropy_constant is 0; give K > 0 or neither."
                )
        axis: Vector3 | None = None
        if easy_axis is not None:
            axis = as_leaf(easy_axis)
            check_shape("easy_axis", axis, (3,))
            norm = (jnp if not is_concrete(axis) else np).linalg.norm(axis)
            if is_concrete(norm) and not (np.isfinite(norm) and norm > 0):
                raise ValueError(f"easy_axis = {axis}; it must be a finite vector (3,) other than zero.")
            axis = axis / norm
        particle = Particle(
            core_diameter=as_leaf(core_diameter),
            saturation_magnetization=as_leaf(saturation_magnetization),
            temperature=as_leaf(temperature),
            anisotropy_constant=as_leaf(anisotropy_constant),
            easy_axis=axis,
            spatial_modulation=None if spatial_modulation is None else as_leaf(spatial_modulation),
            size_spread=None if size_spread is None else as_leaf(size_spread),
            reference_field=None if reference_field is None else as_leaf(reference_field),
        )
        largest = particle._largest_alpha()
        if largest is not None and largest > ALPHA_BOUNDS[-1]:
            raise ValueError(
                f"the reduced anisotropy K V/(kB T) reaches {largest:.3g}; allowed is at most {ALPHA_BOUNDS[-1]:g}, far beyond "
                "where particles follow the field in equilibrium. Lower anisotropy_constant, core_diameter or size_spread."
            )
        return particle.with_dynamics(dynamics)

    @property
    def core_volume(self) -> Scalar:
        """V = pi d^3/6 [m^3]."""
        return math.pi / 6 * self.core_diameter**3

    @property
    def moment(self) -> Scalar:
        """Magnetic moment m0 = Ms V [A m^2]."""
        return self.saturation_magnetization * self.core_volume

    @property
    def beta(self) -> Scalar:
        """m0/(kB T) [1/T].

        Computed with the diameter in nm so that no intermediate value, nor its square, leaves the range of float32.
        """
        scaled = self.saturation_magnetization * _nanometers(self.core_diameter) ** 3 / self.temperature
        return scaled * (math.pi / 6 * 1e-27 / BOLTZMANN)

    @property
    def alpha(self) -> Scalar:
        """Reduced anisotropy K V/(kB T), dimensionless."""
        scaled = self.anisotropy_constant * _nanometers(self.core_diameter) ** 3 / self.temperature
        return scaled * (math.pi / 6 * 1e-27 / BOLTZMANN)

    @property
    def is_langevin(self) -> bool:
        """Whether the isotropic model applies."""
        return self.easy_axis is None and self.spatial_modulation is None

    @property
    def is_homogeneous(self) -> bool:
        """Whether the moment depends on the field alone and not on the position."""
        return self.spatial_modulation is None

    @property
    def alpha_bound(self) -> float:
        """Static upper bound of |alpha|, which sizes the quadrature of the anisotropic moment; 50 for traced parameters."""
        largest = self._largest_alpha()
        if largest is None:
            return ALPHA_BOUNDS[-1]
        return next(bound for bound in ALPHA_BOUNDS if largest <= bound)

    @property
    def anisotropy_method(self) -> Method:
        """How the anisotropic moment is evaluated: "quadrature" for an easy plane (concrete K < 0), else "mixture"."""
        constant = self.anisotropy_constant
        return "quadrature" if is_concrete(constant) and np.any(np.asarray(constant) < 0) else "mixture"

    def _largest_alpha(self) -> float | None:
        if self.is_langevin:
            return 0.0
        decisive = self.core_diameter, self.anisotropy_constant, self.temperature, self.size_spread
        if not is_concrete(decisive):
            return None
        # in NumPy: arithmetic of JAX arrays would be traced under jit
        diameter, constant, temperature, spread = jax.tree.map(np.asarray, decisive)
        known = replace(
            self,
            core_diameter=diameter,
            anisotropy_constant=constant,
            temperature=temperature,
            size_spread=spread,
        )
        ratios, weights = known.sizes()
        widest = float(np.max(ratios[weights > 1e-4])) ** 3  # the few cores beyond it count with the alpha of the bound
        return float(np.max(np.abs(known.alpha))) * widest

    def sizes(self) -> tuple[Array, np.ndarray]:
        """Diameters over the median and their weights in the mean moment, (s,) each.

        Cores contribute by their volume, and d^3 times a log-normal density is log-normal again: with d_50 the median and s
        the spread, the mean moment is the expectation over z ~ N(0, 1) of the moment of a core of d_50 exp(3 s^2 + s z),
        taken here by Gauss-Hermite quadrature.
        """
        if self.size_spread is None:
            return np.ones(1), np.ones(1)
        nodes, weights = np.polynomial.hermite_e.hermegauss(SIZE_NODES)
        if self.has_memory:  # cores that count for nothing would ask for a larger table
            nodes, weights = nodes[weights > 1e-4 * weights.sum()], weights[weights > 1e-4 * weights.sum()]
        xp = np if is_concrete(self.size_spread) else jnp
        return xp.exp(3 * self.size_spread**2 + self.size_spread * nodes), weights / weights.sum()

    def rule(self) -> Rule:
        """How the anisotropic moment is evaluated, and the bound of alpha that sizes it."""
        return self.anisotropy_method, self.alpha_bound

    @property
    def arrays_per_sample(self) -> int:
        """Of an anisotropic particle two components and the sums of the quadrature; of one with dynamics what is looked up."""
        if self.dynamics is not None:
            return self.dynamics.arrays_per_sample
        return 0 if self.is_langevin else 8

    @property
    def has_memory(self) -> bool:
        """Whether the moment follows the field late."""
        return self.dynamics is not None

    def mirrors_with(self, flips: tuple[bool, bool, bool]) -> bool:
        """Always without an easy axis, or with one that is mapped to plus or minus itself; with precession, which has a sense of
        rotation, for an even number of mirrorings. Of derived classes, whose moment may be another, nothing is known."""
        if type(self) is not Particle:
            return False
        if self.dynamics is not None and sum(flips) % 2:
            damping = self.dynamics.damping
            if not (is_concrete(damping) and np.isinf(np.asarray(damping))):
                return False
        if self.easy_axis is None:
            return True
        if not is_concrete(self.easy_axis):
            return False
        axis = np.asarray(self.easy_axis)
        return not (np.any(axis[list(flips)]) and np.any(axis[[not flip for flip in flips]]))

    def expansion(self) -> Expansion | None:
        """In xi = beta H, poles at i pi (isotropic) and i pi/2; the largest of log-normal cores would need thousands of terms."""
        return None if self.size_spread is not None else Expansion(self.beta, np.pi if self.is_langevin else np.pi / 2)

    def unit_moment(
        self, field: Sequence[Float[Array, "n t"]], static_field: Float[Array, "p 3"], rule: Rule
    ) -> list[jax.Array]:
        """Mean moment in equilibrium, see :func:`equilibrium_moment`; a fluid particle without reference field takes 1 T."""
        anisotropy, sizes = self.local_anisotropy(static_field, 1.0), self.sizes()
        return equilibrium_moment(self.beta, sizes, field, anisotropy, cast(AnisotropyRule, rule))

    def periodic_moment(
        self, static_field: Float[Array, "n 3"], sequence: LissajousSequence, rule: Rule
    ) -> tuple[list[jax.Array], Float[Array, " n"]]:
        """Mean moment over one period of a particle with dynamics, sizes averaged by volume; see :class:`ParticleModel`."""
        assert self.dynamics is not None
        dynamics, anisotropy = self.dynamics, self.local_anisotropy(static_field, 1.0)
        if self.size_spread is None:
            return dynamics.moment(self, static_field, anisotropy, sequence)
        ratios, weights = self.sizes()

        def add(total: list[jax.Array], node: tuple[jax.Array, jax.Array]) -> tuple[list[jax.Array], jax.Array]:
            ratio, weight = node
            one = self.of_size(ratio)
            own = None if anisotropy is None else (anisotropy[0] * ratio**3, anisotropy[1])
            moment, settled = dynamics.moment(one, static_field, own, sequence)
            return [a + weight * b for a, b in zip(total, moment, strict=True)], jnp.asarray(settled)

        dtype = static_field.dtype
        nodes = jnp.asarray(ratios, dtype), jnp.asarray(weights, dtype)
        zeros = [jnp.zeros((len(static_field), sequence.n_samples), dtype)] * 3
        total, settled = jax.lax.scan(jax.checkpoint(add), zeros, nodes)
        return total, jnp.min(settled, axis=0)

    def with_dynamics(self, dynamics: Dynamics | None) -> "Particle":
        """The same cores, whose moment follows the field in another way: see :meth:`create`, whose errors it raises."""
        if dynamics is None:
            return replace(self, dynamics=None)
        if isinstance(dynamics, type) or not isinstance(dynamics, Dynamics):
            raise TypeError(
                f"dynamics is {dynamics!r}; expected mj.Neel(damping=0.1), mj.Brown(hydrodynamic_diameter=, viscosity=) or None."
            )
        return replace(self, dynamics=dynamics.checked(self))

    def of_size(self, ratio: Scalar) -> "Particle":
        """The particle whose cores all have ``ratio`` times the median diameter."""
        return replace(self, core_diameter=self.core_diameter * ratio, size_spread=None)

    def prepared(self, field: Scalar | None, sequence: LissajousSequence) -> "Particle":
        """See :class:`ParticleModel`."""
        if self.dynamics is None:
            return self
        return replace(self, dynamics=self.dynamics.prepared(self, field, sequence))

    def measured_over(self, periods: Scalar) -> "Particle":
        """See :class:`ParticleModel`."""
        return (
            self
            if self.dynamics is None
            else replace(self, dynamics=replace(cast(Any, self.dynamics), periods=periods))
        )

    def local_anisotropy(
        self, static_field: Float[Array, "n 3"], reference: Scalar
    ) -> tuple[Float[Array, " n"], Float[Array, "n 3"]] | None:
        """Reduced anisotropy and easy axis at every position; None for the Langevin model.

        Immobilized: alpha and n are the same everywhere. Fluid: n = H_S/|H_S|, alpha(r) = alpha (|H_S(r)|/reference)^q, which
        is 0 where the field vanishes (the axis is then x) and stays alpha beyond the reference.

        Args:
            static_field: H_S [T], (n, 3).
            reference: field [T] of the full anisotropy where the particle carries none.

        Source: restoration paper, section 2 ("along the selection field"); the exponent from its authors' public code.
        """
        if self.is_langevin:
            return None
        n, dtype = static_field.shape[0], static_field.dtype
        alpha = jnp.broadcast_to(jnp.asarray(self.alpha, dtype), (n,))
        if self.easy_axis is not None:
            return alpha, jnp.broadcast_to(jnp.asarray(self.easy_axis, dtype), (n, 3))
        reference = reference if self.reference_field is None else self.reference_field
        square = jnp.sum(static_field * static_field, axis=1)
        free = square == 0
        safe = jnp.where(free, 1, square)
        strength = jnp.minimum(jnp.sqrt(safe) / jnp.maximum(jnp.asarray(reference, dtype), jnp.finfo(dtype).tiny), 1)
        alpha = jnp.where(free, 0, alpha * strength ** jnp.asarray(self.spatial_modulation, dtype))
        axis = jnp.where(free[:, None], jnp.array([1, 0, 0], dtype), static_field / jnp.sqrt(safe)[:, None])
        return alpha, axis

    def with_reference(self, reference: Scalar) -> "Particle":
        """The same particle with its reference field settled: a fluid particle keeps the one it has, or gets ``reference``."""
        if self.spatial_modulation is None or self.reference_field is not None:
            return self
        return replace(self, reference_field=reference)


def _nanometers(diameter: Scalar) -> Scalar:
    """Meters in nm, traced ones behind a barrier.

    XLA would move the factors 1e9 of a product of two volumes together, past the end of float32: 1e54 d^6 is infinity times 0.
    """
    return diameter * 1e9 if is_concrete(diameter) else jax.lax.optimization_barrier(diameter * 1e9)

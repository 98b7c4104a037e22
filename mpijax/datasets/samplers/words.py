"""A calibration in words."""

import numpy as np

from mpijax.datasets.samplers.restoration import FWHM
from mpijax.system.mixed_particle import MixedParticle
from mpijax.system.particle import Particle
from mpijax.system.setup import Setup


def describe(setup: Setup) -> str:
    """The values of a concrete calibration: particle, fields, field-free point, resolution and grid, with units."""
    particle, sequence = setup.particle, setup.sequence
    if not isinstance(particle, Particle):
        raise TypeError(f"the setup has a {type(particle).__name__}; only an mj.Particle can be described.")
    beta, extent = float(particle.beta), np.asarray(setup.extent)
    gradient = np.asarray(setup.scanner.gradient, float)
    amplitude = np.asarray(sequence.amplitude, float)
    width = FWHM / (beta * np.maximum(np.abs(np.diagonal(gradient)), 1e-12))
    try:
        free_point = _vector(-np.linalg.solve(gradient, np.asarray(setup.scanner.offset_field, float)) * 1e3) + " mm"
    except np.linalg.LinAlgError:
        free_point = "none: the gradient is singular"
    if isinstance(particle, MixedParticle):
        particle = particle.resolve()
    lines = [
        f"particle         d = {float(particle.core_diameter) * 1e9:.2f} nm, beta = {beta:.1f} /T",
        f"anisotropy       {_anisotropy(particle)}",
        f"gradient         {_vector(np.diagonal(gradient))} T/m, field-free point at {free_point}",
        f"drive            {_vector(amplitude * 1e3)} mT, {sequence.n_samples} samples in {sequence.period * 1e3:.4g} ms",
        f"field of view    {_vector(np.asarray(setup.fov) * 1e3)} mm around {_vector(np.asarray(setup.center) * 1e3)} mm",
        f"grid             {' x '.join(str(n) for n in extent)} = {int(np.prod(extent))} voxels of "
        f"{_vector(np.asarray(setup.fov) / extent * 1e3)} mm",
        f"FWHM             {_vector(width * 1e3)} mm ({FWHM}/(beta |G|))",
    ]
    return "\n".join(lines)


def _anisotropy(particle: Particle) -> str:
    constant, alpha = float(particle.anisotropy_constant), float(particle.alpha)
    axis, exponent = particle.easy_axis, particle.spatial_modulation
    if axis is None and exponent is None:
        return "none (Langevin)"
    text = f"K = {constant:.0f} J/m^3, alpha = K V/(kB T) = {alpha:.2f}, "
    if axis is not None:
        return text + f"immobilized along {_vector(np.asarray(axis))}"
    assert exponent is not None  # of one of the two
    return text + f"fluid with q = {float(exponent):.2f}"


def _vector(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{v + 0.0:.3g}" for v in values) + ")"

"""Particles that are fitted to the spectrum of a sample come out as they were put in."""

from dataclasses import replace

import numpy as np
import pytest

import mpijax as mj
from mpijax.identification import (
    Candidate,
    describe_spectrum,
    fit_spectrum,
    particle_candidates,
    spectrum,
    spectrum_csv,
)
from tests.identification.test_spectroscopy import FLUID, TURNING, noisy, simulated


def measured(particle, matrix=None):
    matrix = simulated(particle) if matrix is None else matrix
    return spectrum(noisy(matrix, 1e-3 * np.abs(np.asarray(matrix.values)).max(), 20, 0))


def test_equilibrium_and_spread():
    found = measured(mj.Particle.create(18e-9, size_spread=0.15))
    names = ("equilibrium", "equilibrium, sizes")
    best, other = fit_spectrum(found, {name: particle_candidates(found)[name] for name in names}, starts=2)
    assert best.name == "equilibrium, sizes" and best.chi2 < 2 and other.chi2 > 20 * best.chi2
    for name, value in (("core_diameter", 18e-9), ("size_spread", 0.15)):
        assert abs(best.parameters[name] - value) < 4 * best.stds[name] < 0.1 * value
    assert abs(best.loop.coercive_field) < 1e-9
    np.testing.assert_allclose(best.loop.moment, found.loop.moment, atol=1e-2)
    assert best.particle.core_diameter == best.parameters["core_diameter"]


def test_neel_along_the_field_or_at_random():
    found = measured(TURNING)
    names = "Neel, axes along the field", "Neel, axes at random"
    both = {name: particle_candidates(found)[name] for name in names}
    (best,) = fit_spectrum(found, {names[0]: both[names[0]]}, starts=1)
    assert best.chi2 < 2
    assert best.parameters["core_diameter"] == pytest.approx(22.5e-9, rel=0.01)
    assert best.parameters["anisotropy_constant"] == pytest.approx(5e3, rel=0.02)
    assert best.loop.coercive_field == pytest.approx(found.loop.coercive_field, rel=0.02)
    cosines = (np.arange(24) + 0.5) / 24
    each = [simulated(replace(TURNING, easy_axis=np.array([c, np.sqrt(1 - c * c), 0]))) for c in cosines]
    mixed = measured(None, replace(each[0], values=np.mean([np.asarray(one.values) for one in each], axis=0)))
    best, other = fit_spectrum(mixed, both, starts=1)
    assert best.name == names[1] and best.random_axes and other.residual > 10 * best.residual
    assert best.parameters["core_diameter"] == pytest.approx(22.5e-9, rel=0.02)
    assert best.parameters["anisotropy_constant"] == pytest.approx(5e3, rel=0.04)


def test_brown():
    found = measured(FLUID)
    guess = mj.Particle.create(
        22e-9, dynamics=replace(FLUID.dynamics, hydrodynamic_diameter=None, shell_thickness=7.5e-9)
    )
    model = Candidate(guess, ("core_diameter", "viscosity"), bounds={"viscosity": (1e-4, 1e-2)})
    (best,) = fit_spectrum(found, {"Brown": model}, starts=2)
    assert best.chi2 < 2 and best.parameters["core_diameter"] == pytest.approx(25e-9, rel=0.01)
    assert best.parameters["viscosity"] == pytest.approx(0.5e-3, rel=0.01)
    text = describe_spectrum(found, (best,), gradient=2.5)
    assert "viscosity 0.50" in text and "mPa s" in text and "chi^2" in text and "mT" in text
    lines = spectrum_csv(found, (best,)).splitlines()
    assert lines[0].endswith("held,Brown_re,Brown_im") and len(lines) == 1 + len(found.orders)


def test_a_static_field_across_the_drive_field():
    scanner = mj.Scanner.spectrometer((2e-3, 5e-3, 0))
    found = measured(None, simulated(mj.Particle.create(20e-9), scanner))
    assert not particle_candidates(found)["Brown"].particle.dynamics.collinear
    (best,) = fit_spectrum(found, {"equilibrium": particle_candidates(found)["equilibrium"]}, starts=1)
    assert best.parameters["core_diameter"] == pytest.approx(20e-9, rel=0.005) and best.chi2 < 2


def test_what_cannot_be_fitted():
    found = measured(FLUID)
    one = replace(found, held=found.orders == 1)
    with pytest.raises(ValueError, match="1 harmonics stand above the noise; equilibrium has 2 numbers"):
        fit_spectrum(one)
    with pytest.raises(ValueError, match="unknown free parameters"):
        fit_spectrum(found, {"none": Candidate(mj.Particle.create(), ("diameter",))})
    with pytest.raises(ValueError, match="starts = 0"):
        fit_spectrum(found, starts=0)

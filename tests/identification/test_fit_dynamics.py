"""Particles that follow the field late come out of the fit; what the rows do not say stays at the first guess."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import mpijax as mj

BINS = np.array([2, 3, 4, 5])
LINE = mj.Grid.create((9, 1, 1), (90e-3, 10e-3, 10e-3))
SEQUENCE = mj.LissajousSequence.create((5e-3, 0, 0), dividers=(32, 32, 32), base_frequency=8e5, n_samples=64)
SCANNER = mj.Scanner.create((0.25, -0.125, -0.125), receive_coils=((1, 0, 0),))
GAINS = np.array([[2 + 1j, -0.3j, 1e3, -5 + 0.1j]])
BROWN = mj.Brown(shell_thickness=10e-9, viscosity=1e-3, collinear=True, effort=(14, 2, 1.0))


def measured(particle, noise=0.0, sequence=SEQUENCE):
    with jax.enable_x64(True):
        matrix = mj.simulate_system_matrix(SCANNER, sequence, particle, LINE, BINS, sample_volume=1e-9)
        values = np.asarray(matrix.values) * GAINS[..., None]
    scale = noise * np.sqrt(np.mean(np.abs(values) ** 2, -1, keepdims=True) / 2)
    values = values + scale * (np.random.default_rng(0).normal(size=(*values.shape, 2)) @ [1, 1j])
    return replace(matrix, values=values, particle=None)


def test_neel_anisotropy_and_diameter_are_found():
    truth = mj.Particle.create(21e-9, anisotropy_constant=6e3, easy_axis=(1, 0, 0), dynamics=mj.Neel())
    guess = mj.Particle.create(20e-9, anisotropy_constant=5e3, easy_axis=(1, 0, 0))
    free = ("core_diameter", "anisotropy_constant")
    found = mj.fit(measured(truth), SCANNER, particle=guess, dynamics=mj.Neel(), free=free, starts=1)
    assert found.values["core_diameter"] == pytest.approx(21e-9, rel=1e-4)
    assert found.values["anisotropy_constant"] == pytest.approx(6e3, rel=1e-3)
    assert all(found.determined.values()) and found.residual < 1e-4
    equilibrium = mj.fit(measured(truth), SCANNER, particle=guess, free=free, starts=1)
    assert equilibrium.residual > 10 * found.residual + 0.05
    again = found.system_matrix(LINE)  # the particle that was found simulates, with its dynamics
    np.testing.assert_allclose(again.values, measured(truth).values, rtol=1e-2, atol=1e-3 * np.abs(again.values).max())


def test_viscosity_is_found():
    truth = mj.Particle.create(22e-9, dynamics=replace(BROWN, viscosity=7e-4))
    found = mj.fit(
        measured(truth), SCANNER, particle=mj.Particle.create(20e-9), dynamics=BROWN, free=("core_diameter", "viscosity"), starts=1
    )  # fmt: skip
    assert found.values["viscosity"] == pytest.approx(7e-4, rel=1e-3)
    assert found.values["core_diameter"] == pytest.approx(22e-9, rel=1e-4)
    assert "0.7000 +- " in found.describe() and "mPa s" in found.describe()


def test_what_the_rows_do_not_determine_is_held_at_the_first_guess():
    """Viscosity and shell make one number, tau: one of them is held, and the other then is what the rows say."""
    truth = mj.Particle.create(22e-9, dynamics=replace(BROWN, viscosity=7e-4))
    guess = mj.Particle.create(22e-9)
    found = mj.fit(
        measured(truth, noise=1e-3), SCANNER, particle=guess, dynamics=BROWN, free=("viscosity", "shell_thickness"), starts=1
    )  # fmt: skip
    held = [name for name, known in found.determined.items() if not known]
    assert len(held) == 1 and np.isnan(found.stds[held[0]])
    assert found.values[held[0]] == pytest.approx({"viscosity": 1e-3, "shell_thickness": 10e-9}[held[0]], rel=1e-9)
    tau = found.particle.dynamics.time(found.particle)
    assert float(tau) == pytest.approx(float(truth.dynamics.time(truth)), rel=0.02)
    assert any(f"{held[0]} is not determined and held" in note for note in found.notes)


def test_a_damping_is_fitted_with_a_table_that_holds_several():
    with pytest.raises(ValueError, match="table"):
        guess = mj.Particle.create(20e-9, anisotropy_constant=5e3, easy_axis=(1, 0, 0), dynamics=mj.Neel())
        mj.fit(measured(guess), SCANNER, particle=guess, free=("damping",), starts=1)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"free": ("viscosity",)}, ValueError, r"\['viscosity'\] is free, but the particle has none; give dynamics="),
        ({"free": ("damping",), "dynamics": BROWN}, ValueError, r"\['damping'\] is free, but the particle has none"),
    ],
)
def test_bad_input(arguments, error, match):
    with pytest.raises(error, match=match):
        mj.fit(measured(mj.Particle.create(20e-9)), SCANNER, **arguments)

"""The phase engine against the time engine, where the mixing orders fall off fast enough for both to be exact."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.system.simulate import simulate_rows

DIVIDERS = (12, 10, 8)
CASES = {
    "3-D cosine": {"amplitude": (1.5e-3, 1e-3, 2e-3)},
    "3-D sine": {"amplitude": (1.5e-3, 1e-3, 2e-3), "waveform": "sine"},
    "3-D phases": {"amplitude": (1.5e-3, 1e-3, 2e-3), "phase": (0.3, -1.2, 2.0)},
    "x and z": {"amplitude": (1.5e-3, 0.0, 2e-3)},
}


def setup(particle=None, **sequence):
    if particle is None:
        particle = mj.Particle.create(22e-9, anisotropy_constant=3e3, spatial_modulation=0.7)
    return mj.Setup(
        scanner=mj.Scanner.create(gradient=(-1.0, -1.5, 2.5), receive_coils=[[1, 0.2, 0], [0, 0, 0.5]]),
        sequence=mj.LissajousSequence.create(dividers=DIVIDERS, n_samples=960, **sequence),
        particle=particle,
        extent=np.array([3, 2, 2]),
        fov=np.array([6e-3, 4e-3, 4e-3]),
        center=np.array([1e-3, 0.0, 0.5e-3]),
    )


@pytest.mark.parametrize("case", CASES)
def test_rows_are_those_of_the_time_engine(case):
    """Fluid anisotropic particles, two coils, a padded box; double precision."""
    with jax.enable_x64(True):
        drawn = setup(**CASES[case])
        want, valid = simulate_rows(drawn, (4, 3, 2))
        values, same = simulate_rows(drawn, (4, 3, 2), nodes=20)
    np.testing.assert_array_equal(valid, same)
    np.testing.assert_allclose(values, want, atol=1e-9 * np.abs(want).max())
    assert np.count_nonzero(np.abs(want).max(axis=(0, 2)) > 1e-6 * np.abs(want).max()) > 15
    assert not np.any(np.asarray(values)[..., ~np.asarray(valid)])


def test_traced_bins_and_extents_choose_the_same_rows():
    drawn = setup(amplitude=(1.5e-3, 1e-3, 2e-3))
    whole, _ = simulate_rows(drawn, (4, 3, 2), nodes=12)
    bins = np.array([40, 8, 10, 18])
    some = jax.jit(
        lambda bins, extent: simulate_rows(dataclasses.replace(drawn, extent=extent), (4, 3, 2), bins, nodes=12)[0]
    )
    chosen = some(jnp.asarray(bins), jnp.asarray(drawn.extent))
    np.testing.assert_allclose(chosen, whole[:, bins], atol=1e-5 * np.abs(whole).max())


def test_orders_of_the_number_of_nodes_and_above_are_left_out():
    """Only x is driven: bin n m_x holds order n."""
    particle = mj.Particle.create(25e-9)
    drawn = setup(particle, amplitude=(12e-3, 0.0, 0.0))
    cycles = drawn.sequence.cycles[0]
    few, many = (np.asarray(simulate_rows(drawn, (3, 2, 2), nodes=nodes)[0]) for nodes in (6, 40))
    strength = [np.abs(values[:, cycles * np.arange(1, 10)]).max(axis=(0, 2)) for values in (few, many)]
    assert np.all(strength[1] > 0) and np.all(strength[0][5:] == 0) and np.all(strength[0][:5] > 0)


def test_a_number_of_nodes_that_is_none_is_refused():
    with pytest.raises(ValueError, match="nodes = 1"):
        simulate_rows(setup(amplitude=(1e-3, 0.0, 0.0)), (3, 2, 2), nodes=1)

"""What is left out by symmetry is what the plain engine computes."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpijax as mj
from mpijax.system.engines.symmetry import even_samples, even_spectrum, parity, symmetry_of

CYCLES = {(16, 17): (102, 96), (3, 4): (20, 15), (3, 5): (20, 12), (5, 7): (21, 15), (2, 3): (18, 12)}
"""Cycles per period of x and y, and dividers that have them."""


def particle_of(kind):
    if kind == "langevin":
        return mj.Particle.create(21e-9)
    if kind == "sizes":
        return mj.Particle.create(21e-9, size_spread=0.1)
    if kind == "fluid":
        return mj.Particle.create(21e-9, anisotropy_constant=3e3, spatial_modulation=0.7)
    axis = {"along x": (1.0, 0, 0), "in the plane": (1.0, 2.0, 0), "oblique": (1.0, -2.0, 1.5)}[kind]
    return mj.Particle.create(21e-9, anisotropy_constant=3e3, easy_axis=axis)


def both(scanner, sequence, particle, grid, **options):
    found = [
        np.asarray(mj.moment_spectrum(scanner, sequence, particle, grid, engine=engine, **options))
        for engine in ("time", "plain")
    ]
    return found


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_rows_equal_those_of_the_plain_engine(data):
    draw = data.draw
    dividers = CYCLES[draw(st.sampled_from(sorted(CYCLES)))]
    drives = draw(st.sampled_from(["cosine", "sine", "pi/2", "zero", "random"]))
    phase = {"pi/2": (np.pi / 2,) * 3, "zero": (0.0,) * 3, "random": (0.3, 1.1, 0.0)}.get(drives)
    samples = draw(st.sampled_from([60, 61, 64]))
    sequence = mj.LissajousSequence.create(
        (10e-3, 12e-3, 0.0), dividers=(*dividers, 99), active=(True, True, False), n_samples=samples, phase=phase,
        waveform=drives if drives in ("cosine", "sine") else "cosine",
    )  # fmt: skip
    coupling = draw(st.sampled_from([0.0, 0.2]))
    gradient = np.diag([-1.0, -1.2, 2.2])
    gradient[0, 1] = gradient[1, 0] = coupling
    offset = draw(st.sampled_from([(0.0, 0.0, 0.0), (1e-3, 0.0, 0.0), (0.0, 2e-3, 0.0), (0.0, 0.0, 1e-3)]))
    scanner = replace(mj.Scanner.create(gradient), offset_field=np.array(offset))
    shape = draw(st.sampled_from([(4, 5, 1), (3, 3, 1), (1, 4, 1), (3, 2, 3), (2, 3, 2)]))
    center = draw(st.sampled_from([(0.0, 0.0, 0.0), (0.5e-3, 0.0, 0.0), (0.0, 1e-3, 0.0)]))
    grid = mj.Grid.create(shape, (20e-3, 18e-3, 6e-3), center)
    particle = particle_of(draw(st.sampled_from(["langevin", "sizes", "fluid", "along x", "in the plane", "oblique"])))
    bins = draw(st.sampled_from([None, np.array([7, 2, 3, 20, 0])]))
    with jax.enable_x64(True):
        ours, plain = both(scanner, sequence, particle, grid, frequency_indices=bins)
    np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-11 * np.abs(plain).max())


@pytest.mark.parametrize(
    ("waveform", "even", "share", "mirrors"),
    [("cosine", True, 1 / 2, 1), ("sine", False, 1 / 4, 2)],
)
def test_a_quarter_is_evaluated(waveform, even, share, mirrors):
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0.0), waveform=waveform)
    grid = mj.Grid.create((20, 20, 1), (20e-3, 20e-3, 1e-3))
    found = symmetry_of(mj.Scanner.create((-1.0, -1.0, 2.0)), sequence, mj.Particle.create(21e-9), grid, np.dtype("f4"))
    assert found.even is even and len(found.mirrors) == mirrors
    assert found.silent == (False, False, True)
    assert np.prod(found.sizes(grid.shape)) == share * grid.size


def test_a_volume_needs_half_of_its_voxels():
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 12e-3))
    grid = mj.Grid.create((5, 6, 7), (20e-3,) * 3)
    found = symmetry_of(mj.Scanner.create((-1.0, -1.0, 2.0)), sequence, mj.Particle.create(21e-9), grid, np.dtype("f4"))
    odd = [cycles % 2 == 1 for cycles in sequence.cycles]
    assert found.mirrors[0].flips == tuple(odd)
    assert found.even and found.sizes(grid.shape) == [5, 3, 7]


@pytest.mark.parametrize("channels", [0, 2])
def test_matrices_with_coils_and_without(channels):
    sequence = mj.LissajousSequence.create(
        (10e-3, 12e-3, 0.0), dividers=(20, 15, 99), active=(True, True, False), n_samples=64
    )
    coils = None
    if channels:
        coils = [mj.LoopCoil(20e-3, np.array([30e-3, 5e-3, 4e-3]), np.array(n)) for n in ((1.0, 0, 0), (0.2, 1.0, 0.3))]
    scanner = mj.Scanner.create((-1.0, -1.2, 2.2), receive_coils=coils)
    grid = mj.Grid.create((4, 5, 1), (20e-3, 18e-3, 1e-3))
    particle = mj.Particle.create(21e-9)
    with jax.enable_x64(True):
        ours, plain = (
            np.asarray(mj.simulate_system_matrix(scanner, sequence, particle, grid, engine=e).values)
            for e in ("time", "plain")
        )
    np.testing.assert_allclose(ours, plain, rtol=0, atol=1e-11 * np.abs(plain).max())


DYNAMICS = {
    "brown": mj.Particle.create(21e-9, dynamics=mj.Brown(hydrodynamic_diameter=40e-9)),
    "neel": mj.Particle.create(21e-9, anisotropy_constant=3e3, spatial_modulation=0.7, dynamics=mj.Neel()),
}


@pytest.mark.parametrize("kind", ["brown", "neel"])
def test_memory_keeps_what_its_equations_allow(kind):
    sequence = mj.LissajousSequence.create(
        (10e-3, 12e-3, 0.0), dividers=(20, 15, 99), active=(True, True, False), n_samples=256
    )
    scanner, grid = mj.Scanner.create((-1.0, -1.2, 2.2)), mj.Grid.create((2, 1, 3), (20e-3, 18e-3, 6e-3))
    found = symmetry_of(scanner, sequence, DYNAMICS[kind], grid, np.dtype("f4"))
    assert not found.even and len(found.mirrors) == 1
    # with precession an even number of mirrorings: the undriven axis goes along with the one that changes sign
    assert sum(found.mirrors[0].flips) == (1 if kind == "brown" else 2)
    ours, plain = both(scanner, sequence, DYNAMICS[kind], grid, frequency_indices=np.arange(20))
    np.testing.assert_allclose(ours, plain, rtol=0, atol=2e-4 * np.abs(plain).max())


def test_traced_arguments_keep_the_time_reversal_alone():
    sequence = mj.LissajousSequence.create(
        (10e-3, 12e-3, 0.0), dividers=(20, 15, 99), active=(True, True, False), n_samples=64
    )
    grid = mj.Grid.create((4, 5, 1), (20e-3, 18e-3, 1e-3))
    particle = mj.Particle.create(21e-9)

    def total(gradient, engine):
        scanner = mj.Scanner.create(gradient)
        rows = mj.moment_spectrum(scanner, sequence, particle, grid, engine=engine)
        return abs(rows[:2, 3:9] - 1e-3).sum()

    with jax.enable_x64(True):
        gradient = np.array([-1.0, -1.2, 2.2])
        ours, plain = (jax.grad(total)(gradient, engine) for engine in ("time", "plain"))
    np.testing.assert_allclose(ours, plain, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_samples", [7, 8, 10, 1632])
@pytest.mark.parametrize("indices", [None, [3, 0, 2]])
def test_spectra_of_even_signals(n_samples, indices):
    time = np.arange(n_samples) / n_samples
    rng = np.random.default_rng(0)
    signal = sum(rng.standard_normal((2, 1)) * np.cos(2 * np.pi * k * time) for k in range(n_samples))
    full = np.fft.rfft(signal).real / n_samples
    want = (full if indices is None else full[:, indices]).T
    with jax.enable_x64(True):
        got = even_spectrum(
            signal[:, : even_samples(n_samples)], n_samples, None if indices is None else np.array(indices)
        )
    np.testing.assert_allclose(got, want, atol=1e-12 * n_samples)


def test_phases_in_single_precision_are_known():
    phase = np.full(3, np.pi / 2, np.float32)
    sequence = mj.LissajousSequence.create((10e-3, 12e-3, 0.0), phase=phase)
    assert parity(sequence, np.dtype("f4")) == 1
    assert parity(replace(sequence, phase=np.zeros(3)), np.dtype("f4")) == -1
    assert parity(replace(sequence, phase=np.array([0.0, np.pi / 2, 0.0])), np.dtype("f4")) == 0

"""Both engines, both precisions: one matrix."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mpijax as mj
from mpijax.system import simulate

BOUNDS = {"float32": 2e-5, "float64": 1e-9}
"""Largest difference of the engines relative to the largest value, as the docstring of moment_spectrum states."""


def relative(a, b):
    a, b = np.asarray(a), np.asarray(b)
    return np.abs(a - b).max() / np.abs(b).max()


BINS = np.arange(0, 817, 9)


def spectrum(engine, dtype, setup, **options):
    with jax.enable_x64(dtype == "float64"):
        return np.asarray(mj.moment_spectrum(*setup, engine=engine, dtype=dtype, **options))


@settings(max_examples=4, deadline=None)
@given(
    st.floats(15e-9, 25e-9),
    st.floats(5e-3, 14e-3),
    st.floats(-2.0, 2.0),
    st.sampled_from(["cosine", "phase"]),
    st.booleans(),
)
def test_every_engine_and_precision_gives_the_same_2d_matrix(diameter, amplitude, ratio, waveform, immobilized):
    anisotropy = {"anisotropy_constant": 2500.0, "easy_axis": (1.0, -2.0, 0.5)} if immobilized else {}
    phase = (0.4, -1.1, 0.0) if waveform == "phase" else None
    setup = (
        mj.Scanner.create((-1.0, ratio, 1.0 - ratio), offset_field=(1e-3, 0.0, -5e-4)),
        mj.LissajousSequence.create((amplitude, 9e-3, 0), phase=phase),
        mj.Particle.create(diameter, **anisotropy),
        mj.Grid.create((3, 2, 2), (24e-3, 20e-3, 4e-3), (0, 1e-3, 0)),
        BINS,
    )
    want = spectrum("time", "float64", setup)
    assert relative(spectrum("time", "float32", setup), want) < 1e-5
    for dtype, bound in BOUNDS.items():
        assert relative(spectrum("separable", dtype, setup), want) < bound, dtype


def three_axes(**options):
    sequence = mj.LissajousSequence.create((12e-3, 9e-3, 8e-3), **options)
    orders = np.abs(sequence.mixing_orders(16)).sum(1)
    return sequence, np.flatnonzero(orders < 16)[::25]


def test_3d_at_true_size_is_chosen_by_itself_and_agrees():
    sequence, bins = three_axes()
    assert (sequence.n_samples, len(sequence.frequencies)) == (53856, 26929)
    setup = (
        mj.Scanner.create((-1.0, -1.0, 2.0)),
        sequence,
        mj.Particle.create(22e-9),
        mj.Grid.create((4, 4, 4), (24e-3, 24e-3, 12e-3)),
        bins,
    )
    assert simulate._Call(*setup, "auto", None, None, 3).plan is not None
    with jax.enable_x64(True):
        assert simulate._Call(*setup, "auto", None, None, 3).plan is None  # double precision is for exactness
    want = spectrum("time", "float64", setup)
    assert relative(spectrum("auto", "float32", setup), want) < BOUNDS["float32"]
    assert relative(spectrum("separable", "float64", setup), want) < BOUNDS["float64"]


def test_voltages_of_any_coils_and_chunks_of_planes():
    sequence, bins = three_axes(waveform="sine")
    coils = (
        mj.LoopCoil(np.float64(0.08), np.array([0.0, 0.0, 0.05]), np.array([0.0, 0.0, 1.0])),
        mj.LoopCoil(np.float64(0.08), np.array([0.09, 0.0, 0.0]), np.array([1.0, 1.0, 0.0])),
    )
    rng = np.random.default_rng(0)
    transfer = rng.normal(size=(2, 26929)) + 1j * rng.normal(size=(2, 26929))
    scanner = mj.Scanner.create((-1.0, -1.0, 2.0), receive_coils=coils, transfer_function=transfer)
    grid = mj.Grid.create((2, 3, 4), (24e-3, 24e-3, 12e-3))
    bins = np.concatenate([bins[:40], [528, 544, 561]])  # with the drive frequencies, to which the bound refers
    setup = scanner, sequence, mj.Particle.create(20e-9), grid, bins

    def moments(engine, **options):
        """Voltages without the growth of the derivative and of the transfer function with frequency."""
        values = mj.simulate_system_matrix(*setup, engine=engine, **options).values
        return np.asarray(values) / (transfer[:, bins] * sequence.frequencies[bins] + 1e-300)[..., None]

    whole = moments("separable")
    assert relative(whole, moments("time")) < BOUNDS["float32"]
    call = simulate._Call(*setup, "separable", None, None, 2)
    shared, plane = call.plan.memory(grid, 4)
    assert relative(moments("separable", memory_limit=shared + 2 * plane), whole) < 1e-6
    with pytest.raises(ValueError, match="one plane of this grid"):
        moments("separable", memory_limit=shared + plane // 2)


def test_bins_in_any_order_twice_or_out_of_reach():
    """Drive frequencies that share a factor leave bins which no mixing order reaches: they are zero."""
    sequence = mj.LissajousSequence.create((12e-3, 9e-3, 0), dividers=(60, 30, 20), n_samples=240)
    assert sequence.cycles[:2] == (1, 2)
    wide = replace(sequence, ticks=2 * sequence.ticks)  # a period that holds two of the trajectory: odd bins are empty
    bins = np.array([7, 2, 6, 2, 0, 120, 3, 8])
    grid = mj.Grid.create((3, 2, 1), (20e-3, 20e-3, 1e-3))
    setup = mj.Scanner.create((-1.0, -1.0, 2.0)), wide, mj.Particle.create(20e-9), grid, bins
    want, got = spectrum("time", "float64", setup), spectrum("separable", "float64", setup)
    assert np.abs(want[:, [0, 6]]).max() < 1e-15 < 1e-3 < np.abs(want[:, 1]).max()
    np.testing.assert_allclose(got, want, atol=BOUNDS["float64"] * np.abs(want).max())


def test_separable_derivatives():
    sequence = mj.LissajousSequence.create((12e-3, 9e-3, 0.0), n_samples=200)
    grid = mj.Grid.create((3, 4, 1), (20e-3, 20e-3, 1e-3))
    bins = np.arange(10, 30)

    def energy(engine, gradient, diameter):
        scanner = mj.Scanner.create(gradient * jnp.array([-1.0, -1.0, 2.0]))
        spectrum = mj.moment_spectrum(scanner, sequence, mj.Particle.create(diameter), grid, bins, engine=engine)
        return jnp.sum(jnp.abs(spectrum) ** 2)

    with jax.enable_x64(True):
        got = [jax.grad(energy, argnums=(1, 2))(e, 1.1, 20e-9) for e in ("time", "separable")]
        np.testing.assert_allclose(got[1], got[0], rtol=1e-5)


def test_a_gradient_that_does_not_separate():
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=200)
    grid = mj.Grid.create((2, 2, 1), (20e-3, 20e-3, 1e-3))
    gradient = np.diag([-1.0, -1.0, 2.0])
    gradient[0, 1] = gradient[1, 0] = 0.3
    particle, fluid = mj.Particle.create(), mj.Particle.create(anisotropy_constant=2e3, spatial_modulation=1.0)
    for scanner, used, message in (
        (mj.Scanner.create(gradient), particle, "not diagonal"),
        (mj.Scanner.create((-1.0, -1.0, 2.0)), fluid, "fluid particles"),
        (mj.Scanner.create((-1.0, -1.0, 2.0)), mj.Particle.create(size_spread=0.2), "size distribution"),
    ):
        with pytest.raises(ValueError, match=message):
            mj.moment_spectrum(scanner, sequence, used, grid, engine="separable")
    run = jax.jit(
        lambda g: mj.moment_spectrum(mj.Scanner.create(g), sequence, particle, grid, np.arange(9), engine="separable")
    )
    assert np.all(np.isfinite(run(np.diag([-1.0, -1.0, 2.0])))) and np.all(np.isnan(run(gradient)))


@pytest.mark.parametrize("anisotropic", [False, True])
def test_memory_cap_holds(anisotropic):
    """What the compiled function needs beside arguments and result, by XLA's own account."""
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0))
    options = {"anisotropy_constant": 3e3, "easy_axis": (0, 1.0, 0)} if anisotropic else {}
    particle = mj.Particle.create(20e-9, **options)
    grid = mj.Grid.create((16, 16, 1), (24e-3, 24e-3, 1e-3))
    limit = 2**22
    call = simulate._Call(mj.Scanner.create((-1.0, -1.0, 2.0)), sequence, particle, grid, None, "time", None, limit, 3)
    assert 1 < call.chunk < grid.size
    arguments = call.scanner, sequence, call.particle, grid, None, None, None
    compiled = (
        simulate._time.lower(*arguments, rule=particle.rule(), dtype=call.dtype, chunk=call.chunk)
        .compile()
        .memory_analysis()
    )
    result = 3 * 817 * grid.size * 8
    assert compiled.temp_size_in_bytes < limit + 2 * result  # the rows once in the order of the chunks, once transposed


def test_memory_cap_of_the_separable_engine_and_its_refusal():
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 12e-3))
    bins = np.flatnonzero(np.abs(sequence.mixing_orders(6)).sum(1) <= 6)
    grid = mj.Grid.create((6, 6, 6), (30e-3, 30e-3, 15e-3))
    scanner = mj.Scanner.create((-1.0, -1.0, 2.0))
    limit = 2**27
    for diameter in (20e-9, 26e-9):
        call = simulate._Call(scanner, sequence, mj.Particle.create(diameter), grid, bins, "separable", None, limit, 3)
        arguments = call.scanner, sequence, call.particle, grid, None, None, call.plan.rows
        static = {"rule": call.particle.rule(), "static": call.plan.static, "dtype": call.dtype}
        compiled = simulate._separable.lower(*arguments, **static, planes=call.chunk).compile().memory_analysis()
        assert compiled.temp_size_in_bytes < limit + 2 * 3 * len(bins) * grid.size * 8
    large = mj.Particle.create(45e-9)
    with pytest.raises(ValueError, match="engine='time'"):
        mj.moment_spectrum(scanner, sequence, large, grid, bins, engine="separable")
    assert simulate._Call(scanner, sequence, large, grid, bins, "auto", None, None, 3).plan is None


def test_gradients_need_the_memory_of_one_chunk():
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0))
    grid = mj.Grid.create((16, 16, 1), (24e-3, 24e-3, 1e-3))
    bins = np.arange(4)

    def energy(diameter, chunk):
        call = simulate._Call(
            mj.Scanner.create((-1.0, -1.0, 2.0)), sequence, mj.Particle.create(diameter), grid, bins, "time", None,
            chunk * 12 * 1632 * 4, 3,
        )  # fmt: skip
        return jnp.sum(jnp.abs(call.run(None, None)) ** 2)

    def memory(chunk):
        lowered = jax.jit(jax.grad(energy), static_argnums=1).lower(jnp.float32(20e-9), chunk)
        return lowered.compile().memory_analysis().temp_size_in_bytes

    assert memory(8) < memory(256) / 8

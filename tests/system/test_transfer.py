from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import mpijax as mj
from tests import DATA

CHAINS = DATA / "hamburg_transfer_functions"
BAND = np.linspace(1e4, 2e6, 400)


def resonator(frequencies, quality=15.0, center=6e5, delay=1e-6):
    """A damped resonance behind a delay line."""
    ratio = frequencies / center
    return np.exp(-2j * np.pi * frequencies * delay) / (1 - ratio**2 + 1j * ratio / quality)


CHAIN = mj.TransferFunction.create(BAND, np.stack([resonator(BAND), 3 * resonator(BAND, 8.0, 7e5), 0.5 + 0 * BAND]))


def simulate(transfer_function=None, **options):
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0.0), dividers=(16, 15, 1), n_samples=240)
    if transfer_function is not None:
        transfer_function = transfer_function(sequence.frequencies)
    scanner = mj.Scanner.create((-1.0, -1.0, 2.0), transfer_function=transfer_function)
    grid = mj.Grid.create((3, 2, 1), (0.02, 0.02, 1e-3))
    return mj.simulate_system_matrix(scanner, sequence, mj.Particle.create(), grid, np.arange(1, 50), **options)


@pytest.fixture(scope="module")
def plain():
    matrix = simulate()
    background = np.asarray(matrix.values[:, :, :4]).transpose(2, 0, 1) * 0.1
    return replace(matrix, background=background)


def test_samples_are_kept_and_the_middle_of_an_interval_is_the_geometric_mean():
    np.testing.assert_allclose(CHAIN.at(BAND), CHAIN.values, rtol=1e-12)
    chain = mj.TransferFunction.create([1.0, 3.0], [2.0 + 0j, 8j])
    np.testing.assert_allclose(chain.at([2.0]), [[4 * np.exp(0.25j * np.pi)]], rtol=1e-14)
    zero = mj.TransferFunction.create([1.0, 3.0], [0.0 + 0j, 8j])
    np.testing.assert_allclose(zero.at([1.0, 2.0]), [[0, 4j]], rtol=1e-14)


def test_interpolation_near_a_resonance_beats_real_and_imaginary_parts():
    middle = (BAND[1:] + BAND[:-1]) / 2
    want = resonator(middle)
    error = np.abs(CHAIN.at(middle)[0] - want).max()
    linear = np.interp(middle, BAND, CHAIN.values[0].real) + 1j * np.interp(middle, BAND, CHAIN.values[0].imag)
    assert error < 0.5 * np.abs(linear - want).max() and error < 0.01 * np.abs(want).max()


def test_interpolation_of_a_measured_chain():
    """Every eighth sample kept, the others predicted."""
    chain = mj.io.read_transfer_function(CHAINS / "PreinstalledUH.h5")
    coarse = mj.TransferFunction.create(chain.frequencies[::8], chain.values[:, ::8])
    inside = chain.frequencies <= coarse.frequencies[-1]
    f, want = chain.frequencies[inside], chain.values[:, inside]
    linear = np.stack([np.interp(f, coarse.frequencies, v.real) + 1j * np.interp(f, coarse.frequencies, v.imag)
                       for v in coarse.values])  # fmt: skip
    error, error_linear = (np.linalg.norm(x - want, axis=1) for x in (coarse.at(f), linear))
    assert np.all(error < 0.75 * error_linear)


def test_outside_the_band():
    with pytest.raises(ValueError, match="2 of 3 frequencies lie beyond the measured band 10000 to 2e.06 Hz"):
        CHAIN.at([0.0, 5e5, 3e6])
    got = CHAIN.at([0.0, 5e5, 3e6], outside=0)
    np.testing.assert_array_equal(got[:, [0, 2]], 0)
    np.testing.assert_array_equal(got[:, 1:2], CHAIN.at([5e5]))
    CHAIN.at([2e6 * (1 + 1e-12)])  # rounding is not outside


def test_traced():
    frequencies = np.array([2e5, 5.9e5, 1.2e6])
    with jax.enable_x64(True):
        device = jax.tree.map(jnp.asarray, CHAIN)
        got = jax.jit(lambda chain, f: chain.at(f))(device, frequencies)
        np.testing.assert_allclose(got, CHAIN.at(frequencies), rtol=1e-10)
        scale = jnp.array([1.0, 1.1, 0.9])

        @jax.jit
        def value(scale):
            return jnp.abs(mj.TransferFunction(BAND, scale[:, None] * CHAIN.values).at(frequencies)).sum()

        check_grads(value, (scale,), order=1, modes=("rev",), rtol=1e-5)
        zero = jax.grad(
            lambda s: jnp.abs(mj.TransferFunction(BAND[:2], s * CHAIN.values[:, :2] + 1).at(BAND[:1])).sum()
        )
        assert np.isfinite(zero(0.0))


@pytest.mark.parametrize(
    "frequencies, values, message",
    [
        ([1.0, 2.0], [[1.0, 2.0, 3.0]], "expected .channels, k."),
        ([2.0, 1.0], [[1.0, 2.0]], "must ascend"),
        ([1.0, 1.0], [[1.0, 2.0]], "must ascend"),
        ([1.0, 2.0], [[1.0, np.inf]], "infinite"),
        ([1.0], [[1.0]], "k >= 2"),
    ],
)
def test_bad_transfer_functions(frequencies, values, message):
    with pytest.raises(ValueError, match=message):
        mj.TransferFunction.create(frequencies, values)


def test_simulated_chain_is_the_applied_one_and_comes_off_again(plain):
    through = simulate(lambda f: CHAIN.at(f, outside=0))
    assert not through.transfer_function_corrected
    scale = np.abs(plain.values).max(2, keepdims=True)
    applied = plain.apply_transfer_function(CHAIN)
    np.testing.assert_allclose(applied.transfer_function, through.transfer_function, rtol=1e-5)
    bound = 1e-5 * scale * np.abs(through.transfer_function)[..., None]
    assert np.all(np.abs(applied.values - through.values) <= bound)
    removed = through.remove_transfer_function()
    assert removed.transfer_function_corrected and removed.row_mask is None
    assert np.all(np.abs(removed.values - plain.values) <= 1e-5 * scale)


def test_round_trip(plain):
    back = plain.apply_transfer_function(CHAIN).remove_transfer_function()
    np.testing.assert_allclose(back.values, plain.values, rtol=1e-5)
    np.testing.assert_allclose(back.background, plain.background, rtol=1e-5)
    assert back.values.dtype == plain.values.dtype
    again = back.apply_transfer_function(CHAIN)
    assert not again.transfer_function_corrected
    np.testing.assert_allclose(again.values, plain.apply_transfer_function(CHAIN).values, rtol=1e-5)


def test_rows_that_a_chain_lost_are_masked(plain):
    factors = np.ones((3, 49), complex)
    factors[1, 7] = 0
    got = plain.apply_transfer_function(factors).remove_transfer_function()
    assert not got.row_mask[1, 7] and np.count_nonzero(~got.row_mask) == 1
    assert np.all(np.asarray(got.values[1, 7]) == 0) and np.all(np.isfinite(got.values))
    assert got.rows().shape == (3 * 49 - 1, 6)


def test_a_single_channel_serves_all_and_a_given_chain_is_removed(plain):
    factors = resonator(np.asarray(plain.frequencies))
    one = mj.TransferFunction.create(BAND, resonator(BAND))
    applied = plain.apply_transfer_function(one)
    np.testing.assert_allclose(applied.transfer_function, np.broadcast_to(one.at(plain.frequencies), (3, 49)))
    unrecorded = replace(plain, values=plain.values * factors[:, None].astype(np.complex64))
    np.testing.assert_allclose(unrecorded.remove_transfer_function(factors[None]).values, plain.values, rtol=1e-5)


def test_states_are_refused(plain):
    applied = plain.apply_transfer_function(CHAIN)
    with pytest.raises(ValueError, match="contain a transfer function already"):
        applied.apply_transfer_function(CHAIN)
    with pytest.raises(ValueError, match="leave out the argument"):
        applied.remove_transfer_function(CHAIN)
    with pytest.raises(ValueError, match="divided out already"):
        applied.remove_transfer_function().remove_transfer_function()
    with pytest.raises(ValueError, match="give the one to divide by"):
        plain.remove_transfer_function()
    with pytest.raises(ValueError, match=r"shape \(2, 49\); expected \(channels, frequencies\) = \(3, 49\)"):
        plain.apply_transfer_function(np.ones((2, 49), complex))
    with pytest.raises(ValueError, match="beyond the measured band"):
        plain.apply_transfer_function(mj.TransferFunction.create([1e5, 2e5], [1.0, 1.0]))


def test_states_agree_with_files(plain, tmp_path):
    applied = plain.apply_transfer_function(CHAIN)
    mj.io.write_system_matrix(tmp_path / "a.mdf", applied)
    corrected = mj.io.read_system_matrix(tmp_path / "a.mdf")
    assert corrected.transfer_function_corrected
    np.testing.assert_allclose(corrected.values, applied.remove_transfer_function().values, rtol=1e-5)
    raw = mj.io.read_system_matrix(tmp_path / "a.mdf", apply_transfer_function=False)
    np.testing.assert_allclose(raw.remove_transfer_function().values, corrected.values, rtol=1e-5)


def test_under_jit(plain):
    factors = jnp.asarray(CHAIN.at(plain.frequencies), jnp.complex64)
    there_and_back = jax.jit(lambda m, a: m.apply_transfer_function(a).remove_transfer_function().values)
    np.testing.assert_allclose(there_and_back(plain, factors), plain.values, rtol=1e-5)

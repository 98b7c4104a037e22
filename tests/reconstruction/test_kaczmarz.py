"""Kaczmarz against a complex128 loop over rows, 40-digit references, and the identities of its limit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.reconstruction import (
    kaczmarz,
    kaczmarz_factor,
    kaczmarz_refactor,
    kaczmarz_rows,
    kaczmarz_solve,
    relative_lambda,
    row_norm_weights,
    tikhonov,
)
from tests import DATA as FILES
from tests.reference import kaczmarz as reference

GOLDEN = FILES / "golden" / "kaczmarz.npz"
LAM = 0.3


MATRIX, DATA, WEIGHTS, ORDER, PRIOR = reference.problem()
RELATIVE = 0.1 * np.sum(np.abs(MATRIX) ** 2) / 8
NORMS = np.linalg.norm(MATRIX, axis=1)
ROW_NORM = np.where(NORMS > 0, 1 / np.where(NORMS > 0, NORMS, 1), 0)
CASES = {
    "lam0_none_s1": (0.0, 1, None, {}),
    "lam0_none_s3": (0.0, 3, None, {}),
    "lam0_none_s10": (0.0, 10, None, {}),
    "lam0.3_none_s1": (LAM, 1, None, {}),
    "lam0.3_none_s3": (LAM, 3, None, {}),
    "lam0.3_none_s2000": (LAM, 2000, None, {}),
    "lamrel0.1_nonneg_s1": (RELATIVE, 1, "nonnegative", {}),
    "lamrel0.1_nonneg_s3": (RELATIVE, 3, "nonnegative", {}),
    "lamrel0.1_nonneg_s20": (RELATIVE, 20, "nonnegative", {}),
    "lamrel0.1_real_s1": (RELATIVE, 1, "real", {}),
    "lamrel0.1_real_s3": (RELATIVE, 3, "real", {}),
    "lamrel0.1_real_s20": (RELATIVE, 20, "real", {}),
    "lam0.3_perm_nonneg_s3": (LAM, 3, "nonnegative", {"row_order": ORDER}),
    "lam0.3_x0_none_s3": (LAM, 3, None, {"init": PRIOR}),
    "w_lam0.3_nonneg_s3": (LAM, 3, "nonnegative", {"row_weights": WEIGHTS}),
    "rownorm_lam0.5_nonneg_s3": (0.5, 3, "nonnegative", {"row_weights": ROW_NORM}),
    "everything": (LAM, 3, "real", {"row_weights": WEIGHTS, "row_order": ORDER[:9], "init": PRIOR.real}),
}


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.mark.parametrize("name", CASES)
def test_blocks_and_rows_equal_the_loop(name):
    lam, sweeps, constraint, extra = CASES[name]
    expected, _ = reference.kaczmarz(MATRIX, DATA, lam, sweeps=sweeps, constraint=constraint, **extra)
    blocks = kaczmarz(MATRIX, DATA, lam, sweeps=sweeps, constraint=constraint, block_size=5, **extra)
    rows = kaczmarz_rows(MATRIX, DATA, lam, sweeps=sweeps, constraint=constraint, **extra)
    assert reference.error(blocks.value, expected) < 1e-12
    assert reference.error(rows.value, expected) < 1e-12
    assert jnp.iscomplexobj(blocks.value) == jnp.iscomplexobj(rows.value) == (constraint is None)
    w, order = extra.get("row_weights", np.ones(12)), extra.get("row_order", np.arange(12))
    residual = np.linalg.norm((w * (MATRIX @ expected - DATA))[order]) / np.linalg.norm((w * DATA)[order])
    np.testing.assert_allclose([blocks.stats["residual"], rows.stats["residual"]], residual, rtol=1e-9)
    assert blocks.stats["sweeps"] == sweeps


def test_golden_values():
    golden = np.load(GOLDEN)
    matrix, data = golden["T_A"], golden["T_b"]
    relative = float(relative_lambda(matrix, 0.1))
    np.testing.assert_allclose(relative, golden["T_lamrel0.1_abs"], rtol=1e-13)
    cases = {
        "T_lam0_none_s1": (0.0, 1, None),
        "T_lam0_none_s3": (0.0, 3, None),
        "T_lam0.3_none_s1_x": (0.3, 1, None),
        "T_lam0.3_none_s3_x": (0.3, 3, None),
        "T_lam0.3_none_s2000_x": (0.3, 2000, None),
        "T_lamrel0.1_nonneg_s1": (relative, 1, "nonnegative"),
        "T_lamrel0.1_nonneg_s3": (relative, 3, "nonnegative"),
        "T_lamrel0.1_real_s3": (relative, 3, "real"),
    }
    for name, (lam, sweeps, constraint) in cases.items():
        assert (
            reference.error(kaczmarz(matrix, data, lam, sweeps=sweeps, constraint=constraint).value, golden[name])
            < 1e-13
        ), name
    permuted = kaczmarz(matrix, data, 0.3, row_order=golden["T_perm"])
    assert reference.error(permuted.value, golden["T_lam0.3_perm_nonneg_s3"]) < 1e-13
    assert reference.error(tikhonov(matrix, data, 0.3).value, golden["T_tikhonov_lam0.3"]) < 1e-13


@pytest.mark.parametrize("block_size", [1, 7, 16, 37, 64, None])
def test_block_size_does_not_change_the_iterates(block_size):
    matrix, data, weights, order, _ = reference.problem(
        m=83, n=11, seed=1
    )  # 83 is prime; leaves, odd and padded sizes all occur
    options = {"row_weights": weights, "row_order": order}
    expected, _ = reference.kaczmarz(matrix, data, LAM, sweeps=3, constraint="nonnegative", **options)
    assert reference.error(kaczmarz(matrix, data, LAM, block_size=block_size, **options).value, expected) < 1e-12


@pytest.mark.parametrize("lam", [0.0, LAM])
def test_frames_together_equal_frames_alone(lam):
    frames = np.stack([DATA, 2 * DATA, DATA + 1, 0 * DATA])
    init = np.outer([2, 1, -1, 0], PRIOR.real)
    together = kaczmarz(MATRIX, frames, lam, init=init, block_size=4)
    assert together.value.shape == (4, 8) and together.stats["residual"].shape == (4,)
    factors = kaczmarz_factor(MATRIX, lam, block_size=4)
    for k in range(4):
        alone = kaczmarz_solve(factors, frames[k], init=init[k])
        assert alone.value.shape == (8,) and alone.stats["residual"].shape == ()
        np.testing.assert_allclose(together.value[k], alone.value, atol=1e-13)
        np.testing.assert_allclose(together.stats["residual"][k], alone.stats["residual"], atol=1e-13)
    rows = kaczmarz_rows(MATRIX, frames, lam, init=init)
    np.testing.assert_allclose(rows.value, together.value, atol=1e-13)
    np.testing.assert_array_equal(together.value[3], 0)


def test_image_and_state_are_tied_after_every_update():
    """x = A^H v / sqrt(lambda) as long as x starts at zero and is not projected (a property of the reference loop)."""
    history = []
    reference.kaczmarz(MATRIX, DATA, LAM, sweeps=2, history=history)
    for x, v in history:
        np.testing.assert_allclose(x, MATRIX.conj().T @ v / np.sqrt(LAM), atol=1e-13)


def test_limit_is_tikhonov_around_the_prior():
    limit = kaczmarz(MATRIX, DATA, LAM, sweeps=3000, constraint=None).value
    assert reference.error(limit, reference.tikhonov(MATRIX, DATA, LAM)) < 1e-12
    around = kaczmarz(MATRIX, DATA, LAM, sweeps=3000, constraint=None, init=PRIOR).value
    assert reference.error(around, PRIOR + reference.tikhonov(MATRIX, DATA - MATRIX @ PRIOR, LAM)) < 1e-12


def test_limit_with_weights_minimizes_the_weighted_objective():
    limit = kaczmarz(MATRIX, DATA, LAM, sweeps=3000, constraint=None, row_weights=WEIGHTS).value
    assert reference.error(limit, reference.tikhonov(WEIGHTS[:, None] * MATRIX, WEIGHTS * DATA, LAM)) < 1e-12


def test_vector_regularization_by_substitution():
    """A diag(l)^-1/2 with lambda = 1 has the limit (A^H A + diag(l))^-1 A^H b."""
    lam = np.linspace(0.2, 1, 8)
    limit = kaczmarz(MATRIX / np.sqrt(lam), DATA, 1.0, sweeps=3000, constraint=None).value / np.sqrt(lam)
    expected = np.linalg.solve(MATRIX.conj().T @ MATRIX + np.diag(lam), MATRIX.conj().T @ DATA)
    assert reference.error(limit, expected) < 1e-12


def test_real_limit_is_the_real_tikhonov_solution():
    limit = kaczmarz(MATRIX, DATA, LAM, sweeps=3000, constraint="real").value
    stacked, rhs = np.concatenate([MATRIX.real, MATRIX.imag]), np.concatenate([DATA.real, DATA.imag])
    assert reference.error(limit, reference.tikhonov(stacked, rhs, LAM)) < 1e-12


def test_nonnegative_limit_is_feasible_and_not_the_optimum():
    sweeps = 3000
    limit = np.asarray(kaczmarz(MATRIX, DATA, LAM, sweeps=sweeps).value)
    x, v = reference.kaczmarz(MATRIX, DATA, LAM, sweeps=sweeps, constraint="nonnegative")
    assert limit.min() == 0 < limit.max()
    used = NORMS > 0
    np.testing.assert_allclose((MATRIX @ limit + np.sqrt(LAM) * v)[used], DATA[used], atol=1e-12)
    gradient = np.real(MATRIX.conj().T @ (MATRIX @ limit - DATA)) + LAM * limit
    assert np.abs(gradient[limit > 0]).max() > 1e-6  # zero at the optimum


def test_without_regularization_weights_change_nothing():
    plain = kaczmarz(MATRIX, DATA, 0.0, constraint=None).value
    weighted = kaczmarz(MATRIX, DATA, 0.0, constraint=None, row_weights=WEIGHTS).value
    assert reference.error(weighted, plain) < 1e-13


def test_rows_of_weight_zero_are_skipped():
    weights = WEIGHTS.copy()
    weights[[2, 11]] = 0
    kept = weights > 0
    for lam in (0.0, LAM):
        masked = kaczmarz(MATRIX, DATA, lam, row_weights=weights).value
        removed = kaczmarz(MATRIX[kept], DATA[kept], lam, row_weights=weights[kept]).value
        np.testing.assert_allclose(masked, removed, atol=1e-14)


def test_relative_lambda_and_row_norm_weights():
    np.testing.assert_allclose(relative_lambda(MATRIX, 0.1), RELATIVE, rtol=1e-14)
    np.testing.assert_allclose(row_norm_weights(MATRIX), ROW_NORM, rtol=1e-14)
    np.testing.assert_allclose(relative_lambda(MATRIX, 2.0, ROW_NORM), 2.0 * 11 / 8, rtol=1e-14)


@pytest.mark.parametrize("magnitude", [1.0, 1e-15])
def test_single_precision_follows_the_inputs(magnitude):
    """Signals in SI units are small: their squares and fourth powers would leave the range of float32."""
    matrix, data = (magnitude * MATRIX).astype(np.complex64), (magnitude * DATA).astype(np.complex64)
    lam = np.float32(LAM * magnitude**2)
    expected, _ = reference.kaczmarz(MATRIX, DATA, LAM, sweeps=3, constraint="nonnegative")
    value = kaczmarz(matrix, data, lam).value
    assert value.dtype == np.float32
    assert reference.error(value, expected) < 1e-5

    def loss(scale):
        return jnp.sum(kaczmarz(matrix * scale, data, lam).value)

    slope = jax.grad(loss)(jnp.float32(1))
    with_double = jax.grad(lambda s: jnp.sum(kaczmarz(MATRIX * s, DATA, LAM).value))(1.0)
    np.testing.assert_allclose(slope, with_double, rtol=1e-3)


def test_another_lambda_from_the_same_rows():
    factors = kaczmarz_refactor(kaczmarz_factor(MATRIX, 0.3, block_size=4), 0.02)
    expected = kaczmarz_factor(MATRIX, 0.02, block_size=4)
    for name in ("blocks", "inverses", "regularization"):
        np.testing.assert_allclose(getattr(factors, name), getattr(expected, name), rtol=1e-5, atol=1e-6)
    per_voxel = np.full(MATRIX.shape[1], 0.3)
    for first, second in ((per_voxel, 0.1), (0.1, per_voxel)):
        with pytest.raises(ValueError, match="per voxel; prepare the matrix anew"):
            kaczmarz_refactor(kaczmarz_factor(MATRIX, first, block_size=4), second)
    with pytest.raises(ValueError, match="regularization"):
        kaczmarz_refactor(factors, -1.0)

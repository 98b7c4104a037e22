"""Kaczmarz under jit, vmap and grad; what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from mpijax.reconstruction import kaczmarz, kaczmarz_factor, kaczmarz_rows, kaczmarz_solve
from tests.reference.kaczmarz import problem

MATRIX, DATA, WEIGHTS, _, PRIOR = problem()
LAM = 0.3


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


def test_jit_equals_eager():
    solve = lambda a, b, lam, w: kaczmarz(a, b, lam, row_weights=w, block_size=5)  # noqa: E731
    plain = solve(MATRIX, DATA, LAM, WEIGHTS)
    traced = jax.jit(solve)(MATRIX, DATA, LAM, WEIGHTS)
    np.testing.assert_allclose(traced.value, plain.value, atol=1e-14)
    np.testing.assert_allclose(traced.stats["residual"], plain.stats["residual"], atol=1e-14)


def test_vmap_equals_loop():
    matrices = jnp.stack([MATRIX, 2 * MATRIX, problem(seed=4)[0]])
    lams = jnp.array([0.0, LAM, 2.0])
    solve = lambda a, lam: kaczmarz(a, DATA, lam, block_size=5).value  # noqa: E731
    together = jax.vmap(solve)(matrices, lams)
    np.testing.assert_allclose(together, [solve(*args) for args in zip(matrices, lams, strict=True)], atol=1e-13)


@pytest.mark.parametrize("constraint", [None, "nonnegative"])
@pytest.mark.parametrize("lam", [0.0, LAM])
def test_gradients(lam, constraint):
    """With respect to matrix, data, lambda, weights and prior; the empty row stays empty, there the iteration jumps.

    Under jit lambda is not checked, so the differences may step below zero.
    """
    used = (np.linalg.norm(MATRIX, axis=1) > 0)[:, None]

    def loss(real, imag, data, lam, weights, init):
        matrix = jnp.where(used, real + 1j * imag, 0)
        options = {"sweeps": 2, "constraint": constraint, "row_weights": weights, "init": init, "block_size": 5}
        value = kaczmarz(matrix, data * (1 + 1j), lam, **options).value
        return jnp.sum(jnp.cos(value.real) + jnp.sin(value.imag))

    inputs = (MATRIX.real, MATRIX.imag, DATA.real, jnp.asarray(lam), WEIGHTS, PRIOR.real)
    check_grads(jax.jit(loss), inputs, order=1, modes=["rev"], eps=1e-6, rtol=1e-5)


def test_gradients_of_blocks_and_rows_agree_at_an_empty_row_without_regularization():
    def loss(solver, matrix, data, lam):
        return jnp.sum(jnp.abs(solver(matrix, data, lam, sweeps=2, constraint=None).value) ** 2)

    blocks, rows = (jax.grad(loss, (1, 2, 3))(s, MATRIX, DATA, 0.0) for s in (kaczmarz, kaczmarz_rows))
    for ours, theirs in zip(blocks, rows, strict=True):
        assert np.all(np.isfinite(ours))
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def test_a_second_call_is_not_traced_again():
    """A repeated call finds the compiled program, also with other values of data, matrix and lambda."""
    traces = []

    @jax.jit
    def solve(matrix, data, lam):
        traces.append(None)
        return kaczmarz(matrix, data, lam).value

    for k in range(3):
        solve(MATRIX * (k + 1), DATA * (k + 1), LAM * k)
    assert len(traces) == 1


def test_plain_calls_compile_once(caplog):
    """The same for plain calls, whose compilation is inside: as seen in the compilation log."""
    matrix, data = MATRIX[:, :7], DATA  # shapes no other test uses
    with jax.log_compiles(), caplog.at_level("WARNING"):
        kaczmarz(matrix, data, LAM)
        first = len(
            [r for r in caplog.messages if r.startswith("Finished tracing") and ("_factor" in r or "_solve" in r)]
        )
        for k in range(3):
            kaczmarz(matrix * (k + 1), data * (k + 1), float(k))
    total = len([r for r in caplog.messages if r.startswith("Finished tracing") and ("_factor" in r or "_solve" in r)])
    assert total == first == 2


def test_wrong_shapes_and_values_are_refused():
    frames = np.stack([DATA, DATA, DATA])
    frames[1, 3] = frames[1, 4] = np.nan
    frames[2, 0] = np.inf
    factors = kaczmarz_factor(MATRIX, LAM)
    with pytest.raises(ValueError, match=r"data has 3 NaN or infinite entries in 2 of 3 frames"):
        kaczmarz(MATRIX, frames, LAM)
    with pytest.raises(ValueError, match=r"data has 1 NaN or infinite entries in 1 of 1 frames"):
        kaczmarz_solve(factors, frames[2])
    for call in (kaczmarz, kaczmarz_rows):
        with pytest.raises(ValueError, match=r"data has shape \(11,\); expected \(12,\).* matrix has shape \(12, 8\)"):
            call(MATRIX, DATA[:-1], LAM)
        with pytest.raises(ValueError, match="constraint = 'positive'; allowed: 'nonnegative', 'real', None"):
            call(MATRIX, DATA, LAM, constraint="positive")
        with pytest.raises(ValueError, match="regularization = -1"):
            call(MATRIX, DATA, -1.0)
        with pytest.raises(ValueError, match="regularization = nan"):
            call(MATRIX, DATA, np.nan)
        with pytest.raises(ValueError, match=r"regularization has shape \(7,\); expected \(8,\)"):
            call(MATRIX, DATA, np.ones(7))
        with pytest.raises(ValueError, match="regularization has 1 of 8 entries that are not positive"):
            call(MATRIX, DATA, np.arange(8.0))
        with pytest.raises(TypeError, match="complex"):
            call(MATRIX, DATA, 1j)
        with pytest.raises(ValueError, match="sweeps = 0"):
            call(MATRIX, DATA, LAM, sweeps=0)
        with pytest.raises(ValueError, match="row_weights has shape"):
            call(MATRIX, DATA, LAM, row_weights=WEIGHTS[:-1])
        with pytest.raises(ValueError, match="row_weights has 1 of 12 entries"):
            call(MATRIX, DATA, LAM, row_weights=np.where(np.arange(12) == 3, np.nan, WEIGHTS))
        with pytest.raises(ValueError, match="init has shape"):
            call(MATRIX, DATA, LAM, init=PRIOR[:-1])
        with pytest.raises(TypeError, match="row_order"):
            call(MATRIX, DATA, LAM, row_order=np.arange(12.0))
        with pytest.raises(ValueError, match="distinct row indices from 0 to 11"):
            call(MATRIX, DATA, LAM, row_order=np.array([0, 1, 1]))
        with pytest.raises(ValueError, match="distinct row indices from 0 to 11"):
            call(MATRIX, DATA, LAM, row_order=np.array([0, 12]))
        with pytest.raises(ValueError, match="non-empty vector"):
            call(MATRIX, DATA, LAM, row_order=np.zeros((2, 2), int))
        with pytest.raises(TypeError, match=r"matrix is complex and the data are real \(float64\)"):
            call(MATRIX, DATA.real, LAM)
        with pytest.raises(TypeError, match="matrix is real and the data are complex"):
            call(MATRIX.real, DATA, LAM)
        with pytest.raises(ValueError, match="tolerance = -1"):
            call(MATRIX, DATA, LAM, tolerance=-1.0)
        with pytest.raises(ValueError, match="needs a key"):
            call(MATRIX, DATA, LAM, row_order="randomized")
        with pytest.raises(ValueError, match="row_order = 'random'; allowed"):
            call(MATRIX, DATA, LAM, row_order="random")
        with pytest.raises(ValueError, match="key is given"):
            call(MATRIX, DATA, LAM, key=jax.random.key(0))
        with pytest.raises(ValueError, match="only zeros"):
            call(0 * MATRIX, DATA, LAM)
        with pytest.raises(ValueError, match="only zeros"):
            call(0 * MATRIX, DATA, LAM, row_order="randomized", key=jax.random.key(0))
    broken = MATRIX.copy()
    broken[0, 0] = np.nan
    with pytest.raises(ValueError, match="matrix has 1 of 96 entries"):
        kaczmarz(broken, DATA, LAM)
    with pytest.raises(ValueError, match="matrix has shape"):
        kaczmarz(MATRIX[:, :0], DATA, LAM)
    with pytest.raises(ValueError, match="block_size = 0"):
        kaczmarz(MATRIX, DATA, LAM, block_size=0)
    with pytest.raises(TypeError, match="matrix is complex and the data are real"):
        kaczmarz_solve(factors, DATA.real)
    with pytest.raises(ValueError, match="row_order = 'randomized'; allowed here"):
        kaczmarz_factor(MATRIX, LAM, row_order="randomized")

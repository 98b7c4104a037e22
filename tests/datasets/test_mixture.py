"""Pools of stored matrices and mixtures of sources."""

import jax
import numpy as np
import pytest

from mpijax.datasets import FixedRows, MatrixPool, Mixture, RandomCorruption
from mpijax.datasets.mixture import MixedStream
from mpijax.rows import Denoise


def stored(count=4, rows=3, seed=0):
    """Matrices of growing grids, 2-D."""
    rng = np.random.default_rng(seed)
    extents = np.array([(4 + i, 5, 1) for i in range(count)])
    matrix = np.repeat(np.arange(count, dtype=np.int32), rows)[: count * rows - 1]  # the last has one row less
    lengths = extents.prod(1)[matrix]
    values = rng.normal(size=(lengths.sum(), 2)) @ [1, 1j]
    index = np.arange(len(matrix), dtype=np.int32)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return FixedRows(
        np.zeros((count, 20), np.float32), extents, matrix, index % 3, index, offsets, values.astype(np.complex64)
    )


@pytest.fixture
def pool(tmp_path):
    MatrixPool.write(tmp_path / "pool.npz", stored())
    return MatrixPool(tmp_path / "pool.npz", box=8, validation=1)


def test_a_pool_holds_the_rows_in_the_corner_of_their_box(pool):
    rows, matrices = stored(), pool.matrices
    assert matrices.rows.shape == (4, 3, 64) and matrices.usable.sum() == 11
    one = matrices.rows[1, 2].reshape(8, 8)
    scale = max(np.abs(rows.image(i)).max() for i in (3, 4, 5))
    np.testing.assert_allclose(one[:5, :5], rows.image(5)[0] / scale, rtol=1e-6)
    assert not one[5:].any() and not one[:, 5:].any()


def test_batches_never_hold_what_is_kept_to_validate_on(pool):
    pairs = RandomCorruption((Denoise(),))
    batches = pool.batches(pairs, 64, jax.random.key(0))
    training = batches.args[1]
    assert training.rows.shape[0] == 3
    batch = batches(jax.random.key(1))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(batch))
    assert len(pool.held_out().images) == 2


def test_a_mixture_takes_its_shares_and_repeats_them(pool, tmp_path):
    MatrixPool.write(tmp_path / "other.npz", stored(5, 2, seed=1))
    other = MatrixPool(tmp_path / "other.npz", box=8)
    pairs = RandomCorruption((Denoise(),))
    mixed = Mixture((pool, other), (0.7, 0.3))
    stream = mixed.batches(pairs, 4, jax.random.key(0))
    assert isinstance(stream, MixedStream) and len(stream.examples()) == 2

    def slots(stream):
        return np.array([stream.at(step).args[1].rows.shape[0] for step in range(1000)])

    drawn = slots(stream)
    assert set(drawn) == {3, 5} and abs(np.mean(drawn == 5) - 0.3) < 0.05
    np.testing.assert_array_equal(drawn, slots(mixed.batches(pairs, 4, jax.random.key(0))))
    assert [one["share"] for one in mixed.facts["mixture"]] == [0.7, 0.3]
    assert mixed.facts["mixture"][0]["sha256"] == pool.facts["sha256"]


def test_bad_input(pool, tmp_path):
    (tmp_path / "no.npz").write_bytes(b"nothing")
    with pytest.raises(ValueError, match="not a pool of rows"):
        _ = MatrixPool(tmp_path / "no.npz").rows
    with pytest.raises(ValueError, match="one positive share per source"):
        Mixture((pool,), (0.5, 0.5))
    with pytest.raises(ValueError, match="fits none of the boxes"):
        _ = MatrixPool(pool.path, box=6).matrices

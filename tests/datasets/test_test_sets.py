"""Fixed test sets: reproducible, checked on reading, rows that hold signal only."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.datasets import FIXED_SETS, FixedSet, RestorationPrior, read_set, write_set
from mpijax.datasets.fixed_sets import box_shape, reference_bins
from mpijax.rows import present_rows
from mpijax.system import simulate_system_matrix

SMALL = FixedSet(
    "small",
    RestorationPrior(2, size_range=(3, 8), voxels_per_fwhm=(1.0, 1.4)),
    seed=4,
    count=4,
    rows_per_matrix=6,
    candidates=40,
    boxes=(8,),
)


@pytest.fixture(scope="module")
def rows():
    return SMALL.simulate()


def test_rows_are_those_of_the_reference_simulator(rows):
    """Stored rows against the whole matrix of the resolved particle on its own grid, in volts up to one factor."""
    index = 1
    _, setup, bins, _ = SMALL.draw(index)
    chosen = np.flatnonzero(rows.matrix == index)
    assert len(chosen) == 6 and np.all(np.isin(rows.frequency_index[chosen], bins)) and len(bins) == 40
    matrix = simulate_system_matrix(
        setup.scanner,
        setup.sequence,
        setup.particle.resolve(),
        setup.grid(),
        rows.frequency_index[chosen],
        engine="time",
    )
    expected = np.asarray(matrix.values)[rows.channel[chosen], np.arange(len(chosen))]
    stored = np.stack([rows.image(int(row)).reshape(-1) for row in chosen])
    scale = np.vdot(expected, stored) / np.vdot(expected, expected)
    assert abs(scale.imag) < 1e-5 * abs(scale.real)
    np.testing.assert_allclose(stored, scale * expected, atol=1e-4 * np.abs(stored).max())


def test_set_is_reproducible(rows):
    again = SMALL.simulate()
    for name in ("units", "extents", "matrix", "channel", "frequency_index", "offsets", "values"):
        np.testing.assert_array_equal(getattr(rows, name), getattr(again, name))
    # matrix i depends on the seed and its number alone
    longer = [replace(SMALL, count=9).draw(i)[0] for i in range(SMALL.count)]
    np.testing.assert_array_equal(rows.units, longer)
    assert not np.array_equal(replace(SMALL, seed=5).draw(0)[0], rows.units[0])
    pairs = {(m, c, k) for m, c, k in zip(rows.matrix, rows.channel, rows.frequency_index, strict=True)}
    assert len(pairs) == len(rows)
    assert np.all(rows.extents[:, :2] >= 3) and np.all(rows.extents[:, :2] <= 8)


def test_round_trip_and_card(rows, tmp_path):
    path = tmp_path / "set.npz"
    reports = []
    write_set(path, SMALL, replace(SMALL, count=SMALL.count).simulate(report=reports.append))
    assert reports == [1, 2, 3, 4]
    spec, found = read_set(path, SMALL)
    assert spec == SMALL and len(found) == len(rows)
    np.testing.assert_array_equal(found.values, rows.values)
    card = json.loads((tmp_path / "set.json").read_text())
    assert card["draws_sha256"] == rows.draws_sha256() and card["rows"] == len(rows)
    by_hand = [
        np.sqrt(np.mean([np.mean(np.abs(rows.image(int(r))) ** 2) for r in np.flatnonzero(rows.matrix == i)]))
        for i in range(SMALL.count)
    ]
    np.testing.assert_allclose(card["rms"], by_hand, rtol=1e-5)
    assert {"mpijax", "jax"} <= set(card["versions"])
    assert spec.check_values(found, range(2)) < 1e-7


def test_damage_and_mismatch_are_found(rows, tmp_path):
    path = tmp_path / "set.npz"
    write_set(path, SMALL, rows)
    with pytest.raises(ValueError, match="asked for is"):
        read_set(path, replace(SMALL, rows_per_matrix=7))
    bits = bytearray(path.read_bytes())
    bits[len(bits) // 2] ^= 1
    (tmp_path / "bad.npz").write_bytes(bits)
    (tmp_path / "bad.json").write_text((tmp_path / "set.json").read_text())
    with pytest.raises(ValueError, match="damaged or was edited"):
        read_set(tmp_path / "bad.npz")
    whole = json.loads((tmp_path / "set.json").read_text())
    less = [{key: value for key, value in whole.items() if key != name} for name in ("spec", "file_sha256")]
    for text in ("", "[]", *map(json.dumps, (*less, whole | {"spec": {"name": 1}}))):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(ValueError, match=r"bad\.json is not the card of a set, or damaged"):
            read_set(tmp_path / "bad.npz")
    write_set(path, SMALL, replace(rows, units=rows.units + np.float32(1e-3)))
    with pytest.raises(ValueError, match="not those of seed 4"):
        read_set(path)
    with pytest.raises(ValueError, match="deviates by"):
        SMALL.check_values(replace(rows, values=rows.values * np.complex64(1.0001)))
    with pytest.raises(ValueError, match=r"does not end in \.npz"):
        write_set(tmp_path / "set.h5", SMALL, rows)


def test_present_rows():
    values = np.zeros((2, 4, 5), np.complex64)
    values[0, 0, 2], values[0, 1, 1], values[0, 2, 0] = 3j, 3.1e-5, 2.9e-5
    np.testing.assert_array_equal(present_rows(jnp.asarray(values)), [[True, True, False, False], [False] * 4])
    assert not np.any(present_rows(jnp.zeros((1, 2, 3), jnp.complex64)))
    assert np.asarray(present_rows(values, 1e-8))[0].tolist() == [True, True, True, False]


def test_stored_rows_hold_signal(rows):
    peaks = np.array([np.abs(rows.image(i)).max() for i in range(len(rows))])
    strongest = np.array([peaks[rows.matrix == i].max() for i in range(SMALL.count)])
    assert np.all(peaks > 0) and np.all(np.isfinite(peaks)) and np.all(strongest > 0)


def test_boxes_and_published_sets():
    assert box_shape((10, 33, 1), (32, 48, 64)) == (48, 48, 1)
    assert box_shape((16, 12, 16), (16, 24, 32)) == (16, 16, 16)
    with pytest.raises(ValueError, match="fits none"):
        box_shape((70, 2, 1), (32, 64))
    with pytest.raises(ValueError, match="hold no grid of 64"):
        FixedSet("x", RestorationPrior(2), 0, 1, boxes=(32,))
    assert [FIXED_SETS[name].count for name in ("restoration_2d", "restoration_3d")] == [300, 15]
    sequence = SMALL.draw(0)[1].sequence
    bins = reference_bins(sequence)
    orders = sequence.mixing_orders()[bins]
    assert {16, 17, 32, 33, 34} <= set(bins.tolist()) and np.abs(orders).sum(axis=1).max() <= 3

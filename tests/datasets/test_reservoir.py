import dataclasses
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.datasets import Bucket, BucketSchedule, RowStream, nested_buckets
from mpijax.datasets.reservoir import candidate_bins
from tests.datasets.tiny_stream import LARGE, PRIOR, SMALL, make_stream


def assert_same(tree, other):
    for leaf, expected in zip(jax.tree.leaves(tree), jax.tree.leaves(other), strict=True):
        np.testing.assert_array_equal(leaf, expected)


def numbers(reservoir):
    return np.asarray(reservoir.number).tolist()


def one_matrix(stream, bucket, key, number):
    """A matrix by the stream's own compiled refresh."""
    empty = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), stream._shapes[bucket])
    return jax.tree.map(lambda leaf: leaf[1], stream._refresh[bucket](empty, key, np.int32(number), np.int32(1)))


@pytest.fixture(scope="module")
def stream():
    return make_stream()


def test_rows_are_usable_rows_of_the_first_accepted_calibration(stream):
    source, key, number = stream.sources[1], jax.random.key(7), 5
    drawn = one_matrix(stream, 1, key, number)

    draw_key = jax.random.split(jax.random.fold_in(key, number), 3)[0]
    draw = jax.jit(PRIOR.draw)
    setups = (draw(k) for k in jax.random.split(draw_key, source.draws))
    setup = next(s for s in setups if bool(LARGE.accepts(s.extent)))
    extent = np.asarray(setup.extent)
    np.testing.assert_array_equal(drawn.extent, extent)
    assert extent.max() > 8 and bool(drawn.accepted) and int(drawn.number) == number

    # the whole matrix, in double precision and without padding
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), dataclasses.replace(setup, extent=None))
        wide = dataclasses.replace(wide, extent=extent)
        moment = mj.moment_spectrum(wide.scanner, wide.sequence, wide.particle, wide.grid(), dtype="float64")
        matrix = -2j * np.pi * np.asarray(setup.sequence.frequencies)[:, None] * np.asarray(moment)
    matrix /= np.abs(matrix).max()
    channel, k = np.asarray(drawn.channel), np.asarray(drawn.frequency_index)
    want = np.zeros((len(k), 12, 12), complex)
    want[:, : extent[1], : extent[0]] = matrix[channel, k].reshape(-1, extent[1], extent[0])
    np.testing.assert_allclose(np.asarray(drawn.rows).reshape(-1, 12, 12), want, atol=3e-6)

    usable = np.asarray(drawn.usable)
    largest = np.abs(matrix).max(-1)
    assert usable.all() and np.all(largest[channel, k] >= 0.99e-5)
    assert np.all(channel < 2) and np.all((k > 0) & (k < 30))  # no field along z; neither the mean nor Nyquist
    assert len(set(zip(channel.tolist(), k.tolist(), strict=True))) == len(k)


def test_candidate_bins_rise_in_order_and_leave_out_mean_and_nyquist():
    sequence = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0))
    bins = candidate_bins(sequence)
    assert sorted(bins) == list(range(1, 816))
    orders = np.abs(sequence.mixing_orders()[bins]).sum(1)
    assert np.all(np.diff(orders) >= 0) and set(bins[:2]) == {16, 17}
    low = candidate_bins(sequence, 3)
    assert set(low) == {k for k in bins if np.abs(sequence.mixing_orders()[k]).sum() <= 3} and len(low) > 8
    with pytest.raises(ValueError, match="max_order = 0 leaves no frequency"):
        candidate_bins(sequence, 0)
    alike = mj.LissajousSequence.create(amplitude=(12e-3, 12e-3, 0.0), dividers=(1, 1, 1), n_samples=2)
    with pytest.raises(ValueError, match=r"dividers = \(1, 1, 1\) leave no frequency in a period of 2 samples"):
        candidate_bins(alike)


def test_a_reservoir_is_a_function_of_the_step_alone(stream):
    seen, draw = {}, jax.jit(lambda batches, key: batches(key))
    for step in range(14):
        bucket, use = stream._schedule.at(step)
        draw(stream.at(step), jax.random.key(step))
        seen[step] = bucket, use, jax.tree.map(np.array, stream.reservoirs[bucket])
        first = use // stream.reuse
        assert sorted(numbers(seen[step][2])) == list(range(first, first + stream.slots))
        assert all(number % stream.slots == slot for slot, number in enumerate(numbers(seen[step][2])))
    assert draw._cache_size() == 2  # one program per bucket
    last = {bucket: step for step, (bucket, _, _) in seen.items()}
    assert len(last) == 2 and all(
        seen[step][1] >= 2 * stream.slots - 1 or step == min(last.values()) for step in last.values()
    )

    resumed = make_stream()
    for bucket, step in last.items():
        resumed.at(step)
        assert_same(resumed.reservoirs[bucket], seen[step][2])
    for step in (2, 9):  # any order of steps
        resumed.at(step)
        assert_same(resumed.reservoirs[seen[step][0]], seen[step][2])

    other = make_stream(seed=1)
    other.at(0)
    assert not np.array_equal(other.reservoirs[other._schedule.at(0)[0]].rows[0], seen[0][2].rows[0])


def test_rows_of_a_batch_depend_on_key_and_place_alone(stream):
    pair = jax.tree_util.Partial(lambda key, row, extent: {"row": row, "extent": extent, "draw": jax.random.bits(key)})
    four = make_stream(pair, (SMALL,), batch_size=4)
    six = make_stream(pair, (SMALL,), batch_size=6)
    key = jax.random.key(3)
    small, large = (jax.jit(lambda f, key: f(key))(s.at(0), key) for s in (four, six))
    for name in small:
        np.testing.assert_array_equal(small[name], large[name][:4])
    assert len(set(np.asarray(large["draw"]).tolist())) == 6

    reservoir = six.reservoirs[0]
    stored = np.asarray(reservoir.rows).reshape(3, 4, 8, 8)
    for row, extent in zip(large["row"], large["extent"], strict=True):
        slot = np.argwhere((stored == np.asarray(row)).all((2, 3)))[0, 0]
        np.testing.assert_array_equal(extent, reservoir.extent[slot])

    only = dataclasses.replace(reservoir, usable=jnp.zeros((3, 4), bool).at[1, 2].set(True).at[2, 0].set(True))
    drawn = np.asarray(six._draws[0](pair, only, key)["row"])
    matches = [(drawn == stored[slot]).all((1, 2)) for slot in ((1, 2), (2, 0))]
    assert np.all(matches[0] | matches[1]) and matches[0].any() and matches[1].any()


def test_a_matrix_without_a_fitting_draw_gives_no_rows():
    source = make_stream(buckets=(SMALL,)).sources[0]
    none = dataclasses.replace(source, bucket=Bucket((8, 8, 1), low=(8, 8, 1)), draws=1)
    drawn = jax.jit(jax.vmap(none.matrix, (None, 0)))(jax.random.key(0), jnp.arange(12))
    accepted = np.asarray(drawn.accepted)
    assert not accepted.all()
    assert not np.asarray(drawn.usable)[~accepted].any()
    assert np.asarray(drawn.extent).max() <= 8 and np.all(np.isfinite(drawn.rows))


def test_report_times_a_refresh_and_changes_nothing():
    stream = make_stream(buckets=(SMALL,))
    stream.at(5)
    before = jax.tree.map(np.array, stream.reservoirs[0])
    report = stream.report(2.0)
    assert_same(stream.reservoirs[0], before)
    step = 0.5 - report["refresh_seconds"] / 2  # half a second a step, of which every second one has a refresh
    assert report["rows_per_second"] == 8.0 and report["refresh_seconds"] > 0
    assert report["refresh_ratio"] == pytest.approx(report["refresh_seconds"] / (2 * step))
    assert report["matrices_missed"] == 0 and report["usable_rows"] == 1.0
    stream.reservoirs[0] = dataclasses.replace(stream.reservoirs[0], accepted=jnp.array([True, False, False]))
    assert stream.report(None)["matrices_missed"] == 2 and stream.report(None)["refresh_ratio"] is None


def test_buckets_share_no_grid_and_the_schedule_keeps_their_shares():
    extents = np.stack(np.meshgrid(np.arange(1, 15), np.arange(1, 15), [1, 2], indexing="ij"), -1).reshape(-1, 3)
    small, large = (np.asarray(b.accepts(extents)) for b in (SMALL, LARGE))
    inside = np.all((extents >= (4, 4, 1)) & (extents <= (12, 12, 1)), axis=1)
    np.testing.assert_array_equal(small ^ large, inside)
    np.testing.assert_array_equal(small, inside & (extents.max(1) <= 8))
    assert nested_buckets((1, 1, 1), (4, 4, 4)) == [Bucket((4, 4, 4))]

    drawn = [BucketSchedule(np.array([0.1, 0.3]), (1, 2)).at(step)[0] for step in (0, 1500, 4095)]
    schedule = BucketSchedule(np.array([0.1, 0.3]), (1, 2))
    late = schedule.at(4095)  # before the earlier ones
    buckets, uses = np.array([schedule.at(step) for step in range(4096)]).T
    assert [buckets[0], buckets[1500], buckets[4095]] == drawn and tuple(late) == (buckets[-1], uses[-1])
    assert abs(buckets.mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / 4096)
    for bucket in (0, 1):
        np.testing.assert_array_equal(uses[buckets == bucket], np.arange(np.sum(buckets == bucket)))
    other = BucketSchedule(np.array([0.1, 0.3]), (1, 3))
    assert any(other.at(step)[0] != buckets[step] for step in range(50))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            dict(buckets=(Bucket((3, 3, 1)),), draws=64),
            r"accepts [01]\.\d+% of the prior's grids .* among draws = 64;.*draws = \d\d\d or more",
        ),
        (
            dict(buckets=(Bucket((40, 40, 1), low=(20, 20, 1)),)),
            r"accepts 0\.00% .*\(0 of 4096 draws\); widen its low and shape",
        ),
        (dict(rows_per_matrix=30), "rows_per_matrix = 30, but only 29 candidate bins"),
        (dict(slots=0), "slots = 0; expected a whole number of at least 1"),
        (dict(buckets=()), "buckets is empty"),
    ],
)
def test_streams_that_cannot_work_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        make_stream(**settings)


def test_steps_are_counted_from_zero():
    for step in (-1, 0.5):
        with pytest.raises(ValueError, match="step = .* at least 0"):
            inspect.unwrap(RowStream.at)(None, step)


def test_a_bucket_of_no_grid_is_refused():
    with pytest.raises(ValueError, match=r"low = \(9, 8, 1\), shape = \(8, 8, 1\)"):
        Bucket((8, 8, 1), low=(9, 8, 1))

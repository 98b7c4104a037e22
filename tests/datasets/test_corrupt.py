import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.datasets import RandomCorruption, decode, encode
from mpijax.metrics import psnr
from mpijax.physics import scan_index
from mpijax.rows import Complete, Denoise, Inpaint, Upsample, channels_to_complex
from mpijax.training.losses import pixel_loss

BOX2, EXTENT2 = (8, 12), (9, 7)  # (y, x) and (nx, ny)
BOX3, EXTENT3 = (4, 6, 8), (7, 5, 3)
CASES = {
    "denoise": (RandomCorruption(patch=(10, 12)), BOX2, EXTENT2),
    "stride": (RandomCorruption((Upsample(2, "stride"),), patch=(12, 16)), BOX2, EXTENT2),
    "box": (RandomCorruption((Upsample(2, "box"),)), BOX3, EXTENT3),
    "inpaint": (RandomCorruption((Inpaint(),), patch=(5, 6, 9), noise_range=(0.1, 0.2)), BOX3, EXTENT3),
    "complete": (RandomCorruption((Complete(3),), patch=(10, 12)), BOX2, EXTENT2),
    "any": (RandomCorruption((Denoise(), Inpaint(), Complete(2))), BOX3, EXTENT3),
}
case = pytest.mark.parametrize("name", CASES)


@functools.cache
def compiled(task, box):
    draw = jax.jit(jax.vmap(lambda key, extent: task.draw(key, box, extent), (0, None)))
    return draw, jax.jit(jax.vmap(task.apply, (0, 0, None)))


def rows(box, n=3, seed=0):
    """Rows that fill their box, also where they are not valid."""
    rng = np.random.default_rng(seed)
    return (3e-4 * (rng.normal(size=(n, *box)) + 1j * rng.normal(size=(n, *box)))).astype(np.complex64)


def keys(n=3, seed=0):
    return jax.random.split(jax.random.key(seed), n)


def corner(extent, box):
    """Slices of the valid corner of a box, or of its patch at an offset."""
    return tuple(slice(0, n) for n in extent[: len(box)][::-1])


def twin(task, box, extent, row, corruption):
    """The order of operations in NumPy float64, on the valid voxels alone."""
    patch = task.patch or box
    s, sampling = task.factor, getattr(task.tasks[0], "sampling", None)
    fine = np.array(extent) // s * s if sampling == "box" else np.array(extent)
    row = row[corner(fine, box)].astype(complex)
    clean = row / np.abs(row).max() * np.exp(1j * float(corruption.phase)) * float(corruption.scale)
    coarse = clean
    if sampling == "stride":
        coarse = clean[(slice(None, None, s),) * row.ndim]
    elif sampling == "box":
        split = [n for size in row.shape for n in (size // s, s)]
        coarse = clean.reshape(split).mean(axis=tuple(range(1, 2 * row.ndim, 2)))
    inside = tuple(slice(0, n) for n in coarse.shape)
    known = np.asarray(corruption.known)[inside]
    corrupted = (coarse + float(corruption.sigma) * np.asarray(corruption.noise, complex)[inside]) * known
    peak = np.abs(corrupted).max()

    def place(image, factor):
        out = np.zeros([p * factor // s for p in patch], image.dtype)
        start = np.asarray(corruption.offset) * factor
        out[tuple(slice(a, a + n) for a, n in zip(start, image.shape, strict=True))] = image
        return out

    return {
        "input": place(corrupted / peak, 1),
        "target": place(clean / peak, s),
        "mask": np.stack([place(known.astype(float), 1), place(np.ones(known.shape), 1)], -1),
        "weight": place(np.where(known, 1.0, task.missing_weight) if s == 1 else np.ones(row.shape), s),
        "noise_level": float(corruption.sigma) / peak,
    }


@case
def test_order_of_operations_is_that_of_the_numpy_twin(name):
    task, box, extent = CASES[name]
    draw, apply = compiled(task, box)
    corruption = draw(keys(), np.array(extent))
    images = rows(box)
    pair = apply(corruption, images, np.array(extent))
    for i in range(3):
        want = twin(task, box, extent, images[i], jax.tree.map(lambda x, i=i: x[i], corruption))
        for key in ("input", "target"):
            np.testing.assert_allclose(channels_to_complex(pair[key][i]), want[key], atol=2e-6, err_msg=key)
        np.testing.assert_array_equal(pair["mask"][i], want["mask"])
        np.testing.assert_array_equal(pair["weight"][i, ..., 0], want["weight"])
        np.testing.assert_allclose(pair["noise_level"][i], want["noise_level"], rtol=1e-5)
    assert all(value.dtype == jnp.float32 for value in pair.values())


@case
def test_padding_is_never_read(name):
    task, box, extent = CASES[name]
    draw, apply = compiled(task, box)
    corruption = draw(keys(), np.array(extent))
    images = rows(box)
    cleared, spoiled = np.zeros_like(images), np.full_like(images, np.nan)
    for other in (cleared, spoiled):
        other[(slice(None), *corner(extent, box))] = images[(slice(None), *corner(extent, box))]
    reference = apply(corruption, images, np.array(extent))
    for other in (cleared, spoiled):
        jax.tree.map(np.testing.assert_array_equal, apply(corruption, other, np.array(extent)), reference)
    # what the padding holds is neither shown to the network nor part of the loss
    np.testing.assert_array_equal(reference["input"] * (1 - reference["mask"][..., :1]), 0)
    assert np.isfinite(float(pixel_loss(reference["target"] + 1, reference["target"], reference["weight"])))
    voxels = {"stride": 63, "denoise": 63, "box": 6 * 4 * 2, "inpaint": 105, "complete": 63, "any": 105}[name]
    np.testing.assert_array_equal(np.sum(np.asarray(reference["weight"]) > 0, axis=(*range(1, len(box) + 2),)), voxels)


@case
def test_draws_are_a_pure_function_of_the_key(name):
    task, box, extent = CASES[name]
    draw, _ = compiled(task, box)
    first = draw(keys(), np.array(extent))
    jax.tree.map(np.testing.assert_array_equal, first, draw(keys(), np.array(extent)))
    assert len(np.unique(first.phase)) == len(np.unique(first.sigma)) == len(np.unique(first.scale)) == 3
    assert not np.array_equal(first.noise[0], first.noise[1])
    if name == "inpaint":
        assert not np.array_equal(first.known[0], first.known[1])


def test_draws_have_their_ranges_and_offsets_use_all_the_room():
    task, box, extent = CASES["stride"]
    draw, _ = compiled(task, box)
    many = draw(keys(300), np.array(extent))
    for value, low, high in ((many.phase, 0, 2 * np.pi), (many.scale, 0.5, 1), (many.sigma, 0, 0.3)):
        assert low <= value.min() < low + 0.05 * (high - low) and high - 0.05 * (high - low) < value.max() <= high
    # 9 x 7 fine voxels are 5 x 4 coarse ones, in a coarse patch of 8 x 6
    assert set(map(tuple, np.asarray(many.offset))) == {(y, x) for y in range(3) for x in range(4)}


def test_every_third_voxel_is_known_where_a_grid_is_to_be_completed():
    task, box, extent = CASES["complete"]
    known = np.asarray(compiled(task, box)[0](keys(), np.array(extent)).known)
    want = np.zeros(box, bool)
    want[:7:3, :9:3] = True  # 9 x 7 voxels along x and y
    np.testing.assert_array_equal(known, np.broadcast_to(want, known.shape))


def test_any_task_is_one_of_three_with_equal_odds():
    task, box, extent = CASES["any"]
    known = np.asarray(compiled(task, box)[0](keys(300), np.array(extent)).known)
    counts = known.sum(axis=(1, 2, 3))
    completed = np.count_nonzero(counts == 4 * 3 * 2)
    whole = np.count_nonzero(counts == 105)
    assert 70 < whole < 130 and 70 < completed < 130 and 70 < 300 - whole - completed < 130


def test_noise_power_makes_more_rows_nearly_clean():
    draw, _ = compiled(RandomCorruption(noise_power=3.0), BOX2)
    sigma = np.asarray(draw(keys(300), np.array(EXTENT2)).sigma)
    uniform = np.asarray(compiled(RandomCorruption(), BOX2)[0](keys(300), np.array(EXTENT2)).sigma)
    np.testing.assert_allclose(sigma, 0.3 * (uniform / 0.3) ** 3, rtol=1e-4, atol=1e-7)


def test_pair_is_draw_and_apply():
    task, box, extent = CASES["denoise"]
    draw, apply = compiled(task, box)
    images = rows(box)
    pair = jax.jit(jax.vmap(task.pair, (0, 0, None)))(keys(), images, np.array(extent))
    want = apply(draw(keys(), np.array(extent)), images, np.array(extent))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), pair, want)


@pytest.mark.parametrize("noise", ["white", "surrogate", "frames"])
def test_noise_has_the_complex_standard_deviation_and_lies_along_the_scan(noise):
    task = RandomCorruption(noise=noise)
    rng = np.random.default_rng(2)
    recording = np.cumsum(rng.normal(size=(400, 2)) + 1j * rng.normal(size=(400, 2)), axis=0).astype(np.complex64)
    given = {"white": {}, "surrogate": {"concentration": jnp.array([1.0, 5, 2, 1])}, "frames": {"frames": recording}}[
        noise
    ]
    extent = np.array([10, 9, 3])
    draw = jax.jit(jax.vmap(lambda key: task.draw(key, (4, 9, 12), extent, **given)))
    series = np.asarray(draw(keys(12)).noise).reshape(12, -1)
    inside = [np.asarray(scan_index(extent, (12, 9, 4), order)) for order in ("raster", "meander")]
    rms = np.sqrt(np.mean(np.abs(series[:, inside[0] < 270]) ** 2, axis=1))
    np.testing.assert_allclose(rms, 1, rtol=0.15 if noise == "white" else 1e-5)
    if noise == "surrogate":
        np.testing.assert_allclose(series.mean(axis=1), 0, atol=1e-5)
        assert len(np.unique(series, axis=0)) == 12
    if noise == "frames":
        np.testing.assert_array_equal(series[:, inside[0] >= 270], 0)
        stretches = np.lib.stride_tricks.sliding_window_view(recording.astype(complex), 270, axis=0).reshape(-1, 270)
        stretches = stretches - stretches.mean(axis=1, keepdims=True)
        stretches /= stretches.std(axis=1, keepdims=True)
        found = []
        for row in series:
            walked = [row[np.argsort(index)[:270]] for index in inside]
            errors = [np.abs(stretches - w).max(axis=1).min() for w in walked]
            assert min(errors) < 1e-4
            found.append(int(np.argmin(errors)))
        assert set(found) == {0, 1}


def test_sigma_is_the_complex_standard_deviation_relative_to_the_peak():
    task = RandomCorruption(noise_range=(0.1, 0.1), scale_range=(1.0, 1.0))
    row = rows((64, 64), 1)[0]
    pair = jax.jit(task.pair)(jax.random.key(0), row, np.array([64, 64]))
    noisy, clean = (channels_to_complex(pair[name]) / 1 for name in ("input", "target"))
    peak = float(jnp.abs(clean).max())
    assert float(pair["noise_level"]) / peak == pytest.approx(0.1, rel=1e-5)
    # 10 log10(peak^2 / mean |e|^2) = -20 log10(sigma); the mean of 4096 squares scatters by 1.6 %
    assert float(psnr(noisy, clean, peak)) == pytest.approx(-20 * np.log10(0.1), abs=0.2)


@pytest.mark.parametrize("box, extent, patch", [(BOX2, EXTENT2, (10, 16)), (BOX3, EXTENT3, (5, 9, 9))])
def test_decode_inverts_encode(box, extent, patch):
    row = rows(box, 1)[0]
    valid = np.zeros(box, bool)
    valid[corner(extent, box)] = True
    room = np.array(patch) - np.array(extent)[::-1]
    inverse = jax.jit(lambda channels, placement: decode(channels, placement, box, extent))
    for offset in (np.zeros(len(box), int), room):
        channels, placement = encode(row, valid, patch, offset)
        assert channels.shape == (*patch, 2)
        assert float(jnp.abs(channels_to_complex(channels)).max()) == pytest.approx(1, rel=1e-6)
        np.testing.assert_allclose(inverse(channels, placement), np.where(valid, row, 0), rtol=2e-6)


def test_decode_of_a_finer_output():
    row = rows(BOX2, 1)[0]
    valid = np.zeros(BOX2, bool)
    valid[corner(EXTENT2, BOX2)] = True
    channels, placement = encode(row, valid, BOX2, (1, 2))
    finer = np.repeat(np.repeat(channels, 2, 0), 2, 1)
    got = decode(jnp.asarray(finer), placement, (16, 24), (18, 14), factor=2)
    np.testing.assert_allclose(got, np.repeat(np.repeat(np.where(valid, row, 0), 2, 0), 2, 1), rtol=2e-6)


@case
def test_empty_rows_and_full_masks_stay_finite(name):
    task, box, extent = CASES[name]
    draw, apply = compiled(task, box)
    corruption = draw(keys(), np.array(extent))
    silent = jax.tree.map(lambda x: x, corruption)
    object.__setattr__(silent, "noise", jnp.zeros_like(corruption.noise))
    for c in (corruption, silent):
        pair = apply(c, np.zeros((3, *box), np.complex64), np.array(extent))
        assert all(np.all(np.isfinite(value)) for value in pair.values())
        np.testing.assert_array_equal(pair["target"], 0)


def test_extents_are_traced_inside_one_compiled_function():
    traces = []
    task = RandomCorruption((Inpaint(),), noise_range=(0.1, 0.1))

    @jax.jit
    @jax.vmap
    def pairs(key, row, extent):
        traces.append(1)
        return task.pair(key, row, extent)

    for extents in ([[8, 6, 4], [3, 5, 2], [7, 6, 1]], [[2, 2, 2], [8, 1, 1], [5, 6, 4]]):
        pair = pairs(keys(), rows(BOX3), np.array(extents))
        np.testing.assert_array_equal(
            np.sum(np.asarray(pair["weight"]) > 0, axis=(1, 2, 3, 4)), np.prod(extents, axis=1)
        )
        assert all(np.all(np.isfinite(value)) for value in pair.values())
    assert len(traces) == 1


def test_bad_tasks_are_refused():
    for options, message in [
        ({"tasks": ()}, "give at least one"),
        ({"noise_power": 0.0}, "noise_power"),
        ({"tasks": (Denoise(), Upsample(2))}, "denoise and upsample are given rows of different grids"),
        ({"noise": "pink"}, "'white', 'surrogate', 'frames'"),
        ({"noise_range": (0.3, 0.1)}, "smallest, largest"),
        ({"noise_range": (-0.1, 0.1)}, "noise_range"),
        ({"missing_range": (0.1, 1.2)}, "missing_range"),
        ({"scale_range": (0.0, 1.0)}, "scale_range"),
        ({"missing_weight": -1.0}, "missing_weight"),
    ]:
        with pytest.raises(ValueError, match=message):
            RandomCorruption(**options)
    with pytest.raises(ValueError, match=r"noise_range = 0.3; expected \(low, high\)"):
        inspect.unwrap(RandomCorruption.__init__)(object.__new__(RandomCorruption), noise_range=0.3)
    key, row = jax.random.key(0), rows(BOX2, 1)[0]
    for task, given, message in [
        (RandomCorruption(noise="frames"), {}, "pass frames="),
        (RandomCorruption(), {"frames": rows((5,), 4)}, "pass frames="),
        (RandomCorruption(), {"concentration": jnp.ones(4)}, "concentration"),
        (RandomCorruption(patch=(8, 8)), {}, "does not hold"),
        (RandomCorruption(patch=(8, 12, 1)), {}, "does not hold"),
        (RandomCorruption((Upsample(8),)), {}, "multiple of scale"),
    ]:
        with pytest.raises(ValueError, match=message):
            task.pair(key, row, EXTENT2, **given)
    with pytest.raises(ValueError, match="does not hold"):
        encode(row, np.ones(BOX2, bool), (4, 4), (0, 0))

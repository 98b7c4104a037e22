"""Training pairs of x-space images: what they hold, noise, scale, crops, turns, and what is refused."""

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.datasets import xspace_pairs as pairs
from mpijax.datasets.phantoms.planar import PlanarPhantoms
from mpijax.physics.xspace import full_widths
from mpijax.reconstruction.deconvolution import wiener_deconvolution
from mpijax.system import Grid
from mpijax.system.scans.xspace import convolve_linear, sampled_kernel, x_space_image
from tests import DATA

N = 32
PRIOR = pairs.XSpacePrior(size=N, pixels_per_width=4.0)
MEASURED = DATA / "ffl_buaa"


def phantom():
    image = np.zeros((N, N), np.float32)
    image[6:12, 8:11], image[22, 6:22], image[15, 24] = 50, 30, 90
    return image


PHANTOM = phantom()
CLEAN = {"noise": (190.0, 190.0), "crop": None, "augment": False, "extras": True}


def one(task, key=0, xi=(0.6, 0.6), image=PHANTOM):
    return PAIR(task, jax.random.key(key), image, jnp.asarray(xi))


# programs that differ in a crop agree bit for bit where sums are fused alike
FUSED = {"xla_cpu_use_fusion_emitters": True}
PAIR = jax.jit(lambda task, key, image, xi: task.pair(key, image, xi), compiler_options=FUSED)


def test_images_are_those_of_the_simulator():
    """Through scanner, particle and grid: input a scan along x, label the mean of both, over one maximum."""
    scan = PRIOR.plane_scan(2.0, 21e-9)
    scanner, particle = PRIOR.containers(scan)
    np.testing.assert_allclose(np.diagonal(scanner.gradient), [2.0, 0.0, -2.0])
    grid = Grid.create((N, 1, N), (PRIOR.fov, 1e-3, PRIOR.fov))
    x, both = (np.asarray(x_space_image(scanner, particle, grid, PHANTOM.reshape(-1), e))[:, 0] for e in (0, (0, 2)))
    pair = one(pairs.XSpaceTask.create(**CLEAN), xi=scan.pixel_xi)
    np.testing.assert_allclose(pair["input"][..., 0], x / x.max(), atol=2e-5)
    np.testing.assert_allclose(pair["target"][..., 0], both / x.max(), atol=2e-5)
    assert pair["scan_axis"] == 1
    np.testing.assert_allclose(pair["input"], pair["clean"], atol=1e-6)


def test_the_other_label_is_the_phantom_over_its_maximum():
    pair = one(pairs.XSpaceTask.create("phantom", **CLEAN))
    np.testing.assert_allclose(pair["target"][..., 0], PHANTOM / 90, rtol=1e-6)


@pytest.mark.parametrize("textures", [None, "drawn"])
def test_noise_is_at_the_stated_level(textures):
    if textures:
        textures = np.random.default_rng(0).normal(2.0, 3.0, size=(2, 13, 40))
    task = pairs.XSpaceTask.create(textures=textures, crop=None, augment=False, extras=True)
    levels = []
    for key in range(5):
        pair = one(task, key)
        noise = np.asarray(pair["input"] - pair["clean"], np.float64)
        levels.append(20 * np.log10(float(pair["clean"].max()) / noise.std()))
        assert pair["noise_level"] == pytest.approx(noise.std(), rel=1e-3)
        assert abs(noise.mean()) < 1e-4 * noise.std()
        assert pair["input"].max() == pytest.approx(1)
    assert min(levels) > 15 - 1e-3 and max(levels) < 20 + 1e-3 and np.ptp(levels) > 0.5


def test_textures_are_cut_out_of_the_recording():
    """Every value of the noise is one of the recording, up to offset and scale; a small recording is mirrored."""
    texture = np.random.default_rng(1).normal(size=(1, 9, 7)).astype(np.float32)
    noise = np.asarray(pairs.unit_noise(texture, 24, 24, key=jax.random.key(3)), np.float64)
    fit = np.polyfit(np.sort(np.unique(noise.round(5))), np.sort(texture.ravel()), 1)
    np.testing.assert_allclose(np.polyval(fit, np.unique(noise.round(5))), np.sort(texture.ravel()), atol=1e-3)
    index = np.asarray(pairs._reflected(jnp.float32(0.5), 4, 12))
    np.testing.assert_array_equal(index, [3, 2, 1, 0, 0, 1, 2, 3, 3, 2, 1, 0])


def test_measured_backgrounds_serve_as_textures():
    textures = []
    for file in sorted(MEASURED.glob("noise_k_*.mat")):
        with h5py.File(file) as handle:
            textures.append(handle["noise"][()])
    task = pairs.XSpaceTask.create(
        textures=np.stack(textures).astype(np.float32), crop=None, augment=False, extras=True
    )
    pair = one(task, 2)
    noise = np.asarray(pair["input"] - pair["clean"], np.float64)[..., 0]
    assert 15 < 20 * np.log10(float(pair["clean"].max()) / noise.std()) < 20
    noise -= noise.mean()
    neighbors = [np.mean(noise[1:] * noise[:-1]), np.mean(noise[:, 1:] * noise[:, :-1])] / noise.var()
    assert max(neighbors) > 0.3  # unlike white noise, whose neighbors are independent to 0.03


@pytest.mark.parametrize("way", range(8))
def test_turning_commutes_with_imaging(way):
    """Turn the phantom, the gradients and the axis of the scan, and the image is the turned one; also if |G_z| differs."""
    xi = np.array([0.9, 0.5], np.float32)

    def image(plane, xi, axis):
        return np.asarray(convolve_linear(plane, sampled_kernel(plane.shape, xi, int(axis))))

    turned = image(np.asarray(pairs.turn(PHANTOM, way)), pairs.turned_axes(xi, way), pairs.turned_axis(1, way))
    want = image(PHANTOM, xi, 1)
    np.testing.assert_allclose(turned, pairs.turn(want, way), atol=2e-6 * want.max())
    assert int(pairs.turned_axis(1, way)) == (0 if way & 4 else 1)


def test_the_eight_ways_are_the_symmetries_of_the_square():
    ways = [np.asarray(pairs.turn(PHANTOM, way)) for way in range(8)]
    want = [np.rot90(image, k) for image in (PHANTOM, PHANTOM.T) for k in range(4)]
    assert {image.tobytes() for image in ways} == {np.ascontiguousarray(image).tobytes() for image in want}


def test_augmented_pairs_know_the_axis_of_their_scan():
    """The extras give the kernel: it makes the clean input of the turned phantom, for every way that is drawn."""
    task = pairs.XSpaceTask.create("phantom", noise=(190.0, 190.0), crop=None, extras=True)
    xi, axes = jnp.asarray([0.9, 0.5]), set()
    for key in range(8):
        pair = one(task, key, xi)
        kernel = sampled_kernel((N, N), pair["pixel_xi"], int(pair["scan_axis"]))
        image = np.asarray(convolve_linear(pair["target"][..., 0], kernel))
        np.testing.assert_allclose(pair["input"][..., 0], image / image.max(), atol=2e-5)
        axes.add(int(pair["scan_axis"]))
    assert axes == {0, 1}


def test_a_crop_is_a_part_of_the_whole_pair():
    whole = one(pairs.XSpaceTask.create(**CLEAN))
    parts = [one(pairs.XSpaceTask.create(**(CLEAN | {"crop": 20})), key) for key in range(4)]
    places = set()
    for part in parts:
        windows = np.lib.stride_tricks.sliding_window_view(np.asarray(whole["clean"][..., 0]), (20, 20))
        found = np.argwhere(np.abs(windows - np.asarray(part["clean"][..., 0])).max((2, 3)) < 1e-5)
        assert len(found) == 1
        i, j = found[0]
        places.add((i, j))
        np.testing.assert_allclose(part["target"][..., 0], whole["target"][i : i + 20, j : j + 20, 0], atol=1e-5)
    assert len(places) > 1


def test_an_empty_phantom_stays_empty():
    pair = one(pairs.XSpaceTask.create(**CLEAN), image=np.zeros((N, N), np.float32))
    assert all(np.all(np.asarray(pair[name]) == 0) for name in ("input", "target"))


@pytest.mark.parametrize("geometry", ["line", "point"])
def test_drawn_scanners_fit_the_field_of_view(geometry):
    prior = pairs.XSpacePrior(geometry=geometry, pixels_per_width=6.0)
    draw = jax.jit(prior.draw)
    scans = [draw(jax.random.key(i)) for i in range(40)]
    strengths = []
    for scan in scans:
        _, particle = prior.containers(scan)
        gradient = np.asarray(scan.gradient)[[2, 0]]
        beta = float(particle.beta)
        widest = np.asarray(full_widths(gradient, beta, 0))[1], np.asarray(full_widths(gradient, beta, 1))[0]
        assert max(widest) <= prior.fov / 2 * (1 + 1e-5)
        narrowest = min(float(full_widths(gradient, beta, axis)[axis]) for axis in (0, 1))
        assert narrowest >= 6 * prior.fov / prior.size * (1 - 1e-5)
        np.testing.assert_allclose(scan.pixel_xi, beta * np.abs(gradient) * prior.fov / prior.size, rtol=1e-5)
        assert abs(np.sum(scan.gradient)) < 1e-6
        strengths.append(float(scan.gradient[2]))
    assert np.ptp(np.abs(strengths)) > 0.5
    assert (np.asarray(scans[0].pixel_xi)[0] == np.asarray(scans[0].pixel_xi)[1]) == (geometry == "line")


def test_batches_are_pure_functions_of_the_key_and_trace_once():
    traces = []

    class Counted(pairs.XSpacePrior):
        def draw(self, key):
            traces.append(1)
            return super().draw(key)

    prior = Counted(size=N, pixels_per_width=4.0)
    task = pairs.XSpaceTask.create(crop=16, channels=3)
    batch = pairs.xspace_batches(task, prior, PlanarPhantoms.create(("dots",), N), batch_size=3)
    draw = jax.jit(lambda f, key: f(key))
    first, again, other = (draw(batch, jax.random.key(k)) for k in (0, 0, 1))
    assert len(traces) == 1
    assert set(first) == {"input", "target"}
    assert {x.shape for x in first.values()} == {(3, 16, 16, 3)} and first["input"].dtype == np.float32
    for name in first:
        np.testing.assert_array_equal(first[name], again[name])
        assert np.abs(first[name] - other[name]).max() > 0.01
        np.testing.assert_array_equal(first[name][..., 0], first[name][..., 2])


def test_a_pool_draws_its_own_phantoms():
    pool = pairs.PhantomPool.create(np.stack([PHANTOM, 2 * PHANTOM, 3 * PHANTOM]))
    peaks = {float(pool(jax.random.key(i)).max()) for i in range(20)}
    assert peaks == {90.0, 180.0, 270.0}
    batch = jax.jit(pairs.xspace_batches(pairs.XSpaceTask.create(crop=None), PRIOR, pool, 2))(jax.random.key(0))
    assert batch["target"].shape == (2, N, N, 1)


def unit_psnr(image, want):
    return 10 * np.log10(np.max(want) ** 2 / np.mean((np.asarray(image, np.float64) - want) ** 2))


@pytest.mark.parametrize("label", ["isotropic", "phantom"])
def test_the_guide_is_nearer_to_the_label_than_the_input(label):
    task = pairs.XSpaceTask.create(label, noise=(17.0, 17.0), crop=None, augment=False, guide=True)
    phantoms = PlanarPhantoms.create(("vessels", "shapes"), N)
    batch = jax.jit(pairs.xspace_batches(task, PRIOR, phantoms, 4))(jax.random.key(5))
    guide, target = np.asarray(batch["auxiliary"]["guide"]), np.asarray(batch["target"])
    assert guide.shape == target.shape == (4, N, N, 1)
    for i in range(4):
        assert unit_psnr(guide[i], target[i]) > unit_psnr(batch["input"][i], target[i]) + 1


def test_the_guide_needs_the_input_and_the_kernel_alone():
    """It is `deconvolved` of the input that the batch holds; three channels hold it three times."""
    task = pairs.XSpaceTask.create(crop=None, augment=False, channels=3, guide=True)
    xi = jnp.asarray([0.9, 0.6])
    pair = one(task, 3, xi)
    guide = np.asarray(pair["auxiliary"]["guide"])
    want = np.asarray(jax.jit(pairs.deconvolved, compiler_options=FUSED)(pair["input"][..., 0], xi))
    np.testing.assert_allclose(guide, np.repeat(want[..., None], 3, -1), atol=2e-4 * want.max())


def test_the_guide_is_cropped_and_turned_with_the_pair():
    """One key with and without augmentation and crop: the input says where and which way, the guide must agree."""
    xi, ways = jnp.asarray([0.9, 0.6]), set()
    made = [{"crop": None, "augment": False}, {"crop": 20, "augment": False}, {"crop": 20, "augment": True}]
    for key in range(6):
        whole, part, turned = (one(pairs.XSpaceTask.create(guide=True, **options), key, xi) for options in made)
        image = np.asarray(whole["input"][..., 0])
        windows = np.lib.stride_tricks.sliding_window_view(image, (20, 20))
        ((i, j),) = np.argwhere(np.all(windows == np.asarray(part["input"][..., 0]), (2, 3)))
        guide = np.asarray(whole["auxiliary"]["guide"][i : i + 20, j : j + 20, 0])
        np.testing.assert_array_equal(part["auxiliary"]["guide"][..., 0], guide)
        found = [
            way for way in range(8) if np.array_equal(pairs.turn(part["input"][..., 0], way), turned["input"][..., 0])
        ]
        assert len(found) == 1
        np.testing.assert_array_equal(turned["auxiliary"]["guide"][..., 0], pairs.turn(guide, found[0]))
        ways |= set(found)
    assert len(ways) > 3


@pytest.mark.parametrize("way", range(8))
def test_turning_commutes_with_the_guide(way, monkeypatch):
    """The turned image deconvolved with the kernel of the turned scan is the turned guide, also if |G_z| differs.

    With three iterations in double precision: conjugate gradients let rounding grow by orders of magnitude per iteration.
    """
    monkeypatch.setattr(pairs, "GUIDE", pairs.GUIDE | {"iterations": 3})
    xi = np.array([0.9, 0.6])
    image = np.asarray(one(pairs.XSpaceTask.create(crop=None, augment=False), 1, xi)["input"][..., 0], np.float64)
    with jax.enable_x64(True):
        want = np.asarray(pairs.turn(pairs.deconvolved(image, jnp.asarray(xi)), way))
        turned_xi, axis = pairs.turned_axes(xi, way), int(pairs.turned_axis(1, way))
        found = wiener_deconvolution(pairs.turn(image, way), sampled_kernel((N, N), turned_xi, axis), **pairs.GUIDE)
        guide = convolve_linear(found, sampled_kernel((N, N), turned_xi, (0, 1)))
    np.testing.assert_allclose(guide, want, atol=1e-8 * want.max())


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: pairs.XSpacePrior(gradient=(0.1, 0.2)), "no gradient of"),
        (lambda: pairs.XSpacePrior(pixels_per_width=40.0), "fits particles of 18 nm"),
        (lambda: pairs.XSpacePrior(pixels_per_width=1.0), "two pixels per width"),
        (lambda: pairs.XSpacePrior(geometry="ring"), "geometry = 'ring'"),
        (lambda: pairs.XSpacePrior(fov=30.0), "Lengths are in meters"),
        (lambda: pairs.XSpacePrior(gradient=(6.0, 0.5)), "expected"),
        (lambda: pairs.XSpaceTask.create("both"), "label = 'both'"),
        (lambda: pairs.XSpaceTask.create(channels=2), "channels = 2"),
        (lambda: pairs.XSpaceTask.create(noise=(17.0, -1.0)), "noise = "),
        (lambda: pairs.XSpaceTask.create(textures=np.ones((1, 4, 4))), "none of them constant"),
        (lambda: pairs.XSpaceTask.create(textures=np.full((1, 4, 4), np.nan)), "NaN"),
        (lambda: pairs.PhantomPool.create(np.full((1, 4, 4), np.inf)), "infinite"),
        (lambda: pairs.PhantomPool.create(np.ones((1, 4, 5))), "square|size, size"),
        (lambda: pairs.xspace_batches(pairs.XSpaceTask.create(), PRIOR, PlanarPhantoms.create(size=N)), "crop = 64"),
        (lambda: pairs.xspace_batches(pairs.XSpaceTask.create(), PRIOR, PlanarPhantoms.create()), "prior's size is 32"),
        (lambda: one(pairs.XSpaceTask.create(crop=40)), "crop = 40"),
        (lambda: pairs.deconvolved(PHANTOM, jnp.ones(2), "both"), "label = 'both'"),
        (lambda: pairs.deconvolved(PHANTOM * np.nan, jnp.ones(2)), "image has 1024 of 1024 entries that are NaN"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(("label", "bound"), [("isotropic", 0.02), ("phantom", 0.1)])
def test_guides_in_single_precision_are_near_those_in_double(label, bound):
    task = pairs.XSpaceTask.create(crop=None, augment=False, extras=True)
    prior = pairs.XSpacePrior(size=32, pixels_per_width=4.0)
    batch = jax.jit(pairs.xspace_batches(task, prior, PlanarPhantoms.create(size=32), 4))(jax.random.key(0))
    images, xi = np.asarray(batch["input"])[..., 0], np.asarray(batch["pixel_xi"])
    guide = jax.jit(jax.vmap(lambda image, xi: pairs.deconvolved(image, xi, label)))
    single = np.asarray(guide(images, xi))
    with jax.enable_x64(True):
        double = np.asarray(guide(images.astype(np.float64), xi.astype(np.float64)))
    assert double.dtype == np.float64
    assert np.max(np.abs(single - double)) < bound * np.max(double)


def test_negative_phantoms_and_complex_textures_are_refused():
    with pytest.raises(ValueError, match="images hold -1"):
        pairs.PhantomPool.create(-np.ones((1, 16, 16)))
    with pytest.raises(ValueError, match="complex"):
        pairs.XSpaceTask.create(textures=np.random.default_rng(0).normal(size=(1, 4, 4)) * 1j)

"""The Cartesian scan in the time domain against x-space images, closed forms and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mpijax.system import Grid, Particle, Scanner
from mpijax.system.scans.cartesian import CartesianScan, image_of_voltage, scan_voltage
from mpijax.system.scans.xspace import x_space_image
from tests.reference import xspace as twin

PARTICLE = Particle.create(22e-9)
BETA = float(PARTICLE.beta)
LINE = Scanner.create((2.0, 0.0, -2.0))
POINT = Scanner.create((-2.0, -2.0, 4.0))
N = 20
GRID = Grid.create((N, 1, N), (10e-3, 0.5e-3, 10e-3), center=(1e-3, 0.0, -1e-3))
OBJECT = np.zeros((N, N))
OBJECT[4:8, 5:7], OBJECT[14, 4:15], OBJECT[10, 15] = 50, 30, 100
OBJECT = OBJECT.reshape(-1)


def scanned(scanner, scan, **options):
    voltage = scan_voltage(scanner, PARTICLE, GRID, OBJECT, scan, **options)
    return np.asarray(image_of_voltage(voltage, scanner, PARTICLE, GRID, scan))


@pytest.mark.parametrize("scanner, axis", [(LINE, 0), (LINE, 2), (POINT, 2)])
def test_image_equals_the_fast_path(scanner, axis):
    """To 2 % of the peak inside the field of view; what is left is the voxels' content at their centers."""
    fast = np.asarray(x_space_image(scanner, PARTICLE, GRID, OBJECT, axis))
    slow = scanned(scanner, CartesianScan(axis=axis, samples=192))
    assert slow.shape == fast.shape == (N, 1, N)
    assert np.abs(slow - fast).max() < 0.02 * fast.max()


def test_voltage_of_a_point_is_the_closed_form():
    """u = +mu0 p m0 beta (G v)_e h_e: signs and units, without the library's kernel."""
    grid = Grid.create((12, 1, 1), (10e-3, 0.5e-3, 0.5e-3))
    point = np.zeros(12)
    point[7] = 20.0
    scan = CartesianScan(axis=0, frequency=20e3, samples=256)
    with jax.enable_x64(True):
        voltage = np.asarray(scan_voltage(LINE, PARTICLE, grid, point, scan, sensitivity=30.0))
    reach = 10e-3 / 2 / np.sqrt(1 - 0.2**2)
    phase = 2 * np.pi * (np.arange(256) + 0.5) / 256
    place, velocity = -reach * np.cos(phase), reach * 2 * np.pi * 20e3 * np.sin(phase)
    kernel = twin.parallel(BETA * 2.0 * (np.asarray(grid.positions)[7, 0] - place))
    moment = 474e3 * 0.23153 / (3 * 5180) * 20.0 * float(grid.voxel_volume)
    want = 4e-7 * np.pi * 30.0 * moment * BETA * 2.0 * velocity * kernel
    assert voltage.shape == (1, 1, 1, 256)
    np.testing.assert_allclose(voltage[0, 0, 0], want, atol=1e-9 * want.max())


@pytest.mark.parametrize("partials, overlap", [(1, 0.5), (3, 0.5), (5, 0.75)])
def test_partial_fields_of_view_are_recovered_but_for_the_edge(partials, overlap):
    """The filter takes most of the image; overlaps give it back up to each line's edge, which is set to zero."""
    whole = scanned(LINE, CartesianScan(axis=0, samples=192))
    scan = CartesianScan(axis=0, samples=192, partials=partials, overlap=overlap, drop_fundamental=True)
    want = whole - (whole[..., :1] + whole[..., -1:]) / 2
    got = scanned(LINE, scan)
    assert np.abs(got - want).max() < 5e-3 * whole.max()
    assert np.abs(whole[..., 0]).max() > 0.05 * whole.max()  # what is lost, because the object's tail reaches the edge
    voltage = scan_voltage(LINE, PARTICLE, GRID, OBJECT, scan)
    spectrum = np.abs(np.fft.rfft(np.asarray(voltage, np.float64)))
    assert spectrum[..., 1].max() < 1e-6 * spectrum.max()


def test_partial_fields_of_view_with_their_fundamental_lose_nothing():
    whole = scanned(LINE, CartesianScan(axis=2, samples=192))
    parts = scanned(LINE, CartesianScan(axis=2, samples=192, partials=3))
    assert np.abs(parts - whole).max() < 5e-3 * whole.max()


def test_relaxation_is_an_exponential_memory():
    """u_r + tau du_r/dt = u, followed in time by the exact step for a voltage that is linear between samples."""
    scan, tau = CartesianScan(axis=0, frequency=25e3, samples=512), 1.5e-6
    grid = Grid.create((12, 1, 1), (10e-3, 0.5e-3, 0.5e-3))
    point = np.zeros(12)
    point[6] = 20.0
    still, moving = (
        np.asarray(scan_voltage(LINE, PARTICLE, grid, point, scan, relaxation_time=t), np.float64)[0, 0, 0]
        for t in (0.0, tau)
    )
    step = 1 / (25e3 * 512)
    decay, value = np.exp(-step / tau), 0.0
    follow = np.zeros(512)
    for i in range(3 * 512):  # three periods: the start is forgotten
        last, now = still[(i - 1) % 512], still[i % 512]
        slope = (now - last) / step
        value = decay * value + (1 - decay) * (last - slope * tau) + slope * step
        follow[i % 512] = value
    assert np.abs(follow - moving).max() < 1e-3 * np.abs(still).max()
    assert np.argmax(moving[:256]) > np.argmax(still[:256])  # the peak comes late in its sweep
    assert moving.max() < still.max()


def test_scan_is_differentiable_and_traceable():
    grid = Grid.create((6, 1, 3), (10e-3, 0.5e-3, 5e-3))
    scan = CartesianScan(axis=0, samples=64, partials=2, drop_fundamental=True)

    def total(strength, tau):
        scanner = Scanner.create(strength * jnp.array([1.0, 0.0, -1.0]))
        voltage = scan_voltage(scanner, PARTICLE, grid, jnp.arange(18.0), scan, relaxation_time=tau)
        return 1e9 * jnp.sum(image_of_voltage(voltage, scanner, PARTICLE, grid, scan) ** 2) * 1e9

    with jax.enable_x64(True):
        value = jax.jit(jax.value_and_grad(total, argnums=(0, 1)))
        _, (by_strength, by_tau) = value(2.0, 1e-6)
        h = 1e-5
        assert by_strength == pytest.approx(float(value(2 + h, 1e-6)[0] - value(2 - h, 1e-6)[0]) / (2 * h), rel=1e-6)
        h = 1e-11
        assert by_tau == pytest.approx(float(value(2.0, 1e-6 + h)[0] - value(2.0, 1e-6 - h)[0]) / (2 * h), rel=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"axis": 3}, "axis = 3"),
        ({"overlap": 0.3}, "Less than half"),
        ({"samples": 63}, "even number"),
        ({"partials": 0}, "partials = 0"),
        ({"frequency": 0.0}, "25 kHz is 25e3"),
    ],
)
def test_bad_scans(options, message):
    with pytest.raises(ValueError, match=message):
        CartesianScan(**options)


def test_what_cannot_be_scanned_is_refused():
    scan = CartesianScan(samples=8)
    with pytest.raises(ValueError, match="vanishes along"):
        scan_voltage(LINE, PARTICLE, GRID, OBJECT, CartesianScan(axis=1, samples=8))
    with pytest.raises(ValueError, match="1 of 400 entries that are NaN"):
        scan_voltage(LINE, PARTICLE, GRID, np.where(np.arange(400) == 3, np.nan, OBJECT), scan)
    with pytest.raises(ValueError, match="relaxation_time = -1"):
        scan_voltage(LINE, PARTICLE, GRID, OBJECT, scan, relaxation_time=-1.0)
    with pytest.raises(ValueError, match=r"need \(20, 1, 1, 8\)"):
        image_of_voltage(np.zeros((20, 2, 1, 8)), LINE, PARTICLE, GRID, scan)
    many = CartesianScan(samples=8, partials=40, drop_fundamental=True)
    with pytest.raises(ValueError, match="overlap by less than one voxel"):
        image_of_voltage(np.zeros((20, 1, 40, 8)), LINE, PARTICLE, GRID, many)

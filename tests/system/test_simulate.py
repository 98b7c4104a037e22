import jax
import jax.numpy as jnp
import numpy as np
import pytest

import mpijax as mj
from mpijax.system.engines import moments
from tests.reference import physics as twin

SCANNER = mj.Scanner.create(gradient=(0.9, 1.3, -2.2), offset_field=(1e-3, -0.5e-3, 0.2e-3))
GRID = mj.Grid.create(shape=(3, 2, 1), fov=(30e-3, 24e-3, 1e-3), center=(1e-3, -0.5e-3, 0))
PARTICLE = mj.Particle.create(core_diameter=22e-9)
AMPLITUDE = np.array([10e-3, 12e-3, 0])


def reference(sequence, phase, grid=GRID, scanner=SCANNER, amplitude=AMPLITUDE):
    frequencies = np.array(sequence.base_frequency / np.asarray(sequence.dividers))
    return twin.moment_spectrum(
        np.asarray(grid.positions), np.asarray(scanner.gradient), np.asarray(scanner.offset_field), amplitude,
        frequencies, phase, sequence.period, sequence.n_samples, 22e-9,
    )  # fmt: skip


@pytest.mark.parametrize(
    "options, phase",
    [
        ({"waveform": "cosine"}, np.full(3, np.pi / 2)),
        ({"waveform": "sine"}, np.zeros(3)),
        ({"phase": (0.3, -1.0, 0.0)}, np.array([0.3, -1.0, 0.0])),
        ({"oversample": 2}, np.full(3, np.pi / 2)),
        ({"n_samples": 1001}, np.full(3, np.pi / 2)),
    ],
)
def test_spectrum_2d_matches_a_loop_over_positions(options, phase):
    with jax.enable_x64(True):
        sequence = mj.LissajousSequence.create(amplitude=AMPLITUDE, **options)
        got = np.asarray(mj.moment_spectrum(SCANNER, sequence, PARTICLE, GRID))
        want = reference(sequence, phase)
    assert got.shape == want.shape == (3, sequence.n_samples // 2 + 1, 6)
    assert np.max(np.abs(got - want)) < 1e-12 * np.abs(want).max()


def test_spectrum_1d_and_3d_at_true_size():
    with jax.enable_x64(True):
        one = mj.LissajousSequence.create(amplitude=(12e-3, 0, 0))
        assert (one.n_samples, one.cycles) == (102, (1, 0, 0))
        want = reference(one, np.full(3, np.pi / 2), amplitude=np.array([12e-3, 0, 0]))
        np.testing.assert_allclose(mj.moment_spectrum(SCANNER, one, PARTICLE, GRID), want, atol=1e-13)

        three = mj.LissajousSequence.create(amplitude=(12e-3, 9e-3, 6e-3))
        assert (three.n_samples, three.cycles, len(three.frequencies)) == (53856, (528, 561, 544), 26929)
        grid = mj.Grid.create((1, 1, 2), (1e-3, 1e-3, 6e-3), (2e-3, 1e-3, 0))
        bins = np.array([1, 528, 1089, 3000, 26928])
        want = reference(three, np.full(3, np.pi / 2), grid, amplitude=np.array([12e-3, 9e-3, 6e-3]))[:, bins]
        got = mj.moment_spectrum(SCANNER, three, PARTICLE, grid, bins)
        assert np.max(np.abs(got - want)) < 1e-12 * np.abs(want).max()


def test_float32_is_within_its_documented_bound_and_chunks_do_not_matter():
    sequence = mj.LissajousSequence.create(amplitude=AMPLITUDE)
    whole = np.asarray(mj.moment_spectrum(SCANNER, sequence, PARTICLE, GRID))
    assert whole.dtype == np.complex64
    want = reference(sequence, np.full(3, np.pi / 2))
    assert np.max(np.abs(whole - want)) < 1e-5 * np.abs(want).max()
    chunked = mj.moment_spectrum(
        SCANNER, sequence, PARTICLE, GRID, memory_limit=4 * 12 * 1632 * 4
    )  # 4 voxels, 6 = 4 + 2
    assert np.max(np.abs(chunked - whole)) < 1e-6 * np.abs(whole).max()


def test_point_inversion_and_parity():
    """G -> -G with cosine drive is a point inversion of the grid; n_x + n_y decides the parity of the x component."""
    sequence = mj.LissajousSequence.create(amplitude=AMPLITUDE)
    grid = mj.Grid.create((4, 3, 1), (20e-3, 20e-3, 1e-3))
    plus = mj.moment_spectrum(mj.Scanner.create((1.0, 1.0, -2.0)), sequence, PARTICLE, grid)
    minus = mj.moment_spectrum(mj.Scanner.create((-1.0, -1.0, 2.0)), sequence, PARTICLE, grid)
    np.testing.assert_allclose(minus, plus[..., ::-1], atol=2e-6)
    np.testing.assert_allclose(plus[2], 0, atol=1e-7)  # no field along z in the plane, no moment


def test_sine_is_cosine_with_the_phases_of_the_mixing_order():
    with jax.enable_x64(True):
        cosine = mj.LissajousSequence.create(amplitude=(12e-3, 0, 0), n_samples=1024)
        sine = mj.LissajousSequence.create(amplitude=(12e-3, 0, 0), n_samples=1024, waveform="sine")
        grid = mj.Grid.create((3, 1, 1), (10e-3, 1e-3, 1e-3))
        a, b = (mj.moment_spectrum(SCANNER, s, PARTICLE, grid) for s in (cosine, sine))
        factor = (-1j) ** np.arange(9)
        np.testing.assert_allclose(b[:, :9], a[:, :9] * factor[:, None], atol=1e-13)


def test_voltage_of_coils_and_transfer_function():
    """s = -mu0 a m0 i w p.rfft(m) particles for two oblique homogeneous channels."""
    with jax.enable_x64(True):
        sequence = mj.LissajousSequence.create(amplitude=AMPLITUDE)
        p = np.array([[50.0, -20.0, 5.0], [3.0, 80.0, 1.0]])
        rng = np.random.default_rng(0)
        a = rng.normal(size=(2, 817)) + 1j * rng.normal(size=(2, 817))
        scanner = mj.Scanner.create((0.9, 1.3, -2.2), (1e-3, -0.5e-3, 0.2e-3), receive_coils=p, transfer_function=a)
        bins = np.array([16, 17, 33, 100])
        matrix = mj.simulate_system_matrix(
            scanner, sequence, PARTICLE, GRID, bins, concentration=50.0, sample_volume=8e-9
        )
        mhat = reference(sequence, np.full(3, np.pi / 2))[:, bins] * 1632
        core = np.pi / 6 * 22e-9**3
        particles = 50.0 * 0.23153 / (3 * 5180 * core) * 8e-9
        omega = 2 * np.pi * sequence.frequencies[bins]
        want = (
            -twin.MU0
            * 474e3
            * core
            * particles
            * a[:, bins, None]
            * 1j
            * omega[:, None]
            * np.einsum("cl,lfn->cfn", p, mhat)
        )
        assert np.max(np.abs(matrix.values - want)) < 1e-12 * np.abs(want).max()
        np.testing.assert_allclose(matrix.transfer_function, a[:, bins])


def test_position_dependent_coils_reduce_to_their_field():
    sequence = mj.LissajousSequence.create(amplitude=AMPLITUDE)
    loop = mj.LoopCoil(np.float64(0.08), np.array([0.0, 0.0, 0.05]), np.array([0.0, 0.0, 1.0]))
    t = 2 * np.pi * np.arange(257) / 256
    polygon = mj.PolylineCoil(np.stack([0.08 * np.cos(t), 0.08 * np.sin(t), 0 * t + 0.05], 1))
    side = mj.LoopCoil(np.float64(0.08), np.array([0.09, 0.0, 0.0]), np.array([1.0, 0.0, 0.0]))
    bins = np.arange(30, 60)
    scanner = mj.Scanner.create((1.0, 1.0, -2.0), receive_coils=(loop, polygon, side))
    matrix = mj.simulate_system_matrix(scanner, sequence, PARTICLE, GRID, bins)
    ideal = mj.simulate_system_matrix(mj.Scanner.create((1.0, 1.0, -2.0)), sequence, PARTICLE, GRID, bins)
    p = np.asarray(side.field(jnp.asarray(GRID.positions, jnp.float32))) / twin.MU0
    want = np.einsum("nl,lfn->fn", p, np.asarray(ideal.values))
    assert np.max(np.abs(matrix.values[2] - want)) < 1e-5 * np.abs(want).max()
    scale = np.abs(matrix.values[0]).max()
    assert np.max(np.abs(matrix.values[0] - matrix.values[1])) < 2e-3 * scale  # chord error of 256 segments


def test_derivatives_through_the_simulator():
    def energy(diameter, gradient, amplitude):
        scanner = mj.Scanner.create(gradient * jnp.array([1.0, 1.0, -2.0]))
        sequence = mj.LissajousSequence.create(
            amplitude * jnp.array([1.0, 1.0, 0.0]), active=(True, True, False), n_samples=96
        )
        grid = mj.Grid.create((4, 4, 1), (20e-3, 20e-3, 1e-3))
        values = mj.simulate_system_matrix(
            scanner, sequence, mj.Particle.create(diameter), grid, memory_limit=50000
        ).values
        return jnp.sum(jnp.abs(values * 1e12) ** 2)

    with jax.enable_x64(True):
        point = (20e-9, 1.0, 12e-3)
        gradient = jax.jit(jax.grad(energy, argnums=(0, 1, 2)))(*point)
        for i, (x, g) in enumerate(zip(point, gradient, strict=True)):
            up, down = (energy(*(v * (1 + s * (j == i)) for j, v in enumerate(point))) for s in (1e-5, -1e-5))
            np.testing.assert_allclose(g, (up - down) / (2e-5 * x), rtol=1e-7)
    jitted = jax.jit(jax.value_and_grad(lambda d, ms: energy32(d, ms), argnums=(0, 1)))(
        jnp.float32(20e-9), jnp.float32(474e3)
    )
    assert all(np.all(np.isfinite(x)) and np.all(x != 0) for x in jax.tree.leaves(jitted))


def energy32(diameter, magnetization):
    """beta^2 h^2 must not underflow when everything is traced in float32."""
    sequence = mj.LissajousSequence.create((12e-3, 12e-3, 0), n_samples=96)
    particle = mj.Particle.create(diameter, magnetization)
    spectrum = mj.moment_spectrum(SCANNER, sequence, particle, GRID)
    return jnp.sum(jnp.abs(spectrum) ** 2)


def test_compiles_once_and_frequencies_are_traced(monkeypatch):
    traces = []
    original = moments.langevin_ratio
    monkeypatch.setattr(moments, "langevin_ratio", lambda s: traces.append(1) or original(s))
    sequence = mj.LissajousSequence.create(amplitude=AMPLITUDE, n_samples=500)
    for diameter, first in ((20e-9, 3), (23e-9, 7), (18e-9, 50)):
        mj.moment_spectrum(SCANNER, sequence, mj.Particle.create(diameter), GRID, np.arange(first, first + 4))
    assert len(traces) == 1


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda s: mj.moment_spectrum(SCANNER, s, PARTICLE, GRID, np.array([0, 817])), "bins are 0 to 816"),
        (lambda s: mj.moment_spectrum(SCANNER, s, PARTICLE, GRID, np.array([0.5])), "expected integers"),
        (lambda s: mj.moment_spectrum(SCANNER, s, PARTICLE, GRID, engine="magic"), "'magic'"),
        (lambda s: mj.moment_spectrum(SCANNER, s, PARTICLE, GRID, dtype="float64"), "enable_x64"),
        (lambda s: mj.moment_spectrum(SCANNER, s, PARTICLE, GRID, memory_limit=1000), "one voxel"),
    ],
)
def test_bad_requests(call, message):
    with pytest.raises(ValueError, match=message):
        call(mj.LissajousSequence.create(amplitude=AMPLITUDE))

"""Particle models from outside: the one of docs/add_a_particle_model.md in every engine, one with a kink, and what is none."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import mpijax as mj
from mpijax.core.pytree import pytree
from mpijax.system import ParticleModel, Setup
from mpijax.system.model import check_model

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "add_a_particle_model.md").read_text()
(SNIPPET,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)

SCANNER = mj.Scanner.create((-1.0, -1.0, 2.0), (1e-3, 0.0, 0.0))
SEQUENCE = mj.LissajousSequence.create((12e-3, 9e-3, 12e-3), dividers=(8, 9, 7))
GRID = mj.Grid.create((3, 4, 2), (24e-3, 24e-3, 12e-3))
BINS = np.arange(1, 40)


@pytest.fixture(scope="module")
def page():
    names = {}
    exec(SNIPPET, names)
    return names


@pytree
class Kinked(ParticleModel):
    """m = xi/(1 + |xi|), which is not analytic."""

    saturation_magnetization: float
    beta: float

    def unit_moment(self, field, static_field, rule):
        xi = [self.beta * h for h in field]
        square = sum(component * component for component in xi)
        norm = jnp.sqrt(jnp.where(square == 0, 1, square)) * (square != 0)
        return [component / (1 + norm) for component in xi]


def spectrum(ratio, beta):
    """rfft(m)/N (3, f, n) in NumPy."""
    t = np.arange(SEQUENCE.n_samples) / SEQUENCE.n_samples * SEQUENCE.period
    drive = np.array(SEQUENCE.amplitude)[:, None] * np.cos(2 * np.pi * 2.5e6 / np.array([[8], [9], [7]]) * t)
    static = np.asarray(GRID.positions) * [-1, -1, 2] + [1e-3, 0, 0]
    xi = beta * (static[:, :, None] + drive)
    moment = xi * ratio(np.sqrt(np.sum(xi * xi, axis=1, keepdims=True)))
    return np.fft.rfft(moment).transpose(1, 2, 0) / SEQUENCE.n_samples


def reference(ratio, beta, ms):
    """Volts per mmol/L and voxel, with the constants written out."""
    spectra = spectrum(ratio, beta)[:, BINS] * SEQUENCE.n_samples
    iron = 1.0 * 0.23153 / (3 * 5180) * np.prod([8e-3, 6e-3, 6e-3])
    frequencies = np.fft.rfftfreq(SEQUENCE.n_samples, SEQUENCE.period / SEQUENCE.n_samples)[BINS]
    return -4e-7 * np.pi * ms * iron * 2j * np.pi * frequencies[:, None] * spectra


def smooth(norm):
    return 1 / np.sqrt(1 + norm**2)


def distance(found, expected):
    return np.abs(np.asarray(found) - expected).max() / np.abs(expected).max()


@pytest.mark.parametrize("engine", ["auto", "time", "separable"])
@pytest.mark.parametrize("x64", [False, True])
def test_the_model_of_the_page_in_every_engine(page, engine, x64):
    with jax.enable_x64(x64):
        particle = page["Saturating"](474e3, 120.0)
        found = mj.moment_spectrum(SCANNER, SEQUENCE, particle, GRID, engine=engine)
        assert distance(found, spectrum(smooth, 120.0)) < (1e-9 if x64 else 2e-5)
        if engine == "time":
            matrix = mj.simulate_system_matrix(SCANNER, SEQUENCE, particle, GRID, BINS)
            assert matrix.particle is particle
            assert distance(matrix.values, reference(smooth, 120.0, 474e3)) < (1e-9 if x64 else 2e-5)


def test_its_phase_nodes(page):
    setup = Setup(SCANNER, SEQUENCE, page["Saturating"](474e3, 80.0), np.array([3, 4, 2]), GRID.fov, GRID.center)
    exact, inside = mj.system.simulate_rows(setup, (3, 4, 2), np.arange(1, 40))
    rows, _ = mj.system.simulate_rows(setup, (3, 4, 2), np.arange(1, 40), nodes=16)
    assert inside.all() and distance(rows, exact) < 1e-4


def test_its_field_free_line(page):
    particle = page["Saturating"](474e3, 300.0)
    line = mj.simulate_field_free_line(0.8, 12e-3, [0.0], particle, GRID, harmonics=(3,), samples=64)
    z, y = np.asarray(GRID.positions)[:, 2, None], np.asarray(GRID.positions)[:, 1, None]
    swept = 0.8 * y + 12e-3 * np.sin(2 * np.pi * np.arange(64) / 64)
    moment = 300 * swept / np.sqrt(1 + 300**2 * (swept**2 + (0.8 * z) ** 2))
    expected = np.abs(np.fft.rfft(moment)[:, 3])
    found = np.abs(line.values[0, 0])
    np.testing.assert_allclose(found / found.max(), expected / expected.max(), atol=1e-5)


def test_the_page_runs_and_its_image_is_found(page):
    found = np.asarray(page["solution"].value)[0].ravel()
    assert (
        np.argmax(found) == 40
        and found[40] > 0.9 * np.linalg.norm(found)
        and found[40] == pytest.approx(10.0, rel=0.25)
    )
    matrix = page["matrix"]
    np.testing.assert_allclose(
        matrix.measure(page["image"]).values.ravel(), np.asarray(matrix.rows())[:, 40] * 10.0, rtol=1e-5, atol=1e-16
    )


def test_its_gradient(page):
    def voltage(beta):
        matrix = mj.simulate_system_matrix(SCANNER, SEQUENCE, page["Saturating"](474e3, beta), GRID, np.arange(4, 9))
        return jnp.abs(matrix.values * 1e6)

    with jax.enable_x64(True):
        check_grads(voltage, (300.0,), order=1, modes=["rev"], eps=1e-2)


def test_a_model_with_a_kink_has_no_separable_engine():
    particle = Kinked(400e3, 250.0)
    with jax.enable_x64(True):
        matrix = mj.simulate_system_matrix(SCANNER, SEQUENCE, particle, GRID, BINS)
        assert distance(matrix.values, reference(lambda norm: 1 / (1 + norm), 250.0, 400e3)) < 1e-9
    with pytest.raises(ValueError, match="no expansion that pays"):
        mj.simulate_system_matrix(SCANNER, SEQUENCE, particle, GRID, BINS, engine="separable")
    with pytest.raises(TypeError, match="Kinked; fit\\(\\) knows the parameters of an mj.Particle alone"):
        mj.fit(mj.simulate_system_matrix(SCANNER, SEQUENCE, particle, GRID, BINS))


def test_one_compilation_for_all_parameters(page):
    traces = []

    class Counted(page["Saturating"]):
        def unit_moment(self, field, static_field, rule):
            traces.append(rule)
            return super().unit_moment(field, static_field, rule)

    Counted = pytree(Counted)
    for beta in (200.0, 300.0, 400.0):
        mj.moment_spectrum(SCANNER, SEQUENCE, Counted(474e3, beta), GRID, BINS, engine="time")
    assert traces == [()]


@pytest.mark.parametrize("given", [20e-9, "resovist", None])
def test_what_is_no_model(given):
    with pytest.raises(TypeError, match="expected a particle model, mj.Particle.create"):
        check_model(given)

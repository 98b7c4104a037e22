"""Relaxation in a spectrometer: loops that absorb, Debye's limit, water, and what is written."""

import json
from dataclasses import replace

import numpy as np
import pytest

import mpijax as mj
from experiments.figures.relaxation import plot_harmonics, plot_loops
from experiments.relaxation_gallery import (
    PRESETS,
    Point,
    brown,
    harmonics,
    main,
    neel,
    scan_rows,
    water_viscosity,
)

SAMPLES = 64


def area(moment, xi):
    """Work of the field on the moment in a period, the area of B dm, over kB T: by the trapezoidal rule."""
    field = xi * np.sin(2 * np.pi * np.arange(SAMPLES + 1) / SAMPLES)
    closed = np.append(moment, moment[0])
    return np.sum((field[1:] + field[:-1]) / 2 * np.diff(closed))


@pytest.mark.parametrize("make", [neel, brown])
def test_a_loop_absorbs_and_equilibrium_has_none(make):
    """The area of B dm is the work of the field: positive for a moment that lags, and -area of m dB."""
    late, rest = (Point("", make(follows=follows), 25e3, 5e-3) for follows in (False, True))
    moment, still = late.moment(SAMPLES), rest.moment(SAMPLES)
    xi = float(late.particle.beta) * 5e-3
    assert area(moment, xi) > 0.5
    assert late.heat(moment) == pytest.approx(area(moment, xi), rel=5e-3)  # the rule's own error, of second order
    assert abs(area(still, xi)) < 1e-4 and abs(rest.heat(still)) < 1e-4
    cosine = np.cos(2 * np.pi * np.arange(SAMPLES) / SAMPLES)
    assert -2 * np.pi * xi * np.mean(moment * cosine) == pytest.approx(late.heat(moment), rel=1e-5)


def test_small_fields_are_debyes():
    """chi'' of Brownian rotation is w tau/(1 + (w tau)^2)/3 of beta, with its peak at w tau = 1."""
    particle = brown()
    tau, amplitude = float(particle.dynamics.time(particle)), 5e-5
    imaginary = {}
    for turn in (0.5, 0.8, 1.0, 1.25, 2.0):
        moment = Point("", particle, turn / (2 * np.pi * tau), amplitude).moment(SAMPLES)
        response = harmonics(moment)[0] / (float(particle.beta) * amplitude)
        np.testing.assert_allclose(response, 1 / (3 * (1 + 1j * turn)), rtol=5e-4)
        imaginary[turn] = -response.imag
    assert max(imaginary, key=imaginary.get) == 1.0


def test_water():
    """IAPWS: 1.0016 mPa s at 20 degrees C, 0.8900 at 25 degrees C."""
    assert water_viscosity(293.15) == pytest.approx(1.0016e-3, rel=1e-4)
    assert water_viscosity(298.15) == pytest.approx(0.8900e-3, rel=1e-4)


def test_lags_run_on_beyond_a_turn():
    """A third harmonic that lags more with the frequency, and is None where it is rounding."""
    points = {v: [Point("Brown", brown(v), 100e3, 2e-3)] for v in (5e-4, 1e-3, 4e-3)}
    *known, rounding = scan_rows("viscosity / (mPa s)", points, SAMPLES)
    lags = [row["lag 3 [deg]"] for row in known]
    assert 180 < lags[0] < lags[1] < 270
    assert rounding["a3"] is None and rounding["lag 3 [deg]"] is None and rounding["a1"] > 1e-2


@pytest.mark.slow
def test_gallery_writes_what_it_found(tmp_path):
    config = replace(PRESETS["quick"], frequencies=(25.0,), amplitudes=(5.0,), samples=SAMPLES, run_dir=tmp_path)
    results = main(config)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    weak, strong, rest, water, langevin = (row["heat [kB T]"] for row in results["loops"])
    assert 0 < weak < strong < water and abs(rest) < 1e-4 and abs(langevin) < 1e-4
    cold, warm = ({r["model"]: r for r in results["harmonics"] if r["value"] == t} for t in config.temperatures)
    change = {model: warm[model]["a3"] / cold[model]["a3"] for model in cold}
    assert change["Brown, water"] > 2 and 0.9 < change["Brown"] < 1  # thinner water against a weaker moment
    assert f"{strong:.4g}" in (tmp_path / "report.md").read_text()
    for name in ("loops", "harmonics"):
        assert 10e3 < (tmp_path / f"relaxation_{name}.png").stat().st_size < 150e3


def test_figures_name_what_they_show():
    loops = {"a": {"equilibrium": np.zeros(8), "late": np.sin(2 * np.pi * np.arange(8) / 8 - 1)}}
    upper, lower = plot_loops(loops, 20.0).axes
    assert lower.get_xlabel() == "drive field / mT" and "signal" in lower.get_ylabel()
    np.testing.assert_allclose(lower.lines[1].get_ydata()[:8], -np.cos(2 * np.pi * np.arange(8) / 8 - 1), atol=1e-12)
    assert [text.get_text() for text in upper.get_legend().get_texts()] == ["equilibrium", "late"]
    row = {"over": "viscosity / (mPa s)", "model": "Brown", "a3": 0.1, "a5": None, "a7": None, "lag 3 [deg]": 40.0}
    inside, whole, lag = plot_harmonics([row | {"value": 1.0}, row | {"value": 2.0}]).axes
    assert not inside.lines and "does not depend" in inside.texts[0].get_text()
    assert lag.get_xlabel() == "viscosity / (mPa s)" and lag.get_xscale() == "log" and whole.get_yscale() == "log"
    np.testing.assert_array_equal(lag.lines[0].get_xydata(), [[1, 40], [2, 40]])
    for draw in (lambda: plot_loops({}, 1.0), lambda: plot_harmonics([])):
        with pytest.raises(ValueError, match="is empty"):
            draw()


def test_particles_of_the_gallery():
    assert float(neel().alpha) == pytest.approx(7.37, abs=0.01) and isinstance(neel().dynamics, mj.Neel)
    assert float(2 * brown().dynamics.shell_thickness + brown().core_diameter) == pytest.approx(40e-9)

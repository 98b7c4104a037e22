import json

import numpy as np
import pytest

pytest.importorskip("diffrax")
from experiments.equilibrium_validity import MODELS, Config, derivative, main, summary  # noqa: E402
from experiments.figures.validity import plot_validity  # noqa: E402

ANISOTROPIC, LANGEVIN = MODELS


def test_errors_over_anisotropy(tmp_path):
    """A particle of 15 nm: both models agree at K = 0; with anisotropy only one of them stays good."""
    results = main(Config(diameters=(15.0,), constants=(0.0, 2500.0), samples=256, rtol=1e-6, run_dir=tmp_path))
    none, some = results["cells"]
    assert none[ANISOTROPIC] == pytest.approx(5.9e-4, rel=0.05) and none[LANGEVIN] == pytest.approx(none[ANISOTROPIC])
    assert some[ANISOTROPIC] == pytest.approx(9.3e-4, rel=0.05) and some[LANGEVIN] == pytest.approx(0.075, rel=0.05)
    assert json.loads((tmp_path / "results.json").read_text()) == results
    assert results["summary"] == {"good_up_to_alpha": some["alpha"], "no_gain_from_alpha": None}
    assert (
        f"{some[ANISOTROPIC]:.4g}" in (tmp_path / "report.md").read_text() and (tmp_path / "equilibrium.png").exists()
    )


def test_derivative_of_a_sine():
    t = np.arange(16) / 16
    np.testing.assert_allclose(derivative(np.sin(4 * np.pi * t)), 4 * np.pi * np.cos(4 * np.pi * t), atol=1e-12)


def test_summary_finds_the_limits():
    table = [
        (0.0, 1e-3, 1e-3),
        (1.0, 2e-3, 0.1),
        (6.0, 0.05, 0.12),
        (5.0, 0.02, 0.13),
        (9.0, 0.4, 0.3),
        (20.0, np.nan, np.nan),
    ]
    rows = [{"alpha": a, ANISOTROPIC: e, LANGEVIN: f} for a, e, f in table]
    assert summary(rows) == {"good_up_to_alpha": 1.0, "no_gain_from_alpha": 9.0}


def test_figure_writes_values():
    errors = {"a": np.array([[1e-3, 0.25]]), "b": np.array([[0.05, 2.0]])}
    figure = plot_validity(np.array([20e-9]), np.array([0.0, 5e3]), errors, np.array([[0.0, 5.2]]))
    left, right = ([t.get_text() for t in axes.texts] for axes in figure.axes[:2])
    assert left[::2] == ["0.001", "0.25"] and right[::2] == ["0.05", "> 1"] and "5.2" in left[3]
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["0", "5"]
    with pytest.raises(ValueError, match="names no model"):
        plot_validity(np.array([20e-9]), np.array([0.0]), {}, np.zeros((1, 1)))

"""Rows of planar matrices against Neel rotation: what an error is, its growth with alpha, and what is written."""

import json

import numpy as np
import pytest

from experiments.equilibrium_validity_2d import Config, main, mixing_orders, row_errors, summary, table
from experiments.figures.validity import plot_orders


def test_errors_of_rows_without_and_with_a_gain():
    """A row turned and scaled is the same picture; an orthogonal one is not."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(3, 40)) + 1j * rng.normal(size=(3, 40))
    other = np.linalg.qr(np.stack([truth[2], rng.normal(size=40)], 1))[0][:, 1]
    model = np.stack([truth[0], (1 + 1j) * truth[1], np.linalg.norm(truth[2]) * other])
    plain, shape = row_errors(model, truth)
    np.testing.assert_allclose(plain, [0, 1, np.sqrt(2)], atol=1e-12)
    np.testing.assert_allclose(shape, [0, 0, 1], atol=1e-7)


def test_mixing_orders_of_the_first_harmonics():
    """The two drive frequencies are 16 and 17 of 1/period: order 1; their third harmonics are order 3."""
    orders = mixing_orders()
    assert [orders[k] for k in (16, 17, 33, 48, 51)] == [1, 1, 2, 3, 3]


@pytest.mark.slow
def test_errors_grow_with_the_anisotropy(tmp_path):
    results = main(Config(diameters=(20.0,), constants=(2500.0, 7500.0, 20000.0), positions=3, run_dir=tmp_path))
    assert json.loads((tmp_path / "results.json").read_text()) == results
    rows = {(r["geometry"], r["orders"], round(r["alpha"], 1)): r for r in results["cells"]}
    assert {alpha for *_, alpha in rows} == {2.6, 7.8}  # 20.7 is beyond the table
    for geometry in ("immobilized", "fluid"):
        weak, strong = rows[geometry, "1 to 6", 2.6], rows[geometry, "1 to 6", 7.8]
        assert weak["equilibrium"] < 0.02 < 0.04 < strong["equilibrium"] < strong["Langevin"]
        assert weak["with the best gain"] <= weak["equilibrium"]
    assert rows["immobilized", "13 to 20", 7.8]["equilibrium"] > 0.8
    assert f"{strong['equilibrium']:.2g}" in (tmp_path / "report.md").read_text()
    assert 10e3 < (tmp_path / "equilibrium_2d.png").stat().st_size < 150e3


def test_limits_and_the_figure():
    made = [(1.0, 0.01, 0.3), (2.0, 0.2, 0.4), (3.0, 0.05, 0.5), (9.0, 0.8, 0.7)]
    rows = [
        {
            "geometry": "fluid", "orders": "7 to 12", "alpha": a, "equilibrium": e, "with the best gain": e / 4,
            "Langevin": langevin, "d [nm]": a, "K [J/m^3]": 1.0,
        }
        for a, e, langevin in made
    ]  # fmt: skip
    found = next(line for line in summary(rows) if (line["geometry"], line["orders"]) == ("fluid", "7 to 12"))
    assert list(found.values())[2:] == [1.0, 3.0, 9.0]
    assert table(rows)[1]["fluid, 7 to 12"] == "0.2 (0.05) / 0.4" and table(rows)[1]["immobilized, 1 to 6"] == "-"
    (axes,) = plot_orders(rows, 0.1).axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [(a, e) for a, e, _ in made])
    assert axes.get_title() == "fluid" and axes.lines[2].get_ydata()[0] == 0.1
    with pytest.raises(ValueError, match="is empty"):
        plot_orders([], 0.1)

"""Predicting hidden positions of simulated lines: nothing hidden is looked at, and a true model finds what splines cannot."""

from dataclasses import replace

import numpy as np
import pytest

import mpijax as mj
from experiments.figures.hidden import plot_hidden
from experiments.support.hidden_positions import METHODS, hidden_positions, patterns, predict, refined

PARTICLE = mj.Particle.create(19e-9)


def scanner(gradient=0.18, middle=0.156):
    return mj.Scanner.create(
        (gradient, -gradient / 2, -gradient / 2), (-gradient * middle, 0, 0), receive_coils=((1, 0, 0),)
    )


def fit(matrix, weights):
    return mj.fit(
        matrix,
        scanner(0.2),
        particle=PARTICLE,
        free=("gradient", "ffp_x"),
        weights=weights,
        starts=1,
        iterations=20,
    )


@pytest.fixture(scope="module")
def line():
    sequence = mj.LissajousSequence.create(
        (5e-3, 0, 0), dividers=(4864, 4864, 4864), base_frequency=125e6, n_samples=152
    )
    grid = mj.Grid.create((9, 1, 1), (0.09, 0.01, 0.01), (0.156, 0, 0))
    return mj.simulate_system_matrix(scanner(), sequence, PARTICLE, grid, np.array([2, 5]), engine="time")


def test_what_is_hidden():
    found = patterns(9)
    assert [list(h) for h in found["one"]] == [[i] for i in range(1, 8)]
    assert [list(h) for h in found["two neighbors"]] == [[i, i + 1] for i in range(1, 7)]
    assert [list(h) for h in found["every second"]] == [[1, 3, 5, 7]]


def test_hidden_values_are_not_looked_at(line):
    hidden = np.array([3, 4])
    values = np.array(line.values)
    values[..., hidden] = 1e3 * np.abs(values).max()
    first, second = (predict(matrix, hidden, fit) for matrix in (line, replace(line, values=values)))
    for name in METHODS:
        np.testing.assert_array_equal(first[name], second[name])


def test_the_true_model_predicts_and_a_spline_does_not(line):
    records = hidden_positions([line, line], fit)
    assert len(records) == 9
    for record in records:
        errors = record["errors"]
        assert errors["fitted"][0] < 1e-3 and errors["fitted + spline of its residual"][0] < 1e-3
        assert errors["fitted + tangents"][0] < 1e-3
        assert errors["cubic spline"][0] > 0.02 and record["verdict"]["fitted"] == "wins"
        for error, low, high in errors.values():
            assert low <= error <= high
    figure = plot_hidden(records)
    assert [axes.get_title() for axes in figure.axes] == [f"hidden: {name}" for name in patterns(9)]
    assert len(figure.axes[0].containers) == len(METHODS)


def test_tangents_bring_a_wrong_row_nearer():
    x = np.linspace(-2, 2, 9)
    seen = np.arange(9) != 4
    truth, model, change = np.exp(-((x - 0.1) ** 2))[None], np.exp(-(x**2))[None], (x * np.exp(-(x**2)))[None, None]
    found = refined(model + 0j, change + 0j, truth[:, seen] + 0j, seen)
    start = refined(model + 0j, np.zeros_like(change) + 0j, truth[:, seen] + 0j, seen)
    assert np.linalg.norm(found - truth) < 0.3 * np.linalg.norm(start - truth)

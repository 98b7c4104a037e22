"""Reconstructions, learning curves, SNR and background drift show what they are given."""

import itertools

import numpy as np
import pytest

from mpijax import viz
from mpijax.physics.sequences import UNREACHED
from mpijax.viz.style import new_figure


def test_reconstructions_share_a_scale_and_state_their_metrics():
    truth = np.zeros((12, 16))
    truth[4:8, 5:9] = 10.0
    figure = viz.plot_reconstructions({"scaled": 0.9 * truth, "coarse": truth[::2, ::2], "signed": truth - 1}, truth)
    figure.canvas.draw()
    titles = [axes.get_title() for axes in figure.axes]
    assert titles[0] == "truth"
    # 16 of 192 pixels are off by a tenth of the peak: 10 log10(12 * 100) = 30.8 dB
    assert titles[1].startswith("scaled\nnRMSE 10.0 %\npSNR 30.8 dB\nSSIM 0.9")
    assert titles[2] == "coarse" and titles.count("error") == 2
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert {image.get_clim() for image in images[:4]} == {(0, 10)}
    assert {image.get_clim() for image in images[4:]} == {(-1, 1)}
    bars = [axes for axes in figure.axes if "mmol(Fe)/L" in axes.get_ylabel()]
    assert [bar.get_ylabel() for bar in bars] == ["mmol(Fe)/L", "error / mmol(Fe)/L"]


def test_a_limit_of_errors_ends_their_scale():
    truth = np.eye(12)
    figure = viz.plot_reconstructions({"far": truth + 3, "near": truth + 0.5}, truth, error_limit=0.5)
    figure.canvas.draw()
    images = [axes.images[0] for axes in figure.axes if axes.images]
    assert {image.get_clim() for image in images[3:]} == {(-0.5, 0.5)}


def test_reconstructions_without_truth_have_axes_in_millimeters():
    figure = viz.plot_reconstructions({"a": np.ones((4, 4)), "b": np.eye(4)}, extent=(-2, 2, -1, 1))
    figure.canvas.draw()
    assert [axes.get_xlabel() for axes in figure.axes[:2]] == ["x / mm", "x / mm"]
    assert [axes.get_ylabel() for axes in figure.axes[:2]] == ["y / mm", ""]
    assert figure.axes[0].images[0].get_extent() == [-2, 2, -1, 1]


def records(factor):
    training = [{"step": s, "loss": factor / s, "seconds": 1.0} for s in (10, 20, 30)]
    return [*training, {"step": 20, "loss": None}, {"step": 30, "validation": {"nrmse": 0.1 * factor, "psnr": 30.0}}]


def test_learning_curve_draws_the_loss_and_every_validation_metric():
    figure = viz.plot_learning_curve({"a": records(1.0), "b": records(2.0)})
    figure.canvas.draw()
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "nrmse", "psnr"]
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "linear", "linear"]
    line = figure.axes[0].get_lines()[1]
    np.testing.assert_allclose(line.get_xydata(), [[10, 0.2], [20, 0.1], [30, 2 / 30]])
    assert [text.get_text() for text in figure.axes[-1].get_legend().get_texts()] == ["a", "b"]
    assert len({line.get_color() for line in figure.axes[0].get_lines()}) == 2


def test_learning_curve_names_what_the_records_hold():
    assert viz.plot_learning_curve({"a": records(1.0)}, ["validation.psnr"]).axes[0].get_ylabel() == "psnr"
    with pytest.raises(ValueError, match=r"\['accuracy'\]; the records hold \['step', 'loss'"):
        viz.plot_learning_curve({"a": records(1.0)}, ["accuracy"])
    with pytest.raises(ValueError, match="the records hold"):
        viz.plot_learning_curve({"a": []})


def test_snr_counts_rows_and_leaves_unreached_orders_out():
    frequencies = np.array([0.0, 50e3, 100e3, 150e3])
    snr = np.array([[0.0, 20.0, 5.0, 2.0], [0.0, 1.0, 8.0, 0.5]])
    orders = np.array([[0, 0, 0], [2, 0, 0], [3, -1, 0], [UNREACHED] * 3])
    figure = viz.plot_snr(frequencies, snr, orders, threshold=5.0)
    figure.canvas.draw()
    left, right = figure.axes
    assert left.get_title() == "3 of 8 rows with SNR ≥ 5"
    np.testing.assert_allclose(left.get_lines()[0].get_xdata(), frequencies / 1e3)
    np.testing.assert_allclose(np.round(right.get_lines()[0].get_xdata()), [0, 2, 4])
    assert {text.get_text() for text in left.texts} >= {"(2, 0, 0)", "(3, −1, 0)"}
    assert len(viz.plot_snr(frequencies, snr).axes) == 1


def test_names_of_strong_rows_do_not_overlap():
    frequencies = np.arange(0, 1250e3, 25e3)
    snr = np.tile(1e3 * 0.97 ** np.arange(50), (2, 1))
    orders = np.stack([np.arange(50), np.zeros(50, int), np.zeros(50, int)], 1)
    figure = viz.plot_snr(frequencies, snr, orders)
    figure.canvas.draw()
    boxes = sorted((box.x0, box.x1) for box in (text.get_window_extent() for text in figure.axes[0].texts))
    assert len(boxes) == 5
    assert all(right <= left for (_, right), (left, _) in itertools.pairwise(boxes))


def test_steady_background_noise_reads_one_and_drift_rises():
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((40, 2, 300)) + 1j * rng.standard_normal((40, 2, 300))
    noise *= np.logspace(-9, -3, 300)
    steady = noise[:, :1]
    drifting = noise[:, 1:] + np.linspace(-3, 3, 40)[:, None, None] * np.logspace(-9, -3, 300)
    figure = viz.plot_background_drift(np.concatenate([steady, drifting], 1), np.linspace(0, 1e6, 300))
    figure.canvas.draw()
    flat, rising = (line.get_ydata() for line in figure.axes[0].get_lines()[:2])
    np.testing.assert_allclose(flat, 1.0, atol=0.15)
    assert rising[0] > 1.8 and rising[-1] > 1.8 and rising[20] < 1.2
    assert [axes.get_title() for axes in figure.axes[1:3]] == ["channel x", "channel y"]


def test_drift_needs_frames_and_survives_silent_bins():
    silent = viz.plot_background_drift(np.zeros((3, 1, 4), complex), np.arange(4.0))
    np.testing.assert_array_equal(silent.axes[0].get_lines()[0].get_ydata(), 0)
    with pytest.raises(ValueError, match="at least 3"):
        viz.plot_background_drift(np.zeros((2, 1, 4), complex), np.arange(4.0))


def test_parts_of_one_figure():
    whole = new_figure(7, 6)
    upper, middle, lower = whole.subfigures(3, 1)
    frequencies = np.linspace(0, 1e6, 5)
    viz.plot_snr(frequencies, np.ones((2, 5)), figure=upper)
    viz.plot_rows({"rows": np.ones((2, 4, 4), complex)}, extent=tuple(np.float32([-1, 1, -1, 1])), figure=middle)
    viz.plot_background_drift(np.zeros((3, 1, 5), complex), frequencies, figure=lower)
    whole.canvas.draw()
    assert [len(part.axes) for part in (upper, middle, lower)] == [1, 3, 3]

"""A reconstruction that is tuned: what it shows is what its plan makes, and what it writes can be made again."""

from dataclasses import replace

import numpy as np
import pytest

import mpijax as mj
from mpijax.plans import ReconstructPlan
from mpijax.reconstruction import PreparedSolver, Tikhonov
from mpijax.view.state.reconstruction import ReconstructionState
from mpijax.view.state.spectrum import Spectrum
from tests.view.files import write_measurement


@pytest.fixture
def state(folder):
    return ReconstructionState(folder / "sm.mdf", [folder / "m.mdf"])


@pytest.mark.parametrize("name", ["kaczmarz", "tikhonov", "admm"])
def test_the_image_is_that_of_the_plan(state, name):
    state.choose_solver(name)
    state.change("data", average_frames=1)
    state.change("solver", regularization=0.03)
    state.frame = 4
    shown = state.show()
    image = state.plan.reconstruct(state.system_matrix, state.measurement).images[4]
    np.testing.assert_allclose(shown.image, image, atol=2e-4 * np.abs(image).max())
    assert shown.image.shape == (1, 5, 7) and np.unravel_index(np.argmax(shown.image), (1, 5, 7)) == (0, 2, 3)
    assert shown.norm == pytest.approx(np.linalg.norm(image), rel=1e-3)
    assert 0 < shown.residual < 0.2 and shown.settings[:2] == (name, "0.03")


def test_a_larger_lambda_prepares_no_rows_anew(state, monkeypatch):
    first = state.show()
    monkeypatch.setattr("mpijax.plans.inputs.read_system_matrix", None)
    monkeypatch.setattr("mpijax.plans.inputs.read_measurement", None)
    state.change("solver", regularization=10.0)
    second = state.show()
    assert second.norm < 0.8 * first.norm and second.residual > first.residual
    state.change("rows", max_order=5)
    with pytest.raises(TypeError):
        state.show()


def test_tikhonov_runs_along_lambda_on_one_decomposition(state, monkeypatch):
    state.choose_solver("tikhonov")
    state.show()
    monkeypatch.setattr("mpijax.view.state.spectrum.np.linalg.eigh", None)
    state.change("solver", regularization=0.2)
    assert state.show().residual > 0


@pytest.mark.parametrize("rows", [10, 60])
@pytest.mark.parametrize("real", [True, False])
def test_the_decomposition_gives_the_minimizer_and_its_residual(state, rows, real):
    state.show()
    problem = state._problem()
    weights = np.linspace(0.5, 1.5, rows).astype(np.float32)
    problem = replace(problem, matrix=problem.matrix[:rows], data=problem.data[:, :rows], row_weights=weights)
    solver = Tikhonov(regularization=1e-3, constraint="real" if real else None)
    expected = PreparedSolver.create(problem, solver)(problem)
    spectrum = Spectrum.create(problem, real)
    data = spectrum.data(problem)
    absolute = float(problem.equations().absolute(1e-3, True).number())
    x = spectrum.solve(data, absolute)
    image = np.asarray(problem.images(x))
    np.testing.assert_allclose(image, expected.value, atol=1e-4 * np.abs(image).max())
    np.testing.assert_allclose(spectrum.residual(x, data), expected.stats.residual, rtol=1e-3)


def test_a_decomposition_that_would_take_long_is_left_to_the_solver(state, monkeypatch):
    monkeypatch.setattr("mpijax.view.state.spectrum.MOST", 5)
    state.choose_solver("tikhonov")
    assert state.show().residual > 0


def test_what_cannot_be_leaves_the_plan_as_it_was(state):
    plan = state.plan
    for part, choice in (("rows", {"weights": "heavy"}), ("data", {"background": "green"}), ("solver", {"sweeps": 0})):
        with pytest.raises(ValueError):
            state.change(part, **choice)
    assert state.plan is plan


def test_history_keeps_one_image_per_plan_and_returns_to_it(state):
    first = state.show()
    state.keep(first)
    state.keep(state.show())
    assert len(state.history) == 1
    state.change("solver", regularization=1.0)
    state.keep(state.show())
    assert len(state.history) == 2
    state.return_to(state.history[0])
    state.keep(state.show())  # the first plan again, behind another one
    assert len(state.history) == 2 and state.history[-1].plan == first.plan
    np.testing.assert_array_equal(state.show().image, first.image)


def test_a_measurement_of_another_scanner_is_one_sentence_and_the_state_goes_on(folder, tmp_path):
    matrix = mj.io.read_system_matrix(folder / "sm.mdf")
    values = dict(n_samples=400, bandwidth=matrix.bandwidth, frequency_indices=matrix.frequency_indices)
    other = mj.LissajousSequence.create((9e-3, 12e-3, 0), n_samples=400)
    measured = mj.Measurement.create(
        np.ones((1, 1, 3, 150), np.complex64), matrix.frequencies, sequence=other, scanner=matrix.scanner, **values
    )
    mj.io.write_measurement(tmp_path / "other.mdf", measured)
    state = ReconstructionState(folder / "sm.mdf", [tmp_path / "other.mdf", folder / "m.mdf"])
    with pytest.raises(ValueError, match="drive"):
        state.show()
    state.measurement = state.measurements[1]
    assert state.show().residual < 0.2


def test_what_is_written_can_be_made_again(state, folder, tmp_path):
    state.change("data", average_frames=2)
    state.change("solver", regularization=0.05, sweeps=3)
    state.frame = 1
    for kind in ("mdf", "png", "toml", "gif"):
        assert state.save(tmp_path / "image", kind).stat().st_size > 100
    images = mj.io.read_reconstruction(tmp_path / "image.mdf").images
    assert images.shape == (3, 1, 5, 7)
    again = ReconstructPlan.load(tmp_path / "image.toml").reconstruct(folder / "sm.mdf", folder / "m.mdf")
    np.testing.assert_array_equal(again.images, images)
    assert ReconstructPlan.of_image(tmp_path / "image.mdf").text() == state.plan.text()
    with pytest.raises(ValueError, match="image.mdf is there already; give another name"):
        state.save(tmp_path / "image", "mdf")
    pytest.importorskip("nibabel")
    assert state.save(tmp_path / "image", "nii").stat().st_size > 100
    assert {path.suffix for path in tmp_path.iterdir()} == {".mdf", ".png", ".toml", ".gif", ".nii"}


def test_another_matrix_file_with_an_empty_scan(folder, tmp_path):
    matrix = mj.io.read_system_matrix(folder / "sm.mdf")
    write_measurement(tmp_path / "empty.mdf", matrix, frames=1)
    state = ReconstructionState(folder / "restored.mdf", [folder / "m.mdf"], tmp_path / "empty.mdf")
    assert state.show().norm > 0 and state.plan.data.empty == tmp_path / "empty.mdf"

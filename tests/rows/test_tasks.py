"""Tasks as values: what each observes, what it answers on, and one that comes from outside the package."""

import dataclasses
import sys
from pathlib import Path

import jax
import numpy as np
import pytest

import mpijax as mj
from mpijax import cli
from mpijax.restoration import Method, find_method
from mpijax.rows import TASKS, Complete, Denoise, Inpaint, Upsample, register_task, task_of
from tests.restoration.matrices import UNIT, noisy, smooth_matrix

OUTSIDE = '''
"""A task of another package: the calibration sample is three voxels long in x."""
import dataclasses
import jax.numpy as jnp
import numpy as np
from mpijax.rows import Task, dct_filter


def blur(n):
    kernel = np.abs(np.subtract.outer(np.arange(n), np.arange(n))) < 2
    return kernel / kernel.sum(1, keepdims=True)


@dataclasses.dataclass(frozen=True, eq=False)
class Sharpen(Task):
    """Undo the mean over three voxels in x."""

    strength: float = 1e-3
    name = "sharpen"
    verb = "sharpened"
    action = "sharpening"

    @property
    def stand_in(self):
        return "least-squares"

    def classical(self):
        def solve(rows, known, inside, sigma):
            a = blur(rows.shape[-1])
            return rows @ np.linalg.solve(a.T @ a + self.strength * np.eye(len(a)), a.T).T.astype(np.float32)

        return {"least-squares": solve}

    def observe(self, fine):
        return fine @ blur(fine.shape[-1]).T.astype(np.float32)
'''


def test_an_answer_holds_what_was_observed_where_it_was_observed():
    fine = np.random.default_rng(0).normal(size=(2, 9, 7)).astype(np.complex64)
    for scale in (2, 3):
        task = Complete(scale)
        seen = task.observe(fine)
        grid = mj.Grid.create((7, 9, 1), (7e-3, 9e-3, 1e-3), (1e-3, 2e-3, 0))
        small = mj.Grid.create(
            (seen.shape[2], seen.shape[1], 1),
            (scale * seen.shape[2] * 1e-3, scale * seen.shape[1] * 1e-3, 1e-3),
            grid.center,
        )
        if task.fine_shape(seen.shape[1:]) == fine.shape[1:]:
            np.testing.assert_allclose(task.grid(small).positions, grid.positions, atol=1e-12)
        canvas, known = task.lay_out(seen, np.ones(seen.shape[1:], bool))
        np.testing.assert_array_equal(task.observe(canvas), seen)
        assert np.count_nonzero(known) == seen[0].size and not canvas[:, ~known].any()


@pytest.mark.parametrize(
    "task", [Denoise(), Inpaint(), Complete(2), Complete(3), Upsample(2, "box"), Upsample(2, "stride")], ids=str
)
def test_training_shows_of_a_row_what_use_does(task):
    """What a network is trained on is what `lay_out` makes of the observed row, with the same voxels known."""
    fine = np.random.default_rng(1).normal(size=(2, 7, 10)).astype(np.complex64)
    whole = np.asarray(task.target_extent(np.array([10, 7, 1])))
    fine = fine[:, : whole[1], : whole[0]]
    measured = np.asarray(task.observe(fine))
    canvas, known = task.lay_out(measured, np.ones(measured.shape[1:], bool))
    seen = np.asarray(task.seen(fine))
    nx, ny, _ = np.asarray(task.seen_extent(np.array([*whole[:2], 1])))
    assert seen.shape[1:] == (ny, nx)

    def gaps(key, extent, shape):
        return jax.numpy.ones(nx * ny, bool)

    drawn = np.asarray(task.draw_known(jax.random.key(0), np.array([nx, ny, 1]), (int(nx), int(ny), 1), gaps))
    drawn = drawn.reshape(ny, nx)[: known.shape[0], : known.shape[1]]
    np.testing.assert_array_equal(drawn, known)
    np.testing.assert_array_equal(seen[:, : known.shape[0], : known.shape[1]] * drawn, canvas)


@pytest.mark.parametrize("sampling", ["box", "stride"])
def test_coarse_positions_are_where_the_fine_grid_says(sampling):
    """A linear ramp over the fine grid's own positions, observed, is the ramp over the coarse positions."""
    coarse = mj.Grid.create((5, 4, 1), (10e-3, 12e-3, 1e-3), (1e-3, -2e-3, 0))
    task = Upsample(2, sampling)
    fine = task.grid(coarse)
    ramp = np.asarray(fine.to_image(fine.positions @ np.array([1.0, 3.0, 0.0])))[0]
    want = np.asarray(coarse.to_image(coarse.positions @ np.array([1.0, 3.0, 0.0])))[0]
    np.testing.assert_allclose(task.observe(ramp[None] + 0j)[0], want, atol=1e-8)


def test_a_name_and_its_options_are_the_task():
    assert dataclasses.asdict(task_of("upsample", scale=4, sampling="box")) == {"scale": 4, "sampling": "box"}
    assert isinstance(task_of("denoise", scale=1), Denoise) and task_of("complete").scale == 2
    task = Inpaint("auto")
    assert task_of(task, scale=None) is task
    for call, message in (
        (lambda: task_of("paint"), "allowed: 'denoise', 'inpaint', 'upsample', 'complete'"),
        (lambda: task_of("inpaint", sampling="box"), "sampling is an option of 'upsample'; leave it out for 'inpaint'"),
        (lambda: task_of(Complete(3), scale=2), "scale beside Complete.*give them to the task"),
        (lambda: Inpaint("some"), "missing"),
        (lambda: Upsample(2, "block"), "sampling"),
        (lambda: Complete(1), "scale = 1"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_every_task_by_value_is_the_one_by_name():
    matrix = noisy(smooth_matrix(empty=0), 0.05, frames=30)
    holes = np.arange(50, 53)
    pairs = (
        (Denoise(), dict(task="denoise"), "wiener"),
        (Inpaint(holes), dict(task="inpaint", missing=holes), "biharmonic"),
        (Complete(2), dict(task="complete"), "spline"),
        (Upsample(2, "stride"), dict(task="upsample", sampling="stride"), "bicubic"),
    )
    for task, old, name in pairs:
        new = mj.restore(matrix, task, method=name)
        np.testing.assert_array_equal(new.value.values, mj.restore(matrix, **old, model=name).value.values)
        assert new.stats["trusted"] is new.stats.trusted and set(new.stats) >= {"residual", "reason", "hidden"}


def test_a_callable_restores_rows_and_is_named():
    truth = smooth_matrix(empty=0)
    matrix = noisy(truth, 0.05, frames=30)
    clean = np.asarray(truth.rows()).reshape(24, 10, 12)
    seen = []

    def oracle(rows, known, inside, sigma):
        seen.append((known.all(), inside.all(), sigma.shape == rows.shape[:1]))
        scale = np.sum(rows * clean[: len(rows)].conj(), (1, 2)) / np.sum(np.abs(clean[: len(rows)]) ** 2, (1, 2))
        return clean[: len(rows)] * scale[:, None, None]

    solution = mj.restore(matrix, Denoise(), method=oracle)
    assert seen and all(map(all, seen)) and set(solution.stats.method) == {"oracle"}
    assert "denoised by oracle" in solution.value.metadata["/calibration/_restoration"]
    error = np.linalg.norm(np.asarray(solution.value.rows()) - np.asarray(truth.rows()))
    assert error < 0.2 * np.linalg.norm(np.asarray(matrix.rows()) - np.asarray(truth.rows()))
    with pytest.raises(ValueError, match="method = wiener and model = wiener"):
        mj.restore(matrix, Denoise(), method="wiener", model="wiener")


def test_splines_through_filtered_rows_beat_splines_where_there_is_noise():
    x, y = np.meshgrid(np.linspace(0, np.pi, 24), np.linspace(0, np.pi, 20))
    truth = (np.cos(x) + 1j * np.cos(2 * y) + np.cos(x) * np.cos(y))[None]
    methods, known = Upsample(2, "stride").classical(), np.ones((10, 12), bool)
    noise = np.random.default_rng(0).normal(size=(2, 8, 10, 12))
    for level in (0.0, 0.3):
        seen = truth[:, ::2, ::2] + level * (noise[0] + 1j * noise[1])
        sigma = np.full(len(seen), level * np.sqrt(2))
        plain, filtered = (
            np.asarray(methods[name](seen, known, known, sigma)) for name in ("spline", "filtered-spline")
        )
        errors = [np.linalg.norm((each - truth)[:, :-1, :-1]) for each in (plain, filtered)]
        assert plain.shape == filtered.shape and errors[1] < 0.6 * errors[0] if level else np.allclose(plain, filtered)


def test_what_is_not_believed_of_a_callable_is_filled_by_the_stand_in():
    matrix = noisy(smooth_matrix((12, 12, 1), empty=0), 0.05, frames=30)
    holes = np.zeros((12, 12), bool)
    holes[5:8, 5:8] = True
    zeros = mj.restore(matrix, Inpaint(holes), method=Method("nothing", lambda rows, *_: 0 * rows))
    wiener = mj.restore(matrix, Inpaint(holes), method="wiener", trust=False)
    assert not zeros.stats.trusted.any() and zeros.stats.instead == "filled by wiener"
    filled, want = (np.asarray(m.value.images()).reshape(24, 12, 12)[:, holes] for m in (zeros, wiener))
    np.testing.assert_allclose(filled, want, atol=1e-5 * UNIT)


@pytest.mark.slow
def test_a_task_from_outside_runs_in_python_and_on_the_command_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "sharpen_task.py").write_text(OUTSIDE)
    facts = tmp_path / "sharpen-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: sharpen\nVersion: 1.0\n")
    (facts / "entry_points.txt").write_text("[mpijax.tasks]\nsharpen = sharpen_task:Sharpen\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr("mpijax.rows.tasks.names.TASKS", dict(TASKS))
    truth = smooth_matrix((14, 12, 1), empty=0)
    task = task_of("sharpen", strength=1e-4)
    assert task.strength == 1e-4
    blurred = task.observe(np.asarray(truth.images())[:, :, 0])
    matrix = noisy(truth.with_rows(blurred.reshape(24, -1)), 1e-3, frames=40)
    sharp = mj.restore(matrix, task, method="least-squares", trust=False)
    before, after = (mj.metrics.nrmse(m.rows(), truth.rows()) for m in (matrix, sharp.value))
    assert after < before / 2
    mj.io.write_system_matrix(tmp_path / "blurred.mdf", matrix)
    words = ["restore", tmp_path / "blurred.mdf", "-o", tmp_path / "sharp.mdf", "--task", "sharpen"]
    words += ["--model", "least-squares", "--no-trust", "--no-draw", "--background", "none"]
    monkeypatch.setattr(sys, "argv", ["mpijax", *map(str, words)])
    cli.main()
    assert "restored 24 of 24 rows" in capsys.readouterr().out
    written = mj.io.read_system_matrix(tmp_path / "sharp.mdf")
    assert "sharpened by least-squares" in written.metadata["/calibration/_restoration"]
    assert mj.metrics.nrmse(written.rows(), truth.rows()) < before / 2
    words = ["train", "--task", "sharpen", "--source", "2d", "--shape", "8", "8", "1", "--model", "unet", "--options"]
    words += ["features=[4]", "blocks=1", "patch=1", "--steps", "1", "--batch-size", "2", "--run-dir", tmp_path / "run"]
    monkeypatch.setattr(sys, "argv", ["mpijax", *map(str, words)])
    cli.main()
    assert find_method(task_of("sharpen"), 2, tmp_path / "run")[0].trained
    with pytest.raises(ValueError, match="trained for strength 0.001, but strength = 0.0001"):
        find_method(task, 2, tmp_path / "run")
    with pytest.raises(ValueError, match="a task 'sharpen' is known already"):
        register_task(type("Other", (type(task),), {}))


def test_no_file_above_the_task_asks_for_its_name():
    """A layer that compares the name of a task is in the wrong place."""
    root = Path(mj.__file__).parent
    for folder in ("restoration", "viz", "cli"):
        for path in (root / folder).rglob("*.py"):
            text = path.read_text()
            for name in TASKS:
                for words in (f'task == "{name}"', f'task.name == "{name}"', f'task in ("{name}"'):
                    assert words not in text, f"{path} asks for the task {name}"

"""Films of frames."""

import numpy as np
import pytest
from PIL import Image

import mpijax as mj
from mpijax.viz import film


def test_a_film_has_a_frame_for_every_image(tmp_path):
    grid = mj.Grid.create((6, 5, 1), (0.03, 0.025, 0.001))
    images = np.arange(4)[:, None, None, None] * np.ones((4, 1, 5, 6))
    film.save_film(images, grid, tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as made:
        frames = []
        for i in range(made.n_frames):
            made.seek(i)
            frames.append(np.asarray(made.convert("RGB"), float))
    assert len(frames) == 4 and all(np.any(a != b) for a, b in zip(frames[1:], frames, strict=False))
    assert [path.name for path in tmp_path.iterdir()] == ["film.gif"]


def test_films_that_cannot_be(tmp_path, monkeypatch):
    grid = mj.Grid.create((2, 2, 1), (0.03, 0.025, 0.001))
    with pytest.raises(ValueError, match="is written as .gif or .mp4"):
        film.save_film(np.ones((1, 1, 2, 2)), grid, tmp_path / "film.avi")
    with pytest.raises(ValueError, match="at least one frame"):
        film.save_film(np.ones((0, 1, 2, 2)), grid, tmp_path / "film.gif")
    monkeypatch.setattr(film.FFMpegWriter, "isAvailable", lambda: False)
    with pytest.raises(ValueError, match="needs the program ffmpeg"):
        film.save_film(np.ones((1, 1, 2, 2)), grid, tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())
